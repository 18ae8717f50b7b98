package smpp

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

func hello() gateway.Outbound {
	return gateway.Outbound{ID: "m1", Channel: gateway.SMS, From: "38591000001", To: "38591000002", Text: "hello"}
}

// routed lets every message go over the carrier.
func routed(c Carrier) Carrier {
	c.Routes = []Route{{}}
	return c
}

// answerWith answers messages of ours, with ids from first on.
func (p *peer) answerWith(id pdu.ID, status pdu.Status, messageID string) *pdu.SM {
	p.t.Helper()
	f := p.expect(id)
	m := decode[pdu.SM](p.t, f)
	p.write(f.Response(status), &pdu.SMResp{MessageID: []byte(messageID)})
	return m
}

// A message goes out as submit_sm to a message centre and as deliver_sm to a
// carrier that bound in.
func TestMessageOut(t *testing.T) {
	now := func() time.Time { return noon }
	t.Run("submit_sm", func(t *testing.T) {
		c := newCentre(t)
		carrier := bindsOut("a", c.address())
		carrier.Service = "CMT"
		w := runWith(t, testConfig(), Options{Core: newTestCore(), Log: quiet(), Now: now}, routed(carrier))
		p, _ := c.accept(pdu.ESME_ROK)
		w.awaitBound("a", 1)
		out := hello()
		out.ReportWanted, out.Expires = true, noon.Add(90*time.Minute)
		result := w.sending(out)
		m := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "0042")
		want := &pdu.SM{ServiceType: []byte("CMT"), Source: address("38591000001"), Dest: address("38591000002"),
			Validity: []byte("000000013000000R"), Schedule: []byte{}, RegisteredDelivery: pdu.ReceiptAlways, ShortMessage: []byte("hello")}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("got  %+v\nwant %+v", m, want)
		}
		r := recv(t, "the result", result)
		if want := (gateway.Result{Fate: gateway.FateAccepted, Carrier: "a", Keys: []string{responseKey("0042")}, Parts: 1, Code: "ESME_ROK"}); !reflect.DeepEqual(r, want) {
			t.Errorf("%+v, want %+v", r, want)
		}
		w.sending(hello()) // without validity of its own
		if m := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1"); string(m.Validity) != "000002000000000R" || m.RegisteredDelivery != 0 {
			t.Errorf("validity %q, reports %d", m.Validity, m.RegisteredDelivery)
		}
	})
	t.Run("deliver_sm", func(t *testing.T) {
		w := run(t, testConfig(), newTestCore(), routed(bindsIn("a")))
		p := bound(t, w.address(), pdu.IDBindReceiver, "a")
		w.awaitBound("a", 1)
		out := hello()
		out.ReportWanted, out.Expires = true, time.Now().Add(time.Hour)
		result := w.sending(out)
		m := p.answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, "")
		if string(m.ShortMessage) != "hello" || len(m.Validity) != 0 || m.RegisteredDelivery != pdu.AckDelivery || m.ESMClass != 0 {
			t.Errorf("%+v", m)
		}
		if r := recv(t, "the result", result); r.Fate != gateway.FateAccepted || !reflect.DeepEqual(r.Keys, []string{""}) || r.Parts != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// Addresses get type and plan by what they look like, or as configured.
func TestAddressesOut(t *testing.T) {
	four, nine := 4, 9
	for _, tt := range []struct {
		addr string
		conf Numbering
		want pdu.Address
		ok   bool
	}{
		{"38591000001", Numbering{}, pdu.Address{TON: 1, NPI: 1, Addr: []byte("38591000001")}, true},
		{"+38591000001", Numbering{}, pdu.Address{TON: 1, NPI: 1, Addr: []byte("38591000001")}, true},
		{"61060", Numbering{}, pdu.Address{TON: 3, NPI: 0, Addr: []byte("61060")}, true},
		{"Trunkline", Numbering{}, pdu.Address{TON: 5, NPI: 0, Addr: []byte("Trunkline")}, true},
		{"Café", Numbering{}, pdu.Address{TON: 5, NPI: 0, Addr: []byte("Caf\x05")}, true},
		{"61060", Numbering{TON: &four, NPI: &nine}, pdu.Address{TON: 4, NPI: 9, Addr: []byte("61060")}, true},
		{"日本", Numbering{}, pdu.Address{}, false},
		{strings.Repeat("x", 21), Numbering{}, pdu.Address{}, false},
	} {
		got, _, ok := number(nil, tt.addr, tt.conf, text.GSM7)
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v %v, want %+v %v", tt.addr, got, ok, tt.want, tt.ok)
		}
	}
}

