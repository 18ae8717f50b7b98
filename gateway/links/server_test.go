package links

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stub is a core with one link, and some that lead nowhere.
type stub struct {
	mu               sync.Mutex
	clicks, previews int
	refuse           error
	hold             bool // clicks are never durable

	opens, machineOpens int
	noMail, noTrack     bool
}

func (c *stub) Find(token string) (string, error) {
	switch token {
	case "good":
		return "https://shop.example/a", nil
	case "old":
		return "", ErrGone
	case "broken":
		return "", errors.New("the disk is gone")
	}
	return "", ErrUnknown
}

func (c *stub) Click(_ string, preview bool, done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hold {
		return
	}
	if preview {
		c.previews++
	} else {
		c.clicks++
	}
	done(c.refuse)
}

func (c *stub) Known(token string) error {
	_, err := c.Mail(context.Background(), token)
	return err
}

func (c *stub) Mail(_ context.Context, token string) (Recipient, error) {
	switch token {
	case "mail":
		return Recipient{Address: "a…@example.org", NoMail: c.noMail, DoNotTrack: c.noTrack}, nil
	case "hrmail":
		return Recipient{Address: "a…@<b>.example", Language: "hr-HR"}, nil
	case "broken":
		return Recipient{}, errors.New("the disk is gone")
	}
	return Recipient{}, ErrUnknown
}

func (c *stub) Open(_ string, machine bool, done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if machine {
		c.machineOpens++
	} else {
		c.opens++
	}
	done(c.refuse)
}

func (c *stub) Choose(_ string, choice Choice, done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse == nil {
		if choice.Mail != nil {
			c.noMail = !*choice.Mail
		}
		if choice.DoNotTrack != nil {
			c.noTrack = *choice.DoNotTrack
		}
	}
	done(c.refuse)
}

func newTestServer(t *testing.T, c *stub) *Server {
	t.Helper()
	s, err := New(Config{Listen: "127.0.0.1:0", BaseURL: "https://l.example/x/", Rate: 10, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, Options{Core: c})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const browser = "Mozilla/5.0 (Linux; Android 14; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"

func ask(s *Server, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("User-Agent", browser)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// U1: 302 for what is stored, 404 and 410 with a page for people, nothing else.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, new(stub))
		for _, c := range []struct {
			method, path string
			status       int
			body         string
		}{
			{"GET", "/good", 302, ""},
			{"GET", "/x/good", 302, ""},
			{"HEAD", "/good", 302, ""},
			{"GET", "/good.", 302, ""},
			{"GET", "/good)", 302, ""},
			{"GET", "/good?utm=1", 302, ""},
			{"GET", "/old", 410, "has expired"},
			{"HEAD", "/old", 410, ""},
			{"GET", "/new", 404, "There is nothing at this link"},
			{"GET", "/", 404, "There is nothing at this link"},
			{"GET", "//evil.example/good", 404, ""},
			{"GET", "/y/good", 404, ""},
			{"GET", "/broken", 503, "try again"},
			{"POST", "/good", 405, ""},
			{"OPTIONS", "/good", 405, ""},
			{"GET", "/robots.txt", 200, "Disallow: /"},
		} {
			w := ask(s, c.method, c.path)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || c.method == "HEAD" && w.Body.Len() > 0 {
				t.Errorf("%s %s: %d %.80q", c.method, c.path, w.Code, w.Body)
			}
			if location := w.Header().Get("Location"); (location == "https://shop.example/a") != (c.status == 302) || location != "" && c.status != 302 {
				t.Errorf("%s %s leads to %q", c.method, c.path, location)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s %s: %s is %q", c.method, c.path, name, got)
				}
			}
			time.Sleep(10 * time.Second) // so that the rate does not matter
		}
	})
}

// Pages are in a language that the browser asks for.
func TestPageLanguages(t *testing.T) {
	for asked, want := range map[string]string{"": "en", "hr-HR,hr;q=0.9": "hr", "de-AT": "de", "ja": "en", "fr, de;q=0.5": "de"} {
		for path, status := range map[string]int{"/old": 410, "/new": 404, "/broken": 503} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Language", asked)
			w := httptest.NewRecorder()
			newTestServer(t, new(stub)).ServeHTTP(w, r)
			if w.Code != status || w.Header().Get("Content-Language") != want || !strings.Contains(w.Body.String(), `<html lang="`+want+`">`) {
				t.Errorf("%s in %q: %d in %q", path, asked, w.Code, w.Header().Get("Content-Language"))
			}
		}
	}
	for status, texts := range notices {
		for i, text := range texts {
			if text[0] == "" || text[1] == "" || len(texts) != len(languages) {
				t.Errorf("the page of %d is not written in %s", status, languages[i].Lang)
			}
		}
	}
}

