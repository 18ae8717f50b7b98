package webhook

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"time"
)

// Bounds that no configuration widens.
const (
	maxBody       = 256 << 10 // octets of a request or an answer (rule X9)
	maxRetries    = 3         // after the first attempt (rule X9)
	maxTimeout    = time.Minute
	maxRedirects  = 3
	maxHeaders    = 50
	maxHeaderSize = 16 << 10 // octets of all names and values of a request
	maxAnswerHead = 64 << 10 // octets of an answer's header
	maxURL        = 2048
	maxID         = 255
	maxSecrets    = 10
)

// Config is the section `http:` of the daemon's configuration: how the gateway
// calls APIs and delivers webhooks.
type Config struct {
	AllowPrivate       []netip.Prefix `yaml:"allow_private" doc:"Networks that requests may go to although they are private, such as 10.1.2.0/24; all other private, local and reserved addresses are refused."`
	Timeout            time.Duration  `yaml:"timeout" doc:"Time for one attempt, from the search for the host to the last octet of the answer, where a request names none." default:"10s" min:"100ms" max:"1m"`
	Retries            int            `yaml:"retries" doc:"Attempts after the first one, where a request names none." default:"3" min:"0" max:"3"`
	Concurrency        int            `yaml:"concurrency" doc:"Requests on their way at once." default:"64" min:"1" max:"10000"`
	ConcurrencyPerHost int            `yaml:"concurrency_per_host" doc:"Requests on their way to one host at once, so that a slow one does not hold up the others." default:"8" min:"1" max:"10000"`
	Queue              int            `yaml:"queue" doc:"Requests that wait in memory for their turn or their next attempt; what comes on top is retried later." default:"1000" min:"1" max:"100000"`
	QueuePerHost       int            `yaml:"queue_per_host" doc:"The same for one host." default:"250" min:"1" max:"100000"`
	MaxBody            int            `yaml:"max_body" doc:"Largest body in octets that is sent, and that is kept of an answer." default:"262144" min:"1024" max:"262144"`
	UserAgent          string         `yaml:"user_agent" doc:"User-Agent of requests that name none." default:"trunkline" max:"200"`
	Proxy              string         `yaml:"proxy" doc:"Proxy that requests go through: http://, https:// or socks5://host:port. It looks hosts up, so it has to refuse private addresses itself. Variables such as HTTPS_PROXY are not read." secret:"true"`
	CA                 string         `yaml:"ca" doc:"File with authorities (PEM) that are trusted besides those of the system."`
	DrainTimeout       time.Duration  `yaml:"drain_timeout" doc:"Time that requests on their way have to be answered when the daemon stops." default:"5s" min:"0s" max:"1m"`
}

// FieldError is a fault of the configuration at a path such as allow_private[2],
// relative to the section.
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// faults collects field errors; all are reported, not the first.
type faults []error

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, &FieldError{path, fmt.Sprintf(format, args...)})
}

func (f *faults) within(path string, v, low, high int) {
	if v < low || v > high {
		f.add(path, "%d is not between %d and %d", v, low, high)
	}
}

func (f *faults) between(path string, v, low, high time.Duration) {
	if v < low || v > high {
		f.add(path, "%s is not between %s and %s", v, low, high)
	}
}

// Validate returns every fault of the section as a *[FieldError], joined.
func (c *Config) Validate() error {
	var f faults
	for i, p := range c.AllowPrivate {
		if !p.IsValid() || p.Addr().Is4In6() {
			f.add(fmt.Sprintf("allow_private[%d]", i), "%s is no network such as 10.1.2.0/24 or fd12:3456::/32", p)
		}
	}
	f.between("timeout", c.Timeout, time.Millisecond, maxTimeout)
	f.between("drain_timeout", c.DrainTimeout, 0, maxTimeout)
	f.within("retries", c.Retries, 0, maxRetries)
	f.within("concurrency", c.Concurrency, 1, 10_000)
	f.within("concurrency_per_host", c.ConcurrencyPerHost, 1, 10_000)
	f.within("queue", c.Queue, 1, 100_000)
	f.within("queue_per_host", c.QueuePerHost, 1, 100_000)
	f.within("max_body", c.MaxBody, 1, maxBody)
	if !fieldValue(c.UserAgent) {
		f.add("user_agent", "it holds characters that a header cannot carry")
	}
	if _, err := c.proxy(); err != nil {
		f.add("proxy", "%v", err)
	}
	if _, err := c.authorities(); err != nil {
		f.add("ca", "%v", err)
	}
	return errors.Join(f...)
}

// proxy is the proxy's address, or nil. Errors don't repeat it: it may hold a
// password.
func (c *Config) proxy() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, errors.New("it is not of the form http://host:port")
	}
	switch u.Scheme {
	case "http", "https", "socks5":
		return u, nil
	}
	return nil, errors.New("its scheme is none of http, https and socks5")
}

// authorities are those that certificates may come from; nil means those of the
// system.
func (c *Config) authorities() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", c.CA)
	}
	return pool, nil
}
