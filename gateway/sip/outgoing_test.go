package sip

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

// dial makes a call over the phone's trunk.
func (w *world) dial(change ...func(*Dial)) *Leg {
	w.Helper()
	d := Dial{Trunk: "phone", Called: "385912345678", Caller: "38512345", Local: ourMedia}
	for _, f := range change {
		f(&d)
	}
	events := "out"
	l, err := w.edge.Dial(d, func(e Event) { w.host.sink(events)(e) })
	if err != nil {
		w.Fatal(err)
	}
	w.wait()
	return l
}

func TestOutgoingCall(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		l := w.dial(func(d *Dial) { d.Name = `An "A"`; d.Diverted = "38599"; d.Hops = 12 })
		m := w.phone.expect("INVITE")
		if m.URI != "sip:+385912345678@198.51.100.7" || !strings.HasPrefix(m.Get(message.From), `"An \"A\"" <sip:+38512345@198.51.100.7>;tag=`) {
			t.Errorf("%s %s", m.URI, m.Get(message.From))
		}
		if m.Extra("Diversion") != "<sip:38599@198.51.100.7>" || m.Get(message.SessionExpires) != "1800" || m.Get(message.MaxForwards) != "12" || !m.Lists(message.Supported, "100rel") {
			t.Errorf("%+v", m.Headers)
		}
		w.phone.reply(m, 100, "", "")
		w.phone.reply(m, 180, "a", "")
		w.phone.reply(m, 183, "a", offerText)
		w.phone.reply(m, 200, "a", offerText, "Record-Route: <sip:198.51.100.7;lr>", "Session-Expires: 600;refresher=uas")
		ack := w.phone.expect("ACK")
		if ack.URI != "sip:phone@198.51.100.7:5060" || ack.Get(message.Route) != "<sip:198.51.100.7;lr>" {
			t.Errorf("ACK %s %s", ack.URI, ack.Get(message.Route))
		}
		w.phone.reply(m, 200, "a", offerText) // ACK was lost
		w.phone.expect("ACK")
		l.Hangup(0)
		bye := w.phone.expect("BYE")
		w.phone.reply(bye, 200, "", "")
		want := "ringing 180, media PCMA 198.51.100.7:4000 sendrecv early, media PCMA 198.51.100.7:4000 sendrecv, answered, ended 200 16 us"
		if got := w.host.told("out"); got != want {
			t.Errorf("told %s\nwant %s", got, want)
		}
		if legs, transactions := w.edge.table.count(); legs+transactions != 0 {
			t.Errorf("%d legs and %d transactions are left", legs, transactions)
		}
	})
}

func TestOutgoingFailures(t *testing.T) {
	for _, c := range []struct {
		status  int
		headers []string
		want    string
	}{
		{404, nil, "ended 404 1 peer"},
		{486, nil, "ended 486 17 peer"},
		{480, []string{"Reason: Q.850;cause=19;text=\"no answer\""}, "ended 480 19 peer"},
		{488, nil, "ended 488 65 peer"},
		{503, nil, "ended 503 41 peer"},
		{603, nil, "ended 603 21 peer"},
		{302, nil, "ended 302 0 peer"},
		{401, []string{"WWW-Authenticate: Digest realm=\"x\",nonce=\"n\""}, "ended 401 21 peer"}, // we have no login
	} {
		inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
			w.dial()
			m := w.phone.expect("INVITE")
			w.phone.reply(m, c.status, "a", "", c.headers...)
			ack := w.phone.expect("ACK")
			if ack.Get(message.ViaHeader) != m.Get(message.ViaHeader) || !strings.HasSuffix(ack.Get(message.To), ";tag=a") {
				t.Errorf("ACK %+v", ack.Headers)
			}
			if got := w.host.told("out"); got != c.want {
				t.Errorf("told %s, want %s", got, c.want)
			}
			w.phone.reply(m, c.status, "a", "") // ACK was lost, and the leg is gone
			w.phone.expect("ACK")
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		begin := time.Now()
		w.dial()
		n := 0
		for {
			if _, ok := w.phone.within(30 * time.Second); !ok {
				break
			}
			n++
		}
		if n != 7 { // timer A: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s
			t.Errorf("INVITE was sent %d times", n)
		}
		if got := w.host.told("out"); got != "ended 408 18 edge" {
			t.Errorf("told %s after %s", got, time.Since(begin))
		}
	})
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) { // it rings for ever
		w.dial(func(d *Dial) { d.RingTimeout = 10 * time.Second })
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 180, "a", "")
		begin := time.Now()
		cancel := w.phone.expect("CANCEL")
		if time.Since(begin) != 10*time.Second || cancel.Get(message.ViaHeader) != m.Get(message.ViaHeader) {
			t.Errorf("CANCEL after %s: %+v", time.Since(begin), cancel.Headers)
		}
		w.phone.reply(cancel, 200, "", "")
		w.phone.reply(m, 487, "a", "")
		w.phone.expect("ACK")
		if got := w.host.told("out"); got != "ringing 180, ended 408 18 edge" {
			t.Error(got)
		}
		if legs, transactions := w.edge.table.count(); legs+transactions != 0 {
			t.Errorf("%d legs and %d transactions are left", legs, transactions)
		}
	})
}

