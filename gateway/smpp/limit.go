package smpp

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// bucket is a token bucket for messages per second. The burst is a tenth of a
// second's worth, so that a peer that counts by the second never sees more
// than the rate. A rate of 0 lets everything pass.
type bucket struct {
	mu     sync.Mutex
	rate   float64
	tokens float64
	at     time.Time
}

func (b *bucket) burst() float64 { return max(1, b.rate/10) }

// setRate changes the rate and keeps the tokens that fit.
func (b *bucket) setRate(rate float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		b.tokens = 1
	}
	b.rate = rate
	b.tokens = min(b.tokens, b.burst())
}

// take takes a token, or says no.
func (b *bucket) take(now time.Time) bool { return b.takeMany(now, 1) }

// takeMany takes n tokens when there is one; what is missing is owed, so that
// a request that counts as many is not refused for ever.
func (b *bucket) takeMany(now time.Time, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.filled(now) {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// ready reports whether there is a token.
func (b *bucket) ready(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.filled(now)
}

// wait returns how long until there is a token.
func (b *bucket) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 || b.tokens >= 1 {
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}

// filled adds what time brought and reports whether there is a token.
func (b *bucket) filled(now time.Time) bool {
	if b.rate == 0 {
		return true
	}
	switch {
	case b.at.IsZero():
		b.tokens, b.at = b.burst(), now
	case now.After(b.at):
		b.tokens = min(b.burst(), b.tokens+now.Sub(b.at).Seconds()*b.rate)
		b.at = now
	}
	return b.tokens >= 1
}

// putBack returns a token that was not used.
func (b *bucket) putBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+1, b.burst())
}

// pace is the rate at which a carrier is fed. It starts at the configured
// limit. A throttling status cuts it to 70 % of what the carrier took in the
// last second, at most once a second, and makes the throttled message wait;
// each second without one raises it by a tenth, back to the limit, or to none
// at twice the rate at which it was first cut when no limit is configured.
type pace struct {
	bucket bucket

	mu      sync.Mutex
	limit   float64 // configured; 0 is none
	rate    float64 // at present; 0 is none
	free    float64 // rate above which an unlimited carrier is unlimited again
	since   time.Time
	count   int     // accepted since then
	recent  float64 // accepted per second in the second before since
	cut     time.Time
	strikes int // throttled seconds in a row
}

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 15 * time.Second
)

// setLimit takes over a new configured limit.
func (p *pace) setLimit(limit float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == limit {
		return
	}
	p.limit, p.free = limit, 0
	p.set(limit)
}

func (p *pace) set(rate float64) {
	p.rate = rate
	p.bucket.setRate(rate)
}

// tick closes the second that began at p.since.
func (p *pace) tick(now time.Time) {
	passed := now.Sub(p.since)
	if passed < time.Second {
		return
	}
	if !p.since.IsZero() {
		p.recent = float64(p.count) / passed.Seconds()
	}
	p.since, p.count = now, 0
	if p.cut.IsZero() || now.Sub(p.cut) < time.Second {
		return
	}
	if now.Sub(p.cut) >= 2*time.Second {
		p.strikes = 0
	}
	switch next := p.rate * 1.1; {
	case p.limit > 0 && next >= p.limit:
		p.set(p.limit)
		p.cut = time.Time{}
	case p.limit == 0 && next >= p.free:
		p.set(0)
		p.cut = time.Time{}
	default:
		p.set(next)
	}
}

// accepted counts a message that the carrier took.
func (p *pace) accepted(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tick(now)
	p.count++
}

// throttled slows down and returns how long the throttled message waits.
func (p *pace) throttled(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tick(now)
	if p.cut.IsZero() || now.Sub(p.cut) >= time.Second {
		p.cut = now
		p.strikes = min(p.strikes+1, 8)
		seen := max(p.recent, float64(p.count), 1)
		if p.limit == 0 && p.rate == 0 {
			p.free = 2 * seen
		}
		if p.rate > 0 {
			seen = min(seen, p.rate)
		}
		p.set(max(1, 0.7*seen))
	}
	return jitter(min(firstPause<<(p.strikes-1), maxPause))
}

// current returns the rate in force; 0 is none.
func (p *pace) current() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// jitter spreads a pause over half to all of itself.
func jitter(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// backoff returns the pause before attempt n, from 1: base doubled n-1 times,
// at most limit, with jitter.
func backoff(n int, base, limit time.Duration) time.Duration {
	d := base
	for ; n > 1 && d < limit; n-- {
		d *= 2
	}
	return jitter(min(d, limit))
}

// loginGuard makes an address that fails to log in wait. It counts by address
// and by address and system_id, never by system_id alone: otherwise a stranger
// could lock a carrier out.
type loginGuard struct {
	mu    sync.Mutex
	tries map[loginKey]*tries
}

type loginKey struct {
	addr     netip.Addr
	systemID string // empty: all of the address
}

type tries struct {
	failed int
	until  time.Time // refused before
	forget time.Time
}

const (
	freeTries   = 3  // per address and system_id
	freeAddress = 10 // per address
	maxTries    = 10000
	maxLockout  = 5 * time.Minute
	forgetAfter = 15 * time.Minute
)

// refused reports whether the login has to wait.
func (g *loginGuard) refused(now time.Time, addr netip.Addr, systemID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range []loginKey{{addr, systemID}, {addr: addr}} {
		if t := g.tries[k]; t != nil && now.Before(t.until) {
			return true
		}
	}
	return false
}

// failed counts a failure.
func (g *loginGuard) failed(now time.Time, addr netip.Addr, systemID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tries == nil {
		g.tries = make(map[loginKey]*tries)
	}
	if len(g.tries) >= maxTries {
		g.sweep(now)
	}
	g.count(now, loginKey{addr, systemID}, freeTries)
	g.count(now, loginKey{addr: addr}, freeAddress)
}

func (g *loginGuard) count(now time.Time, k loginKey, free int) {
	t := g.tries[k]
	if t == nil || now.After(t.forget) {
		t = new(tries)
		g.tries[k] = t
	}
	t.failed++
	t.forget = now.Add(forgetAfter)
	if over := t.failed - free; over >= 0 {
		t.until = now.Add(min(time.Second<<min(over, 10), maxLockout))
	}
}

// succeeded forgets the failures of the login.
func (g *loginGuard) succeeded(addr netip.Addr, systemID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.tries, loginKey{addr, systemID})
}

// sweep forgets what is old, and if that is not enough everything: a table
// that grows for ever would be the worse hole.
func (g *loginGuard) sweep(now time.Time) {
	for k, t := range g.tries {
		if now.After(t.forget) {
			delete(g.tries, k)
		}
	}
	if len(g.tries) >= maxTries {
		clear(g.tries)
	}
}
