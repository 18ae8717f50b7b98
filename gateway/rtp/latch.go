package rtp

import (
	"net/netip"
	"time"
)

// Terms of the lock onto the source of a stream.
const (
	probation = 4               // packets in order before a stranger is believed
	takeover  = 5 * time.Second // silence after which the locked host may use another port
)

// latch decides whose packets are the peer's and where ours go: symmetric RTP
// (RFC 4961). Behind a NAT the peer's packets come from elsewhere than its
// description says. The described address is believed at once, another port of
// the described host too; a stranger only when following is allowed, after
// some packets in order, and never once somebody else is locked in. So nobody
// takes over a call by sending to its port.
type latch struct {
	described netip.AddrPort
	follow    bool // believe strangers

	locked netip.AddrPort // zero: nobody yet
	heard  time.Time

	candidate netip.AddrPort
	sequence  uint16
	seen      int
}

// describe takes over an address from signalling and lets go of the old one,
// if it is another.
func (l *latch) describe(addr netip.AddrPort) {
	if addr != l.described {
		*l = latch{described: addr, follow: l.follow}
	}
}

// accept decides about a packet.
func (l *latch) accept(from netip.AddrPort, sequence uint16, now time.Time) bool {
	switch {
	case from == l.locked:
	case from == l.described:
		l.locked = from
	case l.locked.IsValid():
		if from.Addr() != l.locked.Addr() || now.Sub(l.heard) < takeover {
			return false
		}
		l.locked = from
	case from.Addr() == l.described.Addr() && l.described.Port() != 0:
		l.locked = from
	case !l.follow || !l.proven(from, sequence):
		return false
	default:
		l.locked = from
	}
	l.heard = now
	return true
}

// proven reports whether a stranger sent enough packets in order.
func (l *latch) proven(from netip.AddrPort, sequence uint16) bool {
	if from != l.candidate || sequence != l.sequence+1 {
		l.candidate, l.seen = from, 0
	}
	l.sequence = sequence
	l.seen++
	return l.seen >= probation
}

// target is where our packets go.
func (l *latch) target() netip.AddrPort {
	if l.locked.IsValid() {
		return l.locked
	}
	return l.described
}
