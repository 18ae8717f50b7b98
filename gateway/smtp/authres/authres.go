// Package authres tells whether a mail is from whom it says: SPF (RFC 7208), DKIM
// (RFC 6376) and DMARC (RFC 7489), bounded in time and in questions to name servers.
// It refuses nothing: what follows from a result is its caller's business.
package authres

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// Results, in the words of RFC 8601 §2.7.
const (
	None      = "none"
	Pass      = "pass"
	Fail      = "fail"
	TempError = "temperror"
	PermError = "permerror"
)

// Bounds per mail. SPF's own are those of RFC 7208 §4.6.4.
const (
	signaturesMost = 5
	questionsMost  = 40
)

// Resolver asks name servers. *net.Resolver is one.
type Resolver = spf.DNSResolver

// Verifier looks at mails. It may be used concurrently.
type Verifier struct {
	resolver Resolver
	timeout  time.Duration
}

// New makes a verifier, which spends at most timeout on a mail besides receiving it.
func New(r Resolver, timeout time.Duration) *Verifier { return &Verifier{r, timeout} }

// Results are what was found out about a mail.
type Results struct {
	SPF, DKIM, DMARC string
	// Refuse: the domain of the sender asks that mails which fail be refused
	// (RFC 7489 §6.3, p=reject), and this one fails.
	Refuse bool
}

// Check is the examination of one mail. What can begin before the mail is there does.
type Check struct {
	v         *Verifier
	ctx       context.Context
	cancel    context.CancelFunc
	questions atomic.Int32
	from      string // domain of the return path, or of HELO when there is none
	spf       chan string
	signed    *signed
}

// Begin begins to examine a mail from a host that called itself helo, with a return
// path. The mail is written into the check; then [Check.Results] is called, or [Check.Close].
func (v *Verifier) Begin(peer netip.Addr, helo, returnPath string) *Check {
	c := &Check{v: v, spf: make(chan string, 1), from: domainOf(returnPath)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if returnPath == "" {
		c.from = helo
	}
	go func() {
		ctx, cancel := context.WithTimeout(c.ctx, v.timeout)
		defer cancel()
		c.spf <- c.checkSPF(ctx, peer, helo, returnPath)
	}()
	c.signed = newSigned(func(name string) ([]string, error) {
		ctx, cancel := context.WithTimeout(c.ctx, v.timeout)
		defer cancel()
		return c.LookupTXT(ctx, name)
	})
	return c
}

// Write takes octets of the mail. It never fails.
func (c *Check) Write(b []byte) (int, error) {
	c.signed.write(b)
	return len(b), nil
}

// Close gives a check up.
func (c *Check) Close() {
	c.cancel()
	c.signed.end()
}

// Results waits for what is still unknown when all of the mail was written. header is
// the domain of its From field; empty when there is none, or more than one.
func (c *Check) Results(header string) Results {
	defer c.Close()
	c.signed.end()
	late := time.AfterFunc(c.v.timeout, c.cancel)
	defer late.Stop()
	r := Results{SPF: <-c.spf}
	var domains []string
	r.DKIM, domains = c.signed.result()
	r.DMARC, r.Refuse = c.checkDMARC(header, r.SPF == Pass, domains)
	return r
}

func (c *Check) checkSPF(ctx context.Context, peer netip.Addr, helo, returnPath string) string {
	result, _ := spf.CheckHostWithSender(net.IP(peer.AsSlice()), helo, returnPath, spf.WithContext(ctx), spf.WithResolver(c))
	return string(result)
}

// checkDMARC looks for the policy of the From field's domain, or of its organisation, and
// whether SPF or a signature speaks for it (RFC 7489 §6.6).
func (c *Check) checkDMARC(header string, spfPassed bool, signers []string) (result string, refuse bool) {
	header = strings.ToLower(strings.TrimSuffix(header, "."))
	if header == "" {
		return PermError, false
	}
	record, inherited, err := c.policy(header)
	switch {
	case errors.Is(err, dmarc.ErrNoPolicy):
		return None, false
	case dmarc.IsTempFail(err), c.ctx.Err() != nil, isTemporary(err):
		return TempError, false
	case err != nil:
		return PermError, false
	}
	if spfPassed && aligned(c.from, header, record.SPFAlignment) {
		return Pass, false
	}
	for _, d := range signers {
		if aligned(d, header, record.DKIMAlignment) {
			return Pass, false
		}
	}
	policy := record.Policy
	if inherited && record.SubdomainPolicy != "" {
		policy = record.SubdomainPolicy
	}
	whole := record.Percent == nil || *record.Percent == 100 // a domain that still tries its policy out
	return Fail, policy == dmarc.PolicyReject && whole
}

func (c *Check) policy(domain string) (record *dmarc.Record, inherited bool, err error) {
	options := &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) {
		ctx, cancel := context.WithTimeout(c.ctx, c.v.timeout)
		defer cancel()
		return c.LookupTXT(ctx, name)
	}}
	record, err = dmarc.LookupWithOptions(domain, options)
	if org := organisation(domain); errors.Is(err, dmarc.ErrNoPolicy) && org != domain {
		record, err = dmarc.LookupWithOptions(org, options)
		inherited = true
	}
	return record, inherited, err
}

// aligned tells whether a domain that is proved speaks for another (RFC 7489 §3.1).
func aligned(proved, header string, mode dmarc.AlignmentMode) bool {
	proved = strings.ToLower(strings.TrimSuffix(proved, "."))
	if mode == dmarc.AlignmentStrict {
		return proved == header
	}
	return organisation(proved) == organisation(header)
}

// organisation is the domain that somebody registered, of which domain is a part.
func organisation(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

var errQuestions = &net.DNSError{Err: "too many questions about one mail", IsTemporary: true}

func isTemporary(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && (e.IsTemporary || e.IsTimeout)
}

// ask counts a question.
func (c *Check) ask() error {
	if c.questions.Add(1) > questionsMost {
		return errQuestions
	}
	return nil
}

// LookupTXT implements Resolver, within the bounds of a mail, as the following do.
func (c *Check) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c.v.resolver.LookupTXT(ctx, name)
}

// LookupMX implements Resolver.
func (c *Check) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c.v.resolver.LookupMX(ctx, name)
}

// LookupIPAddr implements Resolver.
func (c *Check) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c.v.resolver.LookupIPAddr(ctx, host)
}

// LookupAddr implements Resolver.
func (c *Check) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c.v.resolver.LookupAddr(ctx, addr)
}
