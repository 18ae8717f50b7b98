package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// NoRetries as Request.Retries makes one attempt only.
const NoRetries = -1

// HeaderField is one line of a header.
type HeaderField struct{ Name, Value string }

// Request is one call of an API, or one delivery of a webhook.
type Request struct {
	// ID is the same for every attempt, here and after a restart: the
	// Idempotency-Key, and the webhook-id where the request is signed. 1–255
	// visible ASCII characters, without a full stop where it is signed.
	ID     string
	Method string // GET, HEAD, POST, PUT, PATCH or DELETE
	URL    string // http or https; see [CheckURL]
	Header []HeaderField
	Body   []byte // not changed by the caller before done was called
	// Timeout is for one attempt; 0 takes the configured one.
	Timeout time.Duration
	// Retries is the number of attempts after the first; 0 takes the configured
	// number, [NoRetries] makes none. More than three are three.
	Retries int
	// Collect makes variables of the answer's first level. An answer that is too
	// long to be read as a whole is then a failure.
	Collect bool
	// Sign makes it a webhook: it is signed with every one of these secrets, and
	// redirects are not followed.
	Sign []Secret
	// Expires is when the request is not worth making any more; zero is never.
	Expires time.Time
}

// signed says that the request is a webhook.
func (r *Request) signed() bool { return len(r.Sign) > 0 }

// ours are the header fields that requests may not set: those that rule the
// connection (RFC 9110 §7.6.1) and those that the edge writes itself.
var ours = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Idempotency-Key", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	headerID, headerSignature, headerTimestamp,
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// check finds what is wrong with a request apart from its URL. Errors repeat no
// values: they may be secrets.
func (r *Request) check(maxBody int) error {
	switch {
	case !slices.Contains(methods, r.Method):
		return fmt.Errorf("method: %.20q is none of %s", r.Method, strings.Join(methods, ", "))
	case !visible(r.ID) || len(r.ID) > maxID:
		return errors.New("id: it is not 1–255 visible ASCII characters")
	case r.signed() && strings.Contains(r.ID, "."):
		return errors.New("id: that of a webhook holds no full stop, which separates what is signed")
	case len(r.Body) > maxBody:
		return fmt.Errorf("body: %d octets are more than the %d allowed: %w", len(r.Body), maxBody, errTooLarge)
	case len(r.Body) > 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return fmt.Errorf("body: %s has none", r.Method)
	case r.Timeout < 0 || r.Timeout > maxTimeout:
		return fmt.Errorf("timeout: %s is not between 0s and %s", r.Timeout, maxTimeout)
	case len(r.Sign) > maxSecrets:
		return fmt.Errorf("sign: %d secrets are more than the %d allowed", len(r.Sign), maxSecrets)
	case slices.ContainsFunc(r.Sign, Secret.IsZero):
		return errors.New("sign: a secret is empty")
	}
	return r.checkHeader()
}

func (r *Request) checkHeader() error {
	if len(r.Header) > maxHeaders {
		return fmt.Errorf("header: %d fields are more than the %d allowed", len(r.Header), maxHeaders)
	}
	size := 0
	for _, f := range r.Header {
		size += len(f.Name) + len(f.Value)
		switch {
		case !token(f.Name):
			return fmt.Errorf("header: %.60q is no name of a field", f.Name)
		case slices.Contains(ours, http.CanonicalHeaderKey(f.Name)):
			return fmt.Errorf("header: %s is set by the gateway", f.Name)
		case !fieldValue(f.Value):
			return fmt.Errorf("header: the value of %s holds a line break or another control character", f.Name)
		}
	}
	if size > maxHeaderSize {
		return fmt.Errorf("header: %d octets are more than the %d allowed", size, maxHeaderSize)
	}
	return nil
}

// header is what every attempt sends, but for the signature.
func (r *Request) header(userAgent string) http.Header {
	h := make(http.Header, len(r.Header)+6)
	for _, f := range r.Header {
		h.Add(f.Name, f.Value)
	}
	// An empty value keeps net/http from sending its own.
	if _, set := h["User-Agent"]; !set {
		h.Set("User-Agent", userAgent)
	}
	if len(r.Body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Idempotency-Key", r.ID)
	return h
}

// visible says that s has visible ASCII characters only, at least one.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// token says that s is a token (RFC 9110 §5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && !digit(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// fieldValue says that a header can carry s (RFC 9110 §5.5).
func fieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
