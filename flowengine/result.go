package flowengine

import "time"

// Result is what one step changes and what has to be done outside once the
// change is durable (rule X1). Person and Passages given to Step are changed in
// place; the flags say which of them have to be stored.
type Result struct {
	PersonChanged   bool
	PassagesChanged bool

	Sends  []Send
	Timers []Deadline // to set
	// Cancelled are deadlines that no longer matter.
	Cancelled []Deadline
	// Entered and Left are the runs that began to wait in a flow and those
	// that ended, for the index of who is where. A run that began and ended in
	// this step is in neither.
	Entered, Left []RunKey

	// Calls are tasks for calls, in order.
	Calls []CallTask
	// CallsChanged says that a run has got a call or has none any more.
	CallsChanged bool

	Log []Event // what happened, in order; metrics are its sum

	// AddressesAdded shall lead to the person from now on.
	AddressesAdded []Address
	// Happened are the People events to be kept with the person.
	Happened []Happened

	// SegmentsChanged: Person.Segments or Person.Look have to be stored.
	SegmentsChanged bool
	// Indexed and Unindexed are the parts of indexes that list the person from
	// now on, and no longer.
	Indexed, Unindexed []Source

	// contacts are channels on which something was sent that somebody watches.
	contacts []string
	// Succession is what the history of an absorbed person has to be told apart by.
	Succession *Succession
	// Broadcasts shall be started.
	Broadcasts []string

	// Outcome says who consumed an Inbound: "reserved", "wait", "entry",
	// "no_match", "unrouted", "duplicate" or "refused". For a Start it is
	// "entry" or "refused", and Refused says why.
	Outcome string
	Refused string
	Flow    string // the flow that consumed it
	Run     RunKey // that a Calling began
}

// RunKey names a run among those of its person.
type RunKey struct {
	Flow    string
	Version uint32
	Number  uint32
}

// Deadline is a timer of a run.
type Deadline struct {
	Due    time.Time
	Flow   string
	Number uint32
	Seq    uint32
}

// Send asks for one message.
type Send struct {
	ID       string // run/element/seq; deterministic (rule X2)
	Origin   Origin
	Channel  string
	From, To string
	Text     string
	// NotBefore is when the message may go out; zero: now (rule X11).
	NotBefore time.Time
	// Expires is the end of validity (rule X11).
	Expires   time.Time
	Marketing bool // fate after a crash: assumed sent (rule X2)
	// Pacing says how it waits for its turn (rule X13); then NotBefore is the
	// earliest time for that, and Expires moves with the turn.
	Pacing Pacing
	// Data is what the flow's author wants reports and webhooks to tell of the message.
	Data Attrs
	// Links are the short links in Text; they are kept in the same commit.
	Links []Link
	// Mail is set for an e-mail.
	Mail *Mail

	shorten *shortening // nil: URLs stay as they are
	track   tracking    // of an e-mail
	notice  bool        // to somebody else than the person, who is not contacted by it
}

// EventKind says what an Event tells. The numbers are stored.
type EventKind uint8

// The kinds of events.
const (
	Entered  EventKind = 1 // a run began
	Exited   EventKind = 2 // a run ended; Detail: reason
	Refused  EventKind = 3 // an entry was refused; Detail: reason (rule R4)
	Engaged  EventKind = 4 // a person arrived at Element (rule M1); First: never before in this flow (rule M2)
	Departed EventKind = 5 // went on from Element through port Detail
	Queued   EventKind = 6 // a message was given to its channel; Detail: message id, outside of flows
	// A carrier took Units parts (rule M3); Detail: message id, outside of flows.
	// First: never before did it take any for this person in this flow (rule M6).
	Accepted EventKind = 7
	// It was not sent; Detail: reason. Units, First: of parts taken before one was refused.
	Failed   EventKind = 8
	Reported EventKind = 9 // a final delivery report; Detail: state; First: delivered
	NotSent  EventKind = 10
	Received EventKind = 11 // an inbound message was consumed; Detail: outcome
	Updated  EventKind = 12 // a person attribute or tag changed; Detail: which
	Observed EventKind = 13 // a People event; Detail: its name
	// A person begins to count for goal Detail with mark Units, in branch Element;
	// First: in the flow (rule G3).
	GoalAnchored EventKind = 14
	// An event for goal Detail with mark Units, by a person of branch Element;
	// First: the conversion (rule G3).
	GoalReached EventKind = 15
	// The person followed a link of Element's message; Detail: the URL, cut short.
	// First: no link of this element was followed by this person before (rule U1).
	Clicked EventKind = 16
	// The person opened a mail of Element. First: never before one of this element.
	Opened EventKind = 17
	// The person wants no more mail, after one of Element; First: likewise.
	Unsubscribed EventKind = 18
	// The person calls a mail of Element spam; First: likewise.
	Complained EventKind = 19
	// A run that waits at Element went over from version Detail to Version.
	Migrated EventKind = 20
	// Leg Detail of a call that Element asked for, or took, is over and is charged
	// for (rule C3); Units: 1.
	Billed EventKind = 30
	// A program opened a mail of Element, or followed a link of it, and nobody knows of
	// the person; Detail: open, or click.
	Scanned EventKind = 21
)

// Event is one line of a person's history. The metrics of a flow are sums over
// the events of all persons, and a recount must agree with them (rule M5).
type Event struct {
	Kind    EventKind
	Flow    string
	Version uint32
	Element string
	Number  uint32 // entry number of the run
	Units   uint32
	First   bool
	Detail  string
	// Message is the last part of the id of the message that the event is about, when
	// a flow sent it; see MessageID.
	Message string
	Charge  // of Accepted, Failed and Billed: what Units cost; of Reported: what was owed
}
