package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"trunkline/flowengine"
)

// exchange is one request and its answer.
type exchange struct {
	log    *slog.Logger
	id     string
	began  time.Time
	method string
	route  string // pattern; "" when there is no such route
	remote string // address without port
	caller string // name of the key, or flow/entry of a token
	person string // opaque id
	flow   string
	status int
	octets int                   // of the body, as many as were taken
	more   func(octets int) bool // takes some from the bound of all; nil until the caller is known
	// brokenOff: the caller went away, or stalled, before the whole body was here.
	brokenOff bool
	// refused is why a body is not read on, or nil.
	refused *Problem
}

type exchangeKey struct{}

// exchangeOf finds the exchange of a request's context.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{log: slog.New(slog.DiscardHandler)}
}

func (x *exchange) instance() string { return "urn:trunkline:request:" + x.id }

// concerns notes for the audit log who the request is about.
func (x *exchange) concerns(id flowengine.PersonID) {
	if !id.IsZero() {
		x.person = id.String()
	}
}

// fail logs why the answer is a server error.
func (x *exchange) fail(reason string) {
	x.log.Error("a request failed", "request", x.id, "method", x.method, "route", x.route, "error", reason)
}

func (x *exchange) changes() bool { return x.method != http.MethodGet && x.method != http.MethodHead }

// statusWriter notes the status of the answer.
type statusWriter struct {
	http.ResponseWriter
	of     *exchange
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if status == http.StatusInternalServerError { // huma's word for whatever is wrong with reading a body
		switch {
		case w.of.refused != nil:
			status = w.of.refused.Status
			maps.Copy(w.Header(), w.of.refused.header)
		case w.of.brokenOff:
			status = http.StatusBadRequest
		}
	}
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observed gives every request an id, answers panics, counts, and writes the
// audit log: one line for every request that changes something, or tries to. Those
// that nobody known makes are at most a few a second: they must not fill the disk.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{log: s.log, id: requestID(), began: s.now(), method: r.Method, remote: remoteHost(r.RemoteAddr)}
		out := &statusWriter{ResponseWriter: w, of: x}
		out.Header().Set("X-Request-Id", x.id)
		out.Header().Set("X-Content-Type-Options", "nosniff")
		out.Header().Set("Cache-Control", "no-store")
		defer s.done(x, out)
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		r.Body = &body{ReadCloser: r.Body, of: x, rows: streams(r)}
		next.ServeHTTP(out, r)
	})
}

// done ends an exchange. It is deferred: a panic ends here too.
func (s *Server) done(x *exchange, out *statusWriter) {
	if p := recover(); p != nil {
		s.log.Error("a request panicked", "request", x.id, "method", x.method, "route", x.route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		s.metrics.panics.Inc()
		if out.status != 0 { // too late for another answer: cut the connection
			defer panic(http.ErrAbortHandler)
		} else {
			failed := newProblem(http.StatusInternalServerError, "something went wrong here; the log tells what, under the id of this request")
			failed.Instance = x.instance()
			failed.write(out)
		}
	}
	x.status = out.status
	method := x.method
	if x.route == "" {
		method = "other" // bounded label values
	}
	s.metrics.requests.WithLabelValues(x.route, method, fmt.Sprint(x.status)).Inc()
	s.metrics.seconds.WithLabelValues(x.route, method).Observe(s.now().Sub(x.began).Seconds())
	if x.changes() && (x.caller != "" || s.strangers.AllowN(s.now(), 1)) {
		s.log.Info("audit", "request", x.id, "key", x.caller, "method", x.method, "route", x.route, "flow", x.flow, "person", x.person, "status", x.status, "remote", x.remote)
	}
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func remoteHost(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
