package sip

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

func TestDelayedOffer(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite("")
		ok := c.learn(w.phone.expect("200"))
		if !strings.Contains(ok.Body, "m=audio 20000 RTP/AVP 8 0 101 13") {
			t.Errorf("no offer in the 200: %s", ok.Body)
		}
		c.ack(offerText)
		l := w.host.leg(t)
		if got := w.host.told(l.ID); got != "media PCMA 198.51.100.7:4000 sendrecv, answered" {
			t.Error(got)
		}
		c2 := w.phone.newCall()
		c2.invite("")
		c2.learn(w.phone.expect("200"))
		c2.ack(strings.ReplaceAll(offerText, "8 0 101", "18")) // no answer to our offer
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if got := w.host.told(w.host.leg(t).ID); got != "ended 488 65 edge" {
			t.Error(got)
		}
	})
}

func TestEarlyMedia(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk("reliable_provisional: never"), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText, "Supported: 100rel")
		l := w.host.leg(t)
		l.EarlyMedia(ourMedia)
		early := w.phone.expect("183")
		l.Answer(ourMedia)
		ok := c.learn(w.phone.expect("200"))
		if early.Body == "" || early.Body != ok.Body || early.Has(message.RSeq) {
			t.Errorf("early:\n%s\nin the end:\n%s", early.Body, ok.Body)
		}
		c.ack()
		if got := w.host.told(l.ID); got != "media PCMA 198.51.100.7:4000 sendrecv early, answered" {
			t.Error(got)
		}
	})
}

func TestReliableProvisional(t *testing.T) { // RFC 3262
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText, "Supported: 100rel")
		l := w.host.leg(t)
		l.EarlyMedia(ourMedia)
		l.Answer(ourMedia)
		early := c.learn(w.phone.expect("183"))
		if !early.Lists(message.Require, "100rel") || !early.Has(message.RSeq) {
			t.Fatalf("not reliable: %+v", early.Headers)
		}
		w.phone.expect("183") // again, until it is acknowledged
		c.request("PRACK", "", "RAck: 1 1 INVITE")
		w.phone.expect("481")
		c.request("PRACK", "", "RAck: "+early.Get(message.RSeq)+" 1 INVITE")
		w.phone.expect("200")
		ok := c.learn(w.phone.expect("200")) // only now
		if ok.Body != "" {
			t.Errorf("the answer is said twice:\n%s", ok.Body)
		}
		c.ack()
		if got := w.host.told(l.ID); got != "media PCMA 198.51.100.7:4000 sendrecv early, answered" {
			t.Error(got)
		}

		c = w.phone.newCall() // nobody acknowledges
		c.invite(offerText, "Require: 100rel")
		w.host.leg(t).Ring()
		begin := time.Now()
		m := w.phone.expect("180")
		for m.Status == 180 {
			m = w.phone.recv()
		}
		if m.Status != 504 || time.Since(begin) != 32*time.Second {
			t.Errorf("%d after %s", m.Status, time.Since(begin))
		}
		c.ackFailure(m)
	})
}

func TestReliableDelayedOffer(t *testing.T) { // the PRACK answers
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite("", "Supported: 100rel")
		l := w.host.leg(t)
		l.EarlyMedia(ourMedia)
		early := c.learn(w.phone.expect("183"))
		if early.Body == "" {
			t.Fatal("no offer in the 183")
		}
		c.request("PRACK", offerText, "RAck: "+early.Get(message.RSeq)+" 1 INVITE", "Content-Type: application/sdp")
		w.phone.expect("200")
		l.Answer(ourMedia)
		c.learn(w.phone.expect("200"))
		c.ack()
		if got := w.host.told(l.ID); got != "media PCMA 198.51.100.7:4000 sendrecv early, answered" {
			t.Error(got)
		}
	})
}

