package smpp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// raw writes a PDU of any shape.
func raw(length uint32, id pdu.ID, sequence uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	return append(b, body...)
}

// whole is raw with the right length.
func whole(id pdu.ID, sequence uint32, body ...byte) []byte {
	return raw(uint32(pdu.HeaderLen+len(body)), id, sequence, body...)
}

// encode writes a submit_sm and lets change spoil its octets.
func encode(t *testing.T, id pdu.ID, body pdu.Body, change func([]byte) []byte) []byte {
	b, err := body.Append(nil, pdu.Header{ID: id, Sequence: 7})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		b = change(b)
		binary.BigEndian.PutUint32(b, uint32(len(b)))
	}
	return b
}

// What a peer that binds in does wrong, and what it is told.
func TestWrongInput(t *testing.T) {
	core := newTestCore()
	cfg := testConfig()
	cfg.MaxPDU = 1 << 16
	carrier := bindsIn("a")
	carrier.Accept.MaxBinds = 1000
	cfg.MaxConnectionsPerAddress = 1000
	w := run(t, cfg, core, carrier)

	good := func(change func(*pdu.SM)) *pdu.SM {
		m := sms("38591000002", "38591000001", "hello")
		if change != nil {
			change(m)
		}
		return m
	}
	payload, _ := pdu.TLVs{}.Append(pdu.TagMessagePayload, []byte("hello"))
	sm := func(change func(*pdu.SM)) []byte { return encode(t, pdu.IDSubmitSM, good(change), nil) }
	const none = pdu.ID(0)
	for _, tt := range []struct {
		name string
		bind pdu.ID
		send []byte
		id   pdu.ID // of the answer
		want pdu.Status
		ends bool
	}{
		// Framing (SMPP 3.4 §4.3).
		{"length below a header", pdu.IDBindTransceiver, raw(15, pdu.IDSubmitSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		{"length of nothing", pdu.IDBindTransceiver, raw(0, pdu.IDEnquireLink, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		{"length above the limit", pdu.IDBindTransceiver, raw(1<<16+1, pdu.IDSubmitSM, 7, make([]byte, 3000)...), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		{"length of gigabytes", pdu.IDBindTransceiver, raw(0xFFFFFFFF, pdu.IDSubmitSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		{"length below a header, before bind", none, raw(4, pdu.IDBindReceiver, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		{"a large PDU before bind", none, raw(1<<15, pdu.IDSubmitSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDLEN, true},
		// Ids.
		{"unknown id", pdu.IDBindTransceiver, whole(0x00000055, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"reserved id", pdu.IDBindTransceiver, whole(0x0000000A, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"vendor id", pdu.IDBindTransceiver, whole(0x00010200, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"unknown id before bind", none, whole(0x00000055, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"broadcast_sm", pdu.IDBindTransceiver, whole(pdu.IDBroadcastSM, 7, 1, 2, 3), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"query_broadcast_sm", pdu.IDBindTransceiver, whole(pdu.IDQueryBroadcastSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		{"cancel_broadcast_sm", pdu.IDBindTransceiver, whole(pdu.IDCancelBroadcastSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID, false},
		// Bind states (SMPP 3.4 §2.3).
		{"submit_sm before bind", none, sm(nil), pdu.IDSubmitSMResp, pdu.ESME_RINVBNDSTS, false},
		{"data_sm before bind", none, whole(pdu.IDDataSM, 7), pdu.IDDataSMResp, pdu.ESME_RINVBNDSTS, false},
		{"query_sm before bind", none, whole(pdu.IDQuerySM, 7), pdu.IDQuerySMResp, pdu.ESME_RINVBNDSTS, false},
		{"enquire_link before bind", none, whole(pdu.IDEnquireLink, 7), pdu.IDEnquireLinkResp, pdu.ESME_RINVBNDSTS, false},
		{"unbind before bind", none, whole(pdu.IDUnbind, 7), pdu.IDUnbindResp, pdu.ESME_RINVBNDSTS, false},
		{"submit_sm on a receiver", pdu.IDBindReceiver, sm(nil), pdu.IDSubmitSMResp, pdu.ESME_RINVBNDSTS, false},
		{"submit_multi on a receiver", pdu.IDBindReceiver, whole(pdu.IDSubmitMulti, 7), pdu.IDSubmitMultiResp, pdu.ESME_RINVBNDSTS, false},
		{"data_sm on a receiver", pdu.IDBindReceiver, whole(pdu.IDDataSM, 7), pdu.IDDataSMResp, pdu.ESME_RINVBNDSTS, false},
		{"cancel_sm on a receiver", pdu.IDBindReceiver, whole(pdu.IDCancelSM, 7), pdu.IDCancelSMResp, pdu.ESME_RINVBNDSTS, false},
		{"replace_sm on a receiver", pdu.IDBindReceiver, whole(pdu.IDReplaceSM, 7), pdu.IDReplaceSMResp, pdu.ESME_RINVBNDSTS, false},
		{"deliver_sm from one that bound in", pdu.IDBindTransceiver, encode(t, pdu.IDDeliverSM, good(nil), nil), pdu.IDDeliverSMResp, pdu.ESME_RINVBNDSTS, false},
		{"second bind", pdu.IDBindTransceiver, encode(t, pdu.IDBindTransceiver, &pdu.Bind{SystemID: []byte("a"), Password: []byte("secret"), InterfaceVersion: 0x34}, nil),
			pdu.IDBindTransceiverResp, pdu.ESME_RALYBND, false},
		{"second bind of another kind", pdu.IDBindTransmitter, encode(t, pdu.IDBindReceiver, &pdu.Bind{SystemID: []byte("a"), Password: []byte("secret")}, nil),
			pdu.IDBindReceiverResp, pdu.ESME_RALYBND, false},
		{"a broken bind", none, whole(pdu.IDBindReceiver, 7, []byte("a name of more than sixteen octets\x00")...), pdu.IDBindReceiverResp, pdu.ESME_RINVSYSID, true},
		{"a bind without a body", none, whole(pdu.IDBindReceiver, 7), pdu.IDBindReceiverResp, pdu.ESME_RINVCMDLEN, true},
		// Fields.
		{"no destination", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Dest.Addr = nil }), pdu.IDSubmitSMResp, pdu.ESME_RINVDSTADR, false},
		{"letters in an international source", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Source.Addr = []byte("38x") }), pdu.IDSubmitSMResp, pdu.ESME_RINVSRCADR, false},
		{"letters in an international destination", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Dest.Addr = []byte("38x") }), pdu.IDSubmitSMResp, pdu.ESME_RINVDSTADR, false},
		{"source type", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Source.TON = 7 }), pdu.IDSubmitSMResp, pdu.ESME_RINVSRCTON, false},
		{"source plan", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Source.NPI = 2 }), pdu.IDSubmitSMResp, pdu.ESME_RINVSRCNPI, false},
		{"destination type", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Dest.TON = 7 }), pdu.IDSubmitSMResp, pdu.ESME_RINVDSTTON, false},
		{"destination plan", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Dest.NPI = 2 }), pdu.IDSubmitSMResp, pdu.ESME_RINVDSTNPI, false},
		{"a source without end", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitSM, good(nil), func(b []byte) []byte {
			return slices.Concat(b[:19], bytes.Repeat([]byte{'1'}, 30), b[19:])
		}), pdu.IDSubmitSMResp, pdu.ESME_RINVSRCADR, false},
		{"a reserved message type", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ESMClass = 0x14 }), pdu.IDSubmitSMResp, pdu.ESME_RINVESMCLASS, false},
		{"a receipt from one that is no message centre", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ESMClass = pdu.TypeReceipt }), pdu.IDSubmitSMResp, pdu.ESME_RINVESMCLASS, false},
		{"a header that is not there", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ESMClass, m.ShortMessage = pdu.UDHI, []byte{9, 1} }), pdu.IDSubmitSMResp, pdu.ESME_RINVESMCLASS, false},
		{"a broken header", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ESMClass, m.ShortMessage = pdu.UDHI, []byte{2, 0, 9, 'x'} }), pdu.IDSubmitSMResp, pdu.ESME_RINVESMCLASS, false},
		{"priority", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Priority = 5 }), pdu.IDSubmitSMResp, pdu.ESME_RINVPRTFLG, false},
		{"schedule", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Schedule = []byte("2613010000000000") }), pdu.IDSubmitSMResp, pdu.ESME_RINVSCHED, false},
		{"schedule beyond reason", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Schedule = []byte("020000000000000R") }), pdu.IDSubmitSMResp, pdu.ESME_RINVSCHED, false},
		{"validity", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Validity = []byte("soon") }), pdu.IDSubmitSMResp, pdu.ESME_RINVEXPIRY, false},
		{"validity that is over", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.Validity = []byte("200101000000000+") }), pdu.IDSubmitSMResp, pdu.ESME_RINVEXPIRY, false},
		{"validity before the schedule", pdu.IDBindTransceiver, sm(func(m *pdu.SM) {
			m.Schedule, m.Validity = []byte("000002000000000R"), []byte("000001000000000R")
		}), pdu.IDSubmitSMResp, pdu.ESME_RINVEXPIRY, false},
		{"registered_delivery", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.RegisteredDelivery = 0x80 }), pdu.IDSubmitSMResp, pdu.ESME_RINVREGDLVFLG, false},
		{"replace_if_present_flag", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ReplaceIfPresent = 2 }), pdu.IDSubmitSMResp, pdu.ESME_RINVREPFLAG, false},
		{"data_coding", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.DataCoding = 0x55 }), pdu.IDSubmitSMResp, pdu.ESME_RINVDCS, false},
		{"a predefined message", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.DefaultMsgID = 3 }), pdu.IDSubmitSMResp, pdu.ESME_RINVDFTMSGID, false},
		{"sm_length beyond the PDU", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitSM, good(nil), func(b []byte) []byte { return b[:len(b)-2] }), pdu.IDSubmitSMResp, pdu.ESME_RINVMSGLEN, false},
		{"sm_length of 255", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.ShortMessage = make([]byte, 255) }), pdu.IDSubmitSMResp, pdu.ESME_RINVMSGLEN, false},
		{"a PDU cut short", pdu.IDBindTransceiver, whole(pdu.IDSubmitSM, 7, 0, 1), pdu.IDSubmitSMResp, pdu.ESME_RINVCMDLEN, false},
		{"text in two places", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.TLVs = payload }), pdu.IDSubmitSMResp, pdu.ESME_RINVMSGLEN, false},
		{"a parameter beyond the PDU", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitSM, good(nil), func(b []byte) []byte { return append(b, 0x14, 0x01, 0, 9, 'x') }),
			pdu.IDSubmitSMResp, pdu.ESME_RINVOPTPARSTREAM, false},
		{"a parameter without a length", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitSM, good(nil), func(b []byte) []byte { return append(b, 0x14) }),
			pdu.IDSubmitSMResp, pdu.ESME_RINVOPTPARSTREAM, false},
		{"a parameter of the wrong size", pdu.IDBindTransceiver, sm(func(m *pdu.SM) { m.TLVs, _ = pdu.TLVs{}.Append(pdu.TagSARMsgRefNum, []byte{1}) }),
			pdu.IDSubmitSMResp, pdu.ESME_RINVPARLEN, false},
		{"part 3 of 2", pdu.IDBindTransceiver, sm(func(m *pdu.SM) {
			m.TLVs = pdu.TLVs{}.AppendUint16(pdu.TagSARMsgRefNum, 1).AppendUint8(pdu.TagSARTotalSegments, 2).AppendUint8(pdu.TagSARSegmentSeqnum, 3)
		}), pdu.IDSubmitSMResp, pdu.ESME_RINVOPTPARAMVAL, false},
		// Other commands.
		{"query_sm of a stranger's id", pdu.IDBindTransceiver, encode(t, pdu.IDQuerySM, &pdu.QuerySM{MessageID: []byte("4711")}, nil), pdu.IDQuerySMResp, pdu.ESME_RQUERYFAIL, false},
		{"query_sm without id", pdu.IDBindTransceiver, encode(t, pdu.IDQuerySM, &pdu.QuerySM{}, nil), pdu.IDQuerySMResp, pdu.ESME_RINVMSGID, false},
		{"cancel_sm of a stranger's id", pdu.IDBindTransceiver, encode(t, pdu.IDCancelSM, &pdu.CancelSM{MessageID: []byte("4711")}, nil), pdu.IDCancelSMResp, pdu.ESME_RCANCELFAIL, false},
		{"cancel_sm of everything", pdu.IDBindTransceiver, encode(t, pdu.IDCancelSM, &pdu.CancelSM{Source: address("1"), Dest: address("2")}, nil), pdu.IDCancelSMResp, pdu.ESME_RCANCELFAIL, false},
		{"replace_sm of a stranger's id", pdu.IDBindTransceiver, encode(t, pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: []byte("4711")}, nil), pdu.IDReplaceSMResp, pdu.ESME_RREPLACEFAIL, false},
		{"submit_multi without destinations", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitMulti, &pdu.SubmitMulti{Source: address("1")}, nil), pdu.IDSubmitMultiResp, pdu.ESME_RINVNUMDESTS, false},
		{"submit_multi to lists alone", pdu.IDBindTransceiver, encode(t, pdu.IDSubmitMulti, &pdu.SubmitMulti{Source: address("1"), Dests: []pdu.Dest{{List: []byte("friends")}}}, nil),
			pdu.IDSubmitMultiResp, pdu.ESME_RINVDLNAME, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, w.address())
			if tt.bind != none {
				if f := p.bind(tt.bind, "a", "secret"); f.Status != pdu.ESME_ROK {
					t.Fatalf("the bind was answered with %s", f.Status)
				}
			}
			p.conn.Write(tt.send)
			f := p.expect(tt.id)
			if f.Status != tt.want || f.Sequence != binary.BigEndian.Uint32(tt.send[12:]) {
				t.Errorf("answered with %s to %d, want %s", f.Status, f.Sequence, tt.want)
			}
			if tt.ends {
				p.expectEnd()
				return
			}
			p.sequence = 100 // the session goes on
			if tt.bind == none {
				if f := p.bind(pdu.IDBindTransceiver, "a", "secret"); f.Status != pdu.ESME_ROK {
					t.Errorf("the bind that followed was answered with %s", f.Status)
				}
				return
			}
			if f := p.request(pdu.IDEnquireLink, nil); f.Status != pdu.ESME_ROK {
				t.Errorf("the enquire_link that followed was answered with %s", f.Status)
			}
		})
	}
	if n := len(core.messages); n != 0 {
		t.Errorf("%d wrong messages reached the core", n)
	}
}

