package outbound

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"trunkline/gateway/smtp/resolver"
)

// Record is a DNS record that a sending domain should have.
type Record struct {
	Purpose  string // SPF, DKIM, …
	Name     string // without a dot at its end
	Kind     string // TXT or MX
	Value    string
	Optional bool // mail arrives without it, too

	prefix string // by which the published one is found among others
	needs  []string
}

// RecordState is how the published record compares.
type RecordState string

// The states.
const (
	RecordRight   RecordState = "ok"
	RecordMissing RecordState = "MISSING"
	RecordWrong   RecordState = "WRONG"
	RecordUnknown RecordState = "not known" // no name server tells
)

// Records are those that mail from a domain needs, and those that are good to have.
func (c *Config) Records(domain, hostname string) (all []Record, err error) {
	if hostname == "" {
		return nil, errors.New("email.hostname does not say by which name the gateway greets; SPF has to name it")
	}
	d := &Domain{Domain: domain}
	found := false
	for i := range c.Domains {
		if name, err := ASCII(c.Domains[i].Domain); err == nil && name == domain {
			d, found = &c.Domains[i], true
		}
	}
	for _, id := range c.Identities {
		name, err := ASCII(id.Address[strings.LastIndexByte(id.Address, '@')+1:])
		found = found || err == nil && name == domain
	}
	if !found {
		return nil, fmt.Errorf("no mail is sent from %s: neither email.domains nor the address of an identity names it", domain)
	}
	returns := domain
	if d.ReturnPath != "" {
		if returns, err = ASCII(d.ReturnPath); err != nil {
			return nil, err
		}
	}
	all = append(all, c.spf(returns, hostname))
	for i := range d.DKIM {
		name, text, err := d.DKIM[i].Record()
		if err != nil {
			return nil, err
		}
		all = append(all, Record{Purpose: "DKIM " + d.DKIM[i].Selector, Name: name + "." + domain, Kind: "TXT", Value: text, needs: []string{publicKey(text)}})
	}
	return append(all,
		Record{Purpose: "DMARC", Name: "_dmarc." + domain, Kind: "TXT", Value: "v=DMARC1; p=quarantine; rua=mailto:postmaster@" + domain, prefix: "v=DMARC1"},
		Record{Purpose: "bounces", Name: returns, Kind: "MX", Value: "10 " + hostname + ".", needs: []string{hostname}},
		Record{Purpose: "MTA-STS", Name: "_mta-sts." + domain, Kind: "TXT", Value: "v=STSv1; id=1", prefix: "v=STSv1", Optional: true},
		Record{Purpose: "TLS-RPT", Name: "_smtp._tls." + domain, Kind: "TXT", Value: "v=TLSRPTv1; rua=mailto:postmaster@" + domain, prefix: "v=TLSRPTv1", Optional: true},
	), nil
}

// spf names the servers that mail leaves by (RFC 7208): this one, or the smart host, whose
// provider says what to include.
func (c *Config) spf(domain, hostname string) Record {
	r := Record{Purpose: "SPF", Name: domain, Kind: "TXT", Value: "v=spf1 a:" + hostname + " ~all", prefix: "v=spf1"}
	if c.SmartHost != nil {
		host, _, _ := strings.Cut(c.SmartHost.Address, ":")
		r.Value = "v=spf1 a:" + host + " ~all"
	}
	return r
}

// publicKey is the p= of a DKIM record without what zone files put between.
func publicKey(text string) string {
	for field := range strings.SplitSeq(text, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(field), "="); k == "p" {
			return strings.Join(strings.Fields(v), "")
		}
	}
	return ""
}

// Check compares the record with what is published.
func (x *Record) Check(ctx context.Context, r *resolver.Resolver) (state RecordState, found string) {
	values, err := x.published(ctx, r)
	switch {
	case errors.Is(err, resolver.ErrNone) || err == nil && len(values) == 0:
		return RecordMissing, ""
	case err != nil:
		return RecordUnknown, err.Error()
	case x.Kind == "TXT" && x.prefix != "" && len(values) > 1: // RFC 7208 §3.2, RFC 7489 §6.6.3: several are none
		return RecordWrong, strings.Join(values, " and ")
	}
	found = strings.Join(values, ", ")
	if x.Purpose == "SPF" && len(strings.Fields(found)) < 3 { // v=spf1 -all: nothing may send
		return RecordWrong, found
	}
	for _, need := range x.needs {
		if !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, need) || publicKey(v) == need }) {
			return RecordWrong, found
		}
	}
	return RecordRight, found
}

// published lists the records of the kind and purpose.
func (x *Record) published(ctx context.Context, r *resolver.Resolver) (values []string, err error) {
	if x.Kind == "MX" {
		all, _, err := r.MX(ctx, dns.Fqdn(x.Name))
		for _, mx := range all {
			values = append(values, fmt.Sprintf("%d %s", mx.Preference, mx.Host))
		}
		return values, err
	}
	all, err := r.TXT(ctx, x.Name)
	for _, text := range all {
		if strings.HasPrefix(strings.ToLower(text), strings.ToLower(x.prefix)) {
			values = append(values, text)
		}
	}
	return values, err
}
