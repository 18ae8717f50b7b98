package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// mailbox is a server that takes the mail of everybody.
type mailbox struct {
	t  *testing.T
	mu sync.Mutex
	// got are the mails by recipient.
	got map[string][]letterGot
}

// letterGot is what a mail program sees.
type letterGot struct {
	subject, from, html, text, unsubscribe, oneClick, id string
	files                                                []string
}

// startMailbox listens until the test ends, and tells where.
func startMailbox(t *testing.T) (b *mailbox, address string) {
	t.Helper()
	b = &mailbox{t: t, got: map[string][]letterGot{}}
	server := smtp.NewServer(b)
	l := listenLoopback(t)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return b, l.Addr().String()
}

// NewSession implements smtp.Backend.
func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &visit{box: b}, nil }

// visit is a session with a mailbox.
type visit struct {
	box *mailbox
	to  []string
}

func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }
func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.to = append(v.to, to)
	return nil
}
func (v *visit) Reset()        { v.to = nil }
func (v *visit) Logout() error { return nil }

func (v *visit) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l, err := readLetter(raw)
	if err != nil {
		v.box.t.Errorf("%v in\n%s", err, raw)
		return err
	}
	v.box.mu.Lock()
	defer v.box.mu.Unlock()
	for _, to := range v.to {
		v.box.got[to] = append(v.box.got[to], l)
	}
	return nil
}

func readLetter(raw []byte) (l letterGot, err error) {
	m, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		return l, err
	}
	l.subject, _ = m.Header.Subject()
	l.from = m.Header.Get("From")
	l.unsubscribe, l.oneClick, l.id = strings.Trim(m.Header.Get("List-Unsubscribe"), "<>"), m.Header.Get("List-Unsubscribe-Post"), m.Header.Get("Message-Id")
	for {
		p, err := m.NextPart()
		if err == io.EOF {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			return l, err
		}
		switch h := p.Header.(type) {
		case *mail.AttachmentHeader:
			name, _ := h.Filename()
			l.files = append(l.files, name+" "+string(body))
		case *mail.InlineHeader:
			if typ, _, _ := h.ContentType(); typ == "text/html" {
				l.html = string(body)
			} else {
				l.text = string(body)
			}
		}
	}
}

// mails are all that were taken, by recipient.
func (b *mailbox) mails() map[string][]letterGot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.got)
}

var (
	pixelOf = regexp.MustCompile(`<img src="https://l\.example/(o/[0-9A-Za-z]{11}\.gif)"`)
	linkOf  = regexp.MustCompile(`<a href="https://l\.example/([0-9A-Za-z]{11})"`)
)

// postForm sends a form to the listener of links.
func (g *running) postForm(path string, form url.Values) (status int, page string) {
	g.site.Helper()
	m := linksLine.FindStringSubmatch(g.out.String())
	if m == nil {
		g.site.Fatalf("the daemon says nothing of short links:\n%s", g.out)
	}
	res, err := http.PostForm("http://"+m[1]+"/"+path, form)
	if err != nil {
		g.site.Fatal(err)
	}
	return res.StatusCode, readAll(g.site, res)
}

// timing is the brief's test: the same mail goes out at growing intervals, to a quarter
// of the customers each, and the rest gets nothing yet.
const timing = `flow: timing
entries: [{id: all, type: audience, condition: {tag: customer}, next: split}]
elements:
  split: {type: split_audience, branches: [{share: 25, next: at_once}, {share: 25, next: pause_1}, {share: 25, next: pause_2}, {share: 25, next: rest}]}
  at_once: &mail
`

// timingFlow writes the flow: each branch has the same mail under an id of its own.
func timingFlow() string {
	send := func(id string) string {
		return "  " + id + `:
    type: send_email
    subject: "Hello {{ person.firstName | default: 'there' }}"
    html_file: mails/spring.html
    attachments: [{file: mails/terms.txt, name: Uvjeti.txt}]
    on: {sent: end}
`
	}
	return strings.Split(timing, "  at_once:")[0] + send("at_once") + "  pause_1: {type: pause, for: 1s, on: {done: after_1}}\n" + send("after_1") +
		"  pause_2: {type: pause, for: 2s, on: {done: after_2}}\n" + send("after_2") + `  rest: {type: add_tag, tag: notReceived}
  end: {type: exit}
settings: {category: marketing}
goals: [{id: read, event: email_opened, window: 7d}]
`
}

