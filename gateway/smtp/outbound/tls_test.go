package outbound

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
)

// What becomes of a mail by the policy and by what the server can.
func TestTLS(t *testing.T) {
	t.Parallel()
	type expectation struct {
		fate      gateway.Fate
		encrypted bool
	}
	yes, clear, no := expectation{gateway.FateAccepted, true}, expectation{gateway.FateAccepted, false}, expectation{gateway.FateRetry, false}
	for _, c := range []struct {
		name  string
		serve func(w *world) *server
		want  map[string]expectation
	}{
		{"no TLS", func(*world) *server { return &server{} },
			map[string]expectation{tlsNone: clear, tlsOpportunistic: clear, tlsRequired: no, tlsVerified: no}},
		{"good certificate", func(w *world) *server { return &server{tls: w.certificate("mx.b.example")} },
			map[string]expectation{tlsNone: clear, tlsOpportunistic: yes, tlsRequired: yes, tlsVerified: yes}},
		{"another's certificate", func(w *world) *server { return &server{tls: w.certificate("mx.c.example")} },
			map[string]expectation{tlsOpportunistic: yes, tlsRequired: yes, tlsVerified: no}},
		{"broken TLS", func(*world) *server { return &server{tls: &tls.Config{}} },
			map[string]expectation{tlsOpportunistic: clear, tlsRequired: no, tlsVerified: no}},
		{"plaintext behind STARTTLS", func(w *world) *server {
			return &server{tls: w.certificate("mx.b.example"), afterStart: "250 injected\r\n"}
		}, map[string]expectation{tlsOpportunistic: clear, tlsRequired: no, tlsVerified: no}},
	} {
		for level, want := range c.want {
			w := newWorld(t)
			w.certificate("any")
			s := w.serve("127.0.0.1", c.serve(w), "b.example")
			w.start(func(c *Config) { c.TLS, c.CA = level, w.dir+"/ca.pem" })
			r := w.sent("1", "a@b.example")
			got := s.letters()
			if r.Fate != want.fate || r.Fate == gateway.FateAccepted && got[0].tls != want.encrypted {
				t.Errorf("%s, %s: %+v", c.name, level, r)
			}
			if r.Fate == gateway.FateRetry && (r.Code != codePolicy || strings.Contains(s.heard(), "MAIL")) {
				t.Errorf("%s, %s: %+v", c.name, level, r)
			}
			if w.count("trunkline_email_tls_total", byNobody) == 0 && level != tlsNone {
				t.Errorf("%s, %s: nothing is counted", c.name, level)
			}
		}
	}
}

