package message

import (
	"net/netip"
	"strconv"
	"strings"
)

// Params are parameters as they are written after a value: ";a=b ; c".
type Params string

// Get finds a parameter. Blanks around its parts do not matter; quotes are
// taken off.
func (p Params) Get(name string) (value string, ok bool) {
	for rest := string(p); rest != ""; {
		var one string
		one, rest = cutParam(rest)
		key, v, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.Trim(key, " \t"), name) {
			return unquote(strings.Trim(v, " \t")), true
		}
	}
	return "", false
}

// cutParam takes the first parameter off.
func cutParam(s string) (one, rest string) {
	s = strings.TrimLeft(s, "; \t")
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// wellFormed refuses empty parameters and ones without a name.
func (p Params) wellFormed() bool {
	for rest := strings.Trim(string(p), " \t"); rest != ""; {
		if rest[0] != ';' {
			return false
		}
		rest = strings.TrimLeft(rest[1:], " \t")
		if rest == "" || rest[0] == ';' {
			return false
		}
		one, after := cutParam(rest)
		if after != "" || strings.HasSuffix(rest, ";") {
			after = ";" + after
		}
		key, _, _ := strings.Cut(one, "=")
		if !isToken(strings.Trim(key, " \t")) {
			return false
		}
		rest = after
	}
	return true
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Address is the value of From, To, Contact, Route and their like (§20.10).
type Address struct {
	Display string // without quotes
	URI     string
	Params  Params
}

// Tag is the parameter of From and To.
func (a Address) Tag() string {
	tag, _ := a.Params.Get("tag")
	return tag
}

// ParseAddress reads a name-addr or an addr-spec.
func ParseAddress(s string) (Address, error) {
	s = strings.Trim(s, " \t")
	var a Address
	rest := s
	switch {
	case s == "":
		return a, faulty("Empty address")
	case s[0] == '"':
		end := quotedEnd(s)
		if end < 0 {
			return a, faulty("Unbalanced quotes")
		}
		a.Display = unquote(s[:end])
		if rest = strings.TrimLeft(s[end:], " \t"); rest == "" || rest[0] != '<' {
			return a, faulty("No address after the name")
		}
	default:
		open := strings.IndexByte(s, '<')
		if open < 0 {
			return plainAddress(s)
		}
		a.Display = strings.Trim(s[:open], " \t")
		for word := range strings.FieldsSeq(a.Display) {
			if !isToken(word) {
				return a, faulty("Name without quotes")
			}
		}
		rest = s[open:]
	}
	end := strings.IndexByte(rest, '>')
	if end < 0 {
		return a, faulty("Unbalanced brackets")
	}
	a.URI, a.Params = rest[1:end], Params(rest[end+1:])
	if a.URI == "" || strings.ContainsAny(a.URI, " \t<\"") {
		return a, faulty("Malformed address")
	}
	if !a.Params.wellFormed() {
		return a, faulty("Malformed parameters")
	}
	return a, nil
}

// plainAddress is one without brackets: its parameters are the header's, and
// its URI has no comma, question mark or semicolon (§20).
func plainAddress(s string) (Address, error) {
	uri, params, found := strings.Cut(s, ";")
	uri = strings.TrimRight(uri, " \t")
	a := Address{URI: uri}
	if found {
		a.Params = Params(s[len(s)-len(params)-1:])
	}
	if uri == "" || strings.ContainsAny(uri, " \t,?\">") || strings.IndexByte(uri, ':') < 1 {
		return a, faulty("Malformed address")
	}
	if !a.Params.wellFormed() {
		return a, faulty("Malformed parameters")
	}
	return a, nil
}

// quotedEnd is the index after the closing quote.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// Via is one Via value (§20.42).
type Via struct {
	Transport string // upper case
	Host      string
	Port      int // 0: not said
	Params    Params
}

// Branch is the transaction's name, where it has one.
func (v Via) Branch() string {
	b, _ := v.Params.Get("branch")
	return b
}

// Magic begins a branch that is unique (§8.1.1.7).
const Magic = "z9hG4bK"

// ParseVia reads "SIP / 2.0 / UDP host : port ; params".
func ParseVia(s string) (Via, error) {
	var v Via
	parts := [3]string{}
	rest := s
	for i := range parts {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, "/ \t")
		if end < 1 {
			return v, faulty("Malformed Via")
		}
		parts[i], rest = rest[:end], strings.TrimLeft(rest[end:], " \t")
		if i < 2 {
			if rest == "" || rest[0] != '/' {
				return v, faulty("Malformed Via")
			}
			rest = rest[1:]
		}
	}
	if !strings.EqualFold(parts[0], "SIP") || !isToken(parts[2]) {
		return v, faulty("Malformed Via")
	}
	v.Transport = strings.ToUpper(parts[2])
	sentBy := rest
	if i := strings.IndexByte(rest, ';'); i >= 0 {
		sentBy, v.Params = rest[:i], Params(rest[i:])
	}
	var ok bool
	if v.Host, v.Port, ok = hostPort(strings.Trim(sentBy, " \t")); !ok || !v.Params.wellFormed() {
		return v, faulty("Malformed Via")
	}
	return v, nil
}

// TopVia reads the first Via value.
func (m *Message) TopVia() (Via, error) {
	value := m.Get(ViaHeader)
	if value == "" {
		return Via{}, faulty("No Via")
	}
	first, _ := cutElement(value)
	return ParseVia(first)
}

// hostPort reads "host", "host:port" and their forms with IPv6.
func hostPort(s string) (host string, port int, ok bool) {
	host = s
	var after string
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, false
		}
		host, after = s[1:end], s[end+1:]
		if _, err := netip.ParseAddr(host); err != nil {
			return "", 0, false
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, after = s[:i], s[i:]
	}
	host = strings.Trim(host, " \t")
	if after = strings.TrimLeft(after, " \t"); after != "" {
		n, err := strconv.ParseUint(strings.Trim(after[1:], " \t"), 10, 16)
		if after[0] != ':' || err != nil || n == 0 {
			return "", 0, false
		}
		port = int(n)
	}
	return host, port, host != "" && !strings.ContainsAny(host, " \t,@/?<>\"")
}

