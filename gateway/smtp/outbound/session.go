package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
)

// timeouts are what a client waits for at least (RFC 5321 §4.5.3.2).
type timeouts struct {
	connect, greeting, mail, rcpt, data, block, end, other time.Duration
}

func usualTimeouts(connect time.Duration) timeouts {
	return timeouts{
		connect: connect, greeting: 5 * time.Minute, mail: 5 * time.Minute, rcpt: 5 * time.Minute,
		data: 2 * time.Minute, block: 3 * time.Minute, end: 10 * time.Minute, other: 5 * time.Minute,
	}
}

// stage is how far a message has come with a server.
type stage uint8

const (
	stageConnect stage = iota // connecting, greeting, EHLO, TLS, AUTH
	stageMail
	stageRcpt
	stageData
	stageContent // the message, but not its end
	stageEnd     // all of it: the server may have it
)

var stageNames = [...]string{"connect", "mail", "rcpt", "data", "content", "end"}

func (s stage) String() string { return stageNames[s] }

// extensions are what a server offers (RFC 5321 §4.1.1.1).
type extensions struct {
	pipelining, startTLS, eightBitMIME, utf8 bool
	size                                     int64 // 0: no limit is told
	auth                                     []string
}

func readExtensions(lines []string) (x extensions) {
	for _, line := range lines[min(1, len(lines)):] {
		word, rest, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch word {
		case "PIPELINING":
			x.pipelining = true
		case "STARTTLS":
			x.startTLS = true
		case "8BITMIME":
			x.eightBitMIME = true
		case "SMTPUTF8":
			x.utf8 = true
		case "SIZE":
			x.size, _ = strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		case "AUTH":
			x.auth = strings.Fields(rest)
		}
	}
	return x
}

// session is a connection to a server that takes mail.
type session struct {
	conn   net.Conn
	r      *bufio.Reader
	wire   []byte // what is written next; its room is kept
	times  *timeouts
	ext    extensions
	host   string // the server's name
	addr   netip.AddrPort
	tls    string // how it is encrypted, for the log: "" or TLS1.3 with who vouches for it
	used   int    // messages it has carried
	failed bool   // nothing can be said on it any more
	dirty  bool   // a transaction was begun and not ended: RSET comes first
}

func newSession(conn net.Conn, host string, addr netip.AddrPort, times *timeouts) *session {
	return &session{conn: conn, r: bufio.NewReaderSize(conn, replyLineMost), times: times, host: host, addr: addr}
}

// read waits for a reply.
func (s *session) read(limit time.Duration) (reply, error) {
	s.conn.SetReadDeadline(time.Now().Add(limit))
	r, err := readReply(s.r)
	if err != nil {
		s.failed = true
		return r, fmt.Errorf("%s: %w", s.host, err)
	}
	if r.code == 421 {
		s.failed = true // RFC 5321 §3.8: it closes the connection
	}
	return r, nil
}

// flush writes what was gathered, in blocks that each have their time. It tells how much went.
func (s *session) flush() (n int, err error) {
	const block = 64 << 10
	for n < len(s.wire) && err == nil {
		s.conn.SetWriteDeadline(time.Now().Add(s.times.block))
		var m int
		m, err = s.conn.Write(s.wire[n:min(n+block, len(s.wire))])
		n += m
	}
	if cap(s.wire) > wireKept {
		s.wire = nil
	}
	s.wire = s.wire[:0]
	if err != nil {
		s.failed = true
		err = fmt.Errorf("%s: %w", s.host, err)
	}
	return n, err
}

// wireKept bounds the buffer that an idle connection keeps.
const wireKept = 64 << 10

// command says one line and waits for the answer.
func (s *session) command(limit time.Duration, line ...string) (reply, error) {
	for _, part := range line {
		s.wire = append(s.wire, part...)
	}
	s.wire = append(s.wire, crlf...)
	if _, err := s.flush(); err != nil {
		return reply{}, err
	}
	return s.read(limit)
}

// refusedError is a reply that ends what was tried.
type refusedError struct {
	stage stage
	what  string
	reply reply
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%s: %s %s", e.what, e.reply.status(), e.reply.text)
}

// greet waits for the greeting and says EHLO, or HELO to a server that knows no other.
func (s *session) greet(name string) error {
	r, err := s.read(s.times.greeting)
	if err != nil {
		return err
	}
	if r.code != 220 {
		return &refusedError{stageConnect, "greeting", r}
	}
	if s.r.Buffered() > 0 { // RFC 2920 §3.1: nothing comes before we said something
		return fmt.Errorf("%w: it speaks before it is asked", errReplySyntax)
	}
	return s.hello(name)
}

