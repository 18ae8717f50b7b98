package smtp

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// nodemailerScript sends mails by the npm package nodemailer, which comes with
// smtp-server and mailparser.
const nodemailerScript = `
const to = 'shop@example.com', from = {name: 'Žana, "the" first', address: 'ana@b.example'};
const transport = require('nodemailer').createTransport({host: '127.0.0.1', port: +process.argv[1], tls: {rejectUnauthorized: false}, name: 'peer.example', pool: true});
(async () => {
	await transport.sendMail({from, to, subject: 'počni', text: 'hello\n.\n..\nthere'});
	await transport.sendMail({from, to, subject: 'x'.repeat(300), html: '<style>p{}</style><p>hello <b>there</b></p><img src="cid:a">',
		attachments: [{filename: 'račun.pdf', content: Buffer.alloc(5000)}, {filename: 'a.png', cid: 'a', content: Buffer.alloc(500)}]});
	await transport.sendMail({from, to, subject: 'both', text: 'plain', html: '<p>rich</p>', inReplyTo: '<1@example.com>', textEncoding: 'base64'});
	transport.close();
})().catch(e => { console.error(e); process.exit(1); });
`

func TestNodemailer(t *testing.T) {
	t.Parallel()
	const dir = "../../testdata/peers"
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(dir + "/node_modules/nodemailer"); err != nil || missing != nil {
		t.Skip("the npm package nodemailer is not installed")
	}
	h := start(t, func(c *Config) { c.Listen[0].TLS = certificate(t) })
	_, port, _ := net.SplitHostPort(h.listeners[0].Addr().String())
	cmd := exec.CommandContext(t.Context(), node, "-e", nodemailerScript, port)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	texts := []string{}
	for _, m := range h.core.all() {
		texts = append(texts, m.From+" "+m.Subject[:min(10, len(m.Subject))]+": "+strings.TrimSpace(m.Text)+" "+strings.Join(slices.Sorted(slices.Values(m.Files)), ","))
	}
	want := []string{
		"ana@b.example počni: hello\n.\n..\nthere ",
		"ana@b.example xxxxxxxxxx: hello there a.png,račun.pdf",
		"ana@b.example both: plain ",
	}
	slices.Sort(texts)
	slices.Sort(want)
	if !slices.Equal(texts, want) {
		t.Errorf("%q", texts)
	}
}

// swaks is a peer that nobody here has written (Debian package swaks).
func TestSwaks(t *testing.T) {
	t.Parallel()
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("swaks is not installed")
	}
	h := start(t, func(c *Config) { c.Listen[0].TLS = certificate(t) })
	_, port, _ := net.SplitHostPort(h.listeners[0].Addr().String())
	for i, args := range [][]string{
		{"--to", "shop@example.com", "--body", "hello"},
		{"--to", "shop@example.com,help@example.com", "--tls", "--body", "hello"},
		{"--to", "shop@example.com", "--pipeline", "--header", "Subject: START", "--attach-type", "text/csv", "--attach", "@/etc/hostname", "--body", "hello"},
	} {
		out, err := exec.CommandContext(t.Context(), swaks, append([]string{"--server", "127.0.0.1", "--port", port, "--from", "ana@b.example", "--helo", "peer.example"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%d: %v\n%s", i, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), swaks, "--server", "127.0.0.1", "--port", port, "--from", "ana@b.example", "--to", "x@elsewhere.example").CombinedOutput(); err == nil || !strings.Contains(string(out), "550 5.7.1") {
		t.Errorf("a relay: %v\n%s", err, out)
	}
	texts := []string{}
	for _, m := range h.core.all() {
		texts = append(texts, m.To+" "+strings.TrimSpace(m.Text))
	}
	if want := []string{"shop@example.com hello", "shop@example.com hello", "help@example.com hello", "shop@example.com hello"}; !slices.Equal(texts, want) {
		t.Errorf("%q", texts)
	}
}

// smtp-source is Postfix's load generator (Debian package postfix).
func TestSMTPSource(t *testing.T) {
	t.Parallel()
	source, err := exec.LookPath("smtp-source")
	if err != nil {
		if source, err = exec.LookPath("/usr/sbin/smtp-source"); err != nil {
			t.Skip("smtp-source is not installed")
		}
	}
	h := start(t, nil)
	for _, args := range [][]string{{"-m", "50", "-s", "5"}, {"-d", "-m", "50", "-s", "5", "-l", "2000"}} {
		out, err := exec.CommandContext(t.Context(), source, append(args, "-f", "ana@b.example", "-t", "shop@example.com", h.listeners[0].Addr().String())...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if n := len(h.core.all()); n != 100 {
		t.Errorf("%d mails of 100", n)
	}
}
