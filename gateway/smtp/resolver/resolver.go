// Package resolver asks name servers what mail needs to know of a domain: mail
// exchangers, addresses, texts, certificates. It owns the questions, a bounded cache and
// the trust in answers (DNSSEC's AD bit). Which servers are asked is configuration, so
// tests run against one of their own. It knows nothing of mail's policies.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// ErrNone tells that the name does not exist, or has no record of the kind. It is an answer, not
// a failure.
var ErrNone = errors.New("there is no such record")

// Config is the section `dns:` of mail.
type Config struct {
	Servers []string      `yaml:"servers" max:"8" doc:"Name servers as address or address:port, such as 127.0.0.1:53. Default: those of /etc/resolv.conf."`
	TrustAD bool          `yaml:"trust_ad" default:"false" doc:"The servers validate DNSSEC and nobody can change what they say on the way, as with one on this machine: their AD bit is believed, and DANE is used (RFC 7672)."`
	Timeout time.Duration `yaml:"timeout" default:"5s" min:"100ms" max:"30s" doc:"Time for one question to one server."`
}

// Validate returns every fault of the section, by the path of its field.
func (c *Config) Validate(fault func(path, reason string)) {
	for i, s := range c.Servers {
		if _, err := serverAddress(s); err != nil {
			fault(fmt.Sprintf("servers[%d]", i), err.Error())
		}
	}
}

func serverAddress(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.String(), nil
	}
	return "", fmt.Errorf("%q is not an address such as 127.0.0.1 or 127.0.0.1:53", s)
}

// tries is how often each server is asked before a question is given up.
const tries = 2

// Resolver asks name servers. It may be used concurrently.
type Resolver struct {
	servers []string
	trust   bool
	udp     dns.Client
	tcp     dns.Client
	cache   cache
	asking  singleflight.Group
	now     func() time.Time
}

// New makes a resolver. Without servers those of the system are asked.
func New(c Config) (*Resolver, error) {
	r := &Resolver{trust: c.TrustAD, now: time.Now}
	r.udp = dns.Client{Net: "udp", Timeout: c.Timeout, UDPSize: udpSize}
	r.tcp = dns.Client{Net: "tcp", Timeout: c.Timeout}
	for _, s := range c.Servers {
		a, err := serverAddress(s)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, a)
	}
	if len(r.servers) == 0 {
		system, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil || len(system.Servers) == 0 {
			system = &dns.ClientConfig{Servers: []string{"127.0.0.1"}, Port: "53"}
		}
		for _, s := range system.Servers {
			r.servers = append(r.servers, net.JoinHostPort(s, system.Port))
		}
	}
	return r, nil
}

// udpSize avoids fragments (DNS Flag Day 2020).
const udpSize = 1232

// Answer is what is known of a name.
type Answer struct {
	Records []dns.RR
	Secure  bool // validated by DNSSEC, and the servers are trusted to say so
	none    bool
	until   time.Time
}

// Ask looks a name up. Without a record the error is [ErrNone], and the answer tells
// whether that is proven. Any other error is temporary.
func (r *Resolver) Ask(ctx context.Context, name string, kind uint16) (Answer, error) {
	q := question{dns.CanonicalName(name), kind}
	if _, ok := dns.IsDomainName(q.name); !ok || len(q.name) > 254 {
		return Answer{}, fmt.Errorf("%w: %.80q is not a name", ErrNone, name)
	}
	if a, ok := r.cache.get(q, r.now()); ok {
		return a, a.err(q)
	}
	v, err, _ := r.asking.Do(q.String(), func() (any, error) {
		// Whoever asks the same waits too: the first one's end is not theirs.
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.udp.Timeout*time.Duration(2*tries*len(r.servers)))
		defer cancel()
		a, err := r.ask(shared, q)
		if err == nil {
			r.cache.put(q, a)
		}
		return a, err
	})
	a, _ := v.(Answer)
	if err == nil {
		err = a.err(q)
	}
	return a, err
}

func (a *Answer) err(q question) error {
	if a.none {
		return fmt.Errorf("%s: %w", q, ErrNone)
	}
	return nil
}

type question struct {
	name string // in canonical form
	kind uint16
}

func (q question) String() string {
	return dns.TypeToString[q.kind] + " of " + strings.TrimSuffix(q.name, ".")
}

