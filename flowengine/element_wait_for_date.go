package flowengine

import "time"

const portPassed = "passed"

// WaitForDate waits for a day that an expression tells, such as an appointment.
type WaitForDate struct {
	Date   string        `yaml:"date" required:"true" doc:"The day or moment: ${…} over person, inbound, event and vars, or a date such as 2026-12-24."`
	Before time.Duration `yaml:"before" min:"1m" max:"365d" doc:"Go on so long before it."`
	After  time.Duration `yaml:"after" min:"1m" max:"365d" doc:"Go on so long after it."`
	At     Moment        `yaml:"at" doc:"Time of the day to go on, such as 09:00, in the flow's time zone. Default: the moment itself, or the beginning of the day."`

	computed *Expression
	fixed    Value
}

// Ports lists the outcomes of the element.
func (e *WaitForDate) Ports() []string { return []string{portDone, portPassed, portInvalid} }

// Check prepares the date.
func (e *WaitForDate) Check(c *Checker) {
	if e.Before > 0 && e.After > 0 {
		c.ErrorfAt([]any{"after"}, "say either `before` or `after`")
	}
	if !e.At.IsZero() && e.At.form != timeOfDay {
		c.ErrorfAt([]any{"at"}, "a time of day is expected, such as 09:00")
	}
	source, isExpression, _ := expressionIn(e.Date)
	if isExpression {
		e.computed = c.Expression(source, "date")
		return
	}
	v, err := coerceMoment(e.Date)
	if err != nil {
		c.ErrorfAt([]any{"date"}, "%v", err)
	}
	e.fixed = v
}

// coerceMoment takes an instant, or a day.
func coerceMoment(given any) (Value, error) {
	if s, ok := given.(string); ok && len(s) <= len(time.DateOnly) {
		return Coerce(s, Date)
	}
	return Coerce(given, DateTime)
}

// Arrive computes when to go on, once and for all (rule X4).
func (e *WaitForDate) Arrive(x *Passage) Outcome {
	v := e.fixed
	if e.computed != nil {
		given, err := e.computed.Value(x)
		if err != nil || given == nil {
			return Take(portInvalid)
		}
		if v, err = coerceMoment(given); err != nil {
			return Take(portInvalid)
		}
	}
	end := e.end(v, x.Version.Settings.zone())
	if !end.After(x.Now) {
		return Take(portPassed)
	}
	return WaitUntil(end)
}

// end is the moment to go on for a day or an instant.
func (e *WaitForDate) end(v Value, zone *time.Location) time.Time {
	var t time.Time
	if v.Type == Date {
		day := time.Unix(v.Num*86400, 0).UTC()
		t = localInstant(day.Year(), day.Month(), day.Day(), time.Time{}, zone)
	} else {
		t = time.UnixMilli(v.Num).In(zone)
	}
	t = t.Add(e.After - e.Before)
	if e.At.IsZero() {
		return t
	}
	y, m, d := t.In(zone).Date()
	return localInstant(y, m, d, e.At.clock, zone)
}

// Resume goes on when the time has come.
func (e *WaitForDate) Resume(_ *Passage, _ Cause) Outcome { return Take(portDone) }
