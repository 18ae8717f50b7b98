package flowengine

import "slices"

// Policy is what holds for the messages of all flows together: how many a
// person gets, when, and who is left out to compare with.
type Policy struct {
	Caps         []Cap       `yaml:"caps" max:"20" doc:"How many messages a person may get over all flows; all caps hold."`
	QuietHours   *QuietHours `yaml:"quiet_hours" doc:"When no marketing message goes out, unless its flow or the message itself says otherwise."`
	ControlGroup Share       `yaml:"control_group" doc:"Percentage of all persons who never enter flows that take part, so that goals can be compared with them."`
}

// Check reports what is wrong with the policy, beyond what its tags say. Paths
// lead from where the policy stands in its file.
func (p *Policy) Check(report func(path []any, message string)) {
	c := &Checker{report: func(path []any, _ bool, message string) { report(path, message) }}
	for i := range p.Caps {
		p.Caps[i].check(c, "caps", i)
	}
	if p.QuietHours != nil {
		p.QuietHours.check(c, "quiet_hours")
	}
	if p.ControlGroup >= wholeAudience {
		c.ErrorfAt([]any{"control_group"}, "nobody would enter any flow that takes part; a percentage below 100 is expected")
	}
}

// WithPolicy gives the set what holds for all flows together. It belongs to the
// making of a set and returns s; without it nothing is capped, no hour is quiet
// and nobody is held out. The policy was checked.
func (s *Set) WithPolicy(p *Policy) *Set {
	if p == nil {
		p = new(Policy)
	}
	s.policy = *p
	for _, refs := range s.events {
		s.byPriority(refs)
	}
	return s
}

// byPriority orders entry points to which one cause leads: when caps leave few
// places, flows with a higher priority take theirs first (rule X12).
func (s *Set) byPriority(refs []entryRef) {
	if len(s.policy.Caps) > 0 {
		slices.SortStableFunc(refs, func(a, b entryRef) int { return b.version.Settings.Priority - a.version.Settings.Priority })
	}
}

// QuietHours are when no marketing message goes out, in the person's time zone
// where it is known, else in the flow's.
type QuietHours struct {
	From Moment   `yaml:"from" doc:"Time of day from which on nothing goes out, such as 21:00. Goes with to."`
	To   Moment   `yaml:"to" doc:"Time of day from which on messages go out again, such as 08:00."`
	Days []string `yaml:"days" max:"6" doc:"Days of the week on which nothing goes out at all, such as sun."`
	Off  bool     `yaml:"off" doc:"No hours are quiet, whatever the configuration says for all flows."`

	window *Window // the rest of the week; nil: all of it
}

func (q *QuietHours) check(c *Checker, path ...any) {
	q.window = nil
	given := !q.From.IsZero() || !q.To.IsZero() || len(q.Days) > 0
	switch {
	case q.Off && given:
		c.ErrorfAt(path, "say either `off` or when it is quiet")
	case !q.Off && !given:
		c.ErrorfAt(path, "say `from` and `to`, or `days`")
	}
	if !given || q.Off {
		return
	}
	w := &Window{From: q.To, To: q.From}
	if !q.From.IsZero() && q.From.text == q.To.text {
		c.ErrorfAt(path, "`from` and `to` are the same; say `days` for whole days")
	}
	if len(q.Days) > 0 && q.From.clock.Before(q.To.clock) { // the rest of the week would reach into quiet days
		c.ErrorfAt(path, "with `days`, the quiet hours must reach over midnight, such as from 21:00 to 08:00")
	}
	for _, d := range q.Days {
		if !slices.Contains(weekdays, d) {
			c.ErrorfAt(append(path[:len(path):len(path)], "days"), "%q is not a day of the week: mon, tue, wed, thu, fri, sat and sun are expected%s", d, didYouMean(d, weekdays))
		}
	}
	for _, d := range weekdays {
		if !slices.Contains(q.Days, d) {
			w.Days = append(w.Days, d)
		}
	}
	if len(w.Days) == 0 {
		c.ErrorfAt(path, "every day is quiet; nothing would ever go out")
		return
	}
	w.check(c, path...)
	q.window = w
}

// quiet is when a marketing message may go out that has no window of its own;
// nil: always.
func (x *Passage) quiet() *Window {
	switch {
	case x.Version.Settings.QuietHours != nil:
		return x.Version.Settings.QuietHours.window
	case x.Set.policy.QuietHours != nil:
		return x.Set.policy.QuietHours.window
	}
	return nil
}
