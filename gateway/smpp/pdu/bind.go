package pdu

// Bind is the body of bind_transmitter, bind_receiver and bind_transceiver
// (SMPP 3.4 §4.1.1, §4.1.3, §4.1.5); the header's id tells which.
type Bind struct {
	SystemID         []byte // at most 15 octets
	Password         []byte // at most 8 octets
	SystemType       []byte // at most 12 octets
	InterfaceVersion byte   // 0x34 for 3.4, 0x50 for 5.0, up to 0x33 for 3.3
	AddrTON          TON
	AddrNPI          NPI
	AddressRange     []byte // at most 40 octets
	TLVs             TLVs   // none in 3.4
}

// Decode implements [Body].
func (m *Bind) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.SystemID = r.cstring("system_id", 16, ESME_RINVSYSID)
	m.Password = r.cstring("password", 9, ESME_RINVPASWD)
	m.SystemType = r.cstring("system_type", 13, ESME_RINVSYSTYP)
	m.InterfaceVersion = r.octet("interface_version")
	m.AddrTON = TON(r.octet("addr_ton"))
	m.AddrNPI = NPI(r.octet("addr_npi"))
	// No status of its own exists for address_range.
	m.AddressRange = r.cstring("address_range", 41, ESME_RBINDFAIL)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *Bind) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("system_id", 16, ESME_RINVSYSID, m.SystemID)
	w.cstring("password", 9, ESME_RINVPASWD, m.Password)
	w.cstring("system_type", 13, ESME_RINVSYSTYP, m.SystemType)
	w.octet(m.InterfaceVersion)
	w.octet(byte(m.AddrTON))
	w.octet(byte(m.AddrNPI))
	w.cstring("address_range", 41, ESME_RBINDFAIL, m.AddressRange)
	w.tlvs(m.TLVs)
	return w.end()
}

// BindResp is the body of the three bind responses (SMPP 3.4 §4.1.2). A refusal
// comes without a body: Decode leaves the fields empty, and Append writes none
// when the status is not ESME_ROK and both fields are empty.
type BindResp struct {
	SystemID []byte // at most 15 octets
	TLVs     TLVs   // sc_interface_version
}

// Decode implements [Body].
func (m *BindResp) Decode(pdu []byte) error {
	*m = BindResp{}
	r := newReader(pdu)
	if r.ended() {
		return r.end()
	}
	m.SystemID = r.cstring("system_id", 16, ESME_RINVSYSID)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *BindResp) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	if h.Status == ESME_ROK || len(m.SystemID) > 0 || len(m.TLVs) > 0 {
		w.cstring("system_id", 16, ESME_RINVSYSID, m.SystemID)
		w.tlvs(m.TLVs)
	}
	return w.end()
}

// Outbind is a message centre's invitation to bind as a receiver (SMPP 3.4 §4.1.7).
type Outbind struct {
	SystemID []byte // at most 15 octets
	Password []byte // at most 8 octets
	TLVs     TLVs   // none in 3.4
}

// Decode implements [Body].
func (m *Outbind) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.SystemID = r.cstring("system_id", 16, ESME_RINVSYSID)
	m.Password = r.cstring("password", 9, ESME_RINVPASWD)
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *Outbind) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("system_id", 16, ESME_RINVSYSID, m.SystemID)
	w.cstring("password", 9, ESME_RINVPASWD, m.Password)
	w.tlvs(m.TLVs)
	return w.end()
}
