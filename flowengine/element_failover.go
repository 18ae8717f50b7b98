package flowengine

import (
	"slices"
	"time"

	"trunkline/configs/strict"
)

const portDelivered = "delivered"

// What counts as getting through.
const (
	untilDelivered = "delivered"
	untilAccepted  = "accepted"
	untilOpened    = "opened"
)

// usualSilence is how long nothing has to be heard of a mail that a server took, until
// it counts as delivered: most of those that come back do so at once.
const usualSilence = 15 * time.Minute

// Failover tries channels one after the other until one of them gets through
// (rules F1–F4).
type Failover struct {
	Channels []FailoverChannel `yaml:"channels" required:"true" min:"2" max:"10" doc:"The channels, the preferred one first."`
	Until    string            `yaml:"until" enum:"delivered,accepted,opened" default:"delivered" doc:"What counts as getting through: the delivery report; that the carrier took the message; that a mail was opened, and for other channels the delivery report. A call gets through when what it says was heard. A mail is delivered when its server took it and it did not come back within wait."`
}

// FailoverChannel is one attempt. What it sends says which options it has.
type FailoverChannel struct {
	send    string
	wait    time.Duration // 0: the usual
	message failoverMessage
}

// failoverMessage is a message that a failover may try.
type failoverMessage interface {
	message
	check(c *Checker, path ...any)
	validity() time.Duration
	// words tell people which message it is.
	words() string
}

// failoverOptions is what each channel has, beside the options of its message.
type failoverOptions struct {
	Send string        `yaml:"send" enum:"sms,email,voice" default:"sms" doc:"Channel."`
	Wait time.Duration `yaml:"wait" min:"1m" max:"48h" doc:"How long to wait for the delivery report. Default: the message's validity; for a mail 15 minutes, from when a server took it."`
}

type failoverSMS struct {
	failoverOptions `yaml:",inline"`
	TextMessage     `yaml:",inline"`
}

type failoverMail struct {
	failoverOptions `yaml:",inline"`
	MailMessage     `yaml:",inline"`
}

// failoverCall has no wait of its own: a call ends by itself, with its last attempt.
type failoverCall struct {
	Send         string `yaml:"send" enum:"sms,email,voice" default:"sms" doc:"Channel."`
	VoiceMessage `yaml:",inline"`
}

func (m *SendOptions) validity() time.Duration { return m.Validity }

// UnmarshalNode reads a channel.
func (ch *FailoverChannel) UnmarshalNode(n *strict.Node) error {
	send := ""
	if f := n.Field("send"); f != nil && f.Kind == strict.String {
		send = f.Text
	}
	switch send {
	case channelEmail:
		var m failoverMail
		n.Decode(&m)
		*ch = FailoverChannel{m.Send, m.Wait, &m.MailMessage}
	case channelVoice:
		var m failoverCall
		n.Decode(&m)
		*ch = FailoverChannel{m.Send, 0, &m.VoiceMessage}
	default:
		var m failoverSMS
		n.Decode(&m)
		*ch = FailoverChannel{m.Send, m.Wait, &m.TextMessage}
	}
	return nil
}

// JSONSchema tells the channels apart.
func (ch *FailoverChannel) JSONSchema() map[string]any {
	is := func(channel string) map[string]any {
		return map[string]any{"properties": map[string]any{"send": map[string]any{"const": channel}}, "required": []any{"send"}}
	}
	rest := map[string]any{"if": is(channelVoice), "then": strict.Subschema(failoverCall{}), "else": strict.Subschema(failoverSMS{})}
	return map[string]any{"if": is(channelEmail), "then": strict.Subschema(failoverMail{}), "else": rest, "type": "object"}
}

// Ports lists the outcomes of the element.
func (e *Failover) Ports() []string { return []string{portDelivered, portFailed} }

// Check prepares the messages.
func (e *Failover) Check(c *Checker) {
	for i := range e.Channels {
		if m := e.Channels[i].message; m != nil {
			m.check(c, "channels", i)
		}
	}
	if e.Until == untilOpened && !slices.ContainsFunc(e.Channels, func(ch FailoverChannel) bool { return ch.send == channelEmail }) {
		c.ErrorfAt([]any{"until"}, "only e-mails are opened, and none of the channels is email")
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
		s, notSent, hold := ch.message.compose(x, int(x.Run.Attempt))
		if notSent != "" { // F1: no address is a reason to go on
			x.Log(NotSent, notSent)
			continue
		}
		if !hold.IsZero() {
			return Hold(hold, s.Expires)
		}
		id := x.Send(s)
		if ch.call() != nil { // it ends by itself
			return WaitForSend(id)
		}
		if s.Pacing.Paced() || ch.mail() { // its wait begins when it is accepted
			return WaitForReport(id, time.Time{})
		}
		return WaitForReport(id, s.Expires.Add(ch.patience()-ch.message.validity()))
	}
	return Take(portFailed)
}

func (ch *FailoverChannel) mail() bool { return ch.send == channelEmail }

// call is what is said when the channel is a call; nil when it is not.
func (ch *FailoverChannel) call() *VoiceMessage {
	m, _ := ch.message.(*VoiceMessage)
	return m
}

// calls says whether a run is calling the person just now.
func (e *Failover) calls(run *Run) bool {
	ch := e.channel(run)
	return ch != nil && ch.call() != nil
}

// patience is how long to wait for the report.
func (ch *FailoverChannel) patience() time.Duration {
	switch {
	case ch.wait > 0:
		return ch.wait
	case ch.mail():
		return usualSilence
	}
	return ch.message.validity()
}

// channel is the one whose turn it is; nil when there is none.
func (e *Failover) channel(run *Run) *FailoverChannel {
	if int(run.Attempt) < len(e.Channels) {
		return &e.Channels[run.Attempt]
	}
	return nil
}

// patience is how long the run waits for the report on what was just accepted.
func (e *Failover) patience(run *Run) time.Duration {
	if ch := e.channel(run); ch != nil {
		return ch.patience()
	}
	return MaxValidity
}

// ends says that a message which the carrier took goes on waiting for its report, and
// one that was delivered for being opened.
func (e *Failover) ends(run *Run, c Cause) bool {
	switch c := c.(type) {
	case *SendResult:
		return !c.Accepted || e.Until == untilAccepted || e.calls(run)
	case *Report:
		ch := e.channel(run)
		return !c.Delivered || e.Until != untilOpened || ch == nil || !ch.mail()
	}
	return true
}

// Resume looks at what became of the message whose turn it is.
func (e *Failover) Resume(x *Passage, c Cause) Outcome {
	switch c := c.(type) {
	case *placeFree:
		return e.attempt(x)
	case *Opening, *Click:
		return Take(portDelivered)
	case *SendResult:
		if ch := e.channel(x.Run); ch != nil && ch.call() != nil {
			if ch.call().heard(c) {
				return Take(portDelivered)
			}
		} else if c.Accepted {
			return Take(portDelivered)
		}
	case *Report:
		if c.Delivered {
			return Take(portDelivered)
		}
	case *Timer: // a mail that did not come back
		if ch := e.channel(x.Run); ch != nil && ch.mail() && e.Until != untilOpened {
			return Take(portDelivered)
		}
	}
	x.Run.Attempt++ // refused, reported as failed, or too late
	return e.attempt(x)
}
