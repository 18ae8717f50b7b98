package rtp

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type counter struct {
	mu    sync.Mutex
	ticks []time.Time
	stall atomic.Int64 // of the next tick, in ns
}

func (c *counter) Tick(now time.Time) {
	c.mu.Lock()
	c.ticks = append(c.ticks, now)
	c.mu.Unlock()
	time.Sleep(time.Duration(c.stall.Swap(0)))
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ticks)
}

func turning(t *testing.T, f func(w *Wheel)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w, ended := NewWheel(2), make(chan error)
		go func() { ended <- w.Run(ctx) }()
		f(w)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestEveryTickerIsCalledEveryTwentyMilliseconds(t *testing.T) {
	turning(t, func(w *Wheel) {
		all := make([]*counter, 40)
		for i := range all {
			all[i] = &counter{}
			w.Add(all[i])
		}
		time.Sleep(10*time.Minute + time.Millisecond)
		synctest.Wait()
		for i, c := range all {
			if n := c.count(); n < 29999 || n > 30001 {
				t.Fatalf("ticker %d: %d ticks in ten minutes", i, n)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for k := 1; k < len(c.ticks); k++ {
				if d := c.ticks[k].Sub(c.ticks[k-1]); d != frameTime {
					t.Fatalf("ticker %d: %v between ticks", i, d)
				}
			}
		}
	})
}

func TestLatenessIsMadeUpForAndSleepIsNot(t *testing.T) {
	turning(t, func(w *Wheel) {
		c := &counter{}
		w.Add(c)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		c.stall.Store(int64(90 * time.Millisecond))
		time.Sleep(time.Second)
		synctest.Wait()
		if n := c.count(); n != 101 {
			t.Errorf("%d ticks in two seconds with a stall of 90 ms", n)
		}
		c.stall.Store(int64(10 * time.Second))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := c.count(); n < 595 || n > 615 || w.Counts().Skipped == 0 {
			t.Errorf("%d ticks, %+v: ten seconds asleep were made up for", n, w.Counts())
		}
	})
}

func TestARemovedTickerIsNotCalledAndAnEmptyWheelSleeps(t *testing.T) {
	turning(t, func(w *Wheel) {
		a, b := &counter{}, &counter{}
		remove := w.Add(a)
		time.Sleep(time.Second)
		remove()
		remove()
		synctest.Wait()
		n := a.count()
		time.Sleep(time.Hour)
		synctest.Wait()
		if a.count() > n+1 {
			t.Errorf("%d more ticks after removal", a.count()-n)
		}
		w.Add(b)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := b.count(); n < 50 || n > 51 {
			t.Errorf("%d ticks in the first second", n)
		}
	})
}
