package flowengine

import (
	"slices"
	"time"
)

// Limits on what one person's passage may execute (rule X3).
const (
	maxStepsPerSprint = 100
	maxStepsPerRun    = 1000
	maxRepeats        = 10 // the same element in a row without a wait
)

// holdTimers is how often a timer of a paused flow is looked at again.
const holdTimers = time.Minute

// Reasons for which a run ends (rule E8).
const (
	exitCompleted = "completed"
	exitLoopGuard = "loop_guard"
	exitLost      = "version_lost" // pinned to a version that is not there

	exitInterrupted = "interrupted" // by another flow (rule R5)
)

// Step applies one cause to a person at the moment now and says what follows
// (rule X1). It changes p and ps in place: the caller passes copies of its own
// and stores them when the Result says so. now has millisecond precision.
// Step is deterministic: the same arguments give the same result.
func (s *Set) Step(p *Person, ps *Passages, c Cause, now time.Time) *Result {
	return s.StepWith(p, ps, nil, c, now)
}

// StepWith is Step for a person whose People events are known: events lists
// those of a name, in any order. It is asked only when a condition looks at them.
func (s *Set) StepWith(p *Person, ps *Passages, events func(name string) []Happened, c Cause, now time.Time) *Result {
	return s.StepIn(new(Work), p, ps, events, c, now)
}

// Work is memory that steps use one after the other. What a step returns is valid
// until the next one that uses the same memory; what its fields refer to, except for
// the Log, stays.
type Work struct {
	step step
	log  []Event
}

// StepIn is StepWith in memory that was used before.
func (s *Set) StepIn(w *Work, p *Person, ps *Passages, events func(name string) []Happened, c Cause, now time.Time) *Result {
	st := &w.step
	*st = step{set: s, person: p, passages: ps, events: events, now: now.UTC().Truncate(time.Millisecond), begin: profileOf(p), isNew: p.New}
	st.result = &st.own
	st.result.Log = w.log[:0]
	defer func() { w.log = st.result.Log[:0] }()
	if st.watches() {
		before := st.begin
		st.before = &before
		st.within = st.flowsOfRuns()
	}
	st.apply(c)
	st.transfers()
	if st.before != nil {
		st.edges()
	}
	st.indexed()
	return st.result
}

// watches says whether anything waits for a change of the profile.
func (st *step) watches() bool {
	if len(st.set.watchers.byKey)+len(st.set.watchers.byValue)+len(st.set.watchers.byBound)+len(st.set.segments) > 0 {
		return true
	}
	for i := range st.passages.Runs {
		run := &st.passages.Runs[i]
		if v := st.version(run); v != nil {
			if n := v.Node(run.Element); n != nil {
				if _, ok := n.Element.(*WaitForChange); ok {
					return true
				}
			}
		}
	}
	return false
}

// apply lets the cause take effect.
func (st *step) apply(c Cause) {
	ps := st.passages
	st.placesDue()
	switch c := c.(type) {
	case *Inbound:
		st.inbound(c)
	case *Happened:
		st.happened(c)
	case *Change:
		st.change(c)
	case *Start:
		st.start(c)
	case *Muster:
		st.muster(c)
	case *CountBack:
		st.countBack(c)
	case *Daily:
		st.daily(c)
	case *Classify:
		st.classifyIn(c)
	case *Look:
		st.look()
	case *Timer:
		if run := ps.Run(c.Flow, c.Number); run != nil && run.Seq == c.Seq {
			st.timer(run, c)
		}
	case *SendResult:
		st.sendResult(c)
	case *Calling:
		st.calling(c)
	case *CallOutcome:
		st.callOutcome(c)
	case *CallEnded:
		st.callEnded(c)
	case *CallsLost:
		st.callsLost()
	case *Report:
		st.report(c)
	case *Eject:
		st.eject(c)
	case *Click:
		st.click(c)
	case *LegEnded:
		st.legEnded(c)
	case *Opening:
		st.opened(c)
	case *Scan:
		st.scanned(c)
	case *Choice:
		st.choose(c)
	case *Migrate:
		st.migrate(c)
	case *Absorb:
		st.absorb(c)
	}
}

