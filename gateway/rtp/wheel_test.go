package rtp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

type counter struct {
	ticks []time.Time
	stall time.Duration // of the next tick
}

func (c *counter) Tick(now time.Time) {
	c.ticks = append(c.ticks, now)
	time.Sleep(c.stall)
	c.stall = 0
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
		all := make([]*counter, 500)
		for i := range all {
			all[i] = &counter{}
			w.Add(all[i])
		}
		time.Sleep(10*time.Minute + time.Millisecond)
		synctest.Wait()
		for i, c := range all {
			if n := len(c.ticks); n < 29999 || n > 30001 {
				t.Fatalf("ticker %d: %d ticks in ten minutes", i, n)
			}
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
		c.stall = 90 * time.Millisecond
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(c.ticks); n != 101 {
			t.Errorf("%d ticks in two seconds with a stall of 90 ms", n)
		}
		c.stall = 10 * time.Second
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := len(c.ticks); n < 595 || n > 615 || w.Counts().Skipped == 0 {
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
		n := len(a.ticks)
		time.Sleep(time.Hour)
		if len(a.ticks) > n+1 {
			t.Errorf("%d more ticks after removal", len(a.ticks)-n)
		}
		w.Add(b)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(b.ticks); n < 50 || n > 51 {
			t.Errorf("%d ticks in the first second", n)
		}
	})
}
