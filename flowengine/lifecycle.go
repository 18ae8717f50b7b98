package flowengine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// takes says whether people may enter the flow in its state; whether its time has
// come, Settings.open tells. One that is scheduled opens by itself (rules S1, S2).
func (f *Flow) takes() bool {
	return f.Newest != nil && (f.State == Active || f.State == Scheduled)
}

// Live says whether the flow is active, or scheduled and its time has come.
func (f *Flow) Live(now time.Time) bool {
	return f.State == Active || f.takes() && f.Newest.Settings.open(now)
}

// Migrate is the cause that moves the person's runs in a flow to its newest
// version.
type Migrate struct{ Flow string }

func (*Migrate) cause() {}

// migrate moves runs that wait at an element which the newest version has too.
// What was computed on arrival, such as a deadline, stays (rule X4). Other runs
// finish on their version.
func (st *step) migrate(c *Migrate) {
	f := st.set.Flow(c.Flow)
	if f == nil || f.Newest == nil || f.Newest.Settings.OnPublish != OnPublishMigrate {
		return
	}
	for i := range st.passages.Runs {
		run := &st.passages.Runs[i]
		if run.Flow != c.Flow || !f.goesOver(run) {
			continue
		}
		from := run.Version
		st.result.Left = append(st.result.Left, RunKey{run.Flow, from, run.Number})
		run.Version = f.Newest.Ordinal
		st.result.Entered = append(st.result.Entered, RunKey{run.Flow, run.Version, run.Number})
		st.result.PassagesChanged = true
		st.log(Event{Kind: Migrated, Flow: run.Flow, Version: run.Version, Element: run.Element, Number: run.Number, Detail: "v" + strconv.FormatUint(uint64(from), 10)})
	}
}

// goesOver says whether a run can go on in the newest version.
func (f *Flow) goesOver(run *Run) bool {
	old := f.Version(run.Version)
	if old == nil || old == f.Newest {
		return false
	}
	was, is := old.Node(run.Element), f.Newest.Node(run.Element)
	return was != nil && is != nil && was.Type == is.Type
}

// Retyped finds the elements that have the id of one of another type, among those
// that earlier versions had: types by id. An id is the identity of an element in
// the metrics of all versions.
func (v *Version) Retyped(types map[string]string) (found strict.Errors) {
	for _, n := range v.Nodes() {
		if before, taken := types[n.ID]; taken && before != n.Type {
			found = append(found, strict.Error{
				File: v.File, Line: n.Line, Column: n.Column, Path: "elements." + n.ID + ".type", Text: n.Type,
				Message: fmt.Sprintf("element %q was of type %s in an earlier version; metrics would mix the two", n.ID, before),
				Hint:    "give the new element another id",
			})
		}
	}
	return found
}

// TakesCalls says whether calls to a number of ours start the flow.
func (v *Version) TakesCalls() bool {
	return slices.ContainsFunc(v.Entries, func(e *Entry) bool { _, ok := e.Trigger.(*InboundCall); return ok })
}

// oneFlowPerVoiceNumber finds a number whose calls two flows would take. The one
// that was launched first holds it (rule S6).
func oneFlowPerVoiceNumber(flows []*Flow) error {
	flows = slices.Clone(flows)
	slices.SortStableFunc(flows, func(a, b *Flow) int { return a.Launched.Compare(b.Launched) })
	holders := map[string]*Flow{}
	for _, f := range flows {
		if !f.takes() && (f.State != Paused || f.Newest == nil) {
			continue
		}
		for _, e := range f.Newest.Entries {
			t, ok := e.Trigger.(*InboundCall)
			if !ok {
				continue
			}
			if holder := holders[t.number]; holder != nil && holder != f {
				return fmt.Errorf("flow %q: entry point %q: calls to %s are taken by flow %q, which is %s; stop that one first: trunkline flow stop %s",
					f.ID, e.ID, t.number, holder.ID, holder.State, holder.ID)
			}
			holders[t.number] = f
		}
	}
	return nil
}

// Coming tells of the channels that have no edge yet what they wait for.
var Coming = map[string]string{
	"push": "the push channel comes with its providers; not available in this build",
	"chat": "the chat channel comes with its providers; not available in this build",
}

// comingTypes are the types of elements whose channel is in Coming.
var comingTypes = map[string]string{"send_push": "push", "send_chat": "chat"}

// CheckTransfers finds transfers that lead to flows or entry points which are not
// among these.
func CheckTransfers(versions []*Version) (found strict.Errors) {
	byID := map[string]*Version{}
	for _, v := range versions {
		byID[v.Flow] = v
	}
	for _, v := range versions {
		for _, n := range v.Nodes() {
			if t, ok := n.Element.(*TransferToFlow); ok {
				if fault, path := t.fault(byID); fault != "" {
					found = append(found, strict.Error{
						File: v.File, Line: n.Line, Column: n.Column, Path: "elements." + n.ID + "." + path,
						Message: fmt.Sprintf("element %q: %s", n.ID, fault),
					})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b strict.Error) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return found
}
