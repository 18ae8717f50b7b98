package flowengine

import (
	"slices"
	"time"
)

// Window is the part of the week in which messages may go out (rule X11), in the
// person's time zone where it is known (attribute timezone), else in the flow's.
type Window struct {
	Days []string `yaml:"days" max:"7" doc:"Days of the week: mon, tue, wed, thu, fri, sat, sun. Default: all."`
	From Moment   `yaml:"from" doc:"Time of day from which on, such as 09:00. Goes with to."`
	To   Moment   `yaml:"to" doc:"Time of day until which, such as 20:00; at least an hour after from, or on the next day."`

	days [7]bool // by time.Weekday
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (w *Window) check(c *Checker, path ...any) {
	w.days = c.daysOfWeek(w.Days, path...)
	switch {
	case w.From.IsZero() != w.To.IsZero():
		c.ErrorfAt(path, "`from` and `to` go together")
	case w.From.IsZero() && len(w.Days) == 0:
		c.ErrorfAt(path, "say `days`, or `from` and `to`")
	case w.From.IsZero():
	case w.From.form != timeOfDay || w.To.form != timeOfDay:
		c.ErrorfAt(path, "times of day are expected, such as 09:00")
	case w.length() < time.Hour:
		c.ErrorfAt(path, "the window is open for less than an hour")
	}
}

// daysOfWeek reads days of the week; none are all of them. Path leads to the
// element's options.
func (c *Checker) daysOfWeek(names []string, path ...any) (days [7]bool) {
	for i, d := range names {
		n := slices.Index(weekdays, d)
		if n < 0 {
			c.ErrorfAt(append(path[:len(path):len(path)], "days", i), "%q is not a day of the week: mon, tue, wed, thu, fri, sat and sun are expected%s", d, didYouMean(d, weekdays))
			continue
		}
		days[n] = true
	}
	if len(names) == 0 {
		return [7]bool{true, true, true, true, true, true, true}
	}
	return days
}

// length is how long the window is open on one day; it may reach into the next.
func (w *Window) length() time.Duration {
	if w.From.IsZero() {
		return 24 * time.Hour
	}
	d := w.To.clock.Sub(w.From.clock)
	if d <= 0 {
		d += 24 * time.Hour
	}
	return d
}

// opening is now when the window is open, and else when it opens next.
func (w *Window) opening(now time.Time, zone *time.Location) time.Time {
	local := now.In(zone)
	y, m, d := local.Date()
	for day := d - 1; ; day++ { // the window of yesterday may reach into today
		if !w.days[time.Date(y, m, day, 12, 0, 0, 0, zone).Weekday()] {
			continue
		}
		opens := localInstant(y, m, day, w.From.clock, zone)
		if !opens.Add(w.length()).After(now) {
			continue
		}
		if opens.Before(now) {
			return now
		}
		return opens
	}
}
