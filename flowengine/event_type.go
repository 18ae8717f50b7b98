package flowengine

import (
	"fmt"
	"maps"
	"slices"
)

// EventType is a kind of People event that the operator declares: which properties it
// has, and of which type. Events that nobody declares have whatever properties come.
type EventType struct {
	Name       string
	Properties []Attribute
}

// ownEvents are those that we make ourselves.
var ownEvents = []string{
	EventLinkClicked, EventEmailOpened, EventEmailClicked, EventEmailUnsubscribed, EventEmailResubscribed, EventEmailBounced, EventEmailComplained,
}

// WithEvents is the schema with kinds of events.
func (s *Schema) WithEvents(all ...EventType) (*Schema, error) {
	next := *s
	next.events = map[string]*Schema{}
	for _, t := range all {
		switch {
		case !eventName.MatchString(t.Name):
			return nil, fmt.Errorf("event %q: a name is a letter and at most 63 more letters, digits, _ and -", t.Name)
		case slices.Contains(ownEvents, t.Name):
			return nil, fmt.Errorf("event %q is one of ours: its properties are known already", t.Name)
		case next.events[t.Name] != nil:
			return nil, fmt.Errorf("event %q is declared twice", t.Name)
		}
		e := &Schema{event: t.Name, types: map[string]Type{}}
		for _, p := range t.Properties {
			switch {
			case !attributeName.MatchString(p.Name):
				return nil, fmt.Errorf("event %q: property %q: a name is a letter and at most 63 more letters, digits and underscores", t.Name, p.Name)
			case e.types[p.Name] != Unset:
				return nil, fmt.Errorf("event %q: property %q is declared twice", t.Name, p.Name)
			case p.Type == Unset || p.Type.String() == "":
				return nil, fmt.Errorf("event %q: property %q has no type", t.Name, p.Name)
			}
			e.types[p.Name] = p.Type
		}
		e.names = slices.Sorted(maps.Keys(e.types))
		next.events[t.Name] = e
	}
	return &next, nil
}

// Event is the schema of the properties of an event; nil: it is not declared.
func (s *Schema) Event(name string) *Schema { return s.events[name] }

// about is the schema for conditions that look at an event of that name.
func (s *Schema) about(event string) *Schema {
	if s.events[event] == nil {
		return s
	}
	next := *s
	next.at = s.events[event]
	return &next
}
