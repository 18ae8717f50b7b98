package smpp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// listener is an address on which carriers bind in.
type listener struct {
	conf Listener
	net.Listener
	tls atomic.Pointer[tls.Config] // nil: plain
}

func listen(ctx context.Context, conf Listener) (*listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", conf.Address)
	if err != nil {
		return nil, fmt.Errorf("smpp: listening on %q: %w", conf.Address, err)
	}
	return &listener{conf: conf, Listener: ln}, nil
}

// accept serves a listener until it is closed.
func (e *Edge) accept(l *listener) {
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			e.admit(l, conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Too many open files, or a connection that ended early.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		e.log.Warn("an SMPP connection could not be accepted", "address", l.Addr().String(), "error", err)
		time.Sleep(pause)
	}
}

// admit serves a connection, or closes it when there are too many or no carrier
// may come from its address.
func (e *Edge) admit(l *listener, conn net.Conn) {
	set := e.current.Load()
	addr := addrPort(conn.RemoteAddr()).Addr()
	reason := ""
	switch {
	case e.stopping.Load():
		reason = "stopping"
	case !set.anyFrom(addr):
		reason = "address"
	default:
		reason = e.connected(addr, &set.config)
	}
	if reason != "" {
		e.metrics.turnedAway.WithLabelValues(reason).Inc()
		conn.Close()
		return
	}
	e.tasks.Go(func() {
		defer e.disconnected(addr)
		e.serve(l, conn)
	})
}

// serve is the life of a connection that was accepted.
func (e *Edge) serve(l *listener, conn net.Conn) {
	limit := time.Now().Add(e.current.Load().config.SessionInit)
	conn.SetDeadline(limit)
	if conf := l.tls.Load(); conf != nil {
		secure := tls.Server(conn, conf)
		if err := secure.HandshakeContext(e.ending); err != nil {
			e.metrics.turnedAway.WithLabelValues("tls").Inc()
			e.log.Info("a TLS handshake failed", "peer", conn.RemoteAddr().String(), "error", err)
			conn.Close()
			return
		}
		conn = secure
	}
	conn.SetWriteDeadline(time.Time{})
	s := newSession(e, conn, false)
	if !e.enter(s) {
		conn.Close()
		return
	}
	defer e.exit(s)
	e.ended(s, s.run())
}

// ended takes note of why a session is over.
func (e *Edge) ended(s *session, err error) {
	level := e.log.Info
	if s.carrier == nil {
		level = e.log.Debug // scanners and health checks
	}
	e.metrics.ended.WithLabelValues(s.name(), endName(err)).Inc()
	level("an SMPP session ended", "carrier", s.name(), "peer", s.remote.String(), "reason", err)
}

// anyFrom reports whether anybody may bind, or ask us to bind, from addr.
func (t *set) anyFrom(addr netip.Addr) bool {
	for _, c := range t.carriers {
		conf := c.terms.Load()
		if a := conf.Accept; a != nil && within(a.From, addr) {
			return true
		}
		if o := conf.Outbind; o != nil && within(o.From, addr) {
			return true
		}
	}
	return false
}

