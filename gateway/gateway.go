// Package gateway holds the contracts between the edges and the core.
//
// An edge (gateway/smpp, gateway/sip, gateway/smtp, …) turns wire traffic into
// Inbound messages and Reports and hands them to Core; it carries out the
// Outbound messages that the core gives to its Sender. The package knows no
// protocol and no flow: it is the vocabulary in which both sides talk.
package gateway

import (
	"context"
	"errors"
	"time"
)

// Errors with which the core refuses what an edge hands over. The edge answers
// them in its protocol's own words (SMPP ESME_RMSGQFUL, SMTP 451, HTTP 429 …).
var (
	// ErrOverload: a queue is full. The peer may try again later.
	ErrOverload = errors.New("gateway: the core's queue is full")
	// ErrStopping: the daemon drains and takes no new work.
	ErrStopping = errors.New("gateway: the daemon is stopping")
	// ErrUnavailable: the store refused a commit; nothing was kept.
	ErrUnavailable = errors.New("gateway: the store does not commit")
	// ErrNotFound: no such message is known (query, cancel, replace).
	ErrNotFound = errors.New("gateway: no such message")
	// ErrTooLate: the message left its schedule already (cancel, replace).
	ErrTooLate = errors.New("gateway: the message can no longer be changed")
)

// Channel names a way to reach a person.
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
	Voice Channel = "voice"
	Push  Channel = "push"
	Chat  Channel = "chat"
)

// Inbound is one message from a person, or one part of it.
type Inbound struct {
	Channel Channel
	Carrier string // configured name of the peer it came over
	From    string // sender as the peer wrote it, in international digits where the type of number says so
	To      string // our number, likewise
	Text    string // decoded; empty while Fragment is set
	Subject string // of an e-mail
	// Key is the peer's own id of the message (SMTP: Message-ID): one that comes again
	// is the same message. Empty where the protocol has none.
	Key string

	// ID is the message id under which the edge answered or will answer the
	// peer; unique within the daemon. Empty where the protocol has none.
	ID string

	// Fragment is set when the message is one part of several. The core keeps
	// parts durably and puts them together (Assembler).
	Fragment *Fragment

	Received time.Time // when the gateway read it
	// DeliverAt is when the peer wants the message to take effect
	// (SMPP schedule_delivery_time); zero means now.
	DeliverAt time.Time
	// ReportWanted: the peer asked for a delivery report about ID.
	ReportWanted bool
	// ReportTo is the peer's address for that report where it differs from From.
	Properties map[string]string // bounded extras an edge wants flows to see, such as a UDH port
	Files      []string          // of an e-mail: names of what was attached, bounded
}

// Properties of e-mails: whether it is proved from whom they are, in the words of
// RFC 8601 §2.7.
const (
	PropertySPF   = "spf"
	PropertyDKIM  = "dkim"
	PropertyDMARC = "dmarc"
)

// Fragment is one part of a concatenated message. Payload and Coding are the
// wire's; the Assembler that the edge provides turns all parts into text.
type Fragment struct {
	Ref     uint16 // reference number shared by the parts
	Total   uint8  // 1–255
	Seq     uint8  // 1–Total
	Coding  byte   // data_coding of this part
	Header  []byte // user data header without its length octet, nil if none
	Payload []byte // user data after the header
}

// Assembler joins the parts of one message, in order of Seq, missing ones nil,
// into its text. It is pure.
type Assembler func(parts []*Fragment) (text string, err error)

// State is what became of an outbound message (SMPP 3.4 §5.2.28).
type State uint8

// The states. Final states are Delivered and beyond.
const (
	StateUnknown State = iota
	Enroute
	Accepted // accepted by a person on behalf of the recipient, or by the next hop
	Delivered
	Expired
	Deleted
	Undeliverable
	Rejected
)

// Final reports that no further report is expected.
func (s State) Final() bool { return s >= Delivered }

// Failed reports a final state other than Delivered.
func (s State) Failed() bool { return s > Delivered }

// String gives the word used in configuration, API and metrics.
func (s State) String() string {
	switch s {
	case Enroute:
		return "enroute"
	case Accepted:
		return "accepted"
	case Delivered:
		return "delivered"
	case Expired:
		return "expired"
	case Deleted:
		return "deleted"
	case Undeliverable:
		return "undeliverable"
	case Rejected:
		return "rejected"
	}
	return "unknown"
}

// Report is a delivery report about an outbound message.
type Report struct {
	Channel Channel
	Carrier string
	// Keys are the normalised forms under which the message id may have been
	// stored, likeliest first; short.
	Keys []string
	// Address is the recipient the report names; OtherAddress the other party,
	// for peers that swap them.
	Address, OtherAddress string
	State                 State
	// Complaint: the recipient calls the message spam. It may come after a final state,
	// and State does not count.
	Complaint bool
	Code      string // the peer's error code, as written
	Done      time.Time
	Received  time.Time
}

