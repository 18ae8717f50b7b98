package smtp

import (
	"flag"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
)

var update = flag.Bool("update", false, "rewrite what is expected in testdata")

// Each transcript is what a peer says and hears, and how many mails arrive by it.
var transcripts = []struct {
	name, talk string
	mails      int
}{
	{"a mail", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<ana@b.example> SIZE=100 BODY=8BITMIME
		S 250 2.0.0
		C RCPT TO:<Shop+may@Example.com>
		S 250 2.0.0
		C DATA
		S 354
		c From: Ana <ana@b.example>\r\nSubject: START\r\n\r\n..hello\r\n.\r\n
		S 250 2.0.0
		C QUIT
		S 221
		X`, 1},
	{"pipelined, two mails", `
		C EHLO peer.example
		S 250
		c MAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nRCPT TO:<help@example.com>\r\nDATA\r\n
		S 250
		S 250
		S 250
		S 354
		c \r\none\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n
		S 250
		S 250
		S 250
		S 354
		c \r\ntwo\r\n.\r\n
		S 250`, 3},
	{"one number is named twice", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C RCPT TO:<shop+x@example.com>
		S 250
		C DATA
		S 354
		c \r\none\r\n.\r\n
		S 250`, 1},
	{"wrong sequence", `
		C MAIL FROM:<a@b.example>
		S 503 5.5.1
		C EHLO peer.example
		S 250
		C RCPT TO:<shop@example.com>
		S 503 5.5.1
		C DATA
		S 503 5.5.1
		C BDAT 4 LAST
		c 1234
		S 503 5.5.1
		C MAIL FROM:<a@b.example>
		S 250
		C MAIL FROM:<a@b.example>
		S 503 5.5.1
		C DATA
		S 503 5.5.1
		C STARTTLS
		S 502 5.5.1
		C NONSENSE
		S 501
		C NONS
		S 500`, 0},
	{"addresses", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<nobody>
		S 501
		C MAIL FROM:<a@b..example>
		S 501 5.1.7
		c MAIL FROM:<a\x00@b.example>\r\n
		S 501
		C MAIL FROM:<jürgen@b.example>
		S 553 5.6.7
		C MAIL FROM:<a@b.example> NONSENSE=1
		S 555
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<>
		S 501
		C RCPT TO:<shop@>
		S 501
		C RCPT TO:<"sh op"@example.com>
		S 501 5.1.3
		C RCPT TO:<nobody@example.com>
		S 550 5.1.1
		C RCPT TO:<ana@elsewhere.example>
		S 550 5.7.1
		C RCPT TO:<ana%elsewhere.example@example.com>
		S 550 5.1.1
		C RCPT TO:<@example.com:ana@elsewhere.example>
		S 550 5.7.1
		C RCPT TO:<ana@[127.0.0.1]>
		S 550 5.7.1
		C RCPT TO:<anything@catch.example>
		S 250
		C DATA
		S 354
		c \r\nx\r\n.\r\n
		S 250`, 1},
	{"SMTPUTF8", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<jürgen@b.example> SMTPUTF8
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c From: jürgen@b.example\r\nSubject: počni\r\n\r\nx\r\n.\r\n
		S 250`, 1},
	{"limits", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example> SIZE=100001
		S 552 5.3.4
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C RCPT TO:<1@catch.example>
		S 250
		C RCPT TO:<2@catch.example>
		S 250
		C RCPT TO:<3@catch.example>
		S 452 4.5.3
		c BDAT 100010 LAST\r\n` + strings.Repeat(`12345678\r\n`, 10_001) + `
		S 552 5.3.4
		C NOOP
		S 250`, 0},
	{"chunks", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		c BDAT 20\r\nSubject: START\r\n\r\nab
		S 250
		c BDAT 4\r\nc\r\n.
		S 250
		c BDAT 2 LAST\r\n\r\n
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		c BDAT 2\r\nab
		S 250
		C RSET
		S 250
		C DATA
		S 503`, 1},
	{"the peer goes in the middle of a mail", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c Subject: START\r\n\r\nhalf`, 0},
	{"the peer goes in the middle of the last chunk", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		c BDAT 100 LAST\r\nSubject: START\r\n\r\nhalf`, 0},
	{"header too large", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c ` + strings.Repeat(`X-Filler: 0123456789012345678901234567890123456789\r\n`, 200) + `\r\nx\r\n.\r\n
		S 554 5.6.0
		C NOOP
		S 250`, 0},
	{"line too long", `
		C EHLO peer.example
		S 250
		C NOOP ` + strings.Repeat("x", 3000) + `
		S 500
		X`, 0},
	{"a loop of mail servers", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c ` + strings.Repeat(`Received: from a by b\r\n`, 51) + `\r\nx\r\n.\r\n
		S 554 5.4.6`, 0},
	{"NUL, escapes and bad UTF-8", `
		C EHLO peer.example
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c Subject: ST\x00ART\r\n\r\n\x00\xff\x1b[31m\r\n.\r\n
		S 250`, 1},
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, test := range transcripts {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			p := h.dial()
			p.play(test.talk)
			p.Close()
			for deadline := time.Now().Add(patience); h.connections() > 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			h.stop()
			h.ended <- <-h.ended // with everything in flight
			if got := h.core.all(); len(got) != test.mails {
				t.Errorf("%d mails came, not %d: %+v", len(got), test.mails, got)
			}
			for _, m := range h.core.all() {
				if strings.ContainsAny(m.Text+m.Subject, "\x00\x1b") || strings.ToValidUTF8(m.Text, "") != m.Text {
					t.Errorf("unclean: %+v", m)
				}
			}
		})
	}
}

