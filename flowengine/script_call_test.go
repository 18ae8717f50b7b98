package flowengine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/ivr"
)

// phone is a call of a script, hosted as the voice edge does it: the machine of
// package ivr runs its tasks. What it plays is over at once.
type phone struct {
	h      *inhabitant
	id     string
	m      ivr.Machine
	task   CallTask
	send   *Send // of a call that we make: not told yet how it began
	timers []phoneTimer
	began  time.Time
}

type phoneTimer struct {
	number uint32
	due    time.Time
}

// callCommand plays a line of a script that is about calls:
//
//	call FROM TO             a person calls a number of ours
//	press KEYS               the last caller presses keys
//	leg N answered|ended     what a leg does that was called; 0: the person whom we call
//	leg N busy|no_answer|failed [CODE]
//	speak [DURATION]         what is being recorded; nothing: silence
//	detected human|machine|fax
//	hangup                   the last caller hangs up
//	lost                     the process that held the person's calls is gone
//	overdue                  the outcome of the last task comes once more (X1)
func (w *world) callCommand(word string, args []string) bool {
	p := w.phone
	switch word {
	case "call":
		w.nth++
		w.phone = &phone{h: w.who(args[0]), id: "c" + strconv.Itoa(w.nth), began: w.now}
		w.phones = append(w.phones, w.phone)
		w.step(w.phone.h, &Calling{Call: w.phone.id, From: Address{Phone, args[0]}, To: args[1], At: w.now})
	case "press":
		for _, k := range []byte(args[0]) {
			w.happens(p, ivr.Key{Key: k})
		}
	case "leg":
		n, _ := strconv.Atoi(args[0])
		leg := ivr.Leg(n)
		switch args[1] {
		case "answered":
			w.happens(p, ivr.Answered{Leg: leg})
		case "ended":
			w.happens(p, ivr.Ended{Leg: leg, At: w.now.Sub(p.began)})
		default:
			w.happens(p, ivr.Failed{Leg: leg, Why: ivr.Port(args[1]), Code: strings.Join(args[2:], "")})
		}
	case "speak":
		e := ivr.Recorded{}
		if len(args) > 0 {
			e.ID = "r1"
			e.Length, _ = time.ParseDuration(args[0])
		}
		w.happens(p, e)
	case "detected":
		w.happens(p, ivr.Detected{What: ivr.Port(args[0])})
	case "hangup":
		w.happens(p, ivr.Ended{At: w.now.Sub(p.began)})
	case "lost":
		w.phones = nil
		w.step(w.last, &CallsLost{})
	case "overdue":
		w.step(p.h, &CallOutcome{Call: p.id, Origin: p.task.Origin, Outcome: ivr.Outcome{Port: ivr.PortDone}})
	default:
		return false
	}
	return true
}

// happens lets something happen on a call.
func (w *world) happens(p *phone, e ivr.Event) {
	_, gone := e.(ivr.Ended)
	busy := p.m.Busy()
	w.host(p, p.m.Handle(e))
	if gone && !busy && p.m.Over() {
		w.step(p.h, &CallEnded{Call: p.id, Origin: p.task.Origin})
	}
}

// begin gives a task to the call.
func (w *world) begin(t CallTask) {
	for _, p := range w.phones {
		if p.id == t.Call {
			p.task = t
			w.host(p, p.m.Begin(t.Task))
			return
		}
	}
	w.say("call %s is not there: %s", t.Call, t.Task.Kind)
}

// dial makes a call that a flow has asked for.
func (w *world) dial(h *inhabitant, s *Send) {
	var t ivr.Task
	if err := json.Unmarshal([]byte(s.Text), &t); err != nil {
		w.t.Fatal(err)
	}
	p := &phone{h: h, id: s.ID, send: s, began: w.now}
	w.phone, w.phones = p, append(w.phones, p)
	w.host(p, p.m.Begin(t))
}

// host carries out what the machine wants.
func (w *world) host(p *phone, commands []ivr.Command) {
	for _, c := range slices.Clone(commands) {
		if e := w.carry(p, c); e != nil {
			defer w.happens(p, e)
		}
	}
}

// carry carries out one command; what follows from it at once is returned.
func (w *world) carry(p *phone, c ivr.Command) ivr.Event {
	switch c := c.(type) {
	case ivr.Answer:
		w.say("  answers")
		return ivr.Answered{}
	case ivr.Play:
		w.say("  plays %s%s%s", heard(c.Prompt), times(c.Prompt.Loop), map[bool]string{true: " for ever"}[c.Forever])
		if !c.Forever {
			return ivr.Played{Play: c.Play}
		}
	case ivr.Call:
		w.say("  calls %s on leg %d %s", c.To, c.Leg, c.CallerID)
	case ivr.HangUp:
		w.say("  hangs up on leg %d %s", c.Leg, c.Cause)
	case ivr.Ring:
		w.say("  rings")
	case ivr.Bridge:
		w.say("  connects leg %d", c.Leg)
		return ivr.Connected{Leg: c.Leg, At: w.now.Sub(p.began)}
	case ivr.StartRecording:
		w.say("  records for %s", c.Max)
	case ivr.StartDetection:
		w.say("  listens who it is")
	case ivr.StartTimer:
		p.timers = append(p.timers, phoneTimer{c.Timer, w.now.Add(c.After)})
	case ivr.StopTimer:
		p.timers = slices.DeleteFunc(p.timers, func(t phoneTimer) bool { return t.number == c.Timer })
	case ivr.Finish:
		p.timers = nil
		w.finished(p, c.Outcome)
	}
	return nil
}

func (w *world) finished(p *phone, o ivr.Outcome) {
	if p.send == nil {
		w.step(p.h, &CallOutcome{Call: p.id, Origin: p.task.Origin, Outcome: o})
		return
	}
	s := p.send
	p.send = nil
	if o.Port == ivr.PortDone { // by HangUp, while it rang
		o.Port = ivr.PortHungUp
	}
	accepted := o.Port == ivr.PortAnswered || o.Port == ivr.PortMachine
	w.step(p.h, &SendResult{ID: s.ID, Origin: s.Origin, Channel: s.Channel, To: s.To, Carrier: "t1", Parts: 1, Accepted: accepted, Reason: string(o.Port), Call: &o})
}

// nextTimer is the earliest timer of all calls that is due by then.
func (w *world) nextTimer(until time.Time) (p *phone, t phoneTimer) {
	for _, one := range w.phones {
		for _, timer := range one.timers {
			if !timer.due.After(until) && (p == nil || timer.due.Before(t.due)) {
				p, t = one, timer
			}
		}
	}
	return p, t
}

// ring lets a timer of a call fire.
func (w *world) ring(p *phone, t phoneTimer) {
	w.now = t.due
	p.timers = slices.DeleteFunc(p.timers, func(o phoneTimer) bool { return o == t })
	w.happens(p, ivr.TimerFired{Timer: t.number})
}

func heard(p *ivr.Prompt) string {
	var parts []string
	for _, s := range p.Sounds {
		text := s.File + s.URL + s.Recording
		if s.Text != "" {
			text = strconv.Quote(s.Text)
		}
		parts = append(parts, strings.TrimSpace(text+" "+s.Language))
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" %d times", n)
}
