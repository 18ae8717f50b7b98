package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"trunkline/gateway/sip/message"
)

// credentials answer a challenge of the peer, as often as it lasts (RFC 3261
// §22, RFC 8760).
type credentials struct {
	challenge *digest.Challenge
	proxy     bool
	count     int
}

// challenged finds a challenge that the trunk's login answers; SHA-256 before
// MD5. It is nil when there is none.
func (t *trunk) challenged(m *message.Message) *credentials {
	login := t.conf.Load().Login
	if login == nil {
		return nil
	}
	var best *credentials
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.Name != message.WWWAuthenticate && h.Name != message.ProxyAuthenticate {
			continue
		}
		c, err := digest.ParseChallenge(h.Value)
		if err != nil || !answerable(c) || login.Realm != "" && login.Realm != c.Realm {
			continue
		}
		if best == nil || strings.EqualFold(c.Algorithm, "SHA-256") {
			best = &credentials{challenge: c, proxy: h.Name == message.ProxyAuthenticate}
		}
	}
	return best
}

func answerable(c *digest.Challenge) bool {
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5", "SHA-256":
	default:
		return false
	}
	for i, q := range c.QOP {
		c.QOP[i] = strings.TrimSpace(q)
	}
	return len(c.QOP) == 0 || c.SupportsQOP("auth")
}

// header answers the challenge for one more request; nothing without one.
func (c *credentials) header(t *trunk, method, uri string) (name, value string) {
	login := t.conf.Load().Login
	if c == nil || login == nil {
		return "", ""
	}
	c.count++
	challenge := *c.challenge
	if len(challenge.QOP) > 0 {
		challenge.QOP = []string{"auth"}
	}
	var cnonce [12]byte
	rand.Read(cnonce[:])
	made, err := digest.Digest(&challenge, digest.Options{
		Method: method, URI: uri, Count: c.count, Username: login.Username, Password: login.Password, Cnonce: base64.RawURLEncoding.EncodeToString(cnonce[:]),
	})
	if err != nil {
		return "", ""
	}
	if c.proxy {
		return "Proxy-Authorization", made.String()
	}
	return "Authorization", made.String()
}

// nonces are the challenges that we gave. A nonce says when it was made and
// that we made it, so that those who never answer cost nothing; only nonces
// in use are kept, to see that each count comes once.
type nonces struct {
	mu     sync.Mutex
	used   map[uint64]int // serial number → highest count
	order  []uint64
	floor  uint64 // serials up to here are stale when they are not in used
	serial uint64
}

const maxNonces = 4096

// authenticate asks who a call comes from. Nil lets it pass.
func (t *trunk) authenticate(r *request, conf *Authenticate) *refusal {
	var mine *digest.Credentials
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Name == message.Authorization {
			if c, err := digest.ParseCredentials(h.Value); err == nil && c.Realm == conf.Realm {
				mine = c
			}
		}
	}
	if mine == nil {
		return t.challenge(conf, false)
	}
	serial, at, ok := t.edge.openNonce(t.name, mine.Nonce)
	if !ok || !t.proves(r, conf, mine) {
		t.edge.metrics.logins("wrong")
		return t.challenge(conf, false)
	}
	if r.received.Sub(at) > conf.NonceLifetime || !t.nonces.fresh(serial, mine.Nc, mine.QOP != "") {
		t.edge.metrics.logins("stale")
		return t.challenge(conf, true)
	}
	t.edge.metrics.logins("good")
	return nil
}

// proves computes what a good answer would be, and compares in constant time.
func (t *trunk) proves(r *request, conf *Authenticate, c *digest.Credentials) bool {
	algorithm := strings.ToUpper(c.Algorithm)
	if algorithm == "" {
		algorithm = "MD5"
	}
	taken := false
	for _, a := range algorithmsOf(conf) {
		taken = taken || a == algorithm
	}
	if !taken || c.URI != r.URI || c.QOP != "" && c.QOP != "auth" {
		return false
	}
	challenge := digest.Challenge{Realm: conf.Realm, Nonce: c.Nonce, Algorithm: algorithm}
	if c.QOP != "" {
		challenge.QOP = []string{"auth"}
	}
	want, err := digest.Digest(&challenge, digest.Options{
		Method: r.Method, URI: r.URI, Count: c.Nc, Username: conf.Username, Password: conf.Password, Cnonce: c.Cnonce,
	})
	if err != nil {
		return false
	}
	name := subtle.ConstantTimeCompare([]byte(c.Username), []byte(conf.Username))
	response := subtle.ConstantTimeCompare([]byte(strings.ToLower(c.Response)), []byte(want.Response))
	return name&response == 1
}

func algorithmsOf(conf *Authenticate) []string {
	if len(conf.Algorithms) == 0 {
		return []string{"SHA-256", "MD5"}
	}
	return conf.Algorithms
}

// challenge asks for a digest, in each algorithm that we take.
func (t *trunk) challenge(conf *Authenticate, stale bool) *refusal {
	why := refused(401)
	nonce := t.edge.sealNonce(t.name, t.nonces.next())
	for _, a := range algorithmsOf(conf) {
		value := `Digest realm="` + conf.Realm + `",nonce="` + nonce + `",algorithm=` + a + `,qop="auth"`
		if stale {
			value += ",stale=true"
		}
		why.with("WWW-Authenticate", value)
	}
	return why
}

func (n *nonces) next() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serial++
	return n.serial
}

// fresh takes a count of a nonce, each once and in rising order. Without qop
// there is no count, and the nonce serves once.
func (n *nonces) fresh(serial uint64, count int, counted bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !counted {
		count = 1
	}
	last, known := n.used[serial]
	if !known && serial <= n.floor || count <= last {
		return false
	}
	if !known {
		if n.used == nil {
			n.used = map[uint64]int{}
		}
		if len(n.order) >= maxNonces {
			oldest := n.order[0]
			n.order = n.order[1:]
			delete(n.used, oldest)
			n.floor = max(n.floor, oldest)
		}
		n.order = append(n.order, serial)
	}
	n.used[serial] = count
	return true
}

const nonceLength = 16 + 16 // serial and time, then the MAC

// sealNonce makes a nonce that only this process can have made.
func (e *Edge) sealNonce(trunk string, serial uint64) string {
	var b [nonceLength]byte
	binary.BigEndian.PutUint64(b[:8], serial)
	binary.BigEndian.PutUint64(b[8:16], uint64(time.Now().UnixNano()))
	copy(b[16:], e.nonceMAC(trunk, b[:16]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (e *Edge) openNonce(trunk, nonce string) (serial uint64, at time.Time, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceLength || !hmac.Equal(b[16:], e.nonceMAC(trunk, b[:16])) {
		return 0, time.Time{}, false
	}
	return binary.BigEndian.Uint64(b[:8]), time.Unix(0, int64(binary.BigEndian.Uint64(b[8:16]))), true
}

func (e *Edge) nonceMAC(trunk string, b []byte) []byte {
	h := hmac.New(sha256.New, e.secret[:])
	h.Write([]byte(trunk))
	h.Write(b)
	return h.Sum(nil)[:16]
}