// U1: the redirect depends neither on a store that is slow nor on one that refuses.
func TestRedirectDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []*stub{{hold: true}, {refuse: errors.New("full")}} {
			began := time.Now()
			if w := ask(newTestServer(t, c), "GET", "/good"); w.Code != 302 || time.Since(began) > commitTime {
				t.Errorf("%+v: %d after %s", c, w.Code, time.Since(began))
			}
		}
	})
}

// U1: who asks too much is held back, by address; guessing costs tenfold.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := func(s *Server, address, forwarded, path string) int {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = address
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Code
		}
		until429 := func(address, forwarded, path string) (n int) {
			s := newTestServer(t, new(stub))
			for ; n < 1000 && from(s, address, forwarded, path) != 429; n++ {
			}
			if other := from(s, "192.0.2.77:5", "", "/good"); other != 302 {
				t.Errorf("another address is answered %d", other)
			}
			return n
		}
		for _, c := range []struct {
			address, forwarded, path string
			want                     int
		}{
			{"192.0.2.1:5", "", "/good", 20},
			{"192.0.2.1:5", "", "/guess", 2},
			{"[2001:db8::1]:5", "", "/good", 20},
			{"10.0.0.1:5", "198.51.100.1", "/good", 20},
		} {
			if got := until429(c.address, c.forwarded, c.path); got != c.want {
				t.Errorf("%+v: %d requests", c, got)
			}
		}
		s := newTestServer(t, new(stub))
		for i := range 100 { // one network of IPv6 is one caller
			if code := from(s, fmt.Sprintf("[2001:db8::%x]:5", i+1), "", "/good"); code == 429 {
				return
			}
		}
		t.Error("addresses of one network are told apart")
	})
}

// Only our proxies are believed, and only as far as they vouch.
func TestCallerOf(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "198.51.100.1", "192.0.2.1"},
		{"10.0.0.1:5", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:5", "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:5", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"[::ffff:10.0.0.1]:5", "::ffff:198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:5", "nonsense", "10.0.0.1"},
		{"10.0.0.1:5", "", "10.0.0.1"},
		{"[2001:db8:1:2:3:4:5:6]:5", "", "2001:db8:1:2::"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := callerOf(r, proxies).String(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// U1: programs are told from people.
func TestIsPreview(t *testing.T) {
	for _, agent := range []string{
		browser,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
		"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
		"Opera/9.80 (J2ME/MIDP; Opera Mini/9.80 (S60; SymbOS; Opera Mobi/23.348; U; en) Presto/2.5.25 Version/10.54",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("User-Agent", agent)
		if isPreview(r) {
			t.Errorf("a person with %s", agent)
		}
		r.Header.Set("Sec-Purpose", "prefetch;prerender")
		if !isPreview(r) {
			t.Errorf("%s fetches ahead", agent)
		}
	}
	for _, agent := range []string{
		"", "WhatsApp/2.23.20.0 A", "TelegramBot (like TwitterBot)", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Viber/13.3.0",
		"Slackbot-LinkExpanding 1.0", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
		"Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", "curl/8.5.0", "python-requests/2.32", "Go-http-client/1.1", "LinkedInBot/1.0", "Google-PageRenderer Google Web Preview",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("User-Agent", agent)
		if !isPreview(r) {
			t.Errorf("the program %q", agent)
		}
	}
}

func FuzzCallerOf(f *testing.F) {
	f.Add("10.0.0.1:5", "198.51.100.1, 10.0.0.2", "/x/good.")
	f.Add("[fe80::1%eth0]:5", ",,,", "//")
	f.Fuzz(func(t *testing.T, remote, forwarded, path string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header["X-Forwarded-For"] = []string{forwarded}
		r.URL.Path = path
		a := callerOf(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		if a.Zone() != "" || a.Is4In6() {
			t.Errorf("%s", a)
		}
		if token := tokenOf(path, "https://l.example/x"); len(token) > len(path) {
			t.Errorf("%q", token)
		}
	})
}
