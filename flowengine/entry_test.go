package flowengine

import (
	"testing"
	"time"
)

// E4: a later version may have wider limits, or more of them: entries of before count.
func TestWiderEntryLimits(t *testing.T) {
	narrow := &Settings{Reenter: true, EntryLimits: []EntryLimit{{Max: 1, Per: time.Hour}}}
	wide := &Settings{Reenter: true, EntryLimits: []EntryLimit{{Max: 1, Per: time.Hour}, {Max: 24, Per: 7 * 24 * time.Hour}}}
	var m Membership
	var ps Passages
	now := testNow
	for range 30 {
		if why := narrow.admit(&ps, &m, "f", now); why != "" {
			t.Fatal(why)
		}
		narrow.remember(&m, now)
		now = now.Add(2 * time.Hour)
	}
	if why := wide.admit(&ps, &m, "f", now); why != RefusedEntryLimit {
		t.Errorf("30 entries in 60 hours, 24 are allowed in a week: %q", why)
	}
	for range 200 {
		narrow.remember(&m, now)
	}
	if n := len(m.Recent); n != entriesKept {
		t.Errorf("%d entries are remembered", n)
	}
	none := &Settings{Reenter: true}
	if none.remember(&m, now); m.Recent != nil {
		t.Error("a flow without limits remembers entries")
	}
}
