package outbound

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// What finds no place comes back one after the other, as fast as the destination takes
// messages: not all at once, and not so late that it waits for them.
func TestReturns(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	d := &destination{rate: 100}
	for range 50 {
		d.queue.PushBack(nil)
	}
	for i := range 1000 {
		want := 250*time.Millisecond + time.Duration(i)*10*time.Millisecond
		if got := d.returnAt(now); (got - want).Abs() > time.Millisecond {
			t.Fatalf("message %d after %s, not %s", i, got, want)
		}
	}
	slow := &destination{}
	for range 100_000 {
		if got := slow.returnAt(now); got < comeBack || got > comeAtMost {
			t.Fatalf("after %s", got)
		}
	}
}

// However a destination does, what it is allowed stays within its bounds, and it recovers.
func TestAdaptationBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_800_000_000, 0)
		d := &destination{allowed: 1, most: rapid.IntRange(1, 20).Draw(t, "most")}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				d.complained(now)
			case 1:
				d.failed(now, "x")
				if p := d.until.Sub(now); p < downFirst || p > downMost*5/4 {
					t.Fatalf("down for %s", p)
				}
			default:
				d.took(now)
			}
			if d.allowed < 1 || d.allowed > d.most || d.gap < 0 || d.gap > gapMost || d.rate < 0 || d.limit(true) > d.limit(false) {
				t.Fatalf("%+v", d)
			}
		}
		for range 10_000 {
			now = now.Add(10 * time.Millisecond)
			d.took(now)
		}
		if d.allowed != d.most || d.gap != 0 || !d.until.IsZero() {
			t.Fatalf("it does not recover: %d of %d, %s", d.allowed, d.most, d.gap)
		}
	})
}

// A rate that is configured is held.
func TestFixedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &destination{fixed: 10}
		began := time.Now()
		for range 31 {
			time.Sleep(d.begin(time.Now()))
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("31 messages took %s", took)
		}
	})
}

// Each message is tried for five days, with growing pauses (RFC 5321 §4.5.4.1).
func TestSchedule(t *testing.T) {
	t.Parallel()
	sum, last := time.Duration(0), time.Duration(0)
	for n := 1; ; n++ {
		p, ok := again(n)
		if !ok {
			break
		}
		if p < last/2 || p > pauseLater*6/5 {
			t.Errorf("pause %d is %s after %s", n, p, last)
		}
		sum, last = sum+p, p
	}
	if days := sum.Hours() / 24; days < 4.5 || days > 6.5 {
		t.Errorf("a message is tried for %.1f days", days)
	}
}
