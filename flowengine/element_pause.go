package flowengine

import "time"

// Pause lets time pass: a stretch of it, or until a time of day or an instant.
type Pause struct {
	For   time.Duration `yaml:"for" min:"1s" max:"365d" doc:"How long to wait."`
	Until Moment        `yaml:"until" doc:"When to go on: 09:00 (the next time it is so late in the flow's time zone), 2026-12-24 09:00 (local), or an instant with its offset."`
}

// Ports lists the outcomes of the element.
func (e *Pause) Ports() []string { return []string{portDone} }

const portDone = "done"

// Check wants one of the two options.
func (e *Pause) Check(c *Checker) {
	switch {
	case e.For == 0 && e.Until.IsZero():
		c.Errorf("a pause needs `for` (such as 2h) or `until` (such as 09:00)")
	case e.For != 0 && !e.Until.IsZero():
		c.Errorf("a pause has either `for` or `until`, not both")
	}
}

// Arrive computes the end of the pause once and for all (rule X4).
func (e *Pause) Arrive(x *Passage) Outcome {
	end := x.Now.Add(e.For)
	if e.For == 0 {
		end = e.Until.After(x.Now, x.Version.Settings.zone())
	}
	if !end.After(x.Now) {
		return Take(portDone)
	}
	return WaitUntil(end)
}

// Resume goes on when the time has come.
func (e *Pause) Resume(_ *Passage, _ Cause) Outcome { return Take(portDone) }