func TestSecondTarget(t *testing.T) {
	trunk := strings.Replace(phoneTrunk(), `"198.51.100.7:5060"`, `"198.51.100.7:5060", "198.51.100.8:5060"`, 1)
	inWorld(t, plainConfig, trunk, func(w *world) {
		other := w.newPhone(addr("198.51.100.8:5060"))
		w.dial()
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 503, "a", "")
		w.phone.expect("ACK")
		m = other.expect("INVITE")
		other.reply(m, 486, "b", "")
		other.expect("ACK")
		if got := w.host.told("out"); got != "ended 486 17 peer" {
			t.Error(got)
		}
	})
}

func TestCancelBeforeAnySign(t *testing.T) { // RFC 3261 §9.1
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		l := w.dial()
		m := w.phone.expect("INVITE")
		l.Hangup(0)
		w.phone.quiet(400 * time.Millisecond)
		w.phone.reply(m, 100, "", "")
		cancel := w.phone.expect("CANCEL")
		w.phone.reply(cancel, 200, "", "")
		w.phone.reply(m, 200, "a", offerText) // it was too late
		w.phone.expect("ACK")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if got := w.host.told("out"); got != "ended 487 16 us" {
			t.Error(got)
		}
		if legs, _ := w.edge.table.count(); legs != 0 {
			t.Errorf("%d legs are left", legs)
		}
	})
}

func TestForking(t *testing.T) { // RFC 3261 §13.2.2.4: one call stays, the other answer is hung up
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		l := w.dial()
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 180, "a", "")
		w.phone.reply(m, 183, "b", strings.ReplaceAll(offerText, "4000", "4100"))
		w.phone.reply(m, 200, "a", offerText)
		w.phone.expect("ACK")
		w.phone.reply(m, 200, "b", offerText)
		ack := w.phone.expect("ACK")
		bye := w.phone.expect("BYE")
		if !strings.HasSuffix(ack.Get(message.To), "tag=b") || !strings.HasSuffix(bye.Get(message.To), "tag=b") {
			t.Errorf("%+v", bye.Headers)
		}
		w.phone.reply(m, 200, "b", offerText) // again: ACK only
		w.phone.expect("ACK")
		w.phone.reply(bye, 200, "", "")
		l.Hangup(0)
		bye = w.phone.expect("BYE")
		if !strings.HasSuffix(bye.Get(message.To), "tag=a") {
			t.Errorf("%+v", bye.Headers)
		}
		w.phone.reply(bye, 200, "", "")
		w.phone.reply(m, 200, "c", offerText) // long after the end
		w.phone.expect("ACK")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if got := w.host.told("out"); !strings.Contains(got, "media PCMA 198.51.100.7:4000 sendrecv, answered") {
			t.Error(got)
		}
	})
}

