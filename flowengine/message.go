package flowengine

import "time"

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

const channelSMS = "sms"

// TextMessage is what every element that sends a text has.
type TextMessage struct {
	From      string        `yaml:"from" doc:"Number or name that the message comes from. Default: the number that the person wrote to."`
	Text      string        `yaml:"text" required:"true" doc:"Text of the message, a Liquid template over person, inbound, event, vars and now."`
	OnMissing string        `yaml:"on_missing" enum:"error,empty" default:"error" doc:"What a missing value without default does: leave through render_error, or render as nothing."`
	Validity  time.Duration `yaml:"validity" default:"48h" min:"1m" max:"48h" doc:"How long the message may be tried, from the moment it may go out."`
	Category  string        `yaml:"category" enum:"transactional,marketing" doc:"Purpose of the message. Default: the flow's."`
	Window    *Window       `yaml:"window" doc:"When the message may go out; outside, it waits."`

	from string
	text *Template
}

// check compiles the text and looks at the sender. Path leads to the options.
func (m *TextMessage) check(c *Checker, path ...any) {
	at := func(key string) []any { return append(path[:len(path):len(path)], key) }
	m.text = c.Template(m.Text, m.OnMissing == "empty", at("text")...)
	if m.From != "" {
		m.from = c.Sender(channelSMS, m.From, at("from")...)
	}
	if m.Category == "" {
		m.Category = c.Settings.Category
	}
	if m.Window != nil {
		m.Window.check(c, at("window")...)
	}
}

// compose makes the message for a person, or says why there is none.
func (m *TextMessage) compose(x *Passage) (s Send, notSent string) {
	to, ok := x.Person.Address(Phone)
	switch {
	case !ok:
		return s, NotSentNoAddress
	case x.Person.Blocked(Phone):
		return s, NotSentBlocked
	}
	text, err := m.text.Render(x)
	if err != nil {
		return s, NotSentRenderError + ": " + err.Error()
	}
	if text == "" {
		return s, NotSentEmpty
	}
	from := m.from
	if from == "" && x.Run.Inbound != nil {
		from = x.Run.Inbound.To
	}
	s = Send{Channel: channelSMS, From: from, To: to, Text: text, Marketing: m.Category == categoryMarketing}
	release := x.Now
	if m.Window != nil { // X11: validity starts when the message may go out
		if release = m.Window.opening(x.Now, x.zone()); release.After(x.Now) {
			s.NotBefore = release
		}
	}
	s.Expires = release.Add(m.Validity)
	return s, ""
}

// zone is the time zone of the person, where one is known, or that of the flow.
func (x *Passage) zone() *time.Location {
	if name := x.Person.Attrs.Get(attrTimezone); name.Type == Text {
		if zone, err := time.LoadLocation(name.Str); err == nil && name.Str != "Local" {
			return zone
		}
	}
	return x.Version.Settings.zone()
}

// attrTimezone is an attribute that operators may declare: the IANA name of the
// zone in which a person lives.
const attrTimezone = "timezone"