// step is the state of one call of Set.Step.
type step struct {
	set      *Set
	person   *Person
	passages *Passages
	now      time.Time
	result   *Result
	events   func(name string) []Happened // nil: none are known
	begin    profile                      // the person as the step found it
	before   *profile                     // the person as edges were last looked for; nil: nobody watches
	isNew    bool                         // no segment was judged yet
	happens  []string                     // keys of events that happened
	view     View                         // of conditions outside of runs
	within   []string                     // flows that the person was inside of when the step began
	executed int
	other    *Person    // whom the person absorbs, as it was
	asked    []transfer // of runs that stand at one
	own      Result     // what result points at
}

// enter begins a run at an entry point. The entry was admitted before.
func (st *step) enter(ref entryRef, with *Run) {
	flow, v := ref.flow, ref.version
	m := st.passages.Membership(flow.ID)
	v.Settings.remember(m, st.now)
	run := Run{
		Flow: flow.ID, Version: v.Ordinal, Number: m.Entries, Entry: ref.entry.ID, Entered: st.now,
		Inbound: with.Inbound, Event: with.Event, Vars: with.Vars, Call: with.Call,
	}
	st.passages.Runs = append(st.passages.Runs, run)
	st.result.PassagesChanged = true
	st.log(Event{Kind: Entered, Flow: run.Flow, Version: run.Version, Number: run.Number, Detail: run.Entry})
	st.result.Entered = append(st.result.Entered, RunKey{run.Flow, run.Version, run.Number})
	entered := &st.passages.Runs[len(st.passages.Runs)-1]
	st.anchor(entered, "")
	st.advance(entered, v, ref.entry.Next)
}

