// Package ivr runs the call elements of a flow on one call: it answers, plays,
// collects digits, records, forwards, detects machines and hangs up.
//
// It is a pure state machine over an abstract call. A [Task] says what the flow
// wants next; [Machine] turns it and the [Event]s of the call into [Command]s,
// of which the last is [Finish] with the [Outcome]. It knows no SIP, no media, no
// clock and no file: time passes only as [TimerFired], and who carries the
// commands out is the host's business.
//
// Where to read first: task.go for what can be asked for, machine.go for the
// life of a call, then one file per element.
package ivr
