package simulate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// totals are sums over all persons.
type totals struct {
	texts, events int
	entered       map[string]int // by flow
}

// audit looks at all that is stored. settled: nothing is under way.
func (w *world) audit(settled bool) {
	sum, places := totals{entered: map[string]int{}}, map[uint32]int{}
	found, err := runtime.Audit(w.store, func(p *runtime.Profile) []string {
		x := examination{w: w, p: p, sum: &sum, runs: map[runKey]*passage{}, flows: map[string]*membership{}, ways: map[string]string{}, places: places}
		return x.examine()
	})
	if err != nil {
		w.wrong("the store cannot be read: %v", err)
		return
	}
	w.problems = append(w.problems, found...)
	w.placed(places)
	w.book.texts.compare(w, "messages", sum.texts, settled)
	w.book.events.compare(w, "events", sum.events, settled)
	if settled {
		w.auditBroadcasts()
		w.auditRequests(sum.entered[w.flows[0].id])
	}
}

// auditRequests compares who entered with what became of the participants.
func (w *world) auditRequests(entered int) {
	accepted, unknown := 0, 0
	for _, r := range w.book.requests {
		w.closeRequest(r)
		accepted += r.accepted
		if !r.closed {
			unknown += len(r.operation.Participants)
		}
		unknown += r.unknown
	}
	if entered < accepted || entered > accepted+unknown {
		w.wrong("%d passages have begun by request; %d participants were accepted, and of %d more it is not known", entered, accepted, unknown)
	}
}

// closeRequest asks what became of a request.
func (w *world) closeRequest(r *request) {
	if r.closed || r.id == (runtime.OperationID{}) {
		return
	}
	report, err := w.rt.Operation(r.id)
	switch {
	case errors.Is(err, runtime.ErrNotFound) && w.clock.Sub(r.at) > 29*24*time.Hour:
		r.closed, r.unknown = true, len(r.operation.Participants)
	case err != nil:
		w.wrong("a request that was accepted at %s cannot be asked for: %v", r.at, err)
	case report.Pending > 0:
		w.wrong("%d participants of a request of %s wait for ever", report.Pending, r.at)
	default:
		r.closed, r.accepted = true, report.Accepted
	}
}

// examination goes through a person's history.
type examination struct {
	w      *world
	p      *runtime.Profile
	sum    *totals
	runs   map[runKey]*passage
	flows  map[string]*membership
	ways   map[string]string // the branch that the person took at a split
	places map[uint32]int    // that messages of all persons take, by their marks
	found  []string
}

type runKey struct {
	flow   string
	number uint32
}

// passage is a run as the history tells of it.
type passage struct {
	version  uint32
	element  string // "": just entered
	port     string // the way it left element
	departed bool
	exited   bool
	next     string         // of the entry point
	open     map[string]int // messages that were accepted, less reports, by element
}

// membership is what entry rules look at.
type membership struct {
	entered  []time.Time
	active   int
	lastExit time.Time
}

func (x *examination) wrong(format string, args ...any) {
	x.found = append(x.found, fmt.Sprintf("person %s: ", x.p.Person.ID)+fmt.Sprintf(format, args...))
}

func (x *examination) examine() []string {
	for i := range x.p.History {
		h := &x.p.History[i]
		for j := range h.Events {
			x.event(h.At, &h.Events[j])
		}
		x.oneConsumer(h)
	}
	x.caps()
	if len(x.p.Person.Merged) > 0 {
		return nil // a history of two persons, who both kept to the rules
	}
	x.compare()
	return x.found
}

// oneConsumer checks that a message was consumed once (rule R2). What changes of
// the profile lead to comes after it in the history.
func (x *examination) oneConsumer(h *runtime.Happening) {
	entered, moved, transfers := 0, 0, 0
	for i := range h.Events {
		e := &h.Events[i]
		switch e.Kind {
		case flowengine.Entered:
			entered++
		case flowengine.Departed, flowengine.Engaged:
			moved++
			if e.Kind == flowengine.Engaged && strings.HasPrefix(e.Element, "transfer_to_flow") {
				transfers++
			}
		case flowengine.Received:
			x.sum.texts++
			wrong := false
			switch e.Detail {
			case flowengine.OutcomeEntry:
				wrong = entered < 1 || entered > 1+transfers
			case flowengine.OutcomeWait, flowengine.OutcomeNoMatch:
				wrong = entered > transfers || moved == 0
			default:
				wrong = entered != 0 || moved != 0
			}
			if wrong {
				x.wrong("a message with the outcome %s let in %d times and moved %d times at %s", e.Detail, entered, moved, h.At)
			}
		}
	}
}

func (x *examination) event(at time.Time, e *flowengine.Event) {
	switch e.Kind {
	case flowengine.Observed:
		x.sum.events++
		return
	case flowengine.Entered:
		x.entered(at, e)
		return
	}
	run := x.runs[runKey{e.Flow, e.Number}]
	if run == nil {
		return
	}
	switch e.Kind {
	case flowengine.Engaged:
		x.engaged(at, run, e)
	case flowengine.Departed:
		if run.exited || run.departed || run.element != e.Element {
			x.wrong("flow %s #%d leaves %q at %s, where it is not: %+v", e.Flow, e.Number, e.Element, at, run)
		}
		run.departed, run.port = true, e.Detail
		x.split(e)
	case flowengine.Exited:
		if run.exited {
			x.wrong("flow %s #%d ends twice, again at %s", e.Flow, e.Number, at)
		}
		run.exited = true
		m := x.flows[e.Flow]
		m.active--
		m.lastExit = at
	case flowengine.Migrated:
		if run.exited || run.departed || run.element != e.Element {
			x.wrong("flow %s #%d migrates at %q at %s, where it does not wait: %+v", e.Flow, e.Number, e.Element, at, run)
		}
		run.version = e.Version
	case flowengine.Accepted:
		run.open[e.Element]++
	case flowengine.Reported:
		run.open[e.Element]-- // it may come before the answer: compared at the end
	}
}

