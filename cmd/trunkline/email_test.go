package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"trunkline/gateway/smtp/outbound"
)

// sink is Postfix's smtp-sink: it takes mail and writes each to a file.
type sink struct {
	*testing.T
	address, dir string
	stop         func()
}

// startSink starts smtp-sink with further options.
func startSink(t *testing.T, options ...string) *sink {
	t.Helper()
	program := need(t, "smtp-sink (postfix)", "smtp-sink", "/usr/sbin/smtp-sink")
	s := &sink{T: t, address: "127.0.0.1:" + freePort(t), dir: t.TempDir()}
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // it does not want to be root, and has to reach the folder
		for d := s.dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
			_ = os.Chmod(d, 0o777)
		}
		options = append(options, "-u", "nobody")
	}
	cmd := exec.Command(program, append(options, "-d", filepath.Join(s.dir, "%M."), s.address, "64")...)
	p := startProcess(t, cmd)
	s.stop = func() { p.signal(os.Kill); p.wait(t) }
	eventually(t, "smtp-sink listens", func() bool {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s
}

// mails are those that it took.
func (s *sink) mails() (all []string) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			s.Fatal(err)
		}
		if strings.Contains(string(text), "\nMime-Version") { // not that of who looked whether it listens
			all = append(all, string(text))
		}
	}
	return all
}

// emailSite is a configuration that sends mail to a domain by a route.
func emailSite(t *testing.T, route string, more string) *site {
	files := maps.Clone(small)
	files["trunkline.yaml"] += fmt.Sprintf(`storage: {reserve_mib: 16}
email:
  hostname: out.example.com
  identities: [{identity: shop, address: shop@example.com, name: The Shop, reply_to: help@example.com}]
  domains: [{domain: example.com, return_path: bounce.example.com, dkim: [{selector: r, key: r.pem}, {selector: e, key: e.pem}]}]
  destinations: [{domain: b.example, route: "%s"}]
%s`, route, more)
	s := newSite(t, files)
	s.must("email", "key", s.path("r.pem"))
	s.must("email", "key", "--type", "ed25519", s.path("e.pem"))
	return s
}

var queuedAs = regexp.MustCompile(`queued as (\S+);`)

func (s *site) sendEmail(to, text string) (id string) {
	s.Helper()
	m := queuedAs.FindStringSubmatch(s.must("send", "email", "--to", to, "--subject", "Grüße", text))
	if m == nil {
		s.Fatal("nothing is queued")
	}
	return m[1]
}

// An operator's mail reaches Postfix's smtp-sink, signed twice; the queue, the record of
// its attempts and the suppression list tell how it went.
func TestSendEmail(t *testing.T) {
	t.Parallel()
	to := startSink(t)
	s := emailSite(t, to.address, "")
	g := s.start()
	id := s.sendEmail("ana@b.example", "Your parcel is here\n.\nAna")
	eventually(t, "the mail arrives", func() bool { return len(to.mails()) == 1 })
	raw := to.mails()[0]
	for _, want := range []string{"DKIM-Signature: ", "d=example.com", "s=r;", "s=e;", `From: "The Shop" <shop@example.com>`, "Reply-To: <help@example.com>", "Message-Id: <", "\n.\nAna"} {
		if !strings.Contains(raw, want) && !strings.Contains(raw, strings.ReplaceAll(want, `"`, "")) {
			t.Errorf("the mail lacks %q:\n%s", want, raw)
		}
	}
	if !regexp.MustCompile(`X-Mail-Args: <b-[a-z2-7]{40}@bounce\.example\.com>`).MatchString(raw) {
		t.Errorf("the return path is not one:\n%.500s", raw)
	}
	eventually(t, "the record says so", func() bool {
		out := s.try("queue", "show", id).out
		return strings.Contains(out, "accepted") && strings.Contains(out, "127.0.0.1") && strings.Contains(out, "no TLS") && strings.Contains(out, "Grüße")
	})
	if out := s.must("queue", "list"); !strings.Contains(out, "no message waits") {
		t.Error(out)
	}
	if out := s.must("email", "destinations"); !strings.Contains(out, "b.example") {
		t.Error(out)
	}
	s.refused([]string{`there is no identity "nobody"`}, "send", "email", "--to", "ana@b.example", "--from", "nobody", "x")
	s.must("email", "suppress", "ana@b.example")
	s.refused([]string{"on the suppression list", "operator"}, "send", "email", "--to", "Ana@b.example", "x")
	if out := s.must("email", "suppressed"); !strings.Contains(out, "ana@b.example") {
		t.Error(out)
	}
	s.must("email", "unsuppress", "ana@b.example")
	s.refused([]string{"not on the suppression list"}, "email", "unsuppress", "ana@b.example")
	g.stop()
}

// What can't be sent now waits, over a restart too, and goes out when an operator
// says so; one that is dropped does not.
func TestQueueCommands(t *testing.T) {
	t.Parallel()
	to := startSink(t, "-r", "RCPT") // refuses recipients for now
	s := emailSite(t, to.address, "")
	g := s.start()
	ids := []string{s.sendEmail("a@b.example", "one"), s.sendEmail("b@b.example", "two"), s.sendEmail("c@b.example", "three")}
	eventually(t, "all were tried", func() bool {
		out := s.must("queue", "list", "--messages")
		return strings.Count(out, "450 4.3.0") == 3
	})
	if out := s.must("queue", "list"); !strings.Contains(out, "b.example") || !strings.Contains(out, "450") {
		t.Error(out)
	}
	if out := s.must("queue", "hold", ids[0]); !strings.Contains(out, "1 message") {
		t.Error(out)
	}
	if out := s.must("queue", "list", "--held"); !strings.Contains(out, "1") {
		t.Error(out)
	}
	s.must("queue", "drop", ids[1])
	if out := s.must("queue", "show", ids[1]); !strings.Contains(out, "450") {
		t.Error(out)
	}
	s.refused([]string{"say which"}, "queue", "drop")
	g.stop()
	g = s.start()
	to.stop()
	again := startSink(t)
	s.edit("trunkline.yaml", to.address, again.address)
	s.must("reload")
	s.must("queue", "retry", "--domain", "b.example")
	eventually(t, "the others arrive", func() bool { return len(again.mails()) == 2 })
	if all := strings.Join(again.mails(), ""); strings.Contains(all, "two") || !strings.Contains(all, "one") || !strings.Contains(all, "three") {
		t.Error(all)
	}
	g.stop()
}

