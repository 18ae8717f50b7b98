package ivr

import "time"

// listening finds out who has answered, within an element that needs to know.
type listening struct {
	timer   uint32
	machine bool // a machine is greeting
}

func (l *listening) begin(m *Machine, d Detect) {
	m.detecting = true
	m.do(StartDetection{})
	l.timer = m.startTimer(d.Timeout)
}

// handle tells who has answered, once that is known.
func (l *listening) handle(m *Machine, d Detect, e Event) (who Port, known bool) {
	switch e := e.(type) {
	case Detected:
		switch {
		case l.machine:
			return "", false
		case e.What == PortMachine && d.Greeting > 0:
			l.machine = true
			m.stopTimer(&l.timer)
			l.timer = m.startTimer(min(d.Greeting, MaxGreeting))
			return "", false
		case e.What == PortHuman || e.What == PortMachine || e.What == PortFax:
			return l.found(m, e.What)
		}
		return l.found(m, PortUnknown)
	case GreetingEnded:
		if l.machine {
			return l.found(m, PortMachine)
		}
	case TimerFired:
		if l.timer == 0 || e.Timer != l.timer {
			return "", false
		}
		l.timer = 0
		if l.machine {
			return l.found(m, PortMachine)
		}
		return l.found(m, PortUnknown)
	}
	return "", false
}

func (l *listening) found(m *Machine, who Port) (Port, bool) {
	m.stopTimer(&l.timer)
	m.do(StopDetection{})
	m.detecting = false
	return who, true
}

// detection is an element that only wants to know who has answered.
type detection struct {
	base
	detect Detect
	listening
}

func (d *detection) begin(m *Machine) { d.listening.begin(m, d.detect) }

func (d *detection) hungUp(m *Machine, e Ended) Outcome { return d.base.hungUp(m, e) }

func (d *detection) handle(m *Machine, e Event) bool {
	if who, known := d.listening.handle(m, d.detect, e); known {
		m.finish(Outcome{Port: who})
	}
	return false
}

// dialling makes a call. With a prompt it says that to who answers, and ends the
// call.
type dialling struct {
	base
	dial   Dial
	prompt *Prompt

	timer     uint32
	detecting bool
	listening listening
	number    uint32 // of the prompt
	who       Port   // has answered: PortAnswered or PortMachine
}

func (d *dialling) begin(m *Machine) {
	m.do(Call{Leg: Caller, To: d.dial.To, CallerID: d.dial.CallerID, Trunk: d.dial.Trunk, MaxTalk: d.dial.MaxTalk})
	d.timer = m.startTimer(max(d.dial.Timeout, time.Second))
}

func (d *dialling) handle(m *Machine, e Event) bool {
	if d.detecting {
		if who, known := d.listening.handle(m, *d.dial.Detect, e); known {
			d.detecting = false
			d.met(m, who)
		}
		return false
	}
	switch e := e.(type) {
	case Answered:
		if e.Leg == Caller && !m.answered {
			d.answered(m)
		}
	case Failed:
		if e.Leg == Caller && !m.answered {
			m.over = true
			m.finish(Outcome{Port: e.Why.unanswered(), Code: e.Code})
		}
	case TimerFired:
		if d.timer != 0 && e.Timer == d.timer {
			m.do(HangUp{Caller, CauseNormal})
			m.over = true
			m.finish(Outcome{Port: PortNoAnswer})
		}
	case Played:
		if e.Play == d.number {
			d.said(m, Outcome{Port: d.who})
		}
	case PlayFailed:
		if e.Play == d.number {
			d.said(m, Outcome{Port: PortFailed, Code: e.Code})
		}
	}
	return false
}

func (d *dialling) answered(m *Machine) {
	m.answered = true
	m.stopTimer(&d.timer)
	if d.dial.Detect == nil {
		d.met(m, PortHuman)
		return
	}
	d.detecting = true
	d.listening.begin(m, *d.dial.Detect)
}

// met knows who has answered.
func (d *dialling) met(m *Machine, who Port) {
	d.who = PortAnswered
	if who == PortMachine || who == PortFax {
		d.who = PortMachine
	}
	switch {
	case d.prompt == nil:
		m.finish(Outcome{Port: d.who})
	case d.who == PortMachine && (!d.dial.Message || who == PortFax):
		d.said(m, Outcome{Port: PortMachine})
	default:
		d.number = m.play(Caller, d.prompt, false)
	}
}

// said ends a call on which everything was said.
func (d *dialling) said(m *Machine, o Outcome) {
	m.silence()
	m.do(HangUp{Caller, CauseNormal})
	m.over = true
	m.finish(o)
}

// unanswered is why a leg did not come about, as one of the ports for that.
func (p Port) unanswered() Port {
	if p == PortBusy || p == PortNoAnswer {
		return p
	}
	return PortFailed
}
