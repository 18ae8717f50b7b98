package flowengine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// definition is a flow file as it is written.
type definition struct {
	Flow     string                  `yaml:"flow" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Stable id of the flow: lower-case letters, digits and hyphens."`
	Name     string                  `yaml:"name" doc:"Name for people. Default: the id."`
	Entries  []*entryNode            `yaml:"entries" required:"true" doc:"What lets people into the flow."`
	Elements map[string]*elementNode `yaml:"elements" required:"true" doc:"The elements by id. An id stands for the element in metrics, over all versions."`
	Goals    []Goal                  `yaml:"goals" max:"20" doc:"What the flow is for: events that people shall have. A change of goals makes no new version."`
	Settings Settings                `yaml:"settings" doc:"Who may enter, and when the flow runs."`
}

// elementNode is an element as it is written: its type, its ports and the
// options of the type.
type elementNode struct {
	Type    string
	On      map[string]string
	Element Element
}

// elementType is one kind of element that flows can have.
type elementType struct {
	name string
	doc  string
	make func() Element
}

// elementTypes lists every element type, in the order of the reference.
var elementTypes = []elementType{
	{"send_sms", "Send one text message.", func() Element { return new(SendSMS) }},
	{"send_email", "Send one e-mail.", func() Element { return new(SendEmail) }},
	{"call_api", "Call an API over HTTP.", func() Element { return new(CallAPI) }},
	{"failover", "Try channels one after the other until one gets through.", func() Element { return new(Failover) }},
	{"evaluate_inbound_message", "Wait for a message and branch by what it says.", func() Element { return new(EvaluateInboundMessage) }},
	{"wait_for_event", "Wait for an event in the person's life elsewhere.", func() Element { return new(WaitForEvent) }},
	{"wait_for_date", "Wait for a day that is known of the person.", func() Element { return new(WaitForDate) }},
	{"pause", "Let time pass.", func() Element { return new(Pause) }},
	{"update_person", "Write attributes of the person.", func() Element { return new(UpdatePerson) }},
	{"update_variable", "Write variables of the run.", func() Element { return new(UpdateVariable) }},
	{"add_to_do_not_contact", "Send nothing more to the person over a channel.", func() Element { return new(AddToDoNotContact) }},
	{"remove_from_do_not_contact", "Send to the person over a channel again.", func() Element { return new(RemoveFromDoNotContact) }},
	{"segment", "Branch by conditions on the person and what happened.", func() Element { return new(Segment) }},
	{"wait_for_change", "Wait until a condition on the person is true.", func() Element { return new(WaitForChange) }},
	{"add_tag", "Mark the person with a tag.", func() Element { return new(AddTag) }},
	{"remove_tag", "Take a tag from the person.", func() Element { return new(RemoveTag) }},
	{"split_audience", "Split persons over branches by share.", func() Element { return new(SplitAudience) }},
	{"transfer_to_flow", "Let the person into another flow.", func() Element { return new(TransferToFlow) }},
	{"notify", "Tell people of ours.", func() Element { return new(Notify) }},
	{"start_broadcast", "Start a broadcast that was prepared.", func() Element { return new(StartBroadcast) }},
	{"start_call", "Call the person; the elements that follow speak on that call.", func() Element { return new(StartCall) }},
	{"send_voice", "Call the person and say a message.", func() Element { return new(SendVoice) }},
	{"answer", "Answer the call.", func() Element { return new(Answer) }},
	{"play", "Let the caller hear sounds.", func() Element { return new(Play) }},
	{"say", "Speak a text to the caller.", func() Element { return new(Say) }},
	{"collect", "Ask the caller for digits.", func() Element { return new(Collect) }},
	{"menu", "Let the caller choose by a key.", func() Element { return new(Menu) }},
	{"record", "Record what the caller says.", func() Element { return new(Record) }},
	{"forward_call", "Connect the caller with somebody else.", func() Element { return new(ForwardCall) }},
	{"detect_machine", "Find out who has answered a call that we made.", func() Element { return new(DetectMachine) }},
	{"hang_up", "End the call.", func() Element { return new(HangUp) }},
	{"go_to", "Lead back to an earlier element, a few times at most.", func() Element { return new(GoTo) }},
	{"exit", "End the run.", func() Element { return new(Exit) }},
}

func elementTypeNames() []string {
	names := make([]string, len(elementTypes))
	for i, t := range elementTypes {
		names[i] = t.name
	}
	return names
}

func newElement(typ string) Element {
	for _, t := range elementTypes {
		if t.name == typ {
			return t.make()
		}
	}
	return nil
}

// brancher is an Element whose branches name what follows them.
type brancher interface{ branches() []string }

var elementID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// builder makes a Version of a definition and checks it as a whole.
type builder struct {
	definition *definition
	schema     *Schema
	numbers    Numbers
	report     func(path []any, warning bool, message string)
	version    *Version
}

