package smtp

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// peersMost bounds the addresses whose rate is remembered.
const peersMost = 20_000

// limiter counts the messages of peers. When it is full, those that were not heard
// of lately are forgotten.
type limiter struct {
	mu         sync.Mutex
	perMinute  int
	young, old map[netip.Addr]*rate.Limiter
}

// take says whether a peer may send one more message.
func (l *limiter) take(peer netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.young[peer]
	if r == nil {
		if r = l.old[peer]; r == nil {
			r = rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), l.perMinute)
		}
		if l.young == nil || len(l.young) >= peersMost/2 {
			l.old, l.young = l.young, map[netip.Addr]*rate.Limiter{}
		}
		l.young[peer] = r
	}
	return r.AllowN(now, 1)
}
