package flowengine

import (
	"slices"
	"strings"
	"time"
)

// maxEdges bounds how often changes of the profile may lead to further changes
// within one step.
const maxEdges = 10

// Daily is the cause that looks at a person for the conditions of an entry point
// that change with the day (rule E10).
type Daily struct{ Flow, Entry string }

func (*Daily) cause() {}

// profile is what edges are found by: how the person was.
type profile struct {
	attrs   Attrs
	tags    []Tag
	blocked []AddressKind
}

func profileOf(p *Person) profile {
	return profile{slices.Clone(p.Attrs), slices.Clone(p.Tags), slices.Clone(p.DoNotContact)}
}

// as gives the person as it was. Addresses are those of now: no condition on
// them is an edge.
func (f *profile) as(p *Person) *Person {
	was := *p
	was.Attrs, was.Tags, was.DoNotContact = f.attrs, f.tags, f.blocked
	return &was
}

// changes lists what differs between two profiles, in the form of watchKey.
func (f *profile) changes(p *Person) (keys []string) {
	i, j := 0, 0
	for i < len(f.attrs) || j < len(p.Attrs) {
		switch {
		case j == len(p.Attrs) || i < len(f.attrs) && f.attrs[i].Name < p.Attrs[j].Name:
			keys = append(keys, attrKey(f.attrs[i].Name))
			i++
		case i == len(f.attrs) || p.Attrs[j].Name < f.attrs[i].Name:
			keys = append(keys, attrKey(p.Attrs[j].Name))
			j++
		default:
			if f.attrs[i].Value != p.Attrs[j].Value {
				keys = append(keys, attrKey(f.attrs[i].Name))
			}
			i, j = i+1, j+1
		}
	}
	for _, t := range f.tags {
		if !p.HasTag(t) {
			keys = append(keys, tagKey(t.Fold))
		}
	}
	for _, t := range p.Tags {
		_, was := slices.BinarySearchFunc(f.tags, t.Fold, func(x Tag, fold string) int { return strings.Compare(x.Fold, fold) })
		if !was {
			keys = append(keys, tagKey(t.Fold))
		}
	}
	return keys
}

func attrKey(name string) string { return "a:" + name }
func tagKey(fold string) string  { return "t:" + fold }

// anyTag is the key of conditions that look at all tags.
const anyTag = "t:"

// watch enters an entry point into the index of what it looks at.
func (s *Set) watch(ref entryRef, u *Uses) {
	add := func(key string) { s.watchers[key] = append(s.watchers[key], ref) }
	for _, a := range u.Attributes {
		add(attrKey(a))
	}
	for _, t := range u.Tags {
		add(tagKey(t))
	}
	if u.AllTags {
		add(anyTag)
	}
}

