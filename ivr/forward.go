package ivr

import (
	"strings"
	"time"
)

// standing is how far a target of a forwarded call has come.
type standing uint8

const (
	untried    standing = iota
	called              // rings, or will
	whispering          // has answered and hears what it is about
	confirming          // has to press the key
	connecting          // is taken; the caller's leg is being answered
	talking
	gone
)

// target is one of those whom a call may be forwarded to.
type target struct {
	leg   Leg
	state standing
	play  uint32 // of the whisper
	timer uint32 // of the confirmation
}

// forward connects the caller with the first of some targets that takes the call.
type forward struct {
	Forward
	targets []target
	timer   uint32        // of ringing; then of the talk
	since   time.Duration // when the talk began
	linked  bool          // it has begun
	why     Port          // nobody took it so far
	code    string
	early   Leg // whose early media the caller hears
}

func newForward(f *Forward) *forward {
	e := &forward{Forward: *f, why: PortFailed, code: "no_target"}
	e.Targets = e.Targets[:min(len(e.Targets), MaxTargets)]
	e.targets = make([]target, len(e.Targets))
	return e
}

func (f *forward) begin(m *Machine) {
	m.typed = m.typed[:0]
	for i := range f.targets {
		m.lastLeg++
		f.targets[i].leg = m.lastLeg
	}
	f.ringback(m)
	if !f.Parallel {
		f.next(m)
		return
	}
	for i := range f.targets {
		f.call(m, i)
	}
	f.timer = m.startTimer(f.Timeout)
}

// ringback lets the caller hear that somebody is being called.
func (f *forward) ringback(m *Machine) {
	switch {
	case f.Ringback == RingbackNone:
	case f.Ringback == RingbackMusic && f.Music != nil:
		m.play(Caller, f.Music, true)
	default:
		m.ring(Ring{})
	}
}

func (f *forward) call(m *Machine, i int) {
	f.targets[i].state = called
	m.do(Call{Leg: f.targets[i].leg, To: f.Targets[i], CallerID: f.CallerID, Trunk: f.Trunk})
}

// next tries the next target, or gives up.
func (f *forward) next(m *Machine) {
	m.stopTimer(&f.timer)
	for i := range f.targets {
		if f.targets[i].state == untried && !f.Parallel {
			f.call(m, i)
			f.timer = m.startTimer(f.Timeout)
			return
		}
	}
	m.finish(Outcome{Port: f.why, Code: f.code})
}

func (f *forward) handle(m *Machine, e Event) bool {
	switch e := e.(type) {
	case Key:
		if t := f.of(e.Leg); t != nil {
			f.pressed(m, t, e.Key)
		}
		return true
	case EarlyMedia:
		if t := f.of(e.Leg); t != nil && t.state == called && f.Ringback == RingbackEarly && f.early == 0 {
			f.early = t.leg
			m.ring(Ring{Early: true, Leg: t.leg})
		}
	case Answered:
		f.answered(m, e.Leg)
	case Failed:
		if e.Leg == Caller {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		} else if t := f.of(e.Leg); t != nil {
			f.lost(m, t, e.Why.unanswered(), e.Code)
		}
	case Connected:
		if t := f.of(e.Leg); t != nil && t.state == talking {
			f.since, f.linked = e.At, true
		}
	case Ended:
		if t := f.of(e.Leg); t != nil {
			f.ended(m, t, e)
		}
	case Played:
		f.whispered(m, e.Play)
	case PlayFailed:
		f.whispered(m, e.Play)
	case TimerFired:
		f.waited(m, e.Timer)
	}
	return false
}

// of finds the target of a leg that is still in play.
func (f *forward) of(leg Leg) *target {
	for i := range f.targets {
		if t := &f.targets[i]; t.leg == leg && t.state != untried && t.state != gone {
			return t
		}
	}
	return nil
}

func (f *forward) answered(m *Machine, leg Leg) {
	if leg == Caller { // who was answered for the sake of somebody
		m.answered = true
		for i := range f.targets {
			if f.targets[i].state == connecting {
				f.bridge(m, &f.targets[i])
			}
		}
		return
	}
	t := f.of(leg)
	if t == nil || t.state != called {
		return
	}
	if !f.Parallel {
		m.stopTimer(&f.timer)
	}
	switch {
	case f.Whisper != nil:
		t.state = whispering
		t.play = m.play(leg, f.Whisper, false)
	case f.Confirm != "":
		f.askToConfirm(m, t)
	default:
		f.take(m, t)
	}
}

func (f *forward) whispered(m *Machine, play uint32) {
	for i := range f.targets {
		t := &f.targets[i]
		if t.state != whispering || t.play != play {
			continue
		}
		if f.Confirm != "" {
			f.askToConfirm(m, t)
		} else {
			f.take(m, t)
		}
		return
	}
}

