package links

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
)

// Limits of a request.
const (
	headerTime  = 5 * time.Second
	writeTime   = 10 * time.Second
	idleTime    = 15 * time.Second
	drainTime   = 5 * time.Second
	maxHeader   = 16 << 10
	commitTime  = 250 * time.Millisecond // a redirect waits for its click at most
	unknownCost = 10                     // requests that one for an unknown link counts as
)

// Errors of Core.Find.
var (
	ErrUnknown = errors.New("links: there is no such link")
	ErrGone    = errors.New("links: the link has expired")
)

// Core is where links are kept. Its methods are called concurrently.
type Core interface {
	// Find tells where a link leads: an absolute URL of http or https, in ASCII. It
	// returns ErrUnknown or ErrGone for a link that leads nowhere.
	Find(token string) (url string, err error)
	// Click notes that a link was followed, with preview by a program. done is
	// called exactly once, with nil when that is durable.
	Click(token string, preview bool, done func(error))

	// Known is nil for the token of an e-mail, or ErrUnknown.
	Known(token string) error
	// Mail finds the recipient of an e-mail by the token of its pages, or returns
	// ErrUnknown.
	Mail(ctx context.Context, token string) (Recipient, error)
	// Open notes that the picture of a mail was loaded, with machine without anybody
	// reading it. done is as that of Click.
	Open(token string, machine bool, done func(error))
	// Choose does what the recipient of a mail has decided. done is as that of Click.
	Choose(token string, c Choice, done func(error))
}

// Recipient is the person whom a mail went to.
type Recipient struct {
	Address    string // to be shown: not the whole one, since mails are handed on
	Language   string // that the person prefers (BCP 47); may be empty
	NoMail     bool   // wants none
	DoNotTrack bool   // wants nobody to count opens and clicks
}

// Choice is what a recipient decides; what is nil stays as it is.
type Choice struct{ Mail, DoNotTrack *bool }

// Options are what the server works with. Core has to be there.
type Options struct {
	Core    Core
	Log     *slog.Logger          // slog.Default() when nil
	Metrics prometheus.Registerer // a registry of its own when nil
	Now     func() time.Time      // time.Now when nil
}

// Server answers short links.
type Server struct {
	core    Core
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	begun   Config // its listener's part
	config  atomic.Pointer[Config]
	limiter limiter
}

// New makes a server that nobody listens for yet.
func New(c Config, o Options) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	s := &Server{core: o.Core, log: o.Log, now: o.Now, begun: c}
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
	s.config.Store(&c)
	return s, nil
}

// Reload takes over everything but address, TLS files and number of connections.
func (s *Server) Reload(c Config) { s.config.Store(&c) }

// Run serves until ctx ends, then lets the requests that are being answered come
// to their end.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	l = gateway.Limited(l, s.begun.Connections)
	if t := s.begun.TLS; t != nil {
		c := &gateway.Certificate{Cert: t.Cert, Key: t.Key}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get, NextProtos: []string{"h2", "http/1.1"}}
		l = tls.NewListener(l, server.TLSConfig)
	}
	return gateway.ServeHTTP(ctx, server, l, drainTime)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.now()
	outcome := s.answer(w, r)
	s.metrics.requests.WithLabelValues(outcome).Inc()
	s.metrics.seconds.Observe(s.now().Sub(began).Seconds())
}

// answer answers a request and says in a word how.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (outcome string) {
	c := s.config.Load()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	caller := callerOf(r, c.Proxies)
	path := below(r.URL.Path, c.BaseURL)
	if token, ok := strings.CutPrefix(path, pixelPath); ok {
		return s.pixel(w, r, strings.TrimSuffix(token, ".gif"), caller)
	}
	if !s.limiter.take(caller, 1, c.Rate, s.now()) {
		h.Set("Retry-After", "1")
		show(w, r, http.StatusTooManyRequests)
		return "limited"
	}
	if token, ok := strings.CutPrefix(path, unsubscribePath); ok {
		return s.unsubscribe(w, r, tidy(token), caller)
	}
	if token, ok := strings.CutPrefix(path, preferencesPath); ok {
		return s.preferences(w, r, tidy(token), caller)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return "refused"
	}
	if r.URL.Path == "/robots.txt" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
		return "robots"
	}
	token := tokenOf(r.URL.Path, c.BaseURL)
	target, err := s.core.Find(token)
	switch {
	case errors.Is(err, ErrGone):
		show(w, r, http.StatusGone)
		return "gone"
	case errors.Is(err, ErrUnknown):
		s.limiter.take(caller, unknownCost-1, c.Rate, s.now())
		show(w, r, http.StatusNotFound)
		return "unknown"
	case err != nil:
		s.log.Error("a short link could not be looked up", "error", err)
		h.Set("Retry-After", "5")
		show(w, r, http.StatusServiceUnavailable)
		return "error"
	}
	preview := isPreview(r)
	s.click(r.Context(), token, preview)
	h.Set("Location", target)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusFound)
	if preview {
		return "preview"
	}
	return "redirect"
}

// click tells the core of a click.
func (s *Server) click(ctx context.Context, token string, preview bool) {
	s.tell(ctx, func(done func(error)) { s.core.Click(token, preview, done) })
}

// tell tells the core something, and waits a moment until that is durable.
func (s *Server) tell(ctx context.Context, what func(done func(error))) {
	durable := make(chan struct{})
	what(func(err error) {
		if err != nil {
			s.metrics.lost.Inc()
		}
		close(durable)
	})
	select {
	case <-durable:
		return
	default:
	}
	wait := time.NewTimer(commitTime)
	defer wait.Stop()
	select {
	case <-durable:
	case <-wait.C:
		s.metrics.late.Inc()
	case <-ctx.Done():
	}
}

// tokenOf is the token of a short link.
func tokenOf(path, base string) string { return tidy(below(path, base)) }

// below is what follows the path of base, or the first slash where a proxy has removed it.
func below(path, base string) string {
	if u, err := url.Parse(base); err == nil {
		if rest, ok := strings.CutPrefix(path, strings.TrimRight(u.Path, "/")+"/"); ok {
			return rest
		}
	}
	return strings.TrimPrefix(path, "/")
}

// tidy takes off what phones take from the sentence around a link.
func tidy(token string) string { return strings.TrimRight(token, "/.,;:!?)'\"") }

type metrics struct {
	requests *prometheus.CounterVec // outcome
	seconds  prometheus.Histogram
	lost     prometheus.Counter
	late     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trunkline_links_requests_total", Help: "Requests for short links and pages of mails, by what they were answered: redirect, preview (a redirect for a program), open, machine_open, page, unsubscribed, saved, unknown, gone, limited, refused, robots, error."}, []string{"outcome"}),
		seconds:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "trunkline_links_request_seconds", Help: "Time to answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12)}),
		lost:     prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_links_clicks_lost_total", Help: "Clicks that were redirected and that the store did not take."}),
		late:     prometheus.NewCounter(prometheus.CounterOpts{Name: "trunkline_links_clicks_late_total", Help: "Clicks that were redirected before they were durable."}),
	}
	reg.MustRegister(m.requests, m.seconds, m.lost, m.late)
	return m
}
