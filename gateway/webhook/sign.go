package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Header fields of a webhook (Standard Webhooks, "Webhook headers").
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

const (
	secretPrefix  = "whsec_"
	version       = "v1," // HMAC-SHA256
	secretMin     = 24    // octets: 192 bits
	secretMax     = 64    // octets: 512 bits
	maxSignatures = 32    // of a header that is verified
)

// Secret is the key that a webhook is signed with: whsec_ and 24 to 64 octets in
// base64. Nothing but [Secret.Reveal] shows it.
type Secret struct{ key string }

// ParseSecret reads a secret. The error does not repeat it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return Secret{}, errors.New("a webhook's secret begins with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Secret{}, errors.New("after whsec_ a webhook's secret is base64")
	}
	if len(key) < secretMin || len(key) > secretMax {
		return Secret{}, fmt.Errorf("a webhook's secret has %d to %d octets, this one has %d", secretMin, secretMax, len(key))
	}
	return Secret{string(key)}, nil
}

// NewSecret makes a random secret of 32 octets.
func NewSecret() Secret {
	key := make([]byte, 32)
	rand.Read(key)
	return Secret{string(key)}
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Secret) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSecret(string(text))
	return err
}

// Reveal is the secret's text, for whoever is to verify webhooks.
func (s Secret) Reveal() string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(s.key))
}

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.key == "" }

// String hides the secret.
func (Secret) String() string { return secretPrefix + "…" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Sign makes the header of one attempt to deliver a webhook, with a signature
// for each secret: during a rotation the new and the old one. Every attempt has
// the same id, which holds no full stop, and its own time.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = version + s.signature(id, timestamp, body)
	}
	return http.Header{
		headerID: {id}, headerTimestamp: {timestamp}, headerSignature: {strings.Join(signatures, " ")},
	}
}

func (s Secret) signature(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(s.key))
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Errors of Verify.
var (
	ErrNotSigned = errors.New("webhook: the header lacks webhook-id, webhook-timestamp or webhook-signature, or they cannot be read")
	ErrTooOld    = errors.New("webhook: the timestamp is too far from now")
	ErrForged    = errors.New("webhook: no signature fits")
)

// Tolerance is how far a timestamp may be from the receiver's clock, as a rule.
const Tolerance = 5 * time.Minute

// Verify is what a receiver does: one signature has to fit one of the secrets,
// and the timestamp to be within tolerance of now. The receiver then drops an id
// that it has seen before.
func Verify(h http.Header, body []byte, now time.Time, tolerance time.Duration, secrets ...Secret) error {
	id, timestamp := h.Get(headerID), h.Get(headerTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return ErrNotSigned
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return ErrTooOld
	}
	signatures := strings.Fields(h.Get(headerSignature))
	if len(signatures) == 0 || len(signatures) > maxSignatures {
		return ErrNotSigned
	}
	for _, s := range secrets {
		want := []byte(version + s.signature(id, timestamp, body))
		for _, signature := range signatures {
			if hmac.Equal(want, []byte(signature)) {
				return nil
			}
		}
	}
	return ErrForged
}
