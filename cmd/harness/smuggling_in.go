package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// inVector is a dialogue with the daemon. Each mail of it must come from another
// sender, since what is counted are persons.
type inVector struct {
	name string
	// talk is what is said, in turns; each is answered by as many replies as its second
	// part has words, each of which begins with that word. "TLS" goes on encrypted, and
	// "END" expects the end of the connection.
	talk  []turn
	mails int // taken in the end
}

type turn struct{ say, expect string }

// greeted is a dialogue up to the moment when a mail is expected.
func greeted(n int, rest ...turn) []turn {
	return append([]turn{{"", "220"}, {"EHLO peer.example\r\n", "250"}, {fmt.Sprintf("MAIL FROM:<a%d@b.example>\r\n", n), "250"}, {"RCPT TO:<" + mailAddress + ">\r\n", "250"}}, rest...)
}

// second is a mail that somebody hides in another.
func second(n int) string {
	return fmt.Sprintf("MAIL FROM:<boss%d@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\nFrom: boss%d@b.example\r\nSubject: two\r\n\r\ny\r\n.\r\n", n, mailAddress, n)
}

// ends are what some server or other has taken for the end of a message, beside the
// only one that is (RFC 5321 §2.3.8, §4.1.1.4).
var ends = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\r\n.\r\n", "\r\n.\r\r\n", "\n\r\n.\r\n", "\n\n.\n\n",
	"\r\n\n.\n", "\x00\n.\r\n", "\r\n\x00.\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n. \r\n", "\r\n.\t\r\n", "\r\n..\r\n", "\u2028.\u2028", "\x85.\x85", "\v.\v", "\f.\f",
}

// closes tells whether the daemon must end the connection at an end of a message,
// because two servers may see different messages: it holds a CR or LF alone.
func closes(end string) bool {
	for i := range len(end) {
		switch {
		case end[i] == '\n' && (i == 0 || end[i-1] != '\r'), end[i] == '\r' && (i+1 == len(end) || end[i+1] != '\n'):
			return true
		}
	}
	return false
}

func vectorsIn() (all []inVector) {
	n := 0
	add := func(name string, mails int, talk ...turn) {
		all = append(all, inVector{name, talk, mails})
	}
	for _, end := range ends {
		for _, pipelined := range []bool{false, true} {
			n++
			mail := fmt.Sprintf("From: a%d@b.example\r\nSubject: one\r\n\r\nx%s", n, end) + second(n)
			talk, mails := greeted(n, turn{"DATA\r\n", "354"}, turn{mail, "521 END"}), 0
			name := fmt.Sprintf("DATA %q", end)
			if pipelined {
				name += " in one packet"
				talk = []turn{{"", "220"}, {"EHLO peer.example\r\n", "250"}, {
					fmt.Sprintf("MAIL FROM:<a%d@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", n, mailAddress) + mail, "250 250 354 521 END",
				}}
			}
			if !closes(end) || strings.HasPrefix(end, "\r\n.\r") { // all of it is one message
				mails = 1
				for i, t := range talk {
					talk[i].expect = strings.Replace(t.expect, "521 END", "250", 1)
				}
			}
			all = append(all, inVector{name, talk, mails})
		}
	}
	n++
	add("DATA that really ends, and goes on", 2, greeted(n, turn{"DATA\r\n", "354"}, turn{fmt.Sprintf("From: a%d@b.example\r\n\r\nx\r\n.\r\n", n) + second(n), "250 250 250 354 250"})...)
	n++
	add("BDAT holds an end and commands", 1, greeted(n, bdat(fmt.Sprintf("From: a%d@b.example\r\n\r\nx\r\n.\r\n", n)+second(n), true))...)
	n++
	add("BDAT in chunks, an end between them", 1, greeted(n, bdat(fmt.Sprintf("From: a%d@b.example\r\n\r\nx\r\n", n), false), bdat(".\r\n", false), bdat(second(n), true))...)
	n++
	add("BDAT says less than comes", 0, greeted(n, turn{"BDAT 5\r\nhello" + "there\r\n", "250 50"}, turn{"RSET\r\n", "250"})...)
	n++
	add("BDAT without a size", 0, greeted(n, turn{"BDAT LAST\r\n", "501"})...)
	n++
	add("BDAT with a negative size", 0, greeted(n, turn{"BDAT -1 LAST\r\n", "501"})...)
	n++
	add("BDAT larger than SIZE", 0, greeted(n, turn{"BDAT 300000 LAST\r\n" + strings.Repeat("12345678\r\n", 30_000), "552"})...)
	n++
	add("DATA larger than SIZE", 0, greeted(n, turn{"DATA\r\n", "354"}, turn{"\r\n" + strings.Repeat("12345678\r\n", 30_000) + ".\r\n", "552"}, turn{"NOOP\r\n", "250"})...)
	n++
	add("DATA within BDAT", 0, greeted(n, bdat("half", false), turn{"DATA\r\n", "503"})...)
	n++
	add("STARTTLS with commands behind it", 0,
		turn{"", "220"}, turn{"EHLO peer.example\r\n", "250"}, turn{"STARTTLS\r\n" + strings.ReplaceAll(second(n), "DATA", "NOOP"), "220 TLS"}, turn{"NOOP\r\n", "250"}, turn{"QUIT\r\n", "221"})
	n++
	add("STARTTLS forgets the sender", 0, greeted(n, turn{"STARTTLS\r\n", "220 TLS"}, turn{"DATA\r\n", "50"})...)
	n++
	add("STARTTLS twice", 0, turn{"", "220"}, turn{"EHLO peer.example\r\n", "250"}, turn{"STARTTLS\r\n", "220 TLS"}, turn{"EHLO peer.example\r\n", "250"}, turn{"STARTTLS\r\n", "50"})
	for _, address := range []string{
		"a@b.example>\rRCPT TO:<x@y.example", "a@b.example\x00", "a@b.example> SIZE=1 <c@d.example", "\"a b\"@b.example", "a@b.example\t", "<a@b.example>", "a@b.example>,<c@b.example", "a@@b.example", "@b.example", "a@b.example;DATA",
	} {
		add(fmt.Sprintf("MAIL FROM:<%q>", address), 0, turn{"", "220"}, turn{"EHLO peer.example\r\n", "250"}, turn{"MAIL FROM:<" + address + ">\r\n", "5"}, turn{"RSET\r\n", "250"})
	}
	for _, address := range []string{"shop@example.com@elsewhere.example", "shop%elsewhere.example@example.com", "elsewhere.example!shop", "@example.com:x@elsewhere.example", "\"shop@example.com\"@elsewhere.example", "shop@example.com\x00.elsewhere.example", "shop@[127.0.0.1]", "x@elsewhere.example"} {
		n++
		add(fmt.Sprintf("relay to %q", address), 0, turn{"", "220"}, turn{"EHLO peer.example\r\n", "250"}, turn{fmt.Sprintf("MAIL FROM:<a%d@b.example>\r\n", n), "250"}, turn{"RCPT TO:<" + address + ">\r\n", "55,50"})
	}
	return all
}

