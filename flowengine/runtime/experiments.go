package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/experiment"
	"trunkline/flowengine/record"
)

// experimentRecord is how far the search for the winner of a split has come
// (rule P6). It is part of the flow's record.
type experimentRecord struct {
	element string
	plan    uint64    // of the split; a record of another plan means nothing
	started time.Time // first arrival, to the minute; zero: nobody came yet
	decided time.Time // zero: not yet
	winner  int       // index of the branch, or experiment.None
	reason  string
}

// chosenByHand is the reason of a winner that an operator named.
const chosenByHand = "chosen_by_hand"

// Numbers of what an experiment adds to the stored form of a flow.
const (
	flowExperiment = 20

	exElement = 1
	exPlan    = 2
	exStarted = 3
	exDecided = 4
	exWinner  = 5 // index + 1; left out: none
	exReason  = 6
)

func (r *flowRecord) appendExperiments(b []byte) []byte {
	for i := range r.experiments {
		x := &r.experiments[i]
		b = record.AppendNested(b, flowExperiment, func(b []byte) []byte {
			b = record.AppendString(b, exElement, x.element)
			b = record.AppendUint(b, exPlan, x.plan)
			b = record.AppendTime(b, exStarted, x.started)
			b = record.AppendTime(b, exDecided, x.decided)
			b = record.AppendUint(b, exWinner, uint64(x.winner+1)) //nolint:gosec // a winner is None, -1, or an index
			return record.AppendString(b, exReason, x.reason)
		})
	}
	return b
}

func decodeExperiment(b []byte) (experimentRecord, error) {
	x := experimentRecord{winner: experiment.None}
	return x, record.Decode(b, "experiment", func(f record.Field) error {
		switch f.Num {
		case exElement:
			x.element = string(f.Bytes)
		case exPlan:
			x.plan = f.Uint
		case exStarted:
			x.started = f.Time()
		case exDecided:
			x.decided = f.Time()
		case exWinner:
			x.winner = int(f.Uint) - 1 //nolint:gosec // at most the number of branches
		case exReason:
			x.reason = string(f.Bytes)
		}
		return nil
	})
}

// experiment finds the record of a split, or an empty one.
func (r *flowRecord) experiment(element string, plan uint64) experimentRecord {
	for _, x := range r.experiments {
		if x.element == element && x.plan == plan {
			return x
		}
	}
	return experimentRecord{element: element, plan: plan, winner: experiment.None}
}

// setExperiment stores the record of a split in place of what was there of it.
func (r *flowRecord) setExperiment(x experimentRecord) {
	kept := slices.DeleteFunc(slices.Clone(r.experiments), func(o experimentRecord) bool { return o.element == x.element })
	r.experiments = append(kept, x)
}

// winners lists the branches that take everybody.
func (r *flowRecord) winners() (all []flowengine.Winner) {
	for _, x := range r.experiments {
		if x.winner != experiment.None {
			all = append(all, flowengine.Winner{Element: x.element, Plan: x.plan, Branch: x.winner})
		}
	}
	return all
}

// split is a split of a flow's newest version.
type split struct {
	id      string
	element *flowengine.SplitAudience
	goals   []flowengine.Goal // of the version
}

func splitsOf(v *flowengine.Version) (all []split) {
	if v == nil {
		return nil
	}
	for _, n := range v.Nodes() {
		if e, ok := n.Element.(*flowengine.SplitAudience); ok {
			all = append(all, split{n.ID, e, v.Goals})
		}
	}
	return all
}

// key names what a goal, as it is now, counted in a branch.
func (s *split) key(goal, port string) GoalKey {
	k := GoalKey{Goal: goal, Branch: s.id + "/" + port}
	for i := range s.goals {
		if g := &s.goals[i]; g.ID == goal {
			k.Mark = g.Mark()
		}
	}
	return k
}