func TestDigestOut(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header string
		want   string
	}{
		"MD5":               {401, `WWW-Authenticate: Digest realm="x", nonce="n1", qop="auth,auth-int", algorithm=MD5`, "Authorization"},
		"SHA-256":           {407, `Proxy-Authenticate: Digest realm="x", nonce="n1", qop="auth", algorithm=SHA-256, opaque="o"`, "Proxy-Authorization"},
		"as in RFC 2069":    {401, `WWW-Authenticate: Digest realm="x", nonce="n1"`, "Authorization"},
		"the better of two": {401, "WWW-Authenticate: Digest realm=\"x\", nonce=\"n1\", algorithm=MD5\nWWW-Authenticate: Digest realm=\"x\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256", "Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConfig, phoneTrunk("login: {username: u, password: secret}"), func(w *world) {
				l := w.dial()
				m := w.phone.expect("INVITE")
				w.phone.reply(m, c.status, "a", "", c.header)
				w.phone.expect("ACK")
				again := w.phone.expect("INVITE")
				value := again.Get(message.Authorization) + again.Get(message.ProxyAuthorization)
				for _, want := range []string{`username="u"`, `realm="x"`, `nonce="n1"`, `uri="sip:+385912345678@198.51.100.7"`} {
					if !strings.Contains(value, want) {
						t.Errorf("%s is not in %s", want, value)
					}
				}
				if strings.Contains(value, "secret") || name == "the better of two" && !strings.Contains(value, "SHA-256") {
					t.Errorf("answered with %s", value)
				}
				if _, seq, _ := strings.Cut(again.Get(message.CSeq), ""); seq == m.Get(message.CSeq) || again.Get(message.CallID) != m.Get(message.CallID) {
					t.Errorf("%+v", again.Headers)
				}
				w.phone.reply(again, 200, "a", offerText)
				w.phone.expect("ACK")
				l.Hangup(0)
				if bye := w.phone.expect("BYE"); strings.Contains(c.header, "qop") && !strings.Contains(bye.Get(message.Authorization)+bye.Get(message.ProxyAuthorization), "nc=00000002") {
					t.Errorf("BYE has %+v", bye.Headers)
				}
			})
		})
	}
	inWorld(t, plainConfig, phoneTrunk("login: {username: u, password: wrong}"), func(w *world) { // it is not good enough
		w.dial()
		for range 3 {
			m := w.phone.expect("INVITE")
			w.phone.reply(m, 401, "a", "", `WWW-Authenticate: Digest realm="x", nonce="n1", qop="auth"`)
			w.phone.expect("ACK")
		}
		if got := w.host.told("out"); got != "ended 401 21 peer" {
			t.Error(got)
		}
	})
}

func TestPrackOut(t *testing.T) { // RFC 3262 §4
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.dial()
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 180, "a", "", "Require: 100rel", "RSeq: 7")
		prack := w.phone.expect("PRACK")
		if prack.Get(message.RAck) != "7 1 INVITE" || !strings.HasSuffix(prack.Get(message.To), "tag=a") {
			t.Errorf("%+v", prack.Headers)
		}
		w.phone.reply(prack, 200, "", "")
		w.phone.reply(m, 180, "a", "", "Require: 100rel", "RSeq: 7") // again: no second PRACK
		w.phone.reply(m, 183, "a", offerText, "Require: 100rel", "RSeq: 9")
		w.phone.quiet(time.Millisecond) // out of order
		w.phone.reply(m, 183, "a", offerText, "Require: 100rel", "RSeq: 8")
		prack = w.phone.expect("PRACK")
		w.phone.reply(prack, 200, "", "")
		w.phone.reply(m, 200, "a", "")
		w.phone.expect("ACK")
		if got := w.host.told("out"); got != "ringing 180, media PCMA 198.51.100.7:4000 sendrecv early, media PCMA 198.51.100.7:4000 sendrecv, answered" {
			t.Error(got)
		}
	})
}

func TestSessionTooShortForThePeer(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk("session_expires: 90s"), func(w *world) {
		w.dial()
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 422, "a", "", "Min-SE: 300")
		w.phone.expect("ACK")
		m = w.phone.expect("INVITE")
		if m.Get(message.SessionExpires) != "300" || m.Get(message.MinSE) != "300" {
			t.Errorf("%+v", m.Headers)
		}
		w.phone.reply(m, 486, "a", "")
		w.phone.expect("ACK")
	})
}

