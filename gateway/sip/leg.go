package sip

import (
	"log/slog"
	"time"

	"trunkline/gateway/rtp/sdp"
)

// Handler takes calls that come in.
type Handler interface {
	// Invited is called for each call that passed validation, authentication and
	// limits, in the leg's own order of events. It must not block. It returns
	// where the leg's events go; nil refuses the call with 480. It may already give
	// commands to the leg.
	Invited(*Leg) func(Event)
}

// Info is what is known of a leg from its beginning. It does not change.
type Info struct {
	ID      string // unique within the daemon; our tag in the dialog
	CallID  string // as on the wire
	Trunk   string
	Inbound bool
	// Caller and Called are the user parts as they were written, mostly numbers:
	// +385911234567. Of an incoming call Caller is whom the trunk's caller_id.trust
	// believes, Called whom the Request-URI names.
	Caller, Called string
	Name           string // display name of the caller
	Withheld       bool   // the caller does not want the number to be shown
	// Offer is what the peer's INVITE said about its sound; nil: it waits for
	// our offer, or the leg is outgoing.
	Offer *sdp.Description
	// Diverted is the number that passed the call on, where a header says so.
	Diverted string
	// Hops is how many more proxies the call may pass (Max-Forwards), -1 when it must
	// not be passed on; whoever passes it on says so in [Dial], which ends loops.
	Hops     int
	Received time.Time // when the INVITE was read or made
}

// Leg is one call with one peer. Its methods never block and may be called from
// anywhere; what they ask for happens in the order in which they are called,
// between events. A command that no longer makes sense does nothing. Events
// arrive one after the other; the last one is [Ended], exactly once.
type Leg struct {
	Info

	edge  *Edge
	trunk *trunk
	log   *slog.Logger
	box   mailbox
	sink  func(Event) // set before the first event

	// What follows belongs to the mailbox.
	phase    phase
	dialog   dialog
	media    media
	incoming *incoming // INVITE of the peer that is not settled
	outgoing *outgoing // INVITE of ours that is not settled
	session  session
	reliable reliable // provisional responses of ours
	prack    pracks   // those of the peer
	transfer transfer
	answers  answers // to the last requests of the peer, for when they come again
	limit    *time.Timer
	again    func() // what waits until an INVITE of ours may be sent
	glare    bool   // and until the peer's had its turn
	busy     int    // transactions of ours that run
	byeCause Cause  // of a hang-up that waits until BYE is allowed
	counted  bool   // among the trunk's calls
	stream   *stream
	settled  *outgoing // the newest INVITE of ours that was answered
}

// phase is how far a leg is.
type phase uint8

const (
	trying    phase = iota
	answered        // by a 200 without its ACK
	confirmed       // a call
	over            // Ended was said; transactions may still run
)

// Event is what happens to a leg: one of the types below.
type Event interface{ event() }

type (
	// Ringing says that an outgoing call rings.
	Ringing struct {
		Code int // 180–182
	}
	// Media says that both sides agree on sound, for the first time or anew.
	// Agreed.Direction tells of hold. Early: the call is not answered yet.
	Media struct {
		sdp.Agreed
		Local sdp.Local
		Early bool
	}
	// Answered says that an outgoing call was answered, or that our answer to an
	// incoming one reached the caller. Media came before it.
	Answered struct {
		Trace string // of an outgoing call: see [Leg.Trace]
	}
	// Digit is one that the peer sent by INFO.
	Digit struct {
		Digit    byte // 0–9 * # A–D
		Duration time.Duration
	}
	// Transfer says that the peer wants the call to go on elsewhere (REFER), which
	// the trunk allows. Answer with [Leg.TransferProgress].
	Transfer struct {
		Number string // user part of Refer-To
		URI    string
	}
	// Refused says that the peer did not take the change of [Leg.Reoffer]; all is
	// as before.
	Refused struct{ Code int }
	// Ended says that the leg is over, and why.
	Ended struct{ Cause }
)

func (Ringing) event()  {}
func (Media) event()    {}
func (Answered) event() {}
func (Digit) event()    {}
func (Transfer) event() {}
func (Refused) event()  {}
func (Ended) event()    {}

// Ring says that the called phone rings (180).
func (l *Leg) Ring() { l.do(func() { l.progress(180, nil) }) }

// EarlyMedia answers the offer before the call is answered (183), so that the
// caller hears what we play. local.Origin is filled in; without Codecs the
// trunk's are used. Without an offer of the peer it says 183 and no more, unless
// the peer can have it reliably.
func (l *Leg) EarlyMedia(local sdp.Local) { l.do(func() { l.progress(183, &local) }) }

// Answer takes an incoming call. After EarlyMedia the same description is said
// again, whatever local is.
func (l *Leg) Answer(local sdp.Local) { l.do(func() { l.accept(local) }) }

// Confirm acknowledges the answer to a call that was dialled with [Dial.Confirm].
func (l *Leg) Confirm() { l.do(l.confirm) }

// Reject refuses an incoming call, with a status of 300–699. Q.850 follows from
// the status.
func (l *Leg) Reject(status int) {
	l.do(func() { l.refuse(Cause{Code: status, Q850: Q850(status), Text: phrase(status)}) })
}

// Hangup ends the leg, however far it is: it refuses, cancels or says BYE. The
// zero Q.850 cause means an ordinary end; a call that is not answered yet is
// refused with [Status] of it.
func (l *Leg) Hangup(q850 int) {
	l.do(func() {
		c := causeNormal
		if q850 != 0 && q850 != c.Q850 {
			c = Cause{Code: Status(q850), Q850: q850, Text: phrase(Status(q850))}
		}
		l.hangup(c)
	})
}

// Reoffer changes our side of the sound: hold, another address, another codec.
// The peer's answer comes as Media, or as Refused.
func (l *Leg) Reoffer(local sdp.Local) { l.do(func() { l.reoffer(local) }) }

// TransferProgress tells the peer what became of the transfer it asked for: a
// final status ends it.
func (l *Leg) TransferProgress(status int) { l.do(func() { l.transferred(status) }) }

// Do runs f in the leg's order of events. f must not block.
func (l *Leg) Do(f func()) { l.do(f) }