// What a message centre does wrong.
func TestWrongInputFromCentre(t *testing.T) {
	for _, tt := range []struct {
		name string
		bind BindType
		send []byte
		id   pdu.ID
		want pdu.Status
	}{
		{"submit_sm", Transceiver, encode(t, pdu.IDSubmitSM, sms("1", "2", "x"), nil), pdu.IDSubmitSMResp, pdu.ESME_RINVBNDSTS},
		{"query_sm", Transceiver, whole(pdu.IDQuerySM, 7), pdu.IDQuerySMResp, pdu.ESME_RINVBNDSTS},
		{"deliver_sm on a transmitter", Transmitter, encode(t, pdu.IDDeliverSM, sms("1", "2", "x"), nil), pdu.IDDeliverSMResp, pdu.ESME_RINVBNDSTS},
		{"data_sm on a transmitter", Transmitter, whole(pdu.IDDataSM, 7), pdu.IDDataSMResp, pdu.ESME_RINVBNDSTS},
		{"a bind", Transceiver, whole(pdu.IDBindReceiver, 7), pdu.IDBindReceiverResp, pdu.ESME_RINVBNDSTS},
		{"broadcast_sm", Transceiver, whole(pdu.IDBroadcastSM, 7), pdu.IDGenericNack, pdu.ESME_RINVCMDID},
		{"deliver_sm with a broken source", Transceiver, encode(t, pdu.IDDeliverSM, &pdu.SM{Source: address("x"), Dest: address("1")}, nil), pdu.IDDeliverSMResp, pdu.ESME_RINVSRCADR},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCentre(t)
			carrier := bindsOut("a", c.address())
			carrier.Bind = tt.bind
			w := run(t, testConfig(), newTestCore(), carrier)
			p, _ := c.accept(pdu.ESME_ROK)
			w.awaitBound("a", 1)
			p.conn.Write(tt.send)
			if f := p.expect(tt.id); f.Status != tt.want {
				t.Errorf("answered with %s, want %s", f.Status, tt.want)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	cfg := testConfig()
	strict := bindsIn("strict")
	strict.Accept.TLS = true
	far := bindsIn("far")
	far.Accept.From = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	one := bindsIn("one")
	one.Accept.MaxBinds = 1
	tx := bindsIn("tx")
	tx.Bind = Transmitter
	pair := bindsIn("pair")
	pair.Bind = Pair
	w := run(t, cfg, newTestCore(), bindsIn("a"), strict, far, one, tx, pair)
	bound(t, w.address(), pdu.IDBindTransceiver, "one")
	for _, tt := range []struct {
		kind         pdu.ID
		system, pass string
		want         pdu.Status
	}{
		{pdu.IDBindTransceiver, "a", "secret", pdu.ESME_ROK},
		{pdu.IDBindTransmitter, "a", "secret", pdu.ESME_ROK},
		{pdu.IDBindReceiver, "a", "secret", pdu.ESME_ROK},
		{pdu.IDBindTransceiver, "nobody", "secret", pdu.ESME_RINVSYSID},
		{pdu.IDBindTransceiver, "a", "Secret", pdu.ESME_RINVPASWD},
		{pdu.IDBindTransceiver, "a", "", pdu.ESME_RINVPASWD},
		{pdu.IDBindTransceiver, "strict", "secret", pdu.ESME_RBINDFAIL},
		{pdu.IDBindTransceiver, "far", "secret", pdu.ESME_RBINDFAIL},
		{pdu.IDBindTransceiver, "one", "secret", pdu.ESME_RBINDFAIL},
		{pdu.IDBindReceiver, "tx", "secret", pdu.ESME_RBINDFAIL},
		{pdu.IDBindTransmitter, "tx", "secret", pdu.ESME_ROK},
		{pdu.IDBindTransceiver, "pair", "secret", pdu.ESME_RBINDFAIL},
		{pdu.IDBindReceiver, "pair", "secret", pdu.ESME_ROK},
	} {
		p := dial(t, w.address())
		f := p.bind(tt.kind, tt.system, tt.pass)
		if f.Status != tt.want || f.ID != tt.kind.Response() {
			t.Errorf("%s as %s: %s %s, want %s", tt.kind, tt.system, f.ID, f.Status, tt.want)
		}
		if tt.want == pdu.ESME_ROK {
			r := decode[pdu.BindResp](t, f)
			if v, _ := r.TLVs.Uint8(pdu.TagSCInterfaceVersion); string(r.SystemID) != "trunkline" || v != 0x34 {
				t.Errorf("bind_resp %q, version %#x", r.SystemID, v)
			}
			continue
		}
		p.expectEnd()
	}
}

// Who fails to log in has to wait, and learns nothing meanwhile.
func TestLoginBackoff(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), bindsIn("a"))
	for range freeTries {
		p := dial(t, w.address())
		if f := p.bind(pdu.IDBindTransceiver, "a", "wrong"); f.Status != pdu.ESME_RINVPASWD {
			t.Fatal(f.Status)
		}
	}
	if f := dial(t, w.address()).bind(pdu.IDBindTransceiver, "a", "secret"); f.Status != pdu.ESME_RBINDFAIL {
		t.Errorf("answered with %s", f.Status)
	}
}

