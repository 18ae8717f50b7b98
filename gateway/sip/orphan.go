package sip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"trunkline/gateway/sip/message"
)

// An orphan is a call whose process has ended without a word to the peer. Whoever
// hosts calls keeps the Trace of each, and hangs up by it after the next start: for
// the peer the call goes on until then, and costs.

// trace is what a BYE takes.
type trace struct {
	ID     string         `json:"id"` // our tag
	CallID string         `json:"call_id"`
	Local  string         `json:"local"`
	Remote string         `json:"remote"`
	Target string         `json:"target"`
	Routes []string       `json:"routes,omitempty"`
	Seq    uint32         `json:"seq"`
	Peer   netip.AddrPort `json:"peer"`
	Stream bool           `json:"stream,omitempty"` // it came over TCP or TLS
}

// traceGap is more than the requests that a leg makes after its Trace was taken:
// CSeq may jump, but not go back (RFC 3261 §12.2.2).
const traceGap = 10_000

// Trace is what Bury needs to hang up the call when this process cannot any more. Of
// an incoming call it is taken within Invited; that of an outgoing one comes with Answered.
func (l *Leg) Trace() string {
	d := &l.dialog
	b, err := json.Marshal(trace{l.ID, l.CallID, d.local, d.remote, d.target, d.routes, d.seq, d.path.peer, d.path.reliable()})
	if err != nil { // unreachable: texts and numbers
		return ""
	}
	return string(b)
}

// ErrTrace says that a trace can't be followed.
var ErrTrace = errors.New("sip: the trace of a call can't be read")

// Times of Bury: a connection may not be there yet when the daemon starts.
const (
	buryPause = 2 * time.Second
	buryTries = 5
)

// Bury hangs up a call of a process before. It does not block, and nothing comes of
// it that the host would want to know.
func (e *Edge) Bury(trunk, text string) error {
	var c trace
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("%w: %w", ErrTrace, err)
	}
	if c.ID == "" || c.CallID == "" || !c.Peer.IsValid() {
		return fmt.Errorf("%w: it is not whole", ErrTrace)
	}
	t := e.current.Load().trunks[trunk]
	if t == nil {
		return fmt.Errorf("%w: %q", ErrUnknownTrunk, trunk)
	}
	l := &Leg{edge: e, trunk: t, log: e.log, phase: over}
	l.Info = Info{ID: c.ID, CallID: c.CallID, Trunk: trunk, Received: time.Now()}
	l.dialog = dialog{local: c.Local, remote: c.Remote, target: c.Target, routes: c.Routes, seq: c.Seq + traceGap}
	e.table.addLeg(l)
	l.do(func() { l.bury(&c, buryTries) })
	return nil
}

// bury says BYE as soon as there is a way to the peer.
func (l *Leg) bury(c *trace, tries int) {
	p, err := l.trunk.wayTo(c)
	switch {
	case err == nil:
		l.dialog.path = p
		l.send("BYE", [][2]string{{"Reason", causeRestart.reason()}}, "", nil, func(*message.Message) {})
	case tries > 1:
		l.after(buryPause, func() { l.bury(c, tries-1) })
	default:
		l.log.Warn("a call that the last process left could not be hung up", "trunk", l.Trunk, "error", err)
		l.retire()
	}
}

// wayTo is the way to the peer of a trace.
func (t *trunk) wayTo(c *trace) (path, error) {
	if c.Stream { // the port of a connection that the peer had made takes none
		return t.path(t.edge.ending, 0)
	}
	s := t.edge.socketFor(c.Peer.Addr())
	if s == nil {
		return path{}, errNoPath
	}
	return path{socket: s, peer: c.Peer}, nil
}
