package flowengine

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Goal is what a flow is for: an event that people shall have within a stretch
// of time after they reached an element (rules G1–G4). Goals are no part of a
// version: they can be added and changed while people are inside.
type Goal struct {
	ID     string        `yaml:"id" required:"true" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Id of the goal, unique in the flow."`
	Name   string        `yaml:"name" max:"200" doc:"Name for people. Default: the id."`
	Event  string        `yaml:"event" required:"true" doc:"Name of the event that reaches the goal."`
	Where  string        `yaml:"where" doc:"Condition over event, person and now that must be true."`
	Window time.Duration `yaml:"window" default:"7d" min:"1m" max:"90d" doc:"How long after the anchor the event counts."`
	Anchor string        `yaml:"anchor" doc:"Element from which on the event counts. Default: from the entry."`

	filter EventFilter
	mark   uint32
}

// Mark tells what the goal counts: event, filter, window and anchor. A goal of
// which one of them is changed is another one, and counts anew (rule G2).
func (g *Goal) Mark() uint32 { return g.mark }

// Revise makes the mark that of the goal's revision: one that is changed and
// changed back counts anew too.
func (g *Goal) Revise(revision uint32) {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q %d %q %d", g.Event, g.Where, g.Window, g.Anchor, revision)
	g.mark = max(h.Sum32(), 1) // 0: of a time before there were marks
}

// GoalState is how a person stands to a goal.
type GoalState struct {
	Goal string
	Mark uint32 // of the goal that counted; what another one counted is void
	// Anchor is when the person last reached the anchor.
	Anchor time.Time
	// Branch is the way that the person went at the last split before the
	// anchor or since: element/port; "" before any. ControlBranch: the person
	// was held out.
	Branch    string
	Converted bool
}

// goals checks the goals of a definition.
func (b *builder) goals() {
	seen := map[string]bool{}
	for i := range b.definition.Goals {
		g := &b.definition.Goals[i]
		at := []any{"goals", i}
		c := &Checker{Schema: b.schema, Settings: &b.version.Settings, numbers: b.numbers, at: at, report: b.report}
		if seen[g.ID] {
			c.ErrorfAt([]any{"id"}, "goal %q is there twice", g.ID)
		}
		seen[g.ID] = true
		if g.Name == "" {
			g.Name = g.ID
		}
		if g.Anchor != "" {
			b.target(append(at, "anchor"), "the anchor", g.Anchor)
		}
		g.filter = EventFilter{Event: g.Event, Where: g.Where}
		g.filter.check(c)
		g.Revise(0)
	}
	b.version.Goals = b.definition.Goals
}

// goalState finds how the person stands to a goal, or makes it. What the goal
// counted before it was changed is forgotten (rule G2).
func (m *Membership) goalState(g *Goal) *GoalState {
	i, ok := m.findGoal(g.ID)
	if !ok {
		m.Goals = slices.Insert(m.Goals, i, GoalState{})
	}
	s := &m.Goals[i]
	if s.Mark != g.mark {
		*s = GoalState{Goal: g.ID, Mark: g.mark}
	}
	return s
}

func (m *Membership) findGoal(id string) (int, bool) {
	return slices.BinarySearchFunc(m.Goals, id, func(s GoalState, id string) int { return strings.Compare(s.Goal, id) })
}

// anchor notes that a run reached what goals count from: an element, or with ""
// the entry.
func (st *step) anchor(run *Run, element string) {
	for _, g := range st.set.goalsOf(run.Flow) {
		if g.Anchor != element {
			continue
		}
		s := st.passages.Membership(run.Flow).goalState(g)
		first := s.Anchor.IsZero() || s.Branch == ControlBranch // of whom the group was made smaller
		if s.Converted {                                        // one conversion per person (rule G3)
			continue
		}
		s.Anchor, s.Branch = st.now, run.Branch
		st.result.PassagesChanged = true
		if first {
			st.log(Event{Kind: GoalAnchored, Flow: run.Flow, Version: run.Version, Element: run.Branch, Number: run.Number, Detail: g.ID, Units: g.mark, First: true})
		}
	}
}

// branched notes which way a run went at a split, for goals that it is under way to.
func (st *step) branched(run *Run, branch string) {
	run.Branch = branch
	for _, g := range st.set.goalsOf(run.Flow) {
		s := st.passages.Membership(run.Flow).goalState(g)
		if s.Anchor.IsZero() || s.Converted || s.Branch == branch {
			continue
		}
		// The person counts for the branch from now on.
		st.log(Event{Kind: GoalAnchored, Flow: run.Flow, Version: run.Version, Element: branch, Number: run.Number, Detail: g.ID, Units: g.mark})
		s.Branch = branch
	}
}

