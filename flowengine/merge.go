package flowengine

import (
	"slices"
	"strings"
	"time"
)

// Absorb is the cause by which a person takes over another one, who turned out
// to be the same (rule A2). What both have, the person keeps as it is; what only
// the other has is added. Runs go on under the person, unless the person is
// inside the same flow already: then the other's run ends (rule E2). Entries,
// limits and goals count as if there had always been one person.
type Absorb struct {
	Person   Person // the other, as it was last
	Passages Passages
}

func (*Absorb) cause() {}

// ExitMerged is why a run ends whose person was merged into one who is inside the
// same flow.
const ExitMerged = "merged"

// Absorbed says that a membership has taken over that of another person: the
// numbers of the other's entries were moved up by Offset.
type Absorbed struct {
	Person PersonID
	Offset uint32
}

// Succession is what the history of a person has to be told apart by, when it
// becomes part of another person's: what both had counted for once each.
type Succession struct {
	Flows []FlowSuccession // ordered by flow
}

// FlowSuccession is the part of a Succession that is about one flow.
type FlowSuccession struct {
	Flow      string
	Offset    uint32   // to be added to entry numbers
	Visited   []uint32 // sorted ElementMarks that both had reached (rule M2)
	Clicked   []uint32 // likewise, of which both had followed a link (rule U1)
	Reacted   []uint32 // likewise, of what both had done with mails
	Contacted bool     // both had got a message (rule M6)
	Goals     []GoalSuccession
}

// GoalSuccession names a goal that both were under way to.
type GoalSuccession struct {
	Goal      string
	Mark      uint32 // of what it counts
	Branch    string // for which the survivor counts
	Converted bool   // both were converted (rule G3)
}

// absorb lets the person take over the other.
func (st *step) absorb(c *Absorb) {
	p, other := st.person, &c.Person
	if slices.Contains(p.Merged, other.ID) {
		return
	}
	st.other = other
	p.Merged = append(append(p.Merged, other.ID), other.Merged...)
	st.result.PersonChanged, st.result.PassagesChanged = true, true
	st.log(Event{Kind: Updated, Detail: "merged with " + other.ID.String()})
	for _, a := range other.Attrs {
		if p.Attrs.Get(a.Name).Type == Unset {
			p.SetAttr(a.Name, a.Value)
		}
	}
	for _, t := range other.Tags {
		p.AddTag(t)
	}
	for _, k := range other.DoNotContact {
		p.Block(k)
	}
	for _, a := range other.Addresses {
		p.AddAddress(a)
		st.result.AddressesAdded = append(st.result.AddressesAdded, a)
	}
	st.result.Succession = st.joinPassages(other.ID, &c.Passages)
}

func (st *step) joinPassages(from PersonID, other *Passages) *Succession {
	ps := st.passages
	s := new(Succession)
	for i := range other.Flows {
		o := &other.Flows[i]
		s.Flows = append(s.Flows, ps.Membership(o.Flow).join(from, o, st.set.goalsOf(o.Flow)))
	}
	for i := range other.Runs {
		st.adopt(&other.Runs[i], s)
	}
	ps.rankWaits()
	for _, c := range other.Contacts {
		ps.joinContact(c)
	}
	ps.Places = append(ps.Places, other.Places...) // what the other got counts for caps (rule X12)
	slices.SortStableFunc(ps.Places, func(a, b Place) int { return a.At.Compare(b.At) })
	ps.Heard = append(ps.Heard, other.Heard...)
	slices.SortStableFunc(ps.Heard, func(a, b Digest) int { return a.At.Compare(b.At) })
	ps.Heard = slices.Delete(ps.Heard, 0, max(0, len(ps.Heard)-maxHeard))
	return s
}

// adopt takes over a run of the other person.
func (st *step) adopt(run *Run, s *Succession) {
	f := s.flow(run.Flow)
	if f == nil { // unreachable: a run has a membership
		return
	}
	inside := st.passages.insideUpTo(run.Flow, f.Offset)
	run.Number += f.Offset
	st.passages.Runs = append(st.passages.Runs, *run)
	run = &st.passages.Runs[len(st.passages.Runs)-1]
	st.result.Entered = append(st.result.Entered, RunKey{run.Flow, run.Version, run.Number})
	v := st.version(run)
	if inside && (v == nil || !v.Settings.AllowSimultaneous) {
		st.exit(run, ExitMerged)
		return
	}
	if run.live() {
		st.result.CallsChanged = true
	}
	if !run.Deadline.IsZero() {
		st.result.Timers = append(st.result.Timers, Deadline{run.Deadline, run.Flow, run.Number, run.Seq})
	}
}

// insideUpTo reports whether a run of the flow with an entry number up to last
// is active.
func (p *Passages) insideUpTo(flow string, last uint32) bool {
	return slices.ContainsFunc(p.Runs, func(r Run) bool { return r.Flow == flow && r.Number <= last })
}

// rankWaits numbers the waits anew by when they began, for two persons counted
// them each for himself (rule R3).
func (p *Passages) rankWaits() {
	order := make([]*Run, len(p.Runs))
	for i := range p.Runs {
		order[i] = &p.Runs[i]
	}
	slices.SortStableFunc(order, func(a, b *Run) int { return a.Since.Compare(b.Since) })
	for i, run := range order {
		run.Wait = uint64(i + 1)
	}
	p.Waits = max(p.Waits, uint64(len(order)))
}

func (p *Passages) joinContact(c Contact) {
	i := slices.IndexFunc(p.Contacts, func(x Contact) bool { return x.Channel == c.Channel })
	switch {
	case i < 0:
		p.Contacts = append(p.Contacts, c)
	case c.At.After(p.Contacts[i].At):
		p.Contacts[i] = c
	}
}

