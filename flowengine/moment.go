package flowengine

import (
	"fmt"
	"time"
)

// Moment is a point in time as flow files write it: a time of day, a local date
// and time, or an instant. The zero Moment is none.
type Moment struct {
	text  string
	form  momentForm
	clock time.Time // its fields, in UTC; for an instant, the instant
}

type momentForm uint8

const (
	noMoment momentForm = iota
	timeOfDay
	localTime
	instant
)

// ParseMoment reads 09:00, 2026-12-24 09:00, 2026-12-24T09:00 or an instant of RFC 3339.
func ParseMoment(s string) (Moment, error) {
	for _, f := range []struct {
		layout string
		form   momentForm
	}{
		{"15:04", timeOfDay}, {"2006-01-02 15:04", localTime}, {"2006-01-02T15:04", localTime},
		{"2006-01-02T15:04:05", localTime}, {time.RFC3339, instant},
	} {
		if t, err := time.Parse(f.layout, s); err == nil {
			return Moment{s, f.form, t}, nil
		}
	}
	return Moment{}, fmt.Errorf("%q is not a time: 09:00, 2026-12-24 09:00 or 2026-12-24T09:00:00+01:00 is expected", s)
}

// IsZero reports that no moment is meant.
func (m Moment) IsZero() bool { return m.form == noMoment }

// String gives the moment as it was written.
func (m Moment) String() string { return m.text }

// After is the moment in a zone; a time of day is the next one after now.
func (m Moment) After(now time.Time, zone *time.Location) time.Time {
	switch m.form {
	case timeOfDay:
		y, mon, d := now.In(zone).Date()
		for day := d; ; day++ {
			if t := localInstant(y, mon, day, m.clock, zone); t.After(now) {
				return t
			}
		}
	case localTime:
		y, mon, d := m.clock.Date()
		return localInstant(y, mon, d, m.clock, zone)
	case instant:
		return m.clock
	}
	return time.Time{}
}

// localInstant is when a clock in zone shows the time of day of clock on a day.
// A time that the change to summer time skips becomes the first one after the
// gap; of a time that the change back repeats, the first one is meant (rule S8).
func localInstant(y int, mon time.Month, d int, clock time.Time, zone *time.Location) time.Time {
	h, m, s := clock.Clock()
	t := time.Date(y, mon, d, h, m, s, 0, zone)
	if gh, gm, gs := t.Clock(); gh != h || gm != m || gs != s { // skipped
		start, end := t.ZoneBounds()
		if before := t.Add(-24 * time.Hour); start.After(before) {
			return start
		}
		return end
	}
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return t
	}
	_, offset := t.Zone()
	_, earlier := start.Add(-time.Second).Zone()
	if first := t.Add(time.Duration(offset-earlier) * time.Second); earlier > offset && first.Before(start) {
		return first
	}
	return t
}
