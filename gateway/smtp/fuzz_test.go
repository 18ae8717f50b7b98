package smtp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var replies = []struct{ text, want string }{
	{"yes", "yes"},
	{"  yes\n\n\n\nplease \n", "  yes\n\nplease"},
	{"yes\n-- \nAna", "yes"},
	{"yes\n> no\n>> maybe", "yes"},
	{"> no\nyes", "yes"},
	{"yes\n\nOn Mon, Nov 23, 2026, Shop wrote:\n\nno", "yes"},
	{"yes\n\nOn Mon, Nov 23, 2026 at 9:14 AM A very long name of a shop\n<shop@example.com> wrote:\n> no", "yes"},
	{"yes\n\nAm 23.11.2026 um 09:14 schrieb Shop:\n> no\nmaybe", "yes\n\nmaybe"},
	{"da\n\nDana 23. 11. 2026. u 9:14, Shop je napisao/la:\n\n> no", "da"},
	{"oui\n\nLe lun. 23 nov. 2026 à 09:14, Shop a écrit :\n\n> no", "oui"},
	{"sí\n\nEl lun, 23 nov 2026 a las 9:14, Shop (<shop@example.com>) escribió:\n> no", "sí"},
	{"yes\n\n-----Original Message-----\nFrom: Shop", "yes"},
	{"yes\n\n________________________________\nFrom: Shop\nSent: Monday\nTo: Ana\nSubject: x\n\nno", "yes"},
	{"yes\n\nSent from my iPhone\n\n> On 23 Nov 2026, at 09:14, Shop wrote:\n> no", "yes"},
	{"yes\nGet Outlook for Android<https://aka.ms/x>", "yes"},
	// What looks like one and is none.
	{"To: be or not to be\nyes", "To: be or not to be\nyes"},
	{"On 5 May I wrote:\nnothing else", "On 5 May I wrote:\nnothing else"},
	{"price > 5\n__________\nyes", "price > 5\n__________\nyes"},
	{"", ""},
}

func TestReplyText(t *testing.T) {
	for _, test := range replies {
		if got := replyText(test.text); got != test.want {
			t.Errorf("of %q remains %q, not %q", test.text, got, test.want)
		}
	}
}

// FuzzReplyText: nothing is invented, quotations go, and what is left of what is left
// is not more.
func FuzzReplyText(f *testing.F) {
	for _, test := range replies {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := replyText(text)
		if len(got) > len(text) || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q of %q", got, text)
		}
		for line := range strings.Lines(got) {
			if quoted(line) {
				t.Fatalf("a quotation is left: %q", got)
			}
			if bare := strings.TrimRight(line, "\n"); bare != "" && !strings.Contains(text, bare) {
				t.Fatalf("%q is not in %q", line, text)
			}
		}
		if again := replyText(got); len(again) > len(got) {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{"<p>a<br>b</p>", "<div class=gmail_quote><div>x</div></div>y", "<!-- <p> -->x", "a &amp; &lt;b&gt; <", "<head><body>x", "<blockquote><blockquote></blockquote>x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := htmlText(s); len(got) > 4*len(s)+4 {
			t.Fatalf("%d octets of %d", len(got), len(s))
		}
	})
}

var addresses = map[string]bool{
	"ana@b.example": true, "ana+tag@b.example": true, "a.n.a@localhost": true, "jürgen@müller.example": true, "a@[127.0.0.1]": true, "a@[IPv6:::1]": true,
	"": false, "ana": false, "@b.example": false, "ana@": false, "a b@c.example": false, "a@b..example": false, "a@-b.example": false, "a@b_c.example": false,
	"a\x00@b.example": false, "a@b.example\r\n": false, "<a@b.example>": false, "a@[1.2.3]": false, "a@b@c.example": false, "a\xff@b.example": false,
	strings.Repeat("x", 65) + "@b.example": false, "a@" + strings.Repeat("x", 64) + ".example": false, "a@" + strings.Repeat("x.", 130) + "example": false,
}

func TestValidAddress(t *testing.T) {
	for s, want := range addresses {
		if ValidAddress(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// FuzzAddress: a valid address is one line of text with one meaning.
func FuzzAddress(f *testing.F) {
	for s := range addresses {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !ValidAddress(s) {
			return
		}
		if len(s) > localMost+1+domainMost || strings.Count(s, "@") != 1 || strings.ContainsAny(s, " \t\r\n<>\x00") || !utf8.ValidString(s) {
			t.Fatalf("%q is no address", s)
		}
	})
}

// FuzzLetter: whatever comes is read or refused, within bounds.
func FuzzLetter(f *testing.F) {
	files, _ := filepath.Glob("testdata/letters/*.eml")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, err := readLetter(strings.NewReader(raw), "a@b.example", false, 8192)
		if err != nil {
			return
		}
		if len(l.text) > textMost || len(l.subject) > subjectMost || len(l.id) > idMost || !ValidAddress(l.from) {
			t.Fatalf("%+v", l)
		}
		if s := l.text + l.subject; !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b") {
			t.Fatalf("unclean: %+v", l)
		}
	})
}
