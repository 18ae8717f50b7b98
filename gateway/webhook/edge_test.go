package webhook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// world is an edge in a bubble of synctest, over a server that is a function.
type world struct {
	t      *testing.T
	edge   *Edge
	reg    *prometheus.Registry
	log    strings.Builder
	ctx    context.Context // Run's
	stop   func()          // ends Run and waits for it
	serve  func(*http.Request) (*http.Response, error)
	mu     sync.Mutex
	seen   []*http.Request
	times  []time.Time
	jitter []time.Duration // bounds that jitter was drawn from
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.seen = append(w.seen, r)
	w.times = append(w.times, time.Now())
	w.mu.Unlock()
	return w.serve(r)
}

// answers is a server that gives one status after another, the last for ever.
func answers(statuses ...int) func(*http.Request) (*http.Response, error) {
	var mu sync.Mutex
	return func(*http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		status := statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		return answer(status, ""), nil
	}
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// bubble runs a test with an edge whose clock stands still until nothing moves.
// Jitter is the longest possible.
func bubble(t *testing.T, cfg Config, serve func(*http.Request) (*http.Response, error), test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, serve: serve, reg: prometheus.NewPedanticRegistry()}
		log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		e, err := New(cfg, Options{Metrics: w.reg, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		w.edge = e
		e.current.Load().transport = w
		e.build = func(c Config) (*set, error) {
			s, err := newSet(c, nil)
			s.transport = w
			return s, err
		}
		e.jitter = func(d time.Duration) time.Duration { w.jitter = append(w.jitter, d); return d }
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		w.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		test(w)
		w.stop()
		w.nothingHeld()
	})
}

func (w *world) nothingHeld() {
	w.t.Helper()
	if s := w.edge.schedule; s.held != 0 || s.running != 0 || len(s.hosts) != 0 || len(w.edge.waiting) != 0 {
		w.t.Errorf("left over: %+v, %d wait", s, len(w.edge.waiting))
	}
}

// results collects answers; each request has to get exactly one.
type results struct {
	t   *testing.T
	mu  sync.Mutex
	got map[string]Response
}

func (w *world) results() *results { return &results{t: w.t, got: map[string]Response{}} }

func (r *results) done(id string) func(Response) {
	return func(a Response) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, twice := r.got[id]; twice {
			r.t.Errorf("%s is answered twice", id)
		}
		r.got[id] = a
	}
}

func (r *results) count(f Failure) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.got {
		if a.Err == f {
			n++
		}
	}
	return n
}

// do makes a request and waits for the answer.
func (w *world) do(r Request) Response {
	got := make(chan Response, 2)
	w.edge.Do(w.t.Context(), r, func(a Response) { got <- a })
	return <-got
}

func call(id string) Request {
	return Request{ID: id, Method: http.MethodPost, URL: "https://api.example/path-token?query-token", Body: []byte(`{"text":"body-token"}`),
		Header: []HeaderField{{"Authorization", "Bearer header-token"}}}
}

// X9: at most three retries, on 5xx, 429, timeouts and broken connections alone.
func TestWebhookIsSigned(t *testing.T) {
	secrets := []Secret{NewSecret(), NewSecret()}
	bubble(t, defaults(t), answers(500, 302, 200), func(w *world) {
		e := Endpoint{URL: "https://crm.example/hook", Secrets: secrets}
		r := e.Request("evt_1", []byte(`{"type":"run.finished"}`))
		if a := w.do(r); a.Status != 500 || a.Attempts != 1 {
			t.Errorf("attempts are the caller's: %+v", a)
		}
		time.Sleep(5 * time.Second)
		if a := w.do(r); a.Status != 302 || a.OK() {
			t.Errorf("a redirect of a webhook is a failure: %+v", a)
		}
		for i, r := range w.seen {
			body, _ := io.ReadAll(r.Body)
			for _, s := range secrets {
				if err := Verify(r.Header, body, w.times[i], 0, s); err != nil {
					t.Errorf("attempt %d: %v", i, err)
				}
			}
			if r.Header.Get(headerID) != "evt_1" || r.Header.Get("Content-Type") != "application/json" || r.Method != http.MethodPost {
				t.Errorf("attempt %d: %v", i, r.Header)
			}
		}
		if w.seen[0].Header.Get(headerTimestamp) == w.seen[1].Header.Get(headerTimestamp) {
			t.Error("attempts share a timestamp")
		}
	})
}

