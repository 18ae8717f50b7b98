package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// running is an edge against real servers on this machine. Only 127.0.0.1 is
// allowed, so 127.0.0.2 stands for what is inside.
func running(t *testing.T, change func(*Config, *Options)) *Edge {
	t.Helper()
	cfg, o := defaults(t), Options{Log: slog.New(slog.DiscardHandler)}
	cfg.AllowPrivate = prefixes("127.0.0.1/32")
	if change != nil {
		change(&cfg, &o)
	}
	e, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	e.jitter = func(time.Duration) time.Duration { return 0 }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, e *Edge, r Request) Response {
	t.Helper()
	got := make(chan Response, 2)
	e.Do(t.Context(), r, func(a Response) { got <- a })
	return <-got
}

func get(url string) Request { return Request{ID: "id-1", Method: http.MethodGet, URL: url} }

func TestExchange(t *testing.T) {
	e := running(t, nil)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.URL, " ", r.ContentLength, " ", r.TransferEncoding, " ", r.Header.Get("Idempotency-Key"), " ", r.Header.Get("Accept-Encoding")))
		w.Header().Set("X-Body", string(body))
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"ticket": "T-1", "position": 3, "wait": 12.50, "open": true, "nested": {"a": 1}}`)
	})
	r := Request{ID: "run/1", Method: http.MethodPost, URL: s.URL + "/a%20b?c=d", Body: []byte(`{"x":1}`), Collect: true}
	a := do(t, e, r)
	if !a.OK() || a.Status != 201 || a.Attempts != 1 || a.Truncated || a.Header.Get("X-Body") != `{"x":1}` ||
		a.Header.Get("X-Seen") != "POST /a%20b?c=d 7 [] run/1 gzip" {
		t.Errorf("%+v", a)
	}
	if got := fmt.Sprint(a.Vars); got != "map[open:true position:3 ticket:T-1 wait:12.5]" { // X9
		t.Error(got)
	}
	r.Collect = false
	if a := do(t, e, r); a.Vars != nil || len(a.Body) == 0 {
		t.Errorf("%+v", a)
	}
	r.Method, r.Body = http.MethodHead, nil
	if a := do(t, e, r); !a.OK() || len(a.Body) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "an answer")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	e := running(t, nil)
	for range 5 {
		do(t, e, get(s.URL+"/redirect"))
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Every failure that a server or the network causes, and whether it is tried again.
func TestFailures(t *testing.T) {
	e := running(t, func(c *Config, o *Options) {
		c.MaxBody = 1024
		o.Resolver = resolver(t, map[string][]string{"inside.test": {"127.0.0.2"}, "broken.test": {"SERVFAIL"}, "both.test": {"127.0.0.2 127.0.0.1"}})
	})
	closed := serve(t, nil)
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	ended := make(chan struct{})
	hangs := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		flusher := w.(http.Flusher)
		switch r.URL.Path {
		case "/ok":
		case "/silent":
			hangs(r)
		case "/slow": // an octet, and then another, and never an end
			w.Header().Set("Content-Length", "1000")
			for range 2 {
				io.WriteString(w, "x")
				flusher.Flush()
			}
			hangs(r)
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "x")
			flusher.Flush()
			panic(http.ErrAbortHandler)
		case "/dropped":
			panic(http.ErrAbortHandler)
		case "/garbage":
			hijacked(w, "SSH-2.0-OpenSSH_9.6\r\n")
		case "/header-bomb":
			hijacked(w, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 100)+"\r\n")
		case "/upgrade": // its body would be the bare connection
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			go func() { io.Copy(io.Discard, conn); conn.Close() }()
		case "/no-gzip":
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "this is no gzip")
		case "/large":
			w.Write(make([]byte, 1025))
		}
	})
	t.Cleanup(func() { close(ended) })
	host := func(name string) string { return "http://" + name + ":" + portOf(s.URL) }
	for _, tt := range []struct {
		name, url string
		want      Failure
		attempts  int
	}{
		{"nothing listens", closed.URL, FailureConnection, 2},
		{"the connection is dropped", s.URL + "/dropped", FailureConnection, 2},
		{"the body is cut off", s.URL + "/cut", FailureConnection, 2},
		{"no HTTP", s.URL + "/garbage", FailureConnection, 2},
		{"an endless header", s.URL + "/header-bomb", FailureConnection, 2},
		{"another protocol", s.URL + "/upgrade", FailureConnection, 2},
		{"no gzip", s.URL + "/no-gzip", FailureConnection, 2},
		{"no answer", s.URL + "/silent", FailureTimeout, 2},
		{"a body that trickles", s.URL + "/slow", FailureTimeout, 2},
		{"a body that is too large to collect", s.URL + "/large", FailureTooLarge, 1},
		{"an unknown authority", secure.URL, FailureTLS, 1},
		{"no TLS", strings.Replace(s.URL, "http", "https", 1), FailureTLS, 1},
		{"an unknown host", host("nowhere.test"), FailureDNS, 1},
		{"a resolver that fails", host("broken.test"), FailureDNS, 2},
		{"a name of an inside address", host("inside.test"), FailureRefused, 1},
		{"a name of both kinds of address", host("both.test") + "/ok", "", 1},
		{"an inside address", host("127.0.0.2"), FailureRefused, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := get(tt.url)
			r.Retries, r.Collect = 1, true
			if tt.want == FailureTimeout {
				r.Timeout = 50 * time.Millisecond
			}
			if a := do(t, e, r); a.Err != tt.want || a.Attempts != tt.attempts || (a.Detail == "") != a.OK() {
				t.Errorf("%+v", a)
			}
		})
	}
}

// hijacked writes a raw answer.
func hijacked(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		io.WriteString(conn, text)
		conn.Close()
	}
}

func portOf(raw string) string {
	u, _ := url.Parse(raw)
	return u.Port()
}

// Whatever a server sends, little of it is kept.
func TestAnswersAreBounded(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	z.Write(make([]byte, 1<<20))
	z.Close()
	bomb := bytes.Repeat(member.Bytes(), 1000) // a megabyte that unfolds to a gigabyte
	var written atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bomb" {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb)
			return
		}
		for chunk := make([]byte, 64<<10); ; { // without end
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			written.Add(int64(n))
		}
	})
	e := running(t, nil)
	for _, path := range []string{"/endless", "/bomb"} {
		a := do(t, e, get(s.URL+path))
		if !a.OK() || len(a.Body) != 256<<10 || cap(a.Body) != len(a.Body) || !a.Truncated { // X9
			t.Errorf("%s: %s, %d octets", path, a.Err, len(a.Body))
		}
		r := get(s.URL + path)
		r.Collect = true
		if a := do(t, e, r); a.Err != FailureTooLarge || a.Status != 200 || a.Vars != nil {
			t.Errorf("%s: %s, %d", path, a.Err, a.Status)
		}
	}
	exact := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 256<<10)) })
	if a := do(t, e, get(exact.URL)); !a.OK() || a.Truncated || len(a.Body) != 256<<10 {
		t.Errorf("an answer that just fits: %s, %d octets", a.Err, len(a.Body))
	}
}

func TestGzip(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"a":"b"}`)
		z.Close()
	})
	r := get(s.URL)
	r.Collect = true
	if a := do(t, running(t, nil), r); string(a.Body) != `{"a":"b"}` || a.Vars["a"] != "b" {
		t.Errorf("%+v", a)
	}
}

