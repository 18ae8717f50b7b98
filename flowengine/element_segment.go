package flowengine

import "time"

const portElse = "else"

// Segment branches by conditions on the person, the run, and what happened
// (rule X6).
type Segment struct {
	Branches []SegmentBranch `yaml:"branches" required:"true" min:"1" max:"20" doc:"Tried from top to bottom; the first that holds wins."`
}

// SegmentBranch is one way through.
type SegmentBranch struct {
	When Predicate `yaml:"when" required:"true" doc:"Condition that must be true."`
	Next string    `yaml:"next" doc:"Element to go on with; none ends the run."`
}

// Ports lists the outcomes of the element besides its branches.
func (e *Segment) Ports() []string { return []string{portElse} }

// Check compiles the conditions.
func (e *Segment) Check(c *Checker) {
	for i := range e.Branches {
		c.Predicate(&e.Branches[i].When, "branches", i, "when")
	}
	if !c.leads(portElse) {
		c.ErrorfAt(nil, "say in `on: {else: …}` where everybody else goes")
	}
}

func (e *Segment) branches() []string {
	next := make([]string, len(e.Branches))
	for i, b := range e.Branches {
		next[i] = b.Next
	}
	return next
}

// Arrive takes the first branch that holds.
func (e *Segment) Arrive(x *Passage) Outcome {
	v := x.View(x.past)
	for i := range e.Branches {
		if e.Branches[i].When.Eval(&v) {
			return Branch(branchPort(i), e.Branches[i].Next)
		}
	}
	return Take(portElse)
}

const portMet = "met"

// WaitForChange waits until a condition on the person is true.
type WaitForChange struct {
	Condition Predicate     `yaml:"condition" required:"true" doc:"Condition to wait for; when it is true already the run goes on at once."`
	Timeout   time.Duration `yaml:"timeout" min:"1s" max:"365d" doc:"How long to wait. Default: for ever."`
}

// Ports lists the outcomes of the element.
func (e *WaitForChange) Ports() []string { return []string{portMet, portTimeout} }

// Check compiles the condition.
func (e *WaitForChange) Check(c *Checker) {
	c.Predicate(&e.Condition, "condition")
	if e.Condition.Uses().Clock {
		c.WarnfAt([]any{"condition"}, "the condition changes with the day; it is looked at only when the profile changes: wait_for_date may be meant")
	}
}

// Arrive begins the wait (rule X4).
func (e *WaitForChange) Arrive(x *Passage) Outcome {
	if e.holds(x) {
		return Take(portMet)
	}
	if e.Timeout == 0 {
		return WaitUntil(time.Time{})
	}
	return WaitUntil(x.Now.Add(e.Timeout))
}

func (e *WaitForChange) holds(x *Passage) bool {
	v := x.View(x.past)
	return e.Condition.Eval(&v)
}

// Resume goes on when the condition is true, or the time is over.
func (e *WaitForChange) Resume(_ *Passage, c Cause) Outcome {
	if _, ok := c.(*Timer); ok {
		return Take(portTimeout)
	}
	return Take(portMet)
}
