package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, cert, key string, serial int64) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// HTTPS, with HTTP/2, and a renewed certificate without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := selfSigned(t, cert, key, 1)
	s := newSite(t, options{change: func(c *Config) { c.TLS = &TLS{cert, key} }})
	ask := func() *http.Response {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
		req, err := http.NewRequest(http.MethodGet, strings.Replace(s.url, "http:", "https:", 1)+"/v1/flows", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.keys[Flows])
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	res := ask()
	expect(t, "status", res.StatusCode, 200)
	expect(t, "protocol", res.Proto, "HTTP/2.0")
	expect(t, "certificate", res.TLS.PeerCertificates[0].SerialNumber.Int64(), 1)
	pool = selfSigned(t, cert, key, 2)
	later := time.Now().Add(time.Minute) // whatever the resolution of the file system is
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	expect(t, "renewed certificate", ask().TLS.PeerCertificates[0].SerialNumber.Int64(), 2)
}

// A request that is being answered when the server stops gets its answer.
func TestStopAnswers(t *testing.T) {
	s := newSite(t, options{change: func(c *Config) { c.DrainTimeout = patience }})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.api.mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusTeapot)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.api.Run(ctx, l) }()
	status := make(chan int, 1)
	go func() {
		res, err := http.Get("http://" + l.Addr().String() + "/slow")
		if err != nil {
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	<-entered
	stop()
	s.eventually("the listener is closed", func() bool {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(leave)
	expect(t, "status", <-status, http.StatusTeapot)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	_, hash := NewKey()
	for want, c := range map[string]Config{
		"listen":         {Listen: "8080"},
		"secret":         {Secret: "short"},
		"tls":            {TLS: &TLS{"none", "none"}},
		"keys[1].name":   {Keys: []Key{{"a", hash, []Scope{People}}, {"a", hash + "0", []Scope{People}}}},
		"keys[1].hash":   {Keys: []Key{{"a", hash, []Scope{People}}, {"b", hash, []Scope{People}}}},
		"keys[0].scopes": {Keys: []Key{{"a", hash, nil}}},
	} {
		err := c.Validate()
		f := new(FieldError)
		if !errors.As(err, &f) || f.Path != want {
			t.Errorf("%s: %v", want, err)
		}
		if _, err := New(c, Options{}); err == nil {
			t.Errorf("%s: New took it", want)
		}
	}
}
