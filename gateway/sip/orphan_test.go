package sip

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/sip/message"
)

// Who owes for a call from its answer on writes that down before the peer is told
// that the call stands.
func TestAnswerThatIsConfirmedLater(t *testing.T) {
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		l := w.dial(func(d *Dial) { d.Confirm = true })
		m := w.phone.expect("INVITE")
		w.phone.reply(m, 200, "a", offerText)
		w.phone.quiet(400 * time.Millisecond)
		w.phone.reply(m, 200, "a", offerText) // the peer wonders
		w.phone.quiet(100 * time.Millisecond)
		l.Confirm()
		w.phone.expect("ACK")
		l.Confirm()
		w.phone.reply(m, 200, "a", offerText) // it crossed the ACK
		w.phone.expect("ACK")
		l.Hangup(0)
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")

		l = w.dial(func(d *Dial) { d.Confirm = true })
		m = w.phone.expect("INVITE")
		w.phone.reply(m, 200, "b", offerText)
		w.wait()
		l.Hangup(0) // it can't be written down
		w.phone.expect("ACK")
		w.phone.reply(w.phone.expect("BYE"), 200, "", "")
	})
}

// A call whose process is gone is hung up by what was kept of it.
func TestBury(t *testing.T) {
	in, out := "", ""
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		_, l := w.establish("Record-Route: <sip:198.51.100.7;lr>")
		l.Do(func() { in = l.Trace() })
		l = w.dial()
		w.phone.reply(w.phone.expect("INVITE"), 200, "a", offerText)
		w.phone.expect("ACK")
		l.Do(func() { out = l.Trace() }) // as Answered says it
		w.wait()
	})
	if in == "" || out == "" {
		t.Fatalf("%q, %q", in, out)
	}
	inWorld(t, plainConfig, phoneTrunk(), func(w *world) {
		for _, c := range []struct{ trace, uri, to, route string }{
			{in, "sip:phone@198.51.100.7:5060", ";tag=", "<sip:198.51.100.7;lr>"},
			{out, "sip:phone@198.51.100.7:5060", ";tag=a", ""},
		} {
			if err := w.edge.Bury("phone", c.trace); err != nil {
				t.Fatal(err)
			}
			m := w.phone.expect("BYE")
			seq, _, _ := m.Sequence()
			if m.URI != c.uri || !strings.Contains(m.Get(message.To), c.to) || m.Get(message.Route) != c.route || seq < traceGap || !strings.Contains(m.Get(message.Reason), "cause=41") {
				t.Errorf("%s %+v", m.URI, m.Headers)
			}
			w.phone.reply(m, 481, "", "") // it had noticed by itself
		}
		w.wait()
		if legs, transactions := w.edge.table.count(); legs+transactions != 0 {
			t.Errorf("%d legs and %d transactions are left", legs, transactions)
		}
		for _, c := range []struct {
			trunk, trace string
			want         error
		}{{"phone", "{", ErrTrace}, {"phone", "{}", ErrTrace}, {"gone", in, ErrUnknownTrunk}} {
			if err := w.edge.Bury(c.trunk, c.trace); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		}
	})
}
