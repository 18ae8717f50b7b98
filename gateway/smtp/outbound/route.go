package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/smtp/resolver"
)

// Bounds of a route.
const (
	routeHosts     = 10 // mail exchangers that are looked at
	routeAddresses = 6  // addresses of each
	routeTime      = 5 * time.Minute
)

// port of mail between servers (RFC 5321 §4.5.4.2).
const portSMTP = 25

// target is one server that may take the mail of a destination.
type target struct {
	host   string // as TLS knows it
	port   uint16
	given  bool // by the configuration
	secure bool // DNSSEC vouches for it being a server of the destination
}

// route is where mail of a destination goes.
type route struct {
	targets []target
	sts     *stsPolicy // nil: the domain has none
	stsErr  error      // why its policy is not known
	until   time.Time
}

// permanentError ends the attempts to send to a destination: no later one would differ.
type permanentError struct{ code, reason string }

func (e *permanentError) Error() string { return e.reason }

// temporaryError names a failure for which no reply stands.
type temporaryError struct {
	code string
	err  error
}

func (e *temporaryError) Error() string { return e.err.Error() }
func (e *temporaryError) Unwrap() error { return e.err }

// route finds out where mail to a domain goes (RFC 5321 §5.1).
func (e *Edge) route(ctx context.Context, s *settings, d *destination) (*route, error) {
	r := &route{until: e.now().Add(routeTime)}
	if d.given != "" {
		host, port, err := net.SplitHostPort(d.given)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, err
		}
		r.targets = []target{{host: host, port: uint16(n), given: true}}
		return r, nil
	}
	if literal, ok := strings.CutPrefix(d.name, "["); ok { // RFC 5321 §4.1.3
		r.targets = []target{{host: strings.TrimPrefix(strings.TrimSuffix(literal, "]"), "IPv6:"), port: e.port}}
		return r, nil
	}
	var err error
	if r.targets, err = e.exchangers(ctx, s, d.name); err != nil {
		return nil, err
	}
	if s.config.MTASTS && d.tls != tlsNone {
		r.sts, r.stsErr = s.sts.policy(ctx, d.name)
	}
	return r, nil
}

// exchangers are the servers of a domain, the preferred ones first.
func (e *Edge) exchangers(ctx context.Context, s *settings, domain string) ([]target, error) {
	all, secure, err := s.resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, resolver.ErrNone): // the domain itself is the server, if it has an address
		if _, _, err = s.resolver.Addresses(ctx, domain); errors.Is(err, resolver.ErrNone) {
			return nil, &permanentError{codeNoDomain, "the domain " + domain + " has neither MX nor address"}
		}
		if err != nil {
			return nil, &temporaryError{codeNoRoute, err}
		}
		return []target{{host: domain, port: e.port, secure: secure}}, nil
	case err != nil:
		return nil, &temporaryError{codeNoRoute, err}
	}
	var out []target
	for _, mx := range all {
		switch {
		case mx.Host == "" && len(all) == 1:
			return nil, &permanentError{codeNullMX, "the domain " + domain + " takes no mail (null MX)"}
		case mx.Host == s.hostname && len(out) == 0:
			return nil, &permanentError{codeLoop, "the best mail exchanger of " + domain + " is this host"}
		case mx.Host == s.hostname: // RFC 5321 §5.1: those behind us are not asked
			return out, nil
		case mx.Host != "" && len(out) < routeHosts:
			out = append(out, target{host: mx.Host, port: e.port, secure: secure})
		}
	}
	if len(out) == 0 {
		return nil, &permanentError{codeNullMX, "the domain " + domain + " takes no mail"}
	}
	return out, nil
}

// addresses are those of a target.
func (s *settings) addresses(ctx context.Context, t target) (all []netip.Addr, secure bool, err error) {
	if a, err := netip.ParseAddr(t.host); err == nil {
		all = []netip.Addr{a}
	} else if t.given && t.host == "localhost" {
		all = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	} else if all, secure, err = s.resolver.Addresses(ctx, t.host); err != nil {
		return nil, secure, err
	}
	if len(all) > routeAddresses {
		all = all[:routeAddresses]
	}
	if t.given {
		return all, secure, nil
	}
	kept := all[:0:0]
	for _, a := range all {
		if s.mayReach(a) {
			kept = append(kept, a)
		}
	}
	if len(kept) == 0 {
		return nil, secure, fmt.Errorf("%s has private addresses only, such as %s; email.allow_private may allow them", t.host, all[0])
	}
	return kept, secure, nil
}

// mayReach tells whether mail may go to an address that somebody else's DNS names.
func (s *settings) mayReach(a netip.Addr) bool {
	for _, p := range s.config.AllowPrivate {
		if p.Contains(a) {
			return true
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !reserved(a)
}

// reserved are networks that no mail server of others is in (RFC 6890).
func reserved(a netip.Addr) bool {
	for _, p := range [...]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16"),
	} {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
