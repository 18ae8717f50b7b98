package outbound

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"trunkline/gateway"
)

// Where mail to a domain goes (RFC 5321 §5.1, RFC 7505).
func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.serve("127.0.0.2", &server{greeting: "554 5.3.2 not today"})
	second := w.serve("127.0.0.3", &server{})
	plain := w.serve("127.0.0.4", &server{})
	w.publish(
		"two.example. 300 IN MX 20 b.two.example.", "two.example. 300 IN MX 10 a.two.example.", "a.two.example. 300 IN A 127.0.0.2", "b.two.example. 300 IN A 127.0.0.3",
		"gone.example. 300 IN MX 10 x.gone.example.", "gone.example. 300 IN MX 20 b.two.example.", "x.gone.example. 300 IN A 127.0.0.9",
		"nomx.example. 300 IN A 127.0.0.4",
		"null.example. 300 IN MX 0 .",
		"us.example. 300 IN MX 10 out.example.com.", "us.example. 300 IN MX 20 b.two.example.",
		"behind.example. 300 IN MX 10 b.two.example.", "behind.example. 300 IN MX 20 out.example.com.",
		"void.example. 300 IN MX 10 nowhere.void.example.",
		"private.example. 300 IN MX 10 m.private.example.", "m.private.example. 300 IN A 10.0.0.1",
		"xn--bcher-kva.example. 300 IN MX 10 b.two.example.",
	)
	w.mu.Lock()
	w.broken = []string{"sick.example."}
	w.mu.Unlock()
	w.start(func(c *Config) {
		c.Destinations = []Destination{{Domain: "routed.example", Route: fmt.Sprintf("127.0.0.3:%d", w.port)}}
	})
	for domain, want := range map[string]gateway.Result{
		"two.example":     {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"gone.example":    {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"nomx.example":    {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"behind.example":  {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"routed.example":  {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"bücher.example":  {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"[127.0.0.4]":     {Fate: gateway.FateAccepted, Code: "250 2.0.0"},
		"null.example":    {Fate: gateway.FateRejected, Code: codeNullMX, Dead: true},
		"none.example":    {Fate: gateway.FateRejected, Code: codeNoDomain, Dead: true},
		"us.example":      {Fate: gateway.FateRejected, Code: codeLoop, Dead: true},
		"void.example":    {Fate: gateway.FateRetry, Code: codeNoRoute},
		"sick.example":    {Fate: gateway.FateRetry, Code: codeNoRoute},
		"private.example": {Fate: gateway.FateRetry, Code: codeNoRoute},
	} {
		r := w.sent("1", "a@"+domain)
		if r.Fate != want.Fate || r.Code != want.Code || r.Dead != want.Dead {
			t.Errorf("%s: %+v", domain, r)
		}
	}
	if first.conns == 0 || len(second.letters()) != 5 || len(plain.letters()) != 2 {
		t.Errorf("%d connections to the first, %d letters for the second, %d for the one without MX", first.conns, len(second.letters()), len(plain.letters()))
	}
	if s := w.edge.Status(); len(s) == 0 {
		t.Error("no destination is known")
	}
}

// The smart host takes everything, after a log-in over a verified connection.
func TestSmartHost(t *testing.T) {
	t.Parallel()
	for mechanism, talk := range map[string][]string{
		"PLAIN": {"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00me\x00secret"))},
		"LOGIN": {"AUTH LOGIN", "bWU=", "c2VjcmV0"},
	} {
		w := newWorld(t)
		step := 0
		s := &server{tls: w.certificate("127.0.0.1", "localhost"), greeting: "tls", offers: []string{"AUTH " + mechanism, "PIPELINING"}}
		s.reply = func(verb, arg string, _ int) (string, bool) {
			line := strings.TrimSpace(verb + " " + arg)
			for i, l := range talk {
				if !strings.EqualFold(line, l) {
					continue
				}
				step++
				if i == len(talk)-1 {
					return "235 2.7.0 welcome", true
				}
				return "334 " + base64.StdEncoding.EncodeToString([]byte([]string{"Username:", "Password:"}[i])), true
			}
			return "", false
		}
		w.serve("127.0.0.1", s)
		w.start(func(c *Config) {
			c.CA = w.dir + "/ca.pem"
			c.SmartHost = &SmartHost{Address: fmt.Sprintf("localhost:%d", w.port), TLS: tlsImplicit, Username: "me", Password: "secret"}
		})
		for _, to := range []string{"a@one.example", "b@two.example"} {
			if r := w.sent("1", to); r.Fate != gateway.FateAccepted || !strings.HasPrefix(r.Trail.TLS, "TLS 1.3 certificate") {
				t.Fatalf("%s: %+v", mechanism, r)
			}
		}
		if step != len(talk) || s.conns != 1 || len(s.letters()) != 2 {
			t.Errorf("%s: %d steps, %d connections", mechanism, step, s.conns)
		}
	}
}

// A smart host that refuses the log-in is a fault of ours: messages wait.
func TestLoginRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("127.0.0.1", &server{offers: []string{"AUTH PLAIN"}, reply: func(verb, _ string, _ int) (string, bool) {
		return "535 5.7.8 no", verb == "AUTH"
	}})
	w.start(func(c *Config) {
		c.SmartHost = &SmartHost{Address: fmt.Sprintf("127.0.0.1:%d", w.port), TLS: tlsNone, Username: "me", Password: "wrong"}
	})
	if r := w.sent("1", "a@one.example"); r.Fate != gateway.FateRetry || r.Code != codeLogin || r.Dead {
		t.Errorf("%+v", r)
	}
	if strings.Contains(s.heard(), "MAIL") {
		t.Error("it sends without log-in")
	}
}

// A new domain sends so many a day as its plan says; what does not go out gives its place back.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("127.0.0.1", &server{reply: func(verb, arg string, _ int) (string, bool) {
		return "550 5.7.1 no", verb == "RCPT" && strings.Contains(arg, "no@")
	}}, "b.example")
	today := time.Now().UTC()
	e := w.start(func(c *Config) {
		c.Domains = []Domain{{Domain: "example.com", WarmUp: &Plan{Begins: today.Add(-24 * time.Hour).Format(time.DateOnly), First: 4, Growth: 2, Days: 30}}}
	})
	e.budget.sent = func(domain string, day int64) int {
		if domain != "example.com" || day != dayOf(today) {
			t.Errorf("asked for %s on day %d", domain, day)
		}
		return 5 // before a restart
	}
	for i, to := range []string{"a@b.example", "no@b.example", "b@b.example", "c@b.example"} {
		r := w.sent(fmt.Sprint(i), to)
		if to != "no@b.example" && (r.Fate != gateway.FateAccepted || r.Domain != "example.com") {
			t.Errorf("%s: %+v", to, r)
		}
	}
	if r := w.sent("9", "d@b.example"); r.Fate != gateway.FateRetry || r.Code != codeAllowance || !r.Untried || r.After > 28*time.Hour {
		t.Errorf("%+v", r)
	}
	p := Plan{Begins: "2026-12-01", First: 50, Growth: 1.5, Days: 30}
	for day, want := range map[string]int{"2026-11-30": 0, "2026-12-01": 50, "2026-12-02": 75, "2026-12-30": 6392500, "2026-12-31": -1} {
		at, _ := time.Parse(time.DateOnly, day)
		n, ok := p.Limit(at)
		if !ok {
			n = -1
		}
		if n != want && !(want > 1000 && n > 1000) {
			t.Errorf("%s: %d", day, n)
		}
	}
}