// Long messages in each method: in order, joined by the phone, counted as
// operators do (M4).
func TestPartsOut(t *testing.T) {
	s := strings.Repeat("A long message of several parts. ", 12) // 396 septets
	for _, method := range []text.Method{text.UDH8, text.UDH16, text.SAR, text.Payload} {
		t.Run(string(method), func(t *testing.T) {
			c := newCentre(t)
			carrier := routed(bindsOut("a", c.address()))
			carrier.Concat = method
			w := run(t, testConfig(), newTestCore(), carrier)
			p, _ := c.accept(pdu.ESME_ROK)
			w.awaitBound("a", 1)
			out := hello()
			out.Text = s
			result := w.sending(out)
			var got []*gateway.Fragment
			wire := 3
			if method == text.Payload {
				wire = 1
			}
			for i := range wire {
				m := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, fmt.Sprint(100+i))
				a := arrival{class: m.ESMClass, coding: m.DataCoding, data: m.Message(), tlvs: m.TLVs}
				var in gateway.Inbound
				if status := a.decode(&in, text.GSM7); status != pdu.ESME_ROK {
					t.Fatal(status)
				}
				if method == text.Payload {
					if in.Text != s || len(m.ShortMessage) != 0 {
						t.Errorf("payload %q", in.Text)
					}
					continue
				}
				if int(in.Fragment.Seq) != i+1 || (method == text.SAR) != (m.ESMClass == 0) {
					t.Errorf("part %d came at %d with class %#x", in.Fragment.Seq, i, m.ESMClass)
				}
				got = append(got, in.Fragment)
			}
			if method != text.Payload {
				if joined, err := Assemble(got); joined != s || err != nil {
					t.Errorf("%q %v", joined, err)
				}
			}
			r := recv(t, "the result", result)
			if r.Fate != gateway.FateAccepted || r.Parts != 3 || len(r.Keys) != wire || w.edge.Parts(s, "a") != 3 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A message that failed in the middle goes on with the part that was not
// accepted, under the same reference and with the same carrier.
func TestResume(t *testing.T) {
	c, d := newCentre(t), newCentre(t)
	a, b := routed(bindsOut("a", c.address())), routed(bindsOut("b", d.address()))
	a.Routes[0].Priority = 1
	w := run(t, testConfig(), newTestCore(), a, b)
	p, _ := c.accept(pdu.ESME_ROK)
	d.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	w.awaitBound("b", 1)
	out := hello()
	out.Text = strings.Repeat("x", 400)
	result := w.sending(out)
	first := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1")
	p.answerWith(pdu.IDSubmitSM, pdu.ESME_RSYSERR, "") // another carrier's turn, were no part accepted
	r := recv(t, "the result", result)
	if r.Fate != gateway.FateRetry || r.Parts != 1 || len(r.Keys) != 1 || r.Ref == 0 || r.Code != "ESME_RSYSERR" || r.After <= 0 {
		t.Fatalf("%+v", r)
	}
	out.Sent, out.Ref, out.Attempt = r.Parts, r.Ref, 1
	result = w.sending(out)
	second := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "2")
	third := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "3")
	if r := recv(t, "the result", result); r.Fate != gateway.FateAccepted || r.Parts != 3 || len(r.Keys) != 2 {
		t.Errorf("%+v", r)
	}
	for i, m := range []*pdu.SM{first, second, third} {
		h, _, err := text.ParseHeader(m.ShortMessage)
		if err != nil || int(h.Concat.Seq) != i+1 || h.Concat.Ref != r.Ref {
			t.Errorf("part %d: %+v %v", i+1, h.Concat, err)
		}
	}
}

// The window holds back what the peer has not answered; answers come in any
// order.
func TestWindow(t *testing.T) {
	c := newCentre(t)
	carrier := routed(bindsOut("a", c.address()))
	carrier.Window = 2
	w := run(t, testConfig(), newTestCore(), carrier)
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	var results []<-chan gateway.Result
	for i := range 3 {
		m := hello()
		m.ID = fmt.Sprint(i)
		results = append(results, w.sending(m))
	}
	one, two := p.expect(pdu.IDSubmitSM), p.expect(pdu.IDSubmitSM)
	if f := p.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp {
		t.Fatalf("%s came though the window is full", f.ID)
	}
	if s := w.edge.Status()[0]; s.Queue != 1 || s.Sessions[0].WindowUsed != 2 {
		t.Errorf("%+v", s)
	}
	p.write(two.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte("2")})
	if r := recv(t, "the second result", results[1]); r.Keys[0] != responseKey("2") {
		t.Errorf("%+v", r)
	}
	three := p.expect(pdu.IDSubmitSM)
	p.write(three.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte("3")})
	p.write(one.Response(pdu.ESME_ROK), &pdu.SMResp{MessageID: []byte("1")})
	for i, want := range map[int]string{0: "1", 2: "3"} {
		if r := recv(t, "a result", results[i]); r.Keys[0] != responseKey(want) {
			t.Errorf("message %d: %+v", i, r)
		}
	}
}

