package smtp

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// hostile are mails that somebody made to break a reader. Each is taken, so that nothing
// of it comes back to us again and again, or refused for good; what flows see of it is
// clean and bounded, and the edge goes on.
func TestHostileMails(t *testing.T) {
	t.Parallel()
	boundary := func(n int) string { return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", n, n) }
	var nested, wide strings.Builder
	for n := range 100 {
		nested.WriteString(boundary(n))
	}
	wide.WriteString(boundary(0))
	for range 2000 {
		wide.WriteString("\nx\n--b0\n")
	}
	const plain = "From: ana@b.example\nSubject: s\n"
	for _, test := range []struct{ name, mail, answer, text string }{
		{"multiparts in multiparts", plain + nested.String(), "554 5.6.0", ""},
		{"thousands of parts", plain + wide.String(), "554 5.6.0", ""},
		{"mails in mails", plain + strings.Repeat("Content-Type: message/rfc822\n\n", 500) + "x", "250", ""},
		{"a boundary that is never there", plain + "Content-Type: multipart/mixed; boundary=never\n\nhello\n", "250", ""},
		{"a boundary that is empty", plain + "Content-Type: multipart/mixed; boundary=\"\"\n\n--\nhello\n", "250", ""},
		{"no boundary", plain + "Content-Type: multipart/mixed\n\nhello\n", "250", ""},
		{"base64 that is none", plain + "Content-Transfer-Encoding: base64\n\n!!!! not base64 ====\n", "250", ""},
		{"quoted-printable that is none", plain + "Content-Transfer-Encoding: quoted-printable\n\n=ZZ=\nhello=\n", "250", "=ZZhello"},
		{"an encoding that nobody knows", plain + "Content-Transfer-Encoding: rot13\n\nuryyb\n", "250", "uryyb"},
		{"a charset that nobody knows", plain + "Content-Type: text/plain; charset=x-unknown\n\nhello\n", "250", "hello"},
		{"a charset that lies", plain + "Content-Type: text/plain; charset=utf-8\n\nna\xefve\n", "250", "na\ufffdve"},
		{"a charset that lies more", plain + "Content-Type: text/plain; charset=utf-16\n\nx\n", "250", "*"},
		{"zero bytes", "From: ana@b.example\nSubject: a\x00b\n\nc\x00d\n", "250", "cd"},
		{"escapes", plain + "\n\x1b[2J\x07hello\x7f\n", "250", "[2Jhello"},
		{"a field without a colon", plain + "what is this\n\nhello\n", "554 5.6.0", ""},
		{"a field without a name", plain + ": x\n\nhello\n", "250", "hello"},
		{"no header", "\nhello\n", "250", "hello"},
		{"nothing", "", "250", ""},
		{"encoded words without end", "From: ana@b.example\nSubject: " + strings.Repeat("=?utf-8?b?", 500) + "\n\nhello\n", "250", "hello"},
		{"a subject with a line break", "From: ana@b.example\nSubject: =?utf-8?q?a=0D=0ABcc:_x?=\n\nhello\n", "250", "hello"},
		{"thousands of fields", plain + strings.Repeat("X: y\n", 1500) + "\nhello\n", "250", "hello"},
		{"a From of thousands", "From: " + strings.Repeat("a@b.example, ", 500) + "ana@b.example\nSubject: s\n\nhello\n", "250", "hello"},
		{"a From that is none", "From: \"<>@,;:\nSubject: s\n\nhello\n", "250", "hello"},
		{"a From with a line break", "From: =?utf-8?q?a=0D=0AX:_y?= <ana@b.example>\nSubject: s\n\nhello\n", "250", "hello"},
		{"a long text", plain + "\n" + strings.Repeat("hello there, this is long\n", 3000), "250", "*"},
		{"HTML without end", plain + "Content-Type: text/html\n\n" + strings.Repeat("<div><blockquote", 2000), "250", ""},
		{"HTML of comments", plain + "Content-Type: text/html\n\nhello" + strings.Repeat("<!--", 5000), "250", "hello"},
		{"entities", plain + "Content-Type: text/html\n\n" + strings.Repeat("&amp;", 5000) + "&#0;&#x1b;", "250", "*"},
		{"names of files without end", plain + "Content-Disposition: attachment; filename*0=a" + strings.Repeat("; filename*1=b", 200) + "\n\nx\n", "250", ""},
		{"a Message-ID without end", plain + "Message-ID: <" + strings.Repeat("x", 1500) + "@b.example>\n\nhello\n", "250", "hello"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(c *Config) { c.MaxLine, c.MaxHeader, c.MaxSize = 50_000, 20_000, 200_000 })
			answer := h.deliver("ana@b.example", "shop@example.com", test.mail)
			if !strings.HasPrefix(answer, test.answer) {
				t.Fatalf("the answer is %q, not %s", answer, test.answer)
			}
			for _, m := range h.core.all() {
				if test.text != "*" && m.Text != test.text {
					t.Errorf("the text is %q, not %q", m.Text, test.text)
				}
				if len(m.Text) > textMost || len(m.Subject) > subjectMost || len(m.Key) > idMost || strings.ContainsAny(m.Subject+m.From, "\r\n\x00") || strings.ContainsAny(m.Text, "\x00\x1b") {
					t.Errorf("unclean or large: %+v", m)
				}
			}
			if answer := h.deliver("ana@b.example", "shop@example.com", plain+"\nand on\n"); !strings.HasPrefix(answer, "250") {
				t.Errorf("the next mail: %s", answer)
			}
		})
	}
}

// Ten thousand recipients are answered one by one, most of them by 452, and the mail
// goes to those that were taken.
func TestTenThousandRecipients(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.MaxRecipients = 100 })
	p := h.dial()
	p.play(`
		C EHLO x
		S 250
		C MAIL FROM:<a@b.example>
		S 250`)
	go func() {
		for n := range 10_000 {
			fmt.Fprintf(p, "RCPT TO:<p%d@catch.example>\r\n", n)
		}
	}()
	counts := map[string]int{}
	for range 10_000 {
		counts[p.reply()[:3]]++
	}
	if counts["250"] != 100 || counts["452"] != 9900 {
		t.Errorf("answers: %v", counts)
	}
	p.say("DATA\r\n")
	p.expect("354")
	p.say("From: a@b.example\r\n\r\nhello\r\n.\r\n")
	p.expect("250")
	if n := len(h.core.all()); n != 1 { // all of them are one number
		t.Errorf("%d mails", n)
	}
}

// A peer that is slow within a mail, or within a command, has its time and no more.
func TestPeersOutOfTime(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.DataTimeout, c.CommandTimeout = 300*time.Millisecond, 300*time.Millisecond })
	for name, said := range map[string]string{
		"silent": "", "half a command": "EHLO x\r\nMAIL FR", "half a mail": "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nDATA\r\nhalf",
		"half a chunk": "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<shop@example.com>\r\nBDAT 100\r\nhalf",
	} {
		p := h.dial()
		p.expect("220")
		p.say(said)
		var last string
		for {
			line, err := p.r.ReadString('\n')
			if err != nil {
				break
			}
			last = line
		}
		if !strings.HasPrefix(last, "421 ") && !strings.HasPrefix(last, "451 ") {
			t.Errorf("%s: the last word is %q", name, last)
		}
	}
	if n := len(h.core.all()); n > 0 {
		t.Errorf("%d mails", n)
	}
}
