package flowengine

import (
	"time"

	"trunkline/ivr"
)

// DetectMachine finds out who has answered a call that we made.
type DetectMachine struct {
	Timeout  time.Duration `yaml:"timeout" default:"4s" min:"1s" max:"30s" doc:"How long to listen; then it is unknown."`
	Greeting time.Duration `yaml:"greeting_timeout" max:"60s" doc:"How long to wait for the end of a machine's greeting, so that a message can be left. Default: not at all."`
}

// Ports lists the outcomes of the element.
func (e *DetectMachine) Ports() []string {
	return []string{string(ivr.PortHuman), string(ivr.PortMachine), string(ivr.PortFax), string(ivr.PortUnknown), portFailed, portHungUp}
}

// Check finds nothing wrong.
func (e *DetectMachine) Check(*Checker) {}

func (e *DetectMachine) call() bool { return true }

// Arrive listens.
func (e *DetectMachine) Arrive(x *Passage) Outcome {
	return x.onCall(ivr.Task{Kind: ivr.KindDetect, Detect: &ivr.Detect{Timeout: e.Timeout, Greeting: e.Greeting}})
}

// Resume goes on with what was found.
func (e *DetectMachine) Resume(_ *Passage, c Cause) Outcome { return through(c) }
