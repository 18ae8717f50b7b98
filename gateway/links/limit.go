package links

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// addressesMost bounds the addresses whose rate is remembered.
const addressesMost = 20_000

// limiter holds back addresses that ask too much. When it is full, those that
// were not heard of lately are forgotten, which lets them ask again.
type limiter struct {
	mu         sync.Mutex
	young, old map[netip.Addr]*rate.Limiter
}

// take takes n tokens of an address, and says whether there were any.
func (l *limiter) take(a netip.Addr, n, perSecond int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.young[a]
	if r == nil {
		if r = l.old[a]; r == nil {
			r = rate.NewLimiter(rate.Limit(perSecond), 2*perSecond)
		}
		if l.young == nil || len(l.young) >= addressesMost/2 {
			l.old, l.young = l.young, map[netip.Addr]*rate.Limiter{}
		}
		l.young[a] = r
	}
	if r.Limit() != rate.Limit(perSecond) {
		r.SetLimitAt(now, rate.Limit(perSecond))
		r.SetBurstAt(now, 2*perSecond)
	}
	return r.AllowN(now, min(n, 2*perSecond))
}

// callerOf is whom a request comes from: the address of the connection or, where
// that is one of our proxies, the last one in X-Forwarded-For that is not. Of
// IPv6 only the network counts: one caller has all addresses of a /64.
func callerOf(r *http.Request, proxies []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, _ := netip.ParseAddr(host)
	a = a.Unmap().WithZone("")
	if ours(a, proxies) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && ours(a, proxies); i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			a = hop.Unmap().WithZone("")
		}
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func ours(a netip.Addr, proxies []netip.Prefix) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