func TestTryingComesWhenNothingElseDoes(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk("ring_timeout: 20s"), func(w *world) {
		c := w.phone.newCall()
		begin := time.Now()
		c.invite(offerText)
		w.phone.expect("100")
		if d := time.Since(begin); d > 200*time.Millisecond {
			t.Errorf("after %s", d)
		}
		c.ackFailure(w.phone.expect("408")) // the host never decides
		if d := time.Since(begin); d != 20*time.Second {
			t.Errorf("given up after %s", d)
		}
		if got := w.host.told(w.host.leg(t).ID); got != "ended 408 18 edge" {
			t.Error(got)
		}
		c = w.phone.newCall()
		c.invite(offerText, "Expires: 5") // RFC 3261 §13.3.1
		w.phone.expect("100")
		c.ackFailure(w.phone.expect("487"))
	})
}

func TestCancel(t *testing.T) {
	for name, before := range map[string]func(l *Leg, p *phone){
		"at once":           func(*Leg, *phone) {},
		"while it rings":    func(l *Leg, p *phone) { l.Ring(); p.expect("180") },
		"with early media":  func(l *Leg, p *phone) { l.EarlyMedia(ourMedia); p.expect("183") },
		"after it was said": func(_ *Leg, p *phone) { p.expect("100") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
				c := w.phone.newCall()
				c.invite(offerText)
				l := w.host.leg(t)
				before(l, w.phone)
				cancel := c.text("CANCEL", 1, c.branch, "Reason: SIP;cause=200, Q.850;cause=26;text=\"Answered elsewhere\"") + "\n\n"
				c.send(cancel)
				w.phone.expect("200")
				c.ackFailure(w.phone.expect("487"))
				c.toTag = ""
				c.send(cancel) // again: it is known
				got := w.host.told(l.ID)
				if !strings.HasSuffix(got, "ended 487 26 peer") {
					t.Error(got)
				}
				l.Answer(ourMedia) // too late
				l.Ring()
				w.phone.conn.drain()
				w.phone.quiet(time.Minute)
			})
		})
	}
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) { // crossing our 200
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(offerText)
		ok := w.phone.expect("200")
		c.send(c.text("CANCEL", 1, c.branch) + "\n\n")
		if m := w.phone.expect("200"); !strings.Contains(m.Get(message.CSeq), "CANCEL") {
			t.Error("CANCEL has no answer")
		}
		c.learn(ok)
		c.ack()
		c.request("BYE", "")
		w.phone.expect("200")
	})
}

func TestMergedRequest(t *testing.T) { // RFC 3261 §8.2.2.2
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText)
		w.host.leg(t).Ring()
		w.phone.expect("180")
		c.send(c.text("INVITE", 1, "z9hG4bKotherway", "Content-Type: application/sdp") + "\n\n" + offerText)
		w.phone.expect("482")
	})
}

func TestHoldAndMove(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, l := w.establish()
		c.invite(strings.ReplaceAll(offerText, "a=rtpmap", "a=sendonly\na=rtpmap"))
		if m := w.phone.expect("200"); !strings.Contains(m.Body, "a=recvonly") {
			t.Errorf("hold was answered with\n%s", m.Body)
		}
		c.ack()
		c.request("UPDATE", strings.ReplaceAll(offerText, "4000", "4002"), "Content-Type: application/sdp")
		if m := w.phone.expect("200"); !strings.Contains(m.Body, "a=sendrecv") {
			t.Errorf("the move was answered with\n%s", m.Body)
		}
		c.invite(strings.ReplaceAll(offerText, "8 0 101", "18")) // no codec: all stays
		c.ackFailure(w.phone.expect("488"))
		c.invite("") // asks for our offer
		w.phone.expect("200")
		c.ack(offerText)
		want := "media PCMA 198.51.100.7:4000 sendrecv, answered, media PCMA 198.51.100.7:4000 recvonly, media PCMA 198.51.100.7:4002 sendrecv, media PCMA 198.51.100.7:4000 sendrecv"
		if got := w.host.told(l.ID); got != want {
			t.Errorf("told %s\nwant %s", got, want)
		}
	})
}

