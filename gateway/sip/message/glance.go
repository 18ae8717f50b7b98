package message

import (
	"bytes"
	"net/netip"
	"strconv"
)

// Glance is what a reply needs of a request, found without reading it: for
// floods, and for what cannot be read. Its fields point into the datagram.
type Glance struct {
	Method []byte
	vias   [16][]byte
	n      int
	others [4][]byte // From, To, Call-ID, CSeq
}

var glanceNames = [4]string{"From", "To", "Call-ID", "CSeq"}

// Look glances at a datagram. It reports false when that is no request.
func Look(data []byte) (g Glance, ok bool) {
	data = bytes.TrimLeft(data, "\r\n")
	line, rest, _ := bytes.Cut(data, []byte("\r\n"))
	method, after, found := bytes.Cut(line, []byte(" "))
	if !found || len(method) > 64 || len(method) >= 4 && bytes.EqualFold(method[:4], []byte("SIP/")) || !bytes.Contains(after, []byte(":")) {
		return g, false
	}
	for _, c := range method {
		if !tokenChars[c] {
			return g, false
		}
	}
	g.Method = method
	for lines := 0; len(rest) > 0 && lines < MaxHeaders; lines++ {
		var header []byte
		if header, rest = cutFolded(rest); len(header) == 0 {
			break
		}
		g.note(header)
	}
	return g, len(method) > 0
}

// cutFolded takes off a line with those that continue it.
func cutFolded(data []byte) (header, rest []byte) {
	for i := 0; ; {
		end := bytes.Index(data[i:], []byte("\r\n"))
		if end < 0 {
			return data, nil
		}
		i += end
		if i == 0 || i+2 >= len(data) || !isBlank(data[i+2]) {
			return data[:i], data[min(i+2, len(data)):]
		}
		i += 2
	}
}

func (g *Glance) note(header []byte) {
	name, value, ok := bytes.Cut(header, []byte(":"))
	name, value = bytes.TrimRight(name, " \t"), bytes.Trim(value, " \t")
	if !ok || len(name) > longestName || bytes.ContainsAny(bytes.ReplaceAll(value, []byte("\r\n"), nil), "\r\n\x00") {
		return
	}
	place := -1
	switch nameOf(string(name)) {
	case ViaHeader:
		if g.n < len(g.vias) {
			g.vias[g.n] = value
			g.n++
		}
		return
	case From:
		place = 0
	case To:
		place = 1
	case CallID:
		place = 2
	case CSeq:
		place = 3
	}
	if place >= 0 && g.others[place] == nil {
		g.others[place] = value
	}
}

// Answerable tells requests that get an answer: all but ACK.
func (g *Glance) Answerable() bool { return string(g.Method) != "ACK" }

// AppendReply writes a response. tag is added to a To that has none; retryAfter
// is left out when it is 0.
func (g *Glance) AppendReply(b []byte, status int, phrase, tag string, retryAfter int, source netip.AddrPort) []byte {
	b = AppendStatusLine(b, status, phrase)
	for i, v := range g.vias[:g.n] {
		if i == 0 {
			b = appendTopVia(b, string(v), source)
			continue
		}
		b = appendRaw(b, "Via", v)
	}
	for i, v := range g.others {
		switch {
		case v == nil:
		case i == 1 && !bytes.Contains(bytes.ToLower(v), []byte("tag")):
			b = append(b, "To: "...)
			b = append(b, v...)
			b = append(append(append(b, ";tag="...), tag...), "\r\n"...)
		default:
			b = appendRaw(b, glanceNames[i], v)
		}
	}
	if retryAfter > 0 {
		b = append(b, "Retry-After: "...)
		b = strconv.AppendInt(b, int64(retryAfter), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

func appendRaw(b []byte, name string, v []byte) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, v...), "\r\n"...)
}
