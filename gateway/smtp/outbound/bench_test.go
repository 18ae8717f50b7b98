package outbound

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// BenchmarkSign signs a mail of 1 KiB with both keys; BenchmarkSignLimit makes the RSA
// signature alone, which nothing can be faster than.
func BenchmarkSign(b *testing.B) {
	w := &world{T: &testing.T{}, dir: b.TempDir()}
	rsaFile, edFile := w.keys()
	s, err := newSigner(&Domain{Domain: "example.com", DKIM: []Key{{Selector: "r", File: rsaFile}, {Selector: "e", File: edFile}}})
	if err != nil {
		b.Fatal(err)
	}
	msg := []byte("From: <shop@example.com>\r\nTo: <ana@b.example>\r\nSubject: Test\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
		strings.Repeat("A line of a mail that is neither long nor short.\r\n", 20))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.sign(msg, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignLimit(b *testing.B) {
	key, sum := rsaKey(), sha256.Sum256(nil)
	for b.Loop() {
		if _, err := key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
