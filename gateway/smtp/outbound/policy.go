package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"trunkline/gateway/smtp/resolver"
)

// How a connection is encrypted; the words of the configuration.
const (
	tlsNone          = "none"
	tlsOpportunistic = "opportunistic"
	tlsRequired      = "required"
	tlsVerified      = "verified"
	tlsImplicit      = "implicit"
)

// Sources of a policy, as TLS reports name them (RFC 8460 §4.2).
const (
	byDANE   = "tlsa"
	bySTS    = "sts"
	byNobody = "no-policy-found"
)

// tlsPolicy is what has to hold for a connection to one host.
type tlsPolicy struct {
	level   string // none, opportunistic, required, verified, implicit
	source  string
	dane    []*dns.TLSA // usable ones; who is named by them needs no authority
	testing bool        // failures are counted and nothing else (RFC 8461 §5)
}

// policy tells how the connection to a target has to be encrypted. DANE goes before
// MTA-STS (RFC 8461 §2), and neither makes it weaker than what is configured.
func (e *Edge) policy(ctx context.Context, s *settings, d *destination, r *route, t target, secure bool) (tlsPolicy, error) {
	p := tlsPolicy{level: d.tls, source: byNobody}
	if d.tls == tlsNone || t.given {
		return p, nil
	}
	if secure && t.secure {
		records, proven, err := s.resolver.TLSA(ctx, t.host, t.port)
		switch {
		case err == nil && proven:
			p.source = byDANE
			if p.dane = usable(records); len(p.dane) == 0 {
				p.level = stronger(p.level, tlsRequired) // RFC 7672 §2.2
				return p, nil
			}
			p.level = tlsVerified
			return p, nil
		case err != nil && !errors.Is(err, resolver.ErrNone): // RFC 7672 §2.1.2: bogus, or somebody wants us not to know
			e.metrics.tls.WithLabelValues(byDANE, "dnssec-invalid").Inc()
			return p, fmt.Errorf("what DANE says of %s is not known: %w", t.host, err)
		}
	}
	if r.sts == nil {
		return p, nil
	}
	p.source, p.testing = bySTS, r.sts.mode != stsEnforce
	if r.sts.names(t.host) {
		if !p.testing {
			p.level = tlsVerified
		}
		return p, nil
	}
	e.metrics.tls.WithLabelValues(bySTS, "validation-failure").Inc()
	if p.testing {
		return p, nil
	}
	return p, fmt.Errorf("the MTA-STS policy of %s does not name its mail exchanger %s", d.name, t.host)
}

func stronger(a, b string) string {
	rank := map[string]int{tlsNone: 0, tlsOpportunistic: 1, tlsRequired: 2, tlsVerified: 3, tlsImplicit: 3}
	if rank[a] >= rank[b] {
		return a
	}
	return b
}

// config is the handshake's side of a policy. verified tells afterwards what stands for
// the server.
func (p *tlsPolicy) config(s *settings, t target, verified *string) *tls.Config {
	return &tls.Config{
		ServerName: t.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots,
		InsecureSkipVerify: true, // what has to be verified is, below
		VerifyConnection: func(c tls.ConnectionState) error {
			if len(p.dane) > 0 {
				*verified = "dane"
				return matchDANE(p.dane, &c, t.host)
			}
			err := verifyName(&c, s.roots, t.host)
			if err == nil {
				*verified = "certificate"
			}
			if p.level == tlsVerified || p.level == tlsImplicit {
				return err
			}
			return nil
		},
	}
}

func verifyName(c *tls.ConnectionState, roots *x509.CertPool, host string) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	o := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range c.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	_, err := c.PeerCertificates[0].Verify(o)
	return err
}

// usable are the records that mail heeds (RFC 7672 §3.1): trust anchors and end entities.
func usable(all []*dns.TLSA) (out []*dns.TLSA) {
	for _, t := range all {
		if (t.Usage == usageTA || t.Usage == usageEE) && t.Selector <= 1 && t.MatchingType <= 2 {
			out = append(out, t)
		}
	}
	return out
}

// Usages of certificates (RFC 7218 §2.1).
const (
	usageTA = 2 // DANE-TA
	usageEE = 3 // DANE-EE
)

// errDANE: the server is not who DNS says it is.
var errDANE = errors.New("no TLSA record names the server's certificate")

// matchDANE looks for a record that names the certificate, or an authority of its
// chain. Of DANE-EE neither name nor time matters (RFC 7672 §3.1.1).
func matchDANE(records []*dns.TLSA, c *tls.ConnectionState, host string) error {
	for _, t := range records {
		for i, cert := range c.PeerCertificates {
			if t.Usage == usageEE && i > 0 || t.Verify(cert) != nil {
				continue
			}
			if t.Usage == usageEE {
				return nil
			}
			anchor := x509.NewCertPool()
			anchor.AddCert(cert)
			if verifyName(c, anchor, host) == nil {
				return nil
			}
		}
	}
	return errDANE
}

// tlsResult is the word of TLS reports for a failed handshake (RFC 8460 §4.3).
func tlsResult(p *tlsPolicy, err error) string {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errDANE):
		return "validation-failure"
	case errors.As(err, &host):
		return "certificate-host-mismatch"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate-expired"
	case errors.As(err, &unknown):
		return "certificate-not-trusted"
	case p.source == bySTS && strings.Contains(err.Error(), "x509"):
		return "sts-webpki-invalid"
	}
	return "validation-failure"
}
