package host

import (
	"errors"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/sip"
	"trunkline/ivr"
)

// dialling is how far a leg has come that we dial.
type dialling struct {
	request  ivr.Call
	choices  []sip.Choice
	next     int
	error    string
	meter    *meter
	stop     *time.Timer // of the meter, or of the longest talk
	admitted bool
}

// Why a number is not dialled; the Code of the outcome and Detail of the record.
const (
	codeNoRoute  = "no_route"       // no trunk's routes allow it, or none that does is up
	codeNoLine   = "no_line"        // all trunks are full
	codeCaller   = "caller_id"      // no trunk shows the caller's number
	codePorts    = "no_ports"       // all media ports are in use
	codeStopping = "stopping"       // the daemon stops
	codeBlocked  = "blocked_number" // a kind of number that fraud likes
	codeLoop     = "loop"           // it leads back to us
	codeCalls    = "too_many_calls" // at once, or today
	codeMoney    = "no_money"       // what may be spent today is spent
	codeCutOff   = "cut_off"        // the same, while talking
	codeMaxTalk  = "max_talk"
)

// dial dials a leg: policy first, then the routes in their order.
func (c *call) dial(x ivr.Call) {
	lg := c.newLeg(x.Leg)
	lg.dialling = &dialling{request: x}
	caller := c.legs[ivr.Caller]
	r := &lg.record
	r.Outbound, r.From, r.To, r.Ref = true, digits(x.CallerID), digits(x.To), c.dialRef()
	if r.From == "" && caller != nil && caller != lg {
		r.From = caller.record.From
	}
	if why := c.admit(lg, caller); why != "" {
		c.host.metrics.refused.WithLabelValues(why).Inc()
		lg.refuse(why)
		return
	}
	if err := lg.open(); err != nil {
		lg.refuse(codePorts)
		return
	}
	if x.Trunk != "" {
		lg.dialling.choices = []sip.Choice{{Trunk: x.Trunk, Up: true}}
	} else {
		lg.dialling.choices = c.host.edge.Choices(r.To)
	}
	lg.dialling.error = codeNoRoute
	c.try(lg)
}

// dialRef is for which element we dial.
func (c *call) dialRef() gateway.CallRef {
	switch {
	case c.task != nil:
		return c.task.Ref
	case c.starting != nil:
		return c.starting.request.Ref
	}
	return c.ref
}

// refuse ends a leg that is not dialled.
func (lg *leg) refuse(why string) {
	lg.detail = why
	lg.call.do(func() { lg.call.ended(lg, sip.Cause{}) })
}

// admit asks the rules of forwarding, and reserves money for the first minute.
func (c *call) admit(lg, caller *leg) (why string) {
	o := &c.host.options
	to := lg.record.To
	if caller != nil && caller != lg && to == caller.record.To || o.Own(to) {
		return codeLoop
	}
	rate, known := Rate{}, false
	if o.Prices != nil {
		rate, known = o.Prices(to, time.Now())
	}
	m, why := c.host.policy.admit(lg.record.Ref.Flow, lg.record.From, to, rate, known, time.Now())
	lg.dialling.meter, lg.dialling.admitted = m, why == ""
	return why
}

// try dials over the next route that takes the call.
func (c *call) try(lg *leg) {
	d := lg.dialling
	for d.next < len(d.choices) {
		choice := d.choices[d.next]
		d.next++
		lg.attempt++
		attempt := lg.attempt
		dial := sip.Dial{Trunk: choice.Trunk, Called: d.request.To, Caller: lg.record.From, Local: lg.local(), MaxDuration: d.request.MaxTalk, Confirm: true}
		if caller := c.legs[ivr.Caller]; caller != nil && caller != lg {
			dial.Diverted = caller.record.To
		}
		dialled, err := c.host.edge.Dial(dial, func(e sip.Event) { c.do(func() { c.happened(lg, attempt, e) }) })
		if err == nil {
			lg.sip, lg.record.Trunk = dialled, choice.Trunk
			if c.starting != nil {
				c.starting.began = true
			}
			return
		}
		d.error = dialError(err)
		c.host.log.Debug("a route does not take a call", "call", c.id, "trunk", choice.Trunk, "error", err)
	}
	lg.refuse(d.error)
}

func dialError(err error) string {
	switch {
	case errors.Is(err, sip.ErrBusy), errors.Is(err, sip.ErrRate):
		return codeNoLine
	case errors.Is(err, sip.ErrCaller):
		return codeCaller
	case errors.Is(err, sip.ErrStopping):
		return codeStopping
	}
	return codeNoRoute
}

// nextRoute goes on with another route when the last one was no way to the
// called person: no answer at all, or a fault on the way. Whoever is busy or does
// not answer is not called over another trunk.
func (c *call) nextRoute(lg *leg, cause sip.Cause) bool {
	d := lg.dialling
	if d == nil || lg.answered || lg.hung || !lg.record.Alerting.IsZero() || d.next >= len(d.choices) || cause.By == sip.Us {
		return false
	}
	if cause.Code != 408 && (cause.Code < 500 || cause.Code > 599) {
		return false
	}
	lg.record.Status = 0
	before := lg.sip
	c.try(lg)
	return lg.sip != before || lg.detail != "" // else it was refused by all others
}

// talkBegins starts the meter of a leg that has answered, and whatever else ends
// its talk.
func (c *call) talkBegins(lg *leg) {
	if d := lg.dialling; d != nil && d.meter != nil && d.meter.limit >= 0 {
		c.charge(lg)
	}
}

// charge waits until what is reserved has been talked away, and reserves more;
// when there is none, the talk is over.
func (c *call) charge(lg *leg) {
	d := lg.dialling
	left := d.meter.covered - time.Since(lg.record.Answered)
	d.stop = time.AfterFunc(max(0, left-chargeAhead), func() {
		c.do(func() {
			if lg.over || lg.hung {
				return
			}
			if d.meter.extend(time.Now()) {
				c.charge(lg)
				return
			}
			left := d.meter.covered - time.Since(lg.record.Answered)
			d.stop = time.AfterFunc(max(0, left), func() {
				c.do(func() {
					if !lg.over {
						lg.detail = codeCutOff
						c.host.metrics.cutOff.Inc()
						lg.end(ivr.CauseNormal)
					}
				})
			})
		})
	})
}

// settle gives back what was reserved and not used.
func (lg *leg) settle() {
	d := lg.dialling
	if d == nil || !d.admitted {
		return
	}
	if d.stop != nil {
		d.stop.Stop()
	}
	talk := time.Duration(-1)
	if !lg.record.Answered.IsZero() {
		talk = lg.record.Ended.Sub(lg.record.Answered)
	}
	lg.call.host.policy.settle(d.meter, talk)
	d.admitted = false
}
