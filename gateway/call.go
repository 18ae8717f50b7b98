package gateway

import (
	"context"
	"errors"
	"time"

	"trunkline/ivr"
)

// Errors with which the core refuses a call, besides those of messages.
var (
	// ErrUnknownNumber: the number is not ours (SIP 404).
	ErrUnknownNumber = errors.New("gateway: no such voice number")
	// ErrNotTaken: no active flow takes calls to the number, or its rules of entry
	// do not let this caller in now (SIP 480).
	ErrNotTaken = errors.New("gateway: no flow takes the call")
	// ErrAnonymous: the caller withholds the number, so nobody can be said to call
	// (SIP 433, RFC 5079).
	ErrAnonymous = errors.New("gateway: the caller withholds the number")
)

// Call is a call that came in.
type Call struct {
	ID       string // of the call; unique over restarts of the daemon
	Trunk    string // configured name of the peer it came over
	From     string // the caller as the trunk's policy trusts it, in international digits; "" when withheld
	To       string // our number, likewise
	Name     string // display name; may be empty
	Received time.Time
}

// CallRef says for whom a call is made or held: which run of which flow, and at
// which element it stands. The edge hands it back as it came; records and logs may use it.
type CallRef struct {
	Person  string // id of the person, not the number
	Flow    string
	Version uint32
	Element string // "" before the first element of a call asked for anything
	Run     uint32 // entry number of the person in the flow
	Seq     uint32
}

// CallTask is the next thing that a flow wants done on a call.
type CallTask struct {
	Call string
	Ref  CallRef
	Task ivr.Task
}

// CallOutcome is what came of a CallTask.
type CallOutcome struct {
	Call string
	Ref  CallRef // of the task
	ivr.Outcome
}

// CallCore takes what the voice edge brings in. Done functions are called as in Core.
type CallCore interface {
	// Call offers a call that came in. With nil, a flow has taken it, durably:
	// its first task follows. The edge knows the call before it offers it.
	Call(c Call, done func(CallRef, error))
	// CallOutcome tells what came of a task, exactly once for each: one that
	// another task has taken the place of has none. done says when it is durable;
	// an error means that the core will not act on it, and the edge hangs up.
	CallOutcome(o CallOutcome, done func(error))
	// CallEnded tells that a call is over that had no task just then. ref is the
	// last one that the edge has seen of it.
	CallEnded(call string, ref CallRef, done func(error))
	// CallRecord keeps the record of a leg. One with the same Call and Leg
	// replaces the last one unless that was final.
	CallRecord(r CallRecord, done func(error))
}

// Caller carries out what flows want of calls: it is the host of the ivr
// machine. Its methods must not block.
type Caller interface {
	// Do begins a task. Tasks of a call come in order, the first one after the
	// done of Call, or of Start. One that comes while another runs takes its
	// place: that is always a KindHangUp, which is for calls that still ring too.
	// Of a call that is not there any more the outcome is PortHungUp, Over.
	Do(t CallTask)
	// Start makes a call; see OutboundCall. It answers done exactly once. ctx ends when
	// the daemon stops.
	Start(ctx context.Context, c OutboundCall, done func(StartResult))
	// Bury hangs up a leg that a former process has left, by the Trace in its record.
	Bury(trunk, trace string)
}

// OutboundCall is a call that a flow asks for: a Task of ivr.KindStartCall. Its
// id is also the id of the call, for tasks and records.
type OutboundCall struct {
	ID       string // deterministic: run, element and step
	Ref      CallRef
	Task     ivr.Task
	Category Category
	Expires  time.Time // it does not begin to ring later
	Attempt  uint8
}

// StartResult is how a call that we made has begun, or, with a prompt in the task,
// how it went. With FateAccepted it was answered: Outcome.Port is PortAnswered or
// PortMachine, and a call that is not Over stands and waits for its first task. With
// FateRejected Outcome says why: PortBusy, PortNoAnswer, PortFailed, or PortHungUp
// when the message was not heard to its end. FateRetry is for calls that were not
// begun for want of a line: it counts as no attempt.
type StartResult struct {
	Fate    Fate
	Trunk   string
	Began   bool // the far end was asked: a unit was used (rule M3)
	Outcome ivr.Outcome
	After   time.Duration // of FateRetry
}

// CallRecord is the record of one leg of a call, made when it ends, and before
// that whenever more of it is proven (rule C3).
type CallRecord struct {
	Call     string
	Leg      uint16 // 0: the call with the person; others: who it was forwarded to
	Ref      CallRef
	Outbound bool
	Trunk    string
	From, To string // in international digits, as dialled

	// Setup is when the leg began. The others are zero where it did not come so
	// far. Of a record that is not Final, Ended is the last moment at which the
	// leg is known to have stood.
	Setup, Alerting, Answered, Ended time.Time
	Final                            bool

	Status int    // last SIP status of the set-up; 0: none
	Cause  uint8  // Q.850
	By     string // who ended it: caller, callee, us
	Detail string // why, when it was us: cut_off, max_talk, stopped, …

	Codec   string
	Quality CallQuality

	// Trace is by what a leg that is not Final is hung up once the process is gone
	// which holds it. What it says is the edge's own affair.
	Trace string
}

// CallQuality is how a leg sounded to us.
type CallQuality struct {
	MOS    float64 // 1–4.5; 0: not known
	Lost   float64 // share of packets, 0–1
	Jitter time.Duration
}
