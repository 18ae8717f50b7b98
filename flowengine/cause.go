package flowengine

import (
	"time"

	"trunkline/ivr"
)

// Cause is one thing that happens to a person. The set of causes is closed:
// Inbound, Happened, Change, Start, Timer, SendResult, Report, Click, Opening, Scan,
// Choice, Eject, those of calls (Calling, CallOutcome, CallEnded, CallsLost) and
// those that jobs bring to everybody (Muster, Daily, CountBack, Migrate).
type Cause interface{ cause() }

// Inbound is a complete message from the person to one of our numbers.
type Inbound struct {
	ID      string // message id, unique in the daemon
	Channel string
	Carrier string
	From    Address // the sender's address, normalised
	To      string  // our number, normalised
	Text    string
	// Subject is that of an e-mail; see heads.
	Subject string
	Mail    MailFacts
	// Key is the id under which the peer knows the message (SMTP: Message-ID);
	// one that comes again is the same message (rule R7). Empty: it has none.
	Key string
	At  time.Time // when the gateway received it
}

// Happened is a People event: something that the person did elsewhere.
type Happened struct {
	ID    string // of the event; may be empty
	Name  string
	Props Attrs
	At    time.Time // when it happened
}

// Change writes to the profile from outside of flows: API, import, console.
type Change struct {
	Source string // for the history: api, import, console
	// Set are the attributes to write; an unset value removes the attribute.
	Set                         []Attr
	AddTags, RemoveTags         []Tag
	Block, Unblock              []AddressKind
	AddAddresses, DropAddresses []Address
}

// Start puts the person into a flow through an entry point that no message and
// no event leads to: Flow API, audience, transfer.
type Start struct {
	Flow, Entry string
	Vars        Attrs
}

// Timer is a deadline that came.
type Timer struct {
	Flow   string
	Number uint32 // entry number of the run
	Seq    uint32 // Run.Seq for which it was set
}

// SendResult is the outcome of a Send.
type SendResult struct {
	ID      string // Send.ID
	Origin  Origin
	Channel string // Send.Channel
	To      string // Send.To: whom it is charged for
	Carrier string
	// Parts counts the units that were accepted: SMS parts, 1 for other
	// channels, 0 when nothing was (rule M3).
	Parts    uint8
	Accepted bool
	Reason   string // why not: rejected, expired, no_route, in_doubt, …
	Code     string // the peer's own status name
	// Vars are what the peer answered, for channels that have answers.
	Vars Attrs
	Data Attrs // Send.Data
	// Call is, for channel voice, what became of the call; ID is its id. nil: that
	// is not known.
	Call *ivr.Outcome
}

// Report is a delivery report about a Send.
type Report struct {
	ID        string
	Origin    Origin
	Carrier   string
	State     string // delivered, expired, undeliverable, …
	Delivered bool
	Final     bool
	Code      string
	Data      Attrs  // Send.Data
	Owed      Charge // as Set.Owed said when the message was taken
	Mail      bool   // it is about an e-mail
}

// ReportComplained is the State of a report that the recipient of a mail calls it spam.
const ReportComplained = "complained"

// Eject takes the person out of a flow, or of one version of it (rules A4, E8, S7).
type Eject struct {
	Flow    string
	Version uint32 // 0: any
	Reason  string // stopped, api, deleted, …
}

func (*Inbound) cause()    {}
func (*Happened) cause()   {}
func (*Change) cause()     {}
func (*Start) cause()      {}
func (*Timer) cause()      {}
func (*SendResult) cause() {}
func (*Report) cause()     {}
func (*Eject) cause()      {}

// Origin says which element sent something, so that results and metrics find back.
type Origin struct {
	Person  PersonID
	Flow    string
	Version uint32
	Element string
	Number  uint32 // entry number of the run
	Seq     uint32 // Run.Seq when it was sent
}
