package sip

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// bucket is a token bucket. Its burst is a tenth of a second's worth, at least
// one. A rate of 0 lets everything pass.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func (b *bucket) take(rate float64, now time.Time) bool {
	if rate == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	burst := max(1, rate/10)
	if b.at.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// maxSources bounds the addresses that are counted apart. Only those of trunks
// are counted at all: a stranger leaves no trace.
const maxSources = 4096

// sources limits messages by address.
type sources struct {
	mu      sync.Mutex
	buckets map[netip.Addr]*bucket
	rest    bucket // of those who found the table full
	swept   time.Time
}

func (s *sources) take(addr netip.Addr, rate float64, now time.Time) bool {
	s.mu.Lock()
	b := s.buckets[addr]
	if b == nil {
		if len(s.buckets) >= maxSources && now.Sub(s.swept) > time.Second {
			s.sweep(now)
			s.swept = now
		}
		if len(s.buckets) >= maxSources {
			b = &s.rest
		} else {
			b = new(bucket)
			s.buckets[addr] = b
		}
	}
	s.mu.Unlock()
	return b.take(rate, now)
}

// sweep forgets addresses that have been silent for a second: their buckets
// are full again.
func (s *sources) sweep(now time.Time) {
	for addr, b := range s.buckets {
		b.mu.Lock()
		if now.Sub(b.at) > time.Second {
			delete(s.buckets, addr)
		}
		b.mu.Unlock()
	}
}

// jitter spreads a pause over half to all of itself.
func jitter(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// retryAfter is a pause for a peer in seconds, spread so that not all come back
// at once.
func retryAfter() int { return 2 + rand.IntN(9) }

// quiet lets one of many equal log lines pass: at most one in ten seconds. It
// counts what it held back.
type quiet struct {
	mu   sync.Mutex
	last time.Time
	held int
}

const quietTime = 10 * time.Second

func (q *quiet) pass(now time.Time) (held int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.last) < quietTime {
		q.held++
		return 0, false
	}
	held, q.held, q.last = q.held, 0, now
	return held, true
}