func TestTLSWithOwnAuthority(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			http.Redirect(w, r, "http://127.0.0.1:8080/", http.StatusFound)
			return
		}
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	e := running(t, func(c *Config, _ *Options) { c.CA = file })
	if a := do(t, e, get(s.URL)); !a.OK() || string(a.Body) != "HTTP/2.0" {
		t.Errorf("%+v", a)
	}
	if a := do(t, e, get(s.URL+"/plain")); a.Err != FailureRedirect || a.Attempts != 1 || a.Detail != errDowngrade.Error() {
		t.Errorf("from https to http: %+v", a)
	}
}

func TestRedirects(t *testing.T) {
	type seen struct{ path, method, body, authorization, apiKey, contentType, key string }
	record := func(last *seen) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			*last = seen{r.URL.Path, r.Method, string(body), r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key")}
			var status, left int
			var to string
			switch n, _ := fmt.Sscanf(r.URL.Path, "/hops/%d", &left); {
			case n == 1 && left > 0:
				http.Redirect(w, r, fmt.Sprintf("/hops/%d", left-1), http.StatusFound)
			case n == 1:
			case r.URL.Query().Get("to") != "":
				fmt.Sscan(r.URL.Query().Get("status"), &status)
				to = r.URL.Query().Get("to")
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			case r.URL.Path == "/nowhere":
				w.WriteHeader(http.StatusFound)
			}
		}
	}
	var here, there seen
	s, other := serve(t, record(&here)), serve(t, record(&there))
	e := running(t, func(_ *Config, o *Options) {
		o.Resolver = resolver(t, map[string][]string{"inside.test": {"127.0.0.2"}})
	})
	to := func(status int, location string) string {
		return fmt.Sprintf("%s/from?status=%d&to=%s", s.URL, status, url.QueryEscape(location))
	}
	post := func(url string) Request {
		return Request{ID: "id-1", Method: http.MethodPost, URL: url, Body: []byte("x"), Header: []HeaderField{{"Authorization", "secret"}, {"X-Api-Key", "secret"}}}
	}

	for _, tt := range []struct {
		url  string
		here seen
	}{
		{to(301, "/to"), seen{"/to", "GET", "", "secret", "secret", "", "id-1"}},
		{to(302, "/to"), seen{"/to", "GET", "", "secret", "secret", "", "id-1"}},
		{to(303, "/to"), seen{"/to", "GET", "", "secret", "secret", "", "id-1"}},
		{to(307, "/to"), seen{"/to", "POST", "x", "secret", "secret", "application/json", "id-1"}},
		{to(308, s.URL+"/to"), seen{"/to", "POST", "x", "secret", "secret", "application/json", "id-1"}},
		{s.URL + "/hops/3", seen{"/hops/0", "GET", "", "secret", "secret", "", "id-1"}},
	} {
		if a := do(t, e, post(tt.url)); !a.OK() || a.Attempts != 1 || here != tt.here {
			t.Errorf("%s: %+v, %+v", tt.url, a, here)
		}
	}

	// Credentials stay at home, and out when the way leads back.
	if a := do(t, e, post(to(307, other.URL+"/to"))); !a.OK() || there != (seen{"/to", "POST", "x", "", "", "application/json", "id-1"}) {
		t.Errorf("%+v, %+v", a, there)
	}
	back := other.URL + "/over?status=307&to=" + url.QueryEscape(s.URL+"/back")
	if a := do(t, e, post(to(307, back))); !a.OK() || here != (seen{"/back", "POST", "x", "", "", "application/json", "id-1"}) {
		t.Errorf("%+v, %+v", a, here)
	}

	for _, tt := range []struct {
		name, url string
		want      Failure
	}{
		{"a fourth redirect", s.URL + "/hops/4", FailureRedirect},
		{"a circle", to(302, "/hops/1000000"), FailureRedirect},
		{"an inside address", to(302, "http://127.0.0.2:8080/"), FailureRefused},
		{"a metadata service", to(302, "http://169.254.169.254/latest/"), FailureRefused},
		{"a mapped address", to(307, "http://[::ffff:127.0.0.1]:8080/"), FailureRefused},
		{"a name of an inside address", to(302, "http://inside.test:8080/"), FailureRefused},
		{"the port of another protocol", to(302, "http://127.0.0.1:6379/"), FailureRefused},
		{"another scheme", to(302, "file:///etc/passwd"), FailureRedirect},
		{"user and password", to(302, "http://a:b@127.0.0.1/"), FailureRedirect},
		{"no URL", to(302, "http://[::1"), FailureRedirect},
		{"no location", s.URL + "/nowhere", FailureStatus},
	} {
		if a := do(t, e, post(tt.url)); a.Err != tt.want || a.Attempts > 1 {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}

func TestLongLocation(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/"+strings.Repeat("x", 3000))
		w.WriteHeader(http.StatusFound)
	})
	if a := do(t, running(t, nil), get(s.URL)); a.Err != FailureRedirect {
		t.Errorf("%+v", a)
	}
}

