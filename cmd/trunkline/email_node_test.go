package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// nodeMail is a mail as the npm package mailparser understands it.
type nodeMail struct {
	From       string
	To         []string
	TLS        bool
	User       string
	Subject    string
	Sender     string
	ReplyTo    string
	Text       string
	HTML       string
	MessageID  string
	Signatures int
}

// The npm packages smtp-server and mailparser, as a smart host with a log-in, get what
// was sent: over TLS, signed twice, with both texts and a subject beyond ASCII.
func TestMailForNode(t *testing.T) {
	t.Parallel()
	program := need(t, "Node.js", "node", "nodejs")
	if _, err := os.Stat("../../testdata/peers/node_modules/smtp-server"); err != nil {
		t.Skip("SKIPPED: the npm package smtp-server is not installed here; `make peers` installs it")
	}
	cmd := exec.Command(program, "mail.js", "me", "secret")
	cmd.Dir = "../../testdata/peers"
	port, mails := make(chan int, 1), make(chan nodeMail, 10)
	startProcess(t, cmd).out.follow(func(text string) {
		var line struct {
			Listening int
			Mail      *nodeMail
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return
		}
		if line.Mail != nil {
			mails <- *line.Mail
		} else if line.Listening > 0 {
			port <- line.Listening
		}
	})
	s := emailSite(t, "127.0.0.1:1", fmt.Sprintf("  smart_host: {address: \"127.0.0.1:%d\", tls: required, username: me, password: secret}\n", receive(t, "the peer listens", port)))
	g := s.start()
	s.write("mail.html", "<p>Grüße, <b>Ana</b>!</p>\n")
	s.must("send", "email", "--to", "ana@c.example", "--subject", "Grüße 🎉", "--html", s.path("mail.html"), "Grüße, Ana!\n.\n..\n")
	got := receive(t, "the mail", mails)
	if !strings.HasPrefix(got.From, "b-") || !strings.HasSuffix(got.From, "@bounce.example.com") || !strings.HasSuffix(got.MessageID, "@example.com>") {
		t.Errorf("%+v", got)
	}
	got.From, got.MessageID = "", ""
	got.Text, got.HTML = strings.TrimSpace(got.Text), strings.TrimSpace(got.HTML)
	want := nodeMail{
		To: []string{"ana@c.example"}, TLS: true, User: "me", Subject: "Grüße 🎉", Sender: `"The Shop" <shop@example.com>`, ReplyTo: "help@example.com",
		Text: "Grüße, Ana!\n.\n..", HTML: "<p>Grüße, <b>Ana</b>!</p>", Signatures: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	id := s.sendEmail("nobody@c.example", "x")
	eventually(t, "the refusal is known", func() bool {
		return strings.Contains(s.try("queue", "show", id).out, "550") && strings.Contains(s.try("email", "suppressed").out, "nobody@c.example")
	})
	g.stop()
}
