package smpp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/text"
)

// A message comes in as submit_sm or data_sm from a carrier that binds in, and
// as deliver_sm or data_sm from a message centre.
func TestMessageIn(t *testing.T) {
	core := newTestCore()
	c := newCentre(t)
	w := run(t, testConfig(), core, bindsIn("in"), bindsOut("out", c.address()))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "in")
	m, b := c.accept(pdu.ESME_ROK)
	w.awaitBound("out", 1)
	if string(b.SystemID) != "out" || string(b.Password) != "secret" || b.InterfaceVersion != 0x34 {
		t.Errorf("bind %+v", b)
	}
	payload, _ := pdu.TLVs{}.Append(pdu.TagMessagePayload, []byte("hello"))
	for _, tt := range []struct {
		peer    *peer
		carrier string
		id      pdu.ID
		body    pdu.Body
		named   bool // the answer names a message id
	}{
		{p, "in", pdu.IDSubmitSM, sms("38591000002", "38591000001", "hello"), true},
		{p, "in", pdu.IDSubmitSM, &pdu.SM{Source: address("38591000002"), Dest: address("38591000001"), TLVs: payload}, true},
		{p, "in", pdu.IDDataSM, &pdu.DataSM{Source: address("38591000002"), Dest: address("38591000001"), TLVs: payload}, true},
		{m, "out", pdu.IDDeliverSM, sms("38591000002", "38591000001", "hello"), false},
		{m, "out", pdu.IDDataSM, &pdu.DataSM{Source: address("38591000002"), Dest: address("38591000001"), TLVs: payload}, false},
	} {
		f := tt.peer.request(tt.id, tt.body)
		if f.ID != tt.id.Response() || f.Status != pdu.ESME_ROK {
			t.Errorf("%s was answered with %s %s", tt.id, f.ID, f.Status)
		}
		got := recv(t, "the message", core.messages)
		if got.Received.IsZero() {
			t.Error("no time of receipt")
		}
		got.Received = time.Time{}
		id := string(decode[pdu.SMResp](t, f).MessageID)
		if (id != "") != tt.named || got.ID != id {
			t.Errorf("%s over %s: id %q for the peer, %q for the core", tt.id, tt.carrier, id, got.ID)
		}
		want := gateway.Inbound{Channel: gateway.SMS, Carrier: tt.carrier, From: "38591000002", To: "38591000001", Text: "hello", ID: id}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", tt.id, got, want)
		}
	}
}