// What the server must offer for what goes beyond ASCII.
func TestBeyondASCII(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("127.0.0.1", &server{}, "old.example")
	modern := w.serve("127.0.0.2", &server{offers: []string{"SMTPUTF8", "8BITMIME", "SIZE 500"}}, "new.example")
	w.serve("127.0.0.3", &server{offers: []string{"PIPELINING"}}, "seven.example")
	w.start(nil)
	for _, c := range []struct {
		to, text, code string
	}{
		{"jürgen@old.example", "x", "553 5.6.7"},
		{"jürgen@new.example", "x", "250 2.0.0"},
		{"a@new.example", "größer", "250 2.0.0"},
		{"a@seven.example", "größer", "554 5.6.3"},
		{"a@seven.example", "x", "250 2.0.0"},
		{"a@new.example", strings.Repeat("x", 600), "552 5.3.4"},
	} {
		if r := w.result(w.send(gateway.Outbound{ID: "1", To: c.to, Text: c.text})); r.Code != c.code || r.Dead {
			t.Errorf("%s %.10q: %+v", c.to, c.text, r)
		}
	}
	if !strings.Contains(modern.heard(), "SMTPUTF8") || !strings.Contains(modern.heard(), "BODY=8BITMIME") {
		t.Errorf("the server heard\n%s", modern.heard())
	}
}
