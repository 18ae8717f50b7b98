package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"trunkline/flowengine"
)

// The judge of the order (X5) sees what fires too early or too late for its
// shard, and forgives what one millisecond hides.
func TestJudgeFiring(t *testing.T) {
	base := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	f := func(shard flowengine.Shard, due, at int) firing {
		return firing{shard, base.Add(time.Duration(due) * time.Millisecond), base.Add(time.Duration(at) * time.Millisecond)}
	}
	for _, c := range []struct {
		name string
		all  []firing
		want string
	}{
		{"nothing", nil, ""},
		{"in order", []firing{f(1, 1, 5), f(1, 2, 5), f(1, 3, 6)}, ""},
		{"swapped within a millisecond", []firing{f(1, 2, 5), f(1, 1, 5)}, ""},
		{"swapped between shards", []firing{f(1, 2, 5), f(2, 1, 6)}, ""},
		{"swapped", []firing{f(1, 2, 5), f(1, 1, 6)}, "1 timers fired after later ones"},
		{"late by two", []firing{f(1, 1, 9), f(1, 2, 5), f(1, 3, 6)}, "1 timers fired after later ones"},
		{"too early", []firing{f(1, 7, 6)}, "1 timers fired too early"},
	} {
		got := strings.Join(judgeFiring(c.all), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	base := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var all []firing
	for i := range 1000 { // one a millisecond, then half as fast
		at := time.Duration(i) * time.Millisecond
		if i > 500 {
			at += time.Duration(i-500) * time.Millisecond
		}
		all = append(all, firing{at: base.Add(at)})
	}
	p := paceOf(all, 10_000)
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.02*want }
	if !near(p.first, 10_000) || !near(p.last, 5_000) || !near(p.all, 6_667) {
		t.Errorf("got %+v", p)
	}
	if paceOf(all[:5], 5) != (pace{}) {
		t.Error("a handful has no pace")
	}
}

func TestPerProcessor(t *testing.T) {
	all := []progress{{0, 0}, {100, time.Second}, {500, 3 * time.Second}, {900, 5 * time.Second}, {1000, 7 * time.Second}, {1000, 9 * time.Second}}
	for _, c := range []struct{ from, to, want float64 }{{0, 0.1, 100}, {0.9, 1, 50}, {0, 1, 1000.0 / 7}, {0.2, 0.4, 200}} {
		if got := perProcessor(all, c.from, c.to); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("from %g to %g: got %g, want %g", c.from, c.to, got, c.want)
		}
	}
	if perProcessor(all[:1], 0, 1) != 0 {
		t.Error("one look tells nothing")
	}
}
