package flowengine

import (
	"time"
)

// Predicate is a structured condition about a person: comparisons of attributes,
// tags, variables, events, messages and contacts, joined by all, any and not. It
// is read from a file (UnmarshalNode), compiled by Check or Checker.Predicate,
// and from then on immutable and safe for concurrent use.
//
// What is missing (an attribute that is not set, a person who was never
// contacted) makes every operator false but is_empty and is_not, which it makes
// true; not, all and any know of no third value.
type Predicate struct {
	form any // as it was written: a pointer to one of the forms
	root *node
	uses Uses
}

// IsZero says that no condition was written; it is true of everybody.
func (p *Predicate) IsZero() bool { return p.form == nil }

// Uses says what the condition looks at.
func (p *Predicate) Uses() *Uses { return &p.uses }

// Eval says whether the condition holds. Of a condition that was written and
// not compiled, or not without error, it is false.
func (p *Predicate) Eval(v *View) bool {
	if p.root == nil {
		return p.IsZero()
	}
	return p.root.eval(v)
}

// View is what a condition is asked about: a person at a moment, and what
// surrounds both. It serves one goroutine and one moment; Person may be changed
// between calls of Eval.
type View struct {
	Person *Person
	Now    time.Time
	Zone   *time.Location // in which days begin and end; nil: UTC
	Vars   Attrs          // of the run
	Event  *Happened      // the event at hand; nil: none
	Past   Past           // nil: nothing is remembered
	// Passage is what {expr: …} sees; nil outside of runs, where it sees the
	// person, Vars and Event.
	Passage *Passage

	day   int64 // of Now in Zone, when dated
	dated bool
}

// Past is what is remembered of a person beyond the profile.
type Past interface {
	// Events are the person's events of a name, in any order.
	Events(name string) []Happened
	// Message tells what became of the latest message that an element of the
	// flow at hand sent to the person.
	Message(element string) MessageSeen
	// LastContact is when the person was last sent something on a channel (sms,
	// email, voice, push, chat); zero: never.
	LastContact(channel string) time.Time
}

// MessageSeen tells what became of a message. The zero value: none was sent.
type MessageSeen struct{ Sent, Accepted, Delivered, Failed, Clicked, Opened bool }

// View is the person of a passage as conditions see it.
func (x *Passage) View(past Past) View {
	return View{Person: x.Person, Now: x.Now, Zone: x.Version.Settings.zone(), Vars: x.Run.Vars, Event: x.Run.Event, Past: past, Passage: x}
}

// today is the day of Now in Zone.
func (v *View) today() int64 {
	if !v.dated {
		v.day, v.dated = dayOf(v.Now.In(v.zone())), true
	}
	return v.day
}

func (v *View) zone() *time.Location {
	if v.Zone == nil {
		return time.UTC
	}
	return v.Zone
}

// passage is what an expression is computed for.
func (v *View) passage() *Passage {
	if v.Passage != nil {
		return v.Passage
	}
	version := &Version{Settings: Settings{location: v.zone()}}
	return &Passage{Version: version, Person: v.Person, Run: &Run{Vars: v.Vars, Event: v.Event}, Now: v.Now}
}

// node is one compiled condition.
type node struct {
	kind nodeKind
	kids []node // of all, any, not

	value    valueLeaf   // of the kinds from attributeNode to contactNode
	segments []string    // of segmentNode
	tags     []Tag       // of hasAnyNode, hasAllNode
	event    *eventLeaf  // of eventNode
	message  messageLeaf // of messageNode
	computed *Condition  // of exprNode
}

type nodeKind uint8

const (
	allNode nodeKind = iota
	anyNode
	notNode
	attributeNode // in Person.Attrs
	builtinNode   // id, phone, email, created
	varNode
	propNode
	contactNode
	hasAnyNode
	hasAllNode
	eventNode
	messageNode
	exprNode
	segmentNode // in one of them
)

func (n *node) eval(v *View) bool {
	switch n.kind {
	case allNode:
		for i := range n.kids {
			if !n.kids[i].eval(v) {
				return false
			}
		}
		return true
	case anyNode:
		for i := range n.kids {
			if n.kids[i].eval(v) {
				return true
			}
		}
		return false
	case notNode:
		return !n.kids[0].eval(v)
	case attributeNode:
		return n.value.holds(lookUp(v.Person.Attrs, n.value.name), v)
	case builtinNode:
		return n.value.holds(v.Person.attribute(n.value.name), v)
	case varNode:
		return n.value.holds(lookUp(v.Vars, n.value.name), v)
	case propNode:
		if v.Event == nil {
			return n.value.holds(Value{}, v)
		}
		return n.value.holds(lookUp(v.Event.Props, n.value.name), v)
	case contactNode:
		return n.value.holds(v.lastContact(n.value.name), v)
	case hasAnyNode:
		for _, t := range n.tags {
			if v.Person.HasTag(t) {
				return true
			}
		}
		return false
	case hasAllNode:
		for _, t := range n.tags {
			if !v.Person.HasTag(t) {
				return false
			}
		}
		return true
	case eventNode:
		return n.event.holds(v)
	case messageNode:
		return n.message.holds(v)
	case segmentNode:
		for _, id := range n.segments {
			if v.Person.In(id) {
				return true
			}
		}
		return false
	case exprNode:
		yes, err := n.computed.True(v.passage())
		return err == nil && yes
	}
	return false
}

