package pdu

import (
	"fmt"
	"time"
)

// Validate checks what the fields mean and returns an *[Error] with the status
// of the first that is wrong. The id, IDSubmitSM or IDDeliverSM, decides which
// message types are allowed and which fields are read at all: deliver_sm has
// no use for dates, replacement and default message (SMPP 3.4 §4.6.1), and
// refusing it for them would lose a message over octets that nobody reads.
func (m *SM) Validate(id ID) error {
	var c checker
	c.serviceType(m.ServiceType)
	c.address(&source, m.Source)
	c.destination(m.Dest)
	c.esmClass(id, m.ESMClass)
	c.priority(m.Priority)
	if id != IDDeliverSM {
		c.time("schedule_delivery_time", ESME_RINVSCHED, m.Schedule)
		c.time("validity_period", ESME_RINVEXPIRY, m.Validity)
		c.replaceFlag(m.ReplaceIfPresent)
		c.defaultMsgID(m.DefaultMsgID)
	}
	c.registeredDelivery(m.RegisteredDelivery)
	c.dataCoding(m.DataCoding)
	c.tlvs(m.TLVs)
	c.message(m.ESMClass, m.ShortMessage, m.TLVs)
	return c.end()
}

// Validate checks what the fields mean, as [SM.Validate] does.
func (m *SubmitMulti) Validate() error {
	var c checker
	c.serviceType(m.ServiceType)
	c.address(&source, m.Source)
	// SMPP 3.4 §5.2.24
	if n := len(m.Dests); n < 1 || n > 254 {
		c.fail(ESME_RINVNUMDESTS, "number_of_dests", "%d is not between 1 and 254", n)
	}
	for _, d := range m.Dests {
		switch {
		case d.List == nil:
			c.destination(d.Address)
		case len(d.List) == 0:
			c.fail(ESME_RINVDLNAME, "dl_name", "a distribution list needs a name")
		}
	}
	c.esmClass(IDSubmitMulti, m.ESMClass)
	c.priority(m.Priority)
	c.time("schedule_delivery_time", ESME_RINVSCHED, m.Schedule)
	c.time("validity_period", ESME_RINVEXPIRY, m.Validity)
	c.replaceFlag(m.ReplaceIfPresent)
	c.defaultMsgID(m.DefaultMsgID)
	c.registeredDelivery(m.RegisteredDelivery)
	c.dataCoding(m.DataCoding)
	c.tlvs(m.TLVs)
	c.message(m.ESMClass, m.ShortMessage, m.TLVs)
	return c.end()
}

// Validate checks what the fields mean, as [SM.Validate] does. data_sm travels
// both ways, so every message type is allowed.
func (m *DataSM) Validate() error {
	var c checker
	c.serviceType(m.ServiceType)
	c.address(&source, m.Source)
	c.destination(m.Dest)
	c.esmClass(IDDataSM, m.ESMClass)
	c.registeredDelivery(m.RegisteredDelivery)
	c.dataCoding(m.DataCoding)
	c.tlvs(m.TLVs)
	c.message(m.ESMClass, nil, m.TLVs)
	return c.end()
}

// Validate checks what the fields mean, as [SM.Validate] does.
func (m *QuerySM) Validate() error {
	var c checker
	c.messageID(m.MessageID)
	c.address(&source, m.Source)
	c.tlvs(m.TLVs)
	return c.end()
}

// Validate checks what the fields mean, as [SM.Validate] does. Either a message
// or a destination must be named (SMPP 3.4 §4.9.1).
func (m *CancelSM) Validate() error {
	var c checker
	c.serviceType(m.ServiceType)
	c.address(&source, m.Source)
	if len(m.MessageID) == 0 {
		c.destination(m.Dest)
	} else {
		c.address(&dest, m.Dest)
	}
	c.tlvs(m.TLVs)
	return c.end()
}

// Validate checks what the fields mean, as [SM.Validate] does.
func (m *ReplaceSM) Validate() error {
	var c checker
	c.messageID(m.MessageID)
	c.address(&source, m.Source)
	c.time("schedule_delivery_time", ESME_RINVSCHED, m.Schedule)
	c.time("validity_period", ESME_RINVEXPIRY, m.Validity)
	c.registeredDelivery(m.RegisteredDelivery)
	c.defaultMsgID(m.DefaultMsgID)
	c.tlvs(m.TLVs)
	c.message(0, m.ShortMessage, m.TLVs)
	return c.end()
}

// checker keeps the first fault of a Validate.
type checker struct {
	err *Error
}

func (c *checker) fail(s Status, field, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{Status: s, Field: field, Reason: fmt.Sprintf(format, args...)}
	}
}

func (c *checker) end() error {
	if c.err != nil {
		return c.err
	}
	return nil
}

// serviceType allows any printable name (SMPP 3.4 §5.2.11): those of the
// specification and those that operators agree upon.
func (c *checker) serviceType(v []byte) {
	for _, b := range v {
		if b < 0x20 || b > 0x7E {
			c.fail(ESME_RINVSERTYP, "service_type", "%q is not printable ASCII", v)
			return
		}
	}
}

// address allows an empty one, which stands for "unknown" (SMPP 3.4 §5.2.8).
func (c *checker) address(as *role, a Address) {
	if !a.TON.Valid() {
		c.fail(as.badTON, as.ton, "%d is reserved", a.TON)
	}
	if !a.NPI.Valid() {
		c.fail(as.badNPI, as.npi, "%d is reserved", a.NPI)
	}
	for i, b := range a.Addr {
		if !a.allows(i, b) {
			c.fail(as.badAddr, as.addr, "octet 0x%02X at position %d does not belong into an address of type %d, plan %d",
				b, i, a.TON, a.NPI)
			return
		}
	}
}

