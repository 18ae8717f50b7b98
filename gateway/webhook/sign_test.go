package webhook

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The vector of the specification's reference libraries.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

var vectorTime = time.Unix(1614265330, 0)

func secretOf(t testing.TB, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSign(t *testing.T) {
	h := Sign(vectorID, vectorTime, []byte(vectorBody), secretOf(t, vectorSecret))
	if h.Get("webhook-id") != vectorID || h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-signature") != vectorSignature {
		t.Error(h)
	}
}

func TestVerify(t *testing.T) {
	secret, other := secretOf(t, vectorSecret), NewSecret()
	for _, tt := range []struct {
		name   string
		want   error
		change func(h http.Header, body *string, now *time.Time)
	}{
		{"as it was sent", nil, func(http.Header, *string, *time.Time) {}},
		{"another body", ErrForged, func(_ http.Header, b *string, _ *time.Time) { *b += " " }},
		{"another id", ErrForged, func(h http.Header, _ *string, _ *time.Time) { h.Set(headerID, "msg_2") }},
		{"another time", ErrForged, func(h http.Header, _ *string, _ *time.Time) { h.Set(headerTimestamp, "1614265331") }},
		{"another secret", ErrForged, func(h http.Header, b *string, _ *time.Time) {
			h.Set(headerSignature, Sign(vectorID, vectorTime, []byte(*b), other).Get(headerSignature))
		}},
		{"two secrets, during a rotation", nil, func(h http.Header, b *string, _ *time.Time) {
			h.Set(headerSignature, Sign(vectorID, vectorTime, []byte(*b), other, secret).Get(headerSignature))
		}},
		{"signatures of other kinds beside it", nil, func(h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, "v1a,hnO3f9T8 v2,x "+vectorSignature)
		}},
		{"a signature of another version", ErrForged, func(h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, strings.Replace(vectorSignature, "v1", "v2", 1))
		}},
		{"a signature without its end", ErrForged, func(h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, vectorSignature[:len(vectorSignature)-1])
		}},
		{"no id", ErrNotSigned, func(h http.Header, _ *string, _ *time.Time) { h.Del(headerID) }},
		{"no timestamp", ErrNotSigned, func(h http.Header, _ *string, _ *time.Time) { h.Del(headerTimestamp) }},
		{"no number", ErrNotSigned, func(h http.Header, _ *string, _ *time.Time) { h.Set(headerTimestamp, "now") }},
		{"no signature", ErrNotSigned, func(h http.Header, _ *string, _ *time.Time) { h.Del(headerSignature) }},
		{"too many signatures", ErrNotSigned, func(h http.Header, _ *string, _ *time.Time) {
			h.Set(headerSignature, strings.Repeat("v1,x ", 40)+vectorSignature)
		}},
		{"five minutes late", nil, func(_ http.Header, _ *string, now *time.Time) { *now = vectorTime.Add(Tolerance) }},
		{"later", ErrTooOld, func(_ http.Header, _ *string, now *time.Time) { *now = vectorTime.Add(Tolerance + 1) }},
		{"from the future", ErrTooOld, func(_ http.Header, _ *string, now *time.Time) { *now = vectorTime.Add(-Tolerance - 1) }},
		{"from the end of time", ErrTooOld, func(h http.Header, _ *string, _ *time.Time) { h.Set(headerTimestamp, "9223372036854775807") }},
		{"from its beginning", ErrTooOld, func(h http.Header, _ *string, _ *time.Time) { h.Set(headerTimestamp, "-9223372036854775808") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, now := vectorBody, vectorTime
			h := Sign(vectorID, vectorTime, []byte(body), secret)
			tt.change(h, &body, &now)
			if err := Verify(h, []byte(body), now, Tolerance, secret); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// Whatever is signed is verified, and any change of an octet is found.
func TestSignatureCoversEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "body")
		id := rapid.StringMatching(`[a-zA-Z0-9_-]{1,40}`).Draw(t, "id")
		at := time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "at"), 0)
		secrets := []Secret{NewSecret(), NewSecret()}
		h := Sign(id, at, body, secrets...)
		for _, s := range secrets {
			if err := Verify(h, body, at, 0, s); err != nil {
				t.Fatal(err)
			}
		}
		changed := slices.Clone(body)
		changed[rapid.IntRange(0, len(body)-1).Draw(t, "octet")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if err := Verify(h, changed, at, 0, secrets...); !errors.Is(err, ErrForged) {
			t.Fatal(err)
		}
	})
}

func TestSecret(t *testing.T) {
	s := NewSecret()
	if again := secretOf(t, s.Reveal()); again != s || s == NewSecret() {
		t.Error("a secret does not survive its text, or is not random")
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "endpoint", Endpoint{Secrets: []Secret{s}})
	shown := log.String() + fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s) + fmt.Sprintf("%v %+v %#v", Request{Sign: []Secret{s}}, []Secret{s}, &s)
	if strings.Contains(shown, s.Reveal()[len(secretPrefix):][:8]) || strings.Contains(shown, fmt.Sprintf("%q", s.key)) {
		t.Error("a secret is shown")
	}
	for _, bad := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", "whsec_!!", "whsec_" + strings.Repeat("AAAA", 22), "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		if _, err := ParseSecret(bad); err == nil || strings.Contains(err.Error(), "MfKQ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