// counts are the branches of the split as a goal counts them.
func (s *split) counts(t *Tally, goal string) []experiment.Branch {
	all := make([]experiment.Branch, len(s.element.Branches))
	for i, b := range s.element.Branches {
		all[i].Share = int(b.Share)
		if c := t.Goals[s.key(goal, flowengine.BranchPort(i))]; c != nil {
			all[i].Visitors, all[i].Conversions = int64(c.Reached), int64(c.Converted) //nolint:gosec // counters of persons
		}
	}
	return all
}

func (s *split) config(x *experimentRecord) experiment.Config {
	c := experiment.Config{Start: x.started}
	if w := s.element.Winner; w != nil {
		c.Window, c.MinVisitors, c.Fallback = w.Window, w.MinVisitors, w.Fallback
	}
	return c
}

// judge looks for winners, once a minute (rule P6). The test may be looked at as
// often as one likes; a winner that was found stays.
func (rt *Runtime) judge(ctx context.Context) {
	type contest struct {
		flow string
		split
	}
	var open []contest
	rt.flows.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(rt.flows.configured)) {
		v, r := rt.flows.configured[id], rt.flows.records[id]
		if r == nil || r.state != flowengine.Active {
			continue
		}
		for _, s := range splitsOf(v) {
			if s.element.Winner != nil && r.experiment(s.id, s.element.Plan()).decided.IsZero() {
				open = append(open, contest{id, s})
			}
		}
	}
	rt.flows.mu.Unlock()
	for _, c := range open {
		if err := rt.judgeSplit(ctx, c.flow, &c.split); err != nil && ctx.Err() == nil {
			rt.log.Error("the winner of a split could not be looked for", "flow", c.flow, "element", c.id, "error", err)
		}
	}
}

func (rt *Runtime) judgeSplit(ctx context.Context, flow string, s *split) error {
	t, err := readTally(rt.store, flow)
	if err != nil {
		return err
	}
	branches := s.counts(t, s.element.Winner.Goal)
	visitors := int64(0)
	for _, b := range branches {
		visitors += b.Visitors
	}
	if visitors == 0 {
		return nil
	}
	rt.flows.mu.Lock()
	x := rt.flows.records[flow].experiment(s.id, s.element.Plan())
	rt.flows.mu.Unlock()
	now := rt.now()
	fresh := x.started.IsZero()
	if fresh {
		x.started = now
	}
	d := experiment.Decide(s.config(&x), branches, now)
	if d.Final() {
		x.decided, x.winner, x.reason = now, d.Winner, string(d.Reason)
		rt.log.Info("a split has come to its decision", "flow", flow, "element", s.id, "reason", x.reason, "winner", portOf(x.winner))
	} else if !fresh {
		return nil
	}
	return rt.changeFlow(ctx, flow, func(r *flowRecord, _ *flowengine.Version) error {
		if r.experiment(s.id, s.element.Plan()).decided.IsZero() { // unless an operator was faster
			r.setExperiment(x)
		}
		return nil
	})
}

// portOf names a branch; "" stands for none.
func portOf(branch int) string {
	if branch == experiment.None {
		return ""
	}
	return flowengine.BranchPort(branch)
}

