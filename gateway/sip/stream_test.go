package sip

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
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway/sip/message"
)

// realEdge serves on the loopback until the test ends.
func realEdge(t *testing.T, config string, h Handler, trunks ...string) *Edge {
	t.Helper()
	var list []Trunk
	for _, text := range trunks {
		list = append(list, decode[Trunk](t, text))
	}
	e, err := New(decode[Config](t, config+"\ndrain_timeout: 0s\n"), list, Options{Handler: h, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

// line is a peer on a connection.
type line struct {
	testing.TB
	net.Conn
	r *bufio.Reader
}

func newLine(t testing.TB, c net.Conn) *line {
	t.Cleanup(func() { c.Close() })
	return &line{t, c, bufio.NewReader(c)}
}

// message reads one message.
func (l *line) message() *message.Message {
	l.Helper()
	_ = l.SetReadDeadline(time.Now().Add(time.Minute))
	var head []byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		b, err := l.r.ReadByte()
		if err != nil {
			l.Fatalf("%v after %q", err, head)
		}
		head = append(head, b)
	}
	n, err := message.Length(head)
	if err != nil {
		l.Fatalf("%v: %s", err, head)
	}
	for len(head) < n {
		b, err := l.r.ReadByte()
		if err != nil {
			l.Fatal(err)
		}
		head = append(head, b)
	}
	m, err := message.Parse(head)
	if err != nil {
		l.Fatal(err)
	}
	return m
}

func (l *line) expect(what string) *message.Message {
	l.Helper()
	m := l.message()
	if got := m.Method + strings.TrimPrefix(fmt.Sprint(m.Status), "0"); got != what {
		l.Fatalf("got %s %s, want %s", got, m.Phrase, what)
	}
	return m
}

func requestOver(transport, method, id, toTag string, cseq int, body string) []byte {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\n"
	}
	return crlf(fmt.Sprintf("%s sip:1@x SIP/2.0\nVia: SIP/2.0/%s 127.0.0.1;branch=z9hG4bK%s%s%d\nMax-Forwards: 70\nFrom: <sip:2@x>;tag=f\nTo: <sip:1@x>%s\n"+
		"Call-ID: %s\nCSeq: %d %s\nContact: <sip:2@127.0.0.1>\n%s\n%s", method, transport, id, method, cseq, toTag, id, cseq, method, kind, body))
}

type answering struct{ legs chan *Leg }

func (a answering) Invited(l *Leg) func(Event) {
	l.Answer(ourMedia)
	a.legs <- l
	return func(Event) {}
}

func TestStream(t *testing.T) {
	h := answering{make(chan *Leg, 8)}
	e := realEdge(t, "listen: [{address: \"127.0.0.1:0\", transport: tcp}]\nmax_message: 4096\n", h, "trunk: a\nfrom: [127.0.0.0/8]\ntransport: tcp")
	dial := func() *line {
		c, err := net.Dial("tcp", e.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		return newLine(t, c)
	}
	l := dial()
	l.Write([]byte("\r\n\r\n")) // RFC 5626 ping
	if pong, _ := l.r.ReadString('\n'); pong != "\r\n" {
		t.Errorf("the pong is %q", pong)
	}
	// Two messages in one segment, the second one in pieces.
	both := append(requestOver("TCP", "OPTIONS", "o1", "", 1, ""), requestOver("TCP", "INVITE", "c1", "", 1, offerText)...)
	for _, piece := range [][]byte{both[:len(both)-300], both[len(both)-300 : len(both)-7], both[len(both)-7:]} {
		l.Write(piece)
		time.Sleep(10 * time.Millisecond)
	}
	l.expect("200")
	ok := l.expect("200")
	to, _ := message.ParseAddress(ok.Get(message.To))
	if !strings.Contains(ok.Get(message.Contact), ";transport=tcp") {
		t.Errorf("Contact is %s", ok.Get(message.Contact))
	}
	l.Write(requestOver("TCP", "ACK", "c1", to.Tag(), 1, ""))
	// The BYE comes over the connection that was accepted, whatever Contact says.
	(<-h.legs).Hangup(0)
	bye := l.expect("BYE")
	if !strings.HasPrefix(bye.Get(message.ViaHeader), "SIP/2.0/TCP ") {
		t.Errorf("Via is %s", bye.Get(message.ViaHeader))
	}

	for name, c := range map[string]struct{ in, want string }{
		"no length":      {strings.Replace(string(requestOver("TCP", "OPTIONS", "o2", "", 1, "")), "Content-Length: 0\r\n", "", 1), "400"},
		"not SIP at all": {"GET / HTTP/1.1\r\n\r\n", ""},
		"too long":       {strings.Replace(string(requestOver("TCP", "OPTIONS", "o3", "", 1, "")), "Content-Length: 0", "Content-Length: 99999", 1), "513"},
		"endless head":   {"OPTIONS sip:1@x SIP/2.0\r\nX: " + strings.Repeat("x", 5000), "513"},
	} {
		l := dial()
		l.Write([]byte(c.in))
		if c.want != "" {
			if m := l.message(); fmt.Sprint(m.Status) != c.want {
				t.Errorf("%s: %d", name, m.Status)
			}
		}
		_ = l.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := l.r.ReadByte(); err == nil {
			t.Errorf("%s: the connection stays", name)
		}
	}
}

func TestCallOverOurConnection(t *testing.T) {
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	e := realEdge(t, "listen: [{address: \"127.0.0.1:0\", transport: tcp}]", nil,
		fmt.Sprintf("trunk: a\nconnect: [\"%s\"]\ntransport: tcp\nping: {interval: 0s}", peer.Addr()))
	events := make(chan Event, 16)
	l, err := e.Dial(Dial{Trunk: "a", Called: "385911234567", Caller: "38512345", Local: ourMedia}, func(ev Event) { events <- ev })
	if err != nil {
		t.Fatal(err)
	}
	c, err := peer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := newLine(t, c)
	m := p.expect("INVITE")
	reply := func(m *message.Message, body string) {
		kind := ""
		if body != "" {
			kind = "\nContent-Type: application/sdp"
		}
		p.Write(crlf("SIP/2.0 200 OK\nVia: " + m.Get(message.ViaHeader) + "\nFrom: " + m.Get(message.From) + "\nTo: " + m.Get(message.To) + ";tag=p\nCall-ID: " + m.Get(message.CallID) +
			"\nCSeq: " + m.Get(message.CSeq) + "\nContact: <sip:p@127.0.0.1>" + kind + "\n\n" + body))
	}
	reply(m, offerText)
	p.expect("ACK")
	if _, ok := (<-events).(Media); !ok {
		t.Error("no media")
	}
	// A request of the peer over our connection finds the call.
	p.Write(requestOver("TCP", "OPTIONS", l.CallID, "", 1, ""))
	p.expect("200")
	l.Hangup(0)
	bye := p.expect("BYE")
	reply(bye, "")
	peer.Close()
	c.Close()
	l, err = e.Dial(Dial{Trunk: "a", Called: "385911234567", Caller: "38512345", Local: ourMedia}, func(ev Event) { events <- ev })
	if err != nil {
		t.Fatal(err)
	}
	for ev := range events {
		if end, ok := ev.(Ended); ok && !end.Answer {
			if end.Code != 503 {
				t.Errorf("%+v of %s", end, l.ID)
			}
			break
		}
	}
}

// certificates writes an authority and a certificate of each name that it signed.
func certificates(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey := newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", "CERTIFICATE", der)
	for i, name := range names {
		key := newKey()
		leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 2)), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".pem", "CERTIFICATE", der)
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			t.Fatal(err)
		}
		write(name+".key", "PRIVATE KEY", der)
	}
	return dir
}