// entered checks the entry rules (E1–E4) and that the flow took people in.
func (x *examination) entered(at time.Time, e *flowengine.Event) {
	x.sum.entered[e.Flow]++
	k := runKey{e.Flow, e.Number}
	m := x.flows[e.Flow]
	if m == nil {
		m = new(membership)
		x.flows[e.Flow] = m
	}
	if int(e.Number) != len(m.entered)+1 {
		x.wrong("entry #%d into %s follows #%d", e.Number, e.Flow, len(m.entered))
	}
	run := &passage{version: e.Version, open: map[string]int{}}
	x.runs[k] = run
	if strings.HasPrefix(e.Flow, broadcastFlow) {
		if len(m.entered) > 0 && len(x.p.Person.Merged) == 0 {
			x.wrong("B1: %s is entered again at %s", e.Flow, at)
		}
		m.entered, m.active = append(m.entered, at), m.active+1
		run.next = flowengine.BroadcastElement
		return
	}
	d := x.w.known[versionKey{e.Flow, e.Version}]
	if d == nil {
		x.wrong("flow %s has no version %d", e.Flow, e.Version)
		return
	}
	for _, entry := range d.version.Entries {
		if entry.ID == e.Detail {
			run.next = entry.Next
		}
	}
	s := &d.version.Settings
	if !s.Reenter && len(m.entered) > 0 {
		x.wrong("E1: %s is entered again at %s", e.Flow, at)
	}
	if !s.AllowSimultaneous && m.active > 0 {
		x.wrong("E2: %s is entered at %s by somebody inside", e.Flow, at)
	}
	if s.TimeDelay > 0 && !m.lastExit.IsZero() && at.Before(m.lastExit.Add(s.TimeDelay)) {
		x.wrong("E3: %s is entered at %s, and was left at %s", e.Flow, at, m.lastExit)
	}
	for _, l := range s.EntryLimits {
		n := 0
		for _, t := range m.entered {
			if t.After(at.Add(-l.Per)) {
				n++
			}
		}
		if n >= l.Max {
			x.wrong("E4: %s is entered at %s, for the %d. time in %s", e.Flow, at, n+1, l.Per)
		}
	}
	if x.w.book.shutAt(e.Flow, at) {
		x.wrong("S1: %s is entered at %s, when it took nobody in", e.Flow, at)
	}
	m.entered = append(m.entered, at)
	m.active++
}

// engaged checks that the run came to an element by a way that is there.
func (x *examination) engaged(at time.Time, run *passage, e *flowengine.Event) {
	d := x.w.known[versionKey{e.Flow, run.version}]
	if d == nil && !strings.HasPrefix(e.Flow, broadcastFlow) {
		return
	}
	want := run.next
	if run.element != "" && d != nil {
		want = d.targets[run.element][run.port]
	}
	if run.exited || run.element != "" && !run.departed || want != e.Element {
		x.wrong("flow %s #%d comes to %q at %s, not to %q: %+v", e.Flow, e.Number, e.Element, at, want, run)
	}
	run.element, run.port, run.departed = e.Element, "", false
}

// split checks that a person always takes the same way (rule P3).
func (x *examination) split(e *flowengine.Event) {
	d := x.w.known[versionKey{e.Flow, e.Version}]
	if d == nil || d.kinds[e.Element] != "split_audience" {
		return
	}
	s, ok := d.version.Node(e.Element).Element.(*flowengine.SplitAudience)
	if !ok || s.Assign == "per_entry" {
		return
	}
	shares := ""
	for _, b := range s.Branches {
		shares += b.Share.String() + " "
	}
	k := e.Flow + "/" + e.Element + "/" + shares
	if way := x.ways[k]; way != "" && way != e.Detail {
		x.wrong("P3: at split %s/%s %s was taken and then %s", e.Flow, e.Element, way, e.Detail)
	}
	x.ways[k] = e.Detail
}

// compare holds the history against what flows remember of the person.
func (x *examination) compare() {
	active := 0
	for k, run := range x.runs {
		for element, n := range run.open {
			if n < 0 {
				x.wrong("%d reports more than messages were taken of %s/%s #%d", -n, k.flow, element, k.number)
			}
		}
		r := x.p.Passages.Run(k.flow, k.number)
		switch {
		case run.exited && r != nil:
			x.wrong("flow %s #%d has ended, and is active", k.flow, k.number)
		case !run.exited && r == nil:
			x.wrong("flow %s #%d has not ended, and is not active", k.flow, k.number)
		case r != nil && (r.Element != run.element || run.departed):
			x.wrong("flow %s #%d stands at %q; by the history: %+v", k.flow, k.number, r.Element, run)
		}
		if !run.exited {
			active++
		}
	}
	if active != len(x.p.Passages.Runs) {
		x.wrong("%d passages are active, %d by the history", len(x.p.Passages.Runs), active)
	}
	for flow, m := range x.flows {
		if n := x.p.Passages.Membership(flow).Entries; int(n) != len(m.entered) {
			x.wrong("flow %s was entered %d times, %d by the history", flow, n, len(m.entered))
		}
	}
}