// DANE: a certificate that DNSSEC names is enough, and no other is (RFC 7672).
func TestDANE(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		record func(leaf, ca *x509.Certificate) string
		names  string
		secure bool
		broken bool
		fate   gateway.Fate
		tls    string
	}{
		{"end entity by key", func(leaf, _ *x509.Certificate) string { return "3 1 1 " + digest(leaf.RawSubjectPublicKeyInfo) }, "any.example", true, false, gateway.FateAccepted, "dane"},
		{"authority", func(_, ca *x509.Certificate) string { return "2 0 1 " + digest(ca.Raw) }, "mx.b.example", true, false, gateway.FateAccepted, "dane"},
		{"authority, another name", func(_, ca *x509.Certificate) string { return "2 0 1 " + digest(ca.Raw) }, "other.example", true, false, gateway.FateRetry, ""},
		{"another key", func(*x509.Certificate, *x509.Certificate) string { return "3 1 1 " + digest([]byte("x")) }, "mx.b.example", true, false, gateway.FateRetry, ""},
		{"not validated", func(*x509.Certificate, *x509.Certificate) string { return "3 1 1 " + digest([]byte("x")) }, "mx.b.example", false, false, gateway.FateAccepted, ""},
		{"unusable", func(*x509.Certificate, *x509.Certificate) string { return "1 1 1 " + digest([]byte("x")) }, "mx.b.example", true, false, gateway.FateAccepted, ""},
		{"bogus", func(*x509.Certificate, *x509.Certificate) string { return "3 1 1 " + digest([]byte("x")) }, "mx.b.example", true, true, gateway.FateRetry, ""},
	} {
		w := newWorld(t)
		conf := w.certificate(c.names)
		leaf, err := x509.ParseCertificate(conf.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		w.serve("127.0.0.1", &server{tls: conf}, "b.example")
		name := fmt.Sprintf("_%d._tcp.mx.b.example.", w.port)
		w.publish(name + " 300 IN TLSA " + c.record(leaf, w.ca))
		w.mu.Lock()
		w.secure = c.secure
		if c.broken {
			w.broken = []string{name}
		}
		w.mu.Unlock()
		w.start(nil)
		r := w.sent("1", "a@b.example")
		if r.Fate != c.fate || !strings.Contains(r.Trail.TLS, c.tls) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// MTA-STS: servers that the policy does not name get nothing, those that it names are
// verified, and a policy that was fetched once holds (RFC 8461).
func TestMTASTS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, mode, mx, certificate string
		fate                        gateway.Fate
	}{
		{"all is well", "enforce", "mx.b.example", "mx.b.example", gateway.FateAccepted},
		{"pattern", "enforce", "*.b.example", "mx.b.example", gateway.FateAccepted},
		{"another server", "enforce", "mx.other.example", "mx.b.example", gateway.FateRetry},
		{"another certificate", "enforce", "mx.b.example", "x.example", gateway.FateRetry},
		{"testing", "testing", "mx.other.example", "x.example", gateway.FateAccepted},
		{"none", "none", "mx.other.example", "x.example", gateway.FateAccepted},
	} {
		w := newWorld(t)
		w.serve("127.0.0.1", &server{tls: w.certificate(c.certificate)}, "b.example")
		fetched := 0
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(o http.ResponseWriter, r *http.Request) {
			if r.Host != "mta-sts.b.example" || r.URL.Path != "/.well-known/mta-sts.txt" {
				http.NotFound(o, r)
				return
			}
			fetched++
			fmt.Fprintf(o, "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 86400\r\n", c.mode, c.mx)
		}))
		web.TLS = w.certificate("mta-sts.b.example")
		web.StartTLS()
		t.Cleanup(web.Close)
		w.publish(`_mta-sts.b.example. 300 IN TXT "v=STSv1; id=1;"`, "mta-sts.b.example. 300 IN A 127.0.0.1")
		conf := w.config()
		conf.CA, conf.MTASTS = w.dir+"/ca.pem", true
		e := w.start(func(c *Config) { *c = conf })
		_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
		e.webPort = port
		conf.DNS.Timeout += time.Second // makes the store of policies anew
		if err := e.Reload(conf); err != nil {
			t.Fatal(err)
		}
		r := w.sent("1", "a@b.example")
		if r.Fate != c.fate || c.fate == gateway.FateRetry && r.Code != codePolicy {
			t.Errorf("%s: %+v", c.name, r)
		}
		// The record and the server are gone: what was fetched holds.
		w.mu.Lock()
		delete(w.zone, "_mta-sts.b.example.")
		w.mu.Unlock()
		web.Close()
		s := e.current.Load()
		if p, err := s.sts.policy(t.Context(), "b.example"); err != nil || c.mode != "none" && p == nil || fetched != 1 {
			t.Errorf("%s: afterwards %+v, %v; fetched %d times", c.name, p, err, fetched)
		}
		if sum := w.count("trunkline_email_tls_total", bySTS); c.mode != "none" && sum == 0 {
			t.Errorf("%s: nothing is counted", c.name)
		}
	}
}

// Policies that are none.
func TestParseSTS(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "version: STSv1", "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1", "version: STSv1\nmode: maybe\nmx: a\nmax_age: 1",
		"version: STSv1\nmode: enforce\nmax_age: 1", "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1", "mode: enforce\nmx: a\nmax_age: 1", strings.Repeat("x", 100_000)} {
		if p, err := parseSTS(strings.NewReader(text)); err == nil {
			t.Errorf("%.30q: %+v", text, p)
		}
	}
}

// Whatever a policy file says, what is kept of it can be used.
func FuzzParseSTS(f *testing.F) {
	for _, s := range []string{"version: STSv1\r\nmode: enforce\r\nmx: *.b.example\r\nmax_age: 86400\r\n", "version: STSv1\nmode: none\nmax_age: 0", "mx: a\nmx: b\nversion: STSv1\nmode: testing\nmax_age: 99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseSTS(strings.NewReader(text))
		if err != nil {
			return
		}
		if p.age < 0 || p.age > stsLongest || len(p.mx) > stsPatterns || p.mode != stsNone && len(p.mx) == 0 {
			t.Fatalf("%+v", p)
		}
		p.names("mx.b.example")
	})
}