func bdat(content string, last bool) turn {
	end := ""
	if last {
		end = " LAST"
	}
	return turn{fmt.Sprintf("BDAT %d%s\r\n%s", len(content), end, content), "250"}
}

// play plays the dialogue, and returns the last answer and how many mails were taken.
func (v *inVector) play(ctx context.Context, s *mailSite) (answer string, mails int, problem string) {
	raw, err := net.DialTimeout("tcp", s.smtp, patience)
	if err != nil {
		return "", 0, err.Error()
	}
	defer raw.Close()
	c := raw
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for _, t := range v.talk {
		go io.WriteString(c, t.say) // the daemon may end it before all was said
		for want := range strings.FieldsSeq(t.expect) {
			switch want {
			case "TLS":
				secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of our own
				if err := secure.HandshakeContext(ctx); err != nil {
					return answer, 0, "the handshake failed: " + err.Error()
				}
				c, r = secure, bufio.NewReader(secure)
				continue
			case "END":
				if more, _ := r.ReadString('\n'); more != "" {
					problem = fmt.Sprintf("after the end came %q", more)
				}
				continue
			}
			if answer, err = readReply(r); err != nil {
				return answer, 0, fmt.Sprintf("after %.40q: %v, in place of %s", t.say, err, want)
			}
			if !begins(answer, want) {
				problem = fmt.Sprintf("%.60q is answered %q, not %s", t.say, answer, want)
			}
		}
	}
	c.Close()
	got, err := s.settled(ctx, v.mails)
	switch {
	case err != nil:
		problem = err.Error()
	case got != v.mails:
		problem = fmt.Sprintf("%d mails were taken, not %d", got, v.mails)
	}
	return answer, got, problem
}

// begins tells whether an answer begins with one of the words between commas.
func begins(answer, words string) bool {
	for w := range strings.SplitSeq(words, ",") {
		if strings.HasPrefix(answer, w) {
			return true
		}
	}
	return false
}

// readReply reads an answer of one line or more (RFC 5321 §4.2.1) and returns the last.
func readReply(r *bufio.Reader) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return line, err
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimSpace(line), nil
		}
	}
}
