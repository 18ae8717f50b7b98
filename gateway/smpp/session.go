package smpp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// Why a session ends.
var (
	errClosed       = errors.New("the connection is closed")
	errPanic        = errors.New("a handler panicked")
	errSilent       = errors.New("the peer is silent")
	errUnanswered   = errors.New("the peer answers no message")
	errUnbound      = errors.New("unbound")
	errInactive     = errors.New("no message for too long")
	errStopping     = errors.New("the daemon stops")
	errReconfigured = errors.New("the configuration changed")
	errRefused      = errors.New("the bind was refused")
	errFraming      = errors.New("the stream has no PDU boundaries any more")
)

const (
	readBuffer   = 16 << 10
	keepBuffer   = 64 << 10         // larger buffers are not kept after use
	outFull      = 256 << 10        // octets that wait for the peer before nothing more is read from it
	writeTimeout = 30 * time.Second // for a write to make its way into the socket
	unboundPDU   = 4 << 10          // largest PDU before a bind, in octets
	lingerTime   = time.Second      // for the peer to read our last words
	partingTime  = 2 * time.Second  // for what is in flight when the peer unbinds
	unbindTime   = 5 * time.Second  // for the peer to answer our unbind
)

// state is where a session stands (SMPP 3.4 §2.2).
type state int32

const (
	stateOpen    state = iota // connected
	stateBinding              // our bind waits for its answer
	stateBound
	stateParting // no new messages; those in flight are finished
	stateClosed
)

func (s state) String() string {
	return [...]string{"open", "binding", "bound", "parting", "closed"}[s]
}

// session is one connection, in either role. A goroutine reads and handles
// what comes, one writes and puts all that waits into one system call, and one
// looks after the timers once the session is bound.
type session struct {
	edge   *Edge
	conn   net.Conn
	remote netip.AddrPort
	client bool // we bind to the peer; else the peer binds to us
	secure bool
	state  atomic.Int32

	// Set before the session is bound, constant from then on.
	carrier  *carrier
	kind     pdu.ID // which bind
	sends    bool   // we may send messages
	receives bool   // the peer may
	version  byte   // interface_version of the peer
	window   int
	windowIn int32
	timers   Timers
	since    time.Time

	heard    atomic.Int64 // edge clock at the last PDU from the peer
	answered atomic.Int64 // at its last answer to a message of ours
	active   atomic.Int64 // at the last message in either direction
	owed     atomic.Int32 // requests of the peer that wait for our answer
	inFlight atomic.Int32 // requests of ours that hold a place of the window
	rateIn   bucket
	rateOut  bucket

	// The reader's own.
	in       *bufio.Reader
	buf      []byte // the PDU at hand
	sm       pdu.SM
	data     pdu.DataSM
	multi    pdu.SubmitMulti
	resp     pdu.SMResp
	arrival  arrival
	deferred bool // a read deadline is set

	mu       sync.Mutex
	wake     sync.Cond // there is something to write, or the end has come
	room     sync.Cond // less waits to be written
	out      []byte    // PDUs that wait to be written
	spare    []byte
	marks    []mark // requests among them
	spared   []mark
	slots    []slot // the window; a request with sequence n is in slots[n%len]
	sequence uint32
	answer   pdu.SMResp // scratch
	closing  bool       // close when all is written
	err      error      // why it ended

	enquired int64 // the timers' own: edge clock of the enquire_link that waits

	unbound     chan struct{} // closed by unbind_resp
	unboundOnce sync.Once
	dead        chan struct{} // closed when the connection is
	tasks       sync.WaitGroup
}

// mark says where a request ends in the buffer that is written.
type mark struct {
	sequence uint32
	end      int
}

// slot is a place of the window. It is free when the sequence is 0, and holds a
// request that was given up when the job is nil: the peer has not answered it
// and may still do so, and counts as loaded with it.
type slot struct {
	job      *job
	written  int64 // edge clock; 0 until it was written
	sequence uint32
}

