package sip

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// path is the way to a peer: where a message came from, and where what belongs
// to it goes. Exactly one of socket and stream is set.
type path struct {
	socket *socket
	stream *stream
	peer   netip.AddrPort
}

var errNoPath = errors.New("sip: there is no way to the peer")

// reliable says that what is sent arrives, or the path is dead.
func (p path) reliable() bool { return p.stream != nil }

func (p path) alive() bool { return p.socket != nil || p.stream != nil && !p.stream.ended() }

// transport is the name in Via.
func (p path) transport() string {
	switch {
	case p.stream == nil:
		return "UDP"
	case p.stream.transport == TLSTCP:
		return "TLS"
	}
	return "TCP"
}

// local is how the peer reaches us: host:port.
func (p path) local() string {
	if p.stream != nil {
		return p.stream.sentBy
	}
	return p.socket.sentBy(p.peer.Addr())
}

func (p path) send(b []byte) error {
	switch {
	case p.stream != nil:
		return p.stream.write(b)
	case p.socket != nil:
		return p.socket.write(b, p.peer)
	}
	return errNoPath
}

// packetConn is what a socket needs of the system.
type packetConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// socket is a UDP listener. One goroutine reads it, so messages keep their
// order; when reading fails it is opened again at the same address.
type socket struct {
	edge *Edge
	conf Listener
	addr netip.AddrPort // bound
	conn atomic.Pointer[packetConn]

	closed    atomic.Bool
	mu        sync.Mutex
	addresses map[netip.Addr]string // of ours towards a peer, when bound to all of them
}

const (
	receiveBuffer = 8 << 20 // octets that the system keeps for us
	reopenPause   = 200 * time.Millisecond
)

func (e *Edge) openSocket(conf Listener) (*socket, error) {
	conn, err := e.listenUDP(conf.Address)
	if err != nil {
		return nil, err
	}
	s := &socket{edge: e, conf: conf, addresses: map[netip.Addr]string{}}
	s.conn.Store(&conn)
	s.addr = addrPort(conn.LocalAddr())
	return s, nil
}

// listenSystem opens a UDP socket of the system.
func listenSystem(address string) (packetConn, error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(receiveBuffer) // as much as the system allows
	_ = conn.SetWriteBuffer(receiveBuffer)
	return conn, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// run reads until the socket is closed.
func (s *socket) run() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := (*s.conn.Load()).ReadFromUDPAddrPort(buf)
		if err == nil {
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			s.edge.guard("receiving", func() { s.edge.datagram(buf[:n], path{socket: s, peer: from}) })
			continue
		}
		if s.closed.Load() {
			return
		}
		s.edge.metrics.reopened.Inc()
		s.edge.log.Error("a UDP listener failed and is opened again", "address", s.addr.String(), "error", err)
		if !s.reopen() {
			return
		}
	}
}

// reopen tries until it works or the socket is closed.
func (s *socket) reopen() bool {
	_ = (*s.conn.Load()).Close()
	for !s.closed.Load() {
		conn, err := s.edge.listenUDP(s.addr.String())
		if err == nil {
			s.conn.Store(&conn)
			if s.closed.Load() {
				_ = conn.Close()
			}
			return !s.closed.Load()
		}
		select {
		case <-time.After(reopenPause):
		case <-s.edge.ended:
			return false
		}
	}
	return false
}

func (s *socket) close() {
	s.closed.Store(true)
	_ = (*s.conn.Load()).Close()
}

func (s *socket) write(b []byte, to netip.AddrPort) error {
	_, err := (*s.conn.Load()).WriteToUDPAddrPort(b, to)
	if err != nil {
		s.edge.metrics.sendFailures.Inc()
	}
	return err
}

// sentBy is how a peer reaches the socket.
func (s *socket) sentBy(peer netip.Addr) string {
	return advertised(s.conf.Advertise, s.addr, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		host, ok := s.addresses[peer]
		if !ok {
			host = localTowards(peer)
			if len(s.addresses) >= maxSources {
				clear(s.addresses)
			}
			s.addresses[peer] = host
		}
		return host
	})
}

// advertised joins what the configuration says with what is bound.
func advertised(conf string, bound netip.AddrPort, towards func() string) string {
	port := int(bound.Port())
	host := bound.Addr().String()
	switch {
	case conf != "":
		var n int
		if host, n, _ = splitHost(conf); n != 0 {
			port = n
		}
	case bound.Addr().IsUnspecified():
		host = towards()
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// localTowards finds our address on the way to a peer. Nothing is sent.
func localTowards(peer netip.Addr) string {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, 9)))
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	return addrPort(conn.LocalAddr()).Addr().String()
}