func TestConnectionLimits(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConnectionsPerAddress = 2
	w := run(t, cfg, newTestCore(), bindsIn("a"))
	first := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	bound(t, w.address(), pdu.IDBindTransceiver, "a")
	dial(t, w.address()).expectEnd()
	first.conn.Close()
	w.awaitBound("a", 1)
	until(t, "free", func() bool { w.edge.mu.Lock(); defer w.edge.mu.Unlock(); return w.edge.accepted == 1 })
	bound(t, w.address(), pdu.IDBindTransceiver, "a")
}

// Nobody may come from here: the connection is not even read.
func TestForeignAddress(t *testing.T) {
	a := bindsIn("a")
	a.Accept.From = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	w := run(t, testConfig(), newTestCore(), a)
	dial(t, w.address()).expectEnd()
}

// A connection that does not bind ends after session_init.
func TestSessionInit(t *testing.T) {
	cfg := testConfig()
	cfg.SessionInit = 20 * time.Millisecond
	w := run(t, cfg, newTestCore(), bindsIn("a"))
	dial(t, w.address()).expectEnd()
}

// What is over the limits is refused, in the words of the limit.
func TestLimitsIn(t *testing.T) {
	t.Run("window", func(t *testing.T) {
		core := newTestCore()
		held := make(chan func(error), 10)
		core.inbound = func(_ gateway.Inbound, done func(error)) { held <- done }
		a := bindsIn("a")
		a.WindowIn = 2
		w := run(t, testConfig(), core, a)
		p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
		one := p.send(pdu.IDSubmitSM, sms("1", "2", "one"))
		two := p.send(pdu.IDSubmitSM, sms("1", "2", "two"))
		three := p.send(pdu.IDSubmitSM, sms("1", "2", "three"))
		if f := p.expect(pdu.IDSubmitSMResp); f.Sequence != three || f.Status != pdu.ESME_RMSGQFUL {
			t.Errorf("%d was answered with %s", f.Sequence, f.Status)
		}
		first, second := recv(t, "one", held), recv(t, "two", held)
		second(nil) // in any order
		if f := p.expect(pdu.IDSubmitSMResp); f.Sequence != two || f.Status != pdu.ESME_ROK {
			t.Errorf("%d was answered with %s", f.Sequence, f.Status)
		}
		first(nil)
		if f := p.expect(pdu.IDSubmitSMResp); f.Sequence != one || f.Status != pdu.ESME_ROK {
			t.Errorf("%d was answered with %s", f.Sequence, f.Status)
		}
	})
	for _, tt := range []struct {
		name string
		rate Rate
	}{{"rate", Rate{In: 1e-3}}, {"rate per bind", Rate{InPerBind: 1e-3}}} {
		t.Run(tt.name, func(t *testing.T) {
			a := bindsIn("a")
			a.Rate = tt.rate
			w := run(t, testConfig(), newTestCore(), a)
			p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
			if f := p.request(pdu.IDSubmitSM, sms("1", "2", "one")); f.Status != pdu.ESME_ROK {
				t.Errorf("the first was answered with %s", f.Status)
			}
			if f := p.request(pdu.IDSubmitSM, sms("1", "2", "two")); f.Status != pdu.ESME_RTHROTTLED {
				t.Errorf("the second was answered with %s", f.Status)
			}
		})
	}
}

