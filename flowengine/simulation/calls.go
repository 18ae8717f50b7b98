package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/ivr"
	"trunkline/keyword"
)

const channelVoice = "voice"

// autoTalk is how long the two of a forwarded call talk, with auto.
const autoTalk = time.Minute

// line is a call: what runs tasks on it is the machine that the voice edge uses.
// Prompts are over as soon as they begin.
type line struct {
	id     string
	player *Player
	m      ivr.Machine
	task   flowengine.CallTask
	send   *flowengine.Send // of a call that the flow makes: not told yet how it began
	began  time.Time
	// ringing are the legs that were called and have not answered, oldest first;
	// talking is the one that the caller is connected with.
	ringing   []ivr.Leg
	talking   ivr.Leg
	recording bool
	detecting bool
}

// lineEvent is something that is going to happen on a call.
type lineEvent struct {
	line  *line
	event ivr.Event
}

// call lets a step happen that is about calls.
func (d *director) call(p *Player, s *Step) error {
	if s.Call != "" {
		d.nth++
		to := keyword.Number(s.Call)
		l := &line{id: "call" + strconv.Itoa(d.nth), player: p, began: d.now}
		d.lines = append(d.lines, l)
		return d.cause(p, &flowengine.Calling{Call: l.id, From: p.Person.Addresses[0], To: to, At: d.now}, "calls "+to)
	}
	i := slices.IndexFunc(d.lines, func(l *line) bool { return l.player == p && !l.m.Over() })
	if i < 0 {
		return fmt.Errorf("%s is on no call", p.phone)
	}
	l := d.lines[i]
	switch {
	case s.Press != "":
		return d.press(l, s.Press)
	case s.HangUp:
		return d.happens(l, "hangs up", ivr.Ended{At: d.now.Sub(l.began)})
	case s.Speak > 0:
		if !l.recording {
			return errors.New("nothing is being recorded")
		}
		l.recording = false
		return d.happens(l, "speaks for "+s.Speak.String(), ivr.Recorded{ID: "recording", Length: s.Speak})
	}
	return d.callee(l, s.Callee)
}

func (d *director) press(l *line, keys string) error {
	words := "presses " + keys
	if c := l.task.Task.Collect; c != nil && c.Masked && l.m.Busy() {
		words = "presses keys that are a secret"
	}
	for i := range len(keys) {
		if err := d.happens(l, words, ivr.Key{Key: keys[i]}); err != nil {
			return err
		}
		words = ""
	}
	return nil
}

// callee is what somebody does who is being called, or talks.
func (d *director) callee(l *line, does string) error {
	switch {
	case does == "hangs_up" && l.talking != 0:
		return d.happens(l, "who was called hangs up", ivr.Ended{Leg: l.talking, At: d.now.Sub(l.began)})
	case l.detecting && (does == "human" || does == "machine" || does == "fax"):
		l.detecting = false
		return d.happens(l, "it is a "+does, ivr.Detected{What: ivr.Port(does)})
	case len(l.ringing) == 0 || does == "hangs_up" || does == "fax":
		return errors.New("nobody is there who could do that")
	}
	leg := l.ringing[0]
	l.ringing = l.ringing[1:]
	switch does {
	case "human", "machine":
		err := d.happens(l, "the call is answered", ivr.Answered{Leg: leg})
		if err == nil && l.detecting {
			err = d.callee(l, does)
		}
		return err
	}
	return d.happens(l, "the call is not answered: "+does, ivr.Failed{Leg: leg, Why: ivr.Port(does)})
}

// happens lets something happen on a call, and tells it as a turn. What the flow
// then does is part of the same turn.
func (d *director) happens(l *line, words string, e ivr.Event) error {
	if len(d.play.Turns) >= maxTurns {
		return fmt.Errorf("the play has %d turns by now; that is too long", maxTurns)
	}
	if words != "" {
		d.play.Turns = append(d.play.Turns, Turn{At: d.now, Person: l.player.phone, Cause: words, onCall: true})
	}
	busy := l.m.Busy()
	if err := d.carryOut(l, l.m.Handle(e)); err != nil {
		return err
	}
	if end, ok := e.(ivr.Ended); ok && end.Leg == ivr.Caller && !busy {
		return d.cause(l.player, &flowengine.CallEnded{Call: l.id, Origin: l.task.Origin}, "the call is over")
	}
	return nil
}

// begin gives a task to its call.
func (d *director) begin(t flowengine.CallTask) error {
	i := slices.IndexFunc(d.lines, func(l *line) bool { return l.id == t.Call })
	if i < 0 {
		return nil
	}
	d.lines[i].task = t
	return d.carryOut(d.lines[i], d.lines[i].m.Begin(t.Task))
}

// dial makes a call that the flow asks for.
func (d *director) dial(p *Player, s *flowengine.Send) error {
	var t ivr.Task
	if err := json.Unmarshal([]byte(s.Text), &t); err != nil {
		return err
	}
	l := &line{id: s.ID, player: p, send: s, began: d.now}
	d.lines = append(d.lines, l)
	d.play.Turns = append(d.play.Turns, Turn{At: d.now, Person: p.phone, Cause: "is called", onCall: true})
	return d.carryOut(l, l.m.Begin(t))
}

