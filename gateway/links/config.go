package links

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is the section links of the configuration.
type Config struct {
	Listen  string         `yaml:"listen" default:"" doc:"host:port that short links are answered at, such as 0.0.0.0:8081; \"\" switches short links off."`
	BaseURL string         `yaml:"base_url" default:"" max:"200" doc:"What short links begin with, such as https://l.example.org: a domain of yours that leads to listen. The shorter, the more room a message has."`
	TTL     time.Duration  `yaml:"ttl" default:"100d" min:"1m" max:"1095d" doc:"How long a link leads somewhere; after that, those who follow it are told that it has expired."`
	TLS     *TLS           `yaml:"tls" doc:"Speak HTTPS. Not needed behind a proxy that does."`
	Proxies []netip.Prefix `yaml:"proxies" max:"100" doc:"Networks of our own proxies, such as 10.0.0.0/8: of requests from there, X-Forwarded-For tells whom they come from."`
	Rate    int            `yaml:"rate" default:"50" min:"1" max:"100000" doc:"Requests per second from one address; a link that does not exist counts tenfold. Many phones share the address of their carrier."`

	Connections int `yaml:"connections" default:"2000" min:"10" max:"100000" doc:"Connections at the same time; further ones are closed."`
}

// TLS is our side of an encrypted connection. The files are read again when they
// change.
type TLS struct {
	Cert string `yaml:"cert" required:"true" doc:"File with our certificate chain (PEM)."`
	Key  string `yaml:"key" required:"true" doc:"File with its private key (PEM)."`
}

// FieldError is a fault of the configuration at a path such as proxies[2],
// relative to the section.
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// Enabled says whether there are short links.
func (c *Config) Enabled() bool { return c.Listen != "" }

// Base is BaseURL without a slash at its end.
func (c *Config) Base() string {
	if !c.Enabled() {
		return ""
	}
	return strings.TrimRight(c.BaseURL, "/")
}

// Validate returns every fault that the tags of the fields do not tell, joined.
func (c *Config) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, &FieldError{path, fmt.Sprintf(format, args...)})
	}
	switch {
	case c.Listen == "" && c.BaseURL != "":
		fault("listen", "without an address to listen at nobody answers the links of base_url; say one, such as 127.0.0.1:8081")
	case c.Listen != "" && c.BaseURL == "":
		fault("base_url", "say what short links begin with, such as https://l.example.org")
	case c.Listen != "":
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			fault("listen", "%q is not host:port", c.Listen)
		}
		if err := checkBase(c.BaseURL); err != nil {
			fault("base_url", "%v", err)
		}
	}
	for i, p := range c.Proxies {
		if !p.IsValid() || p.Addr().Is4In6() {
			fault(fmt.Sprintf("proxies[%d]", i), "%s is no network such as 10.0.0.0/8 or fd12:3456::/32", p)
		}
	}
	if c.TLS != nil {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			fault("tls", "%v", err)
		}
	}
	return errors.Join(faults...)
}

func checkBase(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is not a URL such as https://l.example.org", base)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the scheme %q is neither https nor http", u.Scheme)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("user, query and fragment have no place in it")
	}
	for i := range len(base) {
		if base[i] <= ' ' || base[i] > '~' {
			return errors.New("write it in ASCII: xn--… for other letters of a host, %… in a path")
		}
	}
	return nil
}
