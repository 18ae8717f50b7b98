package flowengine

import "time"

const portHappened = "happened"

// WaitForEvent waits for an event in the person's life elsewhere. With a
// timeout it tells who did not do something: a cart that was left, a mail that
// was not answered.
type WaitForEvent struct {
	EventFilter `yaml:",inline"`
	Timeout     time.Duration `yaml:"timeout" min:"1s" max:"365d" doc:"How long to wait. Default: for ever."`
}

// Ports lists the outcomes of the element.
func (e *WaitForEvent) Ports() []string { return []string{portHappened, portTimeout} }

// Check looks at the event.
func (e *WaitForEvent) Check(c *Checker) {
	e.check(c)
	if e.Timeout > 0 && !c.leads(portTimeout) && !c.leads(portHappened) {
		c.WarnfAt(nil, "nothing follows the wait, whatever happens")
	}
}

// Arrive begins the wait (rule X4).
func (e *WaitForEvent) Arrive(x *Passage) Outcome {
	if e.Timeout == 0 {
		return WaitUntil(time.Time{})
	}
	return WaitUntil(x.Now.Add(e.Timeout))
}

func (e *WaitForEvent) wantsEvent(x *Passage, h *Happened) bool { return e.matches(x, h) }

// Resume goes on with the event or without.
func (e *WaitForEvent) Resume(_ *Passage, c Cause) Outcome {
	if _, ok := c.(*Happened); ok {
		return Take(portHappened)
	}
	return Take(portTimeout)
}