func TestOurOwnHold(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		_, l := w.establish()
		held := ourMedia
		held.Hold = true
		l.Reoffer(held)
		m := w.phone.expect("INVITE")
		if !strings.Contains(m.Body, "a=sendonly") {
			t.Errorf("offered\n%s", m.Body)
		}
		w.phone.reply(m, 200, "", strings.ReplaceAll(offerText, "a=rtpmap", "a=recvonly\na=rtpmap"))
		w.phone.expect("ACK")
		l.Reoffer(ourMedia)
		m = w.phone.expect("INVITE")
		w.phone.reply(m, 488, "", "")
		w.phone.expect("ACK")
		want := "media PCMA 198.51.100.7:4000 sendrecv, answered, media PCMA 198.51.100.7:4000 sendonly, refused 488"
		if got := w.host.told(l.ID); got != want {
			t.Errorf("told %s", got)
		}
	})
}

func TestGlare(t *testing.T) { // RFC 3261 §14.1, §14.2
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, l := w.establish()
		held := ourMedia
		held.Hold = true
		l.Reoffer(held)
		ours := w.phone.expect("INVITE")
		c.invite(offerText)
		c.ackFailure(w.phone.expect("491"))
		w.phone.reply(ours, 491, "", "")
		w.phone.expect("ACK")
		begin := time.Now()
		again := w.phone.expect("INVITE")
		if d := time.Since(begin); d > 2*time.Second || !strings.Contains(again.Body, "a=sendonly") {
			t.Errorf("after %s:\n%s", d, again.Body)
		}
		w.phone.reply(again, 200, "", strings.ReplaceAll(offerText, "a=rtpmap", "a=recvonly\na=rtpmap"))
		w.phone.expect("ACK")
		// A second INVITE before the first one is acknowledged.
		c.invite(offerText)
		w.phone.expect("200")
		c.request("INVITE", offerText, "Content-Type: application/sdp")
		if m := w.phone.expect("500"); !m.Has(message.RetryAfter) {
			t.Error("500 without Retry-After")
		}
	})
}

func TestOutOfOrder(t *testing.T) { // RFC 3261 §12.2.2
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, _ := w.establish()
		c.cseq = 10
		c.request("INFO", "Signal=5\n", "Content-Type: application/dtmf-relay")
		w.phone.expect("200")
		c.cseq = 5
		c.request("INFO", "Signal=6\n", "Content-Type: application/dtmf-relay")
		w.phone.expect("500")
		c.cseq = 10
		c.send(c.text("INFO", 11, "z9hG4bK-"+c.id+"-11") + "\n\n") // came again: answered again, but not taken
		w.phone.expect("200")
		if got := w.host.told(w.host.leg(t).ID); strings.Count(got, "digit") != 1 {
			t.Error(got)
		}
	})
}

func TestInfoDigits(t *testing.T) {
	for _, c := range []struct{ kind, body, want string }{
		{"application/dtmf-relay", "Signal=5\nDuration=160\n", "digit 5 160ms"},
		{"application/dtmf-relay", "Signal= *\nDuration= 250", "digit * 250ms"},
		{"application/dtmf-relay", "signal=11", "digit # 250ms"},
		{"application/dtmf-relay; charset=utf-8", "Signal=a\nDuration=99999999999", "digit A 10s"},
		{"application/dtmf", "7", "digit 7 250ms"},
		{"application/dtmf", "77", ""},
		{"application/dtmf-relay", "Duration=5", ""},
	} {
		inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
			d, l := w.establish()
			d.request("INFO", c.body, "Content-Type: "+c.kind)
			w.phone.expect("200")
			_, got, _ := strings.Cut(w.host.told(l.ID), "answered, ")
			if got != c.want {
				t.Errorf("%q told %q, want %q", c.body, got, c.want)
			}
			d.request("INFO", "<x/>", "Content-Type: application/media_control+xml")
			w.phone.expect("415")
		})
	}
}

