package flowengine

import (
	"strings"
	"time"
)

const (
	portSent        = "sent"
	portFailed      = "failed"
	portNotSent     = "not_sent"
	portRenderError = "render_error"
)

// SendSMS sends one text message. When `sent` or `failed` leads somewhere the
// run waits until the carrier accepted or refused the message.
type SendSMS struct {
	TextMessage `yaml:",inline"`
}

// Ports lists the outcomes of the element.
func (e *SendSMS) Ports() []string {
	return []string{portSent, portFailed, portNotSent, portRenderError}
}

// Check prepares the message.
func (e *SendSMS) Check(c *Checker) { e.check(c) }

// Arrive sends the message, unless the person cannot or must not get it.
func (e *SendSMS) Arrive(x *Passage) Outcome { return sendOne(x, e) }

// Resume goes on when the carrier has answered, and tries again when there may
// be a place for what a cap held.
func (e *SendSMS) Resume(x *Passage, c Cause) Outcome { return sentOne(x, e, c) }

// message is what the options of a channel are made into.
type message interface {
	// compose makes the message for a person, or says why there is none. One that a cap
	// holds is not sent before hold; then it is composed again. Lane tells the messages
	// of one element apart that have speeds of their own.
	compose(x *Passage, lane int) (s Send, notSent string, hold time.Time)
}

// sendOne sends the one message of an element.
func sendOne(x *Passage, m message) Outcome {
	s, notSent, hold := m.compose(x, 0)
	if notSent != "" {
		x.Log(NotSent, notSent)
		if strings.HasPrefix(notSent, NotSentRenderError) {
			return Take(portRenderError)
		}
		return Take(portNotSent)
	}
	if !hold.IsZero() {
		return Hold(hold, s.Expires)
	}
	id := x.Send(s)
	if x.leads(portSent) || x.leads(portFailed) {
		return WaitForSend(id)
	}
	return Take(portSent)
}

// sentOne goes on when the message was taken or refused.
func sentOne(x *Passage, m message, c Cause) Outcome {
	if _, ok := c.(*placeFree); ok {
		return sendOne(x, m)
	}
	if r, ok := c.(*SendResult); ok && r.Accepted {
		return Take(portSent)
	}
	return Take(portFailed)
}
