package flowengine

import (
	"fmt"
	"regexp"
	"time"

	"trunkline/configs/strict"
	"trunkline/ivr"
	"trunkline/keyword"
)

// ForwardCall connects the caller with somebody else. `answered` is taken when
// the two have talked, whoever hung up.
type ForwardCall struct {
	To             Targets       `yaml:"to" required:"true" doc:"Whom to call: a number in international digits or a sip: address, or a list of up to 10; Liquid templates."`
	Mode           string        `yaml:"mode" enum:"sequential,parallel" default:"sequential" doc:"Whether several are called one after the other, or at once; the first who answers gets the call."`
	RingTimeout    time.Duration `yaml:"ring_timeout" default:"30s" min:"5s" max:"180s" doc:"How long each may ring; in parallel all together."`
	CallerID       string        `yaml:"caller_id" max:"64" doc:"Number that they see, a Liquid template. Default: the caller's, as far as the trunk's policy allows."`
	Trunk          string        `yaml:"trunk" max:"64" doc:"Trunk to use. Default: chosen by prefix, cost and health."`
	MaxDuration    time.Duration `yaml:"max_duration" min:"10s" max:"24h" doc:"After which the talk ends. Default: that of the trunk."`
	Ringback       string        `yaml:"ringback" enum:"tone,music,early_media,none" default:"tone" doc:"What the caller hears meanwhile: the usual tone, music, what the other side sends, or nothing."`
	Music          Sounds        `yaml:"music" doc:"Of ringback music: {file: …}, {url: …}, {say: …}, or a list of these; it is repeated."`
	Whisper        Sounds        `yaml:"whisper" doc:"What who answers hears before being connected."`
	ConfirmKey     string        `yaml:"confirm_key" pattern:"^[0-9*#]$" doc:"Key that who answers has to press to take the call: voicemail boxes don't."`
	ConfirmTimeout time.Duration `yaml:"confirm_timeout" default:"10s" min:"1s" max:"60s" doc:"How long to wait for that key."`
	HangUp         bool          `yaml:"hang_up" doc:"End the call when the other side hangs up."`

	targets  []*Template
	callerID *Template
}

// Targets is one target or a list.
type Targets []string

// UnmarshalNode reads a text or a list of texts.
func (t *Targets) UnmarshalNode(n *strict.Node) error {
	switch n.Kind {
	case strict.String:
		*t = Targets{n.Text}
	case strict.List:
		if len(n.Items) == 0 || len(n.Items) > ivr.MaxTargets {
			return fmt.Errorf("there are between 1 and %d targets, not %d", ivr.MaxTargets, len(n.Items))
		}
		var list []string
		n.Decode(&list)
		*t = list
	case strict.Number:
		n.Mistyped("a number in quotes, or a list of them", fmt.Sprintf("put it in quotes: %q", n.Text))
	default:
		n.Mistyped("a number in quotes, or a list of them", "")
	}
	return nil
}

// JSONSchema allows a text or a list.
func (t *Targets) JSONSchema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "minItems": 1, "maxItems": ivr.MaxTargets},
	}}
}

// Ports lists the outcomes of the element.
func (e *ForwardCall) Ports() []string {
	return []string{string(ivr.PortAnswered), string(ivr.PortBusy), string(ivr.PortNoAnswer), portFailed, portHungUp}
}

// Check compiles the targets.
func (e *ForwardCall) Check(c *Checker) {
	for i, to := range e.To {
		at := []any{"to", i}
		if len(e.To) == 1 {
			at = at[:1]
		}
		t := c.Template(to, false, at...)
		if t.compiled == nil && target(to) == "" {
			c.ErrorfAt(at, "%q can't be called: international digits or a sip: address are expected", to)
		}
		e.targets = append(e.targets, t)
	}
	if e.CallerID != "" {
		e.callerID = c.Template(e.CallerID, false, "caller_id")
	}
	e.Music.check(c, "music")
	e.Whisper.check(c, "whisper")
	if (e.Ringback == "music") != (e.Music != nil) {
		c.ErrorfAt([]any{"ringback"}, "`ringback: music` and `music` go together")
	}
}

var sipTarget = regexp.MustCompile(`^sips?:[^\s<>"]{1,200}$`)

// target normalises whom to call; "" is nobody.
func target(to string) string {
	if sipTarget.MatchString(to) {
		return to
	}
	digits := keyword.Number(to)
	for _, r := range digits {
		if r < '0' || r > '9' {
			return ""
		}
	}
	if len(digits) < 2 || len(digits) > 20 {
		return ""
	}
	return digits
}

func (e *ForwardCall) call() bool { return true }

// Arrive calls the others.
func (e *ForwardCall) Arrive(x *Passage) Outcome {
	if !x.Run.live() {
		return Take(portHungUp)
	}
	f, err := e.compose(x)
	if err != nil {
		return x.unrendered(err)
	}
	return x.onCall(ivr.Task{Kind: ivr.KindForward, Forward: f})
}

func (e *ForwardCall) compose(x *Passage) (*ivr.Forward, error) {
	f := &ivr.Forward{
		Parallel: e.Mode == "parallel", Trunk: e.Trunk, Timeout: e.RingTimeout, MaxTalk: e.MaxDuration,
		Ringback: ivr.Ringback(e.Ringback), Confirm: e.ConfirmKey, ConfirmTimeout: e.ConfirmTimeout, Hangup: e.HangUp,
	}
	for _, t := range e.targets {
		text, err := t.Render(x)
		if err != nil {
			return nil, err
		}
		to := target(text)
		if to == "" {
			return nil, fmt.Errorf("%q can't be called", shorten(text))
		}
		f.Targets = append(f.Targets, to)
	}
	var err error
	if e.callerID != nil {
		if f.CallerID, err = e.callerID.Render(x); err != nil {
			return nil, err
		}
	}
	if f.Music, err = e.Music.prompt(x); err != nil {
		return nil, err
	}
	f.Whisper, err = e.Whisper.prompt(x)
	return f, err
}

// Resume goes on after the talk, or without one.
func (e *ForwardCall) Resume(_ *Passage, c Cause) Outcome { return through(c) }
