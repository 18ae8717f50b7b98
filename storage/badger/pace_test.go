package badger

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"trunkline/storage"
)

// line is what the engine says of a table that took a merge so long.
func line(worked time.Duration) (format string, args []any) {
	return "[%d] LOG Compact. Added %d keys. Skipped %d keys. Iteration took: %v", []any{1, uint64(10), uint64(0), worked}
}

// Mergers rest for four times as long as they work, all of them together, less
// the further merging is behind, and not at all when writers are about to wait.
func TestPace(t *testing.T) {
	at := time.Unix(0, 0)
	var slept time.Duration
	p := newPace()
	p.now = func() time.Time { return at }
	p.sleep = func(d time.Duration, _ <-chan struct{}) { slept = d }
	behind := 0.0
	p.follow(func() float64 { return behind })
	for _, c := range []struct {
		name         string
		after        time.Duration // since the last line
		behind       float64
		worked, rest time.Duration
	}{
		{"the first", 0, 0, 20 * time.Millisecond, 80 * time.Millisecond},
		{"another at the same time waits for its turn", 0, 0, 10 * time.Millisecond, 120 * time.Millisecond},
		{"later", time.Second, 0, 10 * time.Millisecond, 40 * time.Millisecond},
		{"somewhat behind", time.Second, 0.5, 10 * time.Millisecond, 20 * time.Millisecond},
		{"far behind", time.Second, 1.3, 10 * time.Millisecond, 0},
		{"ahead", time.Second, -1, 10 * time.Millisecond, 40 * time.Millisecond},
		{"a table that took very long", time.Minute, 0, time.Hour, restRatio * longestWork},
	} {
		slept, behind, at = 0, c.behind, at.Add(c.after)
		p.hear(line(c.worked))
		if slept != c.rest {
			t.Errorf("%s: rested %v, want %v", c.name, slept, c.rest)
		}
	}
	slept = 0
	p.hear("Value log discard stats empty", nil)
	if slept != 0 {
		t.Error("rested after a line that is about something else")
	}
}

// A store that is being closed does not wait for mergers to have rested.
func TestPaceEnds(t *testing.T) {
	p := newPace()
	p.follow(func() float64 { return 0 })
	p.end()
	p.end()
	p.hear(line(time.Hour))
}

// The engine still says what the pace listens for.
func TestPaceIsHeard(t *testing.T) {
	const tables = 4
	var filled atomic.Int64
	opts, err := Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(opts, tuned(opts).WithMemTableSize(1<<20).WithValueThreshold(1<<10).WithNumLevelZeroTables(tables))
	if err != nil {
		t.Fatal(err)
	}
	s.pace.follow(func() float64 { filled.Add(1); return 1 })
	random := rand.New(rand.NewPCG(1, 2))
	for deadline := time.Now().Add(time.Minute); filled.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no merge was heard of in a minute of writing: has the engine another line for it?")
		}
		var b storage.Batch
		for range 50 {
			b.Put(fmt.Appendf(nil, "%016x", random.Uint64()), make([]byte, 500))
		}
		if err := s.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
