package smpp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestBucket(t *testing.T) {
	b := &bucket{rate: 50}
	passed := 0
	for ms := range 2000 {
		if b.take(noon.Add(time.Duration(ms) * time.Millisecond)) {
			passed++
		}
	}
	if passed < 100 || passed > 105 {
		t.Errorf("%d messages in two seconds at 50 a second", passed)
	}
	if first := b.take(noon); first && b.take(noon) {
		t.Error("a clock that steps back gave tokens")
	}
	free := &bucket{}
	for range 1000 {
		if !free.take(noon) {
			t.Fatal("no rate, yet a limit")
		}
	}
}

// A carrier that throttles is fed less, and gets its rate back.
func TestPace(t *testing.T) {
	for _, limit := range []float64{0, 100} {
		p := &pace{}
		p.setLimit(limit)
		now := noon
		second := func(n int) {
			for range n {
				p.accepted(now)
			}
			now = now.Add(time.Second)
		}
		second(80)
		second(80)
		after := p.throttled(now)
		if after <= 0 || after > firstPause {
			t.Errorf("the first throttled message waits %s", after)
		}
		if got := p.current(); got < 50 || got > 60 {
			t.Errorf("limit %g: 80 a second were cut to %g", limit, got)
		}
		if again := p.current(); p.throttled(now) <= 0 || p.current() != again {
			t.Error("a burst of refusals cut the rate more than once a second")
		}
		for range 30 {
			second(10)
		}
		if got := p.current(); got != limit {
			t.Errorf("limit %g: the rate is %g after 30 quiet seconds", limit, got)
		}
	}
}

func TestPaceFloorAndPause(t *testing.T) {
	p := &pace{}
	var after time.Duration
	for i := range 20 {
		after = p.throttled(noon.Add(time.Duration(i) * time.Second))
	}
	if p.current() < 1 {
		t.Errorf("the rate fell to %g", p.current())
	}
	if after < maxPause/2 || after > maxPause {
		t.Errorf("after 20 seconds of throttling a message waits %s", after)
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: time.Second, 3: 4 * time.Second, 9: time.Minute, 100: time.Minute} {
		for range 20 {
			if got := backoff(n, time.Second, time.Minute); got < want/2 || got > want {
				t.Errorf("attempt %d waits %s, not %s to %s", n, got, want/2, want)
			}
		}
	}
}

func TestLoginGuard(t *testing.T) {
	var g loginGuard
	thief, carrier := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for range freeTries {
		if g.refused(noon, thief, "acme") {
			t.Fatal("refused within the free tries")
		}
		g.failed(noon, thief, "acme")
	}
	if !g.refused(noon, thief, "acme") {
		t.Error("not refused after the free tries")
	}
	if g.refused(noon, carrier, "acme") {
		t.Error("a stranger locked the carrier out")
	}
	if g.refused(noon.Add(2*time.Second), thief, "acme") {
		t.Error("still refused after the pause")
	}
	g.succeeded(thief, "acme")
	g.failed(noon, thief, "acme")
	if g.refused(noon, thief, "acme") {
		t.Error("a success did not forget the failures")
	}
	for i := range freeAddress {
		g.failed(noon, thief, fmt.Sprint("guess", i))
	}
	if !g.refused(noon, thief, "another") {
		t.Error("an address may guess names for ever")
	}
}

func TestLoginGuardIsBounded(t *testing.T) {
	var g loginGuard
	addr := netip.MustParseAddr("2001:db8::")
	for range 3 * maxTries {
		addr = addr.Next()
		g.failed(noon, addr, "acme")
	}
	if len(g.tries) > maxTries+2 {
		t.Errorf("%d entries", len(g.tries))
	}
}
