package compose

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"trunkline/gateway"
)

var update = flag.Bool("update", false, "write the golden files")

var folder = fstest.MapFS{
	"img/logo.png":   {Data: []byte("\x89PNG\r\n\x1a\n\x00logo")},
	"docs/terms.pdf": {Data: []byte("%PDF-1.4\nterms\n")},
	"docs/big.bin":   {Data: make([]byte, MaxFileBytes+1)},
}

func outbound(mail gateway.Mail) gateway.Outbound {
	if mail.Composed.IsZero() {
		mail.Composed = time.Date(2026, 3, 1, 9, 30, 0, 0, time.FixedZone("", 3600))
	}
	return gateway.Outbound{
		ID: "ag4q2hb6/welcome/1/mail/2.3", Channel: gateway.Email, From: "news@shop.example", To: "ana@example.org", Mail: &mail,
	}
}

const page = `<!doctype html><html><head><title>Hi</title><style>p{color:red}</style></head>
<body class="x"><h1>Hello&nbsp;Ana &amp; all</h1>
<p>Twenty percent off, <a href="https://shop.example/spring?a=1&amp;b=2">only today</a>.<br>Yours</p>
<ul><li>shoes<li>socks</ul><img src="cid:logo" alt="Shop"><div style="display: none">tracking</div>
</body></html>`

// Each form that a mail can have, octet by octet.
func TestGolden(t *testing.T) {
	text := outbound(gateway.Mail{Subject: "Your order 1234"})
	text.Text = "Dear Ana,\nit is on its way.\n.\nFrom here on = " + strings.Repeat("a long line ", 100) + "\n"
	unicode := outbound(gateway.Mail{
		Subject:  "Proljeće u Čakovcu – popust od 20 % za sve naše kupce koji su nas pratili čitavu zimu 🌷",
		FromName: "Trgovina „Šuma“", ReplyTo: "Podrška <pomoc@shop.example>",
	})
	unicode.Text, unicode.To = "Žao nam je što ste čekali.\n", "ana@čakovec.example"
	html := outbound(gateway.Mail{
		Subject: "Spring", FromName: "The Shop", Preheader: "20 % off & more", HTML: page, Unsubscribe: "https://l.example/u/0123456789A",
		Headers: []gateway.MailHeader{{Name: "Feedback-ID", Value: "spring:shop"}},
	})
	files := outbound(gateway.Mail{
		Subject: "Terms", HTML: page,
		Files: []gateway.MailFile{{Path: "img/logo.png", ContentID: "logo"}, {Path: "docs/terms.pdf", Name: "Uvjeti – čitaj.pdf"}},
	})
	for name, m := range map[string]gateway.Outbound{"text": text, "unicode": unicode, "html": html, "files": files} {
		t.Run(name, func(t *testing.T) {
			got, err := Compose(m, Options{Files: folder})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".eml", got)
			again, err := Compose(m, Options{Files: folder})
			if err != nil || !bytes.Equal(got, again) {
				t.Error("the same message is another mail the second time")
			}
			checkWire(t, got)
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it):\n%s", name, got)
	}
}

// checkWire looks at what every mail has to hold on the wire: CRLF alone, no line
// over 998 octets, ASCII.
func checkWire(t *testing.T, wire []byte) {
	t.Helper()
	for line := range bytes.SplitSeq(wire, []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n") {
			t.Errorf("a bare CR or LF in %q", line)
		}
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// leaf is what a parser finds.
type leaf struct {
	typ, id, disposition, name string
	content                    string
}

func parse(t *testing.T, wire []byte) (h mail.Header, leaves []leaf) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	h.Header = e.Header
	err = e.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil {
			return err
		}
		typ, params, err := e.Header.ContentType()
		if err != nil || strings.HasPrefix(typ, "multipart/") {
			return err
		}
		content, err := io.ReadAll(e.Body)
		l := leaf{typ: typ, id: e.Header.Get("Content-Id"), name: params["name"], content: string(content)}
		l.disposition, _, _ = e.Header.ContentDisposition()
		leaves = append(leaves, l)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, leaves
}

