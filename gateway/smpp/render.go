package smpp

import (
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

// shortOctets is what short_message takes (SMPP 3.4 §5.2.21).
const shortOctets = 254

// render puts the next part of a job into the carrier's scratch; c.mu is held.
func (c *carrier) render(s *session, j *job) *pdu.SM {
	t := c.terms.Load()
	m := &c.scratch.sm
	*m = pdu.SM{ServiceType: t.service, Source: j.source, Dest: j.dest}
	c.scratch.tlvs = c.scratch.tlvs[:0]
	if j.m.Receipt != nil {
		c.renderReceipt(s, j)
		return m
	}
	p := &j.parts[j.sent]
	m.DataCoding = p.Coding
	c.renderText(p, j)
	if s.client {
		m.Validity = c.renderValidity(j, t.Validity)
	}
	if j.m.ReportWanted {
		m.RegisteredDelivery = pdu.ReceiptAlways
		if !s.client { // to one that bound to us, who can only acknowledge (SMPP 3.4 §5.2.17)
			m.RegisteredDelivery = pdu.AckDelivery
		}
	}
	return m
}

// renderText writes a part's user data: in short_message where it fits and the
// carrier does not want all of it as message_payload.
func (c *carrier) renderText(p *text.Part, j *job) {
	m := &c.scratch.sm
	data := p.Data
	if len(p.Header) > 0 {
		c.scratch.text = append(append(c.scratch.text[:0], p.Header...), p.Data...)
		data = c.scratch.text
		m.ESMClass |= pdu.UDHI
	}
	if p.Total > 1 && j.method == text.SAR {
		c.scratch.tlvs = c.scratch.tlvs.AppendUint16(pdu.TagSARMsgRefNum, p.Ref).
			AppendUint8(pdu.TagSARTotalSegments, p.Total).AppendUint8(pdu.TagSARSegmentSeqnum, p.Seq)
	}
	if len(data) > shortOctets || j.method == text.Payload && j.charge > 1 {
		c.scratch.tlvs, _ = c.scratch.tlvs.Append(pdu.TagMessagePayload, data) // Segment keeps to its limit
	} else {
		m.ShortMessage = data
	}
	m.TLVs = c.scratch.tlvs
}

// renderValidity says what is left of the message's validity, or the carrier's
// default. Relative times do not depend on the peer's clock; they end at 31 days.
func (c *carrier) renderValidity(j *job, otherwise time.Duration) []byte {
	now := c.edge.now()
	left := otherwise
	if !j.m.Expires.IsZero() {
		left = j.m.Expires.Sub(now)
	}
	b, err := pdu.AppendRelative(c.scratch.validity[:0], left)
	if err != nil {
		if b, err = pdu.AppendTime(c.scratch.validity[:0], now.Add(left).UTC()); err != nil {
			b = b[:0] // beyond 2099: the peer's own limit applies
		}
	}
	c.scratch.validity = b
	return b
}

// renderReceipt writes the delivery report that we owe to a peer (SMPP 3.4
// Appendix B). To a message centre it is an acknowledgement by the recipient.
func (c *carrier) renderReceipt(s *session, j *job) {
	m, r := &c.scratch.sm, j.m.Receipt
	m.ESMClass = pdu.TypeReceipt
	if s.client {
		m.ESMClass = pdu.TypeDeliveryAck
	}
	delivered := 0
	if r.State == gateway.Delivered {
		delivered = 1
	}
	id := publicID(r.ID)
	c.scratch.text = receipt.Append(c.scratch.text[:0], receipt.Receipt{
		ID: id, Submitted: 1, Delivered: delivered, Submit: r.Submitted, Done: r.Done, State: r.State, Err: "000", Text: r.Text,
	})
	m.ShortMessage = c.scratch.text[:min(len(c.scratch.text), shortOctets)]
	if s.version < 0x34 { // knows no optional parameters (SMPP 3.4 §3.4.2)
		return
	}
	t, _ := c.scratch.tlvs.AppendCString(pdu.TagReceiptedMessageID, []byte(id))
	c.scratch.tlvs = t.AppendUint8(pdu.TagMessageState, receipt.Code(r.State))
	m.TLVs = c.scratch.tlvs
}

// wanted reports whether the peer asked for a receipt about this outcome.
func (e *Edge) wanted(m *gateway.Outbound) bool {
	c := e.current.Load().carriers[m.Carrier]
	if c == nil {
		return true // Send finds no route
	}
	_, want, ok := c.key.verify([]byte(publicID(m.Receipt.ID)))
	switch {
	case !ok: // given under a key that has changed since
		return true
	case want == pdu.ReceiptOnFailure:
		return m.Receipt.State.Failed()
	case want == pdu.ReceiptOnSuccess:
		return m.Receipt.State == gateway.Delivered
	}
	return true
}
