package flowengine

import (
	"time"

	"trunkline/ivr"
)

const portCollected = "collected"

// AskOptions are what elements have that ask the caller for digits.
type AskOptions struct {
	Prompt        Sounds        `yaml:"prompt" doc:"What the caller is asked: {say: …}, {file: …}, {url: …}, or a list of these."`
	InvalidPrompt Sounds        `yaml:"invalid_prompt" doc:"What is heard before the caller is asked again, after something that does not fit."`
	TimeoutPrompt Sounds        `yaml:"timeout_prompt" doc:"The same after nothing."`
	First         time.Duration `yaml:"first_digit_timeout" default:"5s" min:"1s" max:"60s" doc:"How long to wait for the first digit, from the end of the prompt."`
	Between       time.Duration `yaml:"digit_timeout" default:"3s" min:"500ms" max:"30s" doc:"How long to wait for each further digit; then what was typed is complete."`
	Retries       int           `yaml:"retries" default:"2" min:"0" max:"10" doc:"How often the caller is asked again."`
	BargeIn       bool          `yaml:"barge_in" default:"true" doc:"Let a key end the prompt, and count as a digit. Without it, nothing counts that is pressed before the prompt ends."`
	TypeAhead     bool          `yaml:"type_ahead" default:"true" doc:"Let digits count that were pressed before the element began."`
}

func (o *AskOptions) check(c *Checker) {
	o.Prompt.check(c, "prompt")
	o.InvalidPrompt.check(c, "invalid_prompt")
	o.TimeoutPrompt.check(c, "timeout_prompt")
}

// ask asks the caller on what terms want says.
func (o *AskOptions) ask(x *Passage, want *ivr.Collect) Outcome {
	if !x.Run.live() {
		return Take(portHungUp)
	}
	var prompts [3]*ivr.Prompt
	for i, sounds := range [...]Sounds{o.Prompt, o.InvalidPrompt, o.TimeoutPrompt} {
		p, err := sounds.prompt(x)
		if err != nil {
			return x.unrendered(err)
		}
		if p != nil {
			p.Barge = o.BargeIn
		}
		prompts[i] = p
	}
	want.First, want.Between, want.Retries, want.Fresh = o.First, o.Between, o.Retries, !o.TypeAhead
	want.Invalid, want.Timeout = prompts[1], prompts[2]
	return x.onCall(ivr.Task{Kind: ivr.KindCollect, Prompt: prompts[0], Collect: want})
}

// Collect asks the caller for digits. They are ${collect.digits} until the next
// element asks for some.
type Collect struct {
	AskOptions `yaml:",inline"`
	Min        int    `yaml:"min_digits" default:"1" min:"1" max:"64" doc:"Fewest digits that fit."`
	Max        int    `yaml:"max_digits" default:"64" min:"1" max:"64" doc:"Most digits; with as many the entry is complete."`
	Finish     string `yaml:"finish_key" enum:"#,*,none" default:"#" doc:"Key that completes the entry and is no part of it."`
	Variable   string `yaml:"variable" doc:"Variable that gets the digits as well."`
	Masked     bool   `yaml:"masked" doc:"The digits are a secret: no log, no history, no report and no variable shows them."`
}

// Ports lists the outcomes of the element.
func (e *Collect) Ports() []string {
	return []string{portCollected, portInvalid, portTimeout, portFailed, portHungUp}
}

// Check looks at the limits.
func (e *Collect) Check(c *Checker) {
	e.check(c)
	if e.Min > e.Max {
		c.ErrorfAt([]any{"min_digits"}, "at least %d digits and at most %d can't be", e.Min, e.Max)
	}
	switch {
	case e.Variable == "":
	case !variableName.MatchString(e.Variable):
		c.ErrorfAt([]any{"variable"}, "%q is not the name of a variable: a letter and at most 63 more letters, digits and underscores are expected", e.Variable)
	case e.Masked:
		c.ErrorfAt([]any{"variable"}, "variables are shown: use ${collect.digits} of masked digits")
	}
}

func (e *Collect) call() bool { return true }

// Arrive asks.
func (e *Collect) Arrive(x *Passage) Outcome {
	want := &ivr.Collect{Min: e.Min, Max: e.Max, Finish: e.Finish, Masked: e.Masked}
	if e.Finish == "none" {
		want.Finish = ""
	}
	return e.ask(x, want)
}

// Resume goes on with the digits or without.
func (e *Collect) Resume(x *Passage, c Cause) Outcome {
	o, ok := c.(*CallOutcome)
	if !ok || o.Outcome.Port != ivr.PortDone {
		return through(c)
	}
	if e.Variable != "" && !x.SetVars([]write{{attribute: e.Variable}}, []Value{TextValue(o.Outcome.Digits)}) {
		return Take(portFailed)
	}
	return Take(portCollected)
}
