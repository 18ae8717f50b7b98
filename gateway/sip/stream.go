package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway/sip/message"
)

const (
	writeTime   = 5 * time.Second  // for a message to leave
	messageTime = 20 * time.Second // for the rest of a message to come
	connectTime = 5 * time.Second
)

// stream is a TCP or TLS connection, accepted or made by us.
type stream struct {
	edge      *Edge
	conn      net.Conn
	transport Transport
	peer      netip.AddrPort
	sentBy    string // how the peer reaches us
	accepted  bool
	name      string       // of the trunk that it was made for, or that the certificate names
	calls     atomic.Int32 // legs on it

	writing sync.Mutex
	once    sync.Once
	dead    chan struct{}
}

func (s *stream) ended() bool {
	select {
	case <-s.dead:
		return true
	default:
		return false
	}
}

func (s *stream) close() {
	s.once.Do(func() {
		close(s.dead)
		_ = s.conn.Close()
		s.edge.streams.remove(s)
		for _, c := range s.edge.table.unanswered(s) {
			c.fail(net.ErrClosed)
		}
	})
}

func (s *stream) write(b []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := s.conn.Write(b)
	if err != nil {
		s.edge.metrics.sendFailures.Inc()
		s.close() // half a message may be out
	}
	return err
}

// run reads messages until the connection ends.
func (s *stream) run() {
	defer s.close()
	limit := s.edge.current.Load().config.MaxMessage
	buf := make([]byte, 0, 4096)
	for {
		rest, pings := skipKeepAlive(buf)
		buf = append(buf[:0], rest...)
		for range pings {
			if s.write([]byte("\r\n")) != nil { // RFC 5626 §4.4.1
				return
			}
		}
		total, err := message.Length(buf)
		switch {
		case err != nil:
			s.edge.unreadable(buf, path{stream: s, peer: s.peer}, s.name, err)
			return
		case total > limit || total == 0 && len(buf) >= limit:
			s.edge.tooLarge(buf, path{stream: s, peer: s.peer}, s.name)
			return
		case total > 0 && len(buf) >= total:
			s.edge.guard("receiving", func() { s.edge.streamed(buf[:total], s) })
			buf = append(buf[:0], buf[total:]...)
			continue
		}
		if buf, err = s.more(buf); err != nil {
			return
		}
	}
}

// skipKeepAlive takes off line ends before a message; two of them are a ping.
func skipKeepAlive(b []byte) (rest []byte, pings int) {
	for len(b) >= 4 && string(b[:4]) == "\r\n\r\n" {
		b = b[4:]
		pings++
	}
	if len(b) > 2 && b[0] == '\r' && b[1] == '\n' && b[2] != '\r' {
		b = b[2:]
	}
	return b, pings
}

// more reads what there is. Silence ends a connection on which no call is.
func (s *stream) more(buf []byte) ([]byte, error) {
	if len(buf) == cap(buf) {
		buf = append(buf, make([]byte, cap(buf))...)[:len(buf)]
	}
	wait := messageTime
	if len(buf) == 0 {
		wait = s.edge.current.Load().config.IdleTimeout
	}
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(wait))
		n, err := s.conn.Read(buf[len(buf):cap(buf)])
		if n > 0 {
			return buf[:len(buf)+n], nil
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && len(buf) == 0 && s.calls.Load() > 0 {
			continue
		}
		if err == nil {
			err = net.ErrClosed
		}
		return buf, err
	}
}

// streams are all connections, bounded in number.
type streams struct {
	mu        sync.Mutex
	all       map[*stream]struct{}
	byAddress map[netip.Addr]int // accepted ones
	accepted  int
}

// admit counts an accepted connection in.
func (t *streams) admit(s *stream, cfg *Config) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.accepted >= cfg.MaxConnections || t.byAddress[s.peer.Addr()] >= cfg.MaxConnectionsPerAddress {
		return false
	}
	t.accepted++
	t.byAddress[s.peer.Addr()]++
	t.all[s] = struct{}{}
	return true
}

func (t *streams) add(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[s] = struct{}{}
}

