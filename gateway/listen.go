package gateway

import (
	"net"
	"sync"
)

// Limited is a listener that holds so many connections at the same time, and closes
// what comes on top. A connection costs a file, and the store needs files too.
func Limited(l net.Listener, most int) net.Listener {
	return &limited{Listener: l, places: make(chan struct{}, max(1, most))}
}

type limited struct {
	net.Listener
	places chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &placed{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = c.Close()
		}
	}
}

// placed is a connection that gives its place back when it is closed.
type placed struct {
	net.Conn
	leave func()
}

// NetConn is the connection itself, as a TLS connection gives it too.
func (c *placed) NetConn() net.Conn { return c.Conn }

func (c *placed) Close() error {
	c.leave()
	return c.Conn.Close()
}