// TestMutualTLS: a trunk is known by its certificate, and others by nothing.
func TestMutualTLS(t *testing.T) {
	dir := certificates(t, "us.test", "peer.test", "other.test")
	h := answering{make(chan *Leg, 8)}
	e := realEdge(t, fmt.Sprintf("listen: [{address: \"127.0.0.1:0\", transport: tls, tls: {cert: %s/us.test.pem, key: %s/us.test.key, ca: %s/ca.pem}}]", dir, dir, dir), h,
		"trunk: a\ncertificate: peer.test\ntransport: tls")
	dial := func(name string) *tls.Conn {
		conf, err := (&TLS{Cert: dir + "/" + name + ".pem", Key: dir + "/" + name + ".key", CA: dir + "/ca.pem"}).client("us.test")
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.Dial("tcp", e.Addresses()[0].String(), conf)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	l := newLine(t, dial("peer.test"))
	l.Write(requestOver("TLS", "INVITE", "c1", "", 1, offerText))
	ok := l.expect("200")
	to, _ := message.ParseAddress(ok.Get(message.To))
	l.Write(requestOver("TLS", "ACK", "c1", to.Tag(), 1, ""))
	if leg := <-h.legs; leg.Trunk != "a" || !strings.Contains(ok.Get(message.Contact), ";transport=tls") {
		t.Errorf("%+v, %s", leg.Info, ok.Get(message.Contact))
	}
	l.Write(requestOver("TLS", "BYE", "c1", to.Tag(), 2, ""))
	l.expect("200")
	stranger := newLine(t, dial("other.test"))
	_ = stranger.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := stranger.r.ReadByte(); err == nil {
		t.Error("a stranger is served")
	}
}

func TestStrangersCannotConnect(t *testing.T) {
	e := realEdge(t, "listen: [{address: \"127.0.0.1:0\", transport: tcp}]", nil, "trunk: a\nfrom: [192.0.2.0/24]\ntransport: tcp")
	c, err := net.Dial("tcp", e.Addresses()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, c)
	_ = l.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := l.r.ReadByte(); err == nil {
		t.Error("a stranger is served")
	}
}
