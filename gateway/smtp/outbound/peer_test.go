package outbound

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smtp/resolver"
)

// patience bounds what a test waits for; nothing depends on its length.
const patience = 30 * time.Second

// world is a name server, mail servers at loopback addresses, and an edge that knows
// of no others.
type world struct {
	*testing.T
	edge *Edge
	port uint16
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	reg  *prometheus.Registry

	mu     sync.Mutex
	zone   map[string][]dns.RR
	secure bool     // the name server validates
	broken []string // names for which it answers SERVFAIL
	asked  map[string]int
}

// newWorld starts a name server. Mail servers get ports from it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), zone: map[string][]dns.RR{}, asked: map[string]int{}, reg: prometheus.NewRegistry()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.port = uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	return w
}

func (w *world) serveDNS() string {
	w.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	up := make(chan struct{})
	s := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(w.answer), NotifyStartedFunc: func() { close(up) }}
	go s.ActivateAndServe()
	<-up
	w.Cleanup(func() { s.Shutdown() })
	return udp.LocalAddr().String()
}

func (w *world) answer(c dns.ResponseWriter, q *dns.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(q)
	name := strings.ToLower(q.Question[0].Name)
	w.asked[name]++
	m.AuthenticatedData = w.secure
	for _, b := range w.broken {
		if name == b {
			m.Rcode = dns.RcodeServerFailure
		}
	}
	for _, rr := range w.zone[name] {
		if rr.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(w.zone[name]) == 0 && m.Rcode == 0 {
		m.Rcode = dns.RcodeNameError
	}
	c.WriteMsg(m)
}

// publish adds records in the form of zone files.
func (w *world) publish(records ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			w.Fatal(err)
		}
		name := strings.ToLower(rr.Header().Name)
		w.zone[name] = append(w.zone[name], rr)
	}
}

// config sends mail from shop@example.com.
func (w *world) config() Config {
	return Config{
		Hostname: "out.example.com", Identities: []Identity{{Name: "shop", Address: "shop@example.com", Display: "The Shop"}},
		DNS: resolver.Config{Servers: []string{w.serveDNS()}, TrustAD: true, Timeout: 5 * time.Second}, TLS: "opportunistic",
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Connections:  100, ConnectionsPerDomain: 5, MessagesPerConnection: 100, IdleTimeout: time.Second, ConnectTimeout: 10 * time.Second, Queue: 2000, DrainTimeout: time.Second,
	}
}

// start runs an edge.
func (w *world) start(change func(*Config)) *Edge {
	w.Helper()
	c := w.config()
	if change != nil {
		change(&c)
	}
	e, err := New(c, Options{Compose: composeTest, ReturnPath: func(id string) string { return "b-" + id }, Reference: func(id string) string { return "ref-" + id },
		Log: slog.New(slog.DiscardHandler), Metrics: w.reg})
	if err != nil {
		w.Fatal(err)
	}
	e.port = w.port
	w.edge = e
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			w.Error("the edge did not end")
		}
	})
	return e
}

func composeTest(m gateway.Outbound) ([]byte, error) {
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: Test\r\nMessage-ID: <b-%s@example.com>\r\n\r\n%s", m.From, m.To, m.ID, m.Text), nil
}

// send sends one message and returns where its result will be.
func (w *world) send(m gateway.Outbound) chan gateway.Result {
	got := make(chan gateway.Result, 1)
	m.Channel = gateway.Email
	w.edge.Send(context.Background(), m, func(r gateway.Result) { got <- r })
	return got
}

func (w *world) result(got chan gateway.Result) gateway.Result {
	w.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(patience):
		w.Fatal("no result")
		return gateway.Result{}
	}
}

func (w *world) sent(id, to string) gateway.Result {
	w.Helper()
	return w.result(w.send(gateway.Outbound{ID: id, To: to, Text: "hello\r\n"}))
}

// count is the sum of a metric's values with a label value, of any for "".
func (w *world) count(name, value string) (sum float64) {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			match := value == ""
			for _, l := range m.GetLabel() {
				match = match || l.GetValue() == value
			}
			if f.GetName() == name && match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// server is a mail server that answers as told. Each answer is a line without its end; ""
// is silence, "!" closes the connection.
type server struct {
	w          *world
	ip         string
	tls        *tls.Config
	greeting   string
	offers     []string // EHLO
	reply      func(verb, arg string, n int) (string, bool)
	content    func(s *server, n int) string
	lax        bool   // DATA is allowed without recipients
	afterStart string // written in the clear behind the answer to STARTTLS

	mu     sync.Mutex
	got    []letter
	conns  int
	open   int
	most   int
	talk   []string
	writes int // segments that were read
}

// letter is what a server got.
type letter struct {
	from, to, raw string
	tls           bool
}

// serve starts a server at a loopback address, and makes it the one of domains.
func (w *world) serve(ip string, s *server, domains ...string) *server {
	w.Helper()
	s.w, s.ip = w, ip
	if s.greeting == "" {
		s.greeting = "220 mx ESMTP"
	}
	if s.offers == nil {
		s.offers = []string{"PIPELINING", "8BITMIME", "SIZE 1000000"}
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, w.port))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.Cleanup(func() { c.Close() })
			go s.speak(c)
		}
	}()
	for _, d := range domains {
		host := "mx." + d + "."
		w.publish(d+". 300 IN MX 10 "+host, host+" 300 IN A "+ip)
	}
	return s
}