// SMTP smuggling: only CR LF . CR LF ends a message. What another server may take for
// an end, or we would take for none, ends the connection, and nothing of it is taken;
// where go-smtp hides a lone CR after a dot, what follows stays in the one message.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\n.\r", "\r\r\n.\r\n", "\r\n.\r\r\n", "\n\r\n.\r\n", "\x00\n.\r\n", "\r\n\x00.\n",
	} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			p := h.dial()
			p.expect("220")
			p.say("EHLO x\r\n")
			p.expect("250")
			p.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
			p.expect("250")
			p.expect("250")
			p.expect("354")
			p.say("Subject: one\r\n\r\nx" + end +
				"MAIL FROM:<boss@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\nSubject: two\r\n\r\ny\r\n.\r\n")
			hidden := strings.HasPrefix(end, "\r\n.\r")
			if hidden {
				p.expect("250")
				p.say("QUIT\r\n")
				p.expect("221")
			} else {
				p.expect("521 5.5.2")
			}
			p.over()
			h.stop()
			h.ended <- <-h.ended
			got := h.core.all()
			if hidden {
				if len(got) != 1 || !strings.Contains(got[0].Text, "MAIL FROM:<boss@b.example>") {
					t.Errorf("smuggled: %+v", got)
				}
				return
			}
			if len(got) != 0 {
				t.Errorf("smuggled: %+v", got)
			}
			if h.count("trunkline_smtp_refusals_total", reasonNewline) != 1 {
				t.Error("it is not counted")
			}
		})
	}
}

// 250 stands for a durable commit, anything else for nothing kept.
func TestAnswerWaitsForTheCore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"kept":     {nil, "250"},
		"overload": {gateway.ErrOverload, "450 4.3.1"},
		"stopping": {gateway.ErrStopping, "421 4.3.2"},
		"disk":     {gateway.ErrUnavailable, "451 4.3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, nil)
			h.core.refuse, h.core.hold = test.err, make(chan struct{})
			p := h.dial()
			p.expect("220")
			p.say("EHLO x\r\n")
			p.expect("250")
			p.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
			p.expect("250")
			p.expect("250")
			p.expect("354")
			p.say("\r\nhello\r\n.\r\n")
			p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if line, err := p.r.ReadString('\n'); err == nil {
				t.Fatalf("%q comes before the commit", line)
			}
			p.SetReadDeadline(time.Now().Add(patience))
			close(h.core.hold)
			p.expect(test.want)
		})
	}
}

// The standard library's client is a peer that nobody here has written.
func TestNetSMTP(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Listen[0].TLS = certificate(t) })
	c, err := smtp.Dial(h.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, ext := range []string{"STARTTLS", "SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES"} {
		if ok, _ := c.Extension(ext); !ok {
			t.Errorf("%s is not offered", ext)
		}
	}
	p := h.dial()
	p.play(`
		C EHLO x
		S 250
		C MAIL FROM:<before@b.example>
		S 250
		c STARTTLS\r\nMAIL FROM:<injected@b.example>\r\nRCPT TO:<shop@example.com>\r\n
		S 220`)
	p.secure()
	p.say("RCPT TO:<shop@example.com>\r\n") // what was said in the clear is forgotten
	p.expect("502 5.5.1")
	p.say("EHLO x\r\n")
	if strings.Contains(p.expect("250"), "STARTTLS") {
		t.Error("STARTTLS is offered twice")
	}
	p.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
	p.expect("250")
	p.expect("250")
	p.expect("354")
	p.say("\r\nhello\r\n\r\r\n.\r\n")
	p.expect("521")
	p.over()
	if got := h.core.all(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Listen[0].TLS, c.Listen[0].Implicit = certificate(t), true })
	p := h.dial()
	p.secure()
	p.play(`
		C DATA
		S 503
		C EHLO x
		S 250
		C MAIL FROM:<a@b.example>
		S 250
		C RCPT TO:<shop@example.com>
		S 250
		C DATA
		S 354
		c \r\nhello\r\n.\r\n
		S 250`)
	if got := h.core.all(); len(got) != 1 || got[0].Text != "hello" || got[0].From != "a@b.example" {
		t.Errorf("%+v", got)
	}
	if s := h.Status(); s[0].TLS != "implicit" || s[0].Connections != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.MaxConnectionsPerAddress, c.Rate = 2, 1 })
	first, second := h.dial(), h.dial()
	first.expect("220")
	second.expect("220")
	third := h.dial()
	third.expect("421")
	third.over()
	first.say("EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
	first.expect("250")
	first.expect("250")
	second.say("EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
	second.expect("250")
	second.expect("421 4.7.0")
	second.over()
	if h.count("trunkline_smtp_refusals_total", reasonPeer) != 1 || h.count("trunkline_smtp_refusals_total", reasonRate) != 1 {
		t.Error("refusals are not counted")
	}
}

func TestSlowPeers(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.CommandTimeout, c.DataTimeout = 200*time.Millisecond, 300*time.Millisecond })
	idle := h.dial()
	idle.expect("220")
	idle.expect("421")
	idle.over()
	slow := h.dial()
	slow.expect("220")
	slow.say("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
	slow.expect("250")
	slow.expect("250")
	slow.expect("250")
	slow.expect("354")
	slow.say("half a line")
	slow.expect("451")
	slow.expect("421")
	slow.over()
}