// carryOut does what the machine wants. What follows at once comes afterwards.
func (d *director) carryOut(l *line, commands []ivr.Command) error {
	var next []ivr.Event
	for _, c := range slices.Clone(commands) {
		e, err := d.carry(l, c)
		if err != nil {
			return err
		}
		if e != nil {
			next = append(next, e)
		}
	}
	for _, e := range next {
		if err := d.happens(l, "", e); err != nil {
			return err
		}
	}
	return nil
}

// carry does one command; it returns what follows from it at once.
func (d *director) carry(l *line, c ivr.Command) (ivr.Event, error) {
	switch c := c.(type) {
	case ivr.Answer:
		d.tell("→ answers")
		return ivr.Answered{}, nil
	case ivr.Play:
		d.tell("→ " + heardBy(c.Leg) + " " + soundsOf(c.Prompt))
		if !c.Forever {
			return ivr.Played{Play: c.Play}, nil
		}
	case ivr.Call:
		d.tell("→ calls " + c.To)
		l.ringing = append(l.ringing, c.Leg)
		if d.script.Auto {
			return ivr.Answered{Leg: c.Leg}, nil
		}
	case ivr.HangUp:
		d.tell(strings.TrimSpace("→ hangs up " + string(c.Cause)))
		l.ringing = slices.DeleteFunc(l.ringing, func(leg ivr.Leg) bool { return leg == c.Leg })
	case ivr.Bridge:
		d.tell("→ connects the two")
		l.talking = c.Leg
		if d.script.Auto {
			d.agenda = append(d.agenda, due{at: d.now.Add(autoTalk), player: l.player, line: &lineEvent{l, ivr.Ended{Leg: c.Leg, At: d.now.Add(autoTalk).Sub(l.began)}}})
		}
		return ivr.Connected{Leg: c.Leg, At: d.now.Sub(l.began)}, nil
	case ivr.StartRecording:
		d.tell("→ records for " + c.Max.String() + " at most")
		l.recording = true
		end, e := c.Max, ivr.Event(ivr.Recorded{ID: "recording", Length: c.Max})
		if c.Silence > 0 {
			end, e = c.Silence, ivr.Recorded{}
		}
		d.agenda = append(d.agenda, due{at: d.now.Add(end), player: l.player, line: &lineEvent{l, e}})
	case ivr.StartDetection:
		d.tell("→ listens who it is")
		if l.detecting = !d.script.Auto; d.script.Auto {
			return ivr.Detected{What: ivr.PortHuman}, nil
		}
	case ivr.StartTimer:
		d.agenda = append(d.agenda, due{at: d.now.Add(c.After), player: l.player, line: &lineEvent{l, ivr.TimerFired{Timer: c.Timer}}})
	case ivr.StopTimer:
		d.forget(l, func(e ivr.Event) bool { return e == ivr.Event(ivr.TimerFired(c)) })
	case ivr.Finish:
		return nil, d.finished(l, c.Outcome)
	}
	return nil, nil
}

// forget takes what will not happen off the agenda.
func (d *director) forget(l *line, which func(ivr.Event) bool) {
	d.agenda = slices.DeleteFunc(d.agenda, func(a due) bool { return a.line != nil && a.line.line == l && which(a.line.event) })
}

// tell adds what a call does to the latest turn.
func (d *director) tell(words string) {
	t := &d.play.Turns[len(d.play.Turns)-1]
	t.Calls = append(t.Calls, words)
}

// finished tells the flow what came of a task.
func (d *director) finished(l *line, o ivr.Outcome) error {
	d.forget(l, func(ivr.Event) bool { return true })
	l.talking, l.recording, l.detecting = 0, false, false
	if l.send == nil && l.task.Task.Kind == ivr.KindHangUp { // nobody waits to hear of it
		return nil
	}
	if l.send == nil {
		return d.cause(l.player, &flowengine.CallOutcome{Call: l.id, Origin: l.task.Origin, Outcome: o}, "the call: "+strings.ReplaceAll(string(o.Port), "_", " "))
	}
	s := l.send
	l.send = nil
	if o.Port == ivr.PortDone { // by a flow that was left while it rang
		o.Port = ivr.PortHungUp
	}
	r := d.result(s, o.Port == ivr.PortAnswered || o.Port == ivr.PortMachine)
	r.Channel, r.To, r.Parts, r.Reason, r.Call = s.Channel, s.To, 1, string(o.Port), &o
	return d.cause(l.player, r, "the call: "+strings.ReplaceAll(string(o.Port), "_", " "))
}

// ring lets happen what was on the agenda of a call.
func (d *director) ring(e *lineEvent) error {
	words := "the time is up on the call"
	switch e := e.event.(type) {
	case ivr.Ended:
		words = "who was called hangs up"
	case ivr.Recorded:
		words = "the recording ends"
		if e.ID == "" {
			words = "says nothing"
		}
	}
	return d.happens(e.line, words, e.event)
}

func heardBy(leg ivr.Leg) string {
	if leg == ivr.Caller {
		return "the caller hears"
	}
	return "who answered hears"
}

// soundsOf says what is heard.
func soundsOf(p *ivr.Prompt) string {
	parts := make([]string, len(p.Sounds))
	for i, s := range p.Sounds {
		parts[i] = s.File + s.URL + s.Recording
		if s.Text != "" {
			parts[i] = strconv.Quote(s.Text)
		}
	}
	words := strings.Join(parts, ", ")
	if p.Loop > 1 {
		words += ", " + strconv.Itoa(p.Loop) + " times"
	}
	return words
}
