package smtp

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"trunkline/gateway/smtp/authres"
)

// names answers questions about texts.
type names map[string]string

func (n names) LookupTXT(_ context.Context, name string) ([]string, error) {
	if s, ok := n[strings.TrimSuffix(name, ".")]; ok {
		return []string{s}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n names) LookupMX(context.Context, string) ([]*net.MX, error)          { return nil, nil }
func (n names) LookupIPAddr(context.Context, string) ([]net.IPAddr, error)   { return nil, nil }
func (n names) LookupAddr(context.Context, string) (names []string, _ error) { return nil, nil }

// Who a mail is from is found out where the listener wants it, and a forgery refused
// where it says so; hosts of one's own network wait for no name server.
func TestAuthentication(t *testing.T) {
	zone := names{"b.example": "v=spf1 -all", "_dmarc.b.example": "v=DMARC1; p=reject"}
	for _, test := range []struct {
		policy, trusted string
		answer          string
		properties      map[string]string
	}{
		{"tag", "192.0.2.0/24", "250 ", map[string]string{"spf": "fail", "dkim": "none", "dmarc": "fail"}},
		{"reject", "192.0.2.0/24", "550 5.7.1", nil},
		{"reject", "127.0.0.0/8", "250 ", nil},
		{"accept", "192.0.2.0/24", "250 ", nil},
	} {
		t.Run(test.policy+" "+test.trusted, func(t *testing.T) {
			h := start(t, func(c *Config) {
				c.Listen[0].DMARC, c.Authentication.Trusted = test.policy, []string{test.trusted}
			})
			h.verifier = authres.New(zone, patience)
			if answer := h.deliver("ana@b.example", "shop@example.com", "From: ana@b.example\n\nhello"); !strings.HasPrefix(answer, test.answer) {
				t.Fatal(answer)
			}
			for _, m := range h.core.all() {
				if !maps.Equal(m.Properties, test.properties) {
					t.Errorf("%v", m.Properties)
				}
			}
			if n := len(h.core.all()); (n == 1) != strings.HasPrefix(test.answer, "250") {
				t.Errorf("%d mails", n)
			}
		})
	}
}

// A flow learns which files came along, so many and no more.
func TestFiles(t *testing.T) {
	h := start(t, func(c *Config) { c.MaxSize = 1 << 20 })
	var b strings.Builder
	b.WriteString("From: ana@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhere\n")
	for range 30 {
		b.WriteString("--b\nContent-Disposition: attachment; filename*=utf-8''ra%C4%8Dun.pdf\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nAAAA\n")
	}
	b.WriteString("--b--\n")
	if answer := h.deliver("ana@b.example", "shop@example.com", b.String()); !strings.HasPrefix(answer, "250 ") {
		t.Fatal(answer)
	}
	if m := h.core.all()[0]; m.Text != "here" || !slices.Equal(m.Files, slices.Repeat([]string{"račun.pdf"}, filesMost)) {
		t.Errorf("%q with %q", m.Text, m.Files)
	}
}
