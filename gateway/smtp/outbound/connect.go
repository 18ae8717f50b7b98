package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"trunkline/gateway/smtp/resolver"
)

// targetsMost bounds the addresses that one attempt tries.
const targetsMost = 12

// connect opens a session with a server of the destination: the preferred ones first, each
// at all of its addresses. The error is that of the last one.
func (e *Edge) connect(ctx context.Context, s *settings, d *destination) (*session, error) {
	r, err := e.routeOf(ctx, s, d)
	if err != nil {
		return nil, err
	}
	last, tried := error(nil), 0
	for _, t := range r.targets {
		addresses, secure, err := s.addresses(ctx, t)
		if err != nil {
			last = &temporaryError{codeNoRoute, err}
			continue
		}
		policy, err := e.policy(ctx, s, d, r, t, secure)
		if err != nil {
			last = &temporaryError{codePolicy, err}
			continue
		}
		for _, a := range addresses {
			if tried++; tried > targetsMost || ctx.Err() != nil {
				break
			}
			x, err := e.open(ctx, s, t, a, policy)
			if err == nil {
				return x, nil
			}
			last = err
			e.log.Debug("a mail server could not be used", "host", t.host, "address", a.String(), "error", err)
		}
	}
	if last == nil {
		last = ctx.Err()
	}
	var refused *refusedError
	var known *temporaryError
	if errors.Is(last, resolver.ErrNone) {
		last = &temporaryError{codeNoRoute, last}
	} else if !errors.As(last, &known) && !errors.As(last, &refused) {
		last = &temporaryError{codeNoConnect, last}
	}
	return nil, last
}

// routeOf is the destination's route, which is found out anew when it is old.
func (e *Edge) routeOf(ctx context.Context, s *settings, d *destination) (*route, error) {
	e.mu.Lock()
	r := d.route
	e.mu.Unlock()
	if r != nil && e.now().Before(r.until) {
		return r, nil
	}
	r, err := e.route(ctx, s, d)
	if err != nil {
		return nil, err
	}
	if r.stsErr != nil {
		e.log.Debug("an MTA-STS policy is not known", "domain", d.name, "error", r.stsErr)
	}
	e.mu.Lock()
	d.route = r
	e.mu.Unlock()
	return r, nil
}

// open connects to one address. Where encryption is only tried, a handshake that fails is
// followed by a connection without.
func (e *Edge) open(ctx context.Context, s *settings, t target, a netip.Addr, p tlsPolicy) (*session, error) {
	x, err := e.openOnce(ctx, s, t, a, &p)
	var broken *tlsError
	if p.level == tlsOpportunistic && (errors.As(err, &broken) || errors.Is(err, errInjected)) {
		p.level = tlsNone
		if x, err = e.openOnce(ctx, s, t, a, &p); err == nil {
			return x, nil
		}
	}
	return x, err
}

func (e *Edge) openOnce(ctx context.Context, s *settings, t target, a netip.Addr, p *tlsPolicy) (_ *session, err error) {
	dialer := net.Dialer{Timeout: s.times.connect}
	at := netip.AddrPortFrom(a, t.port)
	conn, err := dialer.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	x := newSession(conn, t.host, at, &s.times)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if stop(); err != nil {
			x.quit()
		}
	}()
	verified := ""
	if p.level == tlsImplicit {
		if err := x.encrypt(ctx, p.config(s, t, &verified)); err != nil {
			e.metrics.tls.WithLabelValues(p.source, tlsResult(p, err)).Inc()
			return nil, err
		}
	}
	if err := x.greet(s.hostname); err != nil {
		return nil, err
	}
	if p.level != tlsImplicit && p.level != tlsNone {
		if err := e.encrypt(ctx, s, x, t, p, &verified); err != nil {
			return nil, err
		}
	}
	if x.tls != "" && verified != "" {
		x.tls += " " + verified
	}
	if h := s.config.SmartHost; h != nil && h.Username != "" && t.given && h.Address == net.JoinHostPort(t.host, fmt.Sprint(t.port)) {
		if err := x.authenticate(h.Username, h.Password); err != nil {
			e.log.Error("the smart host refuses the log-in", "host", t.host, "error", err)
			return nil, &temporaryError{codeLogin, err}
		}
	}
	return x, nil
}

// encrypt says STARTTLS as the policy wants, and counts what came of it as TLS reports
// do (RFC 8460 §4.3).
func (e *Edge) encrypt(ctx context.Context, s *settings, x *session, t target, p *tlsPolicy, verified *string) error {
	count := func(result string) { e.metrics.tls.WithLabelValues(p.source, result).Inc() }
	if !x.ext.startTLS {
		count("starttls-not-supported")
		if p.level == tlsOpportunistic {
			return nil
		}
		return &temporaryError{codePolicy, fmt.Errorf("%s does not offer STARTTLS, which its domain or the configuration asks for", t.host)}
	}
	err := x.startTLS(ctx, p.config(s, t, verified), s.hostname)
	var broken *tlsError
	var refused *refusedError
	switch {
	case err == nil && p.testing && *verified == "":
		count("sts-webpki-invalid")
	case err == nil:
		count("successful")
	case errors.As(err, &broken):
		count(tlsResult(p, err))
	case errors.As(err, &refused) && refused.what == "STARTTLS":
		count("starttls-not-supported")
		if p.level == tlsOpportunistic && !x.failed {
			return nil
		}
	default:
		count("validation-failure")
	}
	if err != nil && p.level != tlsOpportunistic {
		return &temporaryError{codePolicy, err}
	}
	return err
}
