package ivr

import "time"

// Leg tells the sides of a call apart: Caller is the one on which the flow runs,
// also when we called it; the targets of forwarded calls are 1 and up, each number
// once in the life of a call.
type Leg uint16

// Caller is the leg on which the flow runs.
const Caller Leg = 0

// Event is something that happened on a call. The set is closed.
type Event interface{ event() }

// Ringing says that the far side of a leg that was dialled is alerted.
type Ringing struct{ Leg Leg }

// EarlyMedia says that a leg that was dialled sends sound before it answers.
type EarlyMedia struct{ Leg Leg }

// Answered says that a leg that was dialled has answered, or that our Answer has
// arrived (its ACK came): from now on both can speak.
type Answered struct{ Leg Leg }

// Failed says that a leg that was dialled did not come about, or that Answer did not succeed.
// Why is PortBusy, PortNoAnswer or PortFailed; Code its detail.
type Failed struct {
	Leg  Leg
	Why  Port
	Code string
}

// Ended says that a leg is over, whoever ended it. It is the last event of the leg;
// a recording that ran is reported by Recorded before. At is the call's own time,
// since any fixed moment, from which talk time is computed; Code is a detail such
// as cut_off.
type Ended struct {
	Leg  Leg
	Code string
	At   time.Duration
}

// Key is a digit that was pressed on a leg: 0–9, *, #, A–D. Each press comes once.
type Key struct {
	Leg Leg
	Key byte
}

// Played says that a prompt has come to its end.
type Played struct{ Play uint32 }

// PlayFailed says that a prompt can't be played: no such file, the engine is away.
type PlayFailed struct {
	Play uint32
	Code string
}

// Recorded says that a recording has ended and is kept under ID, which is "" when
// nothing was said.
type Recorded struct {
	ID     string
	Length time.Duration
}

// RecordFailed says that nothing can be recorded.
type RecordFailed struct{ Code string }

// TimerFired says that a timer has run out.
type TimerFired struct{ Timer uint32 }

// Detected tells who has answered: PortHuman, PortMachine, PortFax or PortUnknown.
type Detected struct{ What Port }

// GreetingEnded says that the machine's greeting is over, or its beep was heard.
type GreetingEnded struct{}

// Connected says that Bridge has taken effect at that time of the call.
type Connected struct {
	Leg Leg
	At  time.Duration
}

func (Ringing) event()       {}
func (EarlyMedia) event()    {}
func (Answered) event()      {}
func (Failed) event()        {}
func (Ended) event()         {}
func (Key) event()           {}
func (Played) event()        {}
func (PlayFailed) event()    {}
func (Recorded) event()      {}
func (RecordFailed) event()  {}
func (TimerFired) event()    {}
func (Detected) event()      {}
func (GreetingEnded) event() {}
func (Connected) event()     {}
