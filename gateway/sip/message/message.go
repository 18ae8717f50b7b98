package message

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what is read.
const (
	MaxHeaders = 256
	maxVias    = 64
)

// Message is a request or a response.
type Message struct {
	Method  string // empty in a response
	URI     string // Request-URI as written
	Version string
	Status  int // of a response
	Phrase  string
	Headers []Header
	Body    string

	inline [20]Header // what Headers begins in
}

// IsRequest tells requests from responses.
func (m *Message) IsRequest() bool { return m.Method != "" }

// Fault is why a message cannot be taken. Code is the status for its sender.
type Fault struct {
	Code int
	Text string // short, fit for a reason phrase
}

func (f *Fault) Error() string { return fmt.Sprintf("sip: %s (%d)", f.Text, f.Code) }

func faulty(format string, args ...any) *Fault {
	return &Fault{400, fmt.Sprintf(format, args...)}
}

// Parse reads one message from a datagram. What follows the body is ignored
// (RFC 3261 §18.3). With a fault it returns as much of the message as was
// understood, nil when not even the first line was.
func Parse(data []byte) (*Message, error) {
	m, rest, err := parseHead(data)
	if err != nil {
		return m, err
	}
	length, err := m.contentLength()
	switch {
	case err != nil:
		return m, err
	case length < 0:
		m.Body = rest
	case length > len(rest):
		return m, faulty("Content-Length beyond the message")
	default:
		m.Body = rest[:length]
	}
	return m, nil
}

// Length tells how long the message is at whose head data begins, for a stream:
// 0 while the head is not complete. A stream needs Content-Length (§18.3).
func Length(data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	m, _, err := parseHead(data[:end+4])
	if m == nil {
		return 0, err
	}
	length, err := m.contentLength() // other faults are found when all of it is here
	switch {
	case err != nil:
		return 0, err
	case length < 0:
		return 0, faulty("No Content-Length on a stream")
	}
	return end + 4 + length, nil
}

// parseHead reads everything before the body and returns what follows.
func parseHead(data []byte) (*Message, string, error) {
	text := string(bytes.TrimLeft(data, "\r\n")) // keep-alives before the message (§7.5)
	line, text, ok := cutLine(text)
	if !ok {
		return nil, "", faulty("No line end")
	}
	m := &Message{}
	m.Headers = m.inline[:0]
	lineErr := m.startLine(line)
	if lineErr != nil && m.Method == "" {
		return nil, "", lineErr // a response, or nothing: nobody to answer
	}
	rest, err := m.headers(text)
	if lineErr != nil {
		err = lineErr
	}
	return m, rest, err
}

// cutLine takes a line off. Lines end with CRLF and nothing else (§7).
func cutLine(s string) (line, rest string, ok bool) {
	i := strings.IndexByte(s, '\n')
	if i < 1 || s[i-1] != '\r' {
		return "", s, false
	}
	return s[:i-1], s[i+1:], true
}

// startLine reads a Request-Line or a Status-Line.
func (m *Message) startLine(line string) error {
	first, rest, ok := strings.Cut(line, " ")
	if !ok {
		return faulty("Malformed first line")
	}
	if len(first) >= 4 && strings.EqualFold(first[:4], "SIP/") {
		return m.statusLine(first, rest)
	}
	if !isToken(first) {
		return faulty("Malformed method")
	}
	m.Method = first
	uri, version, ok := strings.Cut(rest, " ")
	switch {
	case !ok || uri == "":
		return faulty("Malformed request line")
	case len(version) < 4 || !strings.EqualFold(version[:4], "SIP/") || strings.ContainsAny(version, " \t"):
		return faulty("Malformed request line")
	}
	m.URI, m.Version = uri, version
	return nil
}

func (m *Message) statusLine(version, rest string) error {
	code, phrase, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || status < 100 || status > 699 {
		return faulty("Malformed status")
	}
	m.Version, m.Status, m.Phrase = version, status, phrase
	return nil
}

// headers reads the lines up to the empty one.
func (m *Message) headers(text string) (rest string, err error) {
	for {
		line, after, ok := cutLine(text)
		if !ok {
			return "", faulty("The headers do not end")
		}
		if line == "" {
			return after, err
		}
		if after != "" && isBlank(after[0]) {
			line, after, ok = unfold(line, after)
			if !ok {
				return "", faulty("The headers do not end")
			}
		}
		if len(m.Headers) == MaxHeaders {
			return "", faulty("Too many headers")
		}
		text = after
		h, ok := parseHeader(line)
		switch {
		case ok:
			m.Headers = append(m.Headers, h)
		case err == nil:
			err = faulty("Malformed header") // and on: a reply needs the others
		}
	}
}