func TestTransfer(t *testing.T) { // RFC 3515
	inWorld(t, plainConfig, phoneTrunk("transfer: allow"), func(w *world) {
		c, l := w.establish()
		c.request("REFER", "", "Refer-To: <sip:+385999@192.0.2.1>")
		w.phone.expect("202")
		m := w.phone.expect("NOTIFY")
		if m.Body != "SIP/2.0 100 Trying\r\n" || !strings.HasPrefix(m.Get(message.SubscriptionState), "active") {
			t.Errorf("NOTIFY says %q", m.Body)
		}
		w.phone.reply(m, 200, "", "")
		if got := w.host.told(l.ID); !strings.HasSuffix(got, "transfer +385999") {
			t.Error(got)
		}
		c.request("REFER", "", "Refer-To: <sip:+385998@192.0.2.1>")
		w.phone.expect("491")
		l.TransferProgress(486)
		m = w.phone.expect("NOTIFY")
		if m.Body != "SIP/2.0 486 Busy Here\r\n" || !strings.HasPrefix(m.Get(message.SubscriptionState), "terminated") {
			t.Errorf("NOTIFY says %q", m.Body)
		}
		w.phone.reply(m, 200, "", "")
		c.request("REFER", "", "Refer-To: <http://example.com>")
		w.phone.expect("403")
		c.request("REFER", "")
		w.phone.expect("400")
		c.request("NOTIFY", "", "Event: x")
		w.phone.expect("481")
	})
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, _ := w.establish()
		c.request("REFER", "", "Refer-To: <sip:+385999@192.0.2.1>")
		w.phone.expect("603")
	})
}

func TestSessionTimers(t *testing.T) { // RFC 4028
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) { // the peer refreshes, and stops doing so
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(offerText, "Supported: timer", "Session-Expires: 120;refresher=uac")
		ok := c.learn(w.phone.expect("200"))
		if ok.Get(message.SessionExpires) != "120;refresher=uac" || !ok.Lists(message.Require, "timer") {
			t.Errorf("%+v", ok.Headers)
		}
		c.ack()
		time.Sleep(80 * time.Second)
		c.request("UPDATE", "", "Supported: timer", "Session-Expires: 120;refresher=uac")
		if m := w.phone.expect("200"); m.Get(message.SessionExpires) != "120;refresher=uac" {
			t.Errorf("%+v", m.Headers)
		}
		begin := time.Now()
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if d := time.Since(begin); d != 88*time.Second {
			t.Errorf("hung up after %s", d)
		}
		if got := w.host.told(w.host.leg(t).ID); !strings.HasSuffix(got, "ended 408 102 edge") {
			t.Error(got)
		}
	})
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) { // we refresh: UPDATE where the peer knows it
		c, _ := w.establish("Supported: timer", "Session-Expires: 600", "Allow: INVITE, UPDATE")
		begin := time.Now()
		m := w.phone.recvLong()
		if m.Method != "UPDATE" || time.Since(begin) != 300*time.Second || m.Get(message.SessionExpires) != "600;refresher=uac" {
			t.Errorf("%s after %s: %+v", m.Method, time.Since(begin), m.Headers)
		}
		w.phone.reply(m, 422, "", "", "Min-SE: 900")
		if m = w.phone.recvLong(); m.Get(message.SessionExpires) != "900;refresher=uac" || m.Get(message.MinSE) != "900" {
			t.Errorf("%+v", m.Headers)
		}
		w.phone.reply(m, 200, "", "", "Session-Expires: 900;refresher=uac")
		m = w.phone.recvLong()
		w.phone.reply(m, 481, "", "")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		_ = c
	})
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) { // or INVITE, with the same description
		_, l := w.establish()
		m := w.phone.recvLong()
		if m.Method != "INVITE" || m.Get(message.SessionExpires) != "1800;refresher=uac" || !strings.Contains(m.Body, "a=sendrecv") {
			t.Errorf("%s %+v", m.Method, m.Headers)
		}
		w.phone.reply(m, 200, "", offerText, "Session-Expires: 1800;refresher=uac")
		w.phone.expect("ACK")
		if l.phase != confirmed {
			t.Error("the call is over")
		}
	})
}

// recvLong waits for hours.
func (p *phone) recvLong() *message.Message {
	p.t.Helper()
	m, ok := p.within(48 * time.Hour)
	if !ok {
		p.t.Fatal("nothing came")
	}
	return m
}

