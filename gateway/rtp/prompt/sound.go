package prompt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/wav"
)

// raw are files without a header, by the end of their name.
var raw = map[string]struct {
	rate   int
	width  int // octets of a sample
	decode func(dst []int16, src []byte)
}{
	".ulaw":  {Rate, 1, func(dst []int16, src []byte) { g711.MuLaw.Decode(dst, src) }},
	".ul":    {Rate, 1, func(dst []int16, src []byte) { g711.MuLaw.Decode(dst, src) }},
	".alaw":  {Rate, 1, func(dst []int16, src []byte) { g711.ALaw.Decode(dst, src) }},
	".al":    {Rate, 1, func(dst []int16, src []byte) { g711.ALaw.Decode(dst, src) }},
	".sln":   {Rate, 2, littleEndian},
	".raw":   {Rate, 2, littleEndian},
	".sln16": {2 * Rate, 2, littleEndian},
	".sln48": {6 * Rate, 2, littleEndian},
}

func littleEndian(dst []int16, src []byte) {
	for i := range dst {
		dst[i] = int16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// decoded reads a whole sound; its name says whether it has a header.
func (l *Library) decoded(name string, r io.Reader) ([]int16, error) {
	samples, err := l.decode(name, r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("prompt %q: %w", name, err)
	case len(samples) == 0:
		return nil, fmt.Errorf("prompt %q: there is no sound in it", name)
	}
	return samples, nil
}

func (l *Library) decode(name string, r io.Reader) ([]int16, error) {
	seconds := int(l.options.Longest.Seconds())
	if kind, ok := raw[strings.ToLower(path.Ext(name))]; ok {
		most := seconds * kind.rate * kind.width
		b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
		switch {
		case err != nil:
			return nil, err
		case len(b) > most:
			return nil, fmt.Errorf("it is longer than %v", l.options.Longest)
		}
		samples := make([]int16, len(b)/kind.width)
		kind.decode(samples, b[:len(samples)*kind.width])
		return wav.Resample(samples, kind.rate, Rate), nil
	}
	// The bound holds for the highest rate that is read, and is checked for the
	// file's own afterwards.
	sound, err := wav.Read(r, seconds*maxRate)
	if err != nil {
		return nil, err
	}
	mono := sound.Mono()
	if len(mono) > seconds*sound.Rate {
		return nil, errors.New("it is longer than " + l.options.Longest.String())
	}
	return wav.Resample(mono, sound.Rate, Rate), nil
}

// maxRate is the highest rate of usual files; above it the bound on their length
// is a shorter time.
const maxRate = 48000
