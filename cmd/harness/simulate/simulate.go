// Package simulate plays the real runtime on a store in memory, with random flows
// and everybody around it, and looks for what must never be. One seed is one
// world: it decides the flows, the persons, what happens and in which order, down
// to which executor has its turn, when a batch is committed, and when the runtime
// dies. So whatever goes wrong goes wrong again with the same seed.
package simulate

import (
	"fmt"
	"slices"
	"time"
)

// Failure is what must never be.
type Failure struct {
	Seed     uint64
	Steps    int // after so many
	Problems []string
	Trace    []string // the last things that happened
}

// Result is what a world has gone through.
type Result struct {
	Steps, Lives int
	Failure      *Failure
}

// Play goes through the world of a seed.
func Play(seed uint64, steps int) (r Result, err error) {
	w, err := newWorld(seed)
	if err != nil {
		return r, err
	}
	for w.step = 1; w.step <= steps && len(w.problems) == 0; w.step++ {
		w.next()
	}
	if len(w.problems) == 0 {
		w.finish()
	}
	r.Steps, r.Lives = min(w.step, steps), w.lives
	if len(w.problems) > 0 {
		slices.Sort(w.problems)
		r.Failure = &Failure{seed, r.Steps, slices.Compact(w.problems), w.trace}
	}
	return r, nil
}

// next lets one thing happen, and some of what follows.
func (w *world) next() {
	choose(w, w.actions).do(w)
	for range w.rng.IntN(12) {
		if w.ctx.Err() != nil {
			break
		}
		w.turn()
	}
	if w.ctx.Err() != nil && !w.fatal {
		w.recover()
		if len(w.problems) == 0 {
			w.start()
		}
		return
	}
	if w.one(60) && w.rest() {
		w.atRest()
	}
}

// atRest looks at a world in which nothing is under way.
func (w *world) atRest() {
	if w.book.outstanding != 0 {
		w.wrong("%d inputs were never answered", w.book.outstanding)
	}
	if err := w.rt.Health(); err != nil {
		w.wrong("the runtime is ill: %v", err)
	}
	w.audit(false)
}

// finish lets everything that is under way come to its end, and looks at the whole.
func (w *world) finish() {
	w.crashy = 0
	for w.unansweredRequest() != nil {
		w.participants()
	}
	for range 8 { // longer than anything is tried again, or kept for later
		w.rest()
		w.pass(15 * time.Minute)
	}
	if !w.rest() || w.fatal {
		return
	}
	w.atRest()
	w.audit(true)
}

// Shrink looks for fewer steps after which a failure of the same seed is there.
func Shrink(f *Failure) *Failure {
	least := f
	for steps := f.Steps / 2; steps > 0; {
		r, err := Play(f.Seed, steps)
		switch {
		case err == nil && r.Failure != nil:
			least = r.Failure
			steps = r.Failure.Steps / 2
		case least.Steps-steps > 1:
			steps += (least.Steps - steps) / 2
		default:
			return least
		}
	}
	return least
}

// String tells what is wrong and how to see it again.
func (f *Failure) String() string {
	s := fmt.Sprintf("seed %d, after %d steps:\n", f.Seed, f.Steps)
	for _, p := range f.Problems {
		s += "  " + p + "\n"
	}
	s += "what happened last:\n"
	for _, t := range f.Trace {
		s += "  " + t + "\n"
	}
	return s + fmt.Sprintf("again: go run ./cmd/harness simulate --seed %d --steps %d", f.Seed, f.Steps)
}
