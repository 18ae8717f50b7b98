package flowengine

import (
	"time"

	"trunkline/ivr"
)

// SendVoice calls the person and says something: a message like any other.
type SendVoice struct {
	VoiceMessage `yaml:",inline"`
}

// VoiceMessage is a call in which something is said.
type VoiceMessage struct {
	Sounds      Sounds `yaml:"sounds" required:"true" doc:"What is said: {say: …}, {file: …}, {url: …}, or a list of these."`
	Loop        int    `yaml:"loop" default:"1" min:"1" max:"10" doc:"How often it is heard."`
	Message     bool   `yaml:"leave_message" doc:"Say it to answering machines as well, after their greeting."`
	CallOptions `yaml:",inline"`
}

func (m *VoiceMessage) check(c *Checker, path ...any) {
	in := func(key string) []any { return append(path[:len(path):len(path)], key) }
	m.CallOptions.check(c, path...)
	m.Sounds.check(c, in("sounds")...)
	if m.Message && !m.DetectMachine {
		c.ErrorfAt(in("leave_message"), "nobody would know that it is a machine: say `detect_machine: true` too")
	}
}

// compose makes the message for a person, or says why there is none.
func (m *VoiceMessage) compose(x *Passage, lane int) (s Send, notSent string, hold time.Time) {
	p, err := m.Sounds.prompt(x)
	if err != nil {
		return s, NotSentRenderError + ": " + err.Error(), hold
	}
	p.Loop = m.Loop
	return m.outbound(x, lane, p, m.Message)
}

func (m *VoiceMessage) words() string { return m.Sounds.words() }

// heard says whether the message was: by somebody to its end, or by a machine for which
// it was meant too.
func (m *VoiceMessage) heard(r *SendResult) bool {
	if !r.Accepted || r.Call == nil {
		return false
	}
	return r.Call.Port == ivr.PortAnswered || r.Call.Port == ivr.PortMachine && m.Message
}

// Ports lists the outcomes of the element.
func (e *SendVoice) Ports() []string {
	return []string{string(ivr.PortAnswered), portMachineAnswered, string(ivr.PortBusy), string(ivr.PortNoAnswer), portFailed, portNotSent, portRenderError, portHungUp}
}

// Check prepares the message.
func (e *SendVoice) Check(c *Checker) { e.check(c) }

func (e *SendVoice) call() bool { return false }

// Arrive calls.
func (e *SendVoice) Arrive(x *Passage) Outcome {
	s, notSent, hold := e.compose(x, 0)
	return dial(x, s, notSent, hold)
}

// Resume goes on when it was said, or not.
func (e *SendVoice) Resume(x *Passage, c Cause) Outcome {
	r, ok := c.(*SendResult)
	if !ok {
		return e.Arrive(x) // a cap has a place again
	}
	call := x.Run.Call // of another one that goes on, perhaps
	out := e.began(x, r)
	if call != nil && call.ID != "" {
		x.Run.Call = call
	}
	return out
}
