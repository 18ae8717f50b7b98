package pdu

// SM is the body of submit_sm (SMPP 3.4 §4.4.1) and deliver_sm (§4.6.1), which
// are laid out alike.
type SM struct {
	ServiceType        []byte // at most 5 octets
	Source             Address
	Dest               Address
	ESMClass           ESMClass
	ProtocolID         byte
	Priority           byte
	Schedule           []byte // schedule_delivery_time: empty or 16 octets, see [ParseTime]
	Validity           []byte // validity_period: likewise
	RegisteredDelivery RegisteredDelivery
	ReplaceIfPresent   byte
	DataCoding         byte
	DefaultMsgID       byte
	ShortMessage       []byte // at most 254 octets; empty when message_payload carries the text
	TLVs               TLVs
}

// Decode implements [Body].
func (m *SM) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.ServiceType = r.cstring("service_type", 6, ESME_RINVSERTYP)
	m.Source = r.address(&source, addrSize)
	m.Dest = r.address(&dest, addrSize)
	m.ESMClass = ESMClass(r.octet("esm_class"))
	m.ProtocolID = r.octet("protocol_id")
	m.Priority = r.octet("priority_flag")
	m.Schedule = r.cstring("schedule_delivery_time", timeSize, ESME_RINVSCHED)
	m.Validity = r.cstring("validity_period", timeSize, ESME_RINVEXPIRY)
	m.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	m.ReplaceIfPresent = r.octet("replace_if_present_flag")
	m.DataCoding = r.octet("data_coding")
	m.DefaultMsgID = r.octet("sm_default_msg_id")
	m.ShortMessage = r.octets("short_message", int(r.octet("sm_length")), ESME_RINVMSGLEN)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *SM) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("service_type", 6, ESME_RINVSERTYP, m.ServiceType)
	w.address(&source, addrSize, m.Source)
	w.address(&dest, addrSize, m.Dest)
	w.octet(byte(m.ESMClass))
	w.octet(m.ProtocolID)
	w.octet(m.Priority)
	w.cstring("schedule_delivery_time", timeSize, ESME_RINVSCHED, m.Schedule)
	w.cstring("validity_period", timeSize, ESME_RINVEXPIRY, m.Validity)
	w.octet(byte(m.RegisteredDelivery))
	w.octet(m.ReplaceIfPresent)
	w.octet(m.DataCoding)
	w.octet(m.DefaultMsgID)
	w.short(m.ShortMessage)
	w.tlvs(m.TLVs)
	return w.end()
}

// Message returns the user data: short_message, or message_payload where that
// is empty. Which of the two it was follows from ShortMessage; having both is a
// fault that Validate finds.
func (m *SM) Message() []byte { return message(m.ShortMessage, m.TLVs) }

func message(short []byte, t TLVs) []byte {
	if len(short) == 0 {
		if p, ok := t.Get(TagMessagePayload); ok {
			return p
		}
	}
	return short
}

// SMResp is the body of submit_sm_resp, deliver_sm_resp and data_sm_resp (SMPP
// 3.4 §4.4.2, §4.6.2, §4.7.2). An error answer comes without a body, and many
// peers leave it out of deliver_sm_resp too: Decode then leaves the fields empty.
// Append writes none when the status is not ESME_ROK and both fields are empty.
type SMResp struct {
	MessageID []byte // at most 64 octets; empty in deliver_sm_resp
	TLVs      TLVs
}

// Decode implements [Body].
func (m *SMResp) Decode(pdu []byte) error {
	*m = SMResp{}
	r := newReader(pdu)
	if r.ended() {
		return r.end()
	}
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *SMResp) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	if h.Status == ESME_ROK || len(m.MessageID) > 0 || len(m.TLVs) > 0 {
		w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
		w.tlvs(m.TLVs)
	}
	return w.end()
}

const messageIDSize = 65 // with NUL, SMPP 3.4 §5.2.23

// DataSM is the body of data_sm (SMPP 3.4 §4.7.1). Its text is in message_payload.
type DataSM struct {
	ServiceType        []byte  // at most 5 octets
	Source             Address // of up to 64 octets
	Dest               Address // of up to 64 octets
	ESMClass           ESMClass
	RegisteredDelivery RegisteredDelivery
	DataCoding         byte
	TLVs               TLVs
}

// Decode implements [Body].
func (m *DataSM) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.ServiceType = r.cstring("service_type", 6, ESME_RINVSERTYP)
	m.Source = r.address(&source, longAddrSize)
	m.Dest = r.address(&dest, longAddrSize)
	m.ESMClass = ESMClass(r.octet("esm_class"))
	m.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	m.DataCoding = r.octet("data_coding")
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *DataSM) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("service_type", 6, ESME_RINVSERTYP, m.ServiceType)
	w.address(&source, longAddrSize, m.Source)
	w.address(&dest, longAddrSize, m.Dest)
	w.octet(byte(m.ESMClass))
	w.octet(byte(m.RegisteredDelivery))
	w.octet(m.DataCoding)
	w.tlvs(m.TLVs)
	return w.end()
}

// Message returns message_payload, nil if there is none.
func (m *DataSM) Message() []byte { return message(nil, m.TLVs) }