func TestAnswerWithoutSound(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.dial()
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 200, "a", strings.ReplaceAll(offerText, "8 0 101", "18"))
		w.phone.expect("ACK")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if got := w.host.told("out"); got != "ended 488 65 edge" {
			t.Error(got)
		}
	})
}

func TestWhatMayNotBeDialled(t *testing.T) {
	for name, c := range map[string]struct {
		trunk string
		dial  Dial
		want  error
		from  string
	}{
		"another trunk":     {"", Dial{Trunk: "nobody"}, ErrUnknownTrunk, ""},
		"a forbidden range": {"routes: [{prefix: \"3859\"}]", Dial{Called: "385611234567"}, ErrNumber, ""},
		"an allowed one":    {"routes: [{prefix: \"+3859\"}]", Dial{Called: "+385911234567"}, nil, "+38512345"},
		"another caller":    {"caller_id: {allow: [\"+3851*\"]}", Dial{Caller: "49123"}, ErrCaller, ""},
		"the default":       {"caller_id: {allow: [\"+3851*\"], default: \"+3851000\"}", Dial{Caller: "49123"}, nil, "+3851000"},
		"its own":           {"caller_id: {allow: [\"+3851*\"], default: \"+3851000\"}", Dial{Caller: "3851999"}, nil, "+3851999"},
		"without plus":      {"caller_id: {format: plain}", Dial{Caller: "+3851999"}, nil, "3851999"},
		"in a circle":       {"", Dial{Hops: -1}, ErrLoop, ""},
		"too fast":          {"limits: {calls_per_second_out: 0.001}", Dial{}, ErrRate, ""},
		"too many":          {"limits: {calls: 1}", Dial{}, ErrBusy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConfig, phoneTrunk(c.trunk), func(w *world) {
				if errors.Is(c.want, ErrRate) || errors.Is(c.want, ErrBusy) {
					w.dial()
					w.phone.expect("INVITE")
				}
				d := c.dial
				if d.Trunk == "" {
					d.Trunk = "phone"
				}
				if d.Called == "" {
					d.Called = "385911234567"
				}
				if d.Caller == "" {
					d.Caller = "38512345"
				}
				d.Local = ourMedia
				_, err := w.edge.Dial(d, nil)
				if !errors.Is(err, c.want) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				if c.want == nil {
					if m := w.phone.expect("INVITE"); !strings.HasPrefix(m.Get(message.From), "<sip:"+c.from+"@") {
						t.Errorf("From is %s", m.Get(message.From))
					}
				}
			})
		})
	}
}

func TestWithheld(t *testing.T) { // RFC 3323, RFC 3325
	inWorld(t, plainConfig, phoneTrunk("caller_id: {assert: true}"), func(w *world) {
		w.dial(func(d *Dial) { d.Withheld = true })
		m := w.phone.expect("INVITE")
		if !strings.Contains(m.Get(message.From), "anonymous.invalid") || m.Get(message.Privacy) != "id" || m.Get(message.PAssertedIdentity) != "<sip:+38512345@198.51.100.7>" {
			t.Errorf("%+v", m.Headers)
		}
	})
}

func TestHealth(t *testing.T) {
	trunk := strings.Replace(phoneTrunk(), "interval: 0s", "interval: 10s, down_after: 2, up_after: 2", 1)
	inWorld(t, plainConfig, trunk, func(w *world) {
		state := func() string { return w.edge.Status()[0].State }
		m := w.phone.expect("OPTIONS")
		w.phone.reply(m, 405, "a", "") // whatever it is, somebody is there
		if state() != "up" {
			t.Error("down at the beginning")
		}
		down := false
		for range 30 { // OPTIONS without an answer are repeated 11 times
			if w.phone.expect("OPTIONS"); state() == "down" {
				down = true
				break
			}
		}
		if !down {
			t.Fatal("not down")
		}
		if _, err := w.edge.Dial(Dial{Trunk: "phone", Called: "1", Caller: "2", Local: ourMedia}, nil); !errors.Is(err, ErrDown) {
			t.Errorf("dialled: %v", err)
		}
		for n := 0; state() == "down"; n++ {
			m := w.phone.expect("OPTIONS")
			w.phone.reply(m, 200, "a", "")
			if n > 3 {
				t.Fatal("not up again")
			}
		}
		if w.edge.Choices("123") != nil {
			t.Error("a trunk without routes is a choice")
		}
	})
}

