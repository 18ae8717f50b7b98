package outbound

import (
	"container/list"
	"math/rand/v2"
	"time"
)

// How a destination adapts.
const (
	limitFirst  = 64                     // messages that wait for one that has proven nothing
	limitLeast  = 8                      // while the queue of all is half full
	limitAhead  = 2 * time.Second        // how far ahead of a server its queue reaches
	comeBack    = 500 * time.Millisecond // before a message that found no place comes again
	comeSoon    = 20 * time.Millisecond  // at least, when the destination is fast
	comeAtMost  = 30 * time.Minute       // and at most
	meterTime   = 500 * time.Millisecond // over which speed is measured
	gapLeast    = time.Millisecond       // a pause between messages that is none
	gapFirst    = time.Second            // after the first complaint of a server whose speed is not known
	gapMost     = time.Minute
	throttleFor = time.Second // complaints within count as one
	downFirst   = 30 * time.Second
	downMost    = 10 * time.Minute
)

// destination is a domain, or the smart host, and how it does. Its fields are guarded by
// the edge's lock.
type destination struct {
	name  string // in ASCII and lower case; of the smart host: ""
	given string // host:port, when no DNS is asked
	tls   string
	most  int     // connections allowed by the configuration
	fixed float64 // messages per second; 0: no limit
	at    *settings

	queue   list.List // of *job
	workers int
	idle    []*worker // latest last
	turn    *list.Element
	route   *route
	used    time.Time

	allowed   int           // connections that it bears
	good      int           // messages since that grew
	gap       time.Duration // between messages
	next      time.Time     // when the next one may begin
	throttled time.Time     // when it last complained
	rate      float64       // messages per second, measured
	counted   int           // since
	since     time.Time
	returns   time.Time // when the next message comes back that found no place
	failures  int       // connections that did not come about, in a row
	until     time.Time // no connection is tried before
	reason    string    // of the last failure
}

// configure takes over what the configuration says.
func (d *destination) configure(s *settings) {
	if d.at == s {
		return
	}
	c := &s.config
	d.at, d.route = s, nil
	d.given, d.tls, d.most, d.fixed = "", c.TLS, c.ConnectionsPerDomain, c.RatePerDomain
	if d.name == "" {
		if h := c.SmartHost; h != nil {
			d.given, d.tls = h.Address, h.TLS
		}
		return
	}
	if x := s.special[d.name]; x != nil {
		d.given = x.Route
		if x.TLS != "" {
			d.tls = x.TLS
		}
		if x.Connections > 0 {
			d.most = x.Connections
		}
		if x.Rate > 0 {
			d.fixed = x.Rate
		}
	}
}

// limit is how many messages may wait for the destination: as many as it takes within
// two seconds.
func (d *destination) limit(half bool) int {
	if half {
		return max(limitLeast, int(d.rate*limitAhead.Seconds()/4))
	}
	return max(limitFirst, int(d.rate*limitAhead.Seconds()))
}

// returnAt says when a message comes back that found no place: from when half of those
// that wait should be gone, one after the other, as fast as the destination takes them.
func (d *destination) returnAt(now time.Time) time.Duration {
	soon := comeBack
	if d.rate > 0 {
		soon = min(max(time.Duration(float64(d.queue.Len())/d.rate/2*float64(time.Second)), comeSoon), comeBack)
	}
	first := now.Add(soon)
	if d.returns.Before(first) {
		d.returns = first
	}
	pause := d.returns.Sub(now)
	if pause > comeAtMost {
		return comeAtMost/2 + rand.N(comeAtMost/2)
	}
	d.returns = d.returns.Add(time.Duration(float64(time.Second) / max(d.rate, 0.2)))
	return pause
}

// begin gives a message its moment.
func (d *destination) begin(now time.Time) time.Duration {
	gap := d.gap
	if d.fixed > 0 {
		gap = max(gap, time.Duration(float64(time.Second)/d.fixed))
	}
	at := now
	if d.next.After(now) {
		at = d.next
	}
	d.next = at.Add(gap)
	return at.Sub(now)
}

// took notes that the server took a message, or at least said no to this one only: it is
// well, and may bear more.
func (d *destination) took(now time.Time) {
	d.failures, d.reason, d.until = 0, "", time.Time{}
	if d.good++; d.good >= d.allowed && d.allowed < d.most {
		d.allowed, d.good = d.allowed+1, 0
	}
	if d.gap -= d.gap / 20; d.gap < gapLeast {
		d.gap = 0
	}
	d.counted++
	if d.since.IsZero() {
		d.since = now
	}
	if t := now.Sub(d.since); t >= meterTime {
		speed := float64(d.counted) / t.Seconds()
		if d.rate == 0 {
			d.rate = speed
		}
		d.rate = (d.rate + speed) / 2
		d.counted, d.since = 0, now
	}
}

// complained notes that the server wants us slower. Complaints of the same moment count once.
func (d *destination) complained(now time.Time) bool {
	if now.Sub(d.throttled) < throttleFor {
		return false
	}
	d.throttled, d.good = now, 0
	d.allowed = max(1, d.allowed/2)
	switch {
	case d.gap > 0:
		d.gap *= 2
	case d.rate > 0:
		d.gap = time.Duration(2 * float64(time.Second) / d.rate)
	default:
		d.gap = gapFirst
	}
	d.gap = min(max(d.gap, 10*gapLeast), gapMost)
	d.next = now.Add(d.gap)
	return true
}

// failed notes that no connection came about: none is tried for a while.
func (d *destination) failed(now time.Time, reason string) {
	pause := min(downFirst<<min(d.failures, 10), downMost)
	d.failures++
	d.reason, d.allowed, d.good = reason, 1, 0
	d.until = now.Add(pause + rand.N(pause/4))
	d.route = nil
}

// quiet tells whether nothing of the destination is worth remembering.
func (d *destination) quiet(now time.Time) bool {
	return d.workers == 0 && d.queue.Len() == 0 && now.After(d.until) && now.Sub(d.used) > time.Minute
}
