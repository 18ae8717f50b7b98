package authres

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// Whatever a mail says of its signatures, and a record of its policy, there is a result.
func FuzzCheck(f *testing.F) {
	f.Add("DKIM-Signature: v=1; a=ed25519-sha256; d=b.example; s=s; h=from; bh=; b=\r\nFrom: a@b.example\r\n\r\nx", "v=spf1 include:b.example -all", "v=DMARC1; p=reject")
	f.Add("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=s; h=from:from; bh=AAAA; b=AAAA; l=0; x=1; t=9\r\n\r\n", "v=spf1 exists:%{i}.%{d} redirect=b.example", "v=DMARC1; p=none; pct=x")
	f.Add("", "", "")
	known := []string{None, Pass, Fail, TempError, PermError, "neutral", "softfail"}
	f.Fuzz(func(t *testing.T, mail, policy, dmarc string) {
		z := &zone{txt: map[string]string{"b.example": policy, "_dmarc.b.example": dmarc, "s._domainkey.b.example": policy}}
		c := New(z, 10*time.Second).Begin(netip.MustParseAddr("192.0.2.1"), "mx", "a@b.example")
		_, _ = c.Write([]byte(mail))
		r := c.Results("b.example")
		for _, word := range []string{r.SPF, r.DKIM, r.DMARC} {
			if !slices.Contains(known, word) {
				t.Errorf("%+v", r)
			}
		}
		if r.Refuse && r.DMARC != Fail {
			t.Errorf("refused: %+v", r)
		}
	})
}
