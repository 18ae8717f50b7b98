package outbound

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"trunkline/gateway"
)

// A mail goes to the servers of its domain with both signatures, and further ones over the
// same connection.
func TestDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("127.0.0.1", &server{}, "b.example")
	rsaFile, edFile := w.keys()
	w.start(func(c *Config) {
		c.ConnectionsPerDomain = 1
		c.Domains = []Domain{{Domain: "example.com", ReturnPath: "bounce.example.com", DKIM: []Key{{Selector: "r", File: rsaFile}, {Selector: "e", File: edFile}, {Selector: "later", File: edFile, Begins: "2999-01-01"}}}}
	})
	for i := range 3 {
		r := w.sent(fmt.Sprint(i), "Ana@B.example")
		if r.Fate != gateway.FateAccepted || r.Parts != 1 || r.Code != "250 2.0.0" || r.Keys[0] != fmt.Sprint("ref-", i) || r.Carrier != Carrier {
			t.Fatalf("%+v", r)
		}
		if !strings.HasPrefix(r.Trail.Host, "mx.b.example [127.0.0.1:") || r.Trail.TLS != "" || !strings.Contains(r.Trail.Reply, "queued") {
			t.Errorf("%+v", r.Trail)
		}
	}
	got := s.letters()
	if len(got) != 3 || s.conns != 1 {
		t.Fatalf("%d letters over %d connections", len(got), s.conns)
	}
	l := got[2]
	if l.from != "b-2@bounce.example.com" || l.to != "Ana@b.example" || !strings.Contains(l.raw, "Message-ID: <b-2@example.com>\r\n") {
		t.Errorf("%+v", l)
	}
	checks, err := dkim.VerifyWithOptions(strings.NewReader(l.raw), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range w.edge.current.Load().config.Domains[0].DKIM {
			if relative, text, err := k.Record(); err != nil || relative+".example.com" == name {
				return []string{text}, err
			}
		}
		return nil, fmt.Errorf("no %s", name)
	}})
	if err != nil || len(checks) != 2 {
		t.Fatalf("%v %v", checks, err)
	}
	for _, c := range checks {
		if c.Err != nil || c.Domain != "example.com" {
			t.Errorf("%+v", c)
		}
	}
}

// What servers answer, and what it means for the message.
func TestReplies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb, reply string
		fate        gateway.Fate
		code        string
		dead        bool
	}{
		"unknown recipient":       {"RCPT", "550 5.1.1 no such user", gateway.FateRejected, "550 5.1.1", true},
		"unknown without code":    {"RCPT", "550 no such user", gateway.FateRejected, "550", true},
		"disabled mailbox":        {"RCPT", "550-5.2.1 it is\n550 5.2.1 disabled", gateway.FateRejected, "550 5.2.1", true},
		"blocked":                 {"RCPT", "550 blocked for spam", gateway.FateRejected, "550", false},
		"policy":                  {"RCPT", "550 5.7.1 denied", gateway.FateRejected, "550 5.7.1", false},
		"full mailbox":            {"RCPT", "452 4.2.2 full", gateway.FateRetry, "452 4.2.2", false},
		"greylisted":              {"RCPT", "450 4.7.1 greylisted", gateway.FateRetry, "450 4.7.1", false},
		"sender refused":          {"MAIL", "550 5.1.8 bad sender", gateway.FateRejected, "550 5.1.8", false},
		"busy":                    {"MAIL", "421 4.3.2 busy", gateway.FateRetry, "421 4.3.2", false},
		"no data":                 {"DATA", "451 4.3.0 later", gateway.FateRetry, "451 4.3.0", false},
		"content refused":         {"", "554 5.7.1 spam", gateway.FateRejected, "554 5.7.1", false},
		"content later":           {"", "451 4.3.0 later", gateway.FateRetry, "451 4.3.0", false},
		"unknown after the end":   {"", "550 5.1.1 no such user", gateway.FateRejected, "550 5.1.1", true},
		"gone after the end":      {"", "!", gateway.FateInDoubt, codeInDoubt, false}, // X2
		"nonsense after the end":  {"", "hello", gateway.FateInDoubt, codeInDoubt, false},
		"gone at DATA":            {"DATA", "!", gateway.FateRetry, codeBroken, false},
		"250 to DATA":             {"DATA", "250 ok", gateway.FateRetry, codeBroken, false},
		"answers before the mail": {"DATA", "354 go\n250 2.0.0 got it", gateway.FateRetry, codeBroken, false},
		"354 without recipients":  {"RCPT", "550 5.1.1 no", gateway.FateRejected, "550 5.1.1", true},
	} {
		for _, pipelining := range []bool{true, false} {
			t.Run(fmt.Sprint(name, pipelining), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				s := &server{}
				if !pipelining {
					s.offers = []string{"8BITMIME"}
				}
				if c.verb == "" {
					s.content = func(*server, int) string { return c.reply }
				} else {
					s.reply = func(verb, _ string, _ int) (string, bool) { return c.reply, verb == c.verb }
				}
				w.serve("127.0.0.1", s, "b.example")
				w.start(nil)
				r := w.sent("1", "ana@b.example")
				if r.Fate != c.fate || r.Code != c.code || r.Dead != c.dead {
					t.Errorf("%+v", r)
				}
				if r.Fate == gateway.FateRetry && (r.After < time.Minute || r.Untried) {
					t.Errorf("again after %s", r.After)
				}
			})
		}
	}
}