// Nothing is acknowledged before the core says that it is durable.
func TestAnswerAfterCommit(t *testing.T) {
	core := newTestCore()
	held := make(chan func(error), 1)
	core.inbound = func(_ gateway.Inbound, done func(error)) { held <- done }
	w := run(t, testConfig(), core, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	n := p.send(pdu.IDSubmitSM, sms("1", "2", "x"))
	done := recv(t, "the message", held)
	if f := p.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp { // the reader goes on
		t.Errorf("%s came before the commit", f.ID)
	}
	done(nil)
	if f := p.expect(pdu.IDSubmitSMResp); f.Sequence != n {
		t.Errorf("answer to %d", f.Sequence)
	}
}

// Addresses in the form of their type of number.
func TestAddressesIn(t *testing.T) {
	for _, tt := range []struct {
		ton  pdu.TON
		addr string
		want string
	}{
		{pdu.TONInternational, "38591000001", "38591000001"},
		{pdu.TONInternational, "+38591000001", "38591000001"},
		{pdu.TONInternational, "0038591000001", "38591000001"},
		{pdu.TONUnknown, "+38591000001", "38591000001"},
		{pdu.TONUnknown, "0038591000001", "0038591000001"},
		{pdu.TONNational, "091000001", "091000001"},
		{pdu.TONAbbreviated, "61060", "61060"},
		{pdu.TONAlphanumeric, "Trunkline", "Trunkline"},
		{pdu.TONAlphanumeric, "Caf\x05", "Café"},
		{pdu.TONInternational, "", ""},
	} {
		if got := plain(pdu.Address{TON: tt.ton, NPI: 1, Addr: []byte(tt.addr)}, text.GSM7); got != tt.want {
			t.Errorf("type %d %q is %q, want %q", tt.ton, tt.addr, got, tt.want)
		}
	}
}

// Parts come with either marking, and make their text without the carrier.
func TestPartsIn(t *testing.T) {
	long := strings.Repeat("A long message of several parts. ", 12)
	for _, method := range []text.Method{text.UDH8, text.UDH16, text.SAR} {
		for _, alphabet := range []text.Alphabet{text.GSM7, text.GSM7Packed, text.Latin1, text.ASCII, text.UTF8} {
			for _, s := range []string{long, long + "ćčžš 😀"} {
				testPartsIn(t, method, alphabet, s)
			}
		}
	}
}

func testPartsIn(t *testing.T, method text.Method, alphabet text.Alphabet, s string) {
	t.Helper()
	core := newTestCore()
	a := bindsIn("a")
	a.Alphabet = alphabet
	w := run(t, testConfig(), core, a)
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	parts, err := text.Segment(nil, s, 0x1234, text.Options{Alphabet: alphabet, Method: method})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]*gateway.Fragment, len(parts))
	for _, part := range parts {
		m := sms("38591000002", "38591000001", "")
		m.DataCoding = part.Coding
		m.ShortMessage = append(append([]byte(nil), part.Header...), part.Data...)
		if part.Header != nil {
			m.ESMClass = pdu.UDHI
		} else {
			m.TLVs = pdu.TLVs{}.AppendUint16(pdu.TagSARMsgRefNum, part.Ref).
				AppendUint8(pdu.TagSARTotalSegments, part.Total).AppendUint8(pdu.TagSARSegmentSeqnum, part.Seq)
		}
		if f := p.request(pdu.IDSubmitSM, m); f.Status != pdu.ESME_ROK {
			t.Fatalf("%s: part %d was answered with %s", method, part.Seq, f.Status)
		}
		in := recv(t, "the part", core.messages)
		if in.Fragment == nil || in.Text != "" || in.Fragment.Ref != part.Ref || int(in.Fragment.Total) != len(parts) {
			t.Fatalf("%s: part %d came as %+v %+v", method, part.Seq, in, in.Fragment)
		}
		got[in.Fragment.Seq-1] = in.Fragment
	}
	joined, err := Assemble(got)
	if err != nil || joined != s {
		t.Errorf("%s %s: %q %v", method, alphabet, joined, err)
	}
}

