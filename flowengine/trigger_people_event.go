package flowengine

import (
	"slices"
	"time"
)

// PeopleEvent lets in who has an event, all of several events within a stretch
// of time, or several events one after the other (rule E12).
type PeopleEvent struct {
	EntryOptions `yaml:",inline"`
	Event        string        `yaml:"event" doc:"Name of the event."`
	Where        string        `yaml:"where" doc:"Condition over event, person and now that must be true."`
	AllOf        []EventFilter `yaml:"all_of" max:"10" doc:"Events that all have to happen, in any order."`
	Sequence     []EventFilter `yaml:"sequence" max:"10" doc:"Events that have to happen one after the other."`
	Within       time.Duration `yaml:"within" min:"1s" max:"90d" doc:"Stretch of time in which all_of or sequence has to happen."`

	events  []EventFilter
	inOrder bool
}

// EventFilter names an event, and which of its kind.
type EventFilter struct {
	Event string `yaml:"event" required:"true" doc:"Name of the event."`
	Where string `yaml:"where" doc:"Condition over event, person and now that must be true."`

	where *Condition
}

// Check wants one of the three forms.
func (t *PeopleEvent) Check(c *Checker) {
	forms := 0
	for _, given := range []bool{t.Event != "", len(t.AllOf) > 0, len(t.Sequence) > 0} {
		if given {
			forms++
		}
	}
	if forms != 1 {
		c.Errorf("say one of `event`, `all_of` and `sequence`")
		return
	}
	at, key := t.AllOf, "all_of"
	switch {
	case t.Event != "":
		t.events = []EventFilter{{Event: t.Event, Where: t.Where}}
		t.events[0].check(c)
		return
	case len(t.Sequence) > 0:
		at, key, t.inOrder = t.Sequence, "sequence", true
	}
	if t.Where != "" {
		c.ErrorfAt([]any{"where"}, "a condition belongs to each event of `%s`", key)
	}
	if t.Within == 0 {
		c.ErrorfAt([]any{key}, "say `within` how long all of them have to happen")
	}
	if len(at) < 2 {
		c.ErrorfAt([]any{key}, "a combination has at least two events")
	}
	t.events = slices.Clone(at)
	for i := range t.events {
		t.events[i].check(c, key, i)
	}
}

func (f *EventFilter) check(c *Checker, path ...any) {
	c.EventName(f.Event, append(slices.Clone(path), "event")...)
	if f.Where != "" {
		f.where = c.ConditionOn(f.Event, f.Where, append(slices.Clone(path), "where")...)
	}
}

// names lists the events that the trigger listens to, each once.
func (t *PeopleEvent) names() (names []string) {
	for _, f := range t.events {
		if !slices.Contains(names, f.Event) {
			names = append(names, f.Event)
		}
	}
	return names
}

// matches says whether an event is the one that is meant. A condition that
// cannot be computed is not true.
func (f *EventFilter) matches(x *Passage, e *Happened) bool {
	if f.Event != e.Name {
		return false
	}
	if f.where == nil {
		return true
	}
	yes, err := f.where.True(x)
	return err == nil && yes
}

// completes notes an event at the entry point and says whether it completes the
// combination there. x sees the event.
func (t *PeopleEvent) completes(x *Passage, m *Membership, entry string, e *Happened) bool {
	if len(t.events) == 1 {
		return t.events[0].matches(x, e)
	}
	p := m.progress(entry, len(t.events))
	done := t.advance(x, p, e)
	if done {
		clear(p.Seen)
	}
	return done
}

func (t *PeopleEvent) advance(x *Passage, p *Progress, e *Happened) bool {
	last := len(t.events) - 1
	if t.inOrder {
		// From the end, so that one event takes one step.
		for i := last; i >= 0; i-- {
			if !t.events[i].matches(x, e) {
				continue
			}
			switch {
			case i == 0:
				p.Seen[0] = e.At
			case !p.Seen[i-1].IsZero() && !e.At.After(p.Seen[i-1].Add(t.Within)):
				p.Seen[i] = p.Seen[i-1]
				if i == last {
					return true
				}
			}
		}
		return false
	}
	whole := true
	for i := range t.events {
		if t.events[i].matches(x, e) {
			p.Seen[i] = e.At
		}
		if p.Seen[i].IsZero() || e.At.After(p.Seen[i].Add(t.Within)) {
			whole = false
		}
	}
	return whole
}

// progress finds how far a combination has come, or makes a new start.
func (m *Membership) progress(entry string, events int) *Progress {
	for i := range m.Progress {
		if m.Progress[i].Entry == entry {
			if len(m.Progress[i].Seen) != events { // another version of the flow
				m.Progress[i].Seen = make([]time.Time, events)
			}
			return &m.Progress[i]
		}
	}
	m.Progress = append(m.Progress, Progress{Entry: entry, Seen: make([]time.Time, events)})
	return &m.Progress[len(m.Progress)-1]
}