// A host that does not answer holds up its own requests alone.
func TestSlowHostHoldsUpNobody(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency, cfg.ConcurrencyPerHost, cfg.QueuePerHost = 5, 2, 20
	now, most := map[string]int{}, map[string]int{}
	var mu sync.Mutex
	count := func(host string, n int) {
		mu.Lock()
		defer mu.Unlock()
		now[host] += n
		most[host] = max(most[host], now[host])
	}
	bubble(t, cfg, nil, func(w *world) {
		release := make(chan struct{})
		w.serve = func(r *http.Request) (*http.Response, error) {
			count(r.Host, 1)
			defer count(r.Host, -1)
			if r.Host == "slow.example" {
				<-release
			}
			return answer(200, ""), nil
		}
		slow, fast := w.results(), w.results()
		for i := range 30 { // 22 fit
			r := call(fmt.Sprint("slow-", i))
			r.URL = "https://slow.example/"
			w.edge.Do(w.t.Context(), r, slow.done(r.ID))
		}
		for i := range 20 {
			r := call(fmt.Sprint("fast-", i))
			w.edge.Do(w.t.Context(), r, fast.done(r.ID))
		}
		synctest.Wait()
		if n := fast.count(""); n != 20 {
			t.Errorf("%d of 20 requests to the fast host are answered", n)
		}
		if n := slow.count(FailureOverload); n != 8 || slow.count("") != 0 {
			t.Errorf("%d of 8 surplus requests are refused, %d answered", n, slow.count(""))
		}
		close(release)
		synctest.Wait()
		if n := slow.count(""); n != 22 || most["slow.example"] != 2 || most["api.example"] > 2 {
			t.Errorf("%d answered, at once %v", n, most)
		}
	})
}

func TestOverload(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency, cfg.Queue = 1, 2
	bubble(t, cfg, nil, func(w *world) {
		release := make(chan struct{})
		w.serve = func(*http.Request) (*http.Response, error) { <-release; return answer(200, ""), nil }
		res := w.results()
		for i := range 5 {
			r := call(fmt.Sprint(i))
			r.URL = fmt.Sprintf("https://host-%d.example/", i)
			w.edge.Do(w.t.Context(), r, res.done(r.ID))
		}
		if a := res.got["4"]; a.Err != FailureOverload || !a.Again() || a.Attempts != 0 || res.count(FailureOverload) != 2 {
			t.Errorf("at once: %+v", res.got)
		}
		w.metric("trunkline_webhook_running 1", "trunkline_webhook_waiting 2")
		close(release)
		synctest.Wait()
		if res.count("") != 3 {
			t.Errorf("%+v", res.got)
		}
	})
}

