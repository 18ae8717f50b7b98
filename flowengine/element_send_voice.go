package flowengine

import "trunkline/ivr"

// SendVoice calls the person and says something: a message like any other.
type SendVoice struct {
	Sounds      Sounds `yaml:"sounds" required:"true" doc:"What is said: {say: …}, {file: …}, {url: …}, or a list of these."`
	Loop        int    `yaml:"loop" default:"1" min:"1" max:"10" doc:"How often it is heard."`
	Message     bool   `yaml:"leave_message" doc:"Say it to answering machines as well, after their greeting."`
	CallOptions `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *SendVoice) Ports() []string {
	return []string{string(ivr.PortAnswered), portMachineAnswered, string(ivr.PortBusy), string(ivr.PortNoAnswer), portFailed, portNotSent, portRenderError, portHungUp}
}

// Check prepares the message.
func (e *SendVoice) Check(c *Checker) {
	e.check(c)
	e.Sounds.check(c, "sounds")
	if e.Message && !e.DetectMachine {
		c.ErrorfAt([]any{"leave_message"}, "nobody would know that it is a machine: say `detect_machine: true` too")
	}
}

func (e *SendVoice) call() bool { return false }

// Arrive calls.
func (e *SendVoice) Arrive(x *Passage) Outcome {
	p, err := e.Sounds.prompt(x)
	if err != nil {
		x.Log(NotSent, NotSentRenderError+": "+err.Error())
		return Take(portRenderError)
	}
	p.Loop = e.Loop
	return e.dial(x, p, e.Message)
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
