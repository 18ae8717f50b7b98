package flowengine

import "trunkline/ivr"

const portHungUp = "hung_up"

// Answer answers the call. Elements that play or listen do so by themselves; this
// one is for flows that answer and then do something else first.
type Answer struct{}

// Ports lists the outcomes of the element.
func (e *Answer) Ports() []string { return []string{portDone, portFailed, portHungUp} }

// Check finds nothing wrong.
func (e *Answer) Check(*Checker) {}

func (e *Answer) call() bool { return true }

// Arrive answers.
func (e *Answer) Arrive(x *Passage) Outcome { return x.onCall(ivr.Task{Kind: ivr.KindAnswer}) }

// Resume goes on when the caller can hear us.
func (e *Answer) Resume(_ *Passage, c Cause) Outcome { return through(c) }