// What a flow may want to see of a message beyond its text.
func TestProperties(t *testing.T) {
	core := newTestCore()
	w := run(t, testConfig(), core, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	m := sms("1", "2", "")
	m.ESMClass = pdu.UDHI
	m.ShortMessage = append([]byte{6, 5, 4, 0x0B, 0x84, 0x23, 0xF0}, "x"...)
	m.DataCoding = 4
	m.TLVs, _ = pdu.TLVs{}.Append(0x1401, []byte{1, 0xAB})
	m.TLVs = m.TLVs.AppendUint16(pdu.TagUserMessageReference, 7)
	p.request(pdu.IDSubmitSM, m)
	got := recv(t, "the message", core.messages)
	want := map[string]string{"destination_port": "2948", "source_port": "9200", "tlv_1401": "01ab", "user_message_reference": "0007"}
	if !reflect.DeepEqual(got.Properties, want) || got.Text != "x" {
		t.Errorf("%q with %v", got.Text, got.Properties)
	}
	m = sms("1", "2", "y")
	m.TLVs = pdu.TLVs{}.AppendUint16(pdu.TagSourcePort, 1).AppendUint16(pdu.TagDestinationPort, 2)
	p.request(pdu.IDSubmitSM, m)
	got = recv(t, "the message", core.messages)
	if want := map[string]string{"source_port": "1", "destination_port": "2"}; !reflect.DeepEqual(got.Properties, want) {
		t.Errorf("%v", got.Properties)
	}
}

// A message for later.
func TestSchedule(t *testing.T) {
	core := newTestCore()
	w := runWith(t, testConfig(), Options{Core: core, Log: quiet(), Now: func() time.Time { return noon }}, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	for schedule, want := range map[string]time.Time{
		"":                 {},
		"000000010000000R": noon.Add(time.Hour),
		"260301140000004+": noon.Add(time.Hour),
		"260301110000000+": {}, // an hour ago: now
	} {
		m := sms("1", "2", "x")
		m.Schedule = []byte(schedule)
		if f := p.request(pdu.IDSubmitSM, m); f.Status != pdu.ESME_ROK {
			t.Errorf("%q was answered with %s", schedule, f.Status)
			continue
		}
		if got := recv(t, "the message", core.messages).DeliverAt; !got.Equal(want) {
			t.Errorf("%q is %s, want %s", schedule, got, want)
		}
	}
}

// query_sm, cancel_sm and replace_sm know our ids and ask the core.
func TestManage(t *testing.T) {
	core := newTestCore()
	pending := map[string]bool{}
	core.query = func(id string) (gateway.State, time.Time, error) {
		if !pending[id] {
			return 0, time.Time{}, gateway.ErrNotFound
		}
		return gateway.Enroute, time.Time{}, nil
	}
	core.cancel = func(id string) error {
		if !pending[id] {
			return gateway.ErrTooLate
		}
		delete(pending, id)
		return nil
	}
	var replaced string
	core.replace = func(id, text string, _ time.Time) error {
		if !pending[id] {
			return gateway.ErrNotFound
		}
		replaced = text
		return nil
	}
	w := run(t, testConfig(), core, bindsIn("a"), bindsIn("b"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	submit := func() []byte {
		f := p.request(pdu.IDSubmitSM, sms("1", "2", "x"))
		return decode[pdu.SMResp](t, f).MessageID
	}
	state := func(id []byte) pdu.MessageState {
		f := p.request(pdu.IDQuerySM, &pdu.QuerySM{MessageID: id, Source: address("1")})
		if f.Status != pdu.ESME_ROK {
			t.Fatalf("query_sm was answered with %s", f.Status)
		}
		return decode[pdu.QuerySMResp](t, f).State
	}
	gone, waits := submit(), submit()
	pending[string(waits)] = true
	if s := state(gone); s != pdu.StateDelivered {
		t.Errorf("a message that took effect is %s", s)
	}
	if s := state(bytes.ToUpper(waits)); s != pdu.StateEnroute {
		t.Errorf("a message that waits is %s", s)
	}
	if f := p.request(pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: waits, Source: address("1"), ShortMessage: []byte("new")}); f.Status != pdu.ESME_ROK || replaced != "new" {
		t.Errorf("replace_sm: %s, %q", f.Status, replaced)
	}
	if f := p.request(pdu.IDReplaceSM, &pdu.ReplaceSM{MessageID: gone, Source: address("1")}); f.Status != pdu.ESME_RREPLACEFAIL {
		t.Errorf("replace_sm of what is gone: %s", f.Status)
	}
	if f := p.request(pdu.IDCancelSM, &pdu.CancelSM{MessageID: waits, Source: address("1")}); f.Status != pdu.ESME_ROK {
		t.Errorf("cancel_sm: %s", f.Status)
	}
	if f := p.request(pdu.IDCancelSM, &pdu.CancelSM{MessageID: gone, Source: address("1")}); f.Status != pdu.ESME_RCANCELFAIL {
		t.Errorf("cancel_sm of what is gone: %s", f.Status)
	}
	if s := state(waits); s != pdu.StateDeleted {
		t.Errorf("a cancelled message is %s", s)
	}
	other := bound(t, w.address(), pdu.IDBindTransceiver, "b")
	if f := other.request(pdu.IDQuerySM, &pdu.QuerySM{MessageID: gone, Source: address("1")}); f.Status != pdu.ESME_RQUERYFAIL {
		t.Errorf("another carrier's query_sm: %s", f.Status)
	}
}

// submit_multi is a message to each destination under one id; the answer names
// those that failed.
func TestSubmitMulti(t *testing.T) {
	core := newTestCore()
	core.inbound = func(m gateway.Inbound, done func(error)) {
		if m.To == "4" {
			go done(gateway.ErrOverload)
			return
		}
		core.messages <- m
		go done(nil)
	}
	w := run(t, testConfig(), core, bindsIn("a"))
	p := bound(t, w.address(), pdu.IDBindTransceiver, "a")
	f := p.request(pdu.IDSubmitMulti, &pdu.SubmitMulti{
		Source: address("1"), ShortMessage: []byte("x"), RegisteredDelivery: pdu.ReceiptAlways,
		Dests: []pdu.Dest{{Address: address("2")}, {List: []byte("friends")}, {Address: address("3")}, {Address: address("4")}},
	})
	r := decode[pdu.SubmitMultiResp](t, f)
	if f.Status != pdu.ESME_ROK || len(r.MessageID) != idDigits || len(r.Failed) != 2 {
		t.Fatalf("%s %+v", f.Status, r)
	}
	for _, failed := range r.Failed {
		want := map[string]pdu.Status{"friends": pdu.ESME_RINVDLNAME, "4": pdu.ESME_RMSGQFUL}[string(failed.Address.Addr)]
		if failed.Status != want {
			t.Errorf("%s failed with %s", failed.Address.Addr, failed.Status)
		}
	}
	first, second := recv(t, "a message", core.messages), recv(t, "a message", core.messages)
	if first.To != "2" || second.To != "3" || first.ID == second.ID || publicID(second.ID) != string(r.MessageID) || publicID(first.ID) != string(r.MessageID) || !second.ReportWanted {
		t.Errorf("%+v and %+v under %s", first, second, r.MessageID)
	}
}

// Reports are recognised, understood and answered.
func TestReports(t *testing.T) {
	core := newTestCore()
	c := newCentre(t)
	w := run(t, testConfig(), core, bindsOut("a", c.address()))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	tlvs := func(id string, state pdu.MessageState) pdu.TLVs {
		t, _ := pdu.TLVs{}.AppendCString(pdu.TagReceiptedMessageID, []byte(id))
		return t.AppendUint8(pdu.TagMessageState, uint8(state))
	}
	const appendixB = "id:%s sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:Hello"
	appendix := func(id string) string { return strings.ReplaceAll(appendixB, "%s", id) }
	for _, tt := range []struct {
		name     string
		class    pdu.ESMClass
		text     string
		tlvs     pdu.TLVs
		response string // id of the submit_sm_resp that it must match; empty: none
		state    gateway.State
	}{
		{"text", pdu.TypeReceipt, appendix("0123456789"), nil, "0123456789", gateway.Delivered},
		{"leading zeros lost", pdu.TypeReceipt, appendix("123456789"), nil, "0123456789", gateway.Delivered},
		{"decimal of a hexadecimal response", pdu.TypeReceipt, appendix("3735928559"), nil, "deadbeef", gateway.Delivered},
		{"hexadecimal of a decimal response", pdu.TypeReceipt, appendix("DEADBEEF"), nil, "3735928559", gateway.Delivered},
		{"parameters", pdu.TypeReceipt, "", tlvs("abc-1", pdu.StateUndeliverable), "abc-1", gateway.Undeliverable},
		{"parameters over text", pdu.TypeReceipt, appendix("other"), tlvs("abc-1", pdu.StateRejected), "abc-1", gateway.Rejected},
		{"parameters without the message type", 0, "", tlvs("abc-1", pdu.StateExpired), "abc-1", gateway.Expired},
		{"intermediate", pdu.TypeIntermediate, "id:7 stat:ENROUTE", nil, "7", gateway.Enroute},
		{"intermediate that claims the end", pdu.TypeIntermediate, appendix("7"), nil, "7", gateway.Enroute},
		{"nonsense", pdu.TypeReceipt, "whatever", nil, "", gateway.StateUnknown},
	} {
		m := sms("38591000002", "38591000001", tt.text)
		m.ESMClass, m.TLVs = tt.class, tt.tlvs
		if f := p.request(pdu.IDDeliverSM, m); f.Status != pdu.ESME_ROK {
			t.Errorf("%s: answered with %s", tt.name, f.Status)
			continue
		}
		r := recv(t, "the report", core.reports)
		if r.State != tt.state || r.Carrier != "a" || r.Address != "38591000002" || r.OtherAddress != "38591000001" {
			t.Errorf("%s: %+v", tt.name, r)
		}
		want := ""
		if tt.response != "" {
			want = responseKey(tt.response)
		}
		matched := want == "" && len(r.Keys) == 0
		for _, k := range r.Keys {
			matched = matched || k == want
		}
		if !matched {
			t.Errorf("%s: keys %q do not have %q", tt.name, r.Keys, want)
		}
	}
	if n := len(core.messages); n != 0 {
		t.Errorf("%d reports were taken for messages", n)
	}
	// And a message that looks like one is a message.
	p.request(pdu.IDDeliverSM, sms("1", "2", appendix("1")))
	recv(t, "the message", core.messages)
}

// A report that the core cannot take is for later.
func TestReportRefused(t *testing.T) {
	core := &stubbornCore{testCore: *newTestCore()}
	c := newCentre(t)
	w := runWith(t, testConfig(), Options{Core: core, Log: quiet()}, bindsOut("a", c.address()))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	m := sms("1", "2", "id:1 stat:DELIVRD")
	m.ESMClass = pdu.TypeReceipt
	if f := p.request(pdu.IDDeliverSM, m); f.Status != pdu.ESME_RX_T_APPN {
		t.Errorf("answered with %s", f.Status)
	}
	if f := p.request(pdu.IDDeliverSM, sms("1", "2", "x")); f.Status != pdu.ESME_RSYSERR {
		t.Errorf("an error that nobody knows was answered with %s", f.Status)
	}
}

type stubbornCore struct{ testCore }

func (c *stubbornCore) Report(_ gateway.Report, done func(error)) { done(gateway.ErrStopping) }

func (c *stubbornCore) Inbound(_ gateway.Inbound, done func(error)) { done(errors.New("no")) }

// A peer that swaps the parties of a report is put right by our numbers.
func TestSwappedReport(t *testing.T) {
	core := newTestCore()
	c := newCentre(t)
	w := runWith(t, testConfig(), Options{Core: core, Log: quiet(), OwnNumber: func(n string) bool { return n == "38591000001" }}, bindsOut("a", c.address()))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	m := sms("38591000001", "38591000002", "id:1 stat:DELIVRD err:000")
	m.ESMClass = pdu.TypeReceipt
	p.request(pdu.IDDeliverSM, m)
	if r := recv(t, "the report", core.reports); r.Address != "38591000002" || r.OtherAddress != "38591000001" {
		t.Errorf("%+v", r)
	}
}

// A panic ends its connection and nothing else.
func TestPanic(t *testing.T) {
	core := newTestCore()
	core.inbound = func(m gateway.Inbound, done func(error)) {
		if m.Text == "panic" {
			panic("a bug")
		}
		done(nil)
	}
	w := run(t, testConfig(), core, bindsIn("a"))
	p, other := bound(t, w.address(), pdu.IDBindTransceiver, "a"), bound(t, w.address(), pdu.IDBindTransceiver, "a")
	p.send(pdu.IDSubmitSM, sms("1", "2", "panic"))
	p.expectEnd()
	if f := other.request(pdu.IDSubmitSM, sms("1", "2", "x")); f.Status != pdu.ESME_ROK {
		t.Errorf("answered with %s", f.Status)
	}
	if n := counter(t, w.edge.metrics.panics); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
}
