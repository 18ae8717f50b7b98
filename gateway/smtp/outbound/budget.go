package outbound

import (
	"math/rand/v2"
	"sync"
	"time"
)

// budget holds sending domains to their plans of warming up. What went out is kept by
// the core, which tells it after a start; what is on its way counts as gone.
type budget struct {
	sent func(domain string, day int64) int

	mu    sync.Mutex
	spent map[string]spent
}

type spent struct {
	day int64 // since 1970, in UTC
	n   int
}

const day = 24 * time.Hour

func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// take takes a message's place in the plan of its domain, or says when to ask again: on
// the next day, spread over its first hours.
func (b *budget) take(s *settings, j *job, now time.Time) (pause time.Duration, ok bool) {
	from := s.domains[j.from]
	if from == nil || from.WarmUp == nil {
		return 0, true
	}
	limit, limited := from.WarmUp.Limit(now)
	if !limited {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	today := dayOf(now)
	p, known := b.spent[j.from]
	if !known || p.day != today {
		p = spent{day: today}
		if b.sent != nil {
			p.n = b.sent(j.from, today)
		}
	}
	if p.n >= limit {
		next := time.Unix((today+1)*int64(day/time.Second), 0)
		return next.Sub(now) + rand.N(spreadOver), false
	}
	p.n++
	if b.spent == nil {
		b.spent = map[string]spent{}
	}
	b.spent[j.from] = p
	j.paid, j.day = true, today
	return 0, true
}

// spreadOver is how far into the day those come back that found it used up.
const spreadOver = 4 * time.Hour

// giveBack frees the place of a message that did not go out.
func (b *budget) giveBack(j *job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.spent[j.from]; p.day == j.day && p.n > 0 {
		p.n--
		b.spent[j.from] = p
	}
}
