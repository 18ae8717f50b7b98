package ivr

import "time"

// Command is what the host shall do on a call. The set is closed. Commands are
// carried out in their order; none but HangUp of other legs and Finish follows
// once the caller's leg has ended.
type Command interface{ command() }

// Answer the caller's call. Answered or Failed follows.
type Answer struct{}

// Call dials a leg: the caller's own (a call that we make) or a target of a
// forwarded one. Ringing and EarlyMedia may follow, then Answered or Failed. One
// command is one target; going over to the next route is the host's business.
type Call struct {
	Leg      Leg
	To       string
	CallerID string
	Trunk    string
	MaxTalk  time.Duration // of a call that we make: the host ends it then; 0: as the trunk says
}

// HangUp ends a leg: CANCEL while it rings, BYE afterwards, a final response for
// a caller who was not answered. Ended follows, except where the leg's last
// event has come.
type HangUp struct {
	Leg   Leg
	Cause Cause
}

// Play lets a leg hear a prompt in place of what it hears now. Played or
// PlayFailed with the same number follows, unless StopPlay, another Play to the
// leg, Bridge or the end of the leg comes before. Forever repeats it until then.
type Play struct {
	Play    uint32
	Leg     Leg
	Prompt  *Prompt
	Forever bool
}

// StopPlay ends what a leg hears.
type StopPlay struct{ Leg Leg }

// Ring lets the caller hear that somebody rings: a 180 before the answer, the
// tone afterwards; with Early, the sound of that leg as soon as there is any.
// It ends with StopPlay, Play or Bridge.
type Ring struct {
	Early bool
	Leg   Leg // of Early
}

// StartTimer asks for TimerFired after that time.
type StartTimer struct {
	Timer uint32
	After time.Duration
}

// StopTimer forgets a timer. It may have fired all the same; the machine knows.
type StopTimer struct{ Timer uint32 }

// StartRecording records the caller until it is long enough, silent or stopped.
// Recorded or RecordFailed follows in any case. Beep comes before and is no part of it.
type StartRecording struct {
	Beep    bool
	Max     time.Duration
	Silence time.Duration // 0: silence does not end it
}

// StopRecording ends the recording.
type StopRecording struct{}

// Bridge connects the caller with a leg; Connected follows.
type Bridge struct{ Leg Leg }

// StartDetection listens who has answered. Detected follows, and after
// PortMachine GreetingEnded, unless StopDetection comes before.
type StartDetection struct{}

// StopDetection ends listening.
type StopDetection struct{}

// Finish is the last command of a task. Its timers are void. The call, if it is
// not over, stands and waits for the next task in silence.
type Finish struct{ Outcome Outcome }

func (Answer) command()         {}
func (Call) command()           {}
func (HangUp) command()         {}
func (Play) command()           {}
func (StopPlay) command()       {}
func (Ring) command()           {}
func (StartTimer) command()     {}
func (StopTimer) command()      {}
func (StartRecording) command() {}
func (StopRecording) command()  {}
func (Bridge) command()         {}
func (StartDetection) command() {}
func (StopDetection) command()  {}
func (Finish) command()         {}
