package httpapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"trunkline/flowengine/runtime"
	"trunkline/gateway"
)

// Limits of a request.
const (
	// MaxBody is the largest body in octets.
	MaxBody = 10 << 20
	// maxOctets bounds the bodies of all requests that are being worked on.
	maxOctets = 6 * MaxBody

	headerTime = 5 * time.Second
	bodyTime   = 25 * time.Second
	workTime   = 30 * time.Second // from the last octet of the request until it is answered
	writeTime  = 90 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// Options are what the API works with. Runtime has to be there.
type Options struct {
	Runtime *runtime.Runtime
	// Parts tells as how many SMS a text is sent; 1 when nil.
	Parts func(text, carrier string) int
	// CheckNotify finds what is wrong with a notifyUrl. It is nil when no sender for
	// runtime.NotifyChannel is registered, so requests may not name one.
	CheckNotify func(url string) error
	// Webhooks lists the endpoints of outgoing webhooks; may be nil.
	Webhooks func() []Webhook
	Version  string
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	Now      func() time.Time
}

// Server is the HTTP API.
type Server struct {
	rt        *runtime.Runtime
	parts     func(text, carrier string) int
	notify    func(url string) error // nil: there are no notifications
	webhooks  func() []Webhook
	log       *slog.Logger
	now       func() time.Time
	metrics   *metrics
	config    Config
	ring      atomic.Pointer[keyring]
	buckets   *buckets      // by key
	failures  *buckets      // by address
	callers   callers       // at work
	strangers *rate.Limiter // lines in the log about requests that nobody known makes
	places    chan struct{}
	imports   chan struct{}   // places of requests that bring rows
	closing   context.Context // ends when the server is to end
	close     context.CancelFunc
	mux       *http.ServeMux
	api       huma.API
	handler   http.Handler
}

// New makes an API that nobody listens for yet.
func New(c Config, o Options) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s := &Server{
		rt: o.Runtime, parts: o.Parts, notify: o.CheckNotify, webhooks: o.Webhooks, log: o.Log, now: o.Now, config: c,
		buckets: newBuckets(), failures: newBuckets(), strangers: rate.NewLimiter(strangersPerSec, strangersBurst),
		mux: http.NewServeMux(), places: make(chan struct{}, max(1, c.Requests)), imports: make(chan struct{}, importTurns),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	if s.parts == nil {
		s.parts = func(string, string) int { return 1 }
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	s.metrics = newMetrics(o.Metrics)
	s.ring.Store(newKeyring(c))
	s.api = humago.New(s.mux, apiConfig(o.Version))
	s.api.UseMiddleware(s.authenticated)
	s.routes()
	tidy(s.api.OpenAPI())
	s.handler = s.observed(s.bounded(http.HandlerFunc(s.route)))
	return s, nil
}

// Reload takes over keys, secret and rate. Address and TLS files stay.
func (s *Server) Reload(c Config) { s.ring.Store(newKeyring(c)) }

// Handler serves the API without a listener of its own.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves until ctx ends, then lets the requests that are being answered come
// to their end.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime + bodyTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(s.close)
	l = gateway.Limited(l, s.config.Connections)
	if t := s.config.TLS; t != nil {
		c := &gateway.Certificate{Cert: t.Cert, Key: t.Key}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get, NextProtos: []string{"h2", "http/1.1"}}
		l = tls.NewListener(l, server.TLSConfig)
	}
	return gateway.ServeHTTP(ctx, server, l, s.config.DrainTimeout)
}

// bounded refuses what is too much.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream, most := streams(r), int64(MaxBody)
		if stream {
			most = importMost
		}
		if r.ContentLength > most {
			w.Header().Set("Connection", "close")
			newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d octets", most)).write(w)
			return
		}
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			newProblem(http.StatusServiceUnavailable, "too many requests are being worked on").again(time.Second).write(w)
			return
		}
		if stream { // each part of it has its time
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), bodyTime+workTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// route finds the handler, and answers with a problem when there is none.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	handler, pattern := s.mux.Handler(r)
	if pattern != "" {
		_, exchangeOf(r.Context()).route, _ = cutMethod(pattern)
		s.mux.ServeHTTP(w, r)
		return
	}
	probe := &refusalWriter{header: http.Header{}}
	handler.ServeHTTP(probe, r)
	switch probe.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", probe.header.Get("Allow"))
		newProblem(probe.status, r.Method+" is not possible here; "+probe.header.Get("Allow")+" is").write(w)
	default:
		newProblem(http.StatusNotFound, "there is nothing at this path; /openapi.json tells what there is").write(w)
	}
}

func cutMethod(pattern string) (method, path string, ok bool) {
	for i := range pattern {
		if pattern[i] == ' ' {
			return pattern[:i], pattern[i+1:], true
		}
	}
	return "", pattern, false
}

// refusalWriter hears what the mux would answer.
type refusalWriter struct {
	header http.Header
	status int
}

func (w *refusalWriter) Header() http.Header         { return w.header }
func (w *refusalWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *refusalWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

type metrics struct {
	requests *prometheus.CounterVec // route, method, status
	seconds  *prometheus.HistogramVec
	failures prometheus.Counter
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_api_requests_total", Help: "Requests, by route and status."}, []string{"route", "method", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "trunkline_api_request_seconds", Help: "Time to answer.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"route", "method"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_api_wrong_keys_total", Help: "Requests with a key that is not known."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_api_panics_total", Help: "Requests that panicked; each is a bug."}),
	}
	reg.MustRegister(m.requests, m.seconds, m.failures, m.panics)
	return m
}
