package pdu

// QuerySM is the body of query_sm (SMPP 3.4 §4.8.1).
type QuerySM struct {
	MessageID []byte // at most 64 octets
	Source    Address
	TLVs      TLVs // none in 3.4
}

// Decode implements [Body].
func (m *QuerySM) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	m.Source = r.address(&source, addrSize)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *QuerySM) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
	w.address(&source, addrSize, m.Source)
	w.tlvs(m.TLVs)
	return w.end()
}

// QuerySMResp is the body of query_sm_resp (SMPP 3.4 §4.8.2). It may be absent
// when the status is not ESME_ROK.
type QuerySMResp struct {
	MessageID []byte // at most 64 octets
	FinalDate []byte // empty or 16 octets, see [ParseTime]
	State     MessageState
	ErrorCode byte // the network's own
	TLVs      TLVs // none in 3.4
}

// Decode implements [Body].
func (m *QuerySMResp) Decode(pdu []byte) error {
	*m = QuerySMResp{}
	r := newReader(pdu)
	if r.ended() {
		return r.end()
	}
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	m.FinalDate = r.cstring("final_date", timeSize, ESME_RQUERYFAIL)
	m.State = MessageState(r.octet("message_state"))
	m.ErrorCode = r.octet("error_code")
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *QuerySMResp) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	if h.Status != ESME_ROK && len(m.MessageID)+len(m.FinalDate)+len(m.TLVs) == 0 && m.State == 0 && m.ErrorCode == 0 {
		return w.end()
	}
	w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
	w.cstring("final_date", timeSize, ESME_RQUERYFAIL, m.FinalDate)
	w.octet(byte(m.State))
	w.octet(m.ErrorCode)
	w.tlvs(m.TLVs)
	return w.end()
}

// CancelSM is the body of cancel_sm (SMPP 3.4 §4.9.1). Without MessageID it
// cancels every message from Source to Dest with this ServiceType.
type CancelSM struct {
	ServiceType []byte // at most 5 octets
	MessageID   []byte // at most 64 octets
	Source      Address
	Dest        Address
	TLVs        TLVs // none in 3.4
}

// Decode implements [Body].
func (m *CancelSM) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.ServiceType = r.cstring("service_type", 6, ESME_RINVSERTYP)
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	m.Source = r.address(&source, addrSize)
	m.Dest = r.address(&dest, addrSize)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *CancelSM) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("service_type", 6, ESME_RINVSERTYP, m.ServiceType)
	w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
	w.address(&source, addrSize, m.Source)
	w.address(&dest, addrSize, m.Dest)
	w.tlvs(m.TLVs)
	return w.end()
}

// ReplaceSM is the body of replace_sm (SMPP 3.4 §4.10.1).
type ReplaceSM struct {
	MessageID          []byte // at most 64 octets
	Source             Address
	Schedule           []byte // as in [SM]; empty leaves the old one
	Validity           []byte // likewise
	RegisteredDelivery RegisteredDelivery
	DefaultMsgID       byte
	ShortMessage       []byte // at most 254 octets
	TLVs               TLVs   // none in 3.4, message_payload in 5.0
}

// Decode implements [Body].
func (m *ReplaceSM) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	m.Source = r.address(&source, addrSize)
	m.Schedule = r.cstring("schedule_delivery_time", timeSize, ESME_RINVSCHED)
	m.Validity = r.cstring("validity_period", timeSize, ESME_RINVEXPIRY)
	m.RegisteredDelivery = RegisteredDelivery(r.octet("registered_delivery"))
	m.DefaultMsgID = r.octet("sm_default_msg_id")
	m.ShortMessage = r.octets("short_message", int(r.octet("sm_length")), ESME_RINVMSGLEN)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *ReplaceSM) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
	w.address(&source, addrSize, m.Source)
	w.cstring("schedule_delivery_time", timeSize, ESME_RINVSCHED, m.Schedule)
	w.cstring("validity_period", timeSize, ESME_RINVEXPIRY, m.Validity)
	w.octet(byte(m.RegisteredDelivery))
	w.octet(m.DefaultMsgID)
	w.short(m.ShortMessage)
	w.tlvs(m.TLVs)
	return w.end()
}

// Message returns the new user data, as [SM.Message] does.
func (m *ReplaceSM) Message() []byte { return message(m.ShortMessage, m.TLVs) }

// AlertNotification is the body of alert_notification (SMPP 3.4 §4.12.1): the
// mobile Source, for which the ESME had set a delivery pending flag, is
// reachable again. It has no response.
type AlertNotification struct {
	Source Address // of up to 64 octets
	ESME   Address // of up to 64 octets
	TLVs   TLVs    // ms_availability_status
}

var esme = role{"esme_addr_ton", "esme_addr_npi", "esme_addr",
	ESME_RINVDSTTON, ESME_RINVDSTNPI, ESME_RINVDSTADR}

// Decode implements [Body].
func (m *AlertNotification) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.Source = r.address(&source, longAddrSize)
	m.ESME = r.address(&esme, longAddrSize)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *AlertNotification) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.address(&source, longAddrSize, m.Source)
	w.address(&esme, longAddrSize, m.ESME)
	w.tlvs(m.TLVs)
	return w.end()
}
