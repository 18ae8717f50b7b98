package pdu

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// TLVs are optional parameters as they stand on the wire: tag and length of two
// octets each, then the value (SMPP 3.4 §3.2.4). Nothing is dropped, reordered
// or understood; tags unknown here are kept as they came. A TLVs that a Decode
// returned is well formed; iteration over any other stops where it breaks.
//
// Build one by appending to nil, or to the [:0] of an old one.
type TLVs []byte

const tlvHeader = 4

// Get returns the value of the first parameter with this tag; nil and false
// when there is none. The value of a present one is never nil.
func (t TLVs) Get(tag Tag) ([]byte, bool) {
	for len(t) >= tlvHeader {
		end := tlvHeader + int(binary.BigEndian.Uint16(t[2:]))
		if end > len(t) {
			break
		}
		if Tag(binary.BigEndian.Uint16(t)) == tag {
			return t[tlvHeader:end:end], true
		}
		t = t[end:]
	}
	return nil, false
}

// Uint8 returns the value of a parameter of one octet, false when it is absent
// or of another length.
func (t TLVs) Uint8(tag Tag) (uint8, bool) {
	v, _ := t.Get(tag)
	if len(v) != 1 {
		return 0, false
	}
	return v[0], true
}

// Uint16 returns the value of a parameter of two octets, false when it is
// absent or of another length.
func (t TLVs) Uint16(tag Tag) (uint16, bool) {
	v, _ := t.Get(tag)
	if len(v) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}

// CString returns the value of a C-octet string parameter without its NUL. A
// NUL that the peer left out is not missed.
func (t TLVs) CString(tag Tag) ([]byte, bool) {
	v, ok := t.Get(tag)
	for i, c := range v {
		if c == 0 {
			return v[:i:i], ok
		}
	}
	return v, ok
}

// SAR returns the reference, the number of parts and the number of this part,
// from 1, of a message in parts. ok is false unless all three parameters are
// there and agree: one alone is to be ignored (SMPP 3.4 §5.3.2.22).
func (t TLVs) SAR() (ref uint16, total, seq uint8, ok bool) {
	ref, hasRef := t.Uint16(TagSARMsgRefNum)
	total, hasTotal := t.Uint8(TagSARTotalSegments)
	seq, hasSeq := t.Uint8(TagSARSegmentSeqnum)
	if !hasRef || !hasTotal || !hasSeq || seq == 0 || seq > total {
		return 0, 0, 0, false
	}
	return ref, total, seq, true
}

// All yields the parameters in the order of the wire, repeated tags included.
func (t TLVs) All() iter.Seq2[Tag, []byte] {
	return func(yield func(Tag, []byte) bool) {
		for rest := t; len(rest) >= tlvHeader; {
			end := tlvHeader + int(binary.BigEndian.Uint16(rest[2:]))
			if end > len(rest) {
				return
			}
			if !yield(Tag(binary.BigEndian.Uint16(rest)), rest[tlvHeader:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// Append adds a parameter. A value above 65,535 octets is refused with
// ESME_RINVPARLEN, and t is returned unchanged.
func (t TLVs) Append(tag Tag, value []byte) (TLVs, error) {
	if len(value) > 0xFFFF {
		return t, &Error{Status: ESME_RINVPARLEN, Field: tag.String(),
			Reason: fmt.Sprintf("%d octets are more than the 65535 a length can say", len(value))}
	}
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	t = binary.BigEndian.AppendUint16(t, uint16(len(value)))
	return append(t, value...), nil
}

// AppendUint8 adds a parameter of one octet.
func (t TLVs) AppendUint8(tag Tag, v uint8) TLVs {
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	return append(t, 0, 1, v)
}

// AppendUint16 adds a parameter of two octets.
func (t TLVs) AppendUint16(tag Tag, v uint16) TLVs {
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	t = append(t, 0, 2)
	return binary.BigEndian.AppendUint16(t, v)
}

// AppendCString adds a C-octet string parameter with its NUL. Like
// [TLVs.Append] it refuses what a length cannot say.
func (t TLVs) AppendCString(tag Tag, v []byte) (TLVs, error) {
	if len(v) >= 0xFFFF {
		return t, &Error{Status: ESME_RINVPARLEN, Field: tag.String(),
			Reason: fmt.Sprintf("%d octets and a NUL are more than the 65535 a length can say", len(v))}
	}
	t = binary.BigEndian.AppendUint16(t, uint16(tag))
	t = binary.BigEndian.AppendUint16(t, uint16(len(v)+1))
	return append(append(t, v...), 0), nil
}

// check returns where and why t is not well formed; the reason is empty when it is.
func (t TLVs) check() (at int, reason string) {
	for at < len(t) {
		left := len(t) - at
		if left < tlvHeader {
			return at, fmt.Sprintf("%d octets are too few for tag and length", left)
		}
		n := int(binary.BigEndian.Uint16(t[at+2:]))
		if left -= tlvHeader; n > left {
			tag := Tag(binary.BigEndian.Uint16(t[at:]))
			return at, fmt.Sprintf("%s announces %d octets and %d are there", tag, n, left)
		}
		at += tlvHeader + n
	}
	return 0, ""
}