func (w *world) metric(lines ...string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(w.reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range lines {
		if text := rec.Body.String(); !strings.Contains(text, line+"\n") {
			w.t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// What waits is answered when the edge stops, what is on its way may end, and
// nothing starts any more.
func TestStop(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency, cfg.ConcurrencyPerHost = 3, 1
	serve := func(r *http.Request) (*http.Response, error) {
		late := func(d time.Duration, status int) (*http.Response, error) {
			select {
			case <-time.After(d):
				return answer(status, ""), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		switch r.Host {
		case "fails.example":
			return answer(500, ""), nil
		case "ends.example": // while the edge waits
			return late(3*time.Second, 200)
		case "fails-late.example":
			return late(4*time.Second, 503)
		}
		return late(time.Hour, 200)
	}
	bubble(t, cfg, serve, func(w *world) {
		res := w.results()
		ctx := w.ctx
		do := func(id, host string) {
			r := call(strings.ReplaceAll(id, " ", "-"))
			r.URL = "https://" + host + "/"
			w.edge.Do(ctx, r, res.done(id))
			synctest.Wait()
		}
		do("pauses", "fails.example")
		do("ends", "ends.example")
		ctx = w.t.Context() // does not end with the edge
		do("fails late", "fails-late.example")
		do("never ends", "hangs.example")
		do("is queued", "hangs.example")
		do("is queued too", "ends.example")
		start := time.Now()
		w.stop()
		if d := time.Since(start); d != cfg.DrainTimeout {
			t.Errorf("stopped after %s", d)
		}
		do("comes late", "ends.example")
		synctest.Wait()
		for id, want := range map[string]Response{
			"pauses":        {Err: FailureStopping, Status: 500, Attempts: 1},
			"ends":          {Status: 200, Attempts: 1},
			"fails late":    {Err: FailureStopping, Status: 503, Attempts: 1},
			"never ends":    {Err: FailureStopping, Attempts: 1},
			"is queued":     {Err: FailureStopping},
			"is queued too": {Err: FailureStopping},
			"comes late":    {Err: FailureStopping},
		} {
			got, ok := res.got[id]
			if !ok || got.Err != want.Err || got.Status != want.Status || got.Attempts != want.Attempts || got.Again() != (want.Err != "") {
				t.Errorf("%s: %+v", id, got)
			}
		}
		if err := w.edge.Run(w.t.Context()); err == nil {
			t.Error("an edge runs twice")
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency = 1
	bubble(t, cfg, nil, func(w *world) {
		release := make(chan int)
		w.serve = func(*http.Request) (*http.Response, error) { return answer(<-release, ""), nil }
		res := w.results()
		ctx, cancel := context.WithCancel(w.t.Context())
		for _, id := range []string{"runs", "waits", "waits-too"} {
			w.edge.Do(ctx, call(id), res.done(id))
		}
		synctest.Wait()
		cancel()
		w.edge.Do(ctx, call("late"), res.done("late"))
		synctest.Wait()
		if res.count(FailureStopping) != 3 {
			t.Errorf("%+v", res.got)
		}
		release <- 500 // no attempt follows
		synctest.Wait()
		if a := res.got["runs"]; a.Err != FailureStopping || a.Status != 500 || a.Attempts != 1 {
			t.Errorf("%+v", a)
		}

		// Between two attempts.
		ctx, cancel = context.WithCancel(w.t.Context())
		w.edge.Do(ctx, call("pauses"), res.done("pauses"))
		release <- 503
		synctest.Wait()
		cancel()
		synctest.Wait()
		if a := res.got["pauses"]; a.Err != FailureStopping || a.Status != 503 {
			t.Errorf("%+v", a)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.seen) != 2 {
			t.Errorf("%d attempts", len(w.seen))
		}
	})
}

// Requests that are handed in before Run wait for it.
func TestBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(defaults(t), Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, edge: e, serve: answers(200)}
		e.current.Load().transport = w
		res := w.results()
		e.Do(t.Context(), call("1"), res.done("1"))
		synctest.Wait()
		if len(w.seen) != 0 || len(res.got) != 0 {
			t.Error("it was made already")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		cancel()
		<-ended
		if res.count("") != 1 {
			t.Errorf("%+v", res.got)
		}
	})
}

func TestReload(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency = 1
	bubble(t, cfg, nil, func(w *world) {
		release := make(chan struct{})
		w.serve = func(*http.Request) (*http.Response, error) { <-release; return answer(200, ""), nil }
		res := w.results()
		for _, id := range []string{"1", "2", "3"} {
			w.edge.Do(w.t.Context(), call(id), res.done(id))
		}
		synctest.Wait()
		bad := cfg
		bad.Retries = 9
		if err := w.edge.Reload(bad); err == nil || w.edge.current.Load().config.Retries != 3 {
			t.Error("a faulty configuration is in force")
		}
		cfg.Concurrency, cfg.UserAgent = 2, "other"
		if err := w.edge.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		close(release)
		synctest.Wait()
		if res.count("") != 3 || w.seen[0].Header.Get("User-Agent") != "trunkline" || w.seen[2].Header.Get("User-Agent") != "other" {
			t.Errorf("%+v", res.got)
		}
	})
}

// What cannot be asked of a server is answered at once, without an attempt.
// Logs tell what failed, without what may be secret or personal.
