package flowengine

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// U1: what is taken for a URL, and what of the sentence around it is not.
func TestReplaceURLs(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"no link", "no link"},
		{"http://a.example", "<http://a.example>"},
		{"See https://a.example/x, or call.", "See <https://a.example/x>, or call."},
		{"Really? https://a.example/x?!", "Really? <https://a.example/x>?!"},
		{"(https://en.example/wiki/Go_(language))", "(<https://en.example/wiki/Go_(language)>)"},
		{"[https://a.example/[1]]", "[<https://a.example/[1]>]"},
		{`"https://a.example/x"`, `"<https://a.example/x>"`},
		{"'https://a.example/x'", "'<https://a.example/x>'"},
		{"Here:https://a.example", "Here:<https://a.example>"},
		{"Done.HTTPS://A.example/B", "Done.<HTTPS://A.example/B>"},
		{"https://a.example/?q=a&b=c#d-e", "<https://a.example/?q=a&b=c#d-e>"},
		{"https://a.example/?to=https://b.example/", "<https://a.example/?to=https://b.example/>"},
		{"https://a.example/čaj", "<https://a.example/%C4%8Daj>"},
		{"看https://a.example/x点击", "看<https://a.example/x>点击"},
		{"“https://a.example/x”", "“<https://a.example/x>”"},
		{"https://a.example/x\nhttp://b.example\thttp://c.example", "<https://a.example/x>\n<http://b.example>\t<http://c.example>"},
		{"https://[2001:db8::1]:8080/x", "<https://[2001:db8::1]:8080/x>"},
		{"https://a.example:8080", "<https://a.example:8080>"},
		// Not these.
		{"ftp://a.example mailto:a@b.example javascript://x", "ftp://a.example mailto:a@b.example javascript://x"},
		{"shttp://a.example svn+https://a.example", "shttp://a.example svn+https://a.example"},
		{"https:// http:///x https://user:pw@a.example/", "https:// http:///x https://user:pw@a.example/"},
		{"https://čaj.example/", "https://čaj.example/"},
		{"https://a.example/" + strings.Repeat("x", linkURLMost), "https://a.example/" + strings.Repeat("x", linkURLMost)},
		{keepAsIs("https://a.example/stop") + " https://b.example", "https://a.example/stop <https://b.example>"},
		{"https://b.example/" + keepAsIs("x"), "<https://b.example/>x"},
		{keepBegins + "https://a.example", "https://a.example"},
	} {
		if got := replaceURLs(c.text, func(url string) string { return "<" + url + ">" }); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
	many := strings.Repeat("https://a.example ", linksMost+1)
	if n := strings.Count(replaceURLs(many, func(string) string { return "!" }), "!"); n != linksMost {
		t.Errorf("%d URLs of one message were shortened", n)
	}
}

// U1: a token depends on message, URL and secret, and tells the shard.
func TestLinkToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shard := Shard(rapid.IntRange(0, Shards-1).Draw(t, "shard"))
		message, url := rapid.String().Draw(t, "message"), rapid.String().Draw(t, "url")
		token := newLinkToken([]byte("secret"), shard, message, url)
		text := token.String()
		back, err := ParseLinkToken(text)
		if err != nil || back != token || token.Shard() != shard || len(text) < 8 {
			t.Fatalf("%s: %v, shard %d", text, err, token.Shard())
		}
		if token == newLinkToken([]byte("other"), shard, message, url) || token == newLinkToken([]byte("secret"), shard, message+"x", url) || token == newLinkToken([]byte("secret"), shard, message, url+"x") {
			t.Fatal("the token can be guessed")
		}
	})
	for _, s := range []string{"", "0", "0123456789", "0123456789ab", "0123456789-", "zzzzzzzzzzz", "01234567é"} {
		if _, err := ParseLinkToken(s); err == nil {
			t.Errorf("%q is a token", s)
		}
	}
	if got := LinkToken(1<<64 - 1).String(); got != "LygHa16AHYF" {
		t.Errorf("the largest token is %s", got)
	}
}

// U1, X1: a step that is computed again makes the same links.
func TestShortenIsDeterministic(t *testing.T) {
	l := Links{Base: "https://l.example", TTL: time.Hour, Secret: []byte("secret")}
	make := func() string {
		s := Send{ID: "m/1", Origin: Origin{Person: NewPersonID(Address{Phone, "385911234567"}, 0)}, Text: "https://a.example and https://b.example", shorten: &shortening{track: true}}
		l.shorten(&s, testNow)
		return fmt.Sprintf("%s %+v", s.Text, s.Links)
	}
	if a, b := make(), make(); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

func FuzzParseLinkToken(f *testing.F) {
	f.Add("LygHa16AHYF")
	f.Add("zzzzzzzzzzz")
	f.Add("0000000000\x00")
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := ParseLinkToken(s); err == nil && token.String() != s {
			t.Errorf("%q is %q", s, token.String())
		}
	})
}

func FuzzReplaceURLs(f *testing.F) {
	f.Add("See https://a.example/x, or (http://b.example/(y)).")
	f.Add(keepBegins + "https://a.example" + keepEnds)
	f.Add("https://" + strings.Repeat(")", 100))
	f.Add("\xef" + keepEnds + "\xb7\x91") // a mark around a mark
	f.Fuzz(func(t *testing.T, text string) {
		same := replaceURLs(text, func(url string) string {
			if !strings.HasPrefix(strings.ToLower(url), "http") {
				t.Errorf("%q is shortened", url)
			}
			for i := range len(url) {
				if url[i] <= ' ' || url[i] >= utf8.RuneSelf-1 {
					t.Errorf("a header cannot carry %q", url)
				}
			}
			return "\x00"
		})
		if strings.Contains(same, keepBegins) || strings.Contains(same, keepEnds) {
			t.Errorf("%q keeps a mark", same)
		}
	})
}
