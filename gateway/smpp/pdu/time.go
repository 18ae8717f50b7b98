package pdu

import (
	"fmt"
	"time"
)

const timeSize = 17 // with NUL, SMPP 3.4 §7.1.1

// ParseTime reads a time in the format YYMMDDhhmmsstnnp (SMPP 3.4 §7.1.1) of 16
// octets without NUL. An absolute one ends in nn quarter hours ahead (p is +) or
// behind (p is -) UTC; it is returned in UTC, YY being a year from 2000. A relative
// one ends in 000R; its years, months, days and so on are added to now, and
// relative is true. An empty b is the zero time: the field was left out.
//
// The error says what is wrong but not in which field: wrap it with that
// field's status.
func ParseTime(b []byte, now time.Time) (t time.Time, relative bool, err error) {
	if len(b) == 0 {
		return time.Time{}, false, nil
	}
	if len(b) != timeSize-1 {
		return time.Time{}, false, fmt.Errorf("time %q has %d octets, not 16 as YYMMDDhhmmsstnnp has", b, len(b))
	}
	for i, c := range b[:15] {
		if c < '0' || c > '9' {
			return time.Time{}, false, fmt.Errorf("time %q has %q at position %d, where YYMMDDhhmmsstnnp has a digit", b, c, i)
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	year, month, day := two(0), two(2), two(4)
	hour, minute, second := two(6), two(8), two(10)
	tenth, quarters := int(b[12]-'0'), two(13)

	switch b[15] {
	case 'R': // §7.1.1.2
		if tenth != 0 || quarters != 0 {
			return time.Time{}, false, fmt.Errorf("relative time %q does not end in 000R", b)
		}
		// Any two digits say how long: 48 hours are as clear as 2 days.
		clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
		return now.AddDate(year, month, day).Add(clock), true, nil
	case '+', '-': // §7.1.1.1
	default:
		return time.Time{}, false, fmt.Errorf("time %q ends in %q, not in +, - or R", b, b[15])
	}
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || quarters > 48 {
		return time.Time{}, false, fmt.Errorf("time %q is outside the calendar", b)
	}
	t = time.Date(2000+year, time.Month(month), day, hour, minute, second, tenth*1e8, time.UTC)
	if t.Day() != day {
		return time.Time{}, false, fmt.Errorf("time %q names a day that its month does not have", b)
	}
	ahead := time.Duration(quarters) * 15 * time.Minute
	if b[15] == '-' {
		ahead = -ahead
	}
	return t.Add(-ahead), false, nil
}

// AppendTime writes t as an absolute time of 16 octets, cut to tenths of a
// second, with t's offset from UTC where quarter hours up to 12 hours can say it
// and in UTC where not. It fails outside the years 2000–2099.
func AppendTime(dst []byte, t time.Time) ([]byte, error) {
	_, offset := t.Zone()
	if offset%900 != 0 || offset > 12*3600 || offset < -12*3600 {
		t, offset = t.UTC(), 0
	}
	if y := t.Year(); y < 2000 || y > 2099 {
		return dst, fmt.Errorf("time %s is outside the years 2000–2099 that SMPP can say", t.Format(time.RFC3339))
	}
	dst = appendTwo(dst, t.Year()-2000, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second())
	dst = append(dst, '0'+byte(t.Nanosecond()/1e8))
	if offset < 0 {
		return append(appendTwo(dst, -offset/900), '-'), nil
	}
	return append(appendTwo(dst, offset/900), '+'), nil
}

// maxRelative is what fits without months, whose length depends on the day
// from which the peer counts.
const maxRelative = 32*24*time.Hour - time.Second

// AppendRelative writes d as a relative time of 16 octets, rounded up to
// seconds. It fails for a negative d and one of 32 days or more: say that as
// an absolute time.
func AppendRelative(dst []byte, d time.Duration) ([]byte, error) {
	if d < 0 || d > maxRelative {
		return dst, fmt.Errorf("relative time %s is not between 0 and %s; use an absolute time", d, maxRelative)
	}
	s := int((d + time.Second - 1) / time.Second)
	dst = appendTwo(dst, 0, 0, s/86400, s/3600%24, s/60%60, s%60)
	return append(dst, "000R"...), nil
}

// appendTwo writes numbers below 100 with two digits each.
func appendTwo(dst []byte, ns ...int) []byte {
	for _, n := range ns {
		dst = append(dst, '0'+byte(n/10), '0'+byte(n%10))
	}
	return dst
}
