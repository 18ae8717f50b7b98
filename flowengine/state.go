package flowengine

import (
	"slices"
	"strings"
	"time"
)

// Passages is everything that flows remember of one person: the active runs,
// the history that entry rules need, and the digests of what came in lately.
type Passages struct {
	Runs  []Run        // active ones, in order of entry
	Flows []Membership // ordered by flow id
	// Contacts are the latest messages to the person, one per channel.
	Contacts []Contact
	Heard    []Digest // latest inbound messages, newest last (rule R7)
	Places   []Place  // of messages that count for caps, in order of time (rule X12)
	// Waits counts the waits ever begun; it orders them (rule R3: the newest wins).
	Waits uint64
}

// Run is one active passage of the person through a flow.
type Run struct {
	Flow    string
	Version uint32 // ordinal of the version it is pinned to
	Number  uint32 // entry number of the person in this flow, from 1
	Entry   string // entry point it came through
	Entered time.Time

	Element string // where it stands
	// Seq grows with every cause that the run consumes. A timer, result or
	// click that carries another Seq is stale and changes nothing (rule X1).
	Seq      uint32
	Since    time.Time // when the wait at Element began
	Deadline time.Time // when it times out; zero: never
	Wait     uint64    // ordinal of the wait among the person's waits
	Sending  string    // id of the message whose acceptance is awaited
	Attempt  uint8     // of an element that makes several: which one, from 0
	Held     time.Time // until when its message may be held for a cap; zero: none is held

	Steps    uint32         // elements executed since entry (rule X3)
	Repeats  uint32         // of them, the last ones at Element without a wait
	Messages []MessageState // of its elements, the latest of each
	Branch   string         // the way taken at the last split: element/port
	Vars     Attrs
	Inbound  *Heard // what ${inbound.…} means: the last message it consumed
	// Event is what ${event.…} means: the last People event that it consumed.
	Event *Happened
	// Call is the call of the run; nil: it never had one.
	Call *CallState
}

// Heard is an inbound message as a flow sees it.
type Heard struct {
	Channel string
	From    string // normalised
	To      string // our number, normalised
	Text    string
	Keyword string // the keyword that matched, as configured; empty for any
	At      time.Time
	Subject string // of an e-mail, as what follows
	MailFacts
}

// MailFacts are what the edge found out about an e-mail.
type MailFacts struct {
	// SPF, DKIM and DMARC are results in the words of RFC 8601 §2.7 (pass, fail, none …);
	// empty: nobody looked.
	SPF, DKIM, DMARC string
	Files            []string // names of what was attached, bounded by the edge
}

// Membership is a person's history with one flow, over all its versions.
type Membership struct {
	Flow     string
	Entries  uint32      // accepted entries
	Recent   []time.Time // times of the latest of them, oldest first, as many as entry limits look at (rule E4)
	LastExit time.Time   // zero: never left (rule E3)
	Visited  []uint32    // sorted ElementMarks of elements ever reached (rule M2)
	Clicked  []uint32    // sorted ElementMarks of elements of which a link was followed (rule U1)
	Reacted  []uint32    // sorted marks of elements and of what the person did with their mails; see reactionMark
	Goals    []GoalState // ordered by goal
	Mustered time.Time   // when the person entered as one of the audience (rule E9)
	Fired    string      // local day on which a daily condition last let the person in (rule E10)
	// Contacted says that a carrier took a message to the person (rule M6).
	Contacted bool
	// Progress is how far combinations of events have come, by entry point.
	Progress []Progress
	// Absorbed are the memberships of persons who were merged into this one.
	Absorbed []Absorbed
}

// Progress is how far a combination of events has come at one entry point.
type Progress struct {
	Entry string
	// Seen has a time for each event of the combination; zero: not yet. For a
	// sequence it is when the latest run-up to that event began.
	Seen []time.Time
}

// Digest remembers an inbound message for telling duplicates (rule R7).
type Digest struct {
	Sum uint64
	At  time.Time
}

// maxHeard bounds Passages.Heard.
const maxHeard = 8

// Membership finds the history with a flow, or makes an empty one.
func (p *Passages) Membership(flow string) *Membership {
	i, ok := slices.BinarySearchFunc(p.Flows, flow, func(m Membership, f string) int { return strings.Compare(m.Flow, f) })
	if !ok {
		p.Flows = slices.Insert(p.Flows, i, Membership{Flow: flow})
	}
	return &p.Flows[i]
}

// Run finds the active run with that flow and entry number, or returns nil.
func (p *Passages) Run(flow string, number uint32) *Run {
	for i := range p.Runs {
		if p.Runs[i].Number == number && p.Runs[i].Flow == flow {
			return &p.Runs[i]
		}
	}
	return nil
}

// InFlow reports whether a run of the flow is active.
func (p *Passages) InFlow(flow string) bool {
	return slices.ContainsFunc(p.Runs, func(r Run) bool { return r.Flow == flow })
}

func (p *Passages) removeRun(flow string, number uint32) {
	p.Runs = slices.DeleteFunc(p.Runs, func(r Run) bool { return r.Number == number && r.Flow == flow })
}

// visit marks element as reached and reports whether it is the first time.
func (m *Membership) visit(mark uint32) bool { return addMark(&m.Visited, mark) }

// click marks an element of which a link was followed, and reports whether it
// is the first time.
func (m *Membership) click(mark uint32) bool { return addMark(&m.Clicked, mark) }

func addMark(marks *[]uint32, mark uint32) (added bool) {
	i, ok := slices.BinarySearch(*marks, mark)
	if !ok {
		*marks = slices.Insert(*marks, i, mark)
	}
	return !ok
}
