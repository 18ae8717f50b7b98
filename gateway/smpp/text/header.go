package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// ErrHeader says that a user data header says that it or one of its elements is longer
// than what there is.
var ErrHeader = errors.New("text: broken user data header")

// Information element identifiers (3GPP TS 23.040 §9.2.3.24).
const (
	elementConcat8  = 0x00
	elementPorts8   = 0x04
	elementPorts16  = 0x05
	elementConcat16 = 0x08
	elementSingle   = 0x24
	elementLocking  = 0x25
)

// Header is a parsed user data header. Elements that we do not know stay in
// Raw. As the specification wants it, the last of several equal elements
// counts, and an element with impossible content counts for nothing.
type Header struct {
	Concat  Concat   // the message is one part of several when Concat.OK
	Ports   Ports    // application ports when Ports.OK
	Locking Language // national locking shift table; Default if none
	Single  Language // national single shift table; Default if none
	Raw     []byte   // all elements as they came, without the length octet: gateway.Fragment.Header
}

// Concat says which part of which message this is (3GPP TS 23.040
// §9.2.3.24.1 and §9.2.3.24.8).
type Concat struct {
	Ref   uint16
	Total uint8 // 1–255
	Seq   uint8 // 1–Total
	Wide  bool  // the reference has 16 bits on the wire
	OK    bool
}

// Ports are application port numbers (3GPP TS 23.040 §9.2.3.24.3 and
// §9.2.3.24.4).
type Ports struct {
	Source, Dest uint16
	OK           bool
}

// ParseHeader reads the user data header at the beginning of b, where its
// length octet is, and returns the user data behind it. Raw and rest share
// b's memory. The error is [ErrHeader], wrapped.
func ParseHeader(b []byte) (h Header, rest []byte, err error) {
	if len(b) == 0 {
		return Header{}, nil, fmt.Errorf("%w: its length octet is missing", ErrHeader)
	}
	n := int(b[0])
	if n > len(b)-1 {
		return Header{}, nil, fmt.Errorf("%w: it has %d octets but only %d follow", ErrHeader, n, len(b)-1)
	}
	h, err = parseElements(b[1 : 1+n : 1+n])
	return h, b[1+n:], err
}

// Elements iterates over the identifiers and contents of all elements.
func (h Header) Elements() iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for b := h.Raw; len(b) >= 2 && int(b[1]) <= len(b)-2; {
			n := 2 + int(b[1])
			if !yield(b[0], b[2:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// parseElements reads a header without its length octet.
func parseElements(raw []byte) (Header, error) {
	h := Header{Raw: raw}
	for b := raw; len(b) > 0; {
		if len(b) < 2 || int(b[1]) > len(b)-2 {
			return Header{}, fmt.Errorf("%w: element 0x%02X at octet %d is longer than the header", ErrHeader, b[0], len(raw)-len(b))
		}
		n := 2 + int(b[1])
		h.take(b[0], b[2:n])
		b = b[n:]
	}
	return h, nil
}

func (h *Header) take(id byte, v []byte) {
	switch {
	case id == elementConcat8 && len(v) == 3:
		h.setConcat(Concat{Ref: uint16(v[0]), Total: v[1], Seq: v[2]})
	case id == elementConcat16 && len(v) == 4:
		h.setConcat(Concat{Ref: binary.BigEndian.Uint16(v), Total: v[2], Seq: v[3], Wide: true})
	case id == elementPorts8 && len(v) == 2:
		h.Ports = Ports{Dest: uint16(v[0]), Source: uint16(v[1]), OK: true}
	case id == elementPorts16 && len(v) == 4:
		h.Ports = Ports{Dest: binary.BigEndian.Uint16(v), Source: binary.BigEndian.Uint16(v[2:]), OK: true}
	case id == elementSingle && len(v) == 1:
		h.Single = Language(v[0])
	case id == elementLocking && len(v) == 1:
		h.Locking = Language(v[0])
	}
}

func (h *Header) setConcat(c Concat) {
	if c.Seq >= 1 && c.Seq <= c.Total {
		c.OK = true
		h.Concat = c
	}
}

// concatOctets returns the length of the element that marks a part, and how
// much of it we write: with SAR nothing, but the message centre needs the room.
func concatOctets(m Method) (room, written int) {
	switch m {
	case UDH8:
		return 5, 5
	case SAR:
		return 5, 0
	}
	return 6, 6
}

func appendConcat(dst []byte, m Method, ref uint16, total, seq uint8) []byte {
	switch m {
	case SAR:
		return dst
	case UDH8:
		return append(dst, elementConcat8, 3, byte(ref), total, seq)
	default:
		return append(dst, elementConcat16, 4, byte(ref>>8), byte(ref), total, seq)
	}
}
