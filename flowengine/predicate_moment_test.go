package flowengine

import (
	"testing"
	"time"
)

// E11: who was born on 29 February has the birthday on 28 February in common
// years, or on 1 March.
func TestPredicateBirthday(t *testing.T) {
	for _, tc := range []struct {
		born, today, condition string
		want                   bool
	}{
		{"1992-02-29", "2024-02-29", `op: is_today`, true},
		{"1992-02-29", "2024-02-28", `op: is_today`, false},
		{"1992-02-29", "2024-03-01", `op: is_today, leap: mar1`, false},
		{"1992-02-29", "2023-02-28", `op: is_today`, true},
		{"1992-02-29", "2023-03-01", `op: is_today`, false},
		{"1992-02-29", "2023-02-28", `op: is_today, leap: feb28`, true},
		{"1992-02-29", "2023-02-28", `op: is_today, leap: mar1`, false},
		{"1992-02-29", "2023-03-01", `op: is_today, leap: mar1`, true},
		{"1992-02-29", "2024-02-29", `op: is_today, leap: mar1`, true},
		{"1992-02-29", "2100-02-28", `op: is_today`, true}, // no leap year
		{"1992-02-29", "2000-02-29", `op: is_today`, true}, // a leap year
		{"1992-02-28", "2024-02-28", `op: is_today`, true},
		{"1992-03-01", "2023-02-28", `op: is_today`, false},

		// Over the end of the year.
		{"1990-01-02", "2025-12-31", `op: will_be_in, value: 2`, true},
		{"1990-01-02", "2025-12-31", `op: will_be_in, value: 3`, false},
		{"1990-01-02", "2025-12-31", `op: will_be_within, value: 2`, true},
		{"1990-01-02", "2025-12-31", `op: will_be_within, value: 1`, false},
		{"1990-01-02", "2025-12-31", `op: will_be_more_than, value: 1`, true},
		{"1990-12-31", "2026-01-02", `op: was, value: 2`, true},
		{"1990-12-31", "2026-01-02", `op: was_within, value: 2`, true},
		{"1990-12-31", "2026-01-02", `op: was_within, value: 1`, false},
		{"1990-12-31", "2026-01-02", `op: was_more_than, value: 1`, true},
		{"1992-02-29", "2023-02-27", `op: will_be_in, value: 1`, true},
		{"1992-02-29", "2023-02-27", `op: will_be_in, value: 2, leap: mar1`, true},
		{"1992-02-29", "2023-03-01", `op: was, value: 1`, true},
		{"1992-02-29", "2024-03-01", `op: was, value: 1`, true},
		{"1992-02-29", "2024-02-27", `op: will_be_within, value: 1`, false},

		// The day itself, on demand: eighteen years old since yesterday.
		{"2008-05-03", "2026-05-04", `op: is_today, anniversary: false`, false},
		{"2026-05-04", "2026-05-04", `op: is_today, anniversary: false`, true},
		{"2008-05-03", "2026-05-04", `op: was_more_than, value: 6574, anniversary: false`, true},
		{"2008-05-04", "2026-05-04", `op: was_more_than, value: 6574, anniversary: false`, false},
		{"1992-02-29", "2026-05-04", `op: is, value: "02-29", anniversary: true`, true},
	} {
		today, err := time.Parse(time.DateOnly, tc.today)
		if err != nil {
			t.Fatal(err)
		}
		v := View{Person: personWith(t, map[string]any{"birthDate": tc.born}), Now: today.Add(9 * time.Hour)}
		if got := mustPredicate(t, "{attr: birthDate, "+tc.condition+"}").Eval(&v); got != tc.want {
			t.Errorf("born %s, today %s, %s: %v", tc.born, tc.today, tc.condition, got)
		}
	}
}

