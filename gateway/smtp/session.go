package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"trunkline/gateway"
)

// Answers. Enhanced codes are those of RFC 3463 and RFC 5321.
var (
	errStopping = answer(421, 4, 3, 2, "The service is stopping: try again later")
	errRate     = answer(421, 4, 7, 0, "Too many messages: try again later")
	errNestedTx = answer(503, 5, 5, 1, "There is a transaction already: say RSET first")
	errSender   = answer(501, 5, 1, 7, "This is not the address of a sender")
	errRcpt     = answer(501, 5, 1, 3, "This is not an address")
	errUTF8     = answer(553, 5, 6, 7, "An address beyond ASCII needs SMTPUTF8")
	errDMARC    = answer(550, 5, 7, 1, "The domain of the sender refuses mails that it cannot prove (DMARC)")
	errRelay    = answer(550, 5, 7, 1, "This is not a relay")
	errUnknown  = answer(550, 5, 1, 1, "There is no such address here")
	errOverload = answer(450, 4, 3, 1, "Too much at once: try again later")
	errStore    = answer(451, 4, 3, 0, "The message could not be kept: try again later")
	errBroken   = answer(451, 4, 4, 2, "The message broke off")
	errTooLong  = answer(500, 5, 5, 2, "A line is too long")
	errNewline  = answer(521, 5, 5, 2, "Bare CR or LF: lines end with CR LF")
)

func answer(code, class, subject, detail int, text string) *gosmtp.SMTPError {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{class, subject, detail}, Message: text}
}

// session is one peer's dialogue, as go-smtp drives it.
type session struct {
	edge *Edge
	smtp *gosmtp.Conn
	conn *conn

	mu sync.Mutex // BDAT reads a message beside the commands, of which RSET may be one
	transaction
}

// transaction is what precedes a message (RFC 5321 §3.3).
type transaction struct {
	open bool
	utf8 bool     // it said SMTPUTF8
	from string   // its return path; empty for notifications
	to   []string // numbers of ours, each once
	// returns are the references of mails of ours whose return paths are recipients.
	returns []string
}

func (e *Edge) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	s := &session{edge: e, smtp: c}
	switch below := c.Conn().(type) {
	case *conn:
		s.conn = below
	case *tls.Conn: // after STARTTLS
		s.conn, _ = below.NetConn().(*conn)
	}
	if s.conn == nil {
		return nil, errors.New("smtp: a connection of unknown origin")
	}
	return s, nil
}

// Mail implements gosmtp.Session.
func (s *session) Mail(from string, o *gosmtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.edge.isStopping():
		s.conn.quit.Store(true)
		return s.refuse(reasonStopping, errStopping)
	case s.open:
		return errNestedTx
	case from != "" && !ValidAddress(from):
		return s.refuse(reasonAddress, errSender)
	case !isASCII(from) && !o.UTF8:
		return s.refuse(reasonAddress, errUTF8)
	case !s.edge.limiter.take(s.conn.peer, time.Now()):
		s.conn.quit.Store(true)
		return s.refuse(reasonRate, errRate)
	}
	s.transaction = transaction{open: true, utf8: o.UTF8, from: from}
	return nil
}

// Rcpt implements gosmtp.Session. Only our own addresses are taken.
func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ValidAddress(to):
		return s.refuse(reasonAddress, errRcpt)
	case !isASCII(to) && !s.utf8:
		return s.refuse(reasonAddress, errUTF8)
	}
	if reference, ok := s.edge.returnPath(to); ok {
		if !slices.Contains(s.returns, reference) {
			s.returns = append(s.returns, reference)
		}
		return nil
	}
	number, domain := s.edge.mailbox(to)
	switch {
	case number == "" && domain:
		return s.refuse(reasonUnknown, errUnknown)
	case number == "":
		return s.refuse(reasonRelay, errRelay)
	}
	if !slices.Contains(s.to, number) {
		s.to = append(s.to, number)
	}
	return nil
}

func (s *session) refuse(reason string, err *gosmtp.SMTPError) error {
	s.edge.metrics.refused(reason)
	s.edge.log.Debug("mail is refused", "peer", s.conn.RemoteAddr().String(), "reason", reason)
	return err
}

// Data implements gosmtp.Session. It returns nil, which go-smtp answers with 250,
// when the message is durable.
func (s *session) Data(r io.Reader) error {
	s.conn.begin(s.edge.config.DataTimeout)
	defer s.conn.end()
	s.mu.Lock()
	t := s.transaction
	s.mu.Unlock()
	in := newContent(r, s.conn)
	check := s.examine(&t)
	if check != nil {
		in.copied = check
		defer check.Close()
	}
	l, err := readLetter(in, t.from, len(t.to) == 0, s.edge.config.MaxHeader)
	_, _ = io.Copy(io.Discard, in) // attachments, and what is wrong with them
	if in.err == nil && in.chunked && s.conn.ended.Load() {
		in.err = io.ErrUnexpectedEOF // RFC 3030 §2: go-smtp takes the end of the connection for that of the chunk
	}
	if in.err != nil {
		return s.broken(in.err)
	}
	if err != nil {
		return s.refuse(reasonContent, asAnswer(err))
	}
	if number, _ := s.edge.mailbox(l.from); number != "" && l.kind == fromPerson && !strings.HasPrefix(number, "*") {
		l.kind = loop
	}
	if err := s.authentic(check, l); err != nil {
		return err
	}
	switch {
	case l.kind == fromPerson:
		err = s.hand(l, t.to)
	case l.notice != nil:
		err = s.tell(l, t.returns)
	}
	if err != nil {
		return err
	}
	s.edge.metrics.messages.WithLabelValues(string(l.kind)).Inc()
	return nil
}

