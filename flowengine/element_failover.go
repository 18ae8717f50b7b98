package flowengine

import "time"

const portDelivered = "delivered"

// Failover tries channels one after the other until one of them gets through
// (rules F1–F4).
type Failover struct {
	Channels []FailoverChannel `yaml:"channels" required:"true" min:"2" max:"10" doc:"The channels, the preferred one first."`
	Until    string            `yaml:"until" enum:"delivered,accepted" default:"delivered" doc:"What counts as getting through: the delivery report, or that the carrier took the message."`
}

// FailoverChannel is one attempt.
type FailoverChannel struct {
	Send        string        `yaml:"send" enum:"sms" default:"sms" doc:"Channel."`
	Wait        time.Duration `yaml:"wait" min:"1m" max:"48h" doc:"How long to wait for the delivery report. Default: the message's validity."`
	TextMessage `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *Failover) Ports() []string { return []string{portDelivered, portFailed} }

// Check prepares the messages.
func (e *Failover) Check(c *Checker) {
	for i := range e.Channels {
		e.Channels[i].check(c, "channels", i)
	}
}

// Arrive tries the first channel.
func (e *Failover) Arrive(x *Passage) Outcome {
	x.Run.Attempt = 0
	return e.attempt(x)
}

// attempt sends over the channel whose turn it is, or over the next one that
// reaches the person. When there is none the element has failed.
func (e *Failover) attempt(x *Passage) Outcome {
	for ; int(x.Run.Attempt) < len(e.Channels); x.Run.Attempt++ {
		ch := &e.Channels[x.Run.Attempt]
		s, notSent, hold := ch.compose(x, int(x.Run.Attempt))
		if notSent != "" { // F1: no address is a reason to go on
			x.Log(NotSent, notSent)
			continue
		}
		if !hold.IsZero() {
			return Hold(hold, s.Expires)
		}
		id := x.Send(s)
		if s.Pacing.Paced() { // nobody knows when; its wait begins when it is accepted
			return WaitForReport(id, time.Time{})
		}
		return WaitForReport(id, s.Expires.Add(ch.wait()-ch.Validity))
	}
	return Take(portFailed)
}

func (ch *FailoverChannel) wait() time.Duration {
	if ch.Wait == 0 {
		return ch.Validity
	}
	return ch.Wait
}

// patience is how long the run waits for the report on what was just accepted.
func (e *Failover) patience(run *Run) time.Duration {
	if int(run.Attempt) < len(e.Channels) {
		return e.Channels[run.Attempt].wait()
	}
	return MaxValidity
}

// ends says that a message which the carrier took goes on waiting for its report.
func (e *Failover) ends(c Cause) bool {
	r, ok := c.(*SendResult)
	return !ok || !r.Accepted || e.Until == "accepted"
}

// Resume looks at what became of the message whose turn it is.
func (e *Failover) Resume(x *Passage, c Cause) Outcome {
	switch c := c.(type) {
	case *placeFree:
		return e.attempt(x)
	case *SendResult:
		if c.Accepted {
			return Take(portDelivered)
		}
	case *Report:
		if c.Delivered {
			return Take(portDelivered)
		}
	}
	x.Run.Attempt++ // refused, reported as failed, or too late
	return e.attempt(x)
}