// Days begin and end in the zone, also when they have 23 or 25 hours (S8).
func TestPredicateZones(t *testing.T) {
	at := func(s string) time.Time {
		got, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, tc := range []struct {
		zone, now, visit, condition string
		want                        bool
	}{
		// Half past eleven in the evening in Zagreb is the day before in New York.
		{"Europe/Zagreb", "2026-05-04T21:30:00Z", "2026-05-04T01:00:00Z", `op: is_today`, true},
		{"Europe/Zagreb", "2026-05-04T22:30:00Z", "2026-05-04T01:00:00Z", `op: is_today`, false},
		{"America/New_York", "2026-05-04T21:30:00Z", "2026-05-04T01:00:00Z", `op: is_today`, false},
		{"America/New_York", "2026-05-04T21:30:00Z", "2026-05-04T01:00:00Z", `op: was, value: 1`, true},
		{"Pacific/Kiritimati", "2026-05-04T10:00:00Z", "2026-05-04T09:59:00Z", `op: is, value: 2026-05-04`, true},
		{"Pacific/Kiritimati", "2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z", `op: is, value: 2026-05-05`, true},
		{"Asia/Kathmandu", "2026-05-04T18:14:00Z", "2026-05-03T18:15:00Z", `op: was_today`, true},
		{"Asia/Kathmandu", "2026-05-04T18:15:00Z", "2026-05-03T18:15:00Z", `op: was_today`, false},

		// 29 March 2026 has 23 hours in Zagreb, 25 October 25.
		{"Europe/Zagreb", "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z", `op: is_today`, true},
		{"Europe/Zagreb", "2026-03-29T22:00:00Z", "2026-03-28T23:00:00Z", `op: was, value: 1`, true},
		{"Europe/Zagreb", "2026-03-29T22:00:00Z", "2026-03-28T22:59:59Z", `op: was, value: 2`, true},
		{"Europe/Zagreb", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", `op: is_today`, true},
		{"Europe/Zagreb", "2026-10-25T23:00:00Z", "2026-10-24T22:00:00Z", `op: is_today`, false},
		{"Europe/Zagreb", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", `op: was_within, value: 24h`, false},
		{"Europe/Zagreb", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", `op: was_within, value: 25h`, true},
		{"Europe/Zagreb", "2026-10-26T12:00:00Z", "2026-10-19T22:00:00Z", `op: was_within, value: 7d`, true},
		{"Europe/Zagreb", "2026-10-26T12:00:00Z", "2026-10-18T21:59:59Z", `op: was_more_than, value: 7d`, true},

		// A local time that does not exist is the first one after the gap; one
		// that is there twice is the first.
		{"Europe/Zagreb", "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z", `op: is, value: "2026-03-29 02:30"`, true},
		{"Europe/Zagreb", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00Z", `op: is, value: "2026-10-25 02:30"`, true},
		{"Europe/Zagreb", "2026-10-25T12:00:00Z", "2026-10-25T01:30:00Z", `op: after, value: "2026-10-25 02:30"`, true},

		// What was is not to come.
		{"", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", `op: is_today`, true},
		{"", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", `op: was_today`, false},
		{"", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", `op: was_within, value: 7`, false},
		{"", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", `op: will_be_within, value: 1h`, true},
		{"", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", `op: will_be_within, value: 59m`, false},
		{"", "2026-05-04T10:00:00Z", "2026-05-06T11:00:00Z", `op: will_be_more_than, value: 49h`, false},
		{"", "2026-05-04T10:00:00Z", "2026-05-06T11:00:00Z", `op: will_be_more_than, value: 48h`, true},
		{"", "2026-05-04T10:00:00Z", "2026-05-06T11:00:00Z", `op: will_be_in, value: 2`, true},
		{"", "2026-05-04T10:00:00Z", "1990-05-04T23:00:00Z", `op: is_today, anniversary: true`, true},
		{"Europe/Zagreb", "2026-05-04T10:00:00Z", "1990-05-04T23:00:00Z", `op: will_be_in, value: 1, anniversary: true`, true},
	} {
		person := personWith(t, map[string]any{"lastVisit": at(tc.visit)})
		v := View{Person: person, Now: at(tc.now)}
		if tc.zone != "" {
			v.Zone = zoneNamed(t, tc.zone)
		}
		if got := mustPredicate(t, "{attr: lastVisit, "+tc.condition+"}").Eval(&v); got != tc.want {
			t.Errorf("%s in %s at %s, %s: %v", tc.visit, tc.zone, tc.now, tc.condition, got)
		}
	}
}

// A day in a variable is compared with instants in the zone.
func TestPredicateDayAndInstant(t *testing.T) {
	var vars Attrs
	vars.Set("day", DateValue(predicateNow))
	for source, want := range map[string]bool{
		`{var: day, op: is, value: "2026-05-04T23:30:00Z"}`:     false, // the 5th in Zagreb
		`{var: day, op: before, value: "2026-05-04T23:30:00Z"}`: true,
		`{var: day, op: is, value: "2026-05-04 23:30"}`:         true,
		`{var: day, op: was_within, value: 12h}`:                true, // since midnight
		`{var: day, op: was_within, value: 11h}`:                false,
	} {
		v := View{Person: new(Person), Now: predicateNow, Zone: zoneNamed(t, "Europe/Zagreb"), Vars: vars}
		if got := mustPredicate(t, source).Eval(&v); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}