// broken answers a message that did not come as a whole, or not as it may.
func (s *session) broken(err error) error {
	var own *gosmtp.SMTPError
	switch {
	case errors.Is(err, errNewline):
		// Where the message ends is not the same for everybody: whatever follows on the
		// connection could be its content (SMTP smuggling).
		s.edge.metrics.refused(reasonNewline)
		s.edge.log.Info("a mail with a bare CR or LF is refused", "peer", s.conn.RemoteAddr().String())
		hangUp(s.smtp.Conn(), "521 5.5.2 "+errNewline.Message+"\r\n")
		return errNewline
	case errors.Is(err, gosmtp.ErrTooLongLine):
		return s.refuse(reasonContent, errTooLong)
	case errors.As(err, &own): // ErrDataTooLarge
		return s.refuse(reasonSize, own)
	}
	return s.refuse(reasonBroken, errBroken)
}

func asAnswer(err error) *gosmtp.SMTPError {
	var own *gosmtp.SMTPError
	if errors.As(err, &own) {
		return own
	}
	return errHeader
}

// hand gives a letter to the core, once for each of our addresses, and waits until it
// is durable. When one of them is refused the peer sends all of it again; who had it
// already knows it by its id (rule R7).
func (s *session) hand(l *letter, to []string) error {
	now := time.Now()
	results := make(chan error, len(to))
	for _, number := range to {
		if s.edge.bodies {
			s.edge.log.Debug("a mail came", "from", l.from, "to", number, "subject", l.subject, "text", l.text)
		}
		s.edge.core.Inbound(gateway.Inbound{
			Channel: gateway.Email, Carrier: carrierName, From: l.from, To: number, Subject: l.subject, Text: l.text, Key: l.id, Received: now,
			Properties: l.properties, Files: l.files,
		}, func(err error) { results <- err })
	}
	return s.await(results, len(to), now)
}

// await waits until the core has answered so many times.
func (s *session) await(results <-chan error, n int, since time.Time) error {
	var refused error
	for range n {
		select {
		case err := <-results:
			if refused == nil {
				refused = err
			}
		case <-s.edge.ended:
			return s.refuse(reasonStopping, errStopping)
		}
	}
	s.edge.metrics.coreTime.Observe(time.Since(since).Seconds())
	return s.verdict(refused)
}

// carrierName is what history and costs name as the carrier of mail.
const carrierName = "smtp"

// verdict is the answer to what the core says.
func (s *session) verdict(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gateway.ErrOverload):
		return s.refuse(reasonOverload, errOverload)
	case errors.Is(err, gateway.ErrStopping), errors.Is(err, context.Canceled):
		return s.refuse(reasonStopping, errStopping)
	case errors.Is(err, gateway.ErrUnavailable):
		return s.refuse(reasonStore, errStore)
	}
	s.edge.log.Warn("the core refused a mail", "error", err)
	return s.refuse(reasonStore, errStore)
}

// Reset implements gosmtp.Session.
func (s *session) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transaction = transaction{}
}

// Logout implements gosmtp.Session.
func (s *session) Logout() error { return nil }

// content is a message as it comes from the peer. Its first error stays.
type content struct {
	r       io.Reader
	conn    *conn // that it comes over; nil: each octet is waited for
	chunked bool  // BDAT: its length is told, so a bare LF moves no border
	prior   byte
	copied  io.Writer // gets what is read; nil: nobody wants it
	err     error
}

func newContent(r io.Reader, from *conn) *content {
	c := &content{r: r, conn: from}
	if _, c.chunked = r.(*io.PipeReader); c.chunked {
		c.r = bufio.NewReader(r)
	}
	return c
}

// Read implements io.Reader.
func (c *content) Read(b []byte) (n int, err error) {
	if c.copied != nil {
		defer func() { _, _ = c.copied.Write(b[:n]) }()
	}
	if c.chunked {
		n, err = c.r.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			c.err = err
		}
		return n, err
	}
	if c.err != nil || len(b) == 0 {
		return 0, c.err
	}
	n, err = c.arrived(b)
	if good, ok := c.inOrder(b[:n]); !ok {
		c.err = errNewline
		return good, c.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// arrived reads what has come, at least one octet. go-smtp's reader fills what it is given,
// and after a bare CR the peer may wait for an answer: so one octet is waited for, and
// of what came with it no more is asked for than there is.
func (c *content) arrived(b []byte) (n int, err error) {
	n, err = c.there(b)
	for n == 0 && errors.Is(err, errNotYet) { // octets that go-smtp takes away, such as a doubled dot, are none
		if n, err = c.r.Read(b[:1]); n == 1 && err == nil && len(b) > 1 {
			n, err = c.there(b[1:])
			n++
		}
	}
	if errors.Is(err, errNotYet) {
		err = nil
	}
	return n, err
}

// there reads what has come already, and nothing is waited for.
func (c *content) there(b []byte) (int, error) {
	if c.conn == nil {
		return 0, errNotYet
	}
	c.conn.hasty.Store(true)
	defer c.conn.hasty.Store(false)
	return c.r.Read(b)
}

// inOrder finds the first CR or LF that stands alone; good is how much is before it.
func (c *content) inOrder(b []byte) (good int, ok bool) {
	for i := 0; i < len(b); {
		if c.prior != '\r' { // on to the next one that matters
			k := bytes.IndexByte(b[i:], '\r')
			if k < 0 {
				k = len(b) - i
			}
			if lf := bytes.IndexByte(b[i:i+k], '\n'); lf >= 0 {
				return i + lf, false
			}
			if i += k; i < len(b) {
				c.prior = '\r'
				i++
			}
			continue
		}
		if b[i] != '\n' {
			return i, false
		}
		c.prior = '\n'
		i++
	}
	return len(b), true
}

var _ net.Conn = (*conn)(nil)
