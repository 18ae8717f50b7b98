package flowengine

import (
	"maps"
	"regexp"
	"slices"
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
	NotSentCapped      = "capped"    // the person got as many as caps allow (rule X12)
	NotSentExpired     = "expired"   // held for a cap until its validity ended
	NotSentNoSender    = "no_sender" // the identity that a mail comes from is not configured
)

const (
	channelSMS   = "sms"
	channelEmail = "email"
)

// SendOptions are those of every message, whatever its channel.
type SendOptions struct {
	OnMissing string             `yaml:"on_missing" enum:"error,empty" default:"error" doc:"What a missing value without default does: leave through render_error, or render as nothing."`
	Validity  time.Duration      `yaml:"validity" default:"48h" min:"1m" max:"48h" doc:"How long the message may be tried, from the moment it may go out."`
	Category  string             `yaml:"category" enum:"transactional,marketing" doc:"Purpose of the message. Default: the flow's."`
	Window    *Window            `yaml:"window" doc:"When the message may go out; outside, it waits. Default for marketing: outside of quiet hours."`
	Speed     *Speed             `yaml:"speed" doc:"How fast messages go out, in the order in which persons came. The rest waits."`
	Data      map[string]Setting `yaml:"data" max:"20" doc:"Values that webhooks and clicks tell with the message, and nobody sends: constants and ${…} with expressions over person, inbound, event, vars and now. What has no value is left out."`

	data []write // ordered by name
}

// TextMessage is what every element that sends a text has.
type TextMessage struct {
	From string `yaml:"from" doc:"Number or name that the message comes from. Default: the number that the person wrote to."`
	Text string `yaml:"text" required:"true" doc:"Text of the message, a Liquid template over person, inbound, event, vars and now."`

	SendOptions `yaml:",inline"`

	ShortenURLs    bool `yaml:"shorten_urls" default:"false" doc:"Replace http and https URLs by short links of links.base_url. A URL that goes through the filter no_shorten stays, as one for unsubscribing must: {{ 'https://example.org/stop' | no_shorten }}."`
	TrackClicks    bool `yaml:"track_clicks" default:"true" doc:"Count who follows the short links, and make a People event link_clicked of it."`
	RemoveProtocol bool `yaml:"remove_protocol" default:"false" doc:"Write short links without https://, which phones still take for links."`

	from    string
	text    *Template
	shorten *shortening
}

func (m *TextMessage) words() string { return m.Text }

// check compiles the text and looks at the sender. Path leads to the options.
func (m *TextMessage) check(c *Checker, path ...any) {
	at := func(key string) []any { return append(path[:len(path):len(path)], key) }
	m.text = c.Template(m.Text, m.OnMissing == "empty", at("text")...)
	if m.From != "" {
		m.from = c.Sender(channelSMS, m.From, at("from")...)
	}
	m.SendOptions.check(c, at)
	if m.ShortenURLs {
		m.shorten = &shortening{track: m.TrackClicks, removeProtocol: m.RemoveProtocol}
		c.needsLinks("shorten_urls", at("shorten_urls"))
	} else if m.RemoveProtocol {
		c.ErrorfAt(at("remove_protocol"), "it is of short links: say `shorten_urls: true` too")
	}
}

// check prepares what all messages have.
func (m *SendOptions) check(c *Checker, at func(key string) []any) {
	if m.Category == "" {
		m.Category = c.Settings.Category
	}
	if m.Window != nil {
		m.Window.check(c, at("window")...)
	}
	m.Speed.check(c, at("speed")...)
	m.checkData(c, at)
}

func (m *SendOptions) marketing() bool { return m.Category == categoryMarketing }

// checkData prepares what is told with the message.
func (m *SendOptions) checkData(c *Checker, at func(key string) []any) {
	for _, name := range slices.Sorted(maps.Keys(m.Data)) {
		path := append(at("data"), name)
		if !dataName.MatchString(name) {
			c.ErrorfAt(path, "%q is not a name: letters, digits, _ and - are, up to 64", name)
			continue
		}
		w := write{attribute: name}
		if s := m.Data[name]; s.Source != "" {
			w.computed = c.Expression(s.Source, path...)
		} else if v, err := infer(s.Constant); err != nil {
			c.ErrorfAt(path, "%v", err)
		} else {
			w.constant = v
		}
		m.data = append(m.data, w)
	}
}

var dataName = regexp.MustCompile("^[A-Za-z0-9_-]{1,64}$")

// dataMost bounds one value of a message's data, in octets.
const dataMost = 1024

// dataOf computes what is told with the message to one person.
func (m *SendOptions) dataOf(x *Passage) (data Attrs) {
	for _, w := range m.data {
		v := w.constant
		if w.computed != nil {
			given, err := w.computed.Value(x)
			if err != nil || given == nil {
				continue
			}
			if v, err = infer(given); err != nil {
				continue
			}
		}
		if v.Type != Unset && len(v.Str) <= dataMost {
			data.Set(w.attribute, v)
		}
	}
	return data
}

// compose implements message.
func (m *TextMessage) compose(x *Passage, lane int) (s Send, notSent string, hold time.Time) {
	to, ok := x.Person.Address(Phone)
	switch {
	case !ok:
		return s, NotSentNoAddress, hold
	case x.Person.Blocked(Phone):
		return s, NotSentBlocked, hold
	}
	var text string
	var err error
	var short *shortening
	if x.Set.links.Enabled() && m.shorten != nil {
		short = m.shorten
		text, err = m.text.renderMarked(x)
	} else {
		text, err = m.text.Render(x)
	}
	if err != nil {
		return s, NotSentRenderError + ": " + err.Error(), hold
	}
	if text == "" {
		return s, NotSentEmpty, hold
	}
	from := m.from
	if from == "" && x.Run.Inbound != nil && x.Run.Inbound.Channel == channelSMS {
		from = x.Run.Inbound.To
	}
	s = Send{Channel: channelSMS, From: from, To: to, Text: text, Marketing: m.marketing(), shorten: short}
	if len(m.data) > 0 {
		s.Data = m.dataOf(x)
	}
	notSent, hold = m.time(x, &s, lane)
	return s, notSent, hold
}

// time says when the message may go out: in its window (rule X11), and when caps
// leave a place for it (rule X12).
func (m *SendOptions) time(x *Passage, s *Send, lane int) (notSent string, hold time.Time) {
	window := m.Window
	if window == nil && s.Marketing {
		window = x.quiet()
	}
	release := x.Now
	if window != nil {
		release = window.opening(x.Now, x.zone())
	}
	s.Expires = release.Add(m.Validity) // validity starts when it may go out
	if !x.Run.Held.IsZero() {
		s.Expires = x.Run.Held
	}
	if !release.Before(s.Expires) {
		return NotSentExpired, hold
	}
	free, skip := x.place(s, release, window)
	switch {
	case skip:
		return NotSentCapped, hold
	case free.After(release):
		return "", sooner(free, s.Expires)
	}
	if release.After(x.Now) {
		s.NotBefore = release
	}
	s.Pacing = m.Speed.pacing(lane, m.Validity, window, x.zone())
	return "", hold
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
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

// attrTimezone is the IANA name of the zone in which a person lives.
const attrTimezone = "timezone"
