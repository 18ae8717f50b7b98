package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	goruntime "runtime"
	"sync"
	"time"

	"trunkline/cmd/harness/simulate"
)

// simulation plays many worlds.
type simulation struct {
	seeds int
	seed  uint64
	steps int
}

// simulateWorlds plays seeds until one of them finds what must never be.
func simulateWorlds(o *options) runner {
	s := new(simulation)
	o.flags.IntVar(&s.seeds, "seeds", 2000, "worlds to play")
	o.flags.Uint64Var(&s.seed, "seed", 0, "play this world only")
	o.flags.IntVar(&s.steps, "steps", 150, "things that happen in a world")
	return func(ctx context.Context) error {
		if s.seeds < 1 || s.steps < 1 {
			return errors.New("-seeds and -steps are at least 1")
		}
		one := false
		o.flags.Visit(func(f *flag.Flag) { one = one || f.Name == "seed" })
		if one {
			s.seeds = 1
		}
		return s.run(ctx)
	}
}

// played is the sum of what was played.
type played struct {
	mu                  sync.Mutex
	next                uint64
	seeds, steps, lives int
	err                 error
	failure             *simulate.Failure // of the lowest seed
}

func (s *simulation) run(ctx context.Context) error {
	p := &played{next: s.seed}
	end := s.seed + uint64(s.seeds)
	var all sync.WaitGroup
	done := make(chan struct{})
	for range goruntime.GOMAXPROCS(0) {
		all.Go(func() {
			for ctx.Err() == nil {
				seed, more := p.take(end)
				if !more {
					return
				}
				r, err := simulate.Play(seed, s.steps)
				p.note(seed, r, err)
			}
		})
	}
	go func() { all.Wait(); close(done) }()
	began := time.Now()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-tick.C:
			seeds, steps, lives := p.sums()
			fmt.Printf("%d of %d seeds, %d steps, %d restarts, %.0f seeds/s\n", seeds, s.seeds, steps, lives, float64(seeds)/time.Since(began).Seconds())
		case <-done:
			running = false
		}
	}
	return s.conclude(ctx, p)
}

func (s *simulation) conclude(ctx context.Context, p *played) error {
	violations := 0
	if p.failure != nil {
		fmt.Println("looking for fewer steps")
		f := simulate.Shrink(p.failure)
		violations = len(f.Problems)
		fmt.Println(f)
	}
	fmt.Printf("RESULT seeds=%d steps=%d restarts=%d violations=%d\n", p.seeds, p.steps, p.lives, violations)
	switch {
	case p.err != nil:
		return p.err
	case violations > 0:
		return failure(p.failure.Problems)
	}
	return ctx.Err()
}

// take gives the next seed, as long as none has failed.
func (p *played) take(end uint64) (seed uint64, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next >= end || p.failure != nil || p.err != nil {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

func (p *played) note(seed uint64, r simulate.Result, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seeds++
	p.steps += r.Steps
	p.lives += r.Lives - 1
	if err != nil {
		p.err = err
	}
	if r.Failure != nil && (p.failure == nil || seed < p.failure.Seed) {
		p.failure = r.Failure
	}
}

func (p *played) sums() (seeds, steps, lives int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seeds, p.steps, p.lives
}
