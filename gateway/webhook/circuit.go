package webhook

import (
	"sync"
	"time"
)

// How a circuit opens and closes again.
const (
	circuitFailures = 5 // in a row
	circuitFirst    = 30 * time.Second
	circuitMost     = 10 * time.Minute
)

// Circuit keeps deliveries from an endpoint that does not answer, so that they
// neither take the places of others nor wait in memory. After five failures in a
// row it is open for half a minute, then lets one delivery through to try;
// each further failure doubles the time, up to ten minutes. The zero Circuit is
// closed. It may be used concurrently.
type Circuit struct {
	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	open     time.Duration // how long it is open the next time
	trying   bool
}

// Enter asks for leave to deliver. When it has to wait it says how long, and
// otherwise one of Failed, Answered and Leave follows.
func (c *Circuit) Enter(now time.Time) (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failures < circuitFailures:
		return 0, true
	case now.Before(c.until):
		return c.until.Sub(now), false
	case c.trying:
		return circuitFirst, false
	}
	c.trying = true
	return 0, true
}

// Answered notes that the endpoint answered, if only to say no.
func (c *Circuit) Answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures, c.open, c.trying = 0, 0, false
}

// Failed notes that the endpoint did not answer, or that it is in trouble.
func (c *Circuit) Failed(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wasTrying := c.trying
	c.failures, c.trying = c.failures+1, false
	if c.failures == circuitFailures || wasTrying {
		c.open = min(max(2*c.open, circuitFirst), circuitMost)
		c.until = now.Add(c.open)
	}
}

// Leave notes that the delivery was not made.
func (c *Circuit) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
}

// State tells whether deliveries go through, and if not until when: closed,
// open, or trying.
func (c *Circuit) State(now time.Time) (state string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failures < circuitFailures:
		return "closed", time.Time{}
	case now.Before(c.until):
		return "open", c.until
	}
	return "trying", time.Time{}
}
