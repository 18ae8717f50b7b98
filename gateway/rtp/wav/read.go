// Package wav reads and writes the RIFF/WAVE files of prompts and recordings,
// and brings sound of any rate to the 8 kHz of a call. It knows 8- and 16-bit
// PCM, µ-law and A-law, mono and stereo; everything else is refused by name.
package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"trunkline/gateway/rtp/g711"
)

// Format tags of WAVE's fmt chunk.
const (
	tagPCM        = 1
	tagALaw       = 6
	tagMuLaw      = 7
	tagExtensible = 0xFFFE // the real tag begins the sub-format GUID
)

// Rates that are taken, in samples per second.
const (
	minRate = 4000
	maxRate = 192000
)

// ErrTooLong is returned for a file with more sound than the reader allows.
var ErrTooLong = errors.New("wav: longer than allowed")

// Sound is decoded audio.
type Sound struct {
	Rate     int       // samples per second
	Channels [][]int16 // one or two, equally long
}

// Read decodes a file of at most maxSamples samples per channel. A data chunk
// whose length is unknown (0 or 0xFFFFFFFF, as streams write it) or wrong
// goes on until the file ends.
func Read(r io.Reader, maxSamples int) (Sound, error) {
	var riff [12]byte
	if _, err := io.ReadFull(r, riff[:]); err != nil || string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return Sound{}, errors.New("wav: the file does not begin with RIFF and WAVE; convert it, e.g. to 16-bit PCM")
	}
	var f *format
	for chunks := 0; chunks < maxChunks; chunks++ {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return Sound{}, errors.New("wav: the file ends before a data chunk")
		}
		size := binary.LittleEndian.Uint32(head[4:])
		switch string(head[:4]) {
		case "fmt ":
			read, err := readFormat(r, size)
			if err != nil {
				return Sound{}, err
			}
			f = &read
		case "data":
			if f == nil {
				return Sound{}, errors.New("wav: the data chunk comes before the fmt chunk")
			}
			return f.read(r, size, maxSamples)
		default:
			if _, err := io.CopyN(io.Discard, r, padded(size)); err != nil {
				return Sound{}, fmt.Errorf("wav: chunk %q is cut off", head[:4])
			}
		}
	}
	return Sound{}, fmt.Errorf("wav: no data chunk among the first %d", maxChunks)
}

const maxChunks = 64

// padded is the length of a chunk in the file: RIFF aligns to two octets.
func padded(size uint32) int64 { return int64(size) + int64(size&1) }

type format struct {
	tag      uint16
	channels int
	rate     int
	bits     int // per sample
}

func readFormat(r io.Reader, size uint32) (format, error) {
	if size < 16 || size > 1024 {
		return format{}, fmt.Errorf("wav: fmt chunk of %d octets", size)
	}
	b := make([]byte, padded(size))
	if _, err := io.ReadFull(r, b); err != nil {
		return format{}, errors.New("wav: the fmt chunk is cut off")
	}
	f := format{
		tag:      binary.LittleEndian.Uint16(b),
		channels: int(binary.LittleEndian.Uint16(b[2:])),
		rate:     int(binary.LittleEndian.Uint32(b[4:])),
		bits:     int(binary.LittleEndian.Uint16(b[14:])),
	}
	if f.tag == tagExtensible && size >= 26 {
		f.tag = binary.LittleEndian.Uint16(b[24:])
	}
	return f, f.check()
}

func (f format) check() error {
	known := f.tag == tagPCM && (f.bits == 8 || f.bits == 16) || (f.tag == tagMuLaw || f.tag == tagALaw) && f.bits == 8
	switch {
	case !known:
		return fmt.Errorf("wav: format %d with %d bits is not supported; use PCM with 8 or 16 bits, µ-law or A-law", f.tag, f.bits)
	case f.channels != 1 && f.channels != 2:
		return fmt.Errorf("wav: %d channels; use one or two", f.channels)
	case f.rate < minRate || f.rate > maxRate:
		return fmt.Errorf("wav: %d samples per second; use %d to %d", f.rate, minRate, maxRate)
	}
	return nil
}

// read decodes the data chunk, a piece at a time, so that a length that is
// made up costs no memory.
func (f format) read(r io.Reader, size uint32, maxSamples int) (Sound, error) {
	if size != 0 && size != 0xFFFFFFFF {
		r = io.LimitReader(r, int64(size))
	}
	s := Sound{Rate: f.rate, Channels: make([][]int16, f.channels)}
	frame := f.channels * f.bits / 8
	piece := make([]byte, 4096*frame)
	for {
		n, err := io.ReadFull(r, piece)
		if len(s.Channels[0])+n/frame > maxSamples {
			return Sound{}, fmt.Errorf("%w: more than %d s", ErrTooLong, maxSamples/f.rate)
		}
		f.decode(&s, piece[:n-n%frame])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return s, nil
		}
		if err != nil {
			return Sound{}, fmt.Errorf("wav: %w", err)
		}
	}
}

func (f format) decode(s *Sound, b []byte) {
	width := f.bits / 8
	for i := 0; i < len(b); i += width {
		c := i / width % f.channels
		s.Channels[c] = append(s.Channels[c], f.sample(b[i:i+width]))
	}
}

func (f format) sample(b []byte) int16 {
	var one [1]int16
	switch {
	case f.tag == tagMuLaw:
		g711.MuLaw.Decode(one[:], b)
	case f.tag == tagALaw:
		g711.ALaw.Decode(one[:], b)
	case f.bits == 8: // unsigned, by the format's oldest convention
		one[0] = (int16(b[0]) - 128) << 8
	default:
		one[0] = int16(binary.LittleEndian.Uint16(b))
	}
	return one[0]
}

// Mono mixes the channels into one, which may share memory with s.
func (s Sound) Mono() []int16 {
	if len(s.Channels) == 1 {
		return s.Channels[0]
	}
	mixed := make([]int16, len(s.Channels[0]))
	for i := range mixed {
		mixed[i] = int16((int32(s.Channels[0][i]) + int32(s.Channels[1][i])) / 2)
	}
	return mixed
}