func (b *builder) errorf(path []any, format string, args ...any) {
	b.report(path, false, fmt.Sprintf(format, args...))
}

func (b *builder) warnf(path []any, format string, args ...any) {
	b.report(path, true, fmt.Sprintf(format, args...))
}

// build makes the version. It is usable only when no error was reported.
func (b *builder) build() *Version {
	d := b.definition
	b.version = &Version{Flow: d.Flow, Name: d.Name, Settings: d.Settings, nodes: map[string]*Node{}}
	if b.version.Name == "" {
		b.version.Name = d.Flow
	}
	b.settings()
	b.elements()
	b.entries()
	b.goals()
	b.questions()
	b.messages()
	b.walk()
	b.calls()
	b.winners()
	return b.version
}

// settings resolves the time zone and the times that are in it (rules S2, S3, S8).
func (b *builder) settings() {
	s := &b.version.Settings
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "Local" {
		b.errorf([]any{"settings", "timezone"}, "%q is not a time zone: a name such as Europe/Zagreb is expected", s.Timezone)
		zone = time.UTC
	}
	s.location = zone
	if s.QuietHours != nil {
		s.QuietHours.check(&Checker{report: b.report}, "settings", "quiet_hours")
	}
	for _, m := range []struct {
		key    string
		moment Moment
		at     *time.Time
	}{{"start_at", s.StartAt, &s.start}, {"end_at", s.EndAt, &s.end}} {
		if m.moment.form == timeOfDay {
			b.errorf([]any{"settings", m.key}, "a date is expected besides the time, such as 2026-12-24 09:00")
			continue
		}
		*m.at = m.moment.After(time.Time{}, zone)
	}
	if s.start.IsZero() || s.end.IsZero() {
		return
	}
	if !s.end.After(s.start) {
		b.errorf([]any{"settings", "end_at"}, "the flow would end before it starts")
	} else if !s.Indefinite && s.end.After(s.start.Add(Lifetime)) { // S3
		b.errorf([]any{"settings", "end_at"}, "this is more than 90 days after start_at; say `indefinite: true` or choose an earlier end")
	}
}

// elements checks each element by itself.
func (b *builder) elements() {
	marks := map[uint32]string{}
	for _, id := range slices.Sorted(maps.Keys(b.definition.Elements)) {
		written := b.definition.Elements[id]
		if written == nil || written.Element == nil { // reported when it was read
			continue
		}
		at := []any{"elements", id}
		if !elementID.MatchString(id) {
			b.errorf(at, "element %q: an id has 1 to 64 letters, digits, hyphens and underscores", id)
		}
		n := &Node{ID: id, Type: written.Type, Element: written.Element, Targets: map[string]string{}, Mark: ElementMark(id)}
		if other, taken := marks[n.Mark]; taken {
			b.errorf(at, "elements %q and %q cannot be told apart in metrics; rename one", other, id)
		}
		marks[n.Mark] = id
		ports := n.Element.Ports()
		for _, port := range slices.Sorted(maps.Keys(written.On)) {
			target := written.On[port]
			if !slices.Contains(ports, port) {
				b.errorf(append(at, "on", port), "element %q: %s has no port %q%s", id, n.Type, port, portHint(port, ports))
				continue
			}
			b.target(append(at, "on", port), fmt.Sprintf("element %q: port %q", id, port), target)
			n.Targets[port] = target
		}
		if e, ok := n.Element.(brancher); ok {
			for i, next := range e.branches() {
				if next != "" {
					b.target(append(at, "branches", i, "next"), fmt.Sprintf("element %q: branch %d", id, i+1), next)
				}
			}
		}
		b.version.nodes[id] = n
		n.Element.Check(&Checker{Schema: b.schema, Settings: &b.version.Settings, numbers: b.numbers, targets: n.Targets, at: at, report: b.report, version: b.version})
	}
}

func portHint(port string, ports []string) string {
	if hint := didYouMean(port, ports); hint != "" || len(ports) == 0 {
		return hint
	}
	return "; it has " + strings.Join(ports, ", ")
}

// target checks that something leads to an element.
func (b *builder) target(path []any, what, target string) {
	if _, ok := b.definition.Elements[target]; !ok {
		b.errorf(path, "%s leads to %q, which does not exist%s", what, target, didYouMean(target, slices.Sorted(maps.Keys(b.definition.Elements))))
	}
}

