package smpp

import (
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/text"
)

// Bounds on what a message may bring along.
const (
	furthest      = 366 * 24 * time.Hour // schedule_delivery_time
	propertyCount = 16
	propertyValue = 256 // octets
)

// arrival is what submit_sm, deliver_sm, data_sm and submit_multi have in
// common. Its slices alias the session's buffer.
type arrival struct {
	source, dest pdu.Address
	class        pdu.ESMClass
	coding       byte
	registered   pdu.RegisteredDelivery
	schedule     []byte
	validity     []byte
	canned       byte // sm_default_msg_id
	data         []byte
	tlvs         pdu.TLVs
}

// handleSM takes a submit_sm or deliver_sm.
func (s *session) handleSM(h pdu.Header) {
	m := &s.sm
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate(h.ID)
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	s.arrival = arrival{source: m.Source, dest: m.Dest, class: m.ESMClass, coding: m.DataCoding,
		registered: m.RegisteredDelivery, data: m.Message(), tlvs: m.TLVs}
	if !s.client { // deliver_sm has no use for them (SMPP 3.4 §4.6.1)
		s.arrival.schedule, s.arrival.validity, s.arrival.canned = m.Schedule, m.Validity, m.DefaultMsgID
	}
	s.arrive(h)
}

// handleData takes a data_sm.
func (s *session) handleData(h pdu.Header) {
	m := &s.data
	err := m.Decode(s.buf)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		s.refuse(h, err)
		return
	}
	s.arrival = arrival{source: m.Source, dest: m.Dest, class: m.ESMClass, coding: m.DataCoding,
		registered: m.RegisteredDelivery, data: m.Message(), tlvs: m.TLVs}
	s.arrive(h)
}

// arrive hands the message at hand to the core. The peer gets its answer when
// the core has it durably, not before.
func (s *session) arrive(h pdu.Header) {
	a := &s.arrival
	if s.isReport(a) {
		s.report(h, a)
		return
	}
	if a.class.Type() == pdu.TypeAbort { // ends a conversation that we do not hold
		s.replySM(h.Response(pdu.ESME_ROK), "")
		return
	}
	m, status := s.message(a)
	if status == pdu.ESME_ROK && !s.ours(m.To) {
		status = pdu.ESME_RINVDSTADR
	}
	if status != pdu.ESME_ROK {
		s.reply(h.Response(status))
		return
	}
	reply := ""
	if !s.client || a.registered&pdu.AckDelivery != 0 {
		m.ID = s.newID(a.registered)
	}
	if !s.client { // a message centre has no use for an id of ours (SMPP 3.4 §4.6.2)
		reply = m.ID
	}
	m.ReportWanted = s.reportWanted(a.registered)
	s.edge.core.Inbound(m, s.answerer(h, reply))
}

// answerer counts a request as owed and returns what answers it.
func (s *session) answerer(h pdu.Header, messageID string) func(error) {
	s.owed.Add(1)
	began := s.edge.clock()
	return func(err error) {
		s.carrier.metrics.coreTime.Observe(float64(s.edge.clock()-began) / 1e9)
		if err != nil {
			s.reply(h.Response(s.verdict(err)))
		} else {
			s.replySM(h.Response(pdu.ESME_ROK), messageID)
		}
		s.owed.Add(-1)
	}
}

// verdict is the status for what the core says.
func (s *session) verdict(err error) pdu.Status {
	switch {
	case err == nil:
		return pdu.ESME_ROK
	case errors.Is(err, gateway.ErrOverload):
		return pdu.ESME_RMSGQFUL
	case errors.Is(err, gateway.ErrStopping):
		return s.stopped()
	case errors.Is(err, gateway.ErrUnavailable):
		return pdu.ESME_RSYSERR
	}
	s.edge.log.Warn("the core refused a message", "carrier", s.name(), "error", err)
	return pdu.ESME_RSYSERR
}

// newID gives the id of a message.
func (s *session) newID(registered pdu.RegisteredDelivery) string {
	var id [idDigits]byte
	return string(s.carrier.key.append(id[:0], s.edge.ids.next(s.edge.now()), registered.Receipt()))
}

// reportWanted: a peer that bound to us asks for a receipt; a message centre
// can only ask for an acknowledgement (SMPP 3.4 §5.2.17), and what else stands
// there is a copy of what the sender had asked of it.
func (s *session) reportWanted(r pdu.RegisteredDelivery) bool {
	if s.client {
		return r&pdu.AckDelivery != 0
	}
	return r.Receipt() != pdu.ReceiptNever
}

// ours reports whether somebody listens on the number.
func (s *session) ours(to string) bool { return s.edge.ownNumber == nil || s.edge.ownNumber(to) }

