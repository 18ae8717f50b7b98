package flowengine

import (
	"slices"
	"time"

	"trunkline/keyword"
)

const (
	portTimeout = "timeout"
	portNoMatch = "no_match"
)

// EvaluateInboundMessage waits for a message from the person and branches by
// what it says. Without a target for `no_match`, a message that no branch wants
// is not consumed and the wait goes on (rule R1).
type EvaluateInboundMessage struct {
	Timeout  time.Duration  `yaml:"timeout" min:"1s" max:"365d" doc:"How long to wait, from the moment that the question before it was accepted by the carrier. Default: for ever."`
	Number   string         `yaml:"number" doc:"Number that the answer is sent to. Default: the sender of the question, and the number that the person wrote to; for e-mail where the person has not written any, every address of ours."`
	Channel  string         `yaml:"channel" enum:"sms,email" default:"sms" doc:"Channel of the answer."`
	Branches []AnswerBranch `yaml:"branches" required:"true" doc:"Tried from top to bottom; the first that matches wins."`

	number   string
	asked    []string // senders of the questions that lead here
	patterns []keyword.Pattern
	branch   []int // patterns[i] belongs to Branches[branch[i]]
}

// AnswerBranch is one way on after an answer.
type AnswerBranch struct {
	Match          Keywords `yaml:"match" required:"true" doc:"A keyword, a list of keywords, or any."`
	Mode           string   `yaml:"mode" enum:"whole,first_word" default:"whole" doc:"whole: the message is the keyword. first_word: it begins with the keyword."`
	FoldDiacritics bool     `yaml:"fold_diacritics" doc:"Let c match č and ć."`
	Next           string   `yaml:"next" doc:"Element to go on with; none ends the run."`
}

// Ports lists the outcomes of the element besides its branches.
func (e *EvaluateInboundMessage) Ports() []string { return []string{portTimeout, portNoMatch} }

// Check prepares the branches.
func (e *EvaluateInboundMessage) Check(c *Checker) {
	if n := len(e.Branches); n < 1 || n > maxBranches {
		c.ErrorfAt([]any{"branches"}, "there are between 1 and %d branches, not %d", maxBranches, n)
		return
	}
	if e.Number != "" {
		e.number = c.Number(e.Channel, e.Number, "number")
	}
	for i, b := range e.Branches {
		for _, p := range c.Patterns(b.Match, b.Mode, b.FoldDiacritics, "branches", i, "match") {
			e.patterns = append(e.patterns, p)
			e.branch = append(e.branch, i)
		}
	}
	if e.Timeout > 0 && !c.leads(portTimeout) {
		c.WarnfAt([]any{"timeout"}, "nothing follows the timeout: the run ends there; name an element in `on: {timeout: …}` to go on")
	}
}

func (e *EvaluateInboundMessage) branches() []string {
	next := make([]string, len(e.Branches))
	for i, b := range e.Branches {
		next[i] = b.Next
	}
	return next
}

// hears says whether the run waits for messages on the number and channel that
// in came over. Without a configured number, these are the sender of the
// question and the number that the person last wrote to.
func (e *EvaluateInboundMessage) hears(run *Run, in *Inbound) bool {
	if in.Channel != e.Channel {
		return false
	}
	if e.number != "" {
		return in.To == e.number
	}
	if e.Channel == channelEmail && (run.Inbound == nil || run.Inbound.Channel != channelEmail) {
		return true // the flow did not begin by mail: any address of ours will do
	}
	return slices.Contains(e.asked, in.To) || run.Inbound != nil && run.Inbound.To == in.To
}

// Arrive begins the wait (rule X4).
func (e *EvaluateInboundMessage) Arrive(x *Passage) Outcome {
	if e.Timeout == 0 {
		return WaitUntil(time.Time{})
	}
	return WaitUntil(x.Now.Add(e.Timeout))
}

// Resume goes on with the answer or without one.
func (e *EvaluateInboundMessage) Resume(_ *Passage, c Cause) Outcome {
	a, ok := c.(*answered)
	switch {
	case !ok:
		return Take(portTimeout)
	case a.branch < 0:
		return Take(portNoMatch)
	}
	i := e.branch[a.branch]
	return Branch(branchPort(i), e.Branches[i].Next)
}