func (s *session) hello(name string) error {
	r, err := s.command(s.times.other, "EHLO ", name)
	if err != nil {
		return err
	}
	if r.class() == 2 {
		s.ext = readExtensions(r.lines)
		return nil
	}
	if r.class() == 5 && !s.failed {
		if r, err = s.command(s.times.other, "HELO ", name); err != nil {
			return err
		}
		s.ext = extensions{}
	}
	if r.class() != 2 {
		return &refusedError{stageConnect, "EHLO", r}
	}
	return nil
}

// errInjected: somebody wrote into the connection before it was encrypted.
var errInjected = errors.New("plaintext follows the answer to STARTTLS: somebody writes into the connection")

// startTLS encrypts the session (RFC 3207). What was known of the server is forgotten.
func (s *session) startTLS(ctx context.Context, c *tls.Config, name string) error {
	r, err := s.command(s.times.other, "STARTTLS")
	if err != nil {
		return err
	}
	if r.code != 220 {
		return &refusedError{stageConnect, "STARTTLS", r}
	}
	if s.r.Buffered() > 0 {
		s.failed = true
		return errInjected
	}
	if err := s.encrypt(ctx, c); err != nil {
		return err
	}
	return s.hello(name)
}

// encrypt makes the handshake.
func (s *session) encrypt(ctx context.Context, c *tls.Config) error {
	conn := tls.Client(s.conn, c)
	ctx, cancel := context.WithTimeout(ctx, s.times.other)
	defer cancel()
	s.conn.SetDeadline(time.Time{})
	if err := conn.HandshakeContext(ctx); err != nil {
		s.failed = true
		return &tlsError{err}
	}
	s.conn = conn
	s.r.Reset(conn)
	s.tls = tls.VersionName(conn.ConnectionState().Version)
	s.ext = extensions{}
	return nil
}

// tlsError is a handshake that failed.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "TLS: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// authenticate logs in (RFC 4954), with the strongest mechanism that both know.
func (s *session) authenticate(user, password string) error {
	var client sasl.Client
	for _, m := range s.ext.auth {
		switch {
		case m == sasl.Plain:
			client = sasl.NewPlainClient("", user, password)
		case m == sasl.Login && client == nil:
			client = &loginClient{answers: []string{user, password}}
		}
	}
	if client == nil {
		return fmt.Errorf("%s offers none of AUTH PLAIN and LOGIN, but %q", s.host, strings.Join(s.ext.auth, " "))
	}
	mechanism, first, err := client.Start()
	if err != nil {
		return err
	}
	line := "AUTH " + mechanism
	if first != nil {
		line += " " + initial(first)
	}
	r, err := s.command(s.times.other, line)
	for range 4 {
		if err != nil || r.code != 334 {
			break
		}
		var challenge, answer []byte
		if challenge, err = base64.StdEncoding.DecodeString(r.text); err == nil {
			answer, err = client.Next(challenge)
		}
		if err == nil {
			r, err = s.command(s.times.other, base64.StdEncoding.EncodeToString(answer))
		}
	}
	if err == nil && r.code != 235 {
		err = &refusedError{stageConnect, "AUTH", r}
	}
	return err
}

// loginClient answers the two questions of AUTH LOGIN, however they are put: servers
// differ in their words, and in whether they take the name with the command.
type loginClient struct{ answers []string }

// Start implements sasl.Client.
func (*loginClient) Start() (string, []byte, error) { return sasl.Login, nil, nil }

// Next implements sasl.Client.
func (c *loginClient) Next([]byte) (answer []byte, err error) {
	if len(c.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer = []byte(c.answers[0])
	c.answers = c.answers[1:]
	return answer, nil
}

// initial writes the first response; = stands for an empty one (RFC 4954 §4).
func initial(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// quit says goodbye and closes.
func (s *session) quit() {
	if !s.failed {
		s.times = &timeouts{block: time.Second}
		_, _ = s.command(time.Second, "QUIT")
	}
	s.conn.Close()
}

// ready tells whether the server is silent on a connection that was idle, as it should be.
// One that has spoken, or closed, is not used again.
func (s *session) ready() bool {
	if s.failed || s.r.Buffered() > 0 {
		return false
	}
	s.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := s.r.Peek(1)
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
