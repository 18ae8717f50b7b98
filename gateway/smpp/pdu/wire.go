package pdu

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Error is a fault in a PDU and the status with which to answer it.
type Error struct {
	Status Status
	Field  string // the specification's name, such as source_addr
	Offset int    // octet of the PDU where the field starts; 0 when found by a Validate
	Reason string
}

func (e *Error) Error() string {
	if e.Offset == 0 {
		return fmt.Sprintf("smpp: %s: %s (%s)", e.Field, e.Reason, e.Status)
	}
	return fmt.Sprintf("smpp: %s at octet %d: %s (%s)", e.Field, e.Offset, e.Reason, e.Status)
}

// reader walks a PDU's body. The first fault sticks and later reads return
// zeros, so that a Decode reads as the list of its fields.
type reader struct {
	pdu []byte
	off int
	err *Error
}

func newReader(pdu []byte) reader {
	if len(pdu) < HeaderLen {
		_, err := DecodeHeader(pdu)
		return reader{err: err.(*Error)} //nolint:errorlint // DecodeHeader makes no other
	}
	return reader{pdu: pdu, off: HeaderLen}
}

func (r *reader) fail(s Status, field, format string, args ...any) {
	r.err = &Error{Status: s, Field: field, Offset: r.off, Reason: fmt.Sprintf(format, args...)}
}

// ended reports that nothing is left to read, be it for a fault.
func (r *reader) ended() bool { return r.err != nil || r.off == len(r.pdu) }

// octet reads an integer of one octet.
func (r *reader) octet(field string) byte {
	if r.ended() {
		r.missing(field)
		return 0
	}
	b := r.pdu[r.off]
	r.off++
	return b
}

func (r *reader) uint32(field string) uint32 {
	if r.err != nil {
		return 0
	}
	if len(r.pdu)-r.off < 4 {
		r.fail(ESME_RINVCMDLEN, field, "the PDU ends before its 4 octets")
		return 0
	}
	v := binary.BigEndian.Uint32(r.pdu[r.off:])
	r.off += 4
	return v
}

// cstring reads a C-octet string that takes at most size octets with its NUL
// (SMPP 3.4 §3.1) and returns it without. A string that does not end within
// size or within the PDU is answered with s.
func (r *reader) cstring(field string, size int, s Status) []byte {
	if r.ended() {
		r.missing(field)
		return nil
	}
	b := r.pdu[r.off:]
	if len(b) > size {
		b = b[:size]
	}
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		if len(b) < size {
			r.fail(s, field, "the PDU ends before the string's NUL")
		} else {
			r.fail(s, field, "no NUL within %d octets", size)
		}
		return nil
	}
	r.off += n + 1
	return b[:n:n]
}

// octets reads n octets or fails with s.
func (r *reader) octets(field string, n int, s Status) []byte {
	if r.err != nil {
		return nil
	}
	if left := len(r.pdu) - r.off; n > left {
		r.fail(s, field, "%d octets are announced and %d are there", n, left)
		return nil
	}
	b := r.pdu[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// tlvs takes the rest of the PDU.
func (r *reader) tlvs() TLVs {
	if r.ended() {
		return nil
	}
	t := TLVs(r.pdu[r.off:len(r.pdu):len(r.pdu)])
	if at, reason := t.check(); reason != "" {
		r.off += at
		r.fail(ESME_RINVOPTPARSTREAM, "optional parameters", "%s", reason)
		return nil
	}
	r.off = len(r.pdu)
	return t
}

func (r *reader) missing(field string) {
	if r.err == nil {
		r.fail(ESME_RINVCMDLEN, field, "the PDU ends before it")
	}
}

// end reports the fault, if any.
func (r *reader) end() error {
	if r.err != nil {
		return r.err
	}
	return nil
}

// writer is reader's mirror: it appends a PDU behind b[:start].
type writer struct {
	b     []byte
	start int
	err   *Error
}

func newWriter(dst []byte, h Header) writer {
	return writer{b: AppendHeader(dst, h), start: len(dst)}
}

func (w *writer) fail(s Status, field, format string, args ...any) {
	if w.err == nil {
		w.err = &Error{Status: s, Field: field, Offset: len(w.b) - w.start, Reason: fmt.Sprintf(format, args...)}
	}
}

func (w *writer) octet(b byte) { w.b = append(w.b, b) }

func (w *writer) uint32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

func (w *writer) cstring(field string, size int, s Status, v []byte) {
	if len(v) >= size {
		w.fail(s, field, "%d octets and a NUL do not fit into %d", len(v), size)
		return
	}
	if at := bytes.IndexByte(v, 0); at >= 0 {
		w.fail(s, field, "the NUL at position %d would end it", at)
		return
	}
	w.b = append(append(w.b, v...), 0)
}

// short writes sm_length and short_message (SMPP 3.4 §5.2.21, §5.2.22).
func (w *writer) short(v []byte) {
	if len(v) > 255 {
		w.fail(ESME_RINVMSGLEN, "short_message", "%d octets are more than 255; send them as message_payload", len(v))
		return
	}
	w.octet(byte(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) tlvs(t TLVs) {
	if at, reason := t.check(); reason != "" {
		w.fail(ESME_RINVOPTPARSTREAM, "optional parameters", "at their octet %d: %s", at, reason)
		return
	}
	w.b = append(w.b, t...)
}

// end fills in command_length, or undoes everything on a fault.
func (w *writer) end() ([]byte, error) {
	if w.err != nil {
		return w.b[:w.start], w.err
	}
	binary.BigEndian.PutUint32(w.b[w.start:], uint32(len(w.b)-w.start))
	return w.b, nil
}