// watching lists the entry points that look at any of the keys, each once.
func (s *Set) watching(keys []string) (refs []entryRef) {
	add := func(list []entryRef) {
		for _, ref := range list {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	tags := false
	for _, k := range keys {
		add(s.watchers[k])
		tags = tags || strings.HasPrefix(k, anyTag)
	}
	if tags {
		add(s.watchers[anyTag])
	}
	return refs
}

// edges finds what the step's changes of the profile lead to: waits that end,
// and entry points whose condition has become true (rule E10). Each may change
// the profile again.
func (st *step) edges() {
	by := append(st.flowsOfRuns(), st.within...) // a change does not let its own run's flow trigger (rule X7)
	for range maxEdges {
		keys := st.before.changes(st.person)
		if len(keys) == 0 {
			return
		}
		was := st.before.as(st.person)
		now := profileOf(st.person)
		after := now.as(st.person)
		*st.before = now
		st.wakeForChange()
		for _, ref := range st.set.watching(keys) {
			if slices.Contains(by, ref.flow.ID) {
				continue
			}
			c := ref.entry.Trigger.(conditional).condition()
			if !st.holds(ref, c, was) && st.holds(ref, c, after) {
				st.fire(ref)
			}
		}
	}
}

// holds asks an entry point's condition about the person, as it is or was.
func (st *step) holds(ref entryRef, c *Predicate, p *Person) bool {
	v := st.viewFor(ref)
	v.Person = p
	return c.Eval(v)
}

// conditional is a Trigger that lets in whom a change makes fit its condition.
type conditional interface {
	Trigger
	condition() *Predicate
}

func (t *ProfileChange) condition() *Predicate { return &t.Condition }
func (t *Audience) condition() *Predicate      { return &t.Condition }

// fire offers the person to an entry point, at most once a day where the
// condition changes with the day (rule E10).
func (st *step) fire(ref entryRef) {
	if t, ok := ref.entry.Trigger.(*Audience); ok {
		if !t.takes(st.viewFor(ref), false) { // not one of those that are named
			return
		}
		st.passages.Membership(ref.flow.ID).Mustered = st.now
		st.result.PassagesChanged = true
	}
	if ref.entry.Trigger.(conditional).condition().Uses().Clock {
		m := st.passages.Membership(ref.flow.ID)
		today := st.now.In(ref.version.Settings.zone()).Format(time.DateOnly)
		if m.Fired == today {
			return
		}
		m.Fired = today
		st.result.PassagesChanged = true
	}
	st.offerEntry(ref, new(Run))
}

// daily looks at the person because a new day has begun.
func (st *step) daily(c *Daily) {
	f := st.set.Flow(c.Flow)
	if f == nil || f.Newest == nil {
		return
	}
	for _, e := range f.Newest.Entries {
		if t, ok := e.Trigger.(*ProfileChange); ok && e.ID == c.Entry {
			if ref := (entryRef{f, f.Newest, e}); st.holds(ref, &t.Condition, st.person) {
				st.fire(ref)
			}
		}
	}
}

// wakeForChange lets runs go on whose condition is true now.
func (st *step) wakeForChange() {
	for _, key := range st.runKeys() {
		run := st.passages.Run(key.Flow, key.Number)
		if run == nil || run.Sending != "" || st.paused(run.Flow) {
			continue
		}
		v := st.version(run)
		if v == nil {
			continue
		}
		node := v.Node(run.Element)
		if node == nil {
			continue
		}
		if w, ok := node.Element.(*WaitForChange); ok && w.holds(st.passage(run, v)) {
			st.resume(run, &Change{Source: "profile"})
		}
	}
}

// flowsOfRuns lists the flows that the person is inside of.
func (st *step) flowsOfRuns() (flows []string) {
	for i := range st.passages.Runs {
		flows = append(flows, st.passages.Runs[i].Flow)
	}
	return flows
}

// recollection is what is remembered of a person, as conditions ask for it.
type recollection struct {
	st  *step
	run *Run // nil outside of runs
}

// Events implements Past.
func (p *recollection) Events(name string) []Happened {
	var all []Happened
	if p.st.events != nil {
		all = p.st.events(name)
	}
	for _, e := range p.st.result.Happened { // of this very step
		if e.Name == name {
			all = append(all[:len(all):len(all)], e)
		}
	}
	return all
}

// Message implements Past.
func (p *recollection) Message(element string) MessageSeen {
	if p.run != nil {
		for i := range p.run.Messages {
			if p.run.Messages[i].Element == element {
				return p.run.Messages[i].MessageSeen
			}
		}
	}
	return MessageSeen{}
}

// LastContact implements Past.
func (p *recollection) LastContact(channel string) time.Time {
	for _, c := range p.st.passages.Contacts {
		if c.Channel == channel {
			return c.At
		}
	}
	return time.Time{}
}

// MessageState is what became of the latest message of an element in a run.
type MessageState struct {
	Element string
	ID      string
	MessageSeen
}

// Contact is when a person was last sent something on a channel.
type Contact struct {
	Channel string
	At      time.Time
}

// contacted notes a message that goes out to the person.
func (p *Passages) contacted(channel string, at time.Time) {
	for i := range p.Contacts {
		if p.Contacts[i].Channel == channel {
			p.Contacts[i].At = at
			return
		}
	}
	p.Contacts = append(p.Contacts, Contact{channel, at})
}

// message finds the state of an element's latest message, or makes it.
func (r *Run) message(element string) *MessageState {
	for i := range r.Messages {
		if r.Messages[i].Element == element {
			return &r.Messages[i]
		}
	}
	r.Messages = append(r.Messages, MessageState{Element: element})
	return &r.Messages[len(r.Messages)-1]
}

// bits is the stored form of what is known of a message.
func (m *MessageSeen) bits() (b uint64) {
	for i, set := range [...]bool{m.Sent, m.Accepted, m.Delivered, m.Failed, m.Clicked} {
		if set {
			b |= 1 << i
		}
	}
	return b
}

func (m *MessageSeen) setBits(b uint64) {
	m.Sent, m.Accepted, m.Delivered, m.Failed, m.Clicked = b&1 != 0, b&2 != 0, b&4 != 0, b&8 != 0, b&16 != 0
}