func parseHeader(line string) (Header, bool) {
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !isToken(name) || strings.IndexByte(value, '\r') >= 0 {
		return Header{}, false
	}
	return Header{nameOf(name), name, strings.Trim(value, " \t")}, true
}

// unfold joins a line with those that continue it (§7.3.1).
func unfold(line, after string) (joined, rest string, ok bool) {
	var b strings.Builder
	b.WriteString(line)
	for after != "" && isBlank(after[0]) {
		line, after, ok = cutLine(after)
		if !ok {
			return "", after, false
		}
		b.WriteByte(' ')
		b.WriteString(strings.Trim(line, " \t"))
	}
	return b.String(), after, true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// contentLength is -1 when there is none.
func (m *Message) contentLength() (int, error) {
	length := -1
	for i := range m.Headers {
		if m.Headers[i].Name != ContentLength {
			continue
		}
		n, err := strconv.ParseUint(m.Headers[i].Value, 10, 31)
		if err != nil || length >= 0 {
			return -1, faulty("Malformed or repeated Content-Length")
		}
		length = int(n)
	}
	return length, nil
}

// Get returns the first value of a header.
func (m *Message) Get(n Name) string {
	for i := range m.Headers {
		if m.Headers[i].Name == n {
			return m.Headers[i].Value
		}
	}
	return ""
}

// Has reports whether there is such a header, even an empty one.
func (m *Message) Has(n Name) bool {
	for i := range m.Headers {
		if m.Headers[i].Name == n {
			return true
		}
	}
	return false
}

// Extra returns the first value of a header that has no Name.
func (m *Message) Extra(text string) string {
	for i := range m.Headers {
		if m.Headers[i].Name == Other && strings.EqualFold(m.Headers[i].Text, text) {
			return m.Headers[i].Value
		}
	}
	return ""
}

// Each calls f for every element of every header of the name; commas within
// quotes and angle brackets separate nothing.
func (m *Message) Each(n Name, f func(element string) bool) {
	for i := range m.Headers {
		if m.Headers[i].Name != n {
			continue
		}
		for rest := m.Headers[i].Value; rest != ""; {
			var element string
			element, rest = cutElement(rest)
			if element != "" && !f(element) {
				return
			}
		}
	}
}

// Lists reports whether a list of tokens has one, in any case.
func (m *Message) Lists(n Name, token string) bool {
	found := false
	m.Each(n, func(e string) bool {
		found = strings.EqualFold(e, token)
		return !found
	})
	return found
}

// cutElement takes the first element off a list.
func cutElement(s string) (element, rest string) {
	quoted, angle := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !angle:
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			return strings.Trim(s[:i], " \t"), s[i+1:]
		}
	}
	return strings.Trim(s, " \t"), ""
}

// Sequence reads CSeq (§20.16): a number below 2³¹ and a method.
func (m *Message) Sequence() (uint32, string, error) {
	number, method, _ := strings.Cut(m.Get(CSeq), " ")
	n, err := strconv.ParseUint(number, 10, 31)
	method = strings.Trim(method, " \t")
	if err != nil || !isToken(method) {
		return 0, "", faulty("Malformed CSeq")
	}
	return uint32(n), method, nil
}

// Number reads a header that is one; absent is -1.
func (m *Message) Number(n Name) (int, error) {
	v := m.Get(n)
	if v == "" && !m.Has(n) {
		return -1, nil
	}
	v, _, _ = strings.Cut(v, ";")
	number, err := strconv.ParseUint(strings.Trim(v, " \t"), 10, 31)
	if err != nil {
		return -1, faulty("Malformed %s", n)
	}
	return int(number), nil
}

// Repeated finds a header that stands twice and must not.
func (m *Message) Repeated() (Name, bool) {
	var seen [names]bool
	for i := range m.Headers {
		n := m.Headers[i].Name
		if single[n] && seen[n] {
			return n, true
		}
		seen[n] = true
	}
	return Other, false
}

// tokenChars are those of a token (§25.1).
var tokenChars = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", byte(c)) >= 0 && c < 128
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}