// join adds the history of another person with the same flow, which has these goals.
func (m *Membership) join(from PersonID, o *Membership, goals []*Goal) FlowSuccession {
	s := FlowSuccession{Flow: m.Flow, Offset: m.Entries, Contacted: m.Contacted && o.Contacted}
	for _, mark := range o.Visited {
		if !m.visit(mark) {
			s.Visited = append(s.Visited, mark)
		}
	}
	for _, mark := range o.Clicked {
		if !m.click(mark) {
			s.Clicked = append(s.Clicked, mark)
		}
	}
	for _, mark := range o.Reacted {
		if !addMark(&m.Reacted, mark) {
			s.Reacted = append(s.Reacted, mark)
		}
	}
	m.Absorbed = append(m.Absorbed, Absorbed{from, s.Offset})
	for _, a := range o.Absorbed {
		m.Absorbed = append(m.Absorbed, Absorbed{a.Person, a.Offset + s.Offset})
	}
	m.Entries += o.Entries
	m.Recent = append(m.Recent, o.Recent...)
	slices.SortFunc(m.Recent, time.Time.Compare)
	m.LastExit = later(m.LastExit, o.LastExit)
	m.Mustered = later(m.Mustered, o.Mustered)
	m.Fired = max(m.Fired, o.Fired)
	m.Contacted = m.Contacted || o.Contacted
	for i := range o.Goals {
		for _, g := range goals {
			if g.ID == o.Goals[i].Goal && g.mark == o.Goals[i].Mark { // else it is void
				if both := m.joinGoal(g, &o.Goals[i]); both != nil {
					s.Goals = append(s.Goals, *both)
				}
			}
		}
	}
	for _, p := range o.Progress {
		m.joinProgress(p)
	}
	return s
}

// joinGoal adds how another person stood to a goal, and tells what both counted for.
func (m *Membership) joinGoal(goal *Goal, o *GoalState) *GoalSuccession {
	g := m.goalState(goal)
	if g.Anchor.IsZero() {
		*g = *o
		return nil
	}
	if o.Anchor.IsZero() {
		return nil
	}
	both := &GoalSuccession{Goal: g.Goal, Mark: g.Mark, Branch: g.Branch, Converted: g.Converted && o.Converted}
	g.Anchor = later(g.Anchor, o.Anchor)
	g.Converted = g.Converted || o.Converted
	return both
}

// joinProgress adds how far another person had come with a combination of events.
func (m *Membership) joinProgress(o Progress) {
	i := slices.IndexFunc(m.Progress, func(p Progress) bool { return p.Entry == o.Entry })
	if i < 0 {
		m.Progress = append(m.Progress, o)
		return
	}
	seen := m.Progress[i].Seen
	for j := range min(len(seen), len(o.Seen)) {
		seen[j] = later(seen[j], o.Seen[j])
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ours gives an origin the form that it has for the person: what was sent to
// somebody whom the person absorbed is told to the person.
func (st *step) ours(o Origin) Origin { return st.passages.OriginOf(o, st.person.ID) }

// OriginOf gives an origin the form that it has for the person whose passages they
// are: what was sent to somebody whom the person absorbed was sent to the person.
func (p *Passages) OriginOf(o Origin, person PersonID) Origin {
	if o.Person == person || o.Person.IsZero() {
		return o
	}
	if i, ok := slices.BinarySearchFunc(p.Flows, o.Flow, func(m Membership, f string) int { return strings.Compare(m.Flow, f) }); ok {
		for _, a := range p.Flows[i].Absorbed {
			if a.Person == o.Person {
				o.Number += a.Offset
			}
		}
	}
	o.Person = person
	return o
}

func (s *Succession) flow(flow string) *FlowSuccession {
	i, ok := slices.BinarySearchFunc(s.Flows, flow, func(f FlowSuccession, id string) int { return strings.Compare(f.Flow, id) })
	if !ok {
		return nil
	}
	return &s.Flows[i]
}

// Rewrite gives a stretch of history the form that it has for the survivor:
// entries get the survivor's numbers, and what counted for each of the two counts
// once (rules G3, M2, M6).
func (s *Succession) Rewrite(events []Event) []Event {
	kept := make([]Event, 0, len(events))
	for _, e := range events {
		f := s.flow(e.Flow)
		if f == nil {
			kept = append(kept, e)
			continue
		}
		if e.Number > 0 {
			e.Number += f.Offset
		}
		if f.rewrite(&e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// rewrite is Rewrite for one event; false drops it.
func (f *FlowSuccession) rewrite(e *Event) bool {
	switch e.Kind {
	case Engaged:
		if _, both := slices.BinarySearch(f.Visited, ElementMark(e.Element)); both {
			e.First = false
		}
	case Clicked:
		if _, both := slices.BinarySearch(f.Clicked, ElementMark(e.Element)); both {
			e.First = false
		}
	case Opened, Unsubscribed, Complained:
		if _, both := slices.BinarySearch(f.Reacted, reactionMark(e.Kind, e.Element)); both {
			e.First = false
		}
	case Accepted, Failed:
		e.First = e.First && !f.Contacted
	case GoalAnchored, GoalReached:
		i := slices.IndexFunc(f.Goals, func(g GoalSuccession) bool { return g.Goal == e.Detail && g.Mark == e.Units })
		switch {
		case i < 0:
		case e.Kind == GoalReached:
			e.First = e.First && !f.Goals[i].Converted
		case e.Element == f.Goals[i].Branch: // the survivor counts for it
			return false
		default:
			e.First = false
		}
	}
	return true
}
