package resolver

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serve answers questions over UDP and TCP until the test ends, and tells where.
func serve(t *testing.T, answer func(w dns.ResponseWriter, q *dns.Msg)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: l, Handler: dns.HandlerFunc(answer)}, {PacketConn: p, Handler: dns.HandlerFunc(answer)}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		ended := make(chan error, 1)
		go func() { ended <- s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() { _ = s.Shutdown(); <-ended })
	}
	return l.Addr().String()
}

func newResolver(t *testing.T, trust bool, servers ...string) *Resolver {
	t.Helper()
	r, err := New(Config{Servers: servers, TrustAD: trust, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says is a server that says the same to everybody.
func says(t *testing.T, change func(m *dns.Msg), records ...string) string {
	return serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		if change != nil {
			change(m)
		}
		if w.RemoteAddr().Network() == "udp" {
			m.Truncate(udpSize) // the rest comes over TCP
		}
		_ = w.WriteMsg(m)
	})
}

// What an answer says of other names than the one that was asked for is not believed;
// aliases are followed, and a circle of them ends.
func TestAnswersToTheQuestion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		records []string
		want    string
	}{
		{"it", []string{"B.example. 60 IN MX 5 MX.b.example."}, "mx.b.example"},
		{"another name's", []string{"c.example. 60 IN MX 5 mx.evil.example."}, ""},
		{"both", []string{"c.example. 60 IN MX 1 mx.evil.example.", "b.example. 60 IN MX 5 mx.b.example."}, "mx.b.example"},
		{"an alias", []string{"b.example. 60 IN CNAME c.example.", "c.example. 60 IN MX 5 mx.c.example."}, "mx.c.example"},
		{"beside an alias", []string{"b.example. 60 IN CNAME c.example.", "d.example. 60 IN MX 5 mx.evil.example."}, ""},
		{"a circle", []string{"b.example. 60 IN CNAME c.example.", "c.example. 60 IN CNAME b.example.", "b.example. 60 IN MX 5 mx.evil.example."}, ""},
		{"another kind", []string{"b.example. 60 IN A 127.0.0.1"}, ""},
	} {
		all, _, err := newResolver(t, false, says(t, nil, test.records...)).MX(t.Context(), "b.example")
		got := ""
		for _, mx := range all {
			got += mx.Host
		}
		if got != test.want || (err == nil) != (test.want != "") || err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

// Answers that are none are failures, which are temporary, and never an answer.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *dns.Msg){
		"another question": func(m *dns.Msg) { m.Question[0].Name = "c.example." },
		"another kind":     func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		"no question":      func(m *dns.Msg) { m.Question = nil },
		"two questions":    func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"SERVFAIL":         func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure },
		"REFUSED":          func(m *dns.Msg) { m.Rcode = dns.RcodeRefused },
	} {
		_, _, err := newResolver(t, false, says(t, change, "b.example. 60 IN MX 5 mx.b.example.")).MX(t.Context(), "b.example")
		if err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := newResolver(t, false, says(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })).MX(t.Context(), "b.example"); !errors.Is(err, ErrNone) {
		t.Errorf("NXDOMAIN: %v", err)
	}
}

// What is kept of an answer is bounded, and so is the time for which it is believed.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var many []string
	for n := range 500 {
		many = append(many, fmt.Sprintf("b.example. 4294967295 IN MX %d mx%d.b.example.", n, n))
	}
	var asked atomic.Int32
	server := says(t, func(*dns.Msg) { asked.Add(1) }, many...)
	r := newResolver(t, false, server)
	now := time.Now()
	r.now = func() time.Time { return now }
	for range 2 {
		all, _, err := r.MX(t.Context(), "b.example")
		if err != nil || len(all) != recordsMost || all[0].Host != "mx0.b.example" {
			t.Fatalf("%d exchangers, %v", len(all), err)
		}
	}
	before := asked.Load()
	now = now.Add(ttlMost)
	if _, _, err := r.MX(t.Context(), "b.example"); err != nil || asked.Load() == before {
		t.Errorf("after %s the answer still holds (%v)", ttlMost, err)
	}
	if _, err := r.Ask(t.Context(), strings.Repeat("a.", 200)+"example", dns.TypeA); !errors.Is(err, ErrNone) {
		t.Errorf("a name that is too long: %v", err)
	}
}

// That DNSSEC vouches for an answer is believed of servers that are trusted.
func TestSecureByTrustOnly(t *testing.T) {
	t.Parallel()
	server := says(t, func(m *dns.Msg) { m.AuthenticatedData = true }, "b.example. 60 IN MX 5 mx.b.example.")
	for _, trust := range []bool{false, true} {
		if _, secure, err := newResolver(t, trust, server).MX(t.Context(), "b.example"); err != nil || secure != trust {
			t.Errorf("trusted %v: secure %v, %v", trust, secure, err)
		}
	}
}

// A server that says nothing is passed over.
func TestNextServer(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r, err := New(Config{Servers: []string{silent.LocalAddr().String(), says(t, nil, "b.example. 60 IN MX 5 mx.b.example.")}, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.tcp.Timeout = 10 * time.Second
	if all, _, err := r.MX(t.Context(), "b.example"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}