// message turns an arrival into what the core takes, or finds what is wrong.
func (s *session) message(a *arrival) (gateway.Inbound, pdu.Status) {
	now := s.edge.now()
	m := gateway.Inbound{Channel: gateway.SMS, Carrier: s.carrier.name, Received: now}
	if a.canned != 0 { // we keep no predefined messages (SMPP 3.4 §5.2.20)
		return m, pdu.ESME_RINVDFTMSGID
	}
	var status pdu.Status
	if m.DeliverAt, status = a.times(now); status != pdu.ESME_ROK {
		return m, status
	}
	alphabet := s.carrier.terms.Load().Alphabet
	if status := a.decode(&m, alphabet); status != pdu.ESME_ROK {
		return m, status
	}
	m.From, m.To = plain(a.source, alphabet), plain(a.dest, alphabet)
	if s.edge.bodies {
		s.edge.log.Debug("an SMS came", "carrier", m.Carrier, "from", m.From, "to", m.To, "text", m.Text)
	}
	return m, pdu.ESME_ROK
}

// times reads when the message is to take effect. What is valid no longer,
// and what would be over before it begins, is refused.
func (a *arrival) times(now time.Time) (at time.Time, status pdu.Status) {
	if len(a.schedule) == 0 && len(a.validity) == 0 {
		return time.Time{}, pdu.ESME_ROK
	}
	at, _, err := pdu.ParseTime(a.schedule, now)
	if err != nil || at.Sub(now) > furthest {
		return at, pdu.ESME_RINVSCHED
	}
	if !at.After(now) {
		at = time.Time{}
	}
	until, _, err := pdu.ParseTime(a.validity, now)
	if err != nil || !until.IsZero() && (!until.After(now) || !until.After(at)) {
		return at, pdu.ESME_RINVEXPIRY
	}
	return at, pdu.ESME_ROK
}

// decode reads the user data: a text, or a part of one.
func (a *arrival) decode(m *gateway.Inbound, alphabet text.Alphabet) pdu.Status {
	data := a.data
	var header text.Header
	if a.class.HasUDH() {
		var err error
		if header, data, err = text.ParseHeader(data); err != nil {
			return pdu.ESME_RINVESMCLASS
		}
	}
	if len(a.tlvs) > 0 || header.Ports.OK {
		m.Properties = a.properties(&header)
	}
	ref, total, seq, ok := header.Concat.Ref, header.Concat.Total, header.Concat.Seq, header.Concat.OK
	if !ok {
		ref, total, seq, ok = a.tlvs.SAR()
	}
	if ok && total > 1 {
		m.Fragment = fragment(a.coding, alphabet, header.Raw, data)
		m.Fragment.Ref, m.Fragment.Total, m.Fragment.Seq = ref, total, seq
		return pdu.ESME_ROK
	}
	var err error
	if m.Text, err = text.Decode(a.coding, alphabet, header.Raw, data); err != nil {
		return pdu.ESME_RINVDCS
	}
	return pdu.ESME_ROK
}

// fragment copies a part, in a coding that needs no carrier to be understood.
func fragment(coding byte, alphabet text.Alphabet, header, data []byte) *gateway.Fragment {
	coding, data = text.Canonical(coding, alphabet, header, data)
	both := make([]byte, 0, len(header)+len(data))
	both = append(append(both, header...), data...)
	f := &gateway.Fragment{Coding: coding, Payload: both[len(header):]}
	if len(header) > 0 {
		f.Header = both[:len(header):len(header)]
	}
	return f
}

// properties are the ports and the optional parameters that are not understood
// here, in hexadecimal: what a flow may want to see.
func (a *arrival) properties(h *text.Header) map[string]string {
	var p map[string]string
	set := func(name, value string) {
		if p == nil {
			p = make(map[string]string)
		}
		if len(p) < propertyCount {
			p[name] = value
		}
	}
	if h.Ports.OK {
		set("source_port", strconv.Itoa(int(h.Ports.Source)))
		set("destination_port", strconv.Itoa(int(h.Ports.Dest)))
	}
	for tag, v := range a.tlvs.All() {
		switch tag {
		case pdu.TagMessagePayload, pdu.TagSARMsgRefNum, pdu.TagSARTotalSegments, pdu.TagSARSegmentSeqnum:
		case pdu.TagSourcePort, pdu.TagDestinationPort:
			if n, ok := a.tlvs.Uint16(tag); ok {
				set(tag.String(), strconv.Itoa(int(n)))
			}
		default:
			if len(v) <= propertyValue {
				set(tagName(tag), hex.EncodeToString(v))
			}
		}
	}
	return p
}

// tagName is a parameter's name, or tlv_1401 for one without.
func tagName(t pdu.Tag) string {
	if name := t.String(); name[0] >= 'a' {
		return name
	}
	return "tlv_" + hex.EncodeToString([]byte{byte(t >> 8), byte(t)})
}
