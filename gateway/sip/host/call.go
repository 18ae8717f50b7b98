package host

import (
	"context"
	"errors"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/rtp"
	"trunkline/ivr"
)

// call is one call with a person. Everything of it but its mailbox belongs to
// the mailbox.
type call struct {
	host   *Host
	id     string
	begun  time.Time
	ctx    context.Context // ends when the call is over
	cancel context.CancelFunc
	unhook func() bool // of a call that we make: from the daemon's end
	box    mailbox

	machine ivr.Machine
	taken   bool              // the core knows the call
	ref     gateway.CallRef   // latest
	task    *gateway.CallTask // that runs
	legs    map[ivr.Leg]*leg
	timers  map[uint32]*time.Timer

	detection uint32 // number of the latest one
	recording *recording
	waiting   *ivr.Ended // of the caller's leg, until the recording is complete
	starting  *starting  // of a call that we make, until it has begun
	told      bool       // the core knows that the call is over
	offering  bool       // the core is being asked
	dropped   bool
}

// now is the call's own time.
func (c *call) now() time.Duration { return time.Since(c.begun) }

// offer asks the core whether a flow takes the call.
func (c *call) offer(lg *leg) {
	c.offering = true
	in := gateway.Call{ID: c.id, Trunk: lg.record.Trunk, From: lg.record.From, To: lg.record.To, Name: lg.sip.Name, Received: lg.record.Setup}
	c.host.options.Core.Call(in, func(ref gateway.CallRef, err error) { c.do(func() { c.offered(lg, ref, err) }) })
}

func (c *call) offered(lg *leg, ref gateway.CallRef, err error) {
	c.offering = false
	switch {
	case err != nil:
		lg.detail = "refused"
		lg.sip.Reject(refusal(err))
	case lg.over:
		c.taken, c.ref = true, ref
		c.tellEnd()
	default:
		c.taken, c.ref = true, ref
		lg.record.Alerting = time.Now()
		lg.sip.Ring()
	}
	c.leave()
}

// refusal is the status for why the core refuses a call.
func refusal(err error) int {
	switch {
	case errors.Is(err, gateway.ErrUnknownNumber), errors.Is(err, gateway.ErrNotFound):
		return 404
	case errors.Is(err, gateway.ErrNotTaken):
		return 480
	case errors.Is(err, gateway.ErrAnonymous):
		return 433
	}
	return 503
}

// begin begins a task.
func (c *call) begin(t gateway.CallTask) {
	c.task, c.ref = &t, t.Ref
	if c.taken = true; c.told {
		c.finish(ivr.Outcome{Port: ivr.PortHungUp, Over: true})
		c.leave()
		return
	}
	c.run(c.machine.Begin(t.Task))
}

// handle gives the machine an event.
func (c *call) handle(e ivr.Event) { c.run(c.machine.Handle(e)) }

// run carries out commands. What follows from one comes by the mailbox, so that
// all of them are carried out before.
func (c *call) run(commands []ivr.Command) {
	for _, command := range commands {
		switch x := command.(type) {
		case ivr.Answer:
			c.answer()
		case ivr.Call:
			c.dial(x)
		case ivr.HangUp:
			c.hangUp(x)
		case ivr.Play:
			c.play(x)
		case ivr.StopPlay:
			if lg := c.legs[x.Leg]; lg != nil {
				lg.silence()
			}
		case ivr.Ring:
			c.ring(x)
		case ivr.StartTimer:
			c.startTimer(x)
		case ivr.StopTimer:
			c.stopTimer(x.Timer)
		case ivr.StartRecording:
			c.record(x)
		case ivr.StopRecording:
			c.stopRecording()
		case ivr.Bridge:
			c.bridge(x)
		case ivr.StartDetection:
			c.detect()
		case ivr.StopDetection:
			c.stopDetection()
		case ivr.Finish:
			c.finish(x.Outcome)
		}
	}
	c.leave()
}

// answer answers the caller's call, after its open record is durable: a crash
// must not lose a call that was answered.
func (c *call) answer() {
	lg := c.legs[ivr.Caller]
	if lg == nil || lg.over {
		return
	}
	if err := lg.open(); err != nil {
		c.host.log.Warn("a call can't be answered", "call", c.id, "error", err)
		c.do(func() { c.handle(ivr.Failed{Leg: ivr.Caller, Why: ivr.PortFailed, Code: "no_ports"}) })
		return
	}
	lg.record.Answered = time.Now()
	lg.keep(func(err error) {
		c.do(func() {
			if err != nil {
				lg.record.Answered = time.Time{}
				c.handle(ivr.Failed{Leg: ivr.Caller, Why: ivr.PortFailed, Code: "store"})
				return
			}
			lg.sip.Answer(lg.local())
		})
	})
}

