package links

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"
)

func post(s *Server, path, typ, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", typ)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const urlEncoded = "application/x-www-form-urlencoded"

// The picture is answered whoever asks, and counted for mails that we sent alone;
// programs that load it without a reader are counted apart.
func TestPixel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(stub)
		s := newTestServer(t, c)
		load := func(method, path, agent string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, nil)
			r.Header.Set("User-Agent", agent)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			time.Sleep(10 * time.Second)
			return w
		}
		for _, agent := range []string{
			browser, "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
			"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
		} {
			if w := load("GET", "/o/mail.gif", agent); w.Code != 200 || w.Header().Get("Content-Type") != "image/gif" || !bytes.Equal(w.Body.Bytes(), pixelGIF) || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %v", agent, w.Code, w.Header())
			}
		}
		if c.opens != 4 || c.machineOpens != 0 {
			t.Errorf("%d opens, %d by machines", c.opens, c.machineOpens)
		}
		for _, agent := range []string{"Mozilla/5.0", "", "curl/8.5.0", "Barracuda Sentinel (EE)", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"} {
			load("GET", "/x/o/mail.gif", agent)
		}
		if w := load("HEAD", "/o/mail.gif", browser); w.Body.Len() > 0 {
			t.Error("HEAD has a body")
		}
		if c.opens != 4 || c.machineOpens != 6 {
			t.Errorf("%d opens, %d by machines", c.opens, c.machineOpens)
		}
		for path, want := range map[string]int{"/o/forged.gif": 404, "/o/": 404, "/o/broken.gif": 503, "/o/mail": 200} {
			if w := load("GET", path, "Mozilla/5.0"); w.Code != want || w.Body.Len() != len(pixelGIF) {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if w := load("POST", "/o/mail.gif", browser); w.Code != 405 {
			t.Error(w.Code)
		}
	})
}

// RFC 8058: one POST unsubscribes, without a cookie, a redirect or a further step. A GET
// never does: programs follow links.
func TestUnsubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(stub)
		s := newTestServer(t, c)
		for _, method := range []string{"GET", "HEAD"} {
			if w := ask(s, method, "/u/mail?List-Unsubscribe=One-Click&confirm=1"); w.Code != 200 || c.noMail {
				t.Errorf("%s: %d", method, w.Code)
			}
		}
		page := ask(s, "GET", "/u/mail").Body.String()
		for _, want := range []string{"a…@example.org", `<form method="post">`, `href="../p/mail"`, `lang="en"`} {
			if !strings.Contains(page, want) {
				t.Errorf("no %s in\n%s", want, page)
			}
		}
		for _, body := range []string{"", "x=1", "List-Unsubscribe=No", strings.Repeat("a", formMost+1)} {
			if w := post(s, "/u/mail", urlEncoded, body); w.Code != 400 || c.noMail {
				t.Errorf("%.20q: %d", body, w.Code)
			}
		}
		var form bytes.Buffer
		m := multipart.NewWriter(&form)
		_ = m.WriteField("List-Unsubscribe", "One-Click")
		_ = m.Close()
		for typ, body := range map[string]string{urlEncoded: "List-Unsubscribe=One-Click", m.FormDataContentType(): form.String(), urlEncoded + "; charset=utf-8": "confirm=1"} {
			c.noMail = false
			w := post(s, "/x/u/mail", typ, body)
			if w.Code != 200 || !c.noMail || w.Header().Get("Location") != "" || len(w.Result().Cookies()) > 0 || !strings.Contains(w.Body.String(), "You are unsubscribed") {
				t.Errorf("%s: %d %v", typ, w.Code, w.Header())
			}
			time.Sleep(10 * time.Second)
		}
		c.noMail = false
		if w := post(s, "/u/forged", urlEncoded, "List-Unsubscribe=One-Click"); w.Code != 404 || c.noMail {
			t.Error(w.Code)
		}
		if w := ask(s, "DELETE", "/u/mail"); w.Code != 405 {
			t.Error(w.Code)
		}
		time.Sleep(time.Minute)
		c.refuse = errors.New("full")
		if w := post(s, "/u/mail", urlEncoded, "confirm=1"); w.Code != 503 || strings.Contains(w.Body.String(), "You are unsubscribed") {
			t.Error("what was not stored is told as done")
		}
	})
}

