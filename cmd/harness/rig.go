package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// rig is a gateway under load.
type rig struct {
	name  string
	load  *load
	usage func() usage
}

// figure is what a measurement says.
type figure struct {
	places   int     // round trips under way at once; 0: paced
	asked    float64 // rate of a paced load, per second
	rate     float64 // round trips per second
	p50, p99 time.Duration
	pause    time.Duration // longest time without a reply
	cpu      float64       // processors that the gateway used
	own      float64       // processors that the harness used
	others   float64       // processors that everybody else on the machine used
	rss      uint64        // bytes, at the end
	top      uint64        // bytes, at most until then
}

// patience is how long nothing may move before a load is given up.
const patience = 20 * time.Second

// peak runs the closed loop for d and returns what went through.
func (r *rig) peak(ctx context.Context, places int, warm, d time.Duration) (figure, error) {
	r.load.closed(places)
	defer r.load.closed(0)
	if err := sleep(ctx, warm); err != nil {
		return figure{}, err
	}
	f, err := r.during(ctx, func() { _ = sleep(ctx, d) })
	f.places = places
	if err == nil && f.rate == 0 {
		err = fmt.Errorf("%s answered nothing within %s", r.name, d)
	}
	return f, err
}

// steady paces the load at a rate for d.
func (r *rig) steady(ctx context.Context, rate float64, warm, d time.Duration) (figure, error) {
	r.load.pace(ctx, rate, warm)
	f, err := r.during(ctx, func() { r.load.pace(ctx, rate, d) })
	f.asked = rate
	return f, err
}

// during measures while work goes on. Then it ends the load and waits until
// nothing is under way, so that the slowest messages count in the latency too.
func (r *rig) during(ctx context.Context, work func()) (figure, error) {
	p := r.load.measure()
	used, own, replies, began := r.usage(), usageOf(os.Getpid()), r.load.book.replied.Load(), time.Now()
	busy := machineBusy()
	work()
	took := time.Since(began)
	u := r.usage()
	busy = machineBusy() - busy
	f := figure{
		pause: time.Duration(p.pause.Load()),
		rate:  float64(r.load.book.replied.Load()-replies) / took.Seconds(),
		cpu:   (u.cpu - used.cpu).Seconds() / took.Seconds(),
		own:   (usageOf(os.Getpid()).cpu - own.cpu).Seconds() / took.Seconds(),
		rss:   u.rss,
		top:   u.top,
	}
	f.others = max(0, busy.Seconds()/took.Seconds()-f.cpu-f.own)
	r.load.closed(0)
	r.settle(ctx)
	f.p50, f.p99 = p.latency.quantile(0.50), p.latency.quantile(0.99)
	return f, ctx.Err()
}

// settle waits until nothing is under way. What does not come to rest shows in
// the verdict.
func (r *rig) settle(ctx context.Context) { r.load.quiet(ctx, patience) }

// best tries several numbers of places for a short time each, and measures the
// best of them for long.
func (r *rig) best(ctx context.Context, places []int, warm, d time.Duration) (figure, error) {
	top, at := 0.0, places[0]
	for _, n := range places {
		if len(places) == 1 {
			break
		}
		f, err := r.peak(ctx, n, warm/3, d/6)
		if err != nil {
			return f, err
		}
		fmt.Printf("  %-10s %5d at once: %7.0f round trips/s, p99 %s\n", r.name, n, f.rate, short(f.p99))
		if f.rate > top {
			top, at = f.rate, n
		}
	}
	return r.peak(ctx, at, warm, d)
}

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
