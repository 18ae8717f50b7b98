package flowengine

import (
	"time"
)

// MaxValidity is the longest and the usual time for which a message may be
// tried (rule X11).
const MaxValidity = 48 * time.Hour

// Reasons for which an element sends nothing (rule X10).
const (
	NotSentNoAddress   = "no_address"
	NotSentBlocked     = "do_not_contact"
	NotSentRenderError = "render_error"
	NotSentEmpty       = "empty_text"
)

const (
	portSent        = "sent"
	portFailed      = "failed"
	portNotSent     = "not_sent"
	portRenderError = "render_error"

	channelSMS = "sms"
)

// SendSMS sends one text message. When `sent` or `failed` leads somewhere the
// run waits until the carrier accepted or refused the message.
type SendSMS struct {
	From      string        `yaml:"from" doc:"Number or name that the message comes from. Default: the number that the person wrote to."`
	Text      string        `yaml:"text" required:"true" doc:"Text of the message, a Liquid template over person, inbound, vars and now."`
	OnMissing string        `yaml:"on_missing" enum:"error,empty" default:"error" doc:"What a missing value without default does: leave through render_error, or render as nothing."`
	Validity  time.Duration `yaml:"validity" default:"48h" min:"1m" max:"48h" doc:"How long the message may be tried."`
	Category  string        `yaml:"category" enum:"transactional,marketing" doc:"Purpose of the message. Default: the flow's."`

	from string
	text *Template
}

// Ports lists the outcomes of the element.
func (e *SendSMS) Ports() []string {
	return []string{portSent, portFailed, portNotSent, portRenderError}
}

// Check compiles the text and looks at the sender.
func (e *SendSMS) Check(c *Checker) {
	e.text = c.Template(e.Text, e.OnMissing == "empty", "text")
	if e.From != "" {
		e.from = c.Sender(channelSMS, e.From, "from")
	}
	if e.Category == "" {
		e.Category = c.Settings.Category
	}
}

// Arrive sends the message, unless the person cannot or must not get it.
func (e *SendSMS) Arrive(x *Passage) Outcome {
	to, ok := x.Person.Address(Phone)
	switch {
	case !ok:
		x.Log(NotSent, NotSentNoAddress)
		return Take(portNotSent)
	case x.Person.Blocked(Phone):
		x.Log(NotSent, NotSentBlocked)
		return Take(portNotSent)
	}
	text, err := e.text.Render(x)
	if err != nil {
		x.Log(NotSent, NotSentRenderError+": "+err.Error())
		return Take(portRenderError)
	}
	if text == "" {
		x.Log(NotSent, NotSentEmpty)
		return Take(portNotSent)
	}
	from := e.from
	if from == "" && x.Run.Inbound != nil {
		from = x.Run.Inbound.To
	}
	id := x.Send(Send{
		Channel: channelSMS, From: from, To: to, Text: text,
		Expires: x.Now.Add(e.Validity), Marketing: e.Category == categoryMarketing,
	})
	if x.leads(portSent) || x.leads(portFailed) {
		return WaitForSend(id)
	}
	return Take(portSent)
}

// Resume goes on when the carrier has answered.
func (e *SendSMS) Resume(_ *Passage, c Cause) Outcome {
	if r, ok := c.(*SendResult); ok && r.Accepted {
		return Take(portSent)
	}
	return Take(portFailed)
}