// within reports whether addr is in one of the networks; no network means all.
func within(networks []netip.Prefix, addr netip.Addr) bool {
	if len(networks) == 0 {
		return true
	}
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// handleBind answers a bind (SMPP 3.4 §4.1).
func (s *session) handleBind(h pdu.Header) {
	if s.client {
		s.reply(h.Response(pdu.ESME_RINVBNDSTS))
		return
	}
	if s.at() != stateOpen {
		s.reply(h.Response(pdu.ESME_RALYBND))
		return
	}
	var m pdu.Bind
	if err := m.Decode(s.buf); err != nil {
		s.refuse(h, err)
		s.finish(errRefused)
		return
	}
	c, status, why := s.edge.login(s, h.ID, &m)
	if status != pdu.ESME_ROK {
		s.edge.metrics.refusedBinds.WithLabelValues(why).Inc()
		level := slog.LevelWarn
		if why == lockedOut { // it was told when that began, and whoever goes on must not fill the disk
			level = slog.LevelDebug
		}
		s.edge.log.Log(context.Background(), level, "an SMPP bind is refused", "system_id", string(m.SystemID), "peer", s.remote.String(), "reason", why, "status", status.String())
		if c != nil {
			c.fault("a bind was refused: " + why)
		}
		s.reply(h.Response(status))
		s.finish(errRefused)
		return
	}
	s.kind, s.version = h.ID, m.InterfaceVersion
	s.receives = h.ID != pdu.IDBindReceiver
	s.sends = h.ID != pdu.IDBindTransmitter
	resp := pdu.BindResp{SystemID: []byte(s.edge.current.Load().config.SystemID)}
	if s.version >= 0x34 {
		resp.TLVs = resp.TLVs.AppendUint8(pdu.TagSCInterfaceVersion, 0x34)
	}
	_ = s.send(h.Response(pdu.ESME_ROK), &resp)
	c.bound(s)
}

// lockedOut is why one is refused whose earlier binds had a wrong login.
const lockedOut = "too_many_failures"

// login finds the carrier that binds. A wrong system_id costs the same time as
// a wrong password.
func (e *Edge) login(s *session, kind pdu.ID, m *pdu.Bind) (*carrier, pdu.Status, string) {
	now, addr, systemID := e.now(), s.remote.Addr(), string(m.SystemID)
	if e.stopping.Load() {
		return nil, pdu.ESME_RBINDFAIL, "stopping"
	}
	if e.guard.refused(now, addr, systemID) {
		return nil, pdu.ESME_RBINDFAIL, lockedOut
	}
	c := e.current.Load().logins[systemID]
	secret := e.decoy
	if c != nil {
		secret = c.secret
	}
	given := sha256.Sum256(m.Password)
	match := subtle.ConstantTimeCompare(given[:], secret[:]) == 1
	switch {
	case c == nil:
		e.guard.failed(now, addr, systemID)
		return nil, pdu.ESME_RINVSYSID, "system_id"
	case !match:
		e.guard.failed(now, addr, systemID)
		return c, pdu.ESME_RINVPASWD, "password"
	}
	t := c.terms.Load()
	switch {
	case !within(t.Accept.From, addr):
		return c, pdu.ESME_RBINDFAIL, "address"
	case t.Accept.TLS && !s.secure:
		return c, pdu.ESME_RBINDFAIL, "not_encrypted"
	case !mayBind(t.Bind, kind):
		return c, pdu.ESME_RBINDFAIL, "bind_type"
	case !c.join(s, t.Accept.MaxBinds):
		return c, pdu.ESME_RBINDFAIL, "too_many_binds"
	}
	e.guard.succeeded(addr, systemID)
	return c, pdu.ESME_ROK, ""
}

// mayBind reports whether a carrier may bind in this way.
func mayBind(configured BindType, kind pdu.ID) bool {
	switch configured {
	case Transmitter:
		return kind == pdu.IDBindTransmitter
	case Receiver:
		return kind == pdu.IDBindReceiver
	case Pair:
		return kind != pdu.IDBindTransceiver
	}
	return true
}

// handleOutbind answers a message centre's invitation with a bind_receiver on
// the same connection (SMPP 3.4 §2.2.1). An invitation that is not expected
// has no answer: the connection ends.
func (s *session) handleOutbind() {
	if s.client || s.at() != stateOpen {
		s.edge.log.Debug("an outbind on a session that needs none", "carrier", s.name())
		return
	}
	var m pdu.Outbind
	if err := m.Decode(s.buf); err != nil {
		s.kill(err)
		return
	}
	c := s.edge.invited(s, &m)
	if c == nil {
		s.edge.metrics.refusedBinds.WithLabelValues("outbind").Inc()
		s.edge.log.Warn("an outbind is refused", "system_id", string(m.SystemID), "peer", s.remote.String())
		s.kill(errRefused)
		return
	}
	s.sendBind(pdu.IDBindReceiver)
}

// invited finds the carrier that an outbind is for and joins the session to it.
func (e *Edge) invited(s *session, m *pdu.Outbind) *carrier {
	now, addr, systemID := e.now(), s.remote.Addr(), string(m.SystemID)
	if e.stopping.Load() || e.guard.refused(now, addr, systemID) {
		return nil
	}
	given := sha256.Sum256(m.Password)
	for _, c := range e.current.Load().carriers {
		t := c.terms.Load()
		if t.Outbind == nil || t.Outbind.SystemID != systemID || t.Bind == Transmitter {
			continue
		}
		want := sha256.Sum256([]byte(t.Outbind.Password))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && within(t.Outbind.From, addr) {
			e.guard.succeeded(addr, systemID)
			s.client = true
			if !c.join(s, 2*c.sessions(t)) {
				return nil
			}
			return c
		}
	}
	e.guard.failed(now, addr, systemID)
	return nil
}
