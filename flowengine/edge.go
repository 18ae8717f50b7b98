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
	attrs     Attrs
	tags      []Tag
	blocked   []AddressKind
	addresses []Address
	segments  []string
}

// profileOf remembers a person as it is. From now on the person's parts are
// copied before they are changed.
func profileOf(p *Person) profile {
	p.lent = lentAll
	return profile{p.Attrs, p.Tags, p.DoNotContact, p.Addresses, p.Segments}
}

// as gives the person as it was. Addresses are those of now: no condition on
// them is an edge.
func (f *profile) as(p *Person) *Person {
	was := *p
	was.Attrs, was.Tags, was.DoNotContact, was.Segments = f.attrs, f.tags, f.blocked, f.segments
	return &was
}

// changes lists what differs between two profiles.
func (f *profile) changes(p *Person) (all []changed) {
	if !same(f.attrs, p.Attrs) {
		all = f.changedAttrs(p, all)
	}
	if !same(f.tags, p.Tags) {
		all = f.changedTags(p, all)
	}
	if !same(f.addresses, p.Addresses) {
		was := Person{Addresses: f.addresses}
		for _, name := range [...]string{attrPhone, attrEmail} {
			if was.attribute(name) != p.attribute(name) {
				all = append(all, changed{key: attrKey(name)})
			}
		}
	}
	if !same(f.segments, p.Segments) {
		all = f.changedSegments(p, all)
	}
	return all
}

func (f *profile) changedAttrs(p *Person, all []changed) []changed {
	i, j := 0, 0
	for i < len(f.attrs) || j < len(p.Attrs) {
		switch {
		case j == len(p.Attrs) || i < len(f.attrs) && f.attrs[i].Name < p.Attrs[j].Name:
			all = append(all, changed{key: attrKey(f.attrs[i].Name), old: f.attrs[i].Value})
			i++
		case i == len(f.attrs) || p.Attrs[j].Name < f.attrs[i].Name:
			all = append(all, changed{key: attrKey(p.Attrs[j].Name), new: p.Attrs[j].Value})
			j++
		default:
			if f.attrs[i].Value != p.Attrs[j].Value {
				all = append(all, changed{attrKey(f.attrs[i].Name), f.attrs[i].Value, p.Attrs[j].Value})
			}
			i, j = i+1, j+1
		}
	}
	return all
}

func (f *profile) changedTags(p *Person, all []changed) []changed {
	for _, t := range f.tags {
		if !p.HasTag(t) {
			all = append(all, changed{key: tagKey(t.Fold)})
		}
	}
	for _, t := range p.Tags {
		_, was := slices.BinarySearchFunc(f.tags, t.Fold, func(x Tag, fold string) int { return strings.Compare(x.Fold, fold) })
		if !was {
			all = append(all, changed{key: tagKey(t.Fold)})
		}
	}
	return all
}

func (f *profile) changedSegments(p *Person, all []changed) []changed {
	for _, id := range f.segments {
		if !p.In(id) {
			all = append(all, changed{key: segmentKey(id)})
		}
	}
	for _, id := range p.Segments {
		if _, was := slices.BinarySearch(f.segments, id); !was {
			all = append(all, changed{key: segmentKey(id)})
		}
	}
	return all
}

// edges finds what the step's changes of the person lead to: segments that the
// person comes into or leaves, waits that end, and entry points whose condition
// has become true (rule E10). Each may change the profile again.
func (st *step) edges() {
	var by []string // a change does not let its own run's flow trigger (rule X7)
	for round := range maxEdges {
		changes := st.changes()
		if len(changes) == 0 && !st.isNew {
			return
		}
		if round == 0 {
			by = append(st.flowsOfRuns(), st.within...)
		}
		was := st.before.as(st.person)
		changes = st.classify(changes)
		if len(changes) == 0 {
			return
		}
		now := profileOf(st.person)
		after := now.as(st.person)
		*st.before = now
		st.wakeForChange()
		refs := st.set.watchers.concerned(changes, false)
		if len(st.set.policy.Caps) > 0 {
			refs = slices.Clone(refs)
			st.set.byPriority(refs)
		}
		for _, ref := range refs {
			if slices.Contains(by, ref.flow.ID) {
				continue
			}
			c := ref.entry.Trigger.(conditional).condition()
			if st.holds(ref, c, after) && !st.holds(ref, c, was) && (st.other == nil || !st.holds(ref, c, st.other)) {
				st.fire(ref)
			}
		}
		st.transfers()
	}
}

// changes lists what has changed since edges were last looked for.
func (st *step) changes() []changed {
	all := st.before.changes(st.person)
	for _, key := range st.happens {
		all = append(all, changed{key: key})
	}
	for _, channel := range st.result.contacts {
		all = append(all, changed{key: contactKey(channel)})
	}
	st.happens, st.result.contacts = nil, nil
	return all
}

// holds asks an entry point's condition about the person, as it is or was.
func (st *step) holds(ref entryRef, c *Predicate, p *Person) bool {
	v := st.viewIn(ref.version.Settings.zone())
	v.Person = p
	return c.Eval(v)
}

// viewIn is the step's own view for conditions outside of runs, in a zone. Each
// call makes it another one.
func (st *step) viewIn(zone *time.Location) *View {
	if st.view.Past == nil {
		st.view = View{Now: st.now, Past: &recollection{st: st}}
	}
	if st.view.Zone != zone {
		st.view.Zone, st.view.dated = zone, false
	}
	st.view.Person = st.person
	return &st.view
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
	for i, set := range [...]bool{m.Sent, m.Accepted, m.Delivered, m.Failed, m.Clicked, m.Opened} {
		if set {
			b |= 1 << i
		}
	}
	return b
}

func (m *MessageSeen) setBits(b uint64) {
	m.Sent, m.Accepted, m.Delivered, m.Failed, m.Clicked, m.Opened = b&1 != 0, b&2 != 0, b&4 != 0, b&8 != 0, b&16 != 0, b&32 != 0
}