// Messages are shared out among a carrier's binds, and only among those that
// receive.
func TestBindsShareTheLoad(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), routed(bindsIn("a")))
	one, two := bound(t, w.address(), pdu.IDBindReceiver, "a"), bound(t, w.address(), pdu.IDBindTransceiver, "a")
	tx := bound(t, w.address(), pdu.IDBindTransmitter, "a")
	w.awaitBound("a", 3)
	for range 6 {
		w.sending(hello())
	}
	for range 3 {
		one.expect(pdu.IDDeliverSM)
		two.expect(pdu.IDDeliverSM)
	}
	if f := tx.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp {
		t.Errorf("%s came to a transmitter", f.ID)
	}
}

// What is done about a refusal depends on its class.
func TestRefusalClasses(t *testing.T) {
	for _, tt := range []struct {
		status pdu.Status
		fate   gateway.Fate
		second bool // the second carrier gets the message
	}{
		{pdu.ESME_RTHROTTLED, gateway.FateRetry, false},
		{pdu.ESME_RMSGQFUL, gateway.FateRetry, false},
		{pdu.ESME_RX_T_APPN, gateway.FateRetry, false},
		{pdu.ESME_RSYSERR, gateway.FateAccepted, true},
		{pdu.ESME_RINVSRCADR, gateway.FateAccepted, true},
		{pdu.Status(0x411), gateway.FateAccepted, true},
		{pdu.ESME_RINVDSTADR, gateway.FateRejected, false},
		{pdu.ESME_RX_P_APPN, gateway.FateRetry, false}, // as configured
	} {
		t.Run(tt.status.String(), func(t *testing.T) {
			c, d := newCentre(t), newCentre(t)
			a, b := routed(bindsOut("a", c.address())), routed(bindsOut("b", d.address()))
			a.Routes[0].Priority = 1
			a.Errors.Retry = []string{"ESME_RX_P_APPN"}
			w := run(t, testConfig(), newTestCore(), a, b)
			p, _ := c.accept(pdu.ESME_ROK)
			q, _ := d.accept(pdu.ESME_ROK)
			w.awaitBound("a", 1)
			w.awaitBound("b", 1)
			result := w.sending(hello())
			p.answerWith(pdu.IDSubmitSM, tt.status, "")
			if tt.second {
				q.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "9")
			}
			r := recv(t, "the result", result)
			if r.Fate != tt.fate || (r.Fate == gateway.FateRetry) != (r.After > 0) || !tt.second && (r.Code != tt.status.String() || r.Carrier != "a") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// With nobody else to ask, what may pass is tried again and what stays is not.
func TestRefusalsOfTheOnlyCarrier(t *testing.T) {
	c := newCentre(t)
	w := run(t, testConfig(), newTestCore(), routed(bindsOut("a", c.address())))
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	for status, fate := range map[pdu.Status]gateway.Fate{
		pdu.ESME_RSYSERR: gateway.FateRetry, pdu.ESME_RSUBMITFAIL: gateway.FateRetry,
		pdu.ESME_RINVSRCADR: gateway.FateRejected, pdu.ESME_RINVDSTADR: gateway.FateRejected,
	} {
		result := w.sending(hello())
		p.answerWith(pdu.IDSubmitSM, status, "")
		if r := recv(t, "the result", result); r.Fate != fate || r.Code != status.String() || r.Carrier != "a" {
			t.Errorf("%s: %+v", status, r)
		}
	}
	result := w.sending(hello())
	f := p.expect(pdu.IDSubmitSM)
	p.write(f.Nack(pdu.ESME_RINVCMDID), nil)
	if r := recv(t, "the result", result); r.Fate != gateway.FateRejected || r.Code != "ESME_RINVCMDID" {
		t.Errorf("a generic_nack gave %+v", r)
	}
}

// What never reaches a peer.
func TestNotSent(t *testing.T) {
	c := newCentre(t)
	a := routed(bindsOut("a", c.address()))
	a.Routes = []Route{{Prefix: "385"}}
	a.Senders = []SenderRule{{Prefix: "38592", Allow: []string{"Trunk*"}}, {Prefix: "38593", Allow: []string{"Trunk*"}, Replace: "Trunkline"}}
	idle := bindsIn("idle")
	w := run(t, testConfig(), newTestCore(), a, idle)
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	for _, tt := range []struct {
		name   string
		change func(*gateway.Outbound)
		fate   gateway.Fate
		code   string
	}{
		{"no route", func(m *gateway.Outbound) { m.To = "4915100000" }, gateway.FateRejected, "no_route"},
		{"no such carrier", func(m *gateway.Outbound) { m.Carrier = "b" }, gateway.FateRejected, "no_route"},
		{"no bind", func(m *gateway.Outbound) { m.Carrier = "idle" }, gateway.FateRetry, "no_bind"},
		{"sender", func(m *gateway.Outbound) { m.To = "38592000001" }, gateway.FateRejected, "sender_refused"},
		{"sender of letters that do not fit", func(m *gateway.Outbound) { m.From = "日本" }, gateway.FateRejected, "sender_refused"},
		{"too long", func(m *gateway.Outbound) { m.Text = strings.Repeat("x", 153*256) }, gateway.FateRejected, "too_long"},
		{"validity is over", func(m *gateway.Outbound) { m.Expires = time.Now().Add(-time.Second) }, gateway.FateExpired, ""},
		{"no recipient", func(m *gateway.Outbound) { m.Carrier, m.To = "a", "" }, gateway.FateRejected, "ESME_RINVDSTADR"},
	} {
		m := hello()
		tt.change(&m)
		if r := recv(t, "the result", w.sending(m)); r.Fate != tt.fate || r.Code != tt.code {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	m := hello()
	m.To = "38593000001"
	w.sending(m)
	if got := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1"); string(got.Source.Addr) != "Trunkline" || got.Source.TON != pdu.TONAlphanumeric {
		t.Errorf("sender %+v", got.Source)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	stopped := make(chan gateway.Result, 1)
	w.edge.Send(ctx, hello(), func(r gateway.Result) { stopped <- r })
	if r := <-stopped; r.Fate != gateway.FateRetry {
		t.Errorf("after the end: %+v", r)
	}
}

// A full queue turns messages away instead of growing.
func TestQueueIsBounded(t *testing.T) {
	c := newCentre(t)
	a := routed(bindsOut("a", c.address()))
	a.Window = 1
	cfg := testConfig()
	cfg.Queue = 2
	w := run(t, cfg, newTestCore(), a)
	c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	for range 3 { // one in the window, two in the queue
		w.sending(hello())
	}
	if r := recv(t, "the result", w.sending(hello())); r.Fate != gateway.FateRetry || r.Code != "queue_full" || r.After <= 0 {
		t.Errorf("%+v", r)
	}
}

// A peer that answers nothing holds few messages: what the core has on its way
// must be free for the other carriers.
func TestSlowCarrierHoldsFew(t *testing.T) {
	a := routed(bindsIn("a"))
	a.Window = 1
	a.Timers.EnquireLink, a.Timers.Response, a.Timers.Late = 0, time.Hour, time.Hour
	piped(t, newTestCore(), a, func(w *world, p *peer) {
		c := w.edge.current.Load().carriers["a"]
		results := make(chan gateway.Result, 2000)
		send := func() { w.edge.Send(t.Context(), hello(), func(r gateway.Result) { results <- r }) }
		w.edge.current.Load().config.Queue = 10_000
		for range 1000 {
			send()
		}
		p.expect2(pdu.IDDeliverSM)
		c.sweep(w.edge.now())
		if n := len(results); n != 0 {
			t.Errorf("%d messages were turned away at once", n)
		}
		time.Sleep(crowdAfter)
		c.sweep(w.edge.now())
		send()
		if n, want := len(results), 1000-1-crowd+1; n != want {
			t.Fatalf("%d messages were turned away, want %d", n, want)
		}
		if r := <-results; r.Fate != gateway.FateRetry || r.Code != "queue_full" || r.After <= 0 {
			t.Errorf("%+v", r)
		}
	})
}

// While the first carrier is away the second gets its messages; those that wait
// for it go there too.
func TestFailoverWhenBindsEnd(t *testing.T) {
	c, d := newCentre(t), newCentre(t)
	a, b := routed(bindsOut("a", c.address())), routed(bindsOut("b", d.address()))
	a.Routes[0].Priority = 1
	a.Window = 1
	a.Timers.Reconnect, a.Timers.ReconnectTo = time.Minute, time.Minute
	w := run(t, testConfig(), newTestCore(), a, b)
	p, _ := c.accept(pdu.ESME_ROK)
	q, _ := d.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	w.awaitBound("b", 1)
	written := w.sending(hello())
	waiting := w.sending(hello())
	p.expect(pdu.IDSubmitSM)
	p.conn.Close()
	if r := recv(t, "the first result", written); r.Fate != gateway.FateInDoubt || r.Code != "connection_lost" || r.Carrier != "a" { // X2
		t.Errorf("what was written: %+v", r)
	}
	q.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1")
	if r := recv(t, "the second result", waiting); r.Fate != gateway.FateAccepted || r.Carrier != "b" {
		t.Errorf("what waited: %+v", r)
	}
	later := w.sending(hello())
	q.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "2")
	if r := recv(t, "the third result", later); r.Fate != gateway.FateAccepted || r.Carrier != "b" {
		t.Errorf("what came later: %+v", r)
	}
}

// A carrier that throttles is fed less, and everything arrives once.
func TestThrottling(t *testing.T) {
	c := newCentre(t)
	a := routed(bindsOut("a", c.address()))
	a.Window = 4
	w := run(t, testConfig(), newTestCore(), a)
	p, _ := c.accept(pdu.ESME_ROK)
	w.awaitBound("a", 1)
	result := w.sending(hello())
	p.answerWith(pdu.IDSubmitSM, pdu.ESME_RTHROTTLED, "")
	if r := recv(t, "the result", result); r.Fate != gateway.FateRetry || r.After <= 0 || r.After > firstPause {
		t.Errorf("%+v", r)
	}
	if s := w.edge.Status()[0]; s.Pace <= 0 {
		t.Errorf("the pace is %g", s.Pace)
	}
	seen := map[string]int{}
	const n = 4
	done := make(chan gateway.Result, n)
	for i := range n {
		m := hello()
		m.Text = fmt.Sprint(i)
		w.edge.Send(context.Background(), m, func(r gateway.Result) { done <- r })
	}
	for range n {
		m := p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1")
		seen[string(m.ShortMessage)]++
		if r := recv(t, "a result", done); r.Fate != gateway.FateAccepted {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) != n {
		t.Errorf("%v arrived", seen)
	}
}

// The rate to a carrier is kept: what is over it waits.
func TestRateOut(t *testing.T) {
	for _, rate := range []Rate{{Out: 20}, {OutPerBind: 20}} {
		c := newCentre(t)
		a := routed(bindsOut("a", c.address()))
		a.Rate = rate
		w := run(t, testConfig(), newTestCore(), a)
		p, _ := c.accept(pdu.ESME_ROK)
		w.awaitBound("a", 1)
		began := time.Now()
		for range 6 {
			w.sending(hello())
		}
		for range 6 {
			p.answerWith(pdu.IDSubmitSM, pdu.ESME_ROK, "1")
		}
		// A burst of two, then four at one per 50 ms. Slower is no fault here.
		if passed := time.Since(began); passed < 150*time.Millisecond {
			t.Errorf("%+v: six messages in %s", rate, passed)
		}
	}
}

// Receipts that we owe go to the carrier's receivers in text and parameters, as
// it asked for them.
func TestOwedReceipts(t *testing.T) {
	core := newTestCore()
	w := run(t, testConfig(), core, bindsIn("a"))
	tx, rx := bound(t, w.address(), pdu.IDBindTransmitter, "a"), bound(t, w.address(), pdu.IDBindReceiver, "a")
	w.awaitBound("a", 2)
	submit := func(asked pdu.RegisteredDelivery) gateway.Inbound {
		m := sms("38591000002", "38591000001", "start")
		m.RegisteredDelivery = asked
		tx.request(pdu.IDSubmitSM, m)
		return recv(t, "the message", core.messages)
	}
	owed := func(in gateway.Inbound, state gateway.State) <-chan gateway.Result {
		return w.sending(gateway.Outbound{ID: "receipt/" + in.ID, Carrier: "a", From: in.To, To: in.From,
			Receipt: &gateway.Receipt{ID: in.ID, State: state, Submitted: noon, Done: noon.Add(time.Minute), Text: "start"}})
	}
	if submit(pdu.ReceiptNever).ReportWanted {
		t.Error("a report nobody asked for")
	}
	in := submit(pdu.ReceiptAlways)
	if !in.ReportWanted {
		t.Fatal("no report wanted")
	}
	result := owed(in, gateway.Delivered)
	m := rx.answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, "")
	if m.ESMClass != pdu.TypeReceipt || string(m.Source.Addr) != in.To || string(m.Dest.Addr) != in.From {
		t.Errorf("%+v", m)
	}
	r, ok := receipt.Parse(m.ShortMessage)
	if !ok || r.ID != in.ID || r.State != gateway.Delivered || r.Delivered != 1 || r.Text != "start" || !r.Done.Equal(noon.Add(time.Minute)) {
		t.Errorf("%q is %+v", m.ShortMessage, r)
	}
	id, _ := m.TLVs.CString(pdu.TagReceiptedMessageID)
	if state, _ := m.TLVs.Uint8(pdu.TagMessageState); string(id) != in.ID || pdu.MessageState(state) != pdu.StateDelivered {
		t.Errorf("parameters %x", m.TLVs)
	}
	if r := recv(t, "the result", result); r.Fate != gateway.FateAccepted {
		t.Errorf("%+v", r)
	}
	// On failure only, on success only: what was not asked for is not sent.
	for _, asked := range []pdu.RegisteredDelivery{pdu.ReceiptOnFailure, pdu.ReceiptOnSuccess} {
		for _, state := range []gateway.State{gateway.Delivered, gateway.Deleted} {
			in := submit(asked)
			result := owed(in, state)
			if wanted := (state == gateway.Delivered) == (asked == pdu.ReceiptOnSuccess); wanted {
				rx.answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, "")
			}
			if r := recv(t, "the result", result); r.Fate != gateway.FateAccepted || !in.ReportWanted {
				t.Errorf("%+v", r)
			}
		}
	}
	if f := rx.request(pdu.IDEnquireLink, nil); f.ID != pdu.IDEnquireLinkResp {
		t.Errorf("%s came that nobody asked for", f.ID)
	}
}

// A peer of an older version gets no optional parameters, and one under a
// submit_multi's id gets the id that it knows.
func TestReceiptForOldPeer(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), bindsIn("a"))
	p := dial(t, w.address())
	f := p.request(pdu.IDBindReceiver, &pdu.Bind{SystemID: []byte("a"), Password: []byte("secret"), InterfaceVersion: 0x33})
	if r := decode[pdu.BindResp](t, f); f.Status != pdu.ESME_ROK || len(r.TLVs) != 0 {
		t.Fatalf("%s %x", f.Status, r.TLVs)
	}
	w.awaitBound("a", 1)
	w.sending(gateway.Outbound{Carrier: "a", From: "1", To: "2", Receipt: &gateway.Receipt{ID: "abc.2", State: gateway.Delivered}})
	if m := p.answerWith(pdu.IDDeliverSM, pdu.ESME_ROK, ""); len(m.TLVs) != 0 || !bytes.HasPrefix(m.ShortMessage, []byte("id:abc sub")) {
		t.Errorf("%q %x", m.ShortMessage, m.TLVs)
	}
}

// A receipt waits at the core while no receiver is bound.
func TestReceiptWithoutReceiver(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), bindsIn("a"))
	bound(t, w.address(), pdu.IDBindTransmitter, "a")
	w.awaitBound("a", 1)
	r := recv(t, "the result", w.sending(gateway.Outbound{Carrier: "a", From: "1", To: "2", Receipt: &gateway.Receipt{ID: "abc"}}))
	if r.Fate != gateway.FateRetry || r.Code != "no_bind" || r.After <= 0 || r.After > 5*time.Second || !r.Untried {
		t.Errorf("%+v", r)
	}
}

// A message that finds no bind waits for as long as there was none, however often
// it found none before: one that meets every restart of the daemon is still sent
// soon after the next one.
func TestNoBindIsNoAttempt(t *testing.T) {
	w := run(t, testConfig(), newTestCore(), bindsIn("a"))
	m := gateway.Outbound{Carrier: "a", From: "1", To: "2", Text: "x", Attempt: 20}
	r := recv(t, "the result", w.sending(m))
	if r.Code != "no_bind" || r.After > 5*time.Second || !r.Untried {
		t.Errorf("soon after the start: %+v", r)
	}
	w.edge.current.Load().carriers["a"].unbound.Add(-int64(time.Hour))
	r = recv(t, "the result", w.sending(m))
	if r.Code != "no_bind" || r.After < unboundFor/2 || r.After > unboundFor {
		t.Errorf("after an hour without a bind: %+v", r)
	}
}
