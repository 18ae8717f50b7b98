package sip

import (
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

func TestIncomingCall(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		c := w.phone.newCall()
		c.invite(offerText)
		l := w.host.leg(t)
		if l.Caller != "+385911111111" || l.Called != "+38512345" || l.Trunk != "phone" || l.Offer == nil || l.Hops != 69 {
			t.Errorf("the leg is %+v", l.Info)
		}
		l.Ring()
		c.learn(w.phone.expect("180"))
		l.Answer(ourMedia)
		ok := w.phone.expect("200")
		if !strings.Contains(ok.Body, "m=audio 20000 RTP/AVP 8 101") || ok.Get(message.Contact) != "<sip:trunkline@192.0.2.1:5060>" {
			t.Errorf("answered with %+v\n%s", ok.Headers, ok.Body)
		}
		c.ack()
		c.request("BYE", "")
		w.phone.expect("200")
		if got, want := w.host.told(l.ID), "media PCMA 198.51.100.7:4000 sendrecv, answered, ended 200 16 peer"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if legs, transactions := w.edge.table.count(); legs+transactions != 0 {
			t.Errorf("%d legs and %d transactions are left", legs, transactions)
		}
	})
}

func TestNoAckEndsWithBye(t *testing.T) { // RFC 3261 §13.3.1.4
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		w.host.do = func(l *Leg) { l.Answer(ourMedia) }
		c := w.phone.newCall()
		c.invite(offerText)
		begin := time.Now()
		var times []time.Duration
		var m *message.Message
		for m = w.phone.recv(); m.Status == 200; m = w.phone.recv() {
			times = append(times, time.Since(begin))
		}
		if len(times) != 11 || times[1] != 500*time.Millisecond || times[2] != 1500*time.Millisecond || times[5] != 11500*time.Millisecond {
			t.Errorf("the 200 was sent after %v", times)
		}
		if m.Method != "BYE" || time.Since(begin) != 32*time.Second {
			t.Errorf("%s came after %s", m.Method, time.Since(begin))
		}
		w.phone.reply(m, 200, "", "")
		if got := w.host.told(w.host.leg(t).ID); !strings.HasSuffix(got, "ended 408 102 edge") {
			t.Error(got)
		}
	})
}
