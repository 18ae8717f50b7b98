package rtp

import (
	"net/netip"
	"testing"
	"time"
)

func TestWhoIsBelieved(t *testing.T) {
	described, nat := netip.MustParseAddrPort("198.51.100.7:4000"), netip.MustParseAddrPort("198.51.100.7:61000")
	stranger, attacker := netip.MustParseAddrPort("203.0.113.1:9"), netip.MustParseAddrPort("203.0.113.2:9")
	type step struct {
		from   netip.AddrPort
		seq    uint16
		after  time.Duration
		accept bool
	}
	for name, c := range map[string]struct {
		follow bool
		steps  []step
		target netip.AddrPort
	}{
		"as described":                        {false, []step{{described, 1, 0, true}, {stranger, 2, 0, false}}, described},
		"another port of the host":            {false, []step{{nat, 1, 0, true}, {nat, 2, 0, true}}, nat},
		"the described address wins late":     {true, []step{{nat, 1, 0, true}, {described, 1, 0, true}, {nat, 2, 0, false}}, described},
		"strangers are not followed":          {false, []step{{stranger, 1, 0, false}, {stranger, 2, 0, false}, {stranger, 3, 0, false}, {stranger, 4, 0, false}}, described},
		"a stranger in order is followed":     {true, []step{{stranger, 65534, 0, false}, {stranger, 65535, 0, false}, {stranger, 0, 0, false}, {stranger, 1, 0, true}}, stranger},
		"guessing is not enough":              {true, []step{{attacker, 1, 0, false}, {attacker, 9, 0, false}, {attacker, 3, 0, false}, {attacker, 77, 0, false}}, described},
		"nobody takes over":                   {true, []step{{nat, 1, 0, true}, {attacker, 2, 0, false}, {attacker, 3, 0, false}, {attacker, 4, time.Hour, false}, {attacker, 5, 0, false}}, nat},
		"a NAT that forgot may choose anew":   {false, []step{{described, 1, 0, true}, {nat, 2, time.Second, false}, {nat, 3, time.Minute, true}}, nat},
		"before signalling has said anything": {true, nil, described},
	} {
		l, now := latch{follow: c.follow}, time.Unix(0, 0)
		l.describe(described)
		for i, s := range c.steps {
			now = now.Add(s.after)
			if got := l.accept(s.from, s.seq, now); got != s.accept {
				t.Errorf("%s: step %d: accepted %v", name, i+1, got)
			}
		}
		if l.target() != c.target {
			t.Errorf("%s: sends to %v, want %v", name, l.target(), c.target)
		}
	}
}