// The page of preferences shows what holds, and saves what is sent.
func TestPreferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(stub)
		s := newTestServer(t, c)
		checks := func() int { return strings.Count(ask(s, "GET", "/p/mail").Body.String(), " checked") }
		for _, step := range []struct {
			mail, track bool
		}{{true, true}, {false, true}, {true, false}, {false, false}} {
			form, want := url.Values{"save": {"1"}}, 0
			if step.mail {
				form.Set("mail", "1")
				want++
			}
			if step.track {
				form.Set("track", "1")
				want++
			}
			w := post(s, "/p/mail", urlEncoded, form.Encode())
			if w.Code != 200 || c.noMail == step.mail || c.noTrack == step.track || !strings.Contains(w.Body.String(), "Your preferences are saved") || checks() != want {
				t.Errorf("%+v: %d, %d checked", step, w.Code, checks())
			}
			time.Sleep(time.Minute)
		}
		if w := post(s, "/p/mail", urlEncoded, "mail=1"); w.Code != 400 || !c.noMail {
			t.Error("a form of somebody else is taken")
		}
		if w := ask(s, "GET", "/p/forged"); w.Code != 404 {
			t.Error(w.Code)
		}
	})
}

// Every page is whole in every language, escapes what it shows, and loads nothing.
func TestMailPages(t *testing.T) {
	for _, c := range []struct{ path, accept, want string }{
		{"/u/mail", "", "Unsubscribe"}, {"/u/mail", "de-AT,de;q=0.9", "Abmelden"}, {"/u/mail", "fr", "Unsubscribe"}, {"/u/hrmail", "de", "Odjava"}, {"/p/hrmail", "", "Postavke e-pošte"},
		{"/p/mail", "de", "E-Mail-Einstellungen"}, {"/p/forged", "hr", "Na ovoj poveznici nema ničega"}, {"/u/broken", "", "Something went wrong"},
	} {
		s := newTestServer(t, new(stub))
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Header.Set("Accept-Language", c.accept)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		page := w.Body.String()
		if !strings.Contains(page, "<h1>"+c.want+"</h1>") || !strings.Contains(page, "<title>"+c.want+"</title>") {
			t.Errorf("%+v:\n%s", c, page)
		}
		if strings.Contains(page, "<b>.example") || strings.Contains(page, "src=") || strings.Contains(page, "url(") || strings.Contains(page, "<script") {
			t.Errorf("%+v:\n%s", c, page)
		}
		z := html.NewTokenizer(strings.NewReader(page))
		for z.Next() != html.ErrorToken {
		}
		if !errors.Is(z.Err(), io.EOF) {
			t.Error(z.Err())
		}
	}
	for _, l := range languages {
		for _, kind := range []pageKind{pageUnsubscribe, pageUnsubscribed, pagePreferences, pageUnknown, pageFailed} {
			if err := mailTemplate.Execute(io.Discard, mailPage{texts: l, Kind: kind}); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzMailPaths(f *testing.F) {
	f.Add("/o/mail.gif", "confirm=1")
	f.Add("/x/u/../p/mail", "List-Unsubscribe=One-Click")
	f.Add("//u//mail", "%zz")
	f.Fuzz(func(t *testing.T, path, body string) {
		c := new(stub)
		s, err := New(Config{Listen: "127.0.0.1:0", BaseURL: "https://l.example/x/", Rate: 10}, Options{Core: c})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Content-Type", urlEncoded)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if c.noMail && !strings.Contains(path, "mail") {
			t.Errorf("%q unsubscribes", path)
		}
		if w.Header().Get("Location") != "" {
			t.Errorf("%q leads to %q", path, w.Header().Get("Location"))
		}
	})
}