// The records of a sending domain are printed, and the published ones compared.
func TestEmailDNS(t *testing.T) {
	t.Parallel()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	zone := map[string][]string{} // under mu
	up := make(chan struct{})
	server := &dns.Server{PacketConn: udp, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		mu.Lock()
		defer mu.Unlock()
		for _, text := range zone[strings.ToLower(q.Question[0].Name)] {
			if rr, err := dns.NewRR(text); err == nil && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-up
	t.Cleanup(func() { _ = server.Shutdown() })
	s := emailSite(t, "127.0.0.1:1", fmt.Sprintf("  dns: {servers: [%q]}\n", udp.LocalAddr()))
	out := s.try("email", "dns", "example.com").out
	for _, want := range []string{"SPF: MISSING", "bounce.example.com. IN TXT \"v=spf1 a:out.example.com ~all\"", "DKIM r: MISSING", "r._domainkey.example.com. IN TXT \"v=DKIM1; k=rsa; p=", "DKIM e: MISSING", "k=ed25519",
		"DMARC: MISSING", "bounces: MISSING", "bounce.example.com. IN MX 10 out.example.com.", "MTA-STS: MISSING", "TLS-RPT: MISSING"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	mu.Lock()
	for _, m := range regexp.MustCompile(`(?m)^  (\S+\.) (IN .*)$`).FindAllStringSubmatch(out, -1) { // publish all but one
		if strings.HasPrefix(m[1], "e._domainkey") {
			zone[m[1]] = []string{m[1] + ` 60 IN TXT "v=DKIM1; k=ed25519; p=AAAA"`}
			continue
		}
		zone[m[1]] = append(zone[m[1]], m[1]+" 60 "+m[2])
	}
	mu.Unlock()
	c := s.try("email", "dns", "example.com")
	if c.code == 0 || strings.Count(c.out, ": ok") != 6 || !strings.Contains(c.out, "DKIM e: WRONG") {
		t.Errorf("%s%s", c.out, c.errs)
	}
	s.refused([]string{"no mail is sent from other.example"}, "email", "dns", "other.example")
}

// Mistakes in the section have their places.
func TestEmailCheck(t *testing.T) {
	t.Parallel()
	s := emailSite(t, "127.0.0.1:1", "")
	s.must("check")
	for old, c := range map[string][2]string{
		"key: r.pem":          {"key: none.pem", "email.domains[0].dkim[0].key"},
		"shop@example.com":    {"shop@", `"shop@" is not an address`},
		"127.0.0.1:1":         {"127.0.0.1", "email.destinations[0].route"},
		"bounce.example.com":  {"bounce.other.example", "email.domains[0].return_path"},
		"identities":          {"identites", `did you mean "identities"?`},
		"hostname: out.examp": {"hostname: -out.examp", "email.hostname"},
	} {
		s.edit("trunkline.yaml", old, c[0])
		s.refused([]string{c[1]}, "check")
		s.edit("trunkline.yaml", c[0], old)
	}
	if (&outbound.Config{}).Enabled() {
		t.Error("mail is sent without identities")
	}
}

var messageID = regexp.MustCompile(`(?m)^Message-Id: (<\S+>)`)

// The daemon dies while it delivers: no mail is lost, and one that comes twice was on its
// way at that moment and has the same Message-ID. // X2
func TestMailSurvivesKill(t *testing.T) {
	t.Parallel()
	const mails = 300
	to := startSink(t)
	s := emailSite(t, to.address, "")
	g := s.start()
	client := newControlClient(s.path("data"))
	for i := range mails {
		var id string
		m := emailRequest{To: fmt.Sprintf("p%d@b.example", i), Subject: "x", Text: fmt.Sprint("mail ", i)}
		if err := client.call(t.Context(), "POST", "/email", m, &id); err != nil {
			t.Fatal(err)
		}
		if i == mails/2 {
			g.signal(syscall.SIGKILL)
			g.wait(t)
			g = s.start()
			client = newControlClient(s.path("data"))
		}
	}
	count := func() (distinct, all int) {
		seen := map[string]bool{}
		for _, raw := range to.mails() {
			if m := messageID.FindStringSubmatch(raw); m != nil && strings.Contains(raw, "mail ") {
				seen[m[1]] = true
				all++
			}
		}
		return len(seen), all
	}
	defer func() {
		if t.Failed() {
			n, all := count()
			t.Log(n, all, s.try("queue", "list", "--messages").out, s.try("email", "destinations").out)
		}
	}()
	eventually(t, "all mails arrive", func() bool {
		s.try("queue", "retry", "--all") // what a broken connection put off
		n, _ := count()
		return n == mails
	})
	eventually(t, "the queue is empty", func() bool { return strings.Contains(s.must("queue", "list"), "no message waits") })
	if n, all := count(); n != mails || all > mails+outboundAtOnce {
		t.Errorf("%d mails of %d arrived, %d times", n, mails, all)
	}
	g.stop()
}

// outboundAtOnce is how many mails may be on their way to one domain, with room for those
// whose outcome was not durable yet.
const outboundAtOnce = 60
