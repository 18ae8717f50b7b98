package webhook

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// An endpoint that does not answer is left alone, longer and longer; one
// delivery at a time finds out whether it is back.
func TestCircuit(t *testing.T) {
	var c Circuit
	now := time.Unix(1e9, 0)
	enter := func(want bool) (wait time.Duration) {
		t.Helper()
		wait, ok := c.Enter(now)
		if ok != want || ok != (wait == 0) {
			t.Fatalf("at %s: %v, wait %s", now, ok, wait)
		}
		return wait
	}
	for range circuitFailures {
		enter(true)
		c.Failed(now)
	}
	for _, open := range []time.Duration{circuitFirst, 2 * circuitFirst, 4 * circuitFirst, 8 * circuitFirst, 16 * circuitFirst, circuitMost, circuitMost} {
		if wait := enter(false); wait != open {
			t.Errorf("open for %s, not %s", wait, open)
		}
		if state, until := c.State(now); state != "open" || !until.Equal(now.Add(open)) {
			t.Errorf("%s until %s", state, until)
		}
		now = now.Add(open)
		enter(true)
		enter(false) // somebody tries already
		c.Leave()
		enter(true)
		c.Failed(now)
	}
	now = now.Add(circuitMost)
	enter(true)
	c.Answered()
	for range 100 {
		enter(true)
	}
	if state, _ := c.State(now); state != "closed" {
		t.Error(state)
	}
}

// Whatever happens, an endpoint that is back is found within the longest pause.
func TestCircuitAlwaysTriesAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Circuit
		now := time.Unix(1e9, 0)
		inside := 0
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 4).Draw(t, "what"); {
			case what == 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			case inside == 0 || what == 1:
				if _, ok := c.Enter(now); ok {
					inside++
				}
			default:
				inside--
				[]func(){c.Answered, c.Leave, func() { c.Failed(now) }}[what-2]()
			}
		}
		for ; inside > 0; inside-- {
			c.Leave()
		}
		now = now.Add(circuitMost)
		if _, ok := c.Enter(now); !ok {
			t.Fatal("nobody tries any more")
		}
	})
}