func (t *streams) remove(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.all[s]; !ok {
		return
	}
	delete(t.all, s)
	if !s.accepted {
		return
	}
	t.accepted--
	if t.byAddress[s.peer.Addr()]--; t.byAddress[s.peer.Addr()] <= 0 {
		delete(t.byAddress, s.peer.Addr())
	}
}

func (t *streams) list() []*stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*stream, 0, len(t.all))
	for s := range t.all {
		list = append(list, s)
	}
	return list
}

// acceptor is a TCP or TLS listener.
type acceptor struct {
	net.Listener
	conf Listener
	addr netip.AddrPort
	tls  *tls.Config // nil: TCP
}

func openAcceptor(ctx context.Context, conf Listener) (*acceptor, error) {
	a := &acceptor{conf: conf}
	var err error
	if conf.TLS != nil {
		if a.tls, err = conf.TLS.server(); err != nil {
			return nil, err
		}
	}
	if a.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", conf.Address); err != nil {
		return nil, err
	}
	a.addr = addrPort(a.Addr())
	return a, nil
}

// accept takes connections until the listener is closed.
func (e *Edge) accept(a *acceptor) {
	for {
		conn, err := a.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			e.log.Warn("a connection could not be accepted", "address", a.addr.String(), "error", err)
			select {
			case <-time.After(reopenPause): // out of file descriptors, mostly
			case <-e.ended:
				return
			}
			continue
		}
		e.tasks.Go(func() { e.guard("serving a connection", func() { e.welcome(a, conn) }) })
	}
}

// welcome serves an accepted connection of somebody whom we know.
func (e *Edge) welcome(a *acceptor, conn net.Conn) {
	s := &stream{edge: e, conn: conn, transport: a.conf.Transport, peer: addrPort(conn.RemoteAddr()), accepted: true, dead: make(chan struct{})}
	byCertificate := a.tls != nil && a.tls.ClientCAs != nil
	if !byCertificate && e.trunkAt(s.peer) == nil {
		e.metrics.dropped("unknown_source")
		_ = conn.Close()
		return
	}
	if !e.streams.admit(s, &e.current.Load().config) {
		e.metrics.dropped("connections")
		_ = conn.Close()
		return
	}
	defer s.close()
	s.sentBy = advertised(a.conf.Advertise, a.addr, func() string { return addrPort(conn.LocalAddr()).Addr().String() })
	if a.tls != nil && !s.handshake(a.tls, byCertificate) {
		e.metrics.dropped("tls")
		return
	}
	s.run()
}

// handshake begins TLS, and finds whose certificate it is.
func (s *stream) handshake(conf *tls.Config, byCertificate bool) bool {
	secure := tls.Server(s.conn, conf)
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	if secure.HandshakeContext(ctx) != nil {
		return false
	}
	s.conn = secure
	if !byCertificate {
		return true
	}
	leaf := secure.ConnectionState().PeerCertificates[0]
	for name, t := range s.edge.current.Load().trunks {
		if c := t.conf.Load().Certificate; c != "" && leaf.VerifyHostname(c) == nil {
			s.name = name
			return true
		}
	}
	return s.edge.trunkAt(s.peer) != nil
}

// dial makes a connection to a trunk.
func (e *Edge) dial(ctx context.Context, t *trunk, to target) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conf := t.conf.Load()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", to.addr.String())
	if err != nil {
		return nil, err
	}
	s := &stream{edge: e, conn: conn, transport: conf.Transport, peer: to.addr, name: t.name, dead: make(chan struct{})}
	if conf.Transport == TLSTCP {
		tc, err := conf.TLS.client(to.host)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		secure := tls.Client(conn, tc)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		s.conn = secure
	}
	s.sentBy = e.sentByOf(conf.Transport, addrPort(conn.LocalAddr()))
	e.streams.add(s)
	e.tasks.Go(func() { e.guard("serving a connection", s.run) })
	return s, nil
}

// sentByOf is how a peer reaches us when we connected to it: a listener of the
// same kind, or else the connection alone.
func (e *Edge) sentByOf(t Transport, local netip.AddrPort) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.acceptors {
		if a.conf.Transport == t {
			return advertised(a.conf.Advertise, a.addr, func() string { return local.Addr().String() })
		}
	}
	return local.String()
}
