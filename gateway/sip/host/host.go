package host

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/sip"
	"trunkline/ivr"
)

// Signalling is the SIP edge as the host uses it.
type Signalling interface {
	Dial(d sip.Dial, sink func(sip.Event)) (*sip.Leg, error)
	Choices(number string) []sip.Choice
	Bury(trunk, trace string) error
}

// Options are what a host works with.
type Options struct {
	Core       gateway.CallCore
	Media      rtp.Config
	Advertised netip.Addr // under which peers reach our media
	Prompts    *prompt.Library
	Recordings *Recordings // nil: nothing can be recorded
	Forwarding Forwarding
	// Prices tells what a call to a number costs now; nil: nothing is known.
	Prices Prices
	// Own says whether a number is one of ours, to which nothing is forwarded.
	Own     func(number string) bool
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Host implements gateway.Caller and sip.Handler.
type Host struct {
	options Options
	edge    Signalling
	log     *slog.Logger
	metrics *metrics
	policy  *policy
	running sync.WaitGroup // what calls have begun
	legs    atomic.Int64

	mu    sync.Mutex
	calls map[string]*call
}

var (
	_ gateway.Caller = (*Host)(nil)
	_ sip.Handler    = (*Host)(nil)
)

// New makes a host. Attach gives it the edge before anything comes.
func New(o Options) *Host {
	if o.Own == nil {
		o.Own = func(string) bool { return false }
	}
	h := &Host{options: o, log: o.Log, calls: map[string]*call{}, policy: newPolicy(o.Forwarding)}
	h.metrics = newMetrics(o.Metrics, h)
	return h
}

// Attach names the edge that calls come from and go to.
func (h *Host) Attach(edge Signalling) { h.edge = edge }

// Spent tells what a flow has spent today before this start, so that limits by
// the day hold over restarts.
func (h *Host) Spent(at time.Time, flow, currency string, cost int64) {
	h.policy.restore(at, flow, currency, cost)
}

// Reload takes over changed rules for forwarding.
func (h *Host) Reload(f Forwarding) { h.policy.reload(f) }

// Calls is how many calls stand.
func (h *Host) Calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// Wait returns when no call stands and every record is with the core, or ctx ends.
func (h *Host) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { h.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Invited implements sip.Handler.
func (h *Host) Invited(l *sip.Leg) func(sip.Event) {
	c := h.newCall(l.ID)
	if c == nil {
		return nil
	}
	lg := c.newLeg(ivr.Caller)
	lg.sip, lg.record.Trace = l, l.Trace()
	lg.record.From, lg.record.To, lg.record.Trunk = digits(l.Caller), digits(l.Called), l.Trunk
	lg.record.Setup = l.Received
	if l.Withheld {
		lg.record.From = ""
	}
	c.do(func() { c.offer(lg) })
	return func(e sip.Event) { c.do(func() { c.happened(lg, lg.attempt, e) }) }
}

// digits is a number without its plus.
func digits(number string) string { return strings.TrimPrefix(number, "+") }

// Do implements gateway.Caller.
func (h *Host) Do(t gateway.CallTask) {
	h.mu.Lock()
	c := h.calls[t.Call]
	h.mu.Unlock()
	if c == nil {
		h.tell(func(done func(error)) {
			h.options.Core.CallOutcome(gateway.CallOutcome{Call: t.Call, Ref: t.Ref, Outcome: ivr.Outcome{Port: ivr.PortHungUp, Over: true}}, done)
		})
		return
	}
	c.do(func() { c.begin(t) })
}

// Start implements gateway.Caller.
func (h *Host) Start(ctx context.Context, o gateway.OutboundCall, done func(gateway.StartResult)) {
	c := h.newCall(o.ID)
	if c == nil {
		done(gateway.StartResult{Fate: gateway.FateRetry, After: time.Second})
		return
	}
	c.unhook = context.AfterFunc(ctx, func() { c.do(c.hangUpAll) })
	c.do(func() { c.start(o, done) })
}

// Bury implements gateway.Caller.
func (h *Host) Bury(trunk, trace string) {
	if trace == "" { // of a version that kept none
		return
	}
	if err := h.edge.Bury(trunk, trace); err != nil {
		h.log.Warn("a call that the last process left could not be hung up", "trunk", trunk, "error", err)
	}
}

// newCall makes a call and lists it; nil when there is one with the id.
func (h *Host) newCall(id string) *call {
	c := &call{host: h, id: id, begun: time.Now(), legs: map[ivr.Leg]*leg{}, timers: map[uint32]*time.Timer{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls[id] != nil {
		c.cancel()
		return nil
	}
	h.calls[id] = c
	h.running.Add(1)
	return c
}

func (h *Host) drop(c *call) {
	h.mu.Lock()
	delete(h.calls, c.id)
	h.mu.Unlock()
	c.cancel()
	if c.unhook != nil {
		c.unhook()
	}
	h.running.Done()
}

// Times of telling the core again what it had no room for.
const (
	againFirst = 50 * time.Millisecond
	againMost  = 5 * time.Second
	againUntil = 2 * time.Minute
)

// tell tells the core something that must not be lost, again and again while it
// has no room. The host waits for it when it stops.
func (h *Host) tell(what func(done func(error))) {
	h.running.Add(1)
	h.again(what, againFirst, time.Now().Add(againUntil))
}

func (h *Host) again(what func(done func(error)), pause time.Duration, until time.Time) {
	what(func(err error) {
		if !errors.Is(err, gateway.ErrOverload) || time.Now().After(until) {
			if err != nil {
				h.metrics.lost.Inc()
				h.log.Error("the core did not take what became of a call", "error", err)
			}
			h.running.Done()
			return
		}
		time.AfterFunc(pause, func() { h.again(what, min(2*pause, againMost), until) })
	})
}