// The core's refusals in the words of each direction.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		err            error
		submit, delivr pdu.Status
	}{
		{gateway.ErrOverload, pdu.ESME_RMSGQFUL, pdu.ESME_RMSGQFUL},
		{gateway.ErrStopping, pdu.ESME_RSYSERR, pdu.ESME_RX_T_APPN},
		{gateway.ErrUnavailable, pdu.ESME_RSYSERR, pdu.ESME_RSYSERR},
	} {
		core := newTestCore()
		core.inbound = func(_ gateway.Inbound, done func(error)) { done(tt.err) }
		c := newCentre(t)
		w := run(t, testConfig(), core, bindsIn("in"), bindsOut("out", c.address()))
		p := bound(t, w.address(), pdu.IDBindTransceiver, "in")
		f := p.request(pdu.IDSubmitSM, sms("1", "2", "x"))
		if f.Status != tt.submit || len(f.raw) != pdu.HeaderLen {
			t.Errorf("%v: submit_sm was answered with %s", tt.err, f.Status)
		}
		m, _ := c.accept(pdu.ESME_ROK)
		w.awaitBound("out", 1)
		if f := m.request(pdu.IDDeliverSM, sms("1", "2", "x")); f.Status != tt.delivr {
			t.Errorf("%v: deliver_sm was answered with %s", tt.err, f.Status)
		}
	}
}

