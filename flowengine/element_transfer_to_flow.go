package flowengine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const portRefused = "refused"

// maxRuns bounds the runs that a person may have when a transfer would begin
// another: flows that transfer to each other come to an end.
const maxRuns = 50

// refusedTooMany is why a transfer beyond maxRuns is refused.
const refusedTooMany = "too_many_runs"

// TransferToFlow lets the person into another flow, as if the entry point there
// had been triggered: the rules of entry of that flow hold (rules E1–E7). It takes
// along the message and the event at hand, and the variables. The run itself goes
// on through `done`, or ends there.
type TransferToFlow struct {
	Flow  string `yaml:"flow" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Id of the other flow."`
	Entry string `yaml:"entry" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Entry point of it. Default: its first."`
}

// Ports lists the outcomes of the element.
func (e *TransferToFlow) Ports() []string { return []string{portDone, portRefused} }

// Check finds nothing wrong: CheckTransfers knows the other flows.
func (e *TransferToFlow) Check(*Checker) {}

// Arrive asks for the transfer, which takes place in the same step.
func (e *TransferToFlow) Arrive(*Passage) Outcome {
	return Outcome{wait: true, transfer: &Start{Flow: e.Flow, Entry: e.Entry}}
}

// Resume goes on with what came of it.
func (e *TransferToFlow) Resume(_ *Passage, c Cause) Outcome {
	if t, ok := c.(*transferred); ok && t.refused == "" {
		return Take(portDone)
	}
	return Take(portRefused)
}

// fault says what is wrong with the target, and in which option.
func (e *TransferToFlow) fault(flows map[string]*Version) (fault, option string) {
	v := flows[e.Flow]
	if v == nil {
		return fmt.Sprintf("there is no flow %q%s", e.Flow, didYouMean(e.Flow, slices.Sorted(maps.Keys(flows)))), "flow"
	}
	if v.entry(e.Entry) == nil {
		var known []string
		for _, entry := range v.Entries {
			known = append(known, entry.ID)
		}
		return fmt.Sprintf("flow %q has no entry point %q; it has %s", e.Flow, e.Entry, strings.Join(known, ", ")), "entry"
	}
	return "", ""
}

// entry finds an entry point; "" is the first. It returns nil when there is none.
func (v *Version) entry(id string) *Entry {
	for _, e := range v.Entries {
		if id == "" || e.ID == id {
			return e
		}
	}
	return nil
}

// transfer is one that a run has asked for.
type transfer struct {
	run RunKey
	to  *Start
}

// transferred is the cause with which the run goes on.
type transferred struct{ refused string }

func (*transferred) cause() {}

// transfers lets people into the flows that their runs lead to. It is done when
// the runs stand still: one that begins moves the others in memory. Rule X3 counts
// the elements of all of them together, so flows that lead to each other without
// a wait end with a loop guard.
func (st *step) transfers() {
	for len(st.asked) > 0 {
		t := st.asked[0]
		st.asked = st.asked[1:]
		run := st.passages.Run(t.run.Flow, t.run.Number)
		if run == nil {
			continue
		}
		refused := st.transfer(t.to, &Run{Inbound: run.Inbound, Event: run.Event, Vars: slices.Clone(run.Vars)})
		if run = st.passages.Run(t.run.Flow, t.run.Number); run != nil { // the other flow may interrupt it (rule R5)
			st.resume(run, &transferred{refused})
		}
	}
}

func (st *step) transfer(to *Start, with *Run) (refused string) {
	f := st.set.Flow(to.Flow)
	if f == nil || f.Newest == nil {
		return RefusedNotActive
	}
	e := f.Newest.entry(to.Entry)
	if e == nil {
		return RefusedNotActive
	}
	if len(st.passages.Runs) >= maxRuns {
		st.log(Event{Kind: Refused, Flow: f.ID, Version: f.Newest.Ordinal, Detail: refusedTooMany})
		return refusedTooMany
	}
	return st.offerEntry(entryRef{f, f.Newest, e}, with)
}
