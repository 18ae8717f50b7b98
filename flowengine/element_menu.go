package flowengine

import (
	"regexp"
	"slices"

	"trunkline/ivr"
)

// Menu lets the caller choose by a key, or by several.
type Menu struct {
	AskOptions `yaml:",inline"`
	Branches   []MenuBranch `yaml:"branches" required:"true" doc:"The choices."`
}

// MenuBranch is one choice.
type MenuBranch struct {
	Key  string `yaml:"key" required:"true" doc:"What is pressed: 1 to 8 of the keys 0–9, * and #, in quotes."`
	Next string `yaml:"next" doc:"Element to go on with; none ends the run."`
}

var menuKeys = regexp.MustCompile(`^[0-9*#]{1,8}$`)

// Ports lists the outcomes of the element besides its branches.
func (e *Menu) Ports() []string {
	return []string{portTimeout, portInvalid, portFailed, portHungUp}
}

// Check looks at the choices.
func (e *Menu) Check(c *Checker) {
	e.check(c)
	if n := len(e.Branches); n < 1 || n > ivr.MaxChoices {
		c.ErrorfAt([]any{"branches"}, "a menu has between 1 and %d branches, not %d", ivr.MaxChoices, n)
	}
	var keys []string
	for i, b := range e.Branches {
		switch at := []any{"branches", i, "key"}; {
		case b.Key == "":
		case !menuKeys.MatchString(b.Key):
			c.ErrorfAt(at, "%q can't be pressed: 1 to 8 of the keys 0–9, * and # are expected", b.Key)
		case slices.Contains(keys, b.Key):
			c.ErrorfAt(at, "%q is there twice", b.Key)
		}
		keys = append(keys, b.Key)
	}
}

func (e *Menu) branches() []string {
	next := make([]string, len(e.Branches))
	for i, b := range e.Branches {
		next[i] = b.Next
	}
	return next
}

func (e *Menu) call() bool { return true }

// Arrive asks.
func (e *Menu) Arrive(x *Passage) Outcome {
	want := &ivr.Collect{Choices: make([]string, len(e.Branches))}
	for i, b := range e.Branches {
		want.Choices[i] = b.Key
	}
	return e.ask(x, want)
}

// Resume takes the branch that was chosen.
func (e *Menu) Resume(_ *Passage, c Cause) Outcome {
	o, ok := c.(*CallOutcome)
	if !ok || o.Outcome.Port != ivr.PortDone {
		return through(c)
	}
	i := slices.IndexFunc(e.Branches, func(b MenuBranch) bool { return b.Key == o.Outcome.Digits })
	if i < 0 {
		return Take(portInvalid)
	}
	return Branch(branchPort(i), e.Branches[i].Next)
}
