package webhook

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"https://example.com", "http://example.com/", "HTTPS://EXAMPLE.com:8443/a/b?c=d&e=%20f#g", "http://a_b.example/ü", "http://example.com:80",
		"http://8.8.8.8/", "https://[2606:4700::1111]:443/x", "http://xn--bcher-kva.example/", "http://1.example/",
	} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "example.com/secret", "//example.com/secret", "/secret", "ftp://example.com/secret", "file:///etc/secret", "gopher://example.com/secret", "javascript:secret",
		"http:example.com/secret", "http:///secret", "http://user:secret@example.com/", "http://secret@example.com/", "http://:80/secret",
		"http://exa mple.com/secret", "http://example.com\r\nX: secret/", "http://example.com/?a b=secret", "http://example.com/?ü=secret", "http://example.com/%zzsecret",
		"http://example.com./secret", "http://.example.com/secret", "http://a..b/secret", "http://bücher.example/secret", "http://１２７.0.0.1/secret", "http://127。0。0。1/secret",
		"http://127.1/secret", "http://2130706433/secret", "http://0x7f000001/secret", "http://0x7f.0.0.1/secret", "http://017700000001/secret", "http://0177.0.0.1/secret",
		"http://127.0.0.0x1/secret", "http://1.2.3.4.5/secret", "http://256.1.1.1/secret", "http://[::1/secret", "http://::1/secret", "http://example.com\\@evil/secret",
		"http://example.com:/secret", "http://example.com:0/secret", "http://example.com:65536/secret", "http://example.com:-1/secret", "http://example.com:http/secret",
		"http://example.com:22/secret", "http://example.com:25/secret", "http://example.com:6379/secret", "https://example.com:11211/secret",
		"http://" + strings.Repeat("a", 64) + ".example/secret", "http://" + strings.Repeat("a.", 130) + "example/secret", "http://example.com/" + strings.Repeat("secret", 400),
	} {
		if err := CheckURL(bad); err == nil {
			t.Errorf("%.80q is taken", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%.80q: the error repeats it: %v", bad, err)
		}
	}
	if !slices.IsSorted(badPorts) {
		t.Error("badPorts is not sorted")
	}
}

func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"http://a/1", "http://a:80/2", true},
		{"https://a", "https://a:443", true},
		{"http://a", "https://a", true},
		{"https://a", "http://a", false},
		{"http://a:8080", "https://a", false},
		{"http://a", "http://a:8080", false},
		{"http://a:8443", "https://a:8443", false},
		{"http://a", "http://b", false},
		{"http://a.example", "http://sub.a.example", false},
	} {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		if sameOrigin(a, b) != tt.same {
			t.Errorf("%s and %s: want %t", tt.a, tt.b, tt.same)
		}
	}
}

// A URL that is taken makes one request, to the host that was checked.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{
		"https://example.com/a?b=c#d", "http://user@example.com/", "http://127.0.0.1:80", "http://[::1]:8080/x", "http://0x7f.1/", "http://a\r\nb/", "http://a/%0d%0a?%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseTarget(raw)
		if err != nil {
			return
		}
		again, err := parseTarget(u.String())
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q becomes %q and then %v, %v", raw, u, again, err)
		}
		h := hop{method: http.MethodGet, url: u, header: http.Header{}}
		var wire bytes.Buffer
		if err := h.request(t.Context()).Write(&wire); err != nil {
			return // net/http refuses it
		}
		r, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			t.Fatalf("%q: a server cannot read it: %v", raw, err)
		}
		if r.Host != u.Host || wire.Len() > 0 && r.ContentLength != 0 {
			t.Fatalf("%q: the server sees the host %q", raw, r.Host)
		}
	})
}
