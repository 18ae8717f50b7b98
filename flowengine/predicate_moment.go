package flowengine

import (
	"strings"
	"time"

	"trunkline/configs/strict"
)

// dayOf is the calendar day that t shows, in days since 1970-01-01.
func dayOf(t time.Time) int64 { return DateValue(t).Num }

// civil takes a day apart.
func civil(day int64) (int, time.Month, int) { return time.Unix(day*86400, 0).UTC().Date() }

func dayAt(y int, m time.Month, d int) int64 {
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// localDay is the day of a Date, or of a DateTime in the zone.
func localDay(v Value, at *View) int64 {
	if v.Type == Date {
		return v.Num
	}
	return dayOf(time.UnixMilli(v.Num).In(at.zone()))
}

// instantOf is a DateTime in milliseconds; a Date is the beginning of the day.
func instantOf(v Value, at *View) int64 {
	if v.Type == DateTime {
		return v.Num
	}
	y, m, d := civil(v.Num)
	return localInstant(y, m, d, time.Time{}, at.zone()).UnixMilli()
}

// over says that v is past or now: a day up to today, an instant up to Now.
func over(v Value, at *View) bool {
	if v.Type == Date {
		return v.Num <= at.today()
	}
	return v.Num <= at.Now.UnixMilli()
}

// ahead says that v is now or to come.
func ahead(v Value, at *View) bool {
	if v.Type == Date {
		return v.Num >= at.today()
	}
	return v.Num >= at.Now.UnixMilli()
}

// momentTest compares with a fixed day or instant. A day is compared with the
// local day of an instant; an instant and a local time with the instant.
func momentTest(r relation) func(*leafCompiler) test {
	return func(c *leafCompiler) test {
		if c.anniversary {
			return c.anniversaryTest(r)
		}
		if day, err := c.value.to(Date); err == nil && day.Type == Date {
			return func(v Value, at *View) bool { return r.holds(compareInts(localDay(v, at), day.Num)) }
		}
		if c.typ == Date {
			c.coerce(&c.value, Date) // reports
			return nil
		}
		moment, err := ParseMoment(c.value.text)
		if err != nil || moment.form == timeOfDay || c.value.kind != strict.String {
			c.errorAt("value", "%q is neither a day nor a time: 2026-12-24, 2026-12-24 09:00 or 2026-12-24T09:00:00+01:00 is expected", shorten(c.value.text))
			return nil
		}
		return func(v Value, at *View) bool {
			want := moment.After(at.Now, at.zone())
			if v.Type == Date {
				return r.holds(compareInts(v.Num, dayOf(want.In(at.zone()))))
			}
			return r.holds(compareInts(v.Num, want.UnixMilli()))
		}
	}
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// anniversaryTest compares month and day alone.
func (c *leafCompiler) anniversaryTest(r relation) test {
	literal := c.value
	if len(literal.text) == len("12-31") && literal.kind == strict.String {
		literal.text = "2000-" + literal.text // a leap year, so that 02-29 is a day
		literal.plain = literal.text
	}
	day, err := literal.to(Date)
	if err != nil || day.Type != Date {
		c.errorAt("value", "%q is not a day: 1990-12-31 or 12-31 is expected", shorten(c.value.text))
		return nil
	}
	want := monthDay(day.Num)
	return func(v Value, at *View) bool { return r.holds(compareInts(monthDay(localDay(v, at)), want)) }
}

// monthDay orders days within a year.
func monthDay(day int64) int64 {
	_, m, d := civil(day)
	return int64(m)*100 + int64(d)
}

// relative is how a date stands to today.
type relative uint8

const (
	isToday relative = iota
	wasToday
	willBeIn
	willBeWithin
	willBeMoreThan
	was
	wasWithin
	wasMoreThan
)

// maxRelativeDays bounds the operand of relative operators: 100 years.
const maxRelativeDays = 36_525

// maxAnniversaryDays is how far away an anniversary can be, in either direction.
const maxAnniversaryDays = 365

func relativeTest(r relative) func(*leafCompiler) test {
	return func(c *leafCompiler) test {
		var days int64
		var precise time.Duration
		if r != isToday && r != wasToday {
			var ok bool
			if days, precise, ok = c.stretch(r); !ok {
				return nil
			}
		}
		c.turn = &turn{r, days, precise, c.anniversary, c.mar1}
		switch {
		case c.anniversary:
			mar1 := c.mar1
			return func(v Value, at *View) bool { return r.anniversary(localDay(v, at), at.today(), days, mar1) }
		case precise > 0:
			return func(v Value, at *View) bool {
				return r.precisely(instantOf(v, at), at.Now.UnixMilli(), precise.Milliseconds())
			}
		}
		return func(v Value, at *View) bool { return r.holds(v, at, days) }
	}
}

// holds counts calendar days in the zone, today included; what was is not yet to
// come, and the other way round, to the instant.
func (r relative) holds(v Value, at *View, days int64) bool {
	diff := localDay(v, at) - at.today()
	switch r {
	case isToday:
		return diff == 0
	case wasToday:
		return diff == 0 && over(v, at)
	case willBeIn:
		return diff == days && ahead(v, at)
	case willBeWithin:
		return diff <= days && ahead(v, at)
	case willBeMoreThan:
		return diff > days
	case was:
		return diff == -days && over(v, at)
	case wasWithin:
		return diff >= -days && over(v, at)
	case wasMoreThan:
		return diff < -days
	}
	return false
}

// precisely compares instants; all are in milliseconds.
func (r relative) precisely(v, now, span int64) bool {
	switch r {
	case willBeWithin:
		return now <= v && v <= now+span
	case willBeMoreThan:
		return v > now+span
	case wasWithin:
		return now-span <= v && v <= now
	case wasMoreThan:
		return v < now-span
	}
	return false
}

// anniversary looks at the days on which the month and day of a date return
// (rule E11).
func (r relative) anniversary(date, today, days int64, mar1 bool) bool {
	_, month, day := civil(date)
	year, _, _ := civil(today)
	in := func(year int) int64 { return anniversaryIn(year, month, day, mar1) }
	next, last := in(year), in(year)
	if next < today {
		next = in(year + 1)
	}
	if last > today {
		last = in(year - 1)
	}
	switch r {
	case isToday, wasToday:
		return next == today
	case willBeIn:
		return returnsOn(today+days, month, day, mar1)
	case willBeWithin:
		return next-today <= days
	case willBeMoreThan:
		return next-today > days
	case was:
		return returnsOn(today-days, month, day, mar1)
	case wasWithin:
		return today-last <= days
	case wasMoreThan:
		return today-last > days
	}
	return false
}

func returnsOn(on int64, month time.Month, day int, mar1 bool) bool {
	year, _, _ := civil(on)
	return anniversaryIn(year, month, day, mar1) == on
}

// anniversaryIn is the day of a year on which a month and day return. Of 29
// February that is 28 February in common years, or 1 March.
func anniversaryIn(year int, month time.Month, day int, mar1 bool) int64 {
	if month == time.February && day == 29 && !mar1 && !leapYear(year) {
		day = 28
	}
	return dayAt(year, month, day) // 29 February of a common year is 1 March
}

func leapYear(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// stretch reads the operand of relative operators: 3 and 3d are calendar days;
// 36h is a time to the instant, which only dates with a time can be compared with.
func (c *leafCompiler) stretch(r relative) (days int64, precise time.Duration, ok bool) {
	text := c.value.text
	if v, err := c.value.to(Whole); err == nil && v.Type == Whole {
		days = v.Num
	} else if d, err := strict.ParseDuration(text); err != nil {
		c.errorAt("value", "%q is not a number of days: 7 or 7d is expected", shorten(text))
		return 0, 0, false
	} else if strings.ContainsAny(text, "hmsnuµμ") || d%(24*time.Hour) != 0 {
		if c.typ == Date || c.anniversary || r == willBeIn || r == was {
			c.errorAt("value", "%q is not a number of days: whole days are counted here, such as 7d", shorten(text))
			return 0, 0, false
		}
		precise, days = d, int64(d/(24*time.Hour))
	} else {
		days = int64(d / (24 * time.Hour))
	}
	limit := int64(maxRelativeDays)
	if c.anniversary {
		limit = maxAnniversaryDays
	}
	switch {
	case days < 0 || days > maxRelativeDays:
		c.errorAt("value", "%s days are out of range: between 0 and %d", shorten(text), maxRelativeDays)
		return 0, 0, false
	case days > limit:
		c.errorAt("value", "no anniversary is %s days away; with `anniversary: false` the date itself is meant", shorten(text))
		return 0, 0, false
	}
	return days, precise, true
}
