package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// gatewayDouble is a gateway without durability or flows: it acknowledges
// keywords and replies at once, but for the messages on which it is told to fail.
type gatewayDouble struct {
	t     *testing.T
	smsc  *link
	mu    sync.Mutex
	seq   uint32
	fault func(n int) string
}

func startDouble(t *testing.T, ctx context.Context, smsc string, fault func(n int) string) (address string) {
	t.Helper()
	out, err := bind(smsc, smscID, smscPassword)
	if err != nil {
		t.Fatal(err)
	}
	g := &gatewayDouble{t: t, smsc: out, fault: fault, seq: 1}
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			l := newLink(c)
			all.Go(func() { <-ctx.Done(); l.close() })
			all.Go(func() { g.esme(l) })
		}
	})
	all.Go(g.reports)
	t.Cleanup(func() { in.Close(); out.close(); all.Wait() })
	return in.Addr().String()
}

func (g *gatewayDouble) esme(l *link) {
	var sm pdu.SM
	for {
		b, h, err := l.read()
		if err != nil {
			return
		}
		if h.ID != pdu.IDSubmitSM {
			_ = l.send(h.Response(0), &pdu.BindResp{SystemID: []byte("double")})
			continue
		}
		if err := sm.Decode(b); err != nil {
			g.t.Error(err)
			return
		}
		n, _ := messageOf(sm.Source.Addr)
		fault := g.fault(n)
		if fault == "refuse" {
			_ = l.send(h.Response(pdu.ESME_RTHROTTLED), nil)
			continue
		}
		_ = l.send(h.Response(0), &pdu.SMResp{MessageID: []byte("1")})
		text := appendReply(nil, n)
		switch fault {
		case "lose":
			continue
		case "twice":
			g.reply(n, text)
		case "wrong":
			text = []byte("Hi null")
		}
		g.reply(n, text)
	}
}

func (g *gatewayDouble) reply(n int, text []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seq++
	_ = g.smsc.send(pdu.Header{ID: pdu.IDSubmitSM, Sequence: g.seq}, &pdu.SM{
		Source: pdu.Address{Addr: []byte(ourNumber)}, Dest: pdu.Address{Addr: appendSender(nil, n)},
		RegisteredDelivery: pdu.ReceiptAlways, ShortMessage: text,
	})
}

// reports refuses every tenth report once.
func (g *gatewayDouble) reports() {
	for count := 0; ; {
		_, h, err := g.smsc.read()
		if err != nil {
			return
		}
		if h.ID != pdu.IDDeliverSM {
			continue
		}
		status := pdu.ESME_ROK
		if count++; count%10 == 0 {
			status = pdu.ESME_RTHROTTLED
		}
		_ = g.smsc.send(h.Response(status), &pdu.SMResp{})
	}
}

// The load, the message centre and the judge together tell a good gateway from
// a bad one.
func TestLoadAgainstDouble(t *testing.T) {
	const size = 500
	for _, c := range []struct {
		fault string // of message 42
		want  []string
	}{
		{"", nil},
		{"refuse", nil},
		{"lose", []string{"1 messages were acknowledged and have no reply, the first from 385980000042"}},
		{"twice", []string{"the reply to 385980000042 came twice in life 0"}},
		{"wrong", []string{`the reply to 385980000042 says "Hi null", not "Size 32 noted, 385980000042"`}},
	} {
		t.Run(fmt.Sprintf("fault=%s", c.fault), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ld := newLoad()
			sc, err := newSMSC(ld, 0)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			all.Go(func() { sc.run(ctx) })
			address := startDouble(t, ctx, sc.address(), func(n int) string {
				if n == 42 {
					return c.fault
				}
				return ""
			})
			all.Go(func() { esmes(ctx, ld, address, 2, 16) })
			p := ld.measure()
			ld.closed(32)
			if err := until(ctx, 30*time.Second, func() bool { return ld.book.replied.Load() >= size }); err != nil {
				t.Fatal(err)
			}
			if quiet := ld.quiet(ctx, 2*time.Second); quiet != (c.fault != "lose") {
				t.Errorf("quiet: %t", quiet)
			}
			v := ld.book.judge(0)
			if !slices.Equal(v.problems, c.want) {
				t.Errorf("problems: %q, want %q", strings.Join(v.problems, "; "), c.want)
			}
			if v.acked+v.refused != ld.book.size() || v.refused != len(ld.statuses) || v.unknown != 0 {
				t.Errorf("of %d messages %d are acknowledged, %d refused, %d unknown", ld.book.size(), v.acked, v.refused, v.unknown)
			}
			if got, want := int(p.latency.n.Load()), v.replied; got != want {
				t.Errorf("%d latencies, want %d", got, want)
			}
			if got := int(ld.book.reported.Load()); got != v.replied || sc.owed() != 0 {
				t.Errorf("%d reports, want %d; %d owed", got, v.replied, sc.owed())
			}
			if sc.refused.Load() == 0 {
				t.Error("no report was refused")
			}
			cancel()
			all.Wait()
		})
	}
}

// A paced load sends what its rate asks for.
func TestPaced(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ld := newLoad()
	sc, err := newSMSC(ld, -1)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { sc.run(ctx) })
	address := startDouble(t, ctx, sc.address(), func(int) string { return "" })
	all.Go(func() { esmes(ctx, ld, address, 1, 4096) })
	if err := until(ctx, 30*time.Second, func() bool { return len(ld.current()) == 1 }); err != nil {
		t.Fatal(err)
	}
	ld.pace(ctx, 1000, 300*time.Millisecond)
	// A loaded machine may give the pacer its last turn early, never more than it asks for.
	if n := ld.book.size(); n < 1 || n > 300 {
		t.Errorf("%d messages in 300 ms at 1000/s", n)
	}
	if !ld.quiet(ctx, 10*time.Second) {
		t.Error("the load did not come to rest")
	}
	if v := ld.book.judge(0); len(v.problems) > 0 || v.replied != ld.book.size() {
		t.Errorf("%+v", v)
	}
	cancel()
	all.Wait()
}
