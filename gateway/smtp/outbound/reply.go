package outbound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a server may say at once.
const (
	replyLineMost = 4096 // octets; RFC 5321 §4.5.3.1.5 allows 512
	replyLines    = 128
	replyTextMost = 400 // octets that are kept of it
)

// Errors of servers that do not speak SMTP.
var (
	errReplySyntax = errors.New("the server's reply is no SMTP")
	errReplyLength = errors.New("the server's reply is too long")
)

// reply is what a server answers to a command (RFC 5321 §4.2).
type reply struct {
	code     int
	enhanced [3]int // RFC 3463; zero where there is none
	text     string // one line, without control characters
	lines    []string
}

// class is the first digit.
func (r reply) class() int { return r.code / 100 }

// status is the code as the log and the core tell it: 550 5.1.1.
func (r reply) status() string {
	if r.enhanced[0] == 0 {
		return fmt.Sprint(r.code)
	}
	return fmt.Sprintf("%d %d.%d.%d", r.code, r.enhanced[0], r.enhanced[1], r.enhanced[2])
}

// is tells whether the enhanced code is of a subject (RFC 3463 §3), whatever its class.
func (r reply) is(subject int, details ...int) bool {
	if r.enhanced[0] == 0 || r.enhanced[1] != subject {
		return false
	}
	for _, d := range details {
		if r.enhanced[2] == d {
			return true
		}
	}
	return len(details) == 0
}

// readReply reads one reply. What it keeps is bounded.
func readReply(r *bufio.Reader) (out reply, err error) {
	for n := 0; ; n++ {
		if n == replyLines {
			return out, errReplyLength
		}
		line, err := readLine(r)
		if err != nil {
			return out, err
		}
		code, last, text, ok := cutReply(line)
		if !ok || n > 0 && code != out.code {
			return out, fmt.Errorf("%w: %q", errReplySyntax, clean(line, 80))
		}
		enhanced, rest := cutEnhanced(code, text)
		if n == 0 {
			out.code, out.enhanced = code, enhanced
		}
		out.lines = append(out.lines, text)
		if room := replyTextMost - len(out.text); room > 0 && rest != "" {
			if out.text != "" {
				out.text += " "
			}
			out.text += clean(rest, room)
		}
		if last {
			return out, nil
		}
	}
}

// readLine reads a line of at most replyLineMost octets. A server whose lines end with
// LF alone is understood.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errReplyLength
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// cutReply takes a line apart: 250-text, or 250 text on the last one.
func cutReply(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, "", false
		}
		code = 10*code + int(line[i]-'0')
	}
	if code < 200 || code > 599 {
		return 0, false, "", false
	}
	if len(line) == 3 {
		return code, true, "", true
	}
	switch line[3] {
	case ' ', '\t':
		return code, true, line[4:], true
	case '-':
		return code, false, line[4:], true
	}
	return 0, false, "", false
}

// cutEnhanced takes an enhanced code of the same class from the front of a text (RFC 2034 §4).
func cutEnhanced(code int, text string) (enhanced [3]int, rest string) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return enhanced, text
	}
	for i, p := range parts {
		if len(p) == 0 || len(p) > 3 {
			return [3]int{}, text
		}
		for _, c := range []byte(p) {
			if c < '0' || c > '9' {
				return [3]int{}, text
			}
			enhanced[i] = 10*enhanced[i] + int(c-'0')
		}
	}
	if enhanced[0] != code/100 || enhanced[0] == 3 {
		return [3]int{}, text
	}
	return enhanced, strings.TrimSpace(rest)
}

// clean makes a peer's text fit for one line of a log: no control characters, no broken
// UTF-8, not longer than most octets.
func clean(text string, most int) string {
	ok := len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, unprintable)
	if ok {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if unprintable(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, text)
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
