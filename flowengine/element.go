package flowengine

import (
	"strconv"
	"time"
)

// Element is the behaviour of one element type. Its implementation is a struct
// whose fields are the element's options in a flow file; everything about an
// element type (options, checks, behaviour) is in one file, element_<type>.go,
// and it is listed in elementTypes.
type Element interface {
	// Ports lists the outcomes that `on:` may name. A port without a target
	// ends the run.
	Ports() []string
	// Check reports what is wrong with the options, beyond what their tags say.
	Check(c *Checker)
	// Arrive is called when a run reaches the element.
	Arrive(x *Passage) Outcome
}

// Waiting is an Element at which a run can stand until a later cause.
type Waiting interface {
	Element
	// Resume is called with a cause that is meant for the waiting run: its
	// Timer, the SendResult of its message, or an Inbound that it consumes.
	Resume(x *Passage, c Cause) Outcome
}

// Outcome tells what a run does after an element: leave through a port, wait,
// or end. Make it with Take, WaitUntil, WaitForSend or End.
type Outcome struct {
	port   string
	target string // overrides the target of port, for branches with their own `next`
	wait   bool
	until  time.Time
	send   string
	held   time.Time // until when a message may be held for a cap
	end    string
	// transfer lets the person into another flow; the wait ends with what came of it.
	transfer *Start
}

// Take leaves through a port.
func Take(port string) Outcome { return Outcome{port: port} }

// Branch leaves through a port to an explicit target; "" ends the run.
func Branch(port, target string) Outcome {
	if target == "" {
		return Outcome{port: port, end: "completed"}
	}
	return Outcome{port: port, target: target}
}

// WaitUntil stays until t at the latest; the zero time stays for ever.
func WaitUntil(t time.Time) Outcome { return Outcome{wait: true, until: t} }

// WaitForSend stays until the result of the message with that id is known.
func WaitForSend(id string) Outcome { return Outcome{wait: true, send: id} }

// WaitForReport stays until the message is refused, a final delivery report
// about it comes, or until t.
func WaitForReport(id string, t time.Time) Outcome { return Outcome{wait: true, send: id, until: t} }

// Hold stays because a cap leaves no place for a message before t (rule X12). It
// is tried again then, or when a place becomes free, until its validity ends.
func Hold(t, expires time.Time) Outcome { return Outcome{wait: true, until: t, held: expires} }

// reportWaiter is an Element that waits for delivery reports too. Its wait goes
// on after a cause that does not end it.
type reportWaiter interface {
	Waiting
	ends(run *Run, c Cause) bool
	// patience is how long a wait without a deadline goes on after such a cause.
	patience(run *Run) time.Duration
}

// End ends the run for the given reason.
func End(reason string) Outcome { return Outcome{end: reason} }

// Passage is what an element sees of the step it takes part in. It is valid
// during one call.
type Passage struct {
	Set     *Set
	Version *Version
	Person  *Person
	State   *Passages
	Run     *Run
	Element string // id of the element
	Now     time.Time

	past   Past
	result *Result
}

// Send gives a message to its channel and returns its id.
func (x *Passage) Send(s Send) string { return x.sendNth(s, 0) }

// sendNth is Send for an element that sends several messages at once, from 0.
func (x *Passage) sendNth(s Send, n int) string {
	s.Origin = x.origin()
	s.ID = messageID(&s.Origin, x.Run.Steps)
	if n > 0 {
		s.ID += "." + strconv.Itoa(n)
	}
	switch {
	case s.Mail != nil:
		x.Set.links.track(&s, x.Now)
	case s.shorten != nil:
		x.Set.links.shorten(&s, x.Now)
	}
	x.result.Sends = append(x.result.Sends, s)
	if s.Channel != ChannelHTTP && !s.notice {
		x.State.contacted(s.Channel, x.Now)
		x.reserve(&s)
		if len(x.Set.segmentWatchers.byKey[contactKey(s.Channel)]) > 0 {
			x.result.contacts = append(x.result.contacts, s.Channel)
		}
	}
	if x.Version.asked[x.Element] {
		*x.Run.message(x.Element) = MessageState{Element: x.Element, ID: s.ID, MessageSeen: MessageSeen{Sent: true}}
	}
	x.result.PassagesChanged = true
	x.Log(Queued, "")
	x.result.Log[len(x.result.Log)-1].Message = lastOfID(s.ID)
	return s.ID
}

// Log adds an event about the element to the person's history.
func (x *Passage) Log(kind EventKind, detail string) {
	x.result.Log = append(x.result.Log, Event{Kind: kind, Flow: x.Run.Flow, Version: x.Run.Version, Element: x.Element, Number: x.Run.Number, Detail: detail})
}

// PersonChanged notes that the profile has to be stored, and logs what changed.
func (x *Passage) PersonChanged(what string) {
	x.result.PersonChanged = true
	x.Log(Updated, what)
}
