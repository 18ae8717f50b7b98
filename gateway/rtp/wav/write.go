package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"trunkline/gateway/rtp/g711"
)

// Coding is how a written file stores a sample.
type Coding uint8

// The codings.
const (
	PCM16 Coding = iota
	MuLaw
	ALaw
)

// headerLen is the length of what stands before the samples: RIFF, fmt with
// its extension's length, fact, data. The fact chunk is required for anything
// but PCM and harmless for that.
const headerLen = 12 + 8 + 18 + 8 + 4 + 8

// maxData keeps every length of the header within 32 bits.
const maxData = 1<<32 - 1 - headerLen

// Writer writes a file as its sound comes. Until Close has written the
// lengths, the file says that they are unknown, so that what a crash leaves
// behind can still be played. It is not safe for concurrent use.
type Writer struct {
	w        io.WriteSeeker
	coding   Coding
	channels int
	rate     int
	data     int64 // octets of samples so far
	buffer   []byte
}

// NewWriter begins a file with one or two channels.
func NewWriter(w io.WriteSeeker, coding Coding, rate, channels int) (*Writer, error) {
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("wav: cannot write %d channels", channels)
	}
	out := &Writer{w: w, coding: coding, channels: channels, rate: rate}
	if _, err := w.Write(out.header(0xFFFFFFFF)); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	return out, nil
}

// Write appends samples; with two channels, both slices are equally long and
// right is given.
func (w *Writer) Write(left, right []int16) error {
	w.buffer = w.buffer[:0]
	for i, s := range left {
		w.buffer = w.append(w.buffer, s)
		if w.channels == 2 {
			w.buffer = w.append(w.buffer, right[i])
		}
	}
	if w.data+int64(len(w.buffer)) > maxData {
		return errors.New("wav: the file would exceed 4 GB")
	}
	n, err := w.w.Write(w.buffer)
	w.data += int64(n)
	if err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	return nil
}

// Close writes the lengths. It does not close what is below.
func (w *Writer) Close() error {
	if w.data%2 == 1 { // RIFF aligns chunks; the pad octet is not counted
		if _, err := w.w.Write([]byte{0}); err != nil {
			return fmt.Errorf("wav: %w", err)
		}
	}
	if _, err := w.w.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	if _, err := w.w.Write(w.header(uint32(w.data))); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	_, err := w.w.Seek(0, io.SeekEnd)
	return err
}

func (w *Writer) append(b []byte, s int16) []byte {
	var octet [1]byte
	switch w.coding {
	case MuLaw:
		g711.MuLaw.Encode(octet[:], []int16{s})
	case ALaw:
		g711.ALaw.Encode(octet[:], []int16{s})
	default:
		return binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return append(b, octet[0])
}

func (w *Writer) header(data uint32) []byte {
	tag, bits := uint16(tagPCM), 16
	switch w.coding {
	case MuLaw:
		tag, bits = tagMuLaw, 8
	case ALaw:
		tag, bits = tagALaw, 8
	}
	frame := w.channels * bits / 8
	riff, samples := data, data
	if data != 0xFFFFFFFF {
		riff, samples = headerLen-8+data+data&1, data/uint32(frame)
	}
	le := binary.LittleEndian
	b := append(le.AppendUint32([]byte("RIFF"), riff), "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, uint16(w.channels))
	b = le.AppendUint32(b, uint32(w.rate))
	b = le.AppendUint32(b, uint32(w.rate*frame))
	b = le.AppendUint16(b, uint16(frame))
	b = le.AppendUint16(b, uint16(bits))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(append(b, "fact"...), 4)
	b = le.AppendUint32(b, samples)
	return le.AppendUint32(append(b, "data"...), data)
}
