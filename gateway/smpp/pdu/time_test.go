package pdu

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	at := func(y int, mo time.Month, d, h, mi, s, tenth int) time.Time {
		return time.Date(y, mo, d, h, mi, s, tenth*1e8, time.UTC)
	}
	cases := []struct {
		in       string
		want     time.Time
		relative bool
	}{
		{"", time.Time{}, false},
		{"260102030405600+", at(2026, 1, 2, 3, 4, 5, 6), false},
		{"260102030405608+", at(2026, 1, 2, 1, 4, 5, 6), false},
		{"260102030405630-", at(2026, 1, 2, 10, 34, 5, 6), false},
		{"260101000000048+", at(2025, 12, 31, 12, 0, 0, 0), false},
		{"240229235959900+", at(2024, 2, 29, 23, 59, 59, 9), false},
		{"991231235959900+", at(2099, 12, 31, 23, 59, 59, 9), false},
		{"000001000000000R", at(2026, 2, 1, 12, 0, 0, 0), true},
		{"000000000000000R", now, true},
		{"010203040506000R", at(2027, 4, 3, 16, 5, 6, 0), true}, // 2027-03-34 is 3 April
		{"000000480000000R", at(2026, 2, 2, 12, 0, 0, 0), true},
	}
	for _, c := range cases {
		got, relative, err := ParseTime([]byte(c.in), now)
		if err != nil || !got.Equal(c.want) || relative != c.relative {
			t.Errorf("%q: %v %v %v, want %v", c.in, got, relative, err, c.want)
		}
	}
	for _, in := range []string{
		"2", "26010203040560+", "260102030405600+0", "26010203040560 +", "260102030405600*", "260102030405600r",
		"260002030405600+", "261302030405600+", "260100030405600+", "260132030405600+", "260230030405600+",
		"250229030405600+", "260102240405600+", "260102036005600+", "260102030460600+", "260102030405649+",
		"000001000000001R", "000001000000100R", "-00001000000000R", "000001000000000\x00",
	} {
		if got, _, err := ParseTime([]byte(in), now); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}

func TestAppendTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	cases := []struct {
		t    time.Time
		want string
	}{
		{at, "260102030405600+"},
		{at.In(time.FixedZone("", 2*3600)), "260102050405608+"},
		{at.In(time.FixedZone("", -(3*3600 + 1800))), "260101233405614-"},
		{at.In(time.FixedZone("", 14*3600)), "260102030405600+"}, // more than 48 quarters
		{at.In(time.FixedZone("", 61)), "260102030405600+"},
	}
	for _, c := range cases {
		got, err := AppendTime([]byte("x"), c.t)
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%v: %q %v, want %q", c.t, got, err, c.want)
		}
	}
	for _, y := range []int{1999, 2100, -1} {
		if got, err := AppendTime([]byte("x"), time.Date(y, 6, 1, 0, 0, 0, 0, time.UTC)); err == nil || string(got) != "x" {
			t.Errorf("year %d: %q %v", y, got, err)
		}
	}
}

func TestAppendRelative(t *testing.T) {
	cases := []struct {
		d    time.Duration
		want string
	}{
		{0, "000000000000000R"},
		{time.Nanosecond, "000000000001000R"},
		{90 * time.Minute, "000000013000000R"},
		{48 * time.Hour, "000002000000000R"},
		{32*24*time.Hour - time.Second, "000031235959000R"},
	}
	for _, c := range cases {
		if got, err := AppendRelative(nil, c.d); err != nil || string(got) != c.want {
			t.Errorf("%v: %q %v, want %q", c.d, got, err, c.want)
		}
	}
	for _, d := range []time.Duration{-1, 32 * 24 * time.Hour} {
		if got, err := AppendRelative([]byte("x"), d); err == nil || string(got) != "x" {
			t.Errorf("%v: %q", d, got)
		}
	}
}

// A written time reads back as the same instant, to the tenth of a second; a
// written duration ends at most a second later.
func TestTimeRoundTrip(t *testing.T) {
	first := time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(2099, 12, 30, 0, 0, 0, 0, time.UTC).Unix()
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "offset"))
		at := time.Unix(rapid.Int64Range(first, last).Draw(t, "unix"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		b, err := AppendTime(nil, at)
		if err != nil {
			t.Fatal(err)
		}
		got, relative, err := ParseTime(b, time.Time{})
		if err != nil || relative || !got.Equal(at.Truncate(100*time.Millisecond)) {
			t.Fatalf("%v as %q is read as %v, %v", at, b, got, err)
		}
		d := time.Duration(rapid.Int64Range(0, int64(maxRelative)).Draw(t, "d"))
		if b, err = AppendRelative(nil, d); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(0, 0).UTC()
		got, relative, err = ParseTime(b, now)
		if late := got.Sub(now) - d; err != nil || !relative || late < 0 || late >= time.Second {
			t.Fatalf("%v as %q is read as %v, %v", d, b, got, err)
		}
	})
}
