package outbound

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"
)

// testSigner signs with a key of each kind; published answers for DNS.
func testSigner(t *testing.T) (s *signer, published func(string) ([]string, error)) {
	w := &world{T: t, dir: t.TempDir()}
	rsaFile, edFile := w.keys()
	keys := []Key{{Selector: "r", File: rsaFile}, {Selector: "e", File: edFile}}
	s, err := newSigner(&Domain{Domain: "example.com", DKIM: keys})
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{}
	for i := range keys {
		name, text, err := keys[i].Record()
		if err != nil {
			t.Fatal(err)
		}
		records[name+".example.com"] = text
	}
	return s, func(name string) ([]string, error) { return []string{records[name]}, nil }
}

// Whatever a message looks like, another implementation finds both signatures right, and
// none once a signed field is added.
func TestSignaturesVerify(t *testing.T) {
	s, published := testSigner(t)
	verify := func(t *rapid.T, msg string) (good int) {
		checks, err := dkim.VerifyWithOptions(strings.NewReader(msg), &dkim.VerifyOptions{LookupTXT: published})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			if c.Err == nil && c.Domain == "example.com" {
				good++
			}
		}
		return good
	}
	word := rapid.StringMatching(`[ \t]{0,3}[A-Za-z0-9.:;=é]{0,12}[ \t]{0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"From", "TO ", "subject", "Subject", "Date", "X-Other", "Message-Id", "Content-Type"}), 0, 8).Draw(t, "names") {
			value := rapid.StringMatching(`[A-Za-z0-9@<> ;=/]{1,20}`).Draw(t, "value")
			fold := rapid.SampledFrom([]string{"", "\r\n more", "\r\n\tmore \r\n and  more"}).Draw(t, "fold")
			b.WriteString(name + ": " + value + fold + "\r\n")
		}
		msg := "From: <shop@example.com>\r\n" + b.String() + "\r\n"
		for _, line := range rapid.SliceOfN(rapid.SliceOfN(word, 0, 4), 0, 10).Draw(t, "lines") {
			msg += strings.Join(line, " ") + "\r\n"
		}
		signed, err := s.sign([]byte(msg), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if n := verify(t, string(signed)); n != 2 {
			t.Fatalf("%d of 2 signatures are right:\n%q", n, signed)
		}
		if n := verify(t, "Reply-To: <x@evil.example>\r\n"+string(signed)); n != 0 {
			t.Fatalf("%d signatures are right although a field was added", n)
		}
		for line := range strings.SplitSeq(string(signed[:len(signed)-len(msg)]), "\r\n") {
			if len(line) > 78 {
				t.Fatalf("a line of a signature has %d octets: %q", len(line), line)
			}
		}
	})
}

// Signing is most of what sending costs; what is beside the arithmetic stays small.
func TestSigningAllocatesLittle(t *testing.T) {
	s, _ := testSigner(t)
	msg := []byte("From: <shop@example.com>\r\nTo: <ana@b.example>\r\nSubject: Test\r\n\r\n" + strings.Repeat("A line.\r\n", 100))
	now := time.Now()
	if n := testing.AllocsPerRun(50, func() { _, _ = s.sign(msg, now) }); n > 30 { // 345 when each key went through the message by itself
		t.Errorf("a message signed twice costs %.0f allocations", n)
	}
}

func TestMessageWithoutHeaderIsNotSigned(t *testing.T) {
	s, _ := testSigner(t)
	if _, err := s.sign([]byte("no header"), time.Now()); err == nil {
		t.Error("a message without the end of its header is signed")
	}
}
