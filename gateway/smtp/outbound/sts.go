package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"trunkline/gateway/smtp/resolver"
)

// Modes of an MTA-STS policy (RFC 8461 §3.2).
const (
	stsEnforce = "enforce"
	stsTesting = "testing"
	stsNone    = "none"
)

// Bounds of policies (RFC 8461 §3.2 and §3.3).
const (
	stsSize     = 64 << 10
	stsTime     = 30 * time.Second
	stsLongest  = 31557600 * time.Second
	stsCached   = 20_000          // domains whose policies are remembered
	stsAgain    = 5 * time.Minute // before a policy that could not be fetched is asked for again
	stsPatterns = 100
	stsName     = 255 // octets of a pattern
)

// stsPolicy is what a domain publishes of its servers.
type stsPolicy struct {
	mode string
	mx   []string // names, or *.name
	id   string   // of the record in DNS
	age  time.Duration
}

// names tells whether a mail exchanger is one of the policy's (RFC 8461 §4.1).
func (p *stsPolicy) names(host string) bool {
	for _, m := range p.mx {
		if m == host {
			return true
		}
		if below, ok := strings.CutPrefix(m, "*."); ok {
			if _, parent, ok := strings.Cut(host, "."); ok && parent == below {
				return true
			}
		}
	}
	return false
}

// parseSTS reads a policy file.
func parseSTS(r io.Reader) (*stsPolicy, error) {
	p := new(stsPolicy)
	seen := map[string]bool{}
	lines := bufio.NewScanner(io.LimitReader(r, stsSize))
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key != "mx" && seen[key] { // of a field that comes twice the first one counts
			continue
		}
		seen[key] = true
		switch key {
		case "version":
			if value != "STSv1" {
				return nil, fmt.Errorf("version %.20q is not STSv1", value)
			}
		case "mode":
			p.mode = value
		case "max_age":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("max_age %.20q is no number", value)
			}
			p.age = min(time.Duration(n)*time.Second, stsLongest)
		case "mx":
			if len(p.mx) < stsPatterns && len(value) <= stsName {
				p.mx = append(p.mx, strings.TrimSuffix(strings.ToLower(value), "."))
			}
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case !seen["version"] || !seen["max_age"]:
		return nil, errors.New("the policy lacks version or max_age")
	case p.mode != stsEnforce && p.mode != stsTesting && p.mode != stsNone:
		return nil, fmt.Errorf("mode %.20q is none of enforce, testing and none", p.mode)
	case p.mode != stsNone && len(p.mx) == 0:
		return nil, errors.New("the policy names no mx")
	}
	return p, nil
}

// stsStore fetches policies and remembers them. A policy that was fetched once holds for
// its time, also when DNS or the server say nothing any more (RFC 8461 §5.1).
type stsStore struct {
	resolver *resolver.Resolver
	client   *http.Client
	now      func() time.Time
	failed   func(reason string) // counts

	mu      sync.Mutex
	known   map[string]*stsEntry
	changed bool // since the policies were written
}

type stsEntry struct {
	policy *stsPolicy // nil: none is known
	until  time.Time  // the policy holds
	again  time.Time  // a failure is not repeated before
}

// newSTS makes a store that reaches only addresses that may be reached.
func newSTS(r *resolver.Resolver, roots *x509.CertPool, now func() time.Time, port string, may func(netip.Addr) bool, failed func(string)) *stsStore {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		all, _, err := r.Addresses(ctx, host)
		if err != nil {
			return nil, err
		}
		err = fmt.Errorf("%s has private addresses only", host)
		for _, a := range all[:min(len(all), 3)] {
			if !may(a) {
				continue
			}
			var c net.Conn
			if c, err = new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
				return c, nil
			}
		}
		return nil, err
	}
	return &stsStore{resolver: r, now: now, failed: failed, known: map[string]*stsEntry{}, client: &http.Client{
		Timeout: stsTime,
		Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: stsSize,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // RFC 8461 §3.3
	}}
}

// policy is what a domain wants; nil: nothing. The error tells why it is not known.
func (s *stsStore) policy(ctx context.Context, domain string) (*stsPolicy, error) {
	entry := s.entry(domain)
	now := s.now()
	held := entry.policy
	if held != nil && !now.Before(entry.until) {
		held = nil
	}
	if now.Before(entry.again) {
		return effective(held), nil
	}
	id, err := s.id(ctx, domain)
	if id == "" || held != nil && held.id == id {
		if err != nil {
			s.remember(domain, &stsEntry{held, entry.until, now.Add(stsAgain)})
		}
		return effective(held), err
	}
	fresh, err := s.fetch(ctx, domain)
	if err != nil {
		s.failed("sts-policy-fetch-error")
		s.remember(domain, &stsEntry{held, entry.until, now.Add(stsAgain)})
		return effective(held), fmt.Errorf("the MTA-STS policy of %s: %w", domain, err)
	}
	fresh.id = id
	s.remember(domain, &stsEntry{policy: fresh, until: now.Add(fresh.age)})
	return effective(fresh), nil
}

func effective(p *stsPolicy) *stsPolicy {
	if p == nil || p.mode == stsNone {
		return nil
	}
	return p
}

func (s *stsStore) entry(domain string) stsEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.known[domain]; e != nil {
		return *e
	}
	return stsEntry{}
}

func (s *stsStore) remember(domain string, e *stsEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[domain] == nil && len(s.known) >= stsCached {
		for other := range s.known { // any
			delete(s.known, other)
			break
		}
	}
	if old := s.known[domain]; e.policy != nil && (old == nil || old.policy != e.policy) {
		s.changed = true
	}
	s.known[domain] = e
}

// id reads the record that says that there is a policy, and which; "" without one
// (RFC 8461 §3.1).
func (s *stsStore) id(ctx context.Context, domain string) (string, error) {
	texts, err := s.resolver.TXT(ctx, "_mta-sts."+domain)
	if errors.Is(err, resolver.ErrNone) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, n := "", 0
	for _, t := range texts {
		if !strings.HasPrefix(t, "v=STSv1;") && t != "v=STSv1" {
			continue
		}
		n++
		for field := range strings.SplitSeq(t, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(field), "="); k == "id" {
				id = v
			}
		}
	}
	if n != 1 { // several are none
		return "", nil
	}
	return id, nil
}

func (s *stsStore) fetch(ctx context.Context, domain string) (*stsPolicy, error) {
	ctx, cancel := context.WithTimeout(ctx, stsTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	return parseSTS(res.Body)
}