func TestRegistration(t *testing.T) {
	trunk := phoneTrunk("login: {username: u, password: p}", "register: {user: \"38512345\", expires: 10m}")
	inWorld(t, plainConfig, trunk, func(w *world) {
		m := w.phone.expect("REGISTER")
		if m.URI != "sip:198.51.100.7" || m.Get(message.Expires) != "600" || m.Get(message.Contact) != "<sip:38512345@192.0.2.1:5060>" {
			t.Errorf("%s %+v", m.URI, m.Headers)
		}
		w.phone.reply(m, 401, "a", "", `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth", algorithm=SHA-256`)
		m = w.phone.expect("REGISTER")
		if m.Get(message.Authorization) == "" {
			t.Error("the challenge was not answered")
		}
		w.phone.reply(m, 423, "a", "", "Min-Expires: 1200")
		m = w.phone.expect("REGISTER")
		if m.Get(message.Expires) != "1200" {
			t.Errorf("Expires is %s", m.Get(message.Expires))
		}
		registered := func(m *message.Message) {
			to := m.Get(message.To)
			_ = to
			w.phone.send("SIP/2.0 200 OK\nVia: " + m.Get(message.ViaHeader) + "\nFrom: " + m.Get(message.From) + "\nTo: " + m.Get(message.To) + ";tag=r\nCall-ID: " +
				m.Get(message.CallID) + "\nCSeq: " + m.Get(message.CSeq) + "\nContact: <sip:other@x>;expires=5, <sip:38512345@192.0.2.1:5060>;expires=300\n\n")
		}
		registered(m)
		if s := w.edge.Status()[0]; s.Registration != "registered" {
			t.Errorf("%+v", s)
		}
		begin := time.Now()
		m = w.phone.recvLong() // renewed in time, with the same Call-ID
		if d := time.Since(begin); d != 270*time.Second || m.Method != "REGISTER" {
			t.Errorf("%s after %s", m.Method, d)
		}
		registered(m)
		go func() {
			if bye, ok := w.phone.within(time.Minute); ok && bye.Get(message.Expires) == "0" {
				registered(bye)
			} else {
				t.Error("the registration was not taken back")
			}
		}()
		w.stop()
	})
	inWorld(t, plainConfig, trunk, func(w *world) { // a registrar that is away
		begin := time.Now()
		for range 11 {
			w.phone.expect("REGISTER")
		}
		m := w.phone.recvLong()
		if s := w.edge.Status()[0]; s.Registration != "failed" || s.LastError == "" || time.Since(begin) < 32*time.Second {
			t.Errorf("%+v after %s", s, time.Since(begin))
		}
		w.phone.reply(m, 403, "a", "")
	})
}

func TestReload(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, l := w.establish()
		cfg := decode[Config](t, plainConfig)
		other := decode[Trunk](t, "trunk: other\nfrom: [\"203.0.113.0/24\"]")
		if err := w.edge.Reload(cfg, []Trunk{other, other}); err == nil {
			t.Error("two trunks of one name were taken")
		}
		c.request("OPTIONS", "")
		w.phone.expect("200")
		if err := w.edge.Reload(cfg, []Trunk{decode[Trunk](t, phoneTrunk("caller_id: {refuse: [\"*\"]}")), other}); err != nil {
			t.Fatal(err)
		}
		if n := w.edge.Status()[0].Calls; n != 1 {
			t.Errorf("%d calls after a reload", n)
		}
		d := w.phone.newCall()
		d.invite(offerText)
		d.ackFailure(w.phone.expect("403"))
		stranger := w.newPhone(netip.MustParseAddrPort("203.0.113.1:5060"))
		e := stranger.newCall()
		e.target = "sip:192.0.2.1"
		e.request("OPTIONS", "")
		stranger.expect("200")
		c.request("BYE", "")
		w.phone.expect("200")
		if got := w.host.told(l.ID); !strings.HasSuffix(got, "ended 200 16 peer") {
			t.Error(got)
		}
	})
}
