package webhook

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetries(t *testing.T) {
	broken := func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
	hangs := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	for _, tt := range []struct {
		name     string
		serve    func(*http.Request) (*http.Response, error)
		retries  int
		attempts int
		want     Failure
		status   int
	}{
		{"200", answers(200), 0, 1, "", 200},
		{"204", answers(204), 0, 1, "", 204},
		{"500", answers(500), 0, 4, FailureStatus, 500},
		{"503", answers(503), 0, 4, FailureStatus, 503},
		{"429", answers(429), 0, 4, FailureStatus, 429},
		{"500, then 200", answers(500, 200), 0, 2, "", 200},
		{"three failures, then 200", answers(502, 429, 504, 200), 0, 4, "", 200},
		{"500, then 404", answers(500, 404, 200), 0, 2, FailureStatus, 404},
		{"400", answers(400), 0, 1, FailureStatus, 400},
		{"401", answers(401), 0, 1, FailureStatus, 401},
		{"404", answers(404), 0, 1, FailureStatus, 404},
		{"408", answers(408), 0, 1, FailureStatus, 408},
		{"410", answers(410), 0, 1, FailureStatus, 410},
		{"304", answers(304), 0, 1, FailureStatus, 304},
		{"a broken connection", broken, 0, 4, FailureConnection, 0},
		{"silence", hangs, 0, 4, FailureTimeout, 0},
		{"no retries", answers(500), NoRetries, 1, FailureStatus, 500},
		{"one retry", answers(500), 1, 2, FailureStatus, 500},
		{"more than three", answers(500), 100, 4, FailureStatus, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, defaults(t), tt.serve, func(w *world) {
				r := call("id-1")
				r.Retries = tt.retries
				a := w.do(r)
				if a.Err != tt.want || a.Status != tt.status || a.Attempts != tt.attempts || len(w.seen) != tt.attempts {
					t.Errorf("%+v after %d attempts", a, len(w.seen))
				}
				if a.OK() != (tt.want == "") || a.Again() || a.Gone() != (tt.status == 410) {
					t.Errorf("OK %t, Again %t, Gone %t", a.OK(), a.Again(), a.Gone())
				}
				for _, r := range w.seen {
					if r.Header.Get("Idempotency-Key") != "id-1" {
						t.Errorf("an attempt has the key %q", r.Header.Get("Idempotency-Key"))
					}
				}
			})
		})
	}
}

func TestPauses(t *testing.T) {
	bubble(t, defaults(t), answers(500), func(w *world) {
		w.do(call("1"))
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			if got := w.times[i+1].Sub(w.times[i]); got != want || w.jitter[i] != want {
				t.Errorf("pause %d: %s out of %s, want %s", i, got, w.jitter[i], want)
			}
		}
	})
	for range 1000 {
		if d := fullJitter(time.Second); d < 0 || d > time.Second {
			t.Fatalf("jitter of %s", d)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		field    string
		attempts int
		want     time.Duration // between the first two attempts, and in the answer
	}{
		{"7", 4, 7 * time.Second},
		{"Sat, 01 Jan 2000 00:00:20 GMT", 4, 20 * time.Second}, // a bubble begins with 2000
		{"30", 4, 30 * time.Second},
		{"31", 1, 31 * time.Second}, // left to the caller
		{"99999999999999999999", 1, 24 * time.Hour},
		{"Fri, 31 Dec 1999 23:00:00 GMT", 4, 0},
		{"soon", 4, 0}, {"-5", 4, 0}, {"1.5", 4, 0},
	} {
		bubble(t, defaults(t), func(*http.Request) (*http.Response, error) { return answer(503, "", "Retry-After", tt.field), nil }, func(w *world) {
			w.edge.jitter = func(time.Duration) time.Duration { return 0 }
			first := time.Now()
			r := call("1")
			r.Retries = NoRetries
			if a := w.do(r); a.RetryAfter != tt.want {
				t.Errorf("%s: RetryAfter %s", tt.field, a.RetryAfter)
			}
			r.Retries = 3
			if a := w.do(r); a.Attempts != tt.attempts || a.Status != 503 {
				t.Errorf("%s: %+v", tt.field, a)
			}
			if tt.attempts > 1 && w.times[2].Sub(first) != tt.want {
				t.Errorf("%s: pause of %s", tt.field, w.times[2].Sub(first))
			}
		})
	}
}

func TestTimeoutIsForOneAttempt(t *testing.T) {
	hangs := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	bubble(t, defaults(t), hangs, func(w *world) {
		r := call("1")
		r.Retries = 1
		if a := w.do(r); a.Elapsed != 20*time.Second+500*time.Millisecond { // X9: ten seconds each
			t.Errorf("%s", a.Elapsed)
		}
		r.Timeout, r.Retries = time.Second, NoRetries
		if a := w.do(r); a.Elapsed != time.Second || a.Err != FailureTimeout {
			t.Errorf("%+v", a)
		}
	})
}

func TestExpires(t *testing.T) {
	cfg := defaults(t)
	cfg.Concurrency = 1
	serve := func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(3 * time.Second):
			return answer(500, ""), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	bubble(t, cfg, serve, func(w *world) {
		start := time.Now()
		request := func(left time.Duration) Request {
			r := call("1")
			r.Expires = start.Add(left)
			return r
		}
		if a := w.do(request(0)); a.Err != FailureExpired || a.Attempts != 0 {
			t.Errorf("expired before: %+v", a)
		}
		if a := w.do(request(time.Second)); a.Err != FailureTimeout || a.Attempts != 1 || time.Since(start) != time.Second {
			t.Errorf("expires during the first attempt: %+v after %s", a, time.Since(start))
		}
		start = time.Now()
		if a := w.do(request(3400 * time.Millisecond)); a.Status != 500 || a.Attempts != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("expires during the pause: %+v after %s", a, time.Since(start))
		}
		// The second waits for the only place until its time is over.
		start = time.Now()
		res := w.results()
		first := request(time.Hour)
		first.Retries = NoRetries
		w.edge.Do(w.t.Context(), first, res.done("a"))
		w.edge.Do(w.t.Context(), request(2*time.Second), res.done("b"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if a := res.got["b"]; a.Err != FailureExpired || a.Attempts != 0 {
			t.Errorf("expires in the queue: %+v", a)
		}
	})
}
