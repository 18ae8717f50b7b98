package sip

import (
	"sync"
	"time"

	"trunkline/gateway/sip/message"
)

// Timers of RFC 3261 §17.
const (
	T1 = 500 * time.Millisecond // a round trip
	T2 = 4 * time.Second        // longest pause between repetitions
)

// client is a client transaction: a request of ours until it is answered (§17.1).
// deliver gets every response; nil when none came in time (§17.1.2.2), or with
// an error when the path failed. It must not block.
type client struct {
	edge    *Edge
	branch  string
	method  string
	path    path
	deliver func(m *message.Message, p path, err error)

	mu       sync.Mutex
	data     []byte // until nothing repeats it
	timer    *time.Timer
	pause    time.Duration
	deadline time.Time
	done     bool
}

// start sends the request and repeats it over UDP until there is an answer.
func (c *client) start() {
	c.edge.table.addClient(c)
	c.mu.Lock()
	c.pause, c.deadline = T1, time.Now().Add(64*T1)
	first := c.pause
	if c.path.reliable() {
		first = 64 * T1
	}
	c.timer = time.AfterFunc(first, c.fire)
	data := c.data
	c.mu.Unlock()
	c.edge.metrics.sent(data)
	if err := c.path.send(data); err != nil && c.path.reliable() {
		c.fail(err)
	}
}

// fire repeats the request, or gives it up (timers A, B, E and F).
func (c *client) fire() {
	c.mu.Lock()
	if c.done || c.data == nil {
		c.mu.Unlock()
		return
	}
	now := time.Now()
	if !now.Before(c.deadline) {
		c.mu.Unlock()
		c.fail(nil)
		return
	}
	c.pause *= 2
	if c.method != "INVITE" {
		c.pause = min(c.pause, T2)
	}
	wait := c.deadline.Sub(now)
	repeat := !c.path.reliable()
	if repeat {
		wait = min(wait, c.pause)
	}
	c.timer.Reset(wait)
	data := c.data
	c.mu.Unlock()
	if repeat {
		c.edge.metrics.repeated("out")
		_ = c.path.send(data)
	}
}

func (c *client) fail(err error) {
	if c.finish() {
		c.deliver(nil, c.path, err)
	}
}

// finish ends the transaction; it reports false when it had ended.
func (c *client) finish() bool {
	c.mu.Lock()
	done := c.done
	c.done, c.data = true, nil
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.edge.table.removeClient(c)
	return !done
}

// receive takes a response.
func (c *client) receive(m *message.Message, p path) {
	invite := c.method == "INVITE"
	switch {
	case invite: // who sent it finishes it: further answers may come
		c.calm()
	case m.Status < 200:
		c.mu.Lock()
		c.pause = T2
		c.mu.Unlock()
	default:
		if !c.finish() {
			return
		}
	}
	c.deliver(m, p, nil)
}

// calm stops repeating an INVITE, and the time of its first answer.
func (c *client) calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = nil
	c.timer.Stop()
}

// waits says that nothing has come back yet.
func (c *client) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.done && c.data != nil
}
