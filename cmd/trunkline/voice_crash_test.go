package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip"
)

// ends counts the legs of a trunk that stand for its peer.
type ends struct {
	mu       sync.Mutex
	answered int
	over     int
	by       []sip.Party
}

func (e *ends) sink(ev sip.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch ev := ev.(type) {
	case sip.Answered:
		e.answered++
	case sip.Ended:
		e.over++
		e.by = append(e.by, ev.By)
	}
}

func (e *ends) are(answered, over int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.answered == answered && e.over == over
}

// Invited implements sip.Handler: every call is taken.
func (e *ends) Invited(l *sip.Leg) func(sip.Event) {
	l.Answer(sdp.Local{Media: netip.MustParseAddrPort("127.0.0.1:9")})
	return e.sink
}

// kill -9 while calls stand, half of them forwarded: every answered leg is on record,
// none is billed beyond the kill, the runs leave through hung_up, and after the
// restart the peers are told that their calls are over.
func TestKilledDuringCalls(t *testing.T) {
	const calls = 12
	peer := new(ends)
	server := freeUDP(t)
	p := softphone{server: server, longest: time.Minute}
	edge, err := p.edgeFor(netip.MustParseAddr("127.0.0.1"), peer, 1000)
	if err != nil {
		t.Fatal(err)
	}
	serveEdgeOfTest(t, edge)
	s := newSite(t, map[string]string{
		"trunkline.yaml": `admin: {listen: ""}
smpp: {listen: []}
storage: {reserve_mib: 16}
sip: {listen: [{address: "` + server + `"}]}
voice: {media: {first_port: 30000, last_port: 39999, inactivity: 0s}}
numbers: [{number: "38591000003", channel: voice}, {number: "38591000004", channel: voice}]
`,
		"trunks/peer.yaml": "trunk: peer\nconnect: [\"" + edge.Addresses()[0].String() + "\"]\nroutes: [{prefix: \"385\"}]\nping: {interval: 0s}\n",
		"flows/menu.yaml": `flow: menu
entries: [{id: in, type: inbound_call, number: "38591000003", next: ask}]
elements:
  ask: {type: collect, max_digits: 4, first_digit_timeout: 60s, on: {hung_up: lost}}
  lost: {type: add_tag, tag: lost}
`,
		"flows/talk.yaml": `flow: talk
entries: [{id: in, type: inbound_call, number: "38591000004", next: go}]
elements:
  go: {type: forward_call, to: "385922", on: {hung_up: lost}}
  lost: {type: add_tag, tag: lost}
`,
		"tariffs/voice.csv": "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from\nvoice,outbound,385,EUR,0.60,0,1,1,2020-01-01\n",
	})
	g := s.start()
	for i := range calls {
		d := sip.Dial{Trunk: "daemon", Called: fmt.Sprint("3859100000", 3+i%2), Caller: fmt.Sprint("3859", 1000+i), Local: sdp.Local{Media: netip.MustParseAddrPort("127.0.0.1:9")}}
		if _, err := edge.Dial(d, peer.sink); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all calls stand", func() bool { return peer.are(calls+calls/2, 0) })
	eventually(t, "they are on record", func() bool {
		return strings.Count(s.must("calls", "list", "--open", "--json"), "\n") == calls+calls/2
	})
	g.kill()
	killed := time.Now()

	g = s.start()
	eventually(t, "the peers are told that the calls are over", func() bool { return peer.are(calls+calls/2, calls+calls/2) })
	for _, by := range peer.by {
		if by != sip.Peer {
			t.Errorf("a call was ended by %s", by)
		}
	}
	eventually(t, "no record is open", func() bool { return s.must("calls", "list", "--open", "--json") == "" })
	out := s.must("calls", "export")
	if n := strings.Count(out, `"detail":"lost"`); n != calls+calls/2 || strings.Count(out, "\n") != n {
		t.Errorf("%d records of lost legs, %d in all", n, strings.Count(out, "\n"))
	}
	for line := range strings.Lines(out) {
		var r struct {
			Answered, Ended time.Time
		}
		s.decode(line, &r)
		if r.Answered.IsZero() || r.Ended.Before(r.Answered) || r.Ended.After(killed) {
			t.Errorf("killed at %s: %s", killed, line)
		}
	}
	for _, id := range []string{"menu", "talk"} {
		if f := s.flow(id); f.Entered != calls/2 || f.Inside != 0 || f.element("lost").Unique != calls/2 {
			t.Errorf("%s: %+v", id, f)
		}
	}
	g.stop()
}
