package host

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// mailbox runs what it is given one after the other, in the order in which it came.
// It has a goroutine only while there is something to do. Who fills it is bounded:
// legs say each event once, and keys wait with their session.
type mailbox struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// do runs f in the call's order. It never blocks.
func (c *call) do(f func()) {
	b := &c.box
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, f)
	if !b.running {
		b.running = true
		go c.work()
	}
}

func (c *call) work() {
	b := &c.box
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.running, b.queue = false, nil
			b.mu.Unlock()
			return
		}
		f := b.queue[0]
		b.queue = b.queue[1:]
		b.mu.Unlock()
		c.guard(f)
	}
}

// guard runs f; a panic ends the call and nothing else.
func (c *call) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.host.metrics.panics.Inc()
			c.host.log.Error("a panic was caught, the call is ended; this is a bug", "call", c.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.do(c.hangUpAll)
		}
	}()
	f()
}