// What was written comes back from a parser.
func TestParsesBack(t *testing.T) {
	m := outbound(gateway.Mail{
		Subject: "Čestitamo!", FromName: `"Ana, B." <x>`, ReplyTo: "help@shop.example", HTML: page, Unsubscribe: "https://l.example/u/0123456789A",
		Files: []gateway.MailFile{{Path: "img/logo.png", ContentID: "logo"}, {Path: "docs/terms.pdf"}},
	})
	wire, err := Compose(m, Options{Files: folder})
	if err != nil {
		t.Fatal(err)
	}
	h, leaves := parse(t, wire)
	subject, _ := h.Subject()
	from, _ := h.AddressList("From")
	date, _ := h.Date()
	if subject != "Čestitamo!" || len(from) != 1 || from[0].Name != `"Ana, B." <x>` || from[0].Address != "news@shop.example" || !date.Equal(m.Mail.Composed) {
		t.Errorf("%q %v %s", subject, from, date)
	}
	for name, want := range map[string]string{
		"Message-Id": MessageID(m.ID, m.From), "List-Unsubscribe": "<https://l.example/u/0123456789A>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Reply-To": "<help@shop.example>", "Mime-Version": "1.0",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	want := []leaf{
		{typ: "text/plain", content: strings.ReplaceAll(Text(page), "\n", "\r\n")},
		{typ: "text/html", content: strings.ReplaceAll(page, "\n", "\r\n")},
		{typ: "image/png", id: "<logo>", disposition: "inline", name: "logo.png", content: string(folder["img/logo.png"].Data)},
		{typ: "application/pdf", disposition: "attachment", name: "terms.pdf", content: string(folder["docs/terms.pdf"].Data)},
	}
	if len(leaves) != len(want) {
		t.Fatalf("%d parts", len(leaves))
	}
	for i := range want {
		if leaves[i] != want[i] {
			t.Errorf("part %d:\n got %+q\nwant %+q", i, leaves[i], want[i])
		}
	}
}

// X2: the Message-ID is the same whenever a message is sent, and another one for
// another message.
func TestMessageID(t *testing.T) {
	a, b := MessageID("p/f/1/e/2.3", "news@shop.example"), MessageID("p/f/1/e/2.4", "news@shop.example")
	if a == b || a != MessageID("p/f/1/e/2.3", "other@shop.example") || !strings.HasSuffix(a, "@shop.example>") || len(Key("x")) != 32 {
		t.Errorf("%s %s", a, b)
	}
}

// A line end in anything that becomes a header is refused, and so is what has no
// place in one.
func TestRefused(t *testing.T) {
	good := gateway.Mail{Subject: "s", HTML: "<p>x"}
	if _, err := Compose(outbound(good), Options{}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*gateway.Outbound){
		"subject":            func(m *gateway.Outbound) { m.Mail.Subject = "a\r\nBcc: x@example.org" },
		"subject bare LF":    func(m *gateway.Outbound) { m.Mail.Subject = "a\nb" },
		"subject bare CR":    func(m *gateway.Outbound) { m.Mail.Subject = "a\rb" },
		"subject NUL":        func(m *gateway.Outbound) { m.Mail.Subject = "a\x00b" },
		"subject UTF-8":      func(m *gateway.Outbound) { m.Mail.Subject = "a\xff" },
		"subject too long":   func(m *gateway.Outbound) { m.Mail.Subject = strings.Repeat("long ", 2000) },
		"from name":          func(m *gateway.Outbound) { m.Mail.FromName = "a\nb" },
		"from":               func(m *gateway.Outbound) { m.From = "a@b.example\r\nX: y" },
		"from two":           func(m *gateway.Outbound) { m.From = "a@b.example, c@d.example" },
		"from none":          func(m *gateway.Outbound) { m.From = "" },
		"to":                 func(m *gateway.Outbound) { m.To = "a@b.example>\r\nRCPT TO:<c@d.example" },
		"reply-to":           func(m *gateway.Outbound) { m.Mail.ReplyTo = "x\r\n <a@b.example>" },
		"reply-to nobody":    func(m *gateway.Outbound) { m.Mail.ReplyTo = "nobody" },
		"unsubscribe":        func(m *gateway.Outbound) { m.Mail.Unsubscribe = "https://x/\r\nA: b" },
		"unsubscribe scheme": func(m *gateway.Outbound) { m.Mail.Unsubscribe = "javascript:alert(1)" },
		"unsubscribe two":    func(m *gateway.Outbound) { m.Mail.Unsubscribe = "https://x/>, <https://y/" },
		"header value":       func(m *gateway.Outbound) { m.Mail.Headers = []gateway.MailHeader{{Name: "X-A", Value: "b\nc"}} },
		"header name":        func(m *gateway.Outbound) { m.Mail.Headers = []gateway.MailHeader{{Name: "X-A: b\r\nX-B", Value: "c"}} },
		"header of ours":     func(m *gateway.Outbound) { m.Mail.Headers = []gateway.MailHeader{{Name: "bcc", Value: "c@d.example"}} },
		"content header": func(m *gateway.Outbound) {
			m.Mail.Headers = []gateway.MailHeader{{Name: "Content-Type", Value: "text/html"}}
		},
		"file name":      func(m *gateway.Outbound) { m.Mail.Files = []gateway.MailFile{{Path: "docs/terms.pdf", Name: "a\r\nb"}} },
		"content id":     func(m *gateway.Outbound) { m.Mail.Files = []gateway.MailFile{{Path: "img/logo.png", ContentID: "a>b"}} },
		"file outside":   func(m *gateway.Outbound) { m.Mail.Files = []gateway.MailFile{{Path: "../secret"}} },
		"file missing":   func(m *gateway.Outbound) { m.Mail.Files = []gateway.MailFile{{Path: "docs/none.pdf"}} },
		"file too large": func(m *gateway.Outbound) { m.Mail.Files = []gateway.MailFile{{Path: "docs/big.bin"}} },
		"no date":        func(m *gateway.Outbound) { m.Mail.Composed = time.Time{} },
		"no mail":        func(m *gateway.Outbound) { m.Mail = nil },
	} {
		m := outbound(good)
		change(&m)
		if wire, err := Compose(m, Options{Files: folder}); err == nil {
			t.Errorf("%s is taken:\n%s", name, wire)
		}
	}
	m := outbound(gateway.Mail{Files: []gateway.MailFile{{Path: "docs/none.pdf"}}})
	if _, err := Compose(m, Options{Files: folder}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A mail that has no text gets one of its HTML.
func TestText(t *testing.T) {
	for html, want := range map[string]string{
		page: "Hello\u00a0Ana & all\n\nTwenty percent off, only today (https://shop.example/spring?a=1&b=2).\nYours\n\n- shoes\n- socks\n\nShop\n",
		`<a href="https://x.example/">https://x.example/</a> <a href=mailto:a@b.example>write</a> <a href="#top">up</a> <a href="https://y.example/"><img src=z></a>`: "https://x.example/ write (a@b.example) up https://y.example/\n",
		`<head><title>x</title><body>shown`:                                   "shown\n",
		`<table><tr><td>a</td><td>b</td></tr><tr><td>c<td>d</table>`:          "a b\nc d\n",
		`<script>alert("<p>x")</script>a<!-- <p>b --> c<pre>  d  e` + "\n  f": "a c\n\n  d  e\n  f\n",
		`a<b`:                "a\n",
		``:                   "\n",
		`&lt;p&gt; 1 &lt; 2`: "<p> 1 < 2\n",
	} {
		if got := Text(html); got != want {
			t.Errorf("%q\n got %q\nwant %q", html, got, want)
		}
	}
}

// The preheader stands first in the body, and in no text.
func TestPreheader(t *testing.T) {
	got := withPreheader(page, `"20 %" <off>`)
	if i := strings.Index(got, "&#34;20 %&#34; &lt;off&gt;"); i < 0 || i > strings.Index(got, "<h1>") || i < strings.Index(got, "<body") {
		t.Error(got)
	}
	if Text(got) != Text(page) {
		t.Error(Text(got))
	}
	if got := withPreheader("<p>x", "y"); !strings.HasPrefix(got, "<div") {
		t.Error(got)
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("Hello", "The Shop", "ana@example.org", "text", page, "pre")
	f.Add("a\r\nb", "\x00", "a b@c", "\r.\r\n.\n--=_1_", "<a href='x'><body", "\xff")
	f.Add("🌷", "Š", "č@ć.example", "", "<", "<")
	f.Fuzz(func(t *testing.T, subject, name, to, text, html, preheader string) {
		m := outbound(gateway.Mail{Subject: subject, FromName: name, HTML: html, Preheader: preheader})
		m.To, m.Text = to, text
		wire, err := Compose(m, Options{})
		if err != nil {
			return
		}
		checkWire(t, wire)
		h, leaves := parse(t, wire)
		if got, _ := new(mime.WordDecoder).DecodeHeader(h.Get("Subject")); strings.TrimSpace(got) != strings.TrimSpace(subject) && !strings.Contains(subject, "=?") {
			t.Errorf("subject %q, want %q", got, subject)
		}
		for fields := h.Fields(); fields.Next(); {
			switch fields.Key() {
			case "From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding":
			default:
				t.Errorf("a field %q has come in", fields.Key())
			}
		}
		want := 1
		if html != "" {
			want = 2
		}
		if len(leaves) != want {
			t.Errorf("%d parts", len(leaves))
		}
	})
}
