package flowengine

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// U1: only http and https links of a page are replaced, and nothing else of it changes.
func TestReplaceLinks(t *testing.T) {
	for page, want := range map[string]string{
		`<a href="https://a.example/">x</a>`:                                                                                    `<a href="L1">x</a>`,
		`<A HREF='http://a.example/?b=1&amp;c=2' CLASS="k">x</A> <AREA href=https://b.example/>`:                                `<a href="L1" class="k">x</A> <area href="L2">`,
		`<a href="HTTPS://a.example/č ć">`:                                                                                      `<a href="L1">`,
		`<a name=x>https://a.example/</a> <img src="https://a.example/i.png"> <p title="https://x.example/">`:                   `<a name=x>https://a.example/</a> <img src="https://a.example/i.png"> <p title="https://x.example/">`,
		`<a href="mailto:a@b.example"> <a href="javascript://a.example/%0aalert(1)"> <a href="#x"> <a href="ftp://a.example/">`: `<a href="mailto:a@b.example"> <a href="javascript://a.example/%0aalert(1)"> <a href="#x"> <a href="ftp://a.example/">`,
		`<a data-no-track href="https://a.example/">`:                                                                           `<a data-no-track href="https://a.example/">`,
		`<a href="https://user:secret@a.example/">`:                                                                             `<a href="https://user:secret@a.example/">`,
		`<a href="` + keepAsIs("https://a.example/") + `">`:                                                                     `<a href="` + keepAsIs("https://a.example/") + `">`,
		"<!-- <a href=\"https://a.example/\"> --><style>a[href=\"https://a.example/\"]{}</style>":                               "<!-- <a href=\"https://a.example/\"> --><style>a[href=\"https://a.example/\"]{}</style>",
		`<p>it's 1 < 2 & <b`: `<p>it's 1 < 2 & <b`,
	} {
		n := 0
		got := replaceLinks(page, func(string) string { n++; return "L" + string(rune('0'+n)) })
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", page, got, want)
		}
	}
}

// A mail's links lead to what was in it; its own pages are never followed through ours.
func TestTrack(t *testing.T) {
	l := &Links{Base: "https://l.example/x", TTL: time.Hour, Secret: []byte("s")}
	s := &Send{ID: "p/f/1/e/1.1", Mail: &Mail{HTML: `<BODY><a href="https://a.example/?q=1&amp;r=2">a</a><a href="https://l.example/x/u/abc">u</a></BODY></html>`}, Text: "https://a.example/?q=1&r=2 https://l.example/x/p/abc"}
	s.track = tracking{opens: true, clicks: true, links: true, page: true, list: true}
	l.track(s, time.UnixMilli(0))
	if len(s.Links) != 2 || s.Links[0].URL != "https://a.example/?q=1&r=2" || !s.Links[1].Whole || s.Links[1].Of != 1 {
		t.Fatalf("%+v", s.Links)
	}
	short := "https://l.example/x/" + s.Links[0].Token.String()
	if s.Text != short+" https://l.example/x/p/abc" {
		t.Error(s.Text)
	}
	if !strings.HasPrefix(s.Mail.HTML, `<BODY><a href="`+short+`">a</a><a href="https://l.example/x/u/abc">u</a><img `) || !strings.HasSuffix(s.Mail.HTML, `></BODY></html>`) {
		t.Error(s.Mail.HTML)
	}
	if s.Mail.Unsubscribe != "https://l.example/x/u/"+s.Links[1].Token.String() {
		t.Error(s.Mail.Unsubscribe)
	}
}

// Values are escaped in HTML, once, and nothing else is.
func TestEscaping(t *testing.T) {
	for source, want := range map[string]string{
		`a {{ x }} b {{- y | upcase -}} c`:                         `a {{ x  | escape }} b {{- y | upcase  | escape -}} c`,
		`{{ x | escape }}{{ x | raw }}{% if x %}{{ x}}{% endif %}`: `{{ x | escape }}{{ x | raw }}{% if x %}{{ x | escape }}{% endif %}`,
		`{% raw %}{{ x }}{% endraw %}`:                             `{% raw %}{{ x }}{% endraw %}`,
	} {
		if got := escaping(source); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func FuzzReplaceLinks(f *testing.F) {
	f.Add(`<a href="https://a.example/?b=1&amp;c=2" x='y'>z</a><p>`)
	f.Add("<a href=https://a.example/\x00><A HREF\xff=\"http://b.example/\"/>")
	f.Add("<script><a href=\"https://a.example/\"></script><!--><a href='https://b.example/'>-->")
	f.Fuzz(func(t *testing.T, page string) {
		if got := replaceLinks(page, func(string) string { return "" }); got != page {
			t.Errorf("%q became %q", page, got)
		}
		var found []string
		short := replaceLinks(page, func(url string) string { found = append(found, url); return "https://l.example/" + url[:1] })
		for _, url := range found {
			if !strings.HasPrefix(strings.ToLower(url), "http") || strings.ContainsAny(url, "\r\n\"<> ") {
				t.Errorf("%q is no target", url)
			}
		}
		var again []string
		replaceLinks(short, func(url string) string { again = append(again, url); return "" })
		if len(again) != len(found) || slices.ContainsFunc(again, func(url string) bool { return !strings.HasPrefix(url, "https://l.example/") }) {
			t.Errorf("%q: %q then %q", page, found, again)
		}
		if got := withPixel(page, "https://l.example/o/1.gif"); len(got) <= len(page) {
			t.Errorf("%q", got)
		}
	})
}
