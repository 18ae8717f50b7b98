package resolver

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// cacheMost bounds the answers that are kept.
const cacheMost = 40_000

// cache keeps answers until their time is over. When it is full, those that were not
// asked for lately are forgotten.
type cache struct {
	mu         sync.Mutex
	young, old map[question]Answer
}

func (c *cache) get(q question, now time.Time) (Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.young[q]
	if !ok {
		if a, ok = c.old[q]; ok && now.Before(a.until) {
			c.store(q, a)
		}
	}
	return a, ok && now.Before(a.until)
}

func (c *cache) put(q question, a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(q, a)
}

func (c *cache) store(q question, a Answer) {
	if c.young == nil || len(c.young) >= cacheMost/2 {
		c.old, c.young = c.young, map[question]Answer{}
	}
	c.young[q] = a
}

func sortStable(all []MX) {
	slices.SortStableFunc(all, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
}
