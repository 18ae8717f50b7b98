package host

import (
	"time"

	"trunkline/gateway"
	"trunkline/ivr"
)

// starting is a call that we make, until it was answered or given up.
type starting struct {
	request gateway.OutboundCall
	done    func(gateway.StartResult)
	began   bool // somebody was asked
}

// start dials the person, once: further attempts are the core's.
func (c *call) start(o gateway.OutboundCall, done func(gateway.StartResult)) {
	s := &starting{request: o, done: done}
	c.starting, c.ref = s, o.Ref
	if !s.request.Expires.IsZero() && time.Now().After(s.request.Expires) {
		c.startOver(gateway.StartResult{Fate: gateway.FateExpired, Outcome: ivr.Outcome{Port: ivr.PortFailed, Code: "expired", Over: true}})
		return
	}
	c.run(c.machine.Begin(s.request.Task))
}

// noLine says that a call was not even begun, for a reason that passes.
func noLine(code string) bool { return code == codeNoLine || code == codePorts || code == codeStopping }

// begunCall is the outcome of the task that made the call.
func (c *call) begunCall(o ivr.Outcome) {
	s := c.starting
	trunk := ""
	if lg := c.legs[ivr.Caller]; lg != nil {
		trunk = lg.record.Trunk
	}
	r := gateway.StartResult{Fate: gateway.FateRejected, Trunk: trunk, Began: s.began, Outcome: o}
	switch {
	case o.Port == ivr.PortAnswered || o.Port == ivr.PortMachine || o.Port == ivr.PortDone:
		r.Fate = gateway.FateAccepted
	case !s.began && noLine(o.Code):
		r.Fate, r.After = gateway.FateRetry, time.Second
	}
	c.startOver(r)
}

func (c *call) startOver(r gateway.StartResult) {
	s := c.starting
	c.starting = nil
	c.taken = r.Fate == gateway.FateAccepted
	c.told = !c.taken || r.Outcome.Over
	s.done(r)
	c.leave()
}
