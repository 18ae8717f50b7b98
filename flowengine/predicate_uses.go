package flowengine

import (
	"slices"
)

// Uses says what a condition looks at, so that it is asked again only when
// something of that changes. Lists are ordered and without repetition.
type Uses struct {
	Attributes []string
	Tags       []string // folded
	Vars       []string
	Props      []string // of the event at hand
	Events     []string // names of past events
	Messages   []string // ids of elements
	Contacts   []string // channels
	Segments   []string
	// Clock: the truth changes with the day alone, or with the time (rule E10).
	Clock bool
	// Now: an expression reads the time.
	Now bool

	// What an expression looks at is not known as precisely.
	AllTags, AllVars, EventAtHand, Inbound bool
}

func use(list *[]string, name string) {
	if i, found := slices.BinarySearch(*list, name); !found {
		*list = slices.Insert(*list, i, name)
	}
}

// expression adds what a condition in the expression language reads.
func (u *Uses) expression(r *reads) {
	for _, name := range r.person {
		if name == fieldTags {
			u.AllTags = true
			continue
		}
		use(&u.Attributes, name)
	}
	u.AllVars = u.AllVars || r.vars
	u.EventAtHand = u.EventAtHand || r.event
	u.Inbound = u.Inbound || len(r.inbound) > 0
	u.Clock, u.Now = u.Clock || r.now, u.Now || r.now
}

// Attribute says whether the condition looks at an attribute.
func (u *Uses) Attribute(name string) bool {
	_, found := slices.BinarySearch(u.Attributes, name)
	return found
}

// Tag says whether the condition looks at a tag.
func (u *Uses) Tag(t Tag) bool {
	_, found := slices.BinarySearch(u.Tags, t.Fold)
	return u.AllTags || found
}

// History says whether the condition looks at anything beyond the profile.
func (u *Uses) History() bool {
	return len(u.Events)+len(u.Messages)+len(u.Contacts) > 0
}

// Run says whether the condition looks at what only a run or an event has.
func (u *Uses) Run() bool {
	return len(u.Vars)+len(u.Props)+len(u.Messages) > 0 || u.AllVars || u.EventAtHand || u.Inbound
}