type counted struct {
	net.Conn
	s *server
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	c.s.writes++
	c.s.mu.Unlock()
	return n, err
}

func (s *server) speak(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	s.conns++
	s.open++
	s.most = max(s.most, s.open)
	n := s.conns
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.open--; s.mu.Unlock() }()
	var c net.Conn = counted{conn, s}
	r := bufio.NewReader(c)
	encrypted := false
	say := func(line string) bool {
		if line == "!" {
			return false
		}
		if line != "" {
			io.WriteString(c, strings.ReplaceAll(line, "\n", "\r\n")+"\r\n")
		}
		return true
	}
	if s.greeting == "tls" {
		t := tls.Server(c, s.tls)
		c, r, encrypted = t, bufio.NewReader(t), true
		say("220 mx ESMTP")
	} else if !say(s.greeting) {
		return
	}
	var l letter
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.talk = append(s.talk, line)
		s.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if s.reply != nil {
			if out, ok := s.reply(verb, arg, n); ok {
				if !say(out) {
					return
				}
				if verb != "DATA" || !strings.HasPrefix(out, "354") {
					continue
				}
			}
		}
		switch verb {
		case "EHLO":
			lines := append([]string{"mx"}, s.offers...)
			if s.tls != nil && !encrypted {
				lines = append(lines, "STARTTLS")
			}
			for i, x := range lines {
				mark := "-"
				if i == len(lines)-1 {
					mark = " "
				}
				say("250" + mark + x)
			}
		case "STARTTLS":
			io.WriteString(c, "220 go\r\n"+s.afterStart)
			t := tls.Server(conn, s.tls)
			if t.Handshake() != nil {
				return
			}
			c, r, encrypted = t, bufio.NewReader(t), true
		case "MAIL":
			l = letter{from: path(arg), tls: encrypted}
			say("250 2.1.0 ok")
		case "RCPT":
			l.to = path(arg)
			say("250 2.1.5 ok")
		case "DATA":
			own := false
			if s.reply != nil {
				_, own = s.reply(verb, arg, n)
			}
			if !own && l.to == "" && !s.lax {
				say("503 5.5.1 no recipients")
				continue
			}
			if !own {
				say("354 go ahead")
			}
			var raw strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				raw.WriteString(strings.TrimPrefix(line, "."))
			}
			l.raw = raw.String()
			if l.to == "" {
				say("554 5.5.1 no recipients")
				continue
			}
			s.mu.Lock()
			s.got = append(s.got, l)
			s.mu.Unlock()
			answer := "250 2.0.0 queued"
			if s.content != nil {
				answer = s.content(s, n)
			}
			if !say(answer) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		case "RSET", "NOOP":
			say("250 ok")
		default:
			say("500 what?")
		}
	}
}

func path(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	p, _, _ := strings.Cut(rest, ">")
	return p
}

func (s *server) letters() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.got...)
}

func (s *server) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.talk, "\n")
}

// certificate makes one for names, signed by the world's authority.
func (w *world) certificate(names ...string) *tls.Config {
	w.Helper()
	if w.ca == nil {
		w.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		der, err := x509.CreateCertificate(rand.Reader, ca, ca, w.key.Public(), w.key)
		if err != nil {
			w.Fatal(err)
		}
		w.ca, _ = x509.ParseCertificate(der)
		w.file("ca.pem", "CERTIFICATE", der)
	}
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, w.ca, key.Public(), w.key)
	if err != nil {
		w.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der, w.ca.Raw}, PrivateKey: key}}}
}

func (w *world) file(name, kind string, der []byte) string {
	w.Helper()
	name = filepath.Join(w.dir, name)
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		w.Fatal(err)
	}
	return name
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func (w *world) keys() (rsaFile, edFile string) {
	w.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		w.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	edDER, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		w.Fatal(err)
	}
	return w.file("rsa.pem", "PRIVATE KEY", der), w.file("ed.pem", "PRIVATE KEY", edDER)
}
