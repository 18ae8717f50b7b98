package flowengine

import "trunkline/ivr"

// HangUp ends the call. The flow goes on.
type HangUp struct {
	Cause string `yaml:"cause" enum:"normal,busy,rejected,not_found" default:"normal" doc:"What a caller is told who was not answered."`
}

// Ports lists the outcomes of the element.
func (e *HangUp) Ports() []string { return []string{portDone} }

// Check finds nothing wrong.
func (e *HangUp) Check(*Checker) {}

func (e *HangUp) call() bool { return true }

// Arrive hangs up. There is nothing to wait for.
func (e *HangUp) Arrive(x *Passage) Outcome {
	if x.Run.live() {
		t := ivr.Task{Kind: ivr.KindHangUp, Cause: ivr.Cause(e.Cause)}
		if e.Cause == "normal" {
			t.Cause = ivr.CauseNormal
		}
		call := *x.Run.Call
		x.result.Calls = append(x.result.Calls, CallTask{call.ID, x.origin(), t})
		call.ID = ""
		x.Run.Call = &call
		x.result.CallsChanged = true
	}
	return Take(portDone)
}

// Resume is not called: nobody waits here.
func (e *HangUp) Resume(*Passage, Cause) Outcome { return Take(portDone) }
