package flowengine

import (
	"strings"
	"time"
)

// Pause lets time pass: a stretch of it, or until a time of day, a day of the
// week or an instant. Times and days are those of the person's zone, where it is
// known (attribute timezone), else of the flow's.
type Pause struct {
	For   time.Duration `yaml:"for" min:"1s" max:"365d" doc:"How long to wait."`
	Until Moment        `yaml:"until" doc:"When to go on: 09:00 (the next time it is so late where the person is), 2026-12-24 09:00 (local), or an instant with its offset."`
	Days  []string      `yaml:"days" max:"7" doc:"Days of the week on which to go on: mon, tue, wed, thu, fri, sat, sun; at the time of day of until, or as soon as the day begins."`

	days [7]bool // by time.Weekday
}

// Ports lists the outcomes of the element.
func (e *Pause) Ports() []string { return []string{portDone} }

const portDone = "done"

// Check wants one of the options.
func (e *Pause) Check(c *Checker) {
	e.days = c.daysOfWeek(e.Days)
	switch {
	case e.For == 0 && e.Until.IsZero() && len(e.Days) == 0:
		c.Errorf("a pause needs `for` (such as 2h), `until` (such as 09:00) or `days` (such as [mon])")
	case e.For != 0 && (!e.Until.IsZero() || len(e.Days) > 0):
		c.Errorf("a pause has either `for`, or `until` and `days`, not both")
	case len(e.Days) > 0 && !e.Until.IsZero() && e.Until.form != timeOfDay:
		c.ErrorfAt([]any{"until"}, "with `days` a time of day is expected, such as 09:00")
	}
}

// Arrive computes the end of the pause once and for all (rule X4).
func (e *Pause) Arrive(x *Passage) Outcome {
	end := e.end(x)
	if !end.After(x.Now) {
		return Take(portDone)
	}
	return WaitUntil(end)
}

func (e *Pause) end(x *Passage) time.Time {
	switch {
	case e.For != 0:
		return x.Now.Add(e.For)
	case len(e.Days) == 0:
		return e.Until.After(x.Now, x.zone())
	}
	zone := x.zone()
	y, m, d := x.Now.In(zone).Date()
	for day := d; ; day++ {
		if !e.days[time.Date(y, m, day, 12, 0, 0, 0, zone).Weekday()] {
			continue
		}
		if t := localInstant(y, m, day, e.Until.clock, zone); t.After(x.Now) {
			return t
		}
	}
}

// Resume goes on when the time has come.
func (e *Pause) Resume(_ *Passage, _ Cause) Outcome { return Take(portDone) }

// pauseWords says how long a pause is.
func pauseWords(e *Pause) string {
	if e.For > 0 {
		return "for " + span(e.For)
	}
	words := "until"
	if len(e.Days) > 0 {
		words += " " + strings.Join(e.Days, " or ")
	}
	return strings.TrimSpace(words + " " + e.Until.String())
}
