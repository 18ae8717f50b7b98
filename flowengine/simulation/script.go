// Package simulation plays a flow for people who do not exist: the engine with a
// clock of its own, a carrier that takes or refuses what it is told to, and a
// script of what people do. Nothing leaves the process. The same script and seed
// give the same play.
package simulation

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
)

// Limits of one play.
const (
	maxTurns = 20_000
	maxSpan  = 3 * 366 * 24 * time.Hour
)

// Script is what happens in a play, as a file says it.
type Script struct {
	Begin  flowengine.Moment `yaml:"begin" doc:"When it begins and the flow is launched, such as 2026-12-24 09:00 in the flow's time zone. Default: 2026-01-05 09:00, a Monday."`
	Auto   bool              `yaml:"auto" default:"true" doc:"Whether carriers and APIs accept what is sent by themselves. With false, the steps say accept."`
	Number string            `yaml:"number" doc:"Our number that people write to. Default: that of the flow's first entry point which has one, or our first number."`
	People []Persona         `yaml:"people" max:"1000" doc:"The people. Default: one, with nothing known but a phone number."`
	Steps  []Step            `yaml:"steps" required:"true" min:"1" max:"10000" doc:"What happens, in order."`
}

// Persona is a person as the play begins.
type Persona struct {
	Phone      string              `yaml:"phone" required:"true" doc:"Phone number in international digits."`
	Attributes map[string]Constant `yaml:"attributes" max:"200" doc:"Attributes by name."`
	Tags       []string            `yaml:"tags" max:"200" doc:"Tags."`
}

// Step is one thing that happens. At or wait move the clock first; what comes due
// on the way happens in order.
type Step struct {
	At         Offset              `yaml:"at" doc:"Let it be so long after the beginning: +90m, +1d."`
	Wait       time.Duration       `yaml:"wait" min:"0s" max:"1096d" doc:"Let so much time pass."`
	Person     string              `yaml:"person" doc:"Phone number of the person. Default: the first of the people."`
	In         *string             `yaml:"in" max:"4000" doc:"The person writes this."`
	To         string              `yaml:"to" doc:"Number that in is written to. With an address of channel email, in is a mail."`
	Subject    string              `yaml:"subject" max:"1000" doc:"Subject of that mail."`
	Event      string              `yaml:"event" pattern:"^[A-Za-z][A-Za-z0-9_-]{0,63}$" doc:"A People event of this name happens."`
	Properties map[string]Constant `yaml:"properties" max:"100" doc:"Properties of the event."`
	Start      string              `yaml:"start" doc:"The person is let in through this entry point, as by the Flow API or as one of the audience."`
	Vars       map[string]Constant `yaml:"vars" max:"100" doc:"Variables: of start, or what an API that accepts has answered."`
	Accept     *bool               `yaml:"accept" doc:"The carrier or API takes (true) or refuses (false) the oldest message that has no answer yet."`
	Reason     string              `yaml:"reason" default:"rejected" doc:"Why accept: false refuses."`
	Report     string              `yaml:"report" enum:"delivered,undeliverable,expired,rejected,deleted,unknown" doc:"The final delivery report on the person's latest message."`
	Click      int                 `yaml:"click" min:"1" max:"100" doc:"The person follows the short link of this number in the latest message: 1 is the first."`
	Change     *Change             `yaml:"change" doc:"The profile is changed from outside."`
	Call       string              `yaml:"call" doc:"The person calls this number of ours."`
	Press      string              `yaml:"press" pattern:"^[0-9*#]{1,64}$" doc:"Keys that the person presses on the call."`
	Speak      time.Duration       `yaml:"speak" min:"1s" max:"1h" doc:"How long the person speaks while the call is recorded."`
	HangUp     bool                `yaml:"hang_up" doc:"The person hangs up."`
	Callee     string              `yaml:"callee" enum:"human,machine,fax,busy,no_answer,failed,hangs_up" doc:"What who is called does, the person or the target of a forwarded call. With auto, a human answers at once, and targets talk for a minute."`
}

