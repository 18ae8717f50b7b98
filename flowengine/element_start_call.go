package flowengine

import "trunkline/ivr"

// StartCall calls the person. The elements that follow speak on that call.
type StartCall struct {
	CallOptions `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *StartCall) Ports() []string {
	return []string{string(ivr.PortAnswered), portMachineAnswered, string(ivr.PortBusy), string(ivr.PortNoAnswer), portFailed, portNotSent, portHungUp}
}

// Check prepares the call.
func (e *StartCall) Check(c *Checker) {
	e.check(c)
	if !c.leads(string(ivr.PortAnswered)) {
		c.WarnfAt(nil, "nothing follows the answer: the call ends there")
	}
}

func (e *StartCall) call() bool { return false }

// Arrive calls. A call that the run still has ends.
func (e *StartCall) Arrive(x *Passage) Outcome {
	(&HangUp{Cause: "normal"}).Arrive(x)
	s, notSent, hold := e.outbound(x, 0, nil, false)
	return dial(x, s, notSent, hold)
}

// Resume goes on when somebody answers, or nobody does.
func (e *StartCall) Resume(x *Passage, c Cause) Outcome {
	if r, ok := c.(*SendResult); ok {
		return e.began(x, r)
	}
	return e.Arrive(x) // a cap has a place again
}