// hangUp ends a leg.
func (c *call) hangUp(x ivr.HangUp) {
	lg := c.legs[x.Leg]
	if lg == nil || lg.over {
		return
	}
	lg.end(x.Cause)
}

// hangUpAll ends the call because the core can't or won't go on with it.
func (c *call) hangUpAll() {
	for _, lg := range c.legs {
		if !lg.over {
			if lg.detail == "" {
				lg.detail = "stopped"
			}
			lg.end(ivr.CauseNormal)
		}
	}
}

// ring lets the caller hear that somebody rings.
func (c *call) ring(x ivr.Ring) {
	caller := c.legs[ivr.Caller]
	if caller == nil || caller.over {
		return
	}
	caller.silence()
	if x.Early {
		if other := c.legs[x.Leg]; other != nil && other.session != nil && caller.early() == nil {
			if rtp.Bridge(caller.session, other.session, false) == nil {
				return
			}
		}
	}
	if caller.answered {
		caller.session.Play(rtp.Ringback.Source())
	} else if caller.inbound() {
		caller.sip.Ring()
	}
}

// bridge connects the caller with a leg.
func (c *call) bridge(x ivr.Bridge) {
	caller, other := c.legs[ivr.Caller], c.legs[x.Leg]
	if caller == nil || other == nil || caller.session == nil || other.session == nil {
		return
	}
	caller.silence()
	other.silence()
	caller.session.Unbridge()
	if err := rtp.Bridge(caller.session, other.session, true); err != nil {
		c.host.log.Error("two legs can't be connected", "call", c.id, "error", err)
		other.end(ivr.CauseNormal)
		return
	}
	caller.connected, other.connected = other, caller
	at := c.now()
	c.do(func() { c.handle(ivr.Connected{Leg: x.Leg, At: at}) })
}

func (c *call) startTimer(x ivr.StartTimer) {
	c.timers[x.Timer] = time.AfterFunc(x.After, func() {
		c.do(func() {
			if _, there := c.timers[x.Timer]; there {
				delete(c.timers, x.Timer)
				c.handle(ivr.TimerFired{Timer: x.Timer})
			}
		})
	})
}

func (c *call) stopTimer(n uint32) {
	if t := c.timers[n]; t != nil {
		t.Stop()
		delete(c.timers, n)
	}
}

// finish tells the core what came of the task.
func (c *call) finish(o ivr.Outcome) {
	for n := range c.timers {
		c.stopTimer(n)
	}
	if c.starting != nil {
		c.begunCall(o)
		return
	}
	t := c.task
	if t == nil {
		return
	}
	c.task = nil
	c.told = c.told || o.Over
	out := gateway.CallOutcome{Call: c.id, Ref: t.Ref, Outcome: o}
	c.host.metrics.tasks.WithLabelValues(string(t.Task.Kind), string(o.Port)).Inc()
	c.host.tell(func(done func(error)) {
		c.host.options.Core.CallOutcome(out, func(err error) {
			if err != nil && !errors.Is(err, gateway.ErrOverload) {
				c.do(c.hangUpAll)
			}
			done(err)
		})
	})
}

// callerEnded is told once the caller's leg is over and its recording complete.
func (c *call) callerEnded(e ivr.Ended) {
	c.handle(e)
	if c.task == nil && c.starting == nil {
		c.tellEnd()
	}
	c.leave()
}

// tellEnd tells the core that the call is over, if it does not know it yet.
func (c *call) tellEnd() {
	if c.told || !c.taken {
		return
	}
	c.told = true
	ref := c.ref
	c.host.tell(func(done func(error)) { c.host.options.Core.CallEnded(c.id, ref, done) })
}

// leave takes the call off the list when nothing of it is left.
func (c *call) leave() {
	if c.dropped || c.offering || c.task != nil || c.starting != nil || c.recording != nil || c.waiting != nil || len(c.legs) == 0 {
		return
	}
	for _, lg := range c.legs {
		if !lg.over {
			return
		}
	}
	c.dropped = true
	c.host.drop(c)
}
