package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// smuggling plays what is known of SMTP smuggling and of commands that are slipped in,
// in both directions: against the daemon, whose flow counts the persons of whom mail
// was taken, and through the transport that sends, against a server that writes down
// what it hears.
func smuggling(o *options) runner {
	return func(ctx context.Context) error {
		cert, err := newCertificate(o.dir)
		if err != nil {
			return err
		}
		s, err := newMailSite(o, cert)
		if err != nil {
			return err
		}
		p, _, err := s.startReady(ctx)
		if err != nil {
			return err
		}
		defer p.kill()
		t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "DIRECTION\tCASE\tANSWER\tMAILS\tVERDICT")
		cases, passed := 0, 0
		var problems []string
		note := func(direction, name, answer string, mails int, problem string) {
			cases++
			verdict := "passed"
			if problem == "" {
				passed++
			} else {
				verdict = "FAILED: " + problem
				problems = append(problems, name+": "+problem)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", direction, name, answer, mails, verdict)
		}
		for _, v := range vectorsIn() {
			answer, mails, problem := v.play(ctx, s)
			note("in", v.name, answer, mails, problem)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		for _, v := range vectorsOut() {
			answer, mails, problem := v.play(ctx, filepath.Join(o.dir, "out"))
			note("out", v.name, answer, mails, problem)
		}
		if !p.alive() {
			problems = append(problems, "the daemon ended: "+p.output())
		}
		t.Flush()
		fmt.Printf("RESULT cases=%d passed=%d\n", cases, passed)
		return failure(problems)
	}
}

// mailSite is a site with a flow that takes mail from anybody.
type mailSite struct {
	*site
	smtp  string // address
	taken int    // mails so far
}

const mailedFlow = `flow: load
entries: [{id: mail, type: inbound_message, channel: email, number: "` + mailAddress + `", keywords: any, next: stop}]
elements:
  stop: {type: exit}
`

// mailAddress is what mail is taken for.
const mailAddress = "shop@example.com"

// newMailSite is a site that takes mail in the clear, with STARTTLS when there is a
// certificate, and at rates that no load reaches.
func newMailSite(o *options, cert *certificateFiles) (*mailSite, error) {
	o.flow = mailedFlow
	s, err := newSite(o, "", 0)
	if err != nil {
		return nil, err
	}
	ports, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	tls := ""
	if cert != nil {
		tls = fmt.Sprintf(", tls: {cert: %q, key: %q}", cert.cert, cert.key)
	}
	config, err := os.ReadFile(s.config())
	if err != nil {
		return nil, err
	}
	text := strings.Replace(string(config), "numbers: [", `numbers: [{number: `+mailAddress+`, channel: email, duplicate_window: 0s}, `, 1) + fmt.Sprintf(`smtp:
  listen: [{address: "%s"%s}]
  hostname: mx.example.com
  rate: 1000000
  max_connections: 2000
  max_connections_per_address: 1000
  max_size: 200000
`, ports[0], tls)
	return &mailSite{site: s, smtp: ports[0]}, os.WriteFile(s.config(), []byte(text), 0o600)
}

// settled is how many mails were taken since it was asked last. What was acknowledged
// is there at once; the counters of the flow follow within a commit.
func (s *mailSite) settled(ctx context.Context, want int) (int, error) {
	for deadline := time.Now().Add(2 * time.Second); ; {
		st, err := s.show(ctx)
		if err != nil {
			return 0, err
		}
		if n := int(st.Entered) - s.taken; n == want || time.Now().After(deadline) {
			s.taken = int(st.Entered)
			return n, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// limit changes a line of the configuration.
func (s *mailSite) limit(line, to string) error {
	config, err := os.ReadFile(s.config())
	if err != nil {
		return err
	}
	return os.WriteFile(s.config(), []byte(strings.Replace(string(config), line, to, 1)), 0o600)
}
