package message

import (
	"net/netip"
	"strconv"
	"strings"
)

// AppendRequestLine begins a request.
func AppendRequestLine(b []byte, method, uri string) []byte {
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, uri...)
	return append(b, " SIP/2.0\r\n"...)
}

// AppendStatusLine begins a response.
func AppendStatusLine(b []byte, status int, phrase string) []byte {
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, phrase...)
	return append(b, "\r\n"...)
}

// Append writes a header. Line ends in the value, which only a mistake of ours
// could bring there, become blanks: a value never begins another header.
func Append(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendNumber writes a header that is a number.
func AppendNumber(b []byte, name string, n int) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}

// AppendBody ends a message; kind is its Content-Type, unused without a body.
func AppendBody(b []byte, kind string, body []byte) []byte {
	if len(body) > 0 {
		b = Append(b, "Content-Type", kind)
	}
	b = AppendNumber(b, "Content-Length", len(body))
	b = append(b, "\r\n"...)
	return append(b, body...)
}

// AppendReplyHead begins the response to a request: status line and the headers
// that are copied (§8.2.6.2). source is where the request came from; it is noted
// in the top Via (§18.2.1, RFC 3581). tag is added to To when there is none.
// Whatever of a broken request is missing is left out.
func AppendReplyHead(b []byte, req *Message, status int, phrase, tag string, source netip.AddrPort) []byte {
	b = AppendStatusLine(b, status, phrase)
	top := true
	vias := 0
	for i := range req.Headers {
		if h := &req.Headers[i]; h.Name == ViaHeader && vias < maxVias {
			vias++
			if top {
				b, top = appendTopVia(b, h.Value, source), false
				continue
			}
			b = Append(b, "Via", h.Value)
		}
	}
	if v := req.Get(From); v != "" {
		b = Append(b, "From", v)
	}
	if v := req.Get(To); v != "" {
		b = append(b, "To: "...)
		b = append(b, v...)
		if tag != "" && !hasTag(v) {
			b = append(b, ";tag="...)
			b = append(b, tag...)
		}
		b = append(b, "\r\n"...)
	}
	if v := req.Get(CallID); v != "" {
		b = Append(b, "Call-ID", v)
	}
	if v := req.Get(CSeq); v != "" {
		b = Append(b, "CSeq", v)
	}
	return b
}

func hasTag(v string) bool {
	a, err := ParseAddress(v)
	return err == nil && a.Tag() != ""
}

// appendTopVia copies the first Via with what is known of the source.
func appendTopVia(b []byte, value string, source netip.AddrPort) []byte {
	first, rest := cutElement(value)
	b = append(b, "Via: "...)
	v, err := ParseVia(first)
	if err != nil || !source.IsValid() {
		b = append(b, value...)
		return append(b, "\r\n"...)
	}
	host := source.Addr().Unmap().String()
	port, hasPort := v.Params.Get("rport")
	_, hasReceived := v.Params.Get("received")
	switch {
	case hasPort && port == "":
		b = appendWithout(b, first, "rport")
		b = append(b, ";received="...)
		b = append(b, host...)
		b = append(b, ";rport="...)
		b = strconv.AppendUint(b, uint64(source.Port()), 10)
	case v.Host != host && !hasReceived:
		b = append(b, first...)
		b = append(b, ";received="...)
		b = append(b, host...)
	default:
		b = append(b, first...)
	}
	if rest = strings.Trim(rest, " \t"); rest != "" {
		b = append(b, ", "...)
		b = append(b, rest...)
	}
	return append(b, "\r\n"...)
}

// appendWithout copies a value but for one parameter without a value.
func appendWithout(b []byte, value, param string) []byte {
	head, rest, _ := strings.Cut(value, ";")
	b = append(b, head...)
	for rest != "" {
		var one string
		one, rest = cutParam(rest)
		if strings.EqualFold(strings.Trim(one, " \t"), param) || one == "" {
			continue
		}
		b = append(b, ';')
		b = append(b, one...)
	}
	return b
}