func (f *forward) askToConfirm(m *Machine, t *target) {
	t.state = confirming
	t.timer = m.startTimer(max(f.ConfirmTimeout, time.Second))
}

func (f *forward) pressed(m *Machine, t *target, k byte) {
	if (t.state == whispering || t.state == confirming) && f.Confirm != "" && strings.IndexByte(f.Confirm, k) >= 0 {
		if t.state == whispering {
			m.do(StopPlay{t.leg})
		}
		f.take(m, t)
	}
}

// take connects the caller with a target, and lets go of the others.
func (f *forward) take(m *Machine, t *target) {
	m.stopTimer(&t.timer)
	m.stopTimer(&f.timer)
	for i := range f.targets {
		if o := &f.targets[i]; o != t {
			f.drop(m, o)
		}
	}
	if !m.answered {
		t.state = connecting
		m.do(Answer{})
		return
	}
	f.bridge(m, t)
}

func (f *forward) bridge(m *Machine, t *target) {
	t.state = talking
	m.playing, m.ringing = 0, false // Bridge ends it
	m.do(Bridge{t.leg})
	if f.MaxTalk > 0 {
		f.timer = m.startTimer(f.MaxTalk)
	}
}

// drop hangs up on a target, if it was called.
func (f *forward) drop(m *Machine, t *target) {
	if t.state == untried || t.state == gone {
		return
	}
	if t.timer != 0 && !m.over {
		m.stopTimer(&t.timer)
	}
	m.do(HangUp{t.leg, CauseNormal})
	t.state = gone
}

func (f *forward) hangUpAll(m *Machine) {
	for i := range f.targets {
		f.drop(m, &f.targets[i])
	}
}

// lost goes on without a target.
func (f *forward) lost(m *Machine, t *target, why Port, code string) {
	m.stopTimer(&t.timer)
	t.state = gone
	f.note(why, code)
	f.unheard(m, t)
	if !f.busy() {
		f.next(m)
	}
}

// unheard lets the caller hear the tone again in place of a target that is gone.
func (f *forward) unheard(m *Machine, t *target) {
	if f.early == t.leg {
		f.early = 0
		f.ringback(m)
	}
}

// note keeps the most hopeful of the reasons for which nobody took the call.
func (f *forward) note(why Port, code string) {
	hope := map[Port]int{PortFailed: 1, PortBusy: 2, PortNoAnswer: 3}
	if f.code == "no_target" || hope[why] > hope[f.why] {
		f.why, f.code = why, code
	}
}

// busy says whether a target is still in play.
func (f *forward) busy() bool {
	for i := range f.targets {
		if s := f.targets[i].state; s != untried && s != gone {
			return true
		}
	}
	return false
}

func (f *forward) ended(m *Machine, t *target, e Ended) {
	if t.state != talking {
		f.lost(m, t, PortNoAnswer, e.Code)
		return
	}
	t.state = gone
	if f.Hangup {
		m.do(HangUp{Caller, CauseNormal})
		m.over = true
	}
	m.finish(f.talked(t, e))
}

// talked is what came of a talk that ended.
func (f *forward) talked(t *target, e Ended) Outcome {
	o := Outcome{Port: PortAnswered, Target: f.Targets[t.leg-f.targets[0].leg], Code: e.Code}
	if f.linked && e.At > f.since {
		o.Talk = e.At - f.since
	}
	return o
}

func (f *forward) waited(m *Machine, timer uint32) {
	if timer == f.timer {
		f.timer = 0
		f.rung(m)
		return
	}
	for i := range f.targets {
		if t := &f.targets[i]; t.state == confirming && t.timer == timer {
			t.timer = 0
			m.do(HangUp{t.leg, CauseNormal})
			f.lost(m, t, PortNoAnswer, "not_confirmed")
			return
		}
	}
}

// rung is the end of the time for ringing, or of that for the talk.
func (f *forward) rung(m *Machine) {
	for i := range f.targets {
		t := &f.targets[i]
		switch t.state {
		case talking:
			m.do(HangUp{t.leg, CauseNormal}) // Ended tells how long it was
			return
		case called:
			f.drop(m, t)
			f.note(PortNoAnswer, "")
			f.unheard(m, t)
		}
	}
	if !f.busy() {
		f.next(m)
	}
}

// hungUp: who has talked was forwarded, whoever hangs up.
func (f *forward) hungUp(_ *Machine, e Ended) Outcome {
	for i := range f.targets {
		if t := &f.targets[i]; t.state == talking {
			return f.talked(t, e)
		}
	}
	return Outcome{Port: PortHungUp}
}