// entries checks the entry points.
func (b *builder) entries() {
	if len(b.definition.Entries) == 0 {
		b.errorf([]any{"entries"}, "a flow needs at least one entry point")
	}
	seen := map[string]bool{}
	called := map[string]string{} // entry points by the number that is called
	audience := ""
	for i, written := range b.definition.Entries {
		if written == nil || written.Trigger == nil { // reported when it was read
			continue
		}
		o := written.Trigger.entry()
		at := []any{"entries", i}
		c := &Checker{Schema: b.schema, Settings: &b.version.Settings, numbers: b.numbers, at: at, report: b.report}
		if seen[o.ID] {
			c.ErrorfAt([]any{"id"}, "entry point %q is there twice", o.ID)
		}
		seen[o.ID] = true
		e := &Entry{ID: o.ID, Type: written.Type, Trigger: written.Trigger, Interrupts: o.Interrupts, Next: o.Next}
		written.Trigger.Check(c)
		if _, ok := written.Trigger.(*Audience); ok {
			if audience != "" { // E9
				c.Errorf("a flow has at most one audience; %q is one already", audience)
			}
			audience = o.ID
		}
		if t, ok := written.Trigger.(*InboundCall); ok && t.number != "" { // S6
			if other := called[t.number]; other != "" {
				c.ErrorfAt([]any{"number"}, "entry point %q takes the calls to %s already", other, t.number)
			}
			called[t.number] = o.ID
		}
		if o.When != "" {
			e.When = c.Condition(o.When, "when")
		}
		b.target(append(at, "next"), fmt.Sprintf("entry point %q", o.ID), o.Next)
		b.version.Entries = append(b.version.Entries, e)
	}
}

// messages finds the elements whose messages conditions ask about.
func (b *builder) messages() {
	b.version.asked = map[string]bool{}
	for _, n := range b.version.nodes {
		for _, p := range predicatesOf(n.Element) {
			for _, id := range p.Uses().Messages {
				b.target([]any{"elements", n.ID}, "a condition on the message of an element", id)
				b.version.asked[id] = true
			}
		}
	}
}

func predicatesOf(e Element) (all []*Predicate) {
	switch e := e.(type) {
	case *Segment:
		for i := range e.Branches {
			all = append(all, &e.Branches[i].When)
		}
	case *WaitForChange:
		all = append(all, &e.Condition)
	}
	return all
}

// questions tells each wait which senders the answers will be addressed to.
func (b *builder) questions() {
	for _, n := range b.version.nodes {
		send, ok := n.Element.(*SendSMS)
		if !ok || send.from == "" {
			continue
		}
		if next := b.version.nodes[n.Targets[portSent]]; next != nil {
			if wait, ok := next.Element.(*EvaluateInboundMessage); ok && !slices.Contains(wait.asked, send.from) {
				wait.asked = append(wait.asked, send.from)
				slices.Sort(wait.asked)
			}
		}
	}
}

// next lists the elements that can follow n.
func (n *Node) next() []string {
	var next []string
	for _, port := range n.Element.Ports() {
		if t := n.Targets[port]; t != "" {
			next = append(next, t)
		}
	}
	if e, ok := n.Element.(brancher); ok {
		for _, t := range e.branches() {
			if t != "" {
				next = append(next, t)
			}
		}
	}
	return next
}

// waits says whether a run can stand at the element for a while, so that a loop
// through it does not spin.
func (n *Node) waits() bool {
	switch n.Element.(type) {
	case *Pause, *EvaluateInboundMessage, *WaitForEvent, *WaitForDate, *WaitForChange, *Failover, *CallAPI:
		return true
	case *HangUp:
	case caller:
		return true
	}
	return false
}

// walk orders the elements as people can reach them, and warns of those that
// nobody reaches and of loops in which nobody waits.
func (b *builder) walk() {
	v := b.version
	var queue []string
	for _, e := range v.Entries {
		queue = append(queue, e.Next)
	}
	reached := map[string]bool{}
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		n := v.nodes[id]
		if n == nil || reached[id] {
			continue
		}
		reached[id] = true
		v.order = append(v.order, id)
		queue = append(queue, n.next()...)
	}
	for _, id := range slices.Sorted(maps.Keys(v.nodes)) {
		if !reached[id] {
			v.order = append(v.order, id)
			b.warnf([]any{"elements", id}, "element %q: nothing leads to it", id)
		}
	}
	for _, loop := range v.spinning() {
		b.warnf([]any{"elements", loop[0]}, "elements %s form a loop without a wait: a run that goes round ends after %d rounds at most",
			strings.Join(loop, " → "), maxStepsPerSprint/len(loop))
	}
}

// spinning finds loops of elements that do not wait, each once.
func (v *Version) spinning() [][]string {
	const (
		onPath = 1
		left   = 2
	)
	var loops [][]string
	state := map[string]int{}
	var path []string
	var visit func(id string)
	visit = func(id string) {
		n := v.nodes[id]
		if n == nil || n.waits() || state[id] == left {
			return
		}
		if state[id] == onPath {
			loops = append(loops, slices.Clone(path[slices.Index(path, id):]))
			return
		}
		state[id] = onPath
		path = append(path, id)
		for _, next := range n.next() {
			visit(next)
		}
		path = path[:len(path)-1]
		state[id] = left
	}
	for _, id := range v.order {
		visit(id)
	}
	return loops
}