func newSession(e *Edge, conn net.Conn, client bool) *session {
	s := &session{edge: e, conn: conn, client: client, unbound: make(chan struct{}), dead: make(chan struct{})}
	s.wake.L, s.room.L = &s.mu, &s.mu
	_, s.secure = conn.(*tls.Conn)
	s.remote = addrPort(conn.RemoteAddr())
	s.in = bufio.NewReaderSize(conn, readBuffer)
	s.timers.Response = e.current.Load().config.SessionInit // until a carrier's apply
	s.heard.Store(e.clock())
	return s
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

func (s *session) at() state { return state(s.state.Load()) }

// run serves the connection until it ends and says why it did.
func (s *session) run() error {
	s.start("writing", s.write)
	s.guard("reading", func() { s.kill(s.read()) })
	s.kill(errClosed)
	s.tasks.Wait()
	s.settle()
	return s.reason()
}

// start runs a part of the session on a goroutine of its own.
func (s *session) start(what string, f func()) {
	s.tasks.Go(func() { s.guard(what, f) })
}

// guard turns a panic into the end of this connection.
func (s *session) guard(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.edge.metrics.panics.Inc()
			s.edge.log.Error("a handler of an SMPP connection panicked", "carrier", s.name(), "while", what,
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			s.kill(errPanic)
		}
	}()
	f()
}

func (s *session) name() string {
	if s.carrier == nil {
		return ""
	}
	return s.carrier.name
}

// kill closes the connection now. The first reason stays.
func (s *session) kill(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at() == stateClosed {
		return
	}
	if s.err == nil {
		s.err = reason
	}
	s.state.Store(int32(stateClosed))
	close(s.dead)
	s.conn.Close()
	s.wake.Broadcast()
	s.room.Broadcast()
}

// finish closes the connection when everything is written.
func (s *session) finish(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = reason
	}
	s.closing = true
	for _, from := range [...]state{stateOpen, stateBinding, stateBound} {
		s.state.CompareAndSwap(int32(from), int32(stateParting))
	}
	s.wake.Signal()
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// read handles what the peer sends, until the connection ends.
func (s *session) read() error {
	for {
		h, err := s.next()
		if err != nil {
			return s.readFailed(h, err)
		}
		s.heard.Store(s.edge.clock())
		s.handle(h)
		if cap(s.buf) > keepBuffer {
			s.buf = nil
		}
		s.awaitRoom()
	}
}

// next reads a PDU. The peer may be silent as long as the timers allow, but a
// PDU that has begun must be complete within the response time.
func (s *session) next() (pdu.Header, error) {
	if !s.buffered() && s.at() >= stateBound {
		if _, err := s.in.Peek(1); err != nil {
			return pdu.Header{}, err
		}
		if !s.buffered() {
			s.conn.SetReadDeadline(time.Now().Add(s.timers.Response))
			s.deferred = true
		}
	}
	var h pdu.Header
	var err error
	s.buf, h, err = pdu.Read(s.in, s.buf, s.limit())
	if err == nil && s.deferred {
		s.conn.SetReadDeadline(time.Time{})
		s.deferred = false
	}
	return h, err
}

// buffered reports whether a whole PDU is here already.
func (s *session) buffered() bool {
	n := s.in.Buffered()
	if n < pdu.HeaderLen {
		return false
	}
	b, err := s.in.Peek(pdu.HeaderLen)
	if err != nil {
		return false
	}
	h, err := pdu.DecodeHeader(b)
	return err != nil || uint64(h.Length) <= uint64(n)
}

func (s *session) limit() uint32 {
	limit := uint32(s.edge.current.Load().config.MaxPDU)
	if s.at() == stateOpen {
		return min(limit, unboundPDU)
	}
	return limit
}

// readFailed answers a length that cannot be (SMPP 3.4 §4.3) and lets the
// connection end.
func (s *session) readFailed(h pdu.Header, err error) error {
	var bad *pdu.Error
	if !errors.As(err, &bad) {
		if errors.Is(err, io.EOF) {
			return errClosed
		}
		return err
	}
	s.count(in, h.ID, bad.Status)
	s.reply(h.Nack(bad.Status))
	s.finish(errFraming)
	s.discard()
	return errFraming
}