// A name that changes its address between two requests, or between a check and
// the connection, is judged by the address that is dialled.
func TestRebinding(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Connection", "close") // the next request dials again
	})
	names := map[string][]string{"rebind.test": {"127.0.0.1", "127.0.0.2"}}
	e := running(t, func(_ *Config, o *Options) { o.Resolver = resolver(t, names) })
	r := get("http://rebind.test:" + portOf(s.URL))
	if a := do(t, e, r); !a.OK() {
		t.Errorf("%+v", a)
	}
	if a := do(t, e, r); a.Err != FailureRefused || a.Attempts != 1 || !strings.HasPrefix(a.Detail, "127.0.0.2 is refused") {
		t.Errorf("%+v", a)
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests", hits.Load())
	}
}

// What is taken from allow_private is closed at once, open connections included.
func TestReloadClosesConnections(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed) // there is one
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	e := running(t, func(_ *Config, o *Options) { o.Resolver = resolver(t, map[string][]string{"api.test": {"127.0.0.1"}}) })
	r := get("http://api.test:" + portOf(s.URL))
	if a := do(t, e, r); !a.OK() {
		t.Errorf("%+v", a)
	}
	cfg := defaults(t)
	cfg.AllowPrivate = []netip.Prefix{}
	if err := e.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	<-closed
	if a := do(t, e, r); a.Err != FailureRefused {
		t.Errorf("%+v", a)
	}
}

func TestProxy(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RequestURI, " ", r.Header.Get("Proxy-Authorization"))
	})
	e := running(t, func(c *Config, o *Options) {
		c.AllowPrivate = nil // the proxy is the operator's choice
		c.Proxy = strings.Replace(proxy.URL, "://", "://user:secret@", 1)
		o.Resolver = resolver(t, nil)
	})
	if a := do(t, e, get("http://api.test/x")); string(a.Body) != "http://api.test/x Basic dXNlcjpzZWNyZXQ=" {
		t.Errorf("%+v", a)
	}
	for _, inside := range []string{"http://127.0.0.1/", "http://localhost/", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"} {
		if a := do(t, e, get(inside)); a.Err != FailureRefused || a.Attempts != 0 {
			t.Errorf("%s: %+v", inside, a)
		}
	}
}