// A refused recipient ends its own message only: the next one goes over the same connection.
func TestRefusedThenTaken(t *testing.T) {
	t.Parallel()
	for i, offers := range [][]string{{"PIPELINING"}, {"PIPELINING"}, {"8BITMIME"}} {
		w := newWorld(t)
		s := w.serve("127.0.0.1", &server{offers: offers, lax: i == 0, reply: func(verb, arg string, _ int) (string, bool) {
			return "550 5.1.1 no", verb == "RCPT" && strings.Contains(arg, "no@")
		}}, "b.example")
		w.start(func(c *Config) { c.ConnectionsPerDomain = 1 })
		for i, to := range []string{"no@b.example", "yes@b.example", "no@b.example", "yes@b.example"} {
			r := w.sent(fmt.Sprint(i), to)
			if want := []gateway.Fate{gateway.FateRejected, gateway.FateAccepted}[i%2]; r.Fate != want {
				t.Errorf("%s: %+v", to, r)
			}
		}
		yes := 0
		for _, l := range s.letters() {
			if l.to == "yes@b.example" {
				yes++
			}
		}
		if yes != 2 || s.conns != 1 {
			t.Errorf("%d taken over %d connections\n%s", yes, s.conns, s.heard())
		}
	}
}

// An address or a header field cannot say commands, and what goes out has no line end but
// CR LF, and no full stop that ends it early (outbound smuggling).
func TestInjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("127.0.0.1", &server{}, "b.example")
	w.start(nil)
	for _, to := range []string{"a@b.example>\r\nRCPT TO:<x@y.example", "a\r\n@b.example", "a@b.example\nDATA", "a b@b.example", "<a@b.example>", "a@b.example\x00", "a", "@b.example", "a@", "a@b..example", "a@-b.example"} {
		if r := w.sent("x", to); r.Fate != gateway.FateRejected || r.Code != codeAddress || r.Dead {
			t.Errorf("%q: %+v", to, r)
		}
	}
	for text, want := range map[string]string{
		"a\r\n.\r\nMAIL FROM:<x@y.example>\r\n": "a\r\n.\r\nMAIL FROM:<x@y.example>\r\n",
		"a\n.\nb":                               "a\r\n.\r\nb\r\n",
		"a\r.\rb\r\n":                           "a\r\n.\r\nb\r\n",
		"a\r\n.\rb\n..\r\n":                     "a\r\n.\r\nb\r\n..\r\n",
		"..\r\n...x\r\n\r\n":                    "..\r\n...x\r\n\r\n",
		".":                                     ".\r\n",
	} {
		if r := w.result(w.send(gateway.Outbound{ID: "y", To: "a@b.example", Text: text})); r.Fate != gateway.FateAccepted {
			t.Fatalf("%q: %+v", text, r)
		}
		got := s.letters()
		if _, body, _ := strings.Cut(got[len(got)-1].raw, "\r\n\r\n"); body != want {
			t.Errorf("%q arrives as %q, not %q", text, body, want)
		}
	}
	if strings.Contains(s.heard(), "y.example") {
		t.Errorf("the server heard a command of the message:\n%s", s.heard())
	}
}