// Core takes what the edges bring in. Every done function is called exactly
// once, from any goroutine, and must not block: with nil after the durable
// commit, with one of the errors above when nothing was kept.
type Core interface {
	Inbound(m Inbound, done func(error))
	Report(r Report, done func(error))
	// Query tells the state of a message that waits for its DeliverAt: from is
	// the Inbound's From (SMPP 3.4 §4.8 names both). A message that took effect
	// is not kept: ErrNotFound. The edge knows from the id that it was ours.
	Query(ctx context.Context, carrier, from, id string) (State, time.Time, error)
	// Cancel and Replace change a message that waits for its DeliverAt. A zero
	// deliverAt leaves the time as it is.
	Cancel(ctx context.Context, carrier, from, id string) error
	Replace(ctx context.Context, carrier, from, id, text string, deliverAt time.Time) error
}

// Category decides what happens to a message whose fate a crash left open
// (rule X2).
type Category uint8

// The categories.
const (
	Transactional Category = iota // sent again: at least once
	Marketing                     // assumed sent: at most once
)

// Outbound is one message to a person.
type Outbound struct {
	ID       string // deterministic: run, element, step and attempt
	Channel  Channel
	Carrier  string // required carrier, or empty: routed
	From, To string
	Text     string
	Category Category
	// Expires is the end of validity; the edge passes the rest on to the peer.
	Expires time.Time
	// ReportWanted asks the peer for a delivery report.
	ReportWanted bool
	Attempt      uint8
	// Sent counts the parts that a peer accepted in earlier attempts; they
	// are not sent again. Ref is the concatenation reference they used.
	Sent uint8
	Ref  uint16
	// Receipt is set when this is not a text but a delivery report to the
	// carrier that submitted a message.
	Receipt *Receipt
	// Mail is set when this is an e-mail.
	Mail *Mail
}

// Mail is what an e-mail has besides the rest of its Outbound: From and To are
// bare addresses, Text is the plain text. Its MIME form is made by
// gateway/smtp/compose, the same in every attempt.
//
// A sender of mail answers FateAccepted when the recipient's server took it, with
// the mail's reference (gateway/smtp/verp) in Result.Keys: a bounce is a Report with it
// and a failed state.
type Mail struct {
	Subject   string
	FromName  string // display name before From; may be empty
	ReplyTo   string // where answers go, as a header has it: "Shop <shop@example.org>"; empty: From
	Preheader string // what lists of mails show behind the subject
	// HTML is the body as most people see it; empty: there is the text alone. Where
	// Text is empty, it is made of HTML.
	HTML  string
	Files []MailFile
	// Unsubscribe is an https address that takes people off the list: by a POST at
	// once (RFC 8058), and with a page. Empty: there is none.
	Unsubscribe string
	// Composed is the date that the mail bears.
	Composed time.Time
	// Headers are further fields. Those that the mail has anyway can't be among them.
	Headers []MailHeader
}

// MailFile is a file that a mail brings along.
type MailFile struct {
	Path string // in the folder of the configuration, with slashes
	Name string // as the recipient sees it; empty: the last part of Path
	// ContentID is set for an image that HTML shows as cid:ContentID.
	ContentID string
}

// MailHeader is a field of a mail's header.
type MailHeader struct{ Name, Value string }

// Receipt is a delivery report that we owe to a peer.
type Receipt struct {
	ID              string // our message id
	State           State
	Submitted, Done time.Time
	Text            string // first characters of the message
}

// Fate is how an attempt to send ended.
type Fate uint8

// The fates.
const (
	FateAccepted Fate = iota // a peer took every part
	FateRetry                // temporary: try again after Result.After
	FateRejected             // permanent: the peer, or a rule of ours, refused it
	FateExpired              // validity ended before a peer took it
	FateInDoubt              // written to the peer, answer never came (rule X2)
)

// Result is the outcome of one attempt.
type Result struct {
	Fate    Fate
	Carrier string   // the peer that took or refused it
	Keys    []string // per accepted part: normalised message id for matching reports; entries may be ""
	Parts   uint8    // parts accepted over all attempts
	Ref     uint16   // concatenation reference in use
	Code    string   // status name, such as ESME_RTHROTTLED
	After   time.Duration
	// Untried: a retry that is due to us, not to the peer, counts as no attempt.
	Untried bool
	// Dead: the peer says that the address takes no messages, and never will.
	Dead bool
	// Domain is the sending domain that the message counts for, where somebody wants to
	// know how many went out on a day (plans of warming up).
	Domain string
	// Trail tells how the attempt went, for the record of the message; zero where the
	// edge keeps none.
	Trail Trail
}

// Trail is how one attempt went.
type Trail struct {
	Host  string // the peer's name and address
	TLS   string // how the connection was encrypted; empty: it was not
	Reply string // what the peer said, or what went wrong; one line
}

// Sender carries out effects of one channel. Send must not block: a message
// that finds no free window waits in a bounded queue of the sender or is
// answered with FateRetry. done is called exactly once per message, from any
// goroutine, and must not block. ctx ends when the daemon stops: what was not
// written to a peer by then is answered with FateRetry.
type Sender interface {
	Send(ctx context.Context, m Outbound, done func(Result))
}
