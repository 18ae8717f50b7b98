package smtp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smtp/verp"
	"trunkline/keyword"
)

// patience bounds what a test waits for; nothing depends on its length.
const patience = 20 * time.Second

// inbox is a core that keeps what it gets.
type inbox struct {
	gateway.Core
	mu     sync.Mutex
	got    []gateway.Inbound
	told   []gateway.Report
	refuse error
	hold   chan struct{} // done waits for it when it is not nil
}

func (b *inbox) Inbound(m gateway.Inbound, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse == nil {
		b.got = append(b.got, m)
	}
	err, hold := b.refuse, b.hold
	if hold == nil {
		done(err)
		return
	}
	go func() { <-hold; done(err) }()
}

func (b *inbox) Report(r gateway.Report, done func(error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse == nil {
		r.Received = time.Time{}
		b.told = append(b.told, r)
	}
	done(b.refuse)
}

func (b *inbox) reports() []gateway.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]gateway.Report(nil), b.told...)
}

func (b *inbox) all() []gateway.Inbound {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]gateway.Inbound(nil), b.got...)
}

// returns is the key of our return paths in tests.
var returns = verp.NewKey([]byte("a secret of the tests"))

// host is a running edge with a core of the test.
type host struct {
	*testing.T
	*Edge
	core  *inbox
	stop  context.CancelFunc
	ended chan error
	reg   *prometheus.Registry
}

func defaults() Config {
	return Config{
		Listen: []Listener{{Address: "127.0.0.1:0"}}, Hostname: "mx.example.com", MaxSize: 100_000, MaxRecipients: 3, MaxLine: 2000, MaxHeader: 8192,
		MaxConnections: 10, MaxConnectionsPerAddress: 10, Rate: 1000, CommandTimeout: patience, DataTimeout: patience, SessionTimeout: time.Minute,
	}
}

// start runs an edge for shop@example.com and *@catch.example.
func start(t *testing.T, change func(*Config)) *host {
	t.Helper()
	c := defaults()
	if change != nil {
		change(&c)
	}
	h := &host{T: t, core: &inbox{}, ended: make(chan error, 1), reg: prometheus.NewRegistry()}
	e, err := New(c, Options{Log: slog.New(slog.DiscardHandler), Core: h.core, Metrics: h.reg, Returns: returns, Mailbox: func(address string) (string, bool) {
		local, domain, _ := keyword.CutMailbox(keyword.Number(address))
		local, _, _ = strings.Cut(local, "+")
		switch {
		case domain == "catch.example":
			return "*@catch.example", true
		case domain == "example.com" && (local == "shop" || local == "help"):
			return local + "@example.com", true
		}
		return "", domain == "example.com"
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.Edge, h.stop = e, cancel
	go func() { h.ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-h.ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the edge did not end")
		}
	})
	return h
}

// count is the value of a metric with one label.
func (h *host) count(name, label string) float64 {
	families, err := h.reg.Gather()
	if err != nil {
		h.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// peer is a connection to the edge.
type peer struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func (h *host) dial() *peer {
	h.Helper()
	c, err := net.Dial("tcp", h.listeners[0].Addr().String())
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &peer{h.T, c, bufio.NewReader(c)}
}

// say writes octets as they are.
func (p *peer) say(s string) {
	p.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.Fatal(err)
	}
}

// reply is one whole answer.
func (p *peer) reply() string {
	p.Helper()
	var all strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			p.Fatalf("%v after %q", err, all.String())
		}
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

// expect reads an answer that begins with a code or more.
func (p *peer) expect(want string) string {
	p.Helper()
	got := p.reply()
	last := got[strings.LastIndexByte(strings.TrimSuffix(got, "\r\n"), '\n')+1:]
	if !strings.HasPrefix(last, want) {
		p.Fatalf("the answer is %q, not %s…", got, want)
	}
	return got
}

// over expects the end of the connection.
func (p *peer) over() {
	p.Helper()
	rest, err := io.ReadAll(p.r)
	if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		p.Fatalf("the connection goes on: %v", err)
	}
	if len(rest) > 0 {
		p.Fatalf("more is said: %q", rest)
	}
}

// play plays a transcript: C says a line, c says octets as Go writes them, S expects
// an answer, and X the end of the connection. The greeting is expected before.
func (p *peer) play(transcript string) {
	p.Helper()
	p.expect("220 mx.example.com")
	for line := range strings.Lines(strings.TrimLeft(transcript, "\n")) {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\n"), "\t")
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "C":
			p.say(rest + "\r\n")
		case "c":
			raw, err := strconv.Unquote(`"` + rest + `"`)
			if err != nil {
				p.Fatal(err)
			}
			p.say(raw)
		case "S":
			p.expect(rest)
		case "X":
			p.over()
		case "":
		default:
			p.Fatalf("what is %q?", line)
		}
	}
}

// certificate writes a certificate for localhost.
func certificate(t *testing.T) *TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := &TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for name, b := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// secure goes on in TLS.
func (p *peer) secure() {
	p.Helper()
	c := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		p.Fatal(err)
	}
	p.Conn, p.r = c, bufio.NewReader(c)
}
