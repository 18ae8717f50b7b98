package rtp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	frameTime = 20 * time.Millisecond
	slotCount = 10
	slotTime  = frameTime / slotCount
	// giveUp: a wheel that is later than this does not make up for it, or a
	// machine that slept would flood the network.
	giveUp = 200 * time.Millisecond
)

// Ticker is called every 20 ms, from the goroutine of its shard: it must not
// block. It can be called once more while it is being removed.
type Ticker interface{ Tick(now time.Time) }

// Wheel calls thousands of tickers every 20 ms with a goroutine and a timer per
// shard instead of per ticker. Tickers are spread over ten slots of 2 ms. Times
// are reckoned from the beginning, so that lateness never adds up.
type Wheel struct {
	shards []*wheelShard
	next   atomic.Uint32
}

// NewWheel makes a wheel with as many shards, one per core is enough.
func NewWheel(shards int) *Wheel {
	w := &Wheel{}
	for range max(1, shards) {
		w.shards = append(w.shards, &wheelShard{wake: make(chan struct{}, 1)})
	}
	return w
}

// Run turns the wheel until ctx ends.
func (w *Wheel) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range w.shards {
		group.Go(func() error { return s.run(ctx) })
	}
	return group.Wait()
}

// Add begins to call t; remove ends it.
func (w *Wheel) Add(t Ticker) (remove func()) {
	return w.shards[int(w.next.Add(1))%len(w.shards)].add(t)
}

// WheelCounts say how well a wheel keeps its times.
type WheelCounts struct {
	Ticks   uint64
	Late    uint64 // ticks more than 5 ms late
	Skipped uint64 // rounds that were given up
}

// Counts sums up all shards.
func (w *Wheel) Counts() (c WheelCounts) {
	for _, s := range w.shards {
		c.Ticks += s.ticks.Load()
		c.Late += s.late.Load()
		c.Skipped += s.skipped.Load()
	}
	return c
}

type wheelShard struct {
	mu    sync.Mutex
	slots [slotCount][]Ticker // replaced, never changed, so that ticking needs no lock
	total int
	wake  chan struct{} // something was added to an empty shard

	ticks, late, skipped atomic.Uint64
}

// add takes the emptiest slot.
func (s *wheelShard) add(t Ticker) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := 0
	for i := range s.slots {
		if len(s.slots[i]) < len(s.slots[slot]) {
			slot = i
		}
	}
	s.slots[slot] = append(slices.Clip(s.slots[slot]), t)
	s.total++
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return sync.OnceFunc(func() { s.remove(slot, t) })
}

func (s *wheelShard) remove(slot int, t Ticker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make([]Ticker, 0, len(s.slots[slot]))
	for _, other := range s.slots[slot] {
		if other != t {
			kept = append(kept, other)
		}
	}
	s.total -= len(s.slots[slot]) - len(kept)
	s.slots[slot] = kept
}

func (s *wheelShard) take(slot int) (tickers []Ticker, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots[slot], s.total
}

// run sleeps while the shard is empty.
func (s *wheelShard) run(ctx context.Context) error {
	favour()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			s.turn(ctx)
		}
	}
}

// turn goes round until the shard is empty or ctx ends.
func (s *wheelShard) turn(ctx context.Context) {
	due, timer := time.Now(), time.NewTimer(0)
	defer timer.Stop()
	for slot := 0; ; slot = (slot + 1) % slotCount {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		tickers, total := s.take(slot)
		if total == 0 {
			return
		}
		now := time.Now()
		s.call(tickers, now, now.Sub(due))
		if due = due.Add(slotTime); now.Sub(due) > giveUp {
			rounds := now.Sub(due) / frameTime
			due = due.Add(rounds * frameTime)
			s.skipped.Add(uint64(rounds))
		}
	}
}

func (s *wheelShard) call(tickers []Ticker, now time.Time, late time.Duration) {
	for _, t := range tickers {
		t.Tick(now)
	}
	s.ticks.Add(uint64(len(tickers)))
	if late > 5*time.Millisecond {
		s.late.Add(uint64(len(tickers)))
	}
}
