package ivr

import "time"

// Machine is the state of one call, over all of its elements. Its methods return
// commands that the host carries out in order; the slice is valid until the next
// call. A Machine must not be used concurrently.
//
// What is pressed while nobody listens is kept, in order and up to MaxDigits
// keys, for the next element that collects digits (type-ahead).
type Machine struct {
	answered bool // the caller hears what we play
	over     bool // the caller's leg has ended
	element  element
	typed    []byte
	// trailing is the key that would have finished an entry which was complete
	// without it. Who presses it all the same means nothing by it.
	trailing byte

	serial  uint32 // of the latest prompt or timer
	lastLeg Leg

	playing   uint32 // what the caller hears; 0: silence
	ringing   bool
	recording bool
	detecting bool

	out []Command
}

// element is a task at work.
type element interface {
	begin(m *Machine)
	// handle takes an event of the call, and tells whether it had a use for a key
	// of the caller.
	handle(m *Machine, e Event) (used bool)
	// hungUp tells what came of the task by the time at which the caller's leg ended.
	hungUp(m *Machine, e Ended) Outcome
}

// Begin begins a task. While another runs, the new one takes its place and the
// other finishes no more.
func (m *Machine) Begin(t Task) []Command {
	m.out = m.out[:0]
	m.release()
	switch {
	case t.Kind == KindHangUp:
		m.hangUp(t.Cause)
	case m.over:
		m.finish(Outcome{Port: PortHungUp})
	case m.answered || t.answersItself():
		m.element = t.element()
		m.element.begin(m)
	default:
		m.element = &answering{next: t.element()}
		m.element.begin(m)
	}
	return m.out
}

// Handle takes what happens on the call.
func (m *Machine) Handle(e Event) []Command {
	m.out = m.out[:0]
	if m.over {
		return nil
	}
	switch e := e.(type) {
	case Ended:
		if e.Leg == Caller {
			m.ended(e)
			return m.out
		}
	case Key:
		if e.Leg == Caller {
			m.key(e)
			return m.out
		}
	case Played:
		m.heard(e.Play)
	case PlayFailed:
		m.heard(e.Play)
	case Recorded, RecordFailed:
		m.recording = false
	}
	if m.element != nil {
		m.element.handle(m, e)
	}
	return m.out
}

// Busy says whether a task runs.
func (m *Machine) Busy() bool { return m.element != nil }

// Over says whether the caller's leg has ended.
func (m *Machine) Over() bool { return m.over }

// Answered says whether the caller's leg was answered.
func (m *Machine) Answered() bool { return m.answered }

// ended ends the element that ran, and with it whatever it had begun.
func (m *Machine) ended(e Ended) {
	m.over = true
	if m.element != nil {
		m.finish(m.element.hungUp(m, e))
	}
}

func (m *Machine) key(e Key) {
	used := m.element != nil && m.element.handle(m, e)
	if !used && len(m.typed) < MaxDigits {
		m.typed = append(m.typed, e.Key)
	}
}

func (m *Machine) heard(play uint32) {
	if play == m.playing {
		m.playing = 0
	}
}

// finish ends the element.
func (m *Machine) finish(o Outcome) {
	m.release()
	o.Over = m.over
	m.do(Finish{o})
}

// release stops what the element has begun and not ended.
func (m *Machine) release() {
	if m.element == nil {
		return
	}
	if f, ok := m.element.(*forward); ok {
		f.hangUpAll(m)
	}
	m.element = nil
	if m.over {
		return
	}
	m.silence()
	if m.recording {
		m.do(StopRecording{})
		m.recording = false
	}
	if m.detecting {
		m.do(StopDetection{})
		m.detecting = false
	}
}

// hangUp ends the call.
func (m *Machine) hangUp(cause Cause) {
	if !m.over {
		m.do(HangUp{Caller, cause})
		m.over = true
	}
	m.finish(Outcome{Port: PortDone})
}

func (m *Machine) do(c Command) { m.out = append(m.out, c) }

func (m *Machine) number() uint32 {
	m.serial++
	return m.serial
}

// play lets a leg hear a prompt.
func (m *Machine) play(leg Leg, p *Prompt, forever bool) uint32 {
	n := m.number()
	if leg == Caller {
		m.playing, m.ringing = n, false
	}
	m.do(Play{Play: n, Leg: leg, Prompt: p.bounded(), Forever: forever})
	return n
}

// silence ends what the caller hears.
func (m *Machine) silence() {
	if m.playing != 0 || m.ringing {
		m.do(StopPlay{Caller})
		m.playing, m.ringing = 0, false
	}
}

func (m *Machine) ring(r Ring) {
	m.do(r)
	m.playing, m.ringing = 0, true
}

func (m *Machine) startTimer(after time.Duration) uint32 {
	n := m.number()
	m.do(StartTimer{n, after})
	return n
}

// stopTimer stops a timer, if one runs.
func (m *Machine) stopTimer(timer *uint32) {
	if *timer != 0 {
		m.do(StopTimer{*timer})
		*timer = 0
	}
}

// bounded is a prompt within the limits of one.
func (p *Prompt) bounded() *Prompt {
	if p.Loop >= 1 && p.Loop <= MaxLoop && len(p.Sounds) <= MaxSounds {
		return p
	}
	b := *p
	b.Loop = min(max(b.Loop, 1), MaxLoop)
	b.Sounds = b.Sounds[:min(len(b.Sounds), MaxSounds)]
	return &b
}

// answersItself says whether a task goes without an answered call.
func (t *Task) answersItself() bool {
	switch t.Kind {
	case KindForward, KindStartCall:
		return true
	case KindPlay:
		return t.Prompt != nil && t.Prompt.Early
	}
	return false
}

// element makes the element of a task.
func (t *Task) element() element {
	switch {
	case t.Kind == KindAnswer:
		return done{}
	case t.Kind == KindPlay && t.Prompt != nil:
		return &play{prompt: t.Prompt}
	case t.Kind == KindCollect && t.Collect != nil:
		return newCollect(t)
	case t.Kind == KindRecord && t.Record != nil:
		return &recording{record: *t.Record, prompt: t.Prompt}
	case t.Kind == KindForward && t.Forward != nil && len(t.Forward.Targets) > 0:
		return newForward(t.Forward)
	case t.Kind == KindDetect && t.Detect != nil:
		return &detection{detect: *t.Detect}
	case t.Kind == KindStartCall && t.Dial != nil:
		return &dialling{dial: *t.Dial, prompt: t.Prompt}
	}
	return impossible{}
}

// base is what elements have in common that know better of nothing.
type base struct{}

func (base) handle(*Machine, Event) bool    { return false }
func (base) hungUp(*Machine, Ended) Outcome { return Outcome{Port: PortHungUp} }

// done is an element with nothing to do: an answered call is all that was asked for.
type done struct{ base }

func (done) begin(m *Machine) { m.finish(Outcome{Port: PortDone}) }

// impossible is a task that says too little.
type impossible struct{ base }

func (impossible) begin(m *Machine) { m.finish(Outcome{Port: PortFailed, Code: "bad_task"}) }

// answering answers the call before the element that needs it.
type answering struct {
	base
	next element
}

func (a *answering) begin(m *Machine) { m.do(Answer{}) }

func (a *answering) handle(m *Machine, e Event) bool {
	switch e := e.(type) {
	case Answered:
		if e.Leg == Caller {
			m.answered = true
			m.element = a.next
			a.next.begin(m)
		}
	case Failed:
		if e.Leg == Caller {
			m.finish(Outcome{Port: PortFailed, Code: e.Code})
		}
	}
	return false
}