// The story of a mailing: sending times are compared by opens and clicks, somebody
// unsubscribes with one click, and those who got nothing get the mail as a broadcast.
func TestMailingStory(t *testing.T) {
	t.Parallel()
	const n = 24
	box, address := startMailbox(t)
	files := maps.Clone(small)
	files["trunkline.yaml"] += fmt.Sprintf(`storage: {reserve_mib: 16}
links: {listen: "127.0.0.1:0", base_url: "https://l.example"}
email:
  identities: [{identity: shop, address: shop@example.com, name: The Shop}]
  destinations: [{domain: b.example, route: "%s"}]
`, address)
	files["mails/spring.html"] = `<body><p>20 % off, <a href="https://shop.example/spring?who={{ person.email | url_encode }}">here</a> or <a href="https://shop.example/socks">here</a>.</p>
<a href="{{ message.unsubscribe_url }}">unsubscribe</a></body>`
	files["mails/terms.txt"] = "The terms."
	files["rest.yaml"] = "broadcast: rest\nrecipients: {tags: notReceived}\nmessage: {type: send_email, subject: The better time, html_file: mails/spring.html}\n"
	s := newSite(t, files)
	g := s.start()
	people := "email,tags\n"
	for i := range n {
		people += fmt.Sprintf("p%d@b.example,customer\n", i)
	}
	s.write("people.csv", people)
	s.must("people", "import", s.path("people.csv"))
	s.write("flows/timing.yaml", timingFlow())
	s.must("reload")
	eventually(t, "everybody has gone through the test", func() bool { return s.flow("timing").Entered == n && s.flow("timing").Inside == 0 })

	branches := []string{"at_once", "after_1", "after_2"}
	sent := 0
	for _, id := range branches {
		e := s.flow("timing").element(id)
		if e.Sent == 0 || e.Delivered != e.Sent {
			t.Errorf("%s: %+v", id, e)
		}
		sent += int(e.Sent)
	}
	if got := len(box.mails()); got != sent || sent >= n {
		t.Fatalf("%d of %d got a mail, %d were sent", got, n, sent)
	}
	for to, all := range box.mails() {
		l := all[0]
		if len(all) != 1 || l.subject != "Hello there" || l.from != `"The Shop" <shop@example.com>` || !strings.Contains(l.text, "20 % off, here (https://l.example/") ||
			len(l.files) != 1 || l.files[0] != "Uvjeti.txt The terms." || l.oneClick != "List-Unsubscribe=One-Click" || strings.Contains(l.html, "shop.example/") {
			t.Errorf("%s got %d: %+v", to, len(all), l)
		}
	}

	// Half of the readers open, each of them follows the first link; programs look at all.
	time.Sleep(2500 * time.Millisecond) // nobody reads faster
	readers, gone := 0, ""
	for to, all := range box.mails() {
		l := all[0]
		pixel, links := pixelOf.FindStringSubmatch(l.html), linkOf.FindAllStringSubmatch(l.html, -1)
		if pixel == nil || len(links) != 2 {
			t.Fatalf("%s got\n%s", to, l.html)
		}
		if status, _, _ := g.follow("GET", pixel[1], "Mozilla/5.0"); status != http.StatusOK {
			t.Errorf("a proxy gets %d", status)
		}
		if readers++; readers%2 == 0 {
			continue
		}
		gone = to
		if status, _, _ := g.follow("GET", pixel[1], phoneAgent); status != http.StatusOK {
			t.Errorf("a reader gets %d", status)
		}
		want := "https://shop.example/spring?who=" + url.QueryEscape(to)
		if status, location, _ := g.follow("GET", links[0][1], phoneAgent); status != http.StatusFound || location != want {
			t.Errorf("%d %s, not %s", status, location, want)
		}
	}
	opened := (readers + 1) / 2
	sum := func() (opens, clickers, machines int) {
		for _, id := range branches {
			if e := s.flow("timing").element(id); e.Mail != nil {
				opens, clickers, machines = opens+int(e.Mail.Openers), clickers+int(e.Clickers), machines+int(e.Mail.MachineOpens)
			}
		}
		return opens, clickers, machines
	}
	eventually(t, "opens and clicks are counted by branch", func() bool {
		opens, clickers, machines := sum()
		return opens == opened && clickers == opened && machines == sent
	})
	if stats := s.must("flow", "stats", "timing"); !strings.Contains(stats, "OPEN RATE") || !strings.Contains(stats, "after_2") || !strings.Contains(stats, " %") {
		t.Errorf("the comparison:\n%s", stats)
	}
	if results := s.must("flow", "results", "timing"); !strings.Contains(results, "goal read") {
		t.Errorf("the results:\n%s", results)
	}
	if list := s.must("links", "list", "--flow", "timing"); !strings.Contains(list, "(opens of the mail)") || !strings.Contains(list, "https://shop.example/socks") {
		t.Errorf("the links:\n%s", list)
	}

	// One click, as mail programs do it; a forged address does nothing.
	leave := strings.TrimPrefix(box.mails()[gone][0].unsubscribe, "https://l.example/")
	if status, _ := g.postForm("u/00000000000", url.Values{"List-Unsubscribe": {"One-Click"}}); status != http.StatusNotFound {
		t.Errorf("a forged address: %d", status)
	}
	if status, page := g.postForm(leave, url.Values{"List-Unsubscribe": {"One-Click"}}); status != http.StatusOK || !strings.Contains(page, "You are unsubscribed") || !strings.Contains(page, "p…@b.example") {
		t.Errorf("%d\n%s", status, page)
	}
	if person := s.must("person", "show", gone); !strings.Contains(person, "email_unsubscribed") || !strings.Contains(person, "wants no more mail") {
		t.Errorf("the person:\n%s", person)
	}

	// Those who got nothing get it now, and nobody else.
	s.must("broadcast", "create", s.path("rest.yaml"), "--yes")
	eventually(t, "the broadcast is finished", func() bool { return s.broadcast("rest").State == "finished" })
	if got := len(box.mails()); got != n {
		t.Errorf("%d of %d got a mail in the end", got, n)
	}
	for to, all := range box.mails() {
		if len(all) != 1 {
			t.Errorf("%s got %d mails", to, len(all))
		}
	}
	g.stop()
}