// ChooseWinner lets one branch of a split take everybody who arrives from now
// on, or with "none" lets the split draw again, and look for a winner anew.
func (rt *Runtime) ChooseWinner(ctx context.Context, flow, element, branch string) error {
	rt.flows.mu.Lock()
	v := rt.flows.configured[flow]
	unknown := rt.flows.unknownFlow(flow)
	rt.flows.mu.Unlock()
	if v == nil {
		return unknown
	}
	splits := splitsOf(v)
	i := slices.IndexFunc(splits, func(s split) bool { return s.id == element })
	if i < 0 {
		return fmt.Errorf("%w: flow %q has no split %q; its splits are: %s", ErrNotFound, flow, element, nameSplits(splits))
	}
	s := splits[i]
	x := experimentRecord{element: element, plan: s.element.Plan(), winner: experiment.None}
	if branch != "none" {
		for b, o := range s.element.Branches {
			if branch == flowengine.BranchPort(b) || branch == o.Next {
				x.winner = b
				break
			}
		}
		if x.winner == experiment.None {
			return fmt.Errorf("%w: split %q has no branch %q: name it as branch_1 to %s, by the element that it leads to, or say none", ErrNotFound, element, branch, flowengine.BranchPort(len(s.element.Branches)-1))
		}
		x.decided, x.reason = rt.now(), chosenByHand
	}
	return rt.changeFlow(ctx, flow, func(r *flowRecord, _ *flowengine.Version) error {
		x.started = r.experiment(element, x.plan).started
		if branch == "none" {
			x.started = time.Time{}
		}
		r.setExperiment(x)
		return nil
	})
}

func nameSplits(all []split) string {
	if len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].id
	}
	return strings.Join(names, ", ")
}

// Experiment is how the branches of a split compare by one goal.
type Experiment struct {
	Element, Goal string
	Automatic     bool      // a winner is looked for by this goal
	Started       time.Time // zero: nobody came, or nobody looks
	Decided       time.Time // zero: not yet
	Winner        string    // port of the branch that takes everybody; "": none
	Reason        string    // of the decision, or why there is none yet
	// Mismatch warns that the persons are not split as planned, so that nothing
	// that the branches show is to be trusted.
	Mismatch bool
	Branches []BranchResult
}

// BranchResult is what came of a branch. Intervals are those of 95 %.
type BranchResult struct {
	Port, Next string
	Share      flowengine.Share
	GoalCounts
	Rate     float64 // Converted of Reached
	Interval experiment.Interval
	// Difference is to the branch with the highest rate.
	Difference         float64
	DifferenceInterval experiment.Interval
	PValue             float64 // always valid, corrected for the number of branches
}

// Experiments compares the branches of all splits in a flow's newest version by
// each goal.
func (rt *Runtime) Experiments(flow string) ([]Experiment, error) {
	rt.flows.mu.Lock()
	v, r, unknown := rt.flows.configured[flow], rt.flows.records[flow], rt.flows.unknownFlow(flow)
	rt.flows.mu.Unlock()
	if v == nil || r == nil {
		return nil, unknown
	}
	t, err := readTally(rt.store, flow)
	if err != nil {
		return nil, err
	}
	var all []Experiment
	for _, s := range splitsOf(v) {
		x := r.experiment(s.id, s.element.Plan())
		for i := range v.Goals {
			all = append(all, s.compare(&x, t, v.Goals[i].ID, rt.now()))
		}
	}
	return all, nil
}

func (s *split) compare(x *experimentRecord, t *Tally, goal string, now time.Time) Experiment {
	e := Experiment{Element: s.id, Goal: goal, Winner: portOf(x.winner)}
	branches := s.counts(t, goal)
	d := experiment.Decide(s.config(x), branches, now)
	e.Automatic = s.element.Winner != nil && s.element.Winner.Goal == goal
	if !x.decided.IsZero() {
		e.Decided, e.Reason = x.decided, x.reason
	} else {
		e.Mismatch = d.Mismatch
		if e.Automatic {
			e.Reason = string(d.Reason)
		}
	}
	if e.Automatic {
		e.Started = x.started
	}
	for i, b := range branches {
		o := BranchResult{Port: flowengine.BranchPort(i), Next: s.element.Branches[i].Next, Share: s.element.Branches[i].Share, Rate: b.Rate(), Interval: b.Wilson(), PValue: d.PValues[i]}
		if c := t.Goals[s.key(goal, o.Port)]; c != nil {
			o.GoalCounts = *c
		}
		o.Difference, o.DifferenceInterval = experiment.Difference(b, branches[d.Reference])
		e.Branches = append(e.Branches, o)
	}
	return e
}
