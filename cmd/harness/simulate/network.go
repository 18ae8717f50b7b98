package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// network is the carrier, and whoever answers requests over HTTP. It takes
// messages, answers when it likes, and reports what became of them: early, late,
// twice, or never.
type network struct {
	w         *world
	letters   map[string]*letter
	waiting   []*attempt        // not answered in this life
	reports   []report          // to be sent
	broadcast map[string]string // messages, by broadcast and address
	keys      int
}

// letter is a message as it was handed over the first time.
type letter struct {
	send     flowengine.Send
	life     int // of the last attempt
	answered bool
	again    bool      // the last answer was: try again
	sure     bool      // it never may be sent twice
	taken    bool      // a carrier took it
	earliest time.Time // when it may have been made
}

// attempt is a message that waits for its answer.
type attempt struct {
	id, to, channel string
	marketing       bool
	done            func(runtime.Outcome)
	key             string // under which it is reported
}

type report struct{ to, key, state string }

func newNetwork(w *world) *network {
	return &network{w: w, letters: map[string]*letter{}, broadcast: map[string]string{}}
}

// begin and lost are the two ends of a life: answers to the last one reach nobody.
func (n *network) begin() { n.waiting = nil }
func (n *network) lost()  { n.waiting = nil }

// Units implements runtime.Sender.
func (n *network) Units(*runtime.Message) uint8 { return 1 }

// Send implements runtime.Sender, and looks at what it gets (rule X2).
func (n *network) Send(m *runtime.Message, done func(runtime.Outcome)) {
	w := n.w
	if m.Receipt != nil {
		done(runtime.Outcome{Fate: runtime.FateAccepted, Parts: 1})
		return
	}
	if m.NotBefore.After(w.clock) {
		w.wrong("message %s goes out at %s, before its time %s", m.ID, w.clock, m.NotBefore)
	}
	l := n.letters[m.ID]
	switch {
	case l == nil:
		l = &letter{send: m.Send, sure: m.Marketing, earliest: m.NotBefore}
		n.letters[m.ID] = l
		n.once(m)
	case l.send.To != m.To || l.send.Text != m.Text || l.send.Origin != m.Origin:
		w.wrong("two messages have the id %s: %q to %s and %q to %s", m.ID, l.send.Text, l.send.To, m.Text, m.To)
	case l.life == w.lives && !l.answered:
		w.wrong("message %s is handed over again before it was answered", m.ID)
	case l.life == w.lives && !l.again:
		w.wrong("message %s is handed over again after its last answer", m.ID)
	case l.sure && !l.again:
		w.wrong("marketing message %s is sent twice", m.ID)
	}
	l.life, l.answered, l.again = w.lives, false, false
	n.keys++
	n.waiting = append(n.waiting, &attempt{m.ID, m.To, m.Channel, m.Marketing, done, fmt.Sprintf("key%d", n.keys)})
}

// once checks that an address gets a broadcast once (rule B1).
func (n *network) once(m *runtime.Message) {
	if !strings.HasPrefix(m.Origin.Flow, broadcastFlow) {
		return
	}
	k := m.Origin.Flow + " " + m.To
	if before := n.broadcast[k]; before != "" {
		n.w.wrong("B1: %s gets %s twice: %s and %s", m.To, m.Origin.Flow, before, m.ID)
	}
	n.broadcast[k] = m.ID
}

func (n *network) idle() bool { return len(n.waiting) == 0 && len(n.reports) == 0 }

// act answers a message or sends a report.
func (n *network) act() {
	if len(n.reports) > 0 && n.w.one(2) {
		i := n.w.rng.IntN(len(n.reports))
		r := n.reports[i]
		n.reports = slices.Delete(n.reports, i, i+1)
		n.report(r)
		return
	}
	if len(n.waiting) == 0 {
		return
	}
	i := n.w.rng.IntN(len(n.waiting))
	a := n.waiting[i]
	if n.w.one(8) && a.channel == "sms" { // the report overtakes the answer
		n.report(report{a.to, a.key, n.state()})
	}
	n.waiting = slices.Delete(n.waiting, i, i+1)
	n.answer(a)
}

// answer tells what became of an attempt.
func (n *network) answer(a *attempt) {
	l, rng := n.letters[a.id], n.w.rng
	l.answered = true
	o := runtime.Outcome{Fate: runtime.FateAccepted, Carrier: "carrier", Parts: 1, Keys: []string{a.key}}
	switch d := rng.IntN(100); {
	case d < 8:
		o = runtime.Outcome{Fate: runtime.FateRetry, Carrier: "carrier", After: time.Duration(1+rng.IntN(120)) * time.Second}
		l.again = true
	case d < 15:
		o = runtime.Outcome{Fate: runtime.FateRejected, Carrier: "carrier", Code: "no"}
	case d < 19:
		o = runtime.Outcome{Fate: runtime.FateInDoubt, Carrier: "carrier"}
		l.again = !a.marketing
	case a.channel == flowengine.ChannelHTTP:
		o.Keys, o.Vars = nil, flowengine.Attrs{{Name: "n", Value: flowengine.WholeValue(int64(rng.IntN(3)))}}
	default:
		for range rng.IntN(3) { // none, one, or the same again
			n.reports = append(n.reports, report{a.to, a.key, n.state()})
		}
	}
	n.w.say("message %s: %s %s", a.id, o.Fate, a.key)
	l.taken = l.taken || o.Fate == runtime.FateAccepted
	a.done(o)
}

func (n *network) state() string {
	return pick(n.w.rng, []string{runtime.StateDelivered, runtime.StateDelivered, runtime.StateUndeliverable, runtime.StateEnroute})
}

func (n *network) report(r report) {
	w := n.w
	w.say("report %s %s", r.key, r.state)
	w.book.outstanding++
	w.rt.Report(&runtime.Delivery{
		Carrier: "carrier", Keys: []string{r.key}, To: r.to, Other: numbers[0], State: r.state, Final: r.state != runtime.StateEnroute, At: w.clock,
	}, w.answered(func(error) {}))
}
