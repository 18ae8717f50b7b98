package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/smtp"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"trunkline/gateway/httpapi"
	"trunkline/gateway/smpp/pdu"
)

const mailFlow = `flow: mailed
entries: [{id: e, type: inbound_message, channel: email, number: shop@example.com, keywords: start, next: mark}]
elements:
  mark: {type: add_tag, tag: mailed, on: {done: say}}
  say: {type: send_sms, from: "38591000001", text: "You wrote: {{ inbound.text }}", on: {sent: wait, not_sent: none}}
  wait: {type: evaluate_inbound_message, channel: email, branches: [{match: "yes", next: agreed}]}
  agreed: {type: add_tag, tag: agreed}
  none: {type: add_tag, tag: nophone}
`

// mailSite is the small configuration with mail, the HTTP API and a flow that mail
// leads to.
func mailSite(t *testing.T) (s *site, key string) {
	key, hash := httpapi.NewKey()
	files := maps.Clone(small)
	files["trunkline.yaml"] += `  - {number: shop@example.com, channel: email}
smtp: {listen: [{address: "127.0.0.1:0"}], hostname: mx.example.com}
api: {listen: "127.0.0.1:0", secret: sixteen letters or more, keys: [{name: test, hash: "` + hash + `", scopes: [admin]}]}
storage: {reserve_mib: 16}
`
	files["flows/mailed.yaml"] = mailFlow
	return newSite(t, files), key
}

var smtpLine = regexp.MustCompile(`(?m)^  SMTP   (\S+)$`)

// mail sends a mail as Go's own client does.
func (g *running) mail(from, to, subject, text string, header ...string) error {
	g.site.Helper()
	m := smtpLine.FindStringSubmatch(g.out.String())
	if m == nil {
		g.site.Fatalf("the daemon says nothing of mail:\n%s", g.out)
	}
	lines := append(header, "From: "+from, "To: "+to, "Subject: "+subject, "", text, "")
	return smtp.SendMail(m[1], nil, from, []string{to}, []byte(strings.Join(lines, "\r\n")))
}

// A mail starts a flow that sends an SMS to a person whose phone is known, and the
// answer by mail lets it go on. What was answered with 250 survives a kill.
func TestMail(t *testing.T) {
	t.Parallel()
	s, key := mailSite(t)
	g := s.start()
	phone := bindTo(t, g.smpp, "demo", "demo")
	if status, out := g.ask(key, "POST", "/v1/people", map[string]any{"addresses": []map[string]string{
		{"kind": "phone", "value": "385911234567"}, {"kind": "email", "value": "ana@b.example"},
	}}); status != http.StatusCreated {
		t.Fatalf("%d %v", status, out)
	}
	if err := g.mail("ana@B.example", "Shop+spring@example.com", "START!", "I saw it\r\n> quoted\r\n-- \r\nAna", "Message-ID: <1@b.example>"); err != nil {
		t.Fatal(err)
	}
	if m := phone.message(pdu.IDDeliverSM, "1"); string(m.Message()) != "You wrote: I saw it" {
		t.Errorf("the SMS says %q", m.Message())
	}
	eventually(t, "the flow waits", func() bool {
		p := s.person("ana@b.example")
		return len(p.Runs) == 1 && p.Runs[0].Element == "wait"
	})
	for i, mail := range []struct {
		text   string
		header string
		agreed bool
	}{
		{"no, thank you", "Message-ID: <2@b.example>", false},
		{"yes", "Auto-Submitted: auto-replied", false},
		{"yes", "Message-ID: <2@b.example>", false}, // R7: the same mail again
		{"Yes.\r\n\r\nOn Mon, Nov 23, 2026, Shop wrote:\r\n\r\nDo you?", "Message-ID: <3@b.example>", true},
	} {
		if err := g.mail("ana@b.example", "shop@example.com", "Re: START", mail.text, mail.header); err != nil {
			t.Fatal(err)
		}
		if p := s.person("385911234567"); slices.Contains(p.Tags, "agreed") != mail.agreed || !slices.Contains(p.Tags, "mailed") {
			t.Fatalf("after mail %d: %v", i, p.Tags)
		}
	}
	for _, to := range []string{"nobody@example.com", "ana@b.example", "shop@elsewhere.example"} {
		if err := g.mail("ana@b.example", to, "START", ""); err == nil || !strings.HasPrefix(err.Error(), "550 ") {
			t.Errorf("mail to %s: %v", to, err)
		}
	}
	if out := s.must("status"); !strings.Contains(out, "MAIL AT") {
		t.Errorf("status says %s", out)
	}
	// A person who was not known, and the machine dies right after the answer.
	for i := range 5 {
		if err := g.mail(fmt.Sprintf("new%d@b.example", i), "shop@example.com", "start", ""); err != nil {
			t.Fatal(err)
		}
	}
	g.signal(syscall.SIGKILL)
	g.wait(t)
	g = s.start()
	for i := range 5 {
		p := s.person(fmt.Sprintf("new%d@b.example", i))
		if !slices.Contains(p.Tags, "mailed") || !slices.Contains(p.Tags, "nophone") {
			t.Errorf("a mail is lost: %+v", p)
		}
	}
	// A peer that did not hear the answer sends the mail again.
	if err := g.mail("ana@b.example", "shop@example.com", "START", "again", "Message-ID: <1@b.example>"); err != nil {
		t.Fatal(err)
	}
	if f := s.flow("mailed"); f.Entered != 6 {
		t.Errorf("%d persons entered", f.Entered)
	}
	g.stop()
}