// ask asks one server after the other until one answers.
func (r *Resolver) ask(ctx context.Context, q question) (a Answer, err error) {
	for range tries {
		for _, server := range r.servers {
			var m *dns.Msg
			if m, err = r.exchange(ctx, server, q); err == nil {
				return r.read(m, q), nil
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	return a, fmt.Errorf("%s: %w", q, err)
}

// exchange puts a question to a server, again over TCP when the answer is cut off.
func (r *Resolver) exchange(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.kind)
	m.AuthenticatedData = r.trust // RFC 6840 §5.7: tell whether it is validated
	m.SetEdns0(udpSize, false)
	answer, _, err := r.udp.ExchangeContext(ctx, m, server)
	if err == nil && answer.Truncated {
		answer, _, err = r.tcp.ExchangeContext(ctx, m, server)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("name server %s: %w", server, err)
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("name server %s: %s", server, dns.RcodeToString[answer.Rcode])
	case len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, q.name) || answer.Question[0].Qtype != q.kind:
		return nil, fmt.Errorf("name server %s answers another question", server)
	}
	return answer, nil
}

// Times for which an answer is believed, whatever its TTL says.
const (
	ttlLeast    = 10 * time.Second
	ttlMost     = time.Hour
	ttlNegative = 5 * time.Minute
)

// recordsMost bounds what is kept of one answer.
const recordsMost = 64

// aliasesMost is how many aliases are followed from a name.
const aliasesMost = 8

// owner is the name that the records of a question belong to: aliases are followed as the
// answer has them. What it says of other names was not asked for, and is not believed.
func owner(m *dns.Msg, name string) string {
	for range aliasesMost {
		next := ""
		for _, rr := range m.Answer {
			if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, name) {
				next = dns.CanonicalName(alias.Target)
				break
			}
		}
		if next == "" {
			return name
		}
		name = next
	}
	return ""
}

// read takes the records of the kind out of an answer.
func (r *Resolver) read(m *dns.Msg, q question) Answer {
	a := Answer{Secure: r.trust && m.AuthenticatedData}
	ttl, name := ttlMost, owner(m, q.name)
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == q.kind && strings.EqualFold(rr.Header().Name, name) && len(a.Records) < recordsMost {
			a.Records = append(a.Records, rr)
		}
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
	}
	if len(a.Records) == 0 {
		a.none, ttl = true, ttlNegative
		for _, rr := range m.Ns {
			if soa, ok := rr.(*dns.SOA); ok { // RFC 2308 §5
				ttl = min(ttl, time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second)
			}
		}
	}
	a.until = r.now().Add(max(ttl, ttlLeast))
	return a
}

// MX is a mail exchanger.
type MX struct {
	Host       string // lower case, without a dot at its end; empty in a null MX (RFC 7505)
	Preference uint16
}

// MX lists the mail exchangers of a domain by preference, equal ones in random order
// (RFC 5321 §5.1).
func (r *Resolver) MX(ctx context.Context, domain string) (all []MX, secure bool, err error) {
	a, err := r.Ask(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, a.Secure, err
	}
	for _, rr := range a.Records {
		if mx, ok := rr.(*dns.MX); ok {
			all = append(all, MX{strings.TrimSuffix(dns.CanonicalName(mx.Mx), "."), mx.Preference})
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	sortStable(all)
	return all, a.Secure, nil
}

// Addresses lists the addresses of a host, IPv6 and IPv4 by turns. ErrNone: it has none.
func (r *Resolver) Addresses(ctx context.Context, host string) (all []netip.Addr, secure bool, err error) {
	four, err4 := r.Ask(ctx, host, dns.TypeA)
	six, err6 := r.Ask(ctx, host, dns.TypeAAAA)
	for i := range max(len(four.Records), len(six.Records)) {
		if i < len(six.Records) {
			if rr, ok := six.Records[i].(*dns.AAAA); ok {
				all = appendAddress(all, rr.AAAA)
			}
		}
		if i < len(four.Records) {
			if rr, ok := four.Records[i].(*dns.A); ok {
				all = appendAddress(all, rr.A)
			}
		}
	}
	if len(all) == 0 {
		if err4 == nil || errors.Is(err4, ErrNone) && err6 != nil {
			err4 = err6
		}
		if err4 == nil {
			err4 = ErrNone
		}
		return nil, four.Secure && six.Secure, err4
	}
	return all, (err4 != nil || four.Secure) && (err6 != nil || six.Secure), nil
}

func appendAddress(all []netip.Addr, ip net.IP) []netip.Addr {
	if a, ok := netip.AddrFromSlice(ip); ok {
		all = append(all, a.Unmap())
	}
	return all
}

// TXT lists the texts of a name, each joined of its parts.
func (r *Resolver) TXT(ctx context.Context, name string) (all []string, err error) {
	a, err := r.Ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, rr := range a.Records {
		if txt, ok := rr.(*dns.TXT); ok {
			all = append(all, strings.Join(txt.Txt, ""))
		}
	}
	return all, nil
}

// TLSA lists what DANE says of a host's port, and whether that is validated.
func (r *Resolver) TLSA(ctx context.Context, host string, port uint16) (all []*dns.TLSA, secure bool, err error) {
	a, err := r.Ask(ctx, fmt.Sprintf("_%d._tcp.%s", port, host), dns.TypeTLSA)
	if err != nil {
		return nil, a.Secure, err
	}
	for _, rr := range a.Records {
		if t, ok := rr.(*dns.TLSA); ok {
			all = append(all, t)
		}
	}
	return all, a.Secure, nil
}
