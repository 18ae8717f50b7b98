package sip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"trunkline/gateway/sip/message"
)

// health is whether the peer is there.
type health struct {
	mu        sync.Mutex
	down      bool
	failures  int // in a row
	successes int
	active    int // the target that is used
	since     time.Time
	lastError string
	lastAt    time.Time
	roundTrip time.Duration
}

const (
	resolveAgain = 5 * time.Minute
	resolveRetry = 10 * time.Second
	resolveTime  = 10 * time.Second
)

// watch keeps the trunk's addresses and its health known.
func (t *trunk) watch(ctx context.Context) {
	resolveAt := time.Now()
	pingAt := time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(resolveAt) {
			resolveAt = now.Add(t.refreshTargets(ctx))
		}
		conf := t.conf.Load()
		pings := conf.Ping.Interval > 0 && len(conf.Connect) > 0
		if pings && !now.Before(pingAt) {
			t.ping(ctx, conf)
			pingAt = time.Now().Add(jitter(conf.Ping.Interval) + conf.Ping.Interval/4)
		}
		next := resolveAt
		if pings && pingAt.Before(next) {
			next = pingAt
		}
		select {
		case <-ctx.Done():
		case <-t.kick:
			pingAt = time.Now()
			if !pings { // nothing to ask with: do not spin
				t.pause(ctx, time.Second)
			}
		case <-time.After(time.Until(next)):
		}
	}
}

func (t *trunk) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// refreshTargets looks the names up and returns when to do it again.
func (t *trunk) refreshTargets(parent context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(parent, resolveTime)
	defer cancel()
	changed, err := t.resolve(ctx)
	if changed {
		t.edge.allow()
	}
	if err != nil && parent.Err() == nil {
		t.note(err)
		return jitter(resolveRetry)
	}
	return jitter(resolveAgain)
}

func (t *trunk) note(err error) {
	t.health.mu.Lock()
	defer t.health.mu.Unlock()
	t.health.lastError, t.health.lastAt = err.Error(), time.Now()
}

// ping asks each target in turn until one answers.
func (t *trunk) ping(ctx context.Context, conf *Trunk) {
	var err error
	begin := time.Now()
	for n := range max(1, t.targetCount()) {
		if err = t.options(ctx, n); err == nil {
			t.alive(conf, n, time.Since(begin))
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
	t.dead(conf, err)
}

func (t *trunk) options(ctx context.Context, n int) error {
	p, err := t.path(ctx, n)
	if err != nil {
		return err
	}
	uri := "sip:" + t.domain()
	m, err := t.ask(ctx, p, ask{method: "OPTIONS", uri: uri, from: "<sip:trunkline@" + p.local() + ">", to: "<" + uri + ">", callID: t.edge.newTag(), seq: 1,
		extra: [][2]string{{"Accept", sdpType}}})
	switch {
	case err != nil:
		return err
	case m.Status == 408 || m.Status == 503:
		return fmt.Errorf("sip: OPTIONS was answered with %d %.40s", m.Status, m.Phrase)
	}
	return nil // whatever it is, somebody is there
}

func (t *trunk) alive(conf *Trunk, n int, roundTrip time.Duration) {
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.roundTrip = 0, roundTrip
	h.successes++
	if count := t.targetCount(); count > 0 {
		h.active = (h.active + n) % count
	}
	if h.down && h.successes >= conf.Ping.UpAfter {
		h.down, h.since = false, time.Now()
		t.edge.log.Info("a trunk is up", "trunk", t.name)
	}
}

func (t *trunk) dead(conf *Trunk, err error) {
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.successes = 0
	h.failures++
	h.lastError, h.lastAt = err.Error(), time.Now()
	if !h.down && h.failures >= conf.Ping.DownAfter {
		h.down, h.since = true, time.Now()
		t.edge.log.Warn("a trunk is down", "trunk", t.name, "error", err)
	}
}

// ask is a request outside of dialogs.
type ask struct {
	method, uri, from, to, callID string
	seq                           uint32
	extra                         [][2]string
}

var errUnanswered = errors.New("sip: no answer")

// ask sends a request and waits for its final response.
func (t *trunk) ask(ctx context.Context, p path, a ask) (*message.Message, error) {
	e := t.edge
	branch := e.newBranch()
	b := message.AppendRequestLine(nil, a.method, a.uri)
	b = appendVia(b, p, branch)
	b = message.AppendNumber(b, "Max-Forwards", maxForwards)
	b = message.Append(b, "From", a.from+";tag="+e.newTag())
	b = message.Append(b, "To", a.to)
	b = message.Append(b, "Call-ID", a.callID)
	b = appendSequence(b, a.seq, a.method)
	for _, h := range a.extra {
		b = message.Append(b, h[0], h[1])
	}
	b = message.AppendBody(e.appendAgent(b), "", nil)
	type reply struct {
		m   *message.Message
		err error
	}
	got := make(chan reply, 1)
	c := &client{edge: e, branch: branch, method: a.method, path: p, data: b}
	c.deliver = func(m *message.Message, _ path, err error) {
		if m != nil && m.Status < 200 {
			return
		}
		if m == nil && err == nil {
			err = errUnanswered
		}
		select {
		case got <- reply{m, err}:
		default:
		}
	}
	c.start()
	select {
	case r := <-got:
		return r.m, r.err
	case <-ctx.Done():
		c.finish()
		return nil, ctx.Err()
	}
}