func TestMaxDuration(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk("max_duration: 10m"), func(w *world) {
		_, l := w.establish()
		begin := time.Now()
		m := w.phone.recvLong()
		if m.Method != "BYE" || time.Since(begin) != 10*time.Minute {
			t.Errorf("%s after %s", m.Method, time.Since(begin))
		}
		w.phone.reply(m, 200, "", "")
		if got := w.host.told(l.ID); !strings.HasSuffix(got, "ended 200 16 edge") {
			t.Error(got)
		}
	})
}

func TestHangupWaitsForAck(t *testing.T) { // RFC 3261 §15
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia); l.Hangup(0) }
		c := w.phone.newCall()
		c.invite(offerText)
		c.learn(w.phone.expect("200"))
		w.phone.expect("200") // no BYE yet
		c.ack()
		m := w.phone.expect("BYE")
		if !strings.Contains(m.Get(message.Reason), "cause=16") {
			t.Errorf("BYE says %q", m.Get(message.Reason))
		}
		w.phone.reply(m, 200, "", "")
		if legs, _ := w.edge.table.count(); legs != 0 {
			t.Errorf("%d legs are left", legs)
		}
	})
}

func TestByesCross(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c, l := w.establish()
		l.Hangup(17)
		m := w.phone.expect("BYE")
		c.request("BYE", "")
		w.phone.expect("200")
		w.phone.reply(m, 481, "", "")
		if got := w.host.told(l.ID); strings.Count(got, "ended") != 1 {
			t.Error(got)
		}
		c.send(c.text("BYE", c.cseq, "z9hG4bK-"+c.id+"-"+strconv.Itoa(c.cseq)) + "\n\n")
		w.phone.expect("200") // also when it comes again, later
	})
}

func TestByeBeforeTheAnswer(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText)
		w.host.leg(t).Ring()
		c.learn(w.phone.expect("180"))
		c.request("BYE", "")
		w.phone.expect("200")
		c.ackFailure(w.phone.expect("487"))
	})
}

func TestRecordRoute(t *testing.T) { // RFC 3261 §12.1.1: our requests go through the proxies
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		proxy := w.newPhone(addr("198.51.100.99:5080"))
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(offerText, "Record-Route: <sip:198.51.100.99:5080;lr>", "Record-Route: <sip:198.51.100.98;lr>")
		ok := c.learn(w.phone.expect("200"))
		if ok.Get(message.RecordRoute) != "<sip:198.51.100.99:5080;lr>" {
			t.Errorf("%+v", ok.Headers)
		}
		c.ack()
		w.host.leg(t).Hangup(0)
		m := proxy.expect("BYE")
		var routes []string
		m.Each(message.Route, func(r string) bool { routes = append(routes, r); return true })
		if m.URI != "sip:phone@198.51.100.7:5060" || strings.Join(routes, " ") != "<sip:198.51.100.99:5080;lr> <sip:198.51.100.98;lr>" {
			t.Errorf("BYE %s by %v", m.URI, routes)
		}
		proxy.reply(m, 200, "", "")
	})
}

func TestDrain(t *testing.T) {
	inWorld(t, "listen: [{address: \"192.0.2.1:5060\"}]\ndrain_timeout: 10s\n", phoneTrunk(), func(w *world) {
		_, l := w.establish()
		begin := time.Now()
		stopped := make(chan struct{})
		go func() { w.stop(); close(stopped) }()
		w.wait()
		n := w.phone.newCall()
		n.invite(offerText)
		n.ackFailure(w.phone.expect("503"))
		n.target = "sip:192.0.2.1"
		n.toTag = ""
		n.request("OPTIONS", "")
		w.phone.expect("503")
		if _, err := w.edge.Dial(Dial{Trunk: "phone", Called: "1", Local: ourMedia}, nil); err == nil {
			t.Error("a call was made")
		}
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
		if d := time.Since(begin); d < 10*time.Second {
			t.Errorf("hung up after %s", d)
		}
		<-stopped
		if got := w.host.told(l.ID); !strings.HasSuffix(got, "ended 503 38 edge") {
			t.Error(got)
		}
	})
}

