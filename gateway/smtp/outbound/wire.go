package outbound

import "bytes"

// normalise gives a message lines that end with CR LF, and with nothing else: a bare CR or
// LF would let two servers see different messages (SMTP smuggling). A message that is
// in order is returned as it is.
func normalise(msg []byte) []byte {
	if inOrder(msg) {
		return msg
	}
	out := make([]byte, 0, len(msg)+len(msg)/32+2)
	for i := 0; i < len(msg); i++ {
		switch c := msg[i]; {
		case c == '\r' && i+1 < len(msg) && msg[i+1] == '\n':
			out = append(out, '\r', '\n')
			i++
		case c == '\r' || c == '\n':
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
	}
	if !bytes.HasSuffix(out, crlf) {
		out = append(out, crlf...)
	}
	return out
}

var crlf = []byte("\r\n")

func inOrder(msg []byte) bool {
	rest := msg
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return len(rest) == 0 && len(msg) > 0
		}
		if i == 0 || rest[i-1] != '\r' || bytes.IndexByte(rest[:i-1], '\r') >= 0 {
			return false
		}
		rest = rest[i+1:]
	}
}

// appendStuffed appends a normalised message as DATA carries it: a line that begins with
// a full stop gets another one (RFC 5321 §4.5.2). The end is not appended.
func appendStuffed(dst, msg []byte) []byte {
	for len(msg) > 0 {
		if msg[0] == '.' {
			dst = append(dst, '.')
		}
		i := bytes.Index(msg, crlf)
		if i < 0 {
			return append(dst, msg...)
		}
		dst = append(dst, msg[:i+2]...)
		msg = msg[i+2:]
	}
	return dst
}

// endOfData is the line that ends DATA.
const endOfData = ".\r\n"

// eightBit tells whether a message has octets beyond ASCII, for which the peer has to
// offer 8BITMIME (RFC 6152).
func eightBit(msg []byte) bool {
	for _, c := range msg {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// header is the part of a message before its first empty line.
func header(msg []byte) []byte {
	if i := bytes.Index(msg, []byte("\r\n\r\n")); i >= 0 {
		return msg[:i+2]
	}
	return msg
}
