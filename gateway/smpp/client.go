package smpp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// Versions of the protocol that we name in binds.
const interfaceVersion = 0x34

// kinds are the binds that a carrier's sessions are made of.
func kinds(b BindType) []pdu.ID {
	switch b {
	case Transmitter:
		return []pdu.ID{pdu.IDBindTransmitter}
	case Receiver:
		return []pdu.ID{pdu.IDBindReceiver}
	case Pair:
		return []pdu.ID{pdu.IDBindTransmitter, pdu.IDBindReceiver}
	}
	return []pdu.ID{pdu.IDBindTransceiver}
}

// sessions is the number of sessions that we keep bound.
func (c *carrier) sessions(t *terms) int { return t.Binds * len(kinds(t.Bind)) }

// connect keeps the carrier's binds up until the carrier is stopped.
func (c *carrier) connect() {
	t := c.terms.Load()
	if len(t.Connect) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.tasks.Go(func() {
		<-c.stop
		cancel()
	})
	for n := range t.Binds {
		for _, kind := range kinds(t.Bind) {
			c.tasks.Go(func() { c.keepBound(ctx, kind, n) })
		}
	}
}

// keepBound binds again and again. The pause grows while binding fails; a
// bind that lasted begins anew.
func (c *carrier) keepBound(ctx context.Context, kind pdu.ID, n int) {
	t := &c.terms.Load().Timers // they stay as long as the binds do
	addresses := c.terms.Load().Connect
	failures := 0
	for turn := n; ctx.Err() == nil; turn++ {
		began := time.Now()
		bound, err := c.session(ctx, kind, addresses[turn%len(addresses)])
		if ctx.Err() != nil {
			return
		}
		if bound && time.Since(began) > t.ReconnectTo {
			failures = 0
		}
		failures++
		c.metrics.reconnects.Inc()
		c.fault(fmt.Sprint(err))
		if !bound {
			c.edge.log.Warn("binding failed", "carrier", c.name, "address", addresses[turn%len(addresses)], "error", err)
		}
		select {
		case <-time.After(backoff(failures, t.Reconnect, t.ReconnectTo)):
		case <-ctx.Done():
		}
	}
}

// session is one connection to the message centre, from dialling to its end.
func (c *carrier) session(ctx context.Context, kind pdu.ID, address string) (bound bool, err error) {
	conn, err := c.dial(ctx, address)
	if err != nil {
		return false, err
	}
	e, t := c.edge, c.terms.Load()
	conn.SetReadDeadline(time.Now().Add(t.Timers.Connect))
	s := newSession(e, conn, true)
	if !c.join(s, 2*c.sessions(t)) || !e.enter(s) { // sessions by outbind count too
		conn.Close()
		c.leave(s)
		return false, errStopping
	}
	defer e.exit(s)
	s.sendBind(kind)
	err = s.run()
	e.ended(s, err)
	return !s.since.IsZero(), err
}

// dial connects, over TLS when the carrier wants it.
func (c *carrier) dial(ctx context.Context, address string) (net.Conn, error) {
	t := c.terms.Load()
	ctx, cancel := context.WithTimeout(ctx, t.Timers.Connect)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	if t.TLS == nil {
		return conn, nil
	}
	conf, err := t.TLS.client(address)
	if err != nil {
		conn.Close()
		return nil, err
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return secure, nil
}

// sendBind asks the message centre to bind us.
func (s *session) sendBind(kind pdu.ID) {
	t := s.carrier.terms.Load()
	s.kind, s.version = kind, interfaceVersion
	s.sends = kind != pdu.IDBindReceiver
	s.receives = kind != pdu.IDBindTransmitter
	s.state.CompareAndSwap(int32(stateOpen), int32(stateBinding))
	err := s.send(pdu.Header{ID: kind}, &pdu.Bind{
		SystemID: []byte(t.SystemID), Password: []byte(t.Password), SystemType: []byte(t.SystemType),
		InterfaceVersion: interfaceVersion, AddressRange: []byte(t.AddrRange),
	})
	if err != nil {
		s.kill(fmt.Errorf("binding: %w", err))
	}
}

// handleBindResponse takes the answer to our bind.
func (s *session) handleBindResponse(h pdu.Header) {
	if s.at() != stateBinding || h.ID != s.kind.Response() && h.ID != pdu.IDGenericNack {
		s.stray(h)
		return
	}
	if h.Status != pdu.ESME_ROK || h.ID == pdu.IDGenericNack {
		s.kill(fmt.Errorf("%w: %s", errRefused, h.Status))
		return
	}
	var m pdu.BindResp
	if m.Decode(s.buf) == nil {
		if v, ok := m.TLVs.Uint8(pdu.TagSCInterfaceVersion); ok {
			s.version = v
		}
	}
	s.carrier.bound(s)
}
