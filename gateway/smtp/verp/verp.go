// Package verp makes the addresses to which notices about our mails come back
// (variable envelope return paths). Such an address names the mail that the notice
// is about, and only we can make one: a bounce that somebody made up names none.
//
// It knows no mail and no store: it turns the id of a message into a local part,
// and a local part into the reference under which the message is looked up.
package verp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// prefix tells our return paths from other addresses of a domain.
	prefix = "b-"
	// Octets of a reference and of the code that proves it. Together they are 40
	// letters without a bit to spare, so that each token has one form only.
	referenceSize, codeSize = 15, 10
	referenceLength         = referenceSize * 8 / 5
	// Length of a local part in octets; it may be 64 (RFC 5321 §4.5.3.1.1).
	Length = len(prefix) + (referenceSize+codeSize)*8/5
)

// encoding survives hosts that change the case of local parts.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key signs and proves. It may be used concurrently.
type Key struct{ secret []byte }

// NewKey makes a key of a secret, which no other purpose has.
func NewKey(secret []byte) *Key { return &Key{append([]byte(nil), secret...)} }

// Reference is the short form of an outbound message's id: 24 letters and digits.
// It is what [Key.Parse] gives back, and the key under which the sender reports
// the message (gateway.Result.Keys).
func Reference(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return encoding.EncodeToString(sum[:referenceSize])
}

// Sign makes the local part of the return path of an outbound message. The same id
// gives the same local part: it serves as the left side of the Message-ID, too.
func (k *Key) Sign(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	token := k.appendCode(sum[:referenceSize:referenceSize])
	return prefix + encoding.EncodeToString(token)
}

// Parse returns the reference that a local part carries, in any case of letters; ok
// is false when it was not signed with this key. How long the comparison of codes
// takes does not depend on them.
func (k *Key) Parse(local string) (reference string, ok bool) {
	if len(local) != Length {
		return "", false
	}
	local = strings.ToLower(local)
	letters, ok := strings.CutPrefix(local, prefix)
	if !ok {
		return "", false
	}
	token, err := encoding.DecodeString(letters)
	if err != nil || len(token) != referenceSize+codeSize {
		return "", false
	}
	proved := k.appendCode(token[:referenceSize:referenceSize])
	if !hmac.Equal(token, proved) {
		return "", false
	}
	return letters[:referenceLength], true
}

// FromMessageID returns the reference of the mail whose Message-ID begins with left.
// That is the hash of the id, too, with more octets and another alphabet, so that all
// that names a mail leads to one reference; it proves less: who got the mail knows it.
func FromMessageID(left string) (reference string, ok bool) {
	if len(left) != messageIDLength {
		return "", false
	}
	sum, err := messageIDText.DecodeString(strings.ToUpper(left))
	if err != nil || len(sum) < referenceSize {
		return "", false
	}
	return encoding.EncodeToString(sum[:referenceSize]), true
}

// How compose.Key writes the hash of an id: 20 octets.
const messageIDLength = 32

var messageIDText = base32.HexEncoding.WithPadding(base32.NoPadding)

// Match tells whether a local part looks like a return path, signed or not.
func Match(local string) bool {
	return len(local) == Length && strings.EqualFold(local[:len(prefix)], prefix)
}

// appendCode appends to a reference the code that proves it (RFC 2104 §5).
func (k *Key) appendCode(reference []byte) []byte {
	m := hmac.New(sha256.New, k.secret)
	m.Write(reference)
	return append(reference, m.Sum(nil)[:codeSize]...)
}
