package main

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"trunkline/gateway/smpp/pdu"
)

const pduLimit = 64 << 10

// link is one SMPP session of the harness, either side of it. What many
// goroutines write is gathered, and goes out at the next kick.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
	life int   // of the gateway, when the session began
	line *line // what carries keywords over it; nil if nothing does

	mu         sync.Mutex
	out, spare []byte
	err        error

	dirty chan struct{}
	done  chan struct{}
	once  sync.Once

	reports reportWindow
}

func newLink(c net.Conn) *link {
	l := &link{conn: c, in: bufio.NewReaderSize(c, 64<<10), dirty: make(chan struct{}, 1), done: make(chan struct{})}
	go l.flush()
	return l
}

func (l *link) close() {
	l.once.Do(func() { close(l.done); l.conn.Close() })
}

// flush writes what was gathered; while it does, more can be.
func (l *link) flush() {
	for {
		select {
		case <-l.dirty:
		case <-l.done:
			return
		}
		l.mu.Lock()
		b := l.out
		l.out, l.spare = l.spare[:0], nil
		l.mu.Unlock()
		_, err := l.conn.Write(b)
		l.mu.Lock()
		l.spare = b
		if err != nil {
			l.err = err
		}
		l.mu.Unlock()
		if err != nil {
			l.close() // its reader ends then
			return
		}
	}
}

// write gathers a PDU; body may be nil.
func (l *link) write(h pdu.Header, body pdu.Body) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if body == nil {
		l.out = pdu.AppendHeader(l.out, h)
		return nil
	}
	out, err := body.Append(l.out, h)
	if err == nil {
		l.out = out
	}
	return err
}

// kick sends what was gathered.
func (l *link) kick() {
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// send writes a PDU at once.
func (l *link) send(h pdu.Header, body pdu.Body) error {
	err := l.write(h, body)
	l.kick()
	return err
}

// read takes the next PDU; it is valid until the next call.
func (l *link) read() (b []byte, h pdu.Header, err error) {
	l.buf, h, err = pdu.Read(l.in, l.buf, pduLimit)
	return l.buf, h, err
}

// drained tells that the next read would have to wait for the network.
func (l *link) drained() bool { return l.in.Buffered() == 0 }

// bind logs in as a transceiver.
func bind(address, systemID, password string) (*link, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	l := newLink(c)
	body := &pdu.Bind{SystemID: []byte(systemID), Password: []byte(password), InterfaceVersion: 0x34}
	err = l.send(pdu.Header{ID: pdu.IDBindTransceiver, Sequence: 1}, body)
	var h pdu.Header
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, h, err = l.read()
		_ = c.SetReadDeadline(time.Time{})
	}
	if err == nil && h.Status != 0 {
		err = fmt.Errorf("%s answers the bind with %s", address, h.Status)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}
