package badger

import (
	"strings"
	"sync"
	"time"
)

// pace keeps the engine's merging of tables from taking the processor away from
// those who wait for a batch.
//
// A merge that is due runs in up to five goroutines at once. On a machine with few
// cores they leave the rest of the daemon a fraction of the time for a second or
// two, although merging takes a tenth of it on average. The engine has no limit
// for it, but it tells of each table that a merge has filled, in the goroutine
// that did it (levels.go, subcompact). There the pace lets it rest.
type pace struct {
	behind func() float64 // how far merging is behind: 0 is not at all, 1 is that writers have to wait
	now    func() time.Time
	sleep  func(d time.Duration, ended <-chan struct{})

	mu    sync.Mutex
	next  time.Time // when the next table may be begun
	ended chan struct{}
	end   func()
}

// restRatio is how long mergers rest, all of them together, for each second of
// work while they are not behind: they take a fifth of one core.
const restRatio = 4

// longestWork bounds what one table counts: its time includes that of others who
// had the processor.
const longestWork = 250 * time.Millisecond

func newPace() *pace {
	p := &pace{
		now:   time.Now,
		ended: make(chan struct{}),
		sleep: func(d time.Duration, ended <-chan struct{}) {
			select {
			case <-time.After(d):
			case <-ended:
			}
		},
	}
	p.end = sync.OnceFunc(func() { close(p.ended) })
	return p
}

// hear takes the engine's lines of the debug level, and finds those that tell of
// a table that a merge has filled.
func (p *pace) hear(format string, args []any) {
	if !strings.HasPrefix(format, "[%d] LOG Compact. Added") || len(args) == 0 {
		return
	}
	if worked, ok := args[len(args)-1].(time.Duration); ok {
		p.rest(worked)
	}
}

// rest returns when a merger that has worked so long may go on.
func (p *pace) rest(worked time.Duration) {
	p.mu.Lock()
	behind := 1.0 // the store is being opened
	if p.behind != nil {
		behind = min(max(p.behind(), 0), 1)
	}
	now := p.now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(restRatio * (1 - behind) * float64(min(worked, longestWork))))
	d := p.next.Sub(now)
	p.mu.Unlock()
	if d > 0 {
		p.sleep(d, p.ended)
	}
}

// follow tells the pace how far merging is behind from now on.
func (p *pace) follow(behind func() float64) {
	p.mu.Lock()
	p.behind = behind
	p.mu.Unlock()
}
