package outbound

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// signer signs mail of one domain. Both canonicalizations are "relaxed" (RFC 6376 §3.4),
// so header and body are canonicalized once for all keys.
type signer struct {
	domain string
	keys   []signingKey
}

type signingKey struct {
	key    crypto.Signer
	hash   crypto.Hash // as the key wants it; Ed25519 signs the digest as it is (RFC 8463 §3)
	begins time.Time
	kind   string // rsa or ed25519
	front  string // of the DKIM-Signature field, up to the value of t=
}

// signedFields are those that a signature covers, where a message has them (RFC 6376
// §5.4.1); those of one-click unsubscription have to be among them (RFC 8058 §4). Each is
// named whether it is there or not: a field that somebody adds breaks the signature.
var signedFields = []string{
	"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "Auto-Submitted",
}

func newSigner(d *Domain) (*signer, error) {
	name, err := ASCII(d.Domain)
	if err != nil {
		return nil, err
	}
	s := &signer{domain: name}
	for i := range d.DKIM {
		k := &d.DKIM[i]
		key, err := readKey(k.File)
		if err != nil {
			return nil, err
		}
		out := signingKey{key: key, kind: "rsa", hash: crypto.SHA256}
		if _, is := key.(ed25519.PrivateKey); is {
			out.kind, out.hash = "ed25519", 0
		}
		out.front = fmt.Sprintf("DKIM-Signature: v=1; a=%s-sha256; c=relaxed/relaxed;\r\n d=%s;\r\n s=%s; t=", out.kind, name, k.Selector)
		if k.Begins != "" {
			if out.begins, err = time.Parse(time.DateOnly, k.Begins); err != nil {
				return nil, err
			}
		}
		s.keys = append(s.keys, out)
	}
	return s, nil
}

// current are the keys that sign at a time: of each kind the one that began last. Who knows
// one kind only reads the signature next to the message.
func (s *signer) current(now time.Time) (ed, rsa *signingKey) {
	newest := func(kind string) (found *signingKey) {
		for i := range s.keys {
			k := &s.keys[i]
			if k.kind == kind && !k.begins.After(now) && (found == nil || !k.begins.Before(found.begins)) {
				found = k
			}
		}
		return found
	}
	return newest("ed25519"), newest("rsa")
}

// errNoHeader: a message cannot be signed that has no end of its header.
var errNoHeader = errors.New("the message has no end of its header")

// signing is the room that one signature needs; it is used again.
type signing struct{ header, canonical, body []byte }

var signings = sync.Pool{New: func() any { return new(signing) }}

// sign puts a signature of each current key in front of a normalised message.
func (s *signer) sign(msg []byte, now time.Time) ([]byte, error) {
	ed, rsa := s.current(now)
	if ed == nil && rsa == nil {
		return msg, nil
	}
	end := bytes.Index(msg, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, errNoHeader
	}
	w, _ := signings.Get().(*signing)
	defer signings.Put(w)
	w.header = relaxedFields(w.header[:0], msg[:end+2])
	w.body = relaxedBody(w.body[:0], msg[end+4:])
	sum := sha256.Sum256(w.body)
	out := make([]byte, 0, len(msg)+2*signatureMost)
	for _, k := range [...]*signingKey{ed, rsa} {
		if k == nil {
			continue
		}
		var err error
		if out, err = k.sign(out, w, sum[:], now); err != nil {
			return nil, fmt.Errorf("DKIM: %w", err)
		}
	}
	return append(out, msg...), nil
}

// signatureMost is how long a signature field is, about.
const signatureMost = 1 << 10

// signedNames is h= of every signature, in lines that are not too long.
var signedNames = foldedNames()

func foldedNames() string {
	out, column := " h=", 3
	for i, name := range signedFields {
		if i > 0 {
			out += ":"
			column++
		}
		if column+len(name) > 75 {
			out += "\r\n  "
			column = 2
		}
		out += name
		column += len(name)
	}
	return out
}

// sign appends the field with the signature of one key. What is signed are the canonical
// fields, and this one with an empty b= and without a line end (RFC 6376 §3.7).
func (k *signingKey) sign(out []byte, w *signing, body []byte, now time.Time) ([]byte, error) {
	begin := len(out)
	out = append(out, k.front...)
	out = strconv.AppendInt(out, now.Unix(), 10)
	out = append(append(out, ";\r\n"...), signedNames...)
	out = append(out, ";\r\n bh="...)
	out = base64.StdEncoding.AppendEncode(out, body)
	out = append(out, ";\r\n b="...)
	w.canonical = appendRelaxedField(append(w.canonical[:0], w.header...), out[begin:])
	sum := sha256.Sum256(bytes.TrimSuffix(w.canonical, crlf))
	signature, err := k.key.Sign(nil, sum[:], k.hash)
	if err != nil {
		return nil, err
	}
	const line = 54 // octets that make 72 letters
	for i := 0; i < len(signature); i += line {
		if i > 0 {
			out = append(out, "\r\n  "...)
		}
		out = base64.StdEncoding.AppendEncode(out, signature[i:min(i+line, len(signature))])
	}
	return append(out, crlf...), nil
}

// relaxedFields appends the signed fields of a header in canonical form: of those that a
// message has several of, the last one (RFC 6376 §5.4.2).
func relaxedFields(out, header []byte) []byte {
	var found [32][]byte // by the index in signedFields
	for len(header) > 0 {
		n := fieldEnd(header)
		name, _, ok := bytes.Cut(header[:n], []byte(":"))
		if ok {
			name = bytes.TrimRight(name, " \t")
			if i := slices.IndexFunc(signedFields, func(f string) bool { return len(f) == len(name) && strings.EqualFold(f, string(name)) }); i >= 0 {
				found[i] = header[:n]
			}
		}
		header = header[n:]
	}
	for _, f := range found[:len(signedFields)] {
		if f != nil {
			out = appendRelaxedField(out, f)
		}
	}
	return out
}

// fieldEnd is where the first field ends, with its continuations.
func fieldEnd(header []byte) int {
	for n := 0; ; {
		i := bytes.Index(header[n:], crlf)
		if i < 0 {
			return len(header)
		}
		if n += i + 2; n >= len(header) || header[n] != ' ' && header[n] != '\t' {
			return n
		}
	}
}

// appendRelaxedField appends a field in canonical form (RFC 6376 §3.4.2).
func appendRelaxedField(out, field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	for _, c := range bytes.TrimRight(name, " \t") {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	out = append(out, ':')
	begins, space := true, false
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			space = !begins
			continue
		}
		if space {
			out = append(out, ' ')
		}
		out, begins, space = append(out, c), false, false
	}
	return append(out, crlf...)
}

// relaxedBody appends a normalised body in canonical form (RFC 6376 §3.4.4).
func relaxedBody(out, body []byte) []byte {
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, crlf)
		body = rest
		line = bytes.TrimRight(line, " \t")
		if bytes.IndexByte(line, '\t') < 0 && !bytes.Contains(line, []byte("  ")) {
			out = append(append(out, line...), crlf...)
			continue
		}
		space := false
		for _, c := range line {
			if c == ' ' || c == '\t' {
				space = true
				continue
			}
			if space {
				out, space = append(out, ' '), false
			}
			out = append(out, c)
		}
		out = append(out, crlf...)
	}
	for len(out) >= 2 && bytes.HasSuffix(out, crlf) && (len(out) == 2 || bytes.HasSuffix(out[:len(out)-2], crlf)) {
		out = out[:len(out)-2]
	}
	return out
}
