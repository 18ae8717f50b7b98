package smpp

import (
	"strconv"
	"strings"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

// isReport tells delivery reports from messages: by the message type, and by
// the parameters of a report where the peer forgot to set it. The text alone
// proves nothing, as anybody can write it.
func (s *session) isReport(a *arrival) bool {
	switch a.class.Type() {
	case pdu.TypeReceipt, pdu.TypeIntermediate, pdu.TypeDeliveryAck:
		return true
	case pdu.TypeDefault:
		if !s.client || len(a.tlvs) == 0 {
			return false
		}
		_, id := a.tlvs.Get(pdu.TagReceiptedMessageID)
		_, state := a.tlvs.Get(pdu.TagMessageState)
		return id && state
	}
	return false
}

// report hands a delivery report to the core. One that nobody understands goes
// there too, to be counted: refusing it would only bring it back for ever.
func (s *session) report(h pdu.Header, a *arrival) {
	t := s.carrier.terms.Load()
	now := s.edge.now()
	written, known := receipt.Parse(reportText(a, t.Alphabet))
	r := gateway.Report{
		Channel: gateway.SMS, Carrier: s.carrier.name, State: written.State, Code: written.Err, Done: written.Done, Received: now,
		Address: plain(a.source, t.Alphabet), OtherAddress: plain(a.dest, t.Alphabet),
	}
	id, _ := a.tlvs.CString(pdu.TagReceiptedMessageID)
	r.Keys = receipt.ReceiptKeys(id, t.ReceiptID)
	if written.ID != string(id) {
		r.Keys = addKeys(r.Keys, receipt.ReceiptKeys([]byte(written.ID), t.ReceiptID))
	}
	if state, ok := a.tlvs.Uint8(pdu.TagMessageState); ok {
		r.State = receipt.MessageState(state)
		known = true
	}
	if v, ok := a.tlvs.Get(pdu.TagNetworkErrorCode); ok && r.Code == "" && len(v) == 3 { // SMPP 3.4 §5.3.2.31
		r.Code = strconv.Itoa(int(v[1])<<8 | int(v[2]))
	}
	switch a.class.Type() {
	case pdu.TypeIntermediate: // by its name not the end
		if r.State.Final() {
			r.State = gateway.Enroute
		}
	case pdu.TypeDeliveryAck:
		if !known {
			r.State = gateway.Delivered
		}
	}
	if r.Done.IsZero() {
		r.Done = now
	}
	if own := s.edge.ownNumber; own != nil && own(r.Address) && !own(r.OtherAddress) {
		r.Address, r.OtherAddress = r.OtherAddress, r.Address // this peer names the parties of the message, not of the report
	}
	s.carrier.metrics.report(r.State)
	if len(r.Keys) == 0 {
		s.edge.log.Warn("a delivery report names no message", "carrier", s.name(), "state", r.State.String())
	}
	reply := ""
	if !s.client {
		reply = s.newID(pdu.ReceiptNever)
	}
	s.edge.core.Report(r, s.answerer(h, reply))
}

// reportText is a report's text in single octets, whatever its coding.
func reportText(a *arrival, alphabet text.Alphabet) []byte {
	data := a.data
	var header text.Header
	if a.class.HasUDH() {
		h, rest, err := text.ParseHeader(data)
		if err != nil {
			return nil
		}
		header, data = h, rest
	}
	if a.coding == 0 && (alphabet != text.GSM7Packed || strings.HasPrefix(string(data), "id:")) {
		return data // ASCII in all but name: the underscore of an id is one octet there
	}
	s, err := text.Decode(a.coding, alphabet, header.Raw, data)
	if err != nil {
		return data
	}
	return []byte(s)
}

// addKeys appends keys that are not there yet.
func addKeys(keys, more []string) []string {
next:
	for _, k := range more {
		for _, have := range keys {
			if have == k {
				continue next
			}
		}
		keys = append(keys, k)
	}
	return keys
}
