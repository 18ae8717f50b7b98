// Package pdu is the wire codec of SMPP 3.4, with the status codes, tags and
// command ids of 5.0 that peers really send.
//
// It owns octets: framing, headers, bodies, TLVs, times, and the status that a
// malformed or meaningless field deserves. It refuses to know sockets, sessions,
// windows, text codings and every policy; those are its callers'.
//
// The way of a PDU in: [Read] takes one from the stream into a reusable buffer,
// the Decode method of its body checks the structure and points into that
// buffer, Validate checks what the fields mean. The way out: the body's Append
// writes header and body behind dst and fills in command_length.
//
// Decoded byte slices alias the PDU. They are good until its buffer is used
// again; whoever keeps one longer must clone it.
package pdu

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// HeaderLen is the size in octets of a PDU's header (SMPP 3.4 §3.2).
const HeaderLen = 16

// Header opens every PDU (SMPP 3.4 §3.2).
type Header struct {
	Length   uint32 // command_length: the whole PDU's octets, header included; ignored when encoding
	ID       ID     // command_id
	Status   Status // command_status; ESME_ROK in requests
	Sequence uint32 // sequence_number; a response repeats that of its request
}

// Response returns the header of the answer to h with the given status.
func (h Header) Response(s Status) Header {
	return Header{ID: h.ID.Response(), Status: s, Sequence: h.Sequence}
}

// Nack returns the header of the generic_nack about h (SMPP 3.4 §4.3.1).
func (h Header) Nack(s Status) Header {
	return Header{ID: IDGenericNack, Status: s, Sequence: h.Sequence}
}

// DecodeHeader reads the header at the start of b. It fails with
// ESME_RINVCMDLEN when b is shorter than a header or command_length is; in the
// second case the header is returned too, for the generic_nack.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, &Error{Status: ESME_RINVCMDLEN, Field: "header", Offset: len(b),
			Reason: fmt.Sprintf("%d octets are too few for a header of %d", len(b), HeaderLen)}
	}
	h := Header{
		Length:   binary.BigEndian.Uint32(b),
		ID:       ID(binary.BigEndian.Uint32(b[4:])),
		Status:   Status(binary.BigEndian.Uint32(b[8:])),
		Sequence: binary.BigEndian.Uint32(b[12:]),
	}
	if h.Length < HeaderLen {
		return h, &Error{Status: ESME_RINVCMDLEN, Field: "command_length",
			Reason: fmt.Sprintf("%d is less than a header of %d octets", h.Length, HeaderLen)}
	}
	return h, nil
}

// AppendHeader writes a PDU without a body (enquire_link, unbind, generic_nack,
// an error response): h with a command_length of [HeaderLen].
func AppendHeader(dst []byte, h Header) []byte {
	dst = binary.BigEndian.AppendUint32(dst, HeaderLen)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.ID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Status))
	return binary.BigEndian.AppendUint32(dst, h.Sequence)
}

// Read takes one PDU off r. It uses buf's storage and replaces it when it is
// too small, so a connection's loop reads
//
//	buf, h, err = pdu.Read(r, buf, limit)
//
// and finds the whole PDU, header included, in buf. No more than limit octets
// are ever read or allocated. Errors: io.EOF when the stream ends between two
// PDUs, io.ErrUnexpectedEOF inside one, r's own errors, and an *[Error] with
// ESME_RINVCMDLEN for a command_length below [HeaderLen] or above limit. After
// that the stream has no known boundaries any more: answer h.Nack and close.
func Read(r io.Reader, buf []byte, limit uint32) ([]byte, Header, error) {
	buf = slices.Grow(buf[:0], HeaderLen)[:HeaderLen]
	if _, err := io.ReadFull(r, buf); err != nil {
		return buf[:0], Header{}, err
	}
	h, err := DecodeHeader(buf)
	if err != nil {
		return buf, h, err
	}
	if h.Length > limit {
		return buf, h, &Error{Status: ESME_RINVCMDLEN, Field: "command_length",
			Reason: fmt.Sprintf("%d is above the limit of %d octets", h.Length, limit)}
	}
	buf = slices.Grow(buf, int(h.Length)-HeaderLen)[:h.Length]
	if _, err := io.ReadFull(r, buf[HeaderLen:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return buf[:0], h, err
	}
	return buf, h, nil
}

// Body is what the body types share. Decode reads the body of a whole PDU,
// header included, and returns an *[Error] when its structure is broken; the
// receiver may be used again and again. Append writes a whole PDU with h's id,
// status and sequence behind dst, or returns dst unchanged and an *[Error] for a
// field that does not fit: nothing is ever cut.
type Body interface {
	Decode(pdu []byte) error
	Append(dst []byte, h Header) ([]byte, error)
}

// NewBody returns an empty body for the PDUs with this id, or false when the id
// is unknown or its PDU is not spoken here (the broadcast_sm family): answer
// that with ESME_RINVCMDID.
func NewBody(id ID) (Body, bool) {
	switch id {
	case IDBindReceiver, IDBindTransmitter, IDBindTransceiver:
		return new(Bind), true
	case IDBindReceiverResp, IDBindTransmitterResp, IDBindTransceiverResp:
		return new(BindResp), true
	case IDOutbind:
		return new(Outbind), true
	case IDSubmitSM, IDDeliverSM:
		return new(SM), true
	case IDSubmitSMResp, IDDeliverSMResp, IDDataSMResp:
		return new(SMResp), true
	case IDDataSM:
		return new(DataSM), true
	case IDSubmitMulti:
		return new(SubmitMulti), true
	case IDSubmitMultiResp:
		return new(SubmitMultiResp), true
	case IDQuerySM:
		return new(QuerySM), true
	case IDQuerySMResp:
		return new(QuerySMResp), true
	case IDCancelSM:
		return new(CancelSM), true
	case IDReplaceSM:
		return new(ReplaceSM), true
	case IDAlertNotification:
		return new(AlertNotification), true
	case IDGenericNack, IDUnbind, IDUnbindResp, IDEnquireLink, IDEnquireLinkResp,
		IDCancelSMResp, IDReplaceSMResp:
		return new(Empty), true
	}
	return nil, false
}

// Empty is the body of the PDUs that have none: unbind, enquire_link, their
// responses, cancel_sm_resp, replace_sm_resp and generic_nack. TLVs that a
// peer adds nevertheless are kept.
type Empty struct {
	TLVs TLVs
}

// Decode implements [Body].
func (m *Empty) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *Empty) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.tlvs(m.TLVs)
	return w.end()
}