// URI is a sip, sips or tel URI (§19.1, RFC 3966).
type URI struct {
	Scheme string // lower case
	User   string // unescaped; the number of a tel URI
	Host   string
	Port   int
	Params Params
	Header bool // it carries headers: "?"
}

// ErrScheme: the URI is of a kind that nobody here speaks (416).
var errScheme = &Fault{416, "Unsupported URI Scheme"}

// ParseURI reads a URI. An unknown scheme is a fault with code 416.
func ParseURI(s string) (URI, error) {
	var u URI
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return u, faulty("Malformed URI")
	}
	u.Scheme = strings.ToLower(scheme)
	if strings.ContainsAny(s, " \t<>\"") {
		return u, faulty("Malformed URI")
	}
	switch u.Scheme {
	case "sip", "sips":
	case "tel":
		number, params, _ := strings.Cut(rest, ";")
		u.User = number
		if params != "" {
			u.Params = Params(rest[len(number):])
		}
		if number == "" {
			return u, faulty("Malformed URI")
		}
		return u, nil
	default:
		return u, errScheme
	}
	if i := strings.IndexByte(rest, '@'); i >= 0 { // an escaped one is %40
		user, _, _ := strings.Cut(rest[:i], ":") // a password is nobody's business
		if u.User, ok = unescape(user); !ok || user == "" {
			return u, faulty("Malformed URI")
		}
		rest = rest[i+1:]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest, u.Header = rest[:i], true
	}
	if i := strings.IndexByte(rest, ';'); i >= 0 {
		rest, u.Params = rest[:i], Params(rest[i:])
	}
	if u.Host, u.Port, ok = hostPort(rest); !ok {
		return u, faulty("Malformed URI")
	}
	return u, nil
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z') && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

// unescape turns %XX into octets.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), true
}

// unreserved may stand in a user part as they are (§25.1).
const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/"

// EscapeUser writes a user part.
func EscapeUser(s string) string {
	clean := true
	for i := range len(s) {
		clean = clean && strings.IndexByte(unreserved, s[i]) >= 0
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(unreserved, s[i]) >= 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(s[i])|0x100, 16)[1:]))
	}
	return b.String()
}

// Quote writes a display name; control characters are left out.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
