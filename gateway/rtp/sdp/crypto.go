package sdp

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	pion "github.com/pion/sdp/v3"
)

// Keys for sound that is encrypted (SRTP) travel in the description itself (SDES, RFC
// 4568): whoever reads the signalling can hear the call, so it belongs on TLS.

// Secure says whether the sound is to be encrypted.
type Secure uint8

// The answers. Optional takes what the peer wants, and offers both: RTP/AVP with keys,
// which a peer that knows none of them leaves aside.
const (
	Plain Secure = iota
	Optional
	Required
)

// ErrNotSecure says that one side insists on encryption, and the other has no key for it.
var ErrNotSecure = errors.New("sdp: no common way to encrypt the sound")

// Suite is how packets are encrypted and proven (RFC 4568 §6.2).
type Suite uint8

// The suites: AES-128 in counter mode, and HMAC-SHA1 cut to 80 or 32 bits.
const (
	AES80 Suite = iota
	AES32
	suites
)

var suiteNames = [suites]string{"AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"}

func (s Suite) String() string { return suiteNames[s] }

// Key is a master key of 16 octets and its salt of 14. It never shows in a log.
type Key [30]byte

// Format implements fmt.Formatter.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(key)") }

// MarshalText keeps it out of structured logs.
func (Key) MarshalText() ([]byte, error) { return []byte("(key)"), nil }

// Keys are ours, one per suite: none is ever used in two ways.
type Keys [suites]Key

// NewKeys makes keys that nobody can guess.
func NewKeys() *Keys {
	k := new(Keys)
	for i := range k {
		_, _ = rand.Read(k[i][:]) // never fails (crypto/rand)
	}
	return k
}

// Crypto is an agreement: what we send is encrypted with Local, what comes with Remote.
type Crypto struct {
	Suite         Suite
	Local, Remote Key
}

// offered is an a=crypto line that we understand.
type offered struct {
	tag   string
	suite Suite
	key   Key
}

const (
	maxCryptos = 16
	inline     = "inline:"
)

// cryptos reads the lines of a stream; those with what we don't speak (other suites,
// several keys, session parameters that weaken it) are passed over (§5.1.2).
func cryptos(m *pion.MediaDescription) (list []offered) {
	for _, a := range m.Attributes {
		if a.Key != "crypto" || len(list) == maxCryptos {
			continue
		}
		if o, ok := readCrypto(a.Value); ok {
			list = append(list, o)
		}
	}
	return list
}

// readCrypto reads "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31 WSH=64". A key with an
// identifier (MKI) would stand in each packet, and is not taken.
func readCrypto(value string) (o offered, ok bool) {
	fields := strings.Fields(value)
	if len(fields) < 3 || len(fields[0]) > 9 || strings.Trim(fields[0], "0123456789") != "" {
		return o, false
	}
	for _, p := range fields[3:] {
		if !strings.HasPrefix(p, "WSH=") { // how large a window the peer keeps is its own affair
			return o, false
		}
	}
	o.tag, o.suite = fields[0], suites
	for s, name := range suiteNames {
		if fields[1] == name {
			o.suite = Suite(s)
		}
	}
	text, isKey := strings.CutPrefix(fields[2], inline)
	text, more, _ := strings.Cut(text, "|")
	if o.suite == suites || !isKey || strings.ContainsAny(more, ":;") || strings.Count(more, "|") > 0 {
		return o, false
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != len(o.key) {
		return o, false
	}
	copy(o.key[:], key)
	return o, true
}

func (o offered) String() string { return o.tag + " " + o.suite.String() + " (key)" }

func (o offered) line() string {
	return o.tag + " " + o.suite.String() + " " + inline + base64.StdEncoding.EncodeToString(o.key[:])
}

// cryptoOffer is what we offer: the stronger suite first.
func (l Local) cryptoOffer() (list []offered) {
	if l.Secure == Plain || l.Keys == nil {
		return nil
	}
	for s := range suites {
		list = append(list, offered{tag: strconv.Itoa(int(s) + 1), suite: s, key: l.Keys[s]})
	}
	return list
}

// secure chooses how an offered stream is encrypted; nil and no error: not at all.
func (l Local) secure(offer *Description) (*Crypto, []offered, error) {
	switch {
	case l.Secure == Plain || l.Keys == nil:
		if offer.savp {
			return nil, nil, ErrNotSecure
		}
	case len(offer.cryptos) > 0: // the first that both know (§5.1.2)
		o := offer.cryptos[0]
		own := l.Keys[o.suite]
		return &Crypto{o.suite, own, o.key}, []offered{{o.tag, o.suite, own}}, nil
	case offer.savp || l.Secure == Required:
		return nil, nil, ErrNotSecure
	}
	return nil, nil, nil
}

// concludeSecure takes the answer's choice: one of the lines that we offered.
func (l Local) concludeSecure(answer *Description) (*Crypto, error) {
	for _, ours := range l.cryptoOffer() {
		for _, o := range answer.cryptos {
			if o.tag == ours.tag && o.suite == ours.suite {
				return &Crypto{o.suite, ours.key, o.key}, nil
			}
		}
	}
	if answer.savp || l.Secure == Required {
		return nil, ErrNotSecure
	}
	return nil, nil
}