// A number that is not ours.
func TestForeignNumber(t *testing.T) {
	core := newTestCore()
	w := runWith(t, testConfig(), Options{Core: core, Log: quiet(), OwnNumber: func(n string) bool { return n == "38591000001" }}, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	if f := p.request(pdu.IDSubmitSM, sms("1", "38591000009", "x")); f.Status != pdu.ESME_RINVDSTADR {
		t.Errorf("answered with %s", f.Status)
	}
	if f := p.request(pdu.IDSubmitSM, sms("1", "38591000001", "x")); f.Status != pdu.ESME_ROK {
		t.Errorf("answered with %s", f.Status)
	}
}

// A response that answers nothing is counted and hurts nobody.
func TestStrayResponses(t *testing.T) {
	core := newTestCore()
	w := run(t, testConfig(), core, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	for _, id := range []pdu.ID{pdu.IDDeliverSMResp, pdu.IDSubmitSMResp, pdu.IDGenericNack, pdu.IDEnquireLinkResp,
		pdu.IDBindTransceiverResp, pdu.IDDataSMResp, pdu.ID(0x80000055), pdu.IDQuerySMResp} {
		p.write(pdu.Header{ID: id, Sequence: 4711}, nil)
	}
	if f := p.request(pdu.IDSubmitSM, sms("1", "2", strings.Repeat("x", 10))); f.Status != pdu.ESME_ROK {
		t.Errorf("answered with %s", f.Status)
	}
	if n := counter(t, w.edge.metrics.stray.WithLabelValues("a")); n != 7 {
		t.Errorf("%v stray responses were counted", n)
	}
}