// scoreGoals counts an event for every goal whose window is open (rules G3, G4).
func (st *step) scoreGoals(e *Happened) {
	for i := range st.passages.Flows {
		m := &st.passages.Flows[i]
		for _, g := range st.set.goalsOf(m.Flow) {
			if g.Event == e.Name {
				st.scoreGoal(m, g, e)
			}
		}
	}
}

func (st *step) scoreGoal(m *Membership, g *Goal, e *Happened) {
	j, ok := m.findGoal(g.ID)
	if !ok || m.Goals[j].Mark != g.mark {
		return
	}
	s := &m.Goals[j]
	if s.Anchor.IsZero() || e.At.Before(s.Anchor) || e.At.After(s.Anchor.Add(g.Window)) { // G4
		return
	}
	f := st.set.Flow(m.Flow)
	if f == nil || f.Newest == nil {
		return
	}
	probe := Run{Flow: m.Flow, Version: f.Newest.Ordinal, Event: e}
	if !g.filter.matches(st.passage(&probe, f.Newest), e) {
		return
	}
	first := !s.Converted
	s.Converted = true
	st.result.PassagesChanged = true
	st.log(Event{Kind: GoalReached, Flow: m.Flow, Version: f.Newest.Ordinal, Element: s.Branch, Detail: g.ID, Units: g.mark, First: first})
}

// goalsOf lists the goals of a flow, as its newest definition has them.
func (s *Set) goalsOf(flow string) []*Goal {
	if f := s.flows[flow]; f != nil {
		return f.goals
	}
	return nil
}

// Moments is a stretch of a person's history, as it was kept.
type Moments struct {
	At     time.Time
	Events []Event
}

// CountBack is the cause that lets a goal see what happened before it was there
// (rule G2): the history tells when the person reached the anchor, the events
// what happened afterwards.
type CountBack struct {
	Flow, Goal string
	History    []Moments  // oldest first
	Events     []Happened // in any order
}

func (*CountBack) cause() {}

// countBack begins the count of a goal anew for the person.
func (st *step) countBack(c *CountBack) {
	var goal *Goal
	for _, g := range st.set.goalsOf(c.Flow) {
		if g.ID == c.Goal {
			goal = g
		}
	}
	if goal == nil {
		return
	}
	i := slices.IndexFunc(st.passages.Flows, func(m Membership) bool { return m.Flow == c.Flow })
	if i < 0 { // never in the flow
		return
	}
	m := &st.passages.Flows[i]
	s := m.goalState(goal)
	if !s.Anchor.IsZero() { // it counts already
		return
	}
	events := slices.Clone(c.Events)
	slices.SortStableFunc(events, func(a, b Happened) int { return a.At.Compare(b.At) })
	next := 0
	score := func(until time.Time) { // the events before the next moment
		for ; next < len(events) && events[next].At.Before(until); next++ {
			if events[next].Name == goal.Event {
				st.scoreGoal(m, goal, &events[next])
			}
		}
	}
	for _, h := range c.History {
		score(h.At)
		for i := range h.Events {
			if h.Events[i].Flow == c.Flow {
				st.anchorBack(goal, s, &h.Events[i], h.At)
			}
		}
	}
	score(st.now.Add(time.Millisecond))
}

// anchorBack is anchor and branched for one line of history.
func (st *step) anchorBack(g *Goal, s *GoalState, e *Event, at time.Time) {
	switch {
	case e.Kind == Departed && strings.HasPrefix(e.Detail, "branch_") && st.isSplit(e):
		s.Branch = e.Element + "/" + e.Detail
		if !s.Anchor.IsZero() && !s.Converted {
			st.log(Event{Kind: GoalAnchored, Flow: e.Flow, Version: e.Version, Element: s.Branch, Number: e.Number, Detail: g.ID, Units: g.mark})
		}
	case s.Converted:
	case e.Kind == Refused && e.Detail == RefusedControlGroup:
		if f := st.set.Flow(e.Flow); f != nil && f.Newest != nil {
			st.anchorControl(g, s, f.Newest, at)
		}
	case e.Kind == Entered && g.Anchor == "", e.Kind == Engaged && g.Anchor != "" && e.Element == g.Anchor:
		first := s.Anchor.IsZero()
		s.Anchor = at
		st.result.PassagesChanged = true
		if first {
			st.log(Event{Kind: GoalAnchored, Flow: e.Flow, Version: e.Version, Element: s.Branch, Number: e.Number, Detail: g.ID, Units: g.mark, First: true})
		}
	}
}

// isSplit says whether an element of history is one that splits the audience.
func (st *step) isSplit(e *Event) bool {
	f := st.set.Flow(e.Flow)
	if f == nil || f.Newest == nil {
		return false
	}
	n := f.Newest.Node(e.Element)
	if n == nil {
		return false
	}
	_, ok := n.Element.(*SplitAudience)
	return ok
}