// Change is a change of a profile.
type Change struct {
	Set  map[string]Constant `yaml:"set" max:"200" doc:"Attributes with their new values; null unsets."`
	Tags []string            `yaml:"tags" max:"200" doc:"Tags to add (+vip) and to take away (-new)."`
}

// Constant is a text, a number, true, false, null or a list of texts.
type Constant struct{ value any }

// UnmarshalNode reads a constant.
func (c *Constant) UnmarshalNode(n *strict.Node) error {
	if n.Kind == strict.Map {
		n.Mistyped("a text, a number, true, false, null or a list of texts", "")
		return nil
	}
	c.value = n.Value()
	return nil
}

// JSONSchema allows constants and lists of texts.
func (c *Constant) JSONSchema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": []any{"string", "number", "boolean", "null"}},
		map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
	}}
}

// Offset is a stretch of time since the beginning: +2h.
type Offset struct {
	given bool
	since time.Duration
}

// UnmarshalNode reads an offset.
func (o *Offset) UnmarshalNode(n *strict.Node) error {
	d, err := strict.ParseDuration(strings.TrimPrefix(n.Text, "+"))
	if n.Kind != strict.String || !strings.HasPrefix(n.Text, "+") || err != nil {
		n.Mistyped("a stretch of time since the beginning", "write it as +0s, +90m or +1d")
		return nil
	}
	if d > maxSpan {
		return fmt.Errorf("%q is too long; three years are the most", n.Text)
	}
	*o = Offset{true, d}
	return nil
}

// JSONSchema describes +2h.
func (o *Offset) JSONSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^\+([0-9]+(\.[0-9]+)?(w|d|h|m|s|ms))+$`}
}

// Schema is the JSON Schema of scripts, for editors.
func Schema() map[string]any {
	return strict.Schema(Script{}, strict.SchemaOptions{Title: "Trunkline: script of a simulation", Description: "What happens when a flow is played."})
}

// Parse reads a script, in YAML or JSON. The error is a strict.Errors with
// everything that is wrong, by place.
func Parse(file string, data []byte) (*Script, error) {
	s := new(Script)
	doc := strict.Parse(file, data, strict.Options{})
	doc.Decode(s)
	for i := range s.Steps {
		if err := s.Steps[i].check(); err != nil {
			doc.ErrorAt([]any{"steps", i}, "%v", err)
		}
	}
	for i, p := range s.People {
		if a := flowengine.ParseAddress(p.Phone); p.Phone != "" && a.Kind != flowengine.Phone {
			doc.ErrorAt([]any{"people", i, "phone"}, "%q is not a phone number", p.Phone)
		}
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// onCall says whether the step is about a call.
func (s *Step) onCall() bool {
	return s.Call != "" || s.Press != "" || s.Speak > 0 || s.HangUp || s.Callee != ""
}

// check demands that a step says one thing.
func (s *Step) check() error {
	var given []string
	for _, a := range []struct {
		name string
		is   bool
	}{
		{"in", s.In != nil}, {"event", s.Event != ""}, {"start", s.Start != ""}, {"accept", s.Accept != nil}, {"report", s.Report != ""}, {"click", s.Click > 0}, {"change", s.Change != nil},
		{"call", s.Call != ""}, {"press", s.Press != ""}, {"speak", s.Speak > 0}, {"hang_up", s.HangUp}, {"callee", s.Callee != ""},
	} {
		if a.is {
			given = append(given, a.name)
		}
	}
	switch {
	case len(given) > 1:
		return fmt.Errorf("a step says one thing, not %s; make steps of them", strings.Join(given, " and "))
	case len(given) == 0 && !s.At.given && s.Wait == 0:
		return errors.New("the step says nothing: in, event, start, accept, report, click, change, call, press, speak, hang_up, callee, wait or at is expected")
	case s.At.given && s.Wait > 0:
		return errors.New("say either at or wait")
	case s.Properties != nil && s.Event == "":
		return errors.New("properties belong to an event")
	}
	return nil
}
