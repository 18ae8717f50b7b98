package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip"
)

// switchboard is everybody whom the daemon talks to over its trunk: those who call
// it, and the phone that it forwards them to. It hears no sound.
type switchboard struct {
	edge    *sip.Edge
	end     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	next  int
	calls map[string]*heldCall // by the caller's number, since the last settlement
}

// heldCall is a call as its two ends know it.
type heldCall struct {
	from             string
	answered, talked time.Time // the caller got 200; the phone got ACK
	here, there      *sip.Leg  // what stands: the caller's leg, the phone's
	over             bool      // the caller's leg has ended
}

// nowhere is where sound goes that nobody hears: the discard port.
var nowhere = sdp.Local{Media: netip.MustParseAddrPort("127.0.0.1:9")}

var switchboardConfig = sip.Config{
	Listen: []sip.Listener{{Address: "127.0.0.1:0", Transport: sip.UDP}}, MaxCalls: 100_000, MaxDelay: 5 * time.Second, MaxMessage: 32768,
	SourceRate: 1e6, MaxConnections: 1, MaxConnectionsPerAddress: 1, IdleTimeout: time.Minute, UserAgent: "harness",
}

func newSwitchboard() (*switchboard, error) {
	b := &switchboard{calls: map[string]*heldCall{}}
	var err error
	if b.edge, err = sip.New(switchboardConfig, nil, sip.Options{Handler: b, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.end = cancel
	if err := b.edge.Listen(ctx); err != nil {
		cancel()
		return nil, err
	}
	b.edge.DrainUntil(time.Now())
	b.running.Go(func() { _ = b.edge.Run(ctx) })
	return b, nil
}

func (b *switchboard) address() string { return b.edge.Addresses()[0].String() }

func (b *switchboard) close() {
	b.end()
	b.running.Wait()
}

// connect gives the switchboard its trunk to the daemon.
func (b *switchboard) connect(daemon string) error {
	return b.edge.Reload(switchboardConfig, []sip.Trunk{{
		Name: "daemon", Connect: []string{daemon}, Transport: sip.UDP, Limits: sip.Limits{Calls: 100_000},
		CallerID: sip.CallerID{Trust: "from", Format: "plain"}, Routes: []sip.Route{{}}, Ping: sip.Ping{DownAfter: 1000, UpAfter: 1},
		SessionExpires: 30 * time.Minute, MinSE: 90 * time.Second, Reliable: "supported", Transfer: "refuse",
		RingTimeout: time.Minute, MaxDuration: time.Hour, Symmetric: true,
	}})
}

// call calls a number as somebody who has not called before.
func (b *switchboard) call(number string) {
	b.mu.Lock()
	b.next++
	c := &heldCall{from: fmt.Sprintf("3859%08d", b.next)}
	b.calls[c.from] = c
	b.mu.Unlock()
	leg, err := b.edge.Dial(sip.Dial{Trunk: "daemon", Called: number, Caller: c.from, Local: nowhere}, func(e sip.Event) {
		switch e.(type) {
		case sip.Answered:
			b.note(func() { c.answered = time.Now() })
		case sip.Ended:
			b.note(func() { c.here, c.over = nil, true })
		}
	})
	if err != nil {
		return
	}
	b.note(func() {
		if !c.over {
			c.here = leg
		}
	})
}

func (b *switchboard) note(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// Invited implements sip.Handler: the phone that calls are forwarded to.
func (b *switchboard) Invited(l *sip.Leg) func(sip.Event) {
	b.mu.Lock()
	c := b.calls[digitsOf(l.Caller)]
	b.mu.Unlock()
	if c == nil {
		return nil
	}
	l.Ring()
	l.Answer(nowhere)
	return func(e sip.Event) {
		switch e.(type) {
		case sip.Answered:
			b.note(func() { c.talked, c.there = time.Now(), l })
		case sip.Ended:
			b.note(func() { c.there = nil })
		}
	}
}

func digitsOf(number string) string {
	if number != "" && number[0] == '+' {
		return number[1:]
	}
	return number
}

// hangUpOne ends one of the calls that stand.
func (b *switchboard) hangUpOne(r *rand.Rand) {
	b.mu.Lock()
	var leg *sip.Leg
	for _, c := range b.calls { // the order of a map is no choice of ours
		if leg = c.here; leg != nil && !c.answered.IsZero() {
			if c.there != nil && r.IntN(2) == 0 {
				leg = c.there
			}
			break
		}
	}
	b.mu.Unlock()
	if leg != nil {
		leg.Hangup(0)
	}
}

// abandon is called when the daemon is dead: it returns the legs that stand for one
// of their ends, and gives up what only rings.
func (b *switchboard) abandon() (left []*heldCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if c.here != nil && c.answered.IsZero() {
			c.here.Hangup(0)
			c.here = nil
		}
		if c.here != nil || c.there != nil {
			left = append(left, c)
		}
	}
	return left
}

// awaitEnd waits until the daemon has hung up calls, and returns how many stand.
func (b *switchboard) awaitEnd(ctx context.Context, calls []*heldCall, most time.Duration) (standing int) {
	for end := time.Now().Add(most); ; {
		standing = 0
		b.mu.Lock()
		for _, c := range calls {
			if c.here != nil || c.there != nil {
				standing++
			}
		}
		b.mu.Unlock()
		if standing == 0 || time.Now().After(end) || sleep(ctx, 50*time.Millisecond) != nil {
			return standing
		}
	}
}

// settle returns the calls since the last one, and forgets them.
func (b *switchboard) settle() (all []*heldCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		all = append(all, c)
	}
	b.calls = map[string]*heldCall{}
	return all
}
