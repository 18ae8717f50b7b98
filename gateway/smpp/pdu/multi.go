package pdu

// SubmitMulti is the body of submit_multi (SMPP 3.4 §4.5.1).
type SubmitMulti struct {
	ServiceType        []byte // at most 5 octets
	Source             Address
	Dests              []Dest // 1–254; Decode uses its storage again
	ESMClass           ESMClass
	ProtocolID         byte
	Priority           byte
	Schedule           []byte // as in [SM]
	Validity           []byte // as in [SM]
	RegisteredDelivery RegisteredDelivery
	ReplaceIfPresent   byte
	DataCoding         byte
	DefaultMsgID       byte
	ShortMessage       []byte // at most 254 octets
	TLVs               TLVs
}

// Dest is one destination of a submit_multi: a distribution list when List is
// not nil (at most 20 octets), else an address.
type Dest struct {
	Address Address
	List    []byte
}

// Values of dest_flag (SMPP 3.4 §5.2.25).
const (
	destAddress = 1
	destList    = 2
)

// Decode implements [Body].
func (m *SubmitMulti) Decode(pdu []byte) error {
	r := newReader(pdu)
	m.ServiceType = r.cstring("service_type", 6, ESME_RINVSERTYP)
	m.Source = r.address(&source, addrSize)
	m.Dests = r.dests(m.Dests[:0])
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

// dests reads number_of_dests destinations; more than the PDU holds are a
// fault of that number, not of the field in which the octets ran out.
func (r *reader) dests(into []Dest) []Dest {
	n := r.octet("number_of_dests")
	for range n {
		if r.err != nil {
			break
		}
		if r.ended() {
			r.fail(ESME_RINVNUMDESTS, "number_of_dests", "%d are announced and %d are there", n, len(into))
			break
		}
		var d Dest
		switch flag := r.pdu[r.off]; flag {
		case destAddress:
			r.off++
			d.Address = r.address(&dest, addrSize)
		case destList:
			r.off++
			d.List = r.cstring("dl_name", addrSize, ESME_RINVDLNAME)
		default:
			r.fail(ESME_RINVDESTFLAG, "dest_flag", "%d is neither 1 (address) nor 2 (distribution list)", flag)
		}
		into = append(into, d)
	}
	return into
}

// Append implements [Body].
func (m *SubmitMulti) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	w.cstring("service_type", 6, ESME_RINVSERTYP, m.ServiceType)
	w.address(&source, addrSize, m.Source)
	w.dests(m.Dests)
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

func (w *writer) dests(ds []Dest) {
	if len(ds) > 255 {
		w.fail(ESME_RINVNUMDESTS, "number_of_dests", "%d do not fit into one octet; send several PDUs", len(ds))
		return
	}
	w.octet(byte(len(ds)))
	for _, d := range ds {
		if d.List != nil {
			w.octet(destList)
			w.cstring("dl_name", addrSize, ESME_RINVDLNAME, d.List)
			continue
		}
		w.octet(destAddress)
		w.address(&dest, addrSize, d.Address)
	}
}

// Message returns the user data, as [SM.Message] does.
func (m *SubmitMulti) Message() []byte { return message(m.ShortMessage, m.TLVs) }

// SubmitMultiResp is the body of submit_multi_resp (SMPP 3.4 §4.5.2). Like
// [SMResp] it may be absent when the status is not ESME_ROK.
type SubmitMultiResp struct {
	MessageID []byte   // at most 64 octets
	Failed    []Failed // at most 255; Decode uses its storage again
	TLVs      TLVs
}

// Failed is a destination that a submit_multi did not reach (unsuccess_sme).
type Failed struct {
	Address Address
	Status  Status
}

// Decode implements [Body].
func (m *SubmitMultiResp) Decode(pdu []byte) error {
	*m = SubmitMultiResp{Failed: m.Failed[:0]}
	r := newReader(pdu)
	if r.ended() {
		return r.end()
	}
	m.MessageID = r.cstring("message_id", messageIDSize, ESME_RINVMSGID)
	for n := r.octet("no_unsuccess"); n > 0 && r.err == nil; n-- {
		m.Failed = append(m.Failed, Failed{
			Address: r.address(&dest, addrSize),
			Status:  Status(r.uint32("error_status_code")),
		})
	}
	m.TLVs = r.tlvs()
	return r.end()
}

// Append implements [Body].
func (m *SubmitMultiResp) Append(dst []byte, h Header) ([]byte, error) {
	w := newWriter(dst, h)
	if h.Status != ESME_ROK && len(m.MessageID)+len(m.Failed)+len(m.TLVs) == 0 {
		return w.end()
	}
	w.cstring("message_id", messageIDSize, ESME_RINVMSGID, m.MessageID)
	if len(m.Failed) > 255 {
		w.fail(ESME_RINVNUMDESTS, "no_unsuccess", "%d do not fit into one octet", len(m.Failed))
		return w.end()
	}
	w.octet(byte(len(m.Failed)))
	for _, f := range m.Failed {
		w.address(&dest, addrSize, f.Address)
		w.uint32(uint32(f.Status))
	}
	w.tlvs(m.TLVs)
	return w.end()
}
