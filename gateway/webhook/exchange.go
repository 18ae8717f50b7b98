package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// set is a configuration in force, with the connections made under it. It is
// immutable.
type set struct {
	config    Config
	guard     guard
	transport http.RoundTripper
}

// newSet makes a set from a valid configuration.
func newSet(cfg Config, resolver *net.Resolver) (*set, error) {
	proxy, err := cfg.proxy()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	authorities, err := cfg.authorities()
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	cfg.AllowPrivate = slices.Clone(cfg.AllowPrivate)
	s := &set{config: cfg, guard: guard{cfg.AllowPrivate}}
	t := &http.Transport{
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		TLSHandshakeTimeout:    maxTimeout,
		MaxIdleConns:           cfg.Concurrency,
		MaxIdleConnsPerHost:    cfg.ConcurrencyPerHost,
		MaxConnsPerHost:        0, // the schedule bounds requests; redirects come on top
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxAnswerHead,
		ForceAttemptHTTP2:      true,
		// A connection of HTTP/2 that went silent would hold up all that comes after.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	dialer := net.Dialer{Timeout: maxTimeout, Resolver: resolver}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy) // all connections go to the proxy, which the operator chose
	} else {
		dialer.ControlContext = s.guard.control
	}
	t.DialContext = dialer.DialContext
	s.transport = t
	return s, nil
}

// closeIdle closes the connections that no request uses.
func (s *set) closeIdle() {
	if t, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// hop is one exchange of an attempt: the request itself, or one that follows a
// redirect.
type hop struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

// exchange makes one attempt and follows redirects. The error is one that
// classify knows.
func (s *set) exchange(ctx context.Context, r *Request, target *url.URL, now time.Time) (*Response, error) {
	h := hop{r.Method, target, r.header(s.config.UserAgent), r.Body}
	if r.signed() {
		for name, values := range Sign(r.ID, now, r.Body, r.Sign...) {
			h.header[name] = values
		}
	}
	for followed := 0; ; followed++ {
		res, err := s.transport.RoundTrip(h.request(ctx))
		if err != nil {
			return nil, err
		}
		if r.signed() || !redirects(res) { // Standard Webhooks: 3xx is a failure
			return s.answer(r, res, now)
		}
		discard(res.Body)
		if followed == maxRedirects {
			return nil, errRedirects
		}
		if h, err = s.follow(h, res); err != nil {
			return nil, err
		}
	}
}

func (h *hop) request(ctx context.Context) *http.Request {
	r := &http.Request{
		Method: h.method, URL: h.url, Host: h.url.Host, Header: h.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody,
	}
	if len(h.body) > 0 {
		// Without GetBody net/http makes no attempts of its own once octets were
		// written; ours are counted.
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(h.body)), int64(len(h.body))
	}
	return r.WithContext(ctx)
}

// redirects says that an answer leads elsewhere (RFC 9110 §15.4).
func redirects(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return res.Header.Get("Location") != ""
	}
	return false
}

// follow is the hop that an answer to h leads to. Credentials of the request are
// for its own origin; once they were left out they stay out.
func (s *set) follow(h hop, res *http.Response) (hop, error) {
	location := res.Header.Get("Location")
	if len(location) > maxURL {
		return h, errLocation
	}
	next, err := h.url.Parse(location)
	if err != nil {
		return h, errLocation // err repeats the URL
	}
	if h.url.Scheme == "https" && next.Scheme == "http" {
		return h, errDowngrade
	}
	if next, err = checkTarget(next); err != nil {
		return h, fmt.Errorf("%w: %w", errLocation, err)
	}
	if err := s.guard.checkURL(next); err != nil {
		return h, err
	}
	n := hop{h.method, next, h.header.Clone(), h.body}
	if becomesGet(res.StatusCode, h.method) {
		n.method, n.body = http.MethodGet, nil
		n.header.Del("Content-Type")
	}
	if !sameOrigin(h.url, next) {
		keepHarmless(n.header)
	}
	return n, nil
}

// becomesGet says that a redirected request is a GET without a body (RFC 9110
// §15.4; for 301 and 302 only POST, as everybody does).
func becomesGet(status int, method string) bool {
	switch status {
	case http.StatusSeeOther:
		return method != http.MethodHead
	case http.StatusMovedPermanently, http.StatusFound:
		return method == http.MethodPost
	}
	return false
}

// keepHarmless leaves out what may be a credential: any field but these could.
func keepHarmless(h http.Header) {
	for name := range h {
		switch name {
		case "Accept", "Accept-Language", "Content-Type", "User-Agent", "Idempotency-Key":
		default:
			delete(h, name)
		}
	}
}

// answer reads an answer within bounds. A compressed body is bounded by what it
// unfolds to, since net/http unfolds it as it is read.
func (s *set) answer(r *Request, res *http.Response, now time.Time) (*Response, error) {
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols { // its body is the bare connection, which no context ends
		return nil, errUpgrade
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(s.config.MaxBody)+1))
	if err != nil {
		return nil, err
	}
	a := &Response{Status: res.StatusCode, Header: res.Header, Body: body, RetryAfter: retryAfter(res.Header, now)}
	if len(body) > s.config.MaxBody {
		a.Body, a.Truncated = body[:s.config.MaxBody:s.config.MaxBody], true
	}
	switch {
	case a.Status < 200 || a.Status > 299:
		a.Err, a.Detail = FailureStatus, fmt.Sprintf("the server answered %d %s", a.Status, http.StatusText(a.Status))
	case a.Truncated && r.Collect:
		a.Err, a.Detail = FailureTooLarge, fmt.Sprintf("the answer is longer than %d octets, so its variables are not known", s.config.MaxBody)
	}
	if r.Collect && !a.Truncated {
		a.Vars = variables(body)
	}
	return a, nil
}

// discard reads a little of a body that nobody wants, so that the connection can
// be used again.
func discard(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 4096) //nolint:errcheck // the connection is closed then, no more
	body.Close()
}