// resume hands a cause to the element at which a run waits.
func (st *step) resume(run *Run, c Cause) {
	v := st.version(run)
	if v == nil {
		st.exit(run, exitLost)
		return
	}
	node := v.Node(run.Element)
	waiting, ok := node.waiting()
	if !ok {
		st.exit(run, exitLost)
		return
	}
	if w, ok := waiting.(reportWaiter); ok && !w.ends(run, c) {
		if run.Deadline.IsZero() {
			run.Deadline = st.now.Add(w.patience(run))
			st.result.Timers = append(st.result.Timers, Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
			st.result.PassagesChanged = true
		}
		return
	}
	_, accepted := c.(*SendResult)
	asked := run.Since
	st.endWait(run)
	key := RunKey{run.Flow, run.Version, run.Number}
	st.follow(run, v, node, waiting.Resume(st.passage(run, v), c))
	if accepted {
		st.hearSince(key, node, asked)
	}
}

// hearSince lets a run that waits for the answer to its question hear what came
// since it asked: an answer may be on its way through the gateway while the
// carrier's response is (rule R6).
func (st *step) hearSince(key RunKey, question *Node, asked time.Time) {
	run := st.passages.Run(key.Flow, key.Number)
	if run == nil || run.Element != question.Targets[portSent] {
		return
	}
	if v := st.version(run); v != nil {
		if n := v.Node(run.Element); n != nil {
			if _, ok := n.Element.(*EvaluateInboundMessage); ok {
				run.Since = asked
			}
		}
	}
}

// timer lets a deadline do its work. A paused flow holds it: it is set again,
// until the flow goes on (rule S1).
func (st *step) timer(run *Run, c *Timer) {
	if f := st.set.Flow(run.Flow); f == nil || f.State != Paused {
		if run.Held.IsZero() || st.version(run) == nil {
			st.resume(run, c)
		} else {
			st.tryHeld()
		}
		return
	}
	run.Deadline = st.now.Add(holdTimers)
	st.result.Timers = append(st.result.Timers, Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
	st.result.PassagesChanged = true
}

// endWait makes every timer, result and click that was meant for the wait stale.
func (st *step) endWait(run *Run) {
	if !run.Deadline.IsZero() {
		st.cancel(Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
	}
	run.Seq++
	run.Deadline, run.Sending, run.Repeats = time.Time{}, "", 0
	st.result.PassagesChanged = true
}

// advance moves a run to target and on, until it waits or ends.
func (st *step) advance(run *Run, v *Version, target string) {
	for target != "" {
		node := v.Node(target)
		if node == nil {
			st.exit(run, exitLost)
			return
		}
		if !st.mayExecute(run, target) {
			st.exit(run, exitLoopGuard)
			return
		}
		run.Element, run.Since = target, st.now
		first := st.passages.Membership(run.Flow).visit(node.Mark)
		st.log(Event{Kind: Engaged, Flow: run.Flow, Version: run.Version, Element: target, Number: run.Number, First: first})
		st.anchor(run, target)
		out := node.Element.Arrive(st.passage(run, v))
		if st.settled(run, node, out) {
			return
		}
		target = out.targetOf(node)
		st.departed(run, node, out.port)
	}
	st.exit(run, exitCompleted)
}

// follow does what an element that was waited at decided.
func (st *step) follow(run *Run, v *Version, node *Node, out Outcome) {
	if st.settled(run, node, out) {
		return
	}
	st.departed(run, node, out.port)
	st.advance(run, v, out.targetOf(node))
}

// departed notes that a run left an element through a port.
func (st *step) departed(run *Run, node *Node, port string) {
	st.log(Event{Kind: Departed, Flow: run.Flow, Version: run.Version, Element: node.ID, Number: run.Number, Detail: port})
	if _, ok := node.Element.(*SplitAudience); ok {
		st.branched(run, node.ID+"/"+port)
	}
}

// settled carries out an outcome that needs no further element.
func (st *step) settled(run *Run, node *Node, out Outcome) bool {
	run.Held = out.held
	switch {
	case out.wait:
		st.passages.Waits++
		run.Wait, run.Since, run.Sending = st.passages.Waits, st.now, out.send
		run.Repeats = 0
		if out.transfer != nil {
			st.asked = append(st.asked, transfer{RunKey{run.Flow, run.Version, run.Number}, out.transfer})
		}
		if !out.until.IsZero() {
			run.Deadline = out.until.UTC().Truncate(time.Millisecond)
			st.result.Timers = append(st.result.Timers, Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
		}
		st.result.PassagesChanged = true
		return true
	case out.end != "":
		st.departed(run, node, out.port)
		st.exit(run, out.end)
		return true
	}
	return false
}

// mayExecute counts an execution against the limits of rule X3.
func (st *step) mayExecute(run *Run, target string) bool {
	st.executed++
	run.Steps++
	if run.Element == target {
		run.Repeats++
	} else {
		run.Repeats = 1
	}
	return st.executed <= maxStepsPerSprint && run.Steps <= maxStepsPerRun && run.Repeats <= maxRepeats
}

// cancel takes a deadline back, also one of this same step: a message that was held
// may find its place a moment later.
func (st *step) cancel(d Deadline) {
	st.result.Timers = slices.DeleteFunc(st.result.Timers, func(t Deadline) bool { return t == d })
	st.result.Cancelled = append(st.result.Cancelled, d)
}

// exit ends a run (rule E8).
func (st *step) exit(run *Run, reason string) {
	if !run.Deadline.IsZero() {
		st.cancel(Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
	}
	key := RunKey{run.Flow, run.Version, run.Number}
	if run.Call != nil || run.Sending != "" {
		st.letGo(run)
	}
	st.passages.Membership(run.Flow).LastExit = st.now
	st.log(Event{Kind: Exited, Flow: run.Flow, Version: run.Version, Element: run.Element, Number: run.Number, Detail: reason})
	st.passages.removeRun(key.Flow, key.Number)
	st.result.PassagesChanged = true
	for i, e := range st.result.Entered {
		if e == key { // came and went in this step
			st.result.Entered = append(st.result.Entered[:i], st.result.Entered[i+1:]...)
			return
		}
	}
	st.result.Left = append(st.result.Left, key)
}

// sendResult counts what a channel did with a message and what that costs, and
// wakes the run that waits for it (rules C2, M3, X1).
func (st *step) sendResult(r *SendResult) {
	o := st.ours(r.Origin)
	charge, owed := st.set.charge(r, st.now)
	e := Event{Kind: Accepted, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, Units: uint32(r.Parts), First: st.contacted(r), Charge: charge, Message: lastOfID(r.ID)}
	if o.Element == "" { // sent outside of any flow: nothing else tells which
		e.Detail, e.Message = r.ID, ""
	}
	if !r.Accepted {
		e.Kind, e.Detail = Failed, r.Reason
	}
	st.log(e)
	if r.Accepted && r.Channel == channelEmail && o.Element != "" { // that is all that servers say of a mail that went well
		st.log(Event{Kind: Reported, Flow: o.Flow, Version: o.Version, Element: o.Element, Number: o.Number, Detail: portDelivered, First: true, Charge: owed, Message: lastOfID(r.ID)})
	}
	st.seen(o, r.ID, func(m *MessageSeen) {
		m.Accepted, m.Failed = r.Accepted, !r.Accepted
		m.Delivered = m.Delivered || r.Accepted && r.Channel == channelEmail
	})
	st.tellSender(o, r.ID, r)
	if r.Call != nil {
		st.unclaimed(r, o)
	}
	st.release(r)
}

// seen notes what became of a message, while its run is there to ask for it.
func (st *step) seen(o Origin, id string, note func(*MessageSeen)) {
	run := st.passages.Run(o.Flow, o.Number)
	if run == nil {
		return
	}
	for i := range run.Messages {
		if run.Messages[i].ID == id {
			note(&run.Messages[i].MessageSeen)
			st.result.PassagesChanged = true
		}
	}
}

// tellSender hands what became of a message to the run that waits for it.
func (st *step) tellSender(o Origin, id string, c Cause) {
	if run := st.passages.Run(o.Flow, o.Number); run != nil && id != "" && run.Sending == id {
		st.resume(run, c)
	}
}

// waitsForReport says whether the run's element looks at delivery reports.
func (st *step) waitsForReport(o Origin) bool {
	run := st.passages.Run(o.Flow, o.Number)
	if run == nil {
		return false
	}
	v := st.version(run)
	if v == nil {
		return false
	}
	node := v.Node(run.Element)
	if node == nil {
		return false
	}
	_, ok := node.Element.(reportWaiter)
	return ok
}

// eject ends the person's runs in a flow (rules A4, S7).
func (st *step) eject(c *Eject) {
	for i := len(st.passages.Runs) - 1; i >= 0; i-- {
		if run := &st.passages.Runs[i]; run.Flow == c.Flow && (c.Version == 0 || c.Version == run.Version) {
			st.exit(run, c.Reason)
		}
	}
}

func (st *step) version(run *Run) *Version {
	if f := st.set.Flow(run.Flow); f != nil {
		return f.Version(run.Version)
	}
	return nil
}

func (st *step) passage(run *Run, v *Version) *Passage {
	x := &struct {
		Passage
		recollection
	}{
		Passage{Set: st.set, Version: v, Person: st.person, State: st.passages, Run: run, Element: run.Element, Now: st.now, result: st.result},
		recollection{st, run},
	}
	x.past = &x.recollection
	return &x.Passage
}

func (st *step) log(e Event) { st.result.Log = append(st.result.Log, e) }

// waiting is the node's element as one that can be waited at.
func (n *Node) waiting() (Waiting, bool) {
	if n == nil {
		return nil, false
	}
	w, ok := n.Element.(Waiting)
	return w, ok
}

// targetOf is the element that an outcome leads to; "" ends the run.
func (o Outcome) targetOf(n *Node) string {
	if o.target != "" {
		return o.target
	}
	return n.Targets[o.port]
}