// lookUp is Attrs.Get. Most persons have few attributes, of which most differ in
// length from the one that is sought: looking at each is faster than a search.
func lookUp(attrs Attrs, name string) Value {
	const few = 32
	if len(attrs) > few {
		return attrs.Get(name)
	}
	for i := range attrs {
		if attrs[i].Name == name {
			return attrs[i].Value
		}
	}
	return Value{}
}

func (v *View) lastContact(channel string) Value {
	if v.Past == nil {
		return Value{}
	}
	at := v.Past.LastContact(channel)
	if at.IsZero() {
		return Value{}
	}
	return DateTimeValue(at)
}

// valueLeaf compares one value.
type valueLeaf struct {
	name    string
	family  family
	typed   bool // the schema says the type; otherwise the value at hand does
	missing bool // what is said of a missing value
	negate  bool
	test    test  // of a value of the family
	turn    *turn // of comparisons with now; nil: time changes nothing

	only     []string // values that alone pass, as of valueKey; nil: not known
	onlyType Type     // of them
	bounds   []Value  // numbers that the value is compared with, and nothing else; nil: not known
}

// test looks at a value that is there.
type test func(v Value, at *View) bool

func (l *valueLeaf) holds(v Value, at *View) bool {
	if v.Type == Unset || v.Type == Text && v.Str == "" {
		return l.missing
	}
	if l.family.has(v.Type) {
		return l.test(v, at) != l.negate
	}
	return l.converted(v, at)
}

// converted is for values whose type only shows now. Of a list, one item has to
// pass; what has no form in the family is like missing.
func (l *valueLeaf) converted(v Value, at *View) bool {
	if v.Type == List && !l.typed {
		for item, rest, more := nextItem(v.Str); more; item, rest, more = nextItem(rest) {
			if of, ok := l.family.of(TextValue(item)); ok && l.test(of, at) {
				return !l.negate
			}
		}
		return l.negate
	}
	of, ok := l.family.of(v)
	if !ok {
		return l.missing
	}
	return l.test(of, at) != l.negate
}

// eventLeaf counts events of a name.
type eventLeaf struct {
	name   string
	within time.Duration // 0: ever
	where  *node         // nil: any of that name
	count  countTest     // of the number of events
}

func (l *eventLeaf) holds(v *View) bool {
	n := int64(0)
	if v.Past != nil {
		n = l.matching(v, v.Past.Events(l.name))
	}
	return l.count.holds(n)
}

func (l *eventLeaf) matching(v *View, events []Happened) (n int64) {
	hand := v.Event
	for i := range events {
		e := &events[i]
		if e.At.After(v.Now) || l.within > 0 && e.At.Before(v.Now.Add(-l.within)) {
			continue
		}
		v.Event = e
		if l.where == nil || l.where.eval(v) {
			n++
		}
	}
	v.Event = hand
	return n
}

// countTest says that a number lies between two others, both included.
type countTest struct{ low, high int64 }

func (c countTest) holds(n int64) bool { return c.low <= n && n <= c.high }

// messageLeaf asks what became of a message.
type messageLeaf struct {
	element string
	op      string
}

// The operators of messages. Those with not_ are about messages that were sent:
// no message was neither delivered nor not delivered.
const (
	messageDelivered    = "delivered"
	messageNotDelivered = "not_delivered"
	messageClicked      = "clicked"
	messageNotClicked   = "not_clicked"
	messageAccepted     = "accepted"
	messageFailed       = "failed"
	messageOpened       = "opened"
	messageNotOpened    = "not_opened"
)

func (l *messageLeaf) holds(v *View) bool {
	if v.Past == nil {
		return false
	}
	m := v.Past.Message(l.element)
	if !m.Sent {
		return false
	}
	switch l.op {
	case messageDelivered:
		return m.Delivered
	case messageNotDelivered:
		return !m.Delivered
	case messageClicked:
		return m.Clicked
	case messageNotClicked:
		return !m.Clicked
	case messageAccepted:
		return m.Accepted
	case messageFailed:
		return m.Failed
	case messageOpened:
		return m.Opened
	case messageNotOpened:
		return !m.Opened
	}
	return false
}
