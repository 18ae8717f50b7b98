package flowengine

import (
	"time"

	"trunkline/ivr"
)

// Record records what the caller says: a voicemail. Who hangs up after having
// spoken has left one.
type Record struct {
	Prompt  Sounds        `yaml:"prompt" doc:"What is heard before: {say: …}, {file: …}, {url: …}, or a list of these."`
	Beep    bool          `yaml:"beep" default:"true" doc:"Whether a beep says that it begins."`
	Max     time.Duration `yaml:"max_length" default:"60s" min:"1s" max:"1h" doc:"Length at which it ends."`
	Silence time.Duration `yaml:"silence" default:"5s" max:"60s" doc:"Silence that ends it; 0s: none does."`
	Finish  string        `yaml:"finish_keys" pattern:"^([0-9*#]{1,12}|none)$" default:"#" doc:"Keys of which any ends it, or none."`
	BargeIn bool          `yaml:"barge_in" doc:"Let a key end the prompt."`
}

// Ports lists the outcomes of the element.
func (e *Record) Ports() []string {
	return []string{string(ivr.PortRecorded), string(ivr.PortSilent), portFailed, portHungUp}
}

// Check prepares the prompt.
func (e *Record) Check(c *Checker) { e.Prompt.check(c, "prompt") }

func (e *Record) call() bool { return true }

// Arrive begins.
func (e *Record) Arrive(x *Passage) Outcome {
	if !x.Run.live() {
		return Take(portHungUp)
	}
	p, err := e.Prompt.prompt(x)
	if err != nil {
		return x.unrendered(err)
	}
	if p != nil {
		p.Barge = e.BargeIn
	}
	r := &ivr.Record{Beep: e.Beep, Max: e.Max, Silence: e.Silence, Finish: e.Finish}
	if e.Finish == "none" {
		r.Finish = ""
	}
	return x.onCall(ivr.Task{Kind: ivr.KindRecord, Prompt: p, Record: r})
}

// Resume goes on with the recording or without.
func (e *Record) Resume(_ *Passage, c Cause) Outcome { return through(c) }