// Stop: what is in flight is finished, everybody else is told to come back.
func TestStop(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.core.hold = make(chan struct{})
	idle, busy, writing := h.dial(), h.dial(), h.dial()
	for _, p := range []*peer{idle, busy, writing} {
		p.expect("220")
	}
	for _, p := range []*peer{busy, writing} {
		p.say("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
		p.expect("250")
		p.expect("250")
		p.expect("250")
		p.expect("354")
	}
	busy.say("\r\nhello\r\n.\r\n")
	for deadline := time.Now().Add(patience); len(h.core.all()) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	h.Stop()
	idle.expect("421")
	idle.over()
	late := h.dial()
	late.expect("421")
	writing.say("\r\nhello again\r\n.\r\n")
	close(h.core.hold)
	busy.expect("250")
	busy.expect("421")
	writing.expect("250")
	writing.expect("421")
	h.stop()
	h.ended <- <-h.ended
	if n := len(h.core.all()); n != 2 {
		t.Errorf("%d mails came", n)
	}
}

// Mail that no person wrote is taken and goes nowhere (RFC 3834); what it is counts.
func TestMachines(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for i, test := range []struct {
		from, header string
		want         kind
	}{
		{"a@b.example", "From: a@b.example", fromPerson},
		{"a@b.example", "Auto-Submitted: no", fromPerson},
		{"a@b.example", "Auto-Submitted: auto-replied (vacation)", autoReply},
		{"a@b.example", "auto-submitted: auto-generated; x=y", autoReply},
		{"a@b.example", "Precedence: Bulk", autoReply},
		{"a@b.example", "X-Auto-Response-Suppress: OOF, AutoReply", autoReply},
		{"a@b.example", "List-Id: <list.b.example>", autoReply},
		{"", "From: a@b.example", autoReply},
		{"", "Content-Type: multipart/report; report-type=delivery-status; boundary=x", bounce},
		{"a@b.example", "Content-Type: multipart/report; report-type=feedback-report; boundary=x", complaint},
		{"", "Content-Type: multipart/report; report-type=disposition-notification; boundary=x", autoReply},
		{"a@b.example", "From: Shop@example.com", loop},
	} {
		before, came := h.count("trunkline_smtp_messages_total", string(test.want)), len(h.core.all())
		p := h.dial()
		p.expect("220")
		p.say("EHLO x\r\nMAIL FROM:<" + test.from + ">\r\nRCPT TO:<shop@example.com>\r\nDATA\r\n")
		for _, code := range []string{"250", "250", "250", "354"} {
			p.expect(code)
		}
		p.say(test.header + "\r\nSubject: START\r\n\r\nSTART\r\n.\r\n")
		p.expect("250")
		p.Close()
		if h.count("trunkline_smtp_messages_total", string(test.want)) != before+1 {
			t.Errorf("%d: %q is no %s", i, test.header, test.want)
		}
		if went := len(h.core.all()) - came; (went == 1) != (test.want == fromPerson) {
			t.Errorf("%d: %q went on %d times", i, test.header, went)
		}
	}
}

// Whole mails as programs write them, and what is left of them.
func TestLetters(t *testing.T) {
	files, err := filepath.Glob("testdata/letters/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal("no letters", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			l, err := readLetter(strings.NewReader(string(raw)), "return@b.example", false, 8192)
			got := fmt.Sprintf("refused: %v\n", err)
			if err == nil {
				got = fmt.Sprintf("%s from %s id %s\nsubject: %s\n\n%s\n", l.kind, l.from, l.id, l.subject, l.text)
			}
			golden := strings.TrimSuffix(name, ".eml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("got:\n%s\nwant (%v):\n%s", got, err, want)
			}
		})
	}
}
