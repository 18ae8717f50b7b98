package text

import (
	"errors"
	"strings"

	"trunkline/gateway"
)

// ErrNoParts says that there is not one part to assemble.
var ErrNoParts = errors.New("text: no part of the message is there")

// maxAssembled bounds the octets of all parts together.
const maxAssembled = 1 << 20

// gap stands for parts that are missing.
const gap = "…"

// Assemble is the [gateway.Assembler] for parts whose coding and payload are
// canonical (see [Canonical]): in order of Seq, missing ones nil. Parts of the same coding
// and language tables are joined before they are decoded, so an escape or a surrogate
// pair that was split over two parts survives. Missing parts, one or several in
// a row, become "…".
func Assemble(parts []*gateway.Fragment) (string, error) {
	if err := checkParts(parts); err != nil {
		return "", err
	}
	var out strings.Builder
	var run joined
	missing := false
	for _, p := range parts {
		switch {
		case p == nil && !missing:
			run.flush(&out)
			out.WriteString(gap)
		case p != nil:
			run.add(&out, p)
		}
		missing = p == nil
	}
	run.flush(&out)
	return out.String(), nil
}

func checkParts(parts []*gateway.Fragment) error {
	present, octets := 0, 0
	for _, p := range parts {
		if p != nil {
			present++
			octets += len(p.Payload)
		}
	}
	switch {
	case present == 0:
		return ErrNoParts
	case len(parts) > maxParts || octets > maxAssembled:
		return ErrTooLong
	}
	return nil
}

// joined is a run of parts that decode as one.
type joined struct {
	coding      byte
	lock, shift Language
	data        []byte
	first       []byte // payload of the only part so far, not copied
	filled      bool
}

func (j *joined) add(out *strings.Builder, p *gateway.Fragment) {
	h, _ := parseElements(p.Header) // a broken header names no tables
	if !j.fits(p.Coding, h) {
		j.flush(out)
		j.coding, j.lock, j.shift = p.Coding, h.Locking, h.Single
	}
	switch {
	case !j.filled:
		j.first, j.filled = p.Payload, true
	default:
		if len(j.data) == 0 {
			j.data = append(j.data, j.first...)
		}
		j.data = append(j.data, p.Payload...)
	}
}

// fits reports that the run may go on with a part. An odd octet of UCS-2 must
// not shift what follows.
func (j *joined) fits(coding byte, h Header) bool {
	if !j.filled || coding != j.coding || h.Locking != j.lock || h.Single != j.shift {
		return false
	}
	return coding != codingUCS2 || len(j.payload())%2 == 0
}

func (j *joined) payload() []byte {
	if len(j.data) > 0 {
		return j.data
	}
	return j.first
}

func (j *joined) flush(out *strings.Builder) {
	if j.filled {
		out.WriteString(decode(j.coding, j.lock, j.shift, j.payload()))
	}
	*j = joined{data: j.data[:0]}
}