// discard reads on until the peer closes: closing with octets unread would
// reset the connection and take our last words from the peer.
func (s *session) discard() {
	buf := make([]byte, 4<<10)
	for {
		if _, err := s.in.Read(buf); err != nil {
			return
		}
	}
}

// awaitRoom stops reading from a peer that does not read.
func (s *session) awaitRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) > outFull && s.at() != stateClosed {
		s.room.Wait()
	}
}

// write sends what waits, all of it at once, until the connection ends.
func (s *session) write() {
	for {
		buf, marks, last, ok := s.awaitOutput()
		if !ok {
			return
		}
		var n int
		var err error
		if len(buf) > 0 {
			s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			n, err = s.conn.Write(buf)
		}
		s.wrote(buf, marks, n, err)
		if err != nil {
			s.kill(fmt.Errorf("writing: %w", err))
			return
		}
		if last {
			s.hangUp()
			return
		}
	}
}

func (s *session) awaitOutput() (buf []byte, marks []mark, last, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) == 0 && !s.closing && s.at() != stateClosed {
		s.wake.Wait()
	}
	if s.at() == stateClosed {
		return nil, nil, false, false
	}
	buf, marks = s.out, s.marks
	s.out, s.marks = s.spare[:0], s.spared[:0]
	s.spare, s.spared = nil, nil
	return buf, marks, s.closing, true
}

// wrote starts the response timers of the requests that are with the peer. A
// request of which an octet is missing there cannot be carried out; how much
// of a TLS stream arrived is not known.
func (s *session) wrote(buf []byte, marks []mark, n int, err error) {
	now := s.edge.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range marks {
		slot := &s.slots[m.sequence%uint32(len(s.slots))]
		if slot.sequence == m.sequence && (err == nil || m.end <= n || s.secure) {
			slot.written = now
		}
	}
	if cap(buf) <= keepBuffer {
		s.spare = buf
	}
	s.spared = marks
	s.room.Signal()
}

// hangUp ends our side of the connection and gives the peer a moment to read
// what we said last.
func (s *session) hangUp() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		select {
		case <-time.After(lingerTime):
		case <-s.dead:
		}
	}
	s.kill(errClosed)
}

// reply sends a PDU without a body.
func (s *session) reply(h pdu.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished() {
		return
	}
	s.out = pdu.AppendHeader(s.out, h)
	s.wake.Signal()
	s.count(out, h.ID, h.Status)
}

// replySM answers a message; the message id may be empty.
func (s *session) replySM(h pdu.Header, messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished() {
		return
	}
	s.answer.MessageID = append(s.answer.MessageID[:0], messageID...)
	s.out, _ = s.answer.Append(s.out, h) // our ids fit
	s.wake.Signal()
	s.count(out, h.ID, h.Status)
}

// send writes a PDU of ours with the next sequence number, outside the window,
// or an answer when h has a sequence number.
func (s *session) send(h pdu.Header, body pdu.Body) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished() {
		return errClosed
	}
	if h.Sequence == 0 {
		h.Sequence = s.nextSequence()
	}
	b, err := body.Append(s.out, h)
	if err != nil {
		return err
	}
	s.out = b
	s.wake.Signal()
	s.count(out, h.ID, h.Status)
	return nil
}

// finished reports that nothing more is to be written; s.mu is held.
func (s *session) finished() bool { return s.closing || s.at() == stateClosed }

// nextSequence numbers our requests from 1 (SMPP 3.4 §5.1.4); s.mu is held.
func (s *session) nextSequence() uint32 {
	s.sequence = s.sequence%0x7FFFFFFF + 1
	return s.sequence
}

// refuse answers a request that a Decode or Validate found wrong.
func (s *session) refuse(h pdu.Header, err error) {
	status := pdu.ESME_RSYSERR
	var bad *pdu.Error
	if errors.As(err, &bad) {
		status = bad.Status
		s.edge.log.Debug("an SMPP request is refused", "carrier", s.name(), "pdu", h.ID.String(), "field", bad.Field, "status", status.String())
	}
	s.reply(h.Response(status))
}
