package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWrongRequests(t *testing.T) {
	header := func(name, value string) func(*Request) {
		return func(r *Request) { r.Header = []HeaderField{{name, value}} }
	}
	var many []HeaderField
	for range 51 {
		many = append(many, HeaderField{"X", "y"})
	}
	bubble(t, defaults(t), answers(200), func(w *world) {
		for _, tt := range []struct {
			name   string
			want   Failure
			change func(*Request)
		}{
			{"no method", FailureInvalid, func(r *Request) { r.Method = "" }},
			{"an unknown method", FailureInvalid, func(r *Request) { r.Method = "CONNECT" }},
			{"a method in small letters", FailureInvalid, func(r *Request) { r.Method = "post" }},
			{"a method with a line break", FailureInvalid, func(r *Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" }},
			{"no id", FailureInvalid, func(r *Request) { r.ID = "" }},
			{"an id with a line break", FailureInvalid, func(r *Request) { r.ID = "a\r\nX: y" }},
			{"a long id", FailureInvalid, func(r *Request) { r.ID = strings.Repeat("x", 256) }},
			{"a webhook's id with a full stop", FailureInvalid, func(r *Request) { r.ID, r.Sign = "a.b", []Secret{NewSecret()} }},
			{"an empty secret", FailureInvalid, func(r *Request) { r.Sign = make([]Secret, 1) }},
			{"too many secrets", FailureInvalid, func(r *Request) { r.Sign = make([]Secret, 11) }},
			{"a body of GET", FailureInvalid, func(r *Request) { r.Method = http.MethodGet }},
			{"a body above the limit", FailureTooLarge, func(r *Request) { r.Body = make([]byte, 256<<10+1) }}, // X9
			{"a negative timeout", FailureInvalid, func(r *Request) { r.Timeout = -1 }},
			{"a long timeout", FailureInvalid, func(r *Request) { r.Timeout = time.Hour }},
			{"a line break in a value", FailureInvalid, header("X-A", "b\r\nX-C: d")},
			{"a bare line feed in a value", FailureInvalid, header("X-A", "b\nX-C: d")},
			{"a NUL in a value", FailureInvalid, header("X-A", "b\x00")},
			{"a line break in a name", FailureInvalid, header("X-A\r\nX-C", "d")},
			{"a colon in a name", FailureInvalid, header("X-A:", "d")},
			{"a space in a name", FailureInvalid, header("X A", "d")},
			{"an empty name", FailureInvalid, header("", "d")},
			{"Host", FailureInvalid, header("host", "internal")},
			{"Content-Length", FailureInvalid, header("Content-length", "1")},
			{"Transfer-Encoding", FailureInvalid, header("TRANSFER-ENCODING", "chunked")},
			{"Connection", FailureInvalid, header("Connection", "close")},
			{"Upgrade", FailureInvalid, header("Upgrade", "h2c")},
			{"Proxy-Authorization", FailureInvalid, header("Proxy-Authorization", "x")},
			{"Idempotency-Key", FailureInvalid, header("idempotency-key", "x")},
			{"Webhook-Signature", FailureInvalid, header("webhook-signature", "v1,x")},
			{"too many fields", FailureInvalid, func(r *Request) { r.Header = many }},
			{"a large header", FailureInvalid, header("X", strings.Repeat("y", 16<<10))},
			{"a URL of another kind", FailureInvalid, func(r *Request) { r.URL = "ftp://api.example/" }},
			{"a private address", FailureRefused, func(r *Request) { r.URL = "http://10.0.0.1/" }},
			{"a mapped address", FailureRefused, func(r *Request) { r.URL = "http://[::ffff:8.8.8.8]/" }},
			{"a metadata service", FailureRefused, func(r *Request) { r.URL = "http://169.254.169.254/latest/meta-data/" }},
			{"localhost", FailureRefused, func(r *Request) { r.URL = "http://LOCALHOST/" }},
			{"a name below localhost", FailureRefused, func(r *Request) { r.URL = "http://a.localhost/" }},
			{"the port of mail", FailureRefused, func(r *Request) { r.URL = "http://api.example:25/" }},
		} {
			r := call("1")
			tt.change(&r)
			answered := false
			w.edge.Do(w.t.Context(), r, func(a Response) {
				answered = true
				if a.Err != tt.want || a.Attempts != 0 || a.Detail == "" || a.Again() {
					t.Errorf("%s: %+v", tt.name, a)
				}
			})
			if !answered {
				t.Errorf("%s: no answer", tt.name)
			}
		}
		if len(w.seen) != 0 {
			t.Errorf("%d attempts", len(w.seen))
		}
	})
}

func TestHeaderOfRequests(t *testing.T) {
	bubble(t, defaults(t), answers(200), func(w *world) {
		r := call("1")
		r.Header = append(r.Header, HeaderField{"X-A", "1"}, HeaderField{"x-a", "2"}, HeaderField{"Content-Type", "text/plain"}, HeaderField{"User-Agent", "mine"})
		w.do(r)
		w.do(Request{ID: "2", Method: http.MethodGet, URL: "https://API.example#fragment"})
		h := w.seen[0].Header
		if got := fmt.Sprint(h["X-A"], h["Content-Type"], h["User-Agent"], h["Authorization"]); got != "[1 2] [text/plain] [mine] [Bearer header-token]" {
			t.Error(got)
		}
		second := w.seen[1]
		if got := fmt.Sprint(second.Header, second.URL, second.ContentLength); got != "map[Idempotency-Key:[2] User-Agent:[trunkline]] https://api.example 0" {
			t.Error(got)
		}
	})
}

func TestLogsAndMetrics(t *testing.T) {
	serve := func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			return nil, errors.New("malformed HTTP response \"answer-token\"")
		}
		return answer(404, "answer-token", "X", "answer-token"), nil
	}
	bubble(t, defaults(t), serve, func(w *world) {
		w.do(call("run-1"))
		r := call("run-2")
		r.Method, r.Sign = http.MethodPut, []Secret{NewSecret()}
		w.do(r)
		refused := call("run-3")
		refused.URL = "http://10.0.0.1/path-token?query-token"
		w.do(refused)
		log := w.log.String()
		if strings.Contains(log, "token") || strings.Count(log, "\n") != 3 || !strings.Contains(log, "level=WARN") {
			t.Error(log)
		}
		for _, want := range []string{"request=run-1", "host=api.example", "failure=status", "status=404", "failure=connection", "failure=refused_address"} {
			if !strings.Contains(log, want) {
				t.Errorf("no %s in %s", want, log)
			}
		}
		w.metric(`trunkline_webhook_requests_total{kind="call",outcome="status_4xx"} 1`, `trunkline_webhook_requests_total{kind="webhook",outcome="connection"} 1`,
			`trunkline_webhook_requests_total{kind="call",outcome="refused_address"} 1`, `trunkline_webhook_attempts_total{outcome="connection"} 4`)
	})
}

func TestOutcomes(t *testing.T) {
	for want, r := range map[string]Response{
		"ok": {Status: 200}, "timeout": {Err: FailureTimeout}, "status_5xx": {Err: FailureStatus, Status: 599}, "status_429": {Err: FailureStatus, Status: 429},
		"status_4xx": {Err: FailureStatus, Status: 410}, "status_3xx": {Err: FailureStatus, Status: 304}, "status_1xx": {Err: FailureStatus, Status: 199},
	} {
		if r.outcome() != want {
			t.Errorf("%s, want %s", r.outcome(), want)
		}
	}
}