func (c *checker) destination(a Address) {
	if len(a.Addr) == 0 {
		c.fail(dest.badAddr, dest.addr, "it is empty")
	}
	c.address(&dest, a)
}

// allows reports whether b may stand at position i of the address.
func (a Address) allows(i int, b byte) bool {
	switch {
	case a.TON == TONAlphanumeric:
		return true // letters of the default alphabet start at 0x01
	case a.TON == TONUnknown, a.NPI == NPIInternet, a.NPI == NPIWAP:
		return b >= 0x20 && b != 0x7F
	}
	return b >= '0' && b <= '9' || b == '*' || b == '#' || b == '+' && i == 0
}

// esmClass: SMPP 3.4 §5.2.12. Every messaging mode is defined.
func (c *checker) esmClass(id ID, v ESMClass) {
	toESME := id == IDDeliverSM || id == IDDataSM
	switch v.Type() {
	case TypeDefault, TypeDeliveryAck, TypeUserAck:
	case TypeReceipt, TypeAbort, TypeIntermediate:
		if !toESME {
			c.fail(ESME_RINVESMCLASS, "esm_class", "0x%02X has a message type that only a message centre sends", byte(v))
		}
	default:
		c.fail(ESME_RINVESMCLASS, "esm_class", "0x%02X has a reserved message type", byte(v))
	}
}

// priority: SMPP 3.4 §5.2.14 ends at 3, 5.0 §4.7.14 at 4.
func (c *checker) priority(v byte) {
	if v > 4 {
		c.fail(ESME_RINVPRTFLG, "priority_flag", "%d is above 4", v)
	}
}

func (c *checker) time(field string, s Status, v []byte) {
	if _, _, err := ParseTime(v, time.Time{}); err != nil {
		c.fail(s, field, "%v", err)
	}
}

// registeredDelivery: SMPP 3.4 §5.2.17, 5.0 §4.7.21.
func (c *checker) registeredDelivery(v RegisteredDelivery) {
	if v&0xE0 != 0 {
		c.fail(ESME_RINVREGDLVFLG, "registered_delivery", "0x%02X has reserved bits", byte(v))
	}
}

// replaceFlag: SMPP 3.4 §5.2.18.
func (c *checker) replaceFlag(v byte) {
	if v > 1 {
		c.fail(ESME_RINVREPFLAG, "replace_if_present_flag", "%d is neither 0 nor 1", v)
	}
}

// dataCoding: SMPP 3.4 §5.2.19. The general group 0001xxxx (flash messages) and
// the group 1110xxxx are reserved there but clear by 3GPP TS 23.038 §4, and
// peers send them.
func (c *checker) dataCoding(v byte) {
	if v == 0x0B || v == 0x0C || v == 0x0F || v >= 0x20 && v <= 0xBF {
		c.fail(ESME_RINVDCS, "data_coding", "0x%02X is reserved", v)
	}
}

// defaultMsgID: SMPP 3.4 §5.2.20.
func (c *checker) defaultMsgID(v byte) {
	if v == 255 {
		c.fail(ESME_RINVDFTMSGID, "sm_default_msg_id", "255 is reserved")
	}
}

func (c *checker) messageID(v []byte) {
	if len(v) == 0 {
		c.fail(ESME_RINVMSGID, "message_id", "it is empty")
	}
}

// message: the text is in one place (SMPP 3.4 §5.3.2.32), short_message ends
// at 254 octets (§5.2.21), and an announced user data header is there.
func (c *checker) message(class ESMClass, short []byte, t TLVs) {
	if len(short) > 254 {
		c.fail(ESME_RINVMSGLEN, "sm_length", "%d is above 254", len(short))
	}
	if _, ok := t.Get(TagMessagePayload); ok && len(short) > 0 {
		c.fail(ESME_RINVMSGLEN, "short_message", "there is a message_payload too; send the text in one of them")
	}
	// 3GPP TS 23.040 §9.2.3.24: the first octet is the length of the rest.
	if text := message(short, t); class.HasUDH() && (len(text) == 0 || int(text[0]) >= len(text)) {
		c.fail(ESME_RINVESMCLASS, "esm_class", "0x%02X announces a user data header that the %d octets of the message do not hold",
			byte(class), len(text))
	}
}

// tlvs checks the lengths and values of known parameters (SMPP 3.4 §5.3.2).
func (c *checker) tlvs(t TLVs) {
	for tag, v := range t.All() {
		s := tagSpec(tag)
		if s.name == "" {
			continue
		}
		if len(v) < s.min || len(v) > s.max {
			c.fail(ESME_RINVPARLEN, s.name, "%d octets are not between %d and %d", len(v), s.min, s.max)
			return
		}
		if tag == TagMessageState && MessageState(v[0]) > StateSkipped {
			c.fail(ESME_RINVOPTPARAMVAL, s.name, "%d is reserved", v[0])
		}
	}
	_, hasRef := t.Uint16(TagSARMsgRefNum)
	total, hasTotal := t.Uint8(TagSARTotalSegments)
	seq, hasSeq := t.Uint8(TagSARSegmentSeqnum)
	if hasRef && hasTotal && hasSeq && (seq == 0 || seq > total) {
		c.fail(ESME_RINVOPTPARAMVAL, "sar_segment_seqnum", "%d is not between 1 and sar_total_segments, %d", seq, total)
	}
}
