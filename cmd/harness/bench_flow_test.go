package main

import (
	"context"
	"testing"
	"time"
)

// A small run finds nothing wrong: entries, counters and conditions agree.
func TestBenchFlow(t *testing.T) {
	b := &flowBench{options: &options{dir: t.TempDir()}, people: 500, seconds: 1}
	if err := b.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := b.result
	if r.steps <= 0 || r.fsync <= 0 || r.single <= 0 || r.audience <= 0 || r.segment <= 0 || r.triggerRatio <= 0 {
		t.Errorf("something was not measured: %+v", r)
	}
}

// Growth counts from the first sample in which a fifth was done.
func TestMemoryGrowth(t *testing.T) {
	w := &memoryWatch{seen: []memorySample{{0, 10, 5, 1}, {0.1, 90, 5, 2}, {0.2, 50, 5, 2}, {0.5, 45, 5, 2}, {0.9, 58, 5, 3}, {1, 52, 5, 2}}}
	if w.growth(residentOf) != 8 || w.top(residentOf) != 90 || w.growth(ownOf) != 0 || w.growth(liveOf) != 1 {
		t.Errorf("grown by %g to %g", w.growth(residentOf), w.top(residentOf))
	}
	var none *memoryWatch
	none.see(0.5)
	w = newMemoryWatch()
	w.see(0.5)
	w.see(0.6) // too soon
	if len(w.seen) != 1 || time.Since(w.last) > time.Minute {
		t.Errorf("seen %v", w.seen)
	}
}

// A small simulation is run as the command runs it.
func TestSimulateCommand(t *testing.T) {
	if err := run([]string{"simulate", "-dir", t.TempDir(), "-seeds", "3", "-steps", "40"}); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"simulate", "-seeds", "0"}); err == nil {
		t.Error("no seeds were accepted")
	}
}
