package authres

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// zone answers questions from a table; silent names never get an answer.
type zone struct {
	txt    map[string]string
	hosts  map[string]string
	silent map[string]bool
}

func (z *zone) answer(ctx context.Context, name string, table map[string]string) (string, error) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if z.silent[name] {
		<-ctx.Done()
		return "", &net.DNSError{Err: "timeout", Name: name, IsTimeout: true, IsTemporary: true}
	}
	if s, ok := table[name]; ok {
		return s, nil
	}
	return "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	s, err := z.answer(ctx, name, z.txt)
	if err != nil {
		return nil, err
	}
	return []string{s}, nil
}

func (z *zone) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	_, err := z.answer(ctx, name, nil)
	return nil, err
}

func (z *zone) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	s, err := z.answer(ctx, name, z.hosts)
	if err != nil {
		return nil, err
	}
	return []net.IPAddr{{IP: net.ParseIP(s)}}, nil
}

func (z *zone) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	_, err := z.answer(ctx, addr, nil)
	return nil, err
}

const letter = "From: Ana <ana@news.b.example>\r\nTo: shop@example.com\r\nSubject: Hello\r\n\r\nHello\r\n.. dots\r\n"

func sign(t *testing.T, domain string, key crypto.Signer, mail string) string {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(mail), &dkim.SignOptions{Domain: domain, Selector: "s", Signer: key, Hash: crypto.SHA256, HeaderKeys: []string{"From", "To", "Subject"}})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestResults(t *testing.T) {
	edKey := ed25519.NewKeyFromSeed(make([]byte, 32))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{txt: map[string]string{
		"b.example": "v=spf1 ip4:192.0.2.1 -all", "soft.example": "v=spf1 ~all", "loop.example": "v=spf1 include:loop.example -all",
		"_dmarc.b.example": "v=DMARC1; p=reject; sp=reject", "_dmarc.strict.example": "v=DMARC1; p=reject; adkim=s; aspf=s",
		"strict.example": "v=spf1 ip4:192.0.2.1 -all", "news.strict.example": "v=spf1 ip4:192.0.2.1 -all",
		"_dmarc.trial.example": "v=DMARC1; p=reject; pct=10", "_dmarc.mild.example": "v=DMARC1; p=none", "_dmarc.odd.example": "v=DMARC1; p=what",
		"s._domainkey.b.example":   "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey.Public().(ed25519.PublicKey)),
		"s._domainkey.rsa.example": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic),
	}, silent: map[string]bool{"slow.example": true, "_dmarc.slow.example": true, "s._domainkey.slow.example": true}}
	for _, test := range []struct {
		name             string
		peer, helo, path string
		header, mail     string
		spf, dkim, dmarc string
		refuse           bool
	}{
		{"proved by its host", "192.0.2.1", "mx", "ana@b.example", "news.b.example", letter, Pass, None, Pass, false},
		{"a forgery", "192.0.2.9", "mx", "ana@b.example", "news.b.example", letter, Fail, None, Fail, true},
		{"proved by its signature", "192.0.2.9", "mx", "ana@b.example", "news.b.example", sign(t, "b.example", edKey, letter), Fail, Pass, Pass, false},
		{"signed by somebody else", "192.0.2.9", "mx", "x@rsa.example", "news.b.example", sign(t, "rsa.example", rsaKey, letter), None, Pass, Fail, true},
		{"two signatures", "192.0.2.9", "mx", "x@rsa.example", "b.example", sign(t, "b.example", edKey, sign(t, "rsa.example", rsaKey, letter)), None, Pass, Pass, false},
		{"changed on the way", "192.0.2.9", "mx", "ana@b.example", "b.example", strings.Replace(sign(t, "b.example", edKey, letter), "Hello\r\n..", "hello\r\n..", 1), Fail, Fail, Fail, true},
		{"no key", "192.0.2.9", "mx", "x@none.example", "none.example", sign(t, "none.example", edKey, letter), None, PermError, None, false},
		{"a notice is proved by its host's name", "192.0.2.1", "b.example", "", "b.example", letter, Pass, None, Pass, false},
		{"strict: another subdomain does not count", "192.0.2.1", "mx", "x@news.strict.example", "strict.example", letter, Pass, None, Fail, true},
		{"softfail", "192.0.2.1", "mx", "x@soft.example", "soft.example", letter, "softfail", None, None, false},
		{"a policy on trial", "192.0.2.1", "mx", "x@trial.example", "trial.example", letter, None, None, Fail, false},
		{"a policy that watches", "192.0.2.1", "mx", "x@mild.example", "mild.example", letter, None, None, Fail, false},
		{"a policy that is none", "192.0.2.1", "mx", "x@odd.example", "odd.example", letter, None, None, PermError, false},
		{"endless includes", "192.0.2.1", "mx", "x@loop.example", "none.example", letter, PermError, None, None, false},
		{"no From", "192.0.2.1", "mx", "ana@b.example", "", "To: a\r\n\r\nx", Pass, None, PermError, false},
		{"name servers are silent", "192.0.2.1", "mx", "x@slow.example", "slow.example", sign(t, "slow.example", edKey, letter), TempError, TempError, TempError, false},
		{"no header at all", "192.0.2.1", "mx", "ana@b.example", "b.example", "", Pass, None, Pass, false},
		{"an endless header", "192.0.2.1", "mx", "ana@b.example", "b.example", "DKIM-Signature: " + strings.Repeat("x", headerMost+5), Pass, PermError, Pass, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			wait := 10 * time.Second
			if strings.Contains(test.path, "slow") {
				wait = 50 * time.Millisecond
			}
			for _, size := range []int{1, 7, 1 << 20} {
				if size == 1 && len(test.mail) > 1<<16 {
					continue
				}
				c := New(z, wait).Begin(netip.MustParseAddr(test.peer), test.helo, test.path)
				for rest := test.mail; rest != ""; {
					n := min(size, len(rest))
					fmt.Fprint(c, rest[:n])
					rest = rest[n:]
				}
				r := c.Results(test.header)
				if r != (Results{test.spf, test.dkim, test.dmarc, test.refuse}) {
					t.Errorf("%+v in pieces of %d", r, size)
				}
			}
		})
	}
}

// A sender cannot make us ask for ever, and a check that is given up leaves nothing.
func TestQuestions(t *testing.T) {
	z := &zone{txt: map[string]string{}}
	for i := range 200 {
		z.txt[fmt.Sprintf("%d.b.example", i)] = fmt.Sprintf("v=spf1 include:%d.b.example -all", i+1)
	}
	c := New(z, 10*time.Second).Begin(netip.MustParseAddr("192.0.2.1"), "mx", "x@0.b.example")
	fmt.Fprint(c, strings.Repeat("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=s; h=from; bh=; b=\r\n", 300)+"\r\n")
	if r := c.Results("b.example"); r.SPF != PermError || r.DKIM != PermError || c.questions.Load() > questionsMost {
		t.Errorf("%+v after %d questions", r, c.questions.Load())
	}
	given := New(z, 10*time.Second).Begin(netip.MustParseAddr("192.0.2.1"), "mx", "x@0.b.example")
	fmt.Fprint(given, letter)
	given.Close()
	given.Close()
}