// A domain whose server is slow, one whose server is not there and one that wants less
// hold up no other, and fill no memory.
func TestSlowDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.serve("127.0.0.2", &server{content: func(*server, int) string { <-release; return "250 2.0.0 ok" }}, "slow.example")
	defer close(release)
	w.publish("dead.example. 300 IN MX 1 mx.dead.example.", "mx.dead.example. 300 IN A 127.0.0.9")
	busy := w.serve("127.0.0.3", &server{greeting: "421 4.7.0 too busy"}, "busy.example")
	good := w.serve("127.0.0.1", &server{}, "good.example")
	w.start(func(c *Config) { c.Queue = 200 })
	var mu sync.Mutex
	codes := map[string]int{}
	for i := range 1000 {
		for _, d := range []string{"slow", "dead", "busy"} {
			w.edge.Send(context.Background(), gateway.Outbound{ID: fmt.Sprint(d, i), To: "a@" + d + ".example", Text: "x"}, func(r gateway.Result) {
				mu.Lock()
				defer mu.Unlock()
				codes[d+" "+r.Code]++
				if r.Fate == gateway.FateRetry && r.After <= 0 && r.Code != codeStopping {
					t.Errorf("%+v", r)
				}
			})
		}
	}
	for i := range 50 {
		if r := w.sent(fmt.Sprint("good", i), "a@good.example"); r.Fate != gateway.FateAccepted {
			t.Fatalf("%+v", r)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if codes["slow "+codeCrowded] < 800 || codes["dead "+codeDown]+codes["dead "+codeUnsent]+codes["dead "+codeCrowded] < 900 || busy.conns > 3 {
		t.Errorf("%v, %d connections to the busy one", codes, busy.conns)
	}
	if len(good.letters()) != 50 {
		t.Errorf("%d good letters", len(good.letters()))
	}
}

// Connections grow with success and shrink when the server complains.
func TestAdapts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	complain := false
	s := w.serve("127.0.0.1", &server{reply: func(verb, _ string, _ int) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		return "421 4.7.28 too fast", complain && verb == "MAIL"
	}, content: func(*server, int) string { time.Sleep(time.Millisecond); return "250 ok" }}, "b.example")
	w.start(nil)
	burst := func(n int) (fates map[gateway.Fate]int) {
		fates = map[gateway.Fate]int{}
		var all []chan gateway.Result
		for i := range n {
			all = append(all, w.send(gateway.Outbound{ID: fmt.Sprint(i), To: "a@b.example", Text: "x"}))
		}
		for _, c := range all {
			fates[w.result(c).Fate]++
		}
		return fates
	}
	for range 3 {
		burst(60)
	}
	if s.most < 3 || s.most > 5 {
		t.Errorf("%d connections at once", s.most)
	}
	mu.Lock()
	complain = true
	mu.Unlock()
	burst(1)
	w.edge.mu.Lock()
	d := w.edge.known["b.example"]
	allowed, gap := d.allowed, d.gap
	w.edge.mu.Unlock()
	if allowed > 2 || gap == 0 || w.count("trunkline_email_throttled_total", "") == 0 {
		t.Errorf("%d connections are allowed, %s between messages", allowed, gap)
	}
}