func TestEarlyUpdate(t *testing.T) { // RFC 3311 §5.2
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText)
		l := w.host.leg(t)
		l.Ring()
		c.learn(w.phone.expect("180"))
		c.request("UPDATE", offerText, "Content-Type: application/sdp")
		if m := w.phone.expect("500"); !m.Has(message.RetryAfter) {
			t.Error("500 without Retry-After")
		}
		l.EarlyMedia(ourMedia)
		w.phone.expect("183")
		c.request("UPDATE", strings.ReplaceAll(offerText, "4000", "4010"), "Content-Type: application/sdp")
		w.phone.expect("200")
		if got := w.host.told(l.ID); got != "media PCMA 198.51.100.7:4000 sendrecv early, media PCMA 198.51.100.7:4010 sendrecv early" {
			t.Error(got)
		}
	})
}

func TestCallerID(t *testing.T) {
	for _, c := range []struct {
		trunk, from string
		headers     []string
		caller      string
		withheld    bool
	}{
		{"", "\"Ana\" <sip:+38591@x>;tag=1", nil, "+38591", false},
		{"", "<sip:anonymous@anonymous.invalid>;tag=1", nil, "", true},
		{"caller_id: {trust: asserted}", "<sip:anonymous@anonymous.invalid>;tag=1", []string{"P-Asserted-Identity: <tel:+38591>", "Privacy: id"}, "+38591", true},
		{"caller_id: {trust: from}", "<sip:1@x>;tag=1", []string{"P-Asserted-Identity: <tel:+38591>"}, "1", false},
	} {
		inWorld(t, plainConfig, phoneTrunk(c.trunk), func(w *world) {
			d := w.phone.newCall()
			d.target = "sip:+38512345;phone-context=x@192.0.2.1"
			d.fromHeader = c.from
			d.invite(offerText, append(c.headers, "Diversion: <sip:777@x>;reason=busy")...)
			l := w.host.leg(t)
			if l.Caller != c.caller || l.Called != "+38512345" || l.Withheld != c.withheld || l.Diverted != "777" {
				t.Errorf("%s: %+v", c.from, l.Info)
			}
			l.Reject(486)
			d.tag = "1"
			d.ackFailure(w.phone.expect("486"))
		})
	}
}

// Keys for encrypted sound: a trunk that insists gets and gives them, and takes no
// call without (RFC 4568); they stay the same for all of a call.
func TestSecureSound(t *testing.T) {
	const key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n"
	secure := strings.Replace(offerText, "RTP/AVP", "RTP/SAVP", 1) + key
	inWorld(t, plainConfig, phoneTrunk("srtp: required"), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(offerText)
		m := w.phone.expect("488")
		c.ackFailure(m)

		c = w.phone.newCall()
		c.invite(secure)
		m = c.learn(w.phone.expect("200"))
		line := cryptoLine(m.Body)
		if line == "" || !strings.Contains(m.Body, "RTP/SAVP") {
			t.Fatalf("answered %s", m.Body)
		}
		c.ack()
		w.wait()
		l := w.host.leg(t)
		l.Reoffer(ourMedia)
		again := w.phone.expect("INVITE")
		if !strings.Contains(again.Body, line[strings.Index(line, "inline:"):]) || !strings.Contains(again.Body, "RTP/SAVP") {
			t.Errorf("%s is not in the next offer:\n%s", line, again.Body)
		}
		w.phone.reply(again, 200, "", secure)
		w.phone.expect("ACK")
		l.Hangup(0)
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")

		w.dial()
		m = w.phone.expect("INVITE")
		if cryptoLine(m.Body) == "" || strings.Contains(m.Body, line[strings.Index(line, "inline:"):]) {
			t.Errorf("offered %s", m.Body)
		}
		w.phone.reply(m, 200, "a", offerText) // it knows nothing of keys
		w.phone.expect("ACK")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
	})
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(secure)
		m := w.phone.expect("488")
		if !m.Has(message.Warning) {
			t.Errorf("%+v", m.Headers)
		}
		c.ackFailure(m)
	})
}

func cryptoLine(body string) string {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "a=crypto:") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
