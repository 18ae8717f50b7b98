package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"trunkline/gateway"
)

// refusalTime is how long a peer that is turned away has to take the reason.
const refusalTime = time.Second

// listener gives go-smtp the connections that may stay.
type listener struct {
	net.Listener
	edge     *Edge
	conf     Listener
	server   *gosmtp.Server
	implicit *tls.Config // nil: plain text at first
	refusal  string      // what is said to a peer that is turned away
}

func (e *Edge) listen(ctx context.Context, conf Listener) (*listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", conf.Address)
	if err != nil {
		return nil, fmt.Errorf("smtp: listening on %q: %w", conf.Address, err)
	}
	l := &listener{Listener: ln, edge: e, conf: conf, server: e.newServer(), refusal: "421 4.3.2 " + e.hostname + ": try again later\r\n"}
	if conf.TLS == nil {
		return l, nil
	}
	c := &gateway.Certificate{Cert: conf.TLS.Cert, Key: conf.TLS.Key}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get}
	if conf.Implicit {
		l.implicit = secure
	} else {
		l.server.TLSConfig = secure
	}
	return l, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := origin(c.RemoteAddr())
		if reason := l.edge.enter(peer); reason != "" {
			l.turnAway(c, reason)
			continue
		}
		return l.welcome(c, peer), nil
	}
}

// turnAway says why a connection may not stay. The few octets fit into any socket
// buffer, so nobody waits.
func (l *listener) turnAway(c net.Conn, reason string) {
	l.edge.metrics.refused(reason)
	if l.implicit == nil {
		c.SetWriteDeadline(time.Now().Add(refusalTime))
		_, _ = io.WriteString(c, l.refusal)
	}
	_ = c.Close()
}

func (l *listener) welcome(c net.Conn, peer netip.Addr) net.Conn {
	conf := l.edge.config
	p := &conn{Conn: c, edge: l.edge, at: l, peer: peer, until: time.Now().Add(conf.SessionTimeout)}
	if l.implicit != nil {
		p.Conn = tls.Server(c, l.implicit)
	}
	p.SetDeadline(time.Now().Add(conf.CommandTimeout)) // of a handshake too
	l.edge.hold(p)
	return p
}

// conn is a connection below go-smtp. It bounds its life, ends it when the daemon
// stops, and makes go-smtp's answers to commands out of order those of RFC 5321.
type conn struct {
	net.Conn
	edge  *Edge
	at    *listener
	peer  netip.Addr
	until time.Time // when it has lived long enough
	// ended: the peer has closed its side. lapsed: it took too long once; where it stands
	// is not known then, so nothing it still sends is a command. quit: it was told to go.
	ended, lapsed, quit atomic.Bool
	// parting: nothing more is read; busy: a message is on its way. Both are guarded
	// by edge.mu.
	parting, busy bool
	closed        atomic.Bool
	hasty         atomic.Bool // only what has come already is wanted

	writing sync.Mutex
	replies []byte // written when the peer is waited for: those to pipelined commands go out together
}

// repliesMost is how much is held back of what is said to a peer.
const repliesMost = 4 << 10

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if c.quit.Load() {
		return 0, io.EOF
	}
	if c.hasty.Load() {
		return 0, errNotYet
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		c.ended.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.lapsed.Store(true)
	}
	return n, err
}

// errNotYet is the answer to who wants what has come already, and there is no more of it.
// It is temporary, so that TLS goes on after it.
var errNotYet error = notYet{}

type notYet struct{}

func (notYet) Error() string   { return "nothing more has come yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

// rewritten are answers of go-smtp that RFC 5321 §4.2.3 and §4.1.1.11 have other
// codes for. Behind STARTTLS they pass as they are, encrypted: the enhanced code is
// the same.
var rewritten = [...]struct{ from, to string }{
	{"502 5.5.1 Please introduce", "503 5.5.1 Please introduce"},
	{"502 5.5.1 Missing", "503 5.5.1 Missing"},
	{"502 5.5.1 MAIL not", "503 5.5.1 MAIL not"},
	{"502 5.5.1 RCPT not", "503 5.5.1 RCPT not"},
	{"502 5.5.1 DATA not", "503 5.5.1 DATA not"},
	{"502 5.5.1 Already", "503 5.5.1 Already"},
	{"500 5.5.4 Unknown", "555 5.5.4 Unknown"},
}

// Write implements net.Conn. go-smtp writes an answer line by line.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	n := len(c.replies)
	c.replies = append(c.replies, b...)
	if len(b) > 4 && b[0] == '5' {
		for _, r := range rewritten {
			if bytes.HasPrefix(b, []byte(r.from)) {
				c.replies = append(append(c.replies[:n], r.to...), b[len(r.from):]...)
			}
		}
	}
	full := len(c.replies) >= repliesMost
	c.writing.Unlock()
	if full {
		return len(b), c.flush()
	}
	return len(b), nil
}

// flush says what was held back.
func (c *conn) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(c.replies) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.replies)
	c.replies = c.replies[:0]
	return err
}

// SetReadDeadline implements net.Conn: nothing outlives the connection's time, and
// when the daemon stops the next command is not waited for. go-smtp then says 421.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.edge.mu.Lock()
	defer c.edge.mu.Unlock()
	switch {
	case c.parting && !c.busy, c.lapsed.Load():
		t = time.Unix(1, 0)
	case t.IsZero() || t.After(c.until):
		t = c.until
	}
	return c.Conn.SetReadDeadline(t)
}

// begin and end surround a message.
func (c *conn) begin(limit time.Duration) {
	c.edge.mu.Lock()
	c.busy = true
	c.edge.mu.Unlock()
	_ = c.SetReadDeadline(time.Now().Add(limit)) // a connection that is gone shows when it is read
}

func (c *conn) end() {
	c.edge.mu.Lock()
	c.busy = false
	c.edge.mu.Unlock()
}

// part lets the connection end at its next command. The caller holds edge.mu.
func (c *conn) part() {
	c.parting = true
	if !c.busy {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.SetWriteDeadline(time.Now().Add(refusalTime)) // whoever does not listen is not waited for
		_ = c.flush()
		c.edge.leave(c)
	}
	return c.Conn.Close()
}

// hangUp says a last word on a connection, in or below TLS, and closes it. What the
// peer still sends is read for a moment and not looked at: closing at once would
// take the last word from it.
func hangUp(c net.Conn, line string) {
	c.SetDeadline(time.Now().Add(refusalTime))
	_, err := io.WriteString(c, line)
	if own := ownConn(c); err == nil && own != nil {
		err = own.flush()
	}
	if err == nil {
		if half, ok := below(c).(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20))
		}
	}
	_ = c.Close()
}

// ownConn is the conn that a connection is, or that TLS goes over.
func ownConn(c net.Conn) *conn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// below is the connection that a conn is made of.
func below(c net.Conn) net.Conn {
	if own, ok := c.(*conn); ok {
		return own.Conn
	}
	return c
}

// origin is whose connection it is: of IPv6 only the network counts, one peer has
// all addresses of a /64.
func origin(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
