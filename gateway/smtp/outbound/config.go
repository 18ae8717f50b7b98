package outbound

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"trunkline/gateway/smtp"
	"trunkline/gateway/smtp/resolver"
)

// Config is the section `email:` of the daemon's configuration: how mail is sent.
type Config struct {
	Hostname   string          `yaml:"hostname" default:"" max:"255" doc:"Name by which the gateway greets other servers; its address should lead back to it. Default: that of smtp, or the name of the machine."`
	Identities []Identity      `yaml:"identities" max:"1000" doc:"Who mail comes from. None switches sending off."`
	Domains    []Domain        `yaml:"domains" max:"1000" doc:"Domains that mail comes from, where something is to be said of them: signatures, return path, warm-up."`
	DNS        resolver.Config `yaml:"dns" doc:"Name servers that are asked about recipients' domains."`
	SmartHost  *SmartHost      `yaml:"smart_host" doc:"Server that takes all mail for delivery; without one, mail goes to the servers of its recipients."`

	TLS          string         `yaml:"tls" enum:"none,opportunistic,required,verified" default:"opportunistic" doc:"How connections are encrypted: opportunistic does it where the server offers it, required sends nothing in the clear, verified also wants a certificate for the server's name. What a domain asks for by MTA-STS or DANE is held in any case but none."`
	MTASTS       bool           `yaml:"mta_sts" default:"true" doc:"Look for policies of domains that say which servers they have and that these are to be verified (RFC 8461)."`
	CA           string         `yaml:"ca" doc:"File with authorities (PEM) that are trusted besides those of the system."`
	AllowPrivate []netip.Prefix `yaml:"allow_private" max:"100" doc:"Networks that mail may go to although they are private, such as 10.1.2.0/24. All other private, local and reserved addresses are refused where DNS names them; smart_host and destinations are not asked."`
	Destinations []Destination  `yaml:"destinations" max:"10000" doc:"Domains of recipients for which something else holds."`

	Connections           int           `yaml:"connections" default:"500" min:"1" max:"20000" doc:"Connections to all servers at once."`
	ConnectionsPerDomain  int           `yaml:"connections_per_domain" default:"10" min:"1" max:"1000" doc:"Connections to one domain at once, or to the smart host; fewer while it is slow or asks for less."`
	RatePerDomain         float64       `yaml:"rate_per_domain" default:"0" min:"0" max:"100000" doc:"Messages per second to one domain; 0: as many as it takes."`
	MessagesPerConnection int           `yaml:"messages_per_connection" default:"100" min:"1" max:"100000" doc:"Messages after which a connection is closed."`
	IdleTimeout           time.Duration `yaml:"idle_timeout" default:"5s" min:"0s" max:"4m" doc:"How long a connection waits for the next message."`
	ConnectTimeout        time.Duration `yaml:"connect_timeout" default:"30s" min:"1s" max:"5m" doc:"Time for a connection to come about. What follows has the times of RFC 5321 §4.5.3.2."`
	Queue                 int           `yaml:"queue" default:"1000" min:"10" max:"100000" doc:"Messages that wait in memory; the rest waits in the store."`
	DrainTimeout          time.Duration `yaml:"drain_timeout" default:"10s" min:"0s" max:"10m" doc:"Time that mails on their way have to be answered when the daemon stops."`
}

// Identity is somebody whom mail comes from.
type Identity struct {
	Name    string `yaml:"identity" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Stable name, by which elements call it: a–z, 0–9 and -."`
	Address string `yaml:"address" required:"true" max:"254" doc:"Address in From."`
	Display string `yaml:"name" max:"100" doc:"Name that people see beside it."`
	ReplyTo string `yaml:"reply_to" max:"254" doc:"Address that answers go to. Default: address."`
}

// Domain is what holds for mail from one domain.
type Domain struct {
	Domain     string `yaml:"domain" required:"true" max:"255" doc:"The domain, as in the addresses of identities."`
	ReturnPath string `yaml:"return_path" max:"255" doc:"Domain that notices about mail come back to, below or equal to domain so that SPF and DMARC agree; its mail has to lead to the gateway. Default: domain."`
	DKIM       []Key  `yaml:"dkim" max:"10" doc:"Keys that mail is signed with, of which the newest RSA and the newest Ed25519 key that has begun are used, both."`
	WarmUp     *Plan  `yaml:"warm_up" doc:"Plan by which a new domain earns its reputation: messages per day that grow. What is above waits for the next day."`
}

// SmartHost is a server that takes all mail.
type SmartHost struct {
	Address  string `yaml:"address" required:"true" doc:"host:port, such as smtp.example.net:587."`
	TLS      string `yaml:"tls" enum:"none,opportunistic,required,verified,implicit" default:"verified" doc:"How the connection is encrypted; implicit speaks TLS from the first octet and verifies (port 465). A log-in needs verified or implicit unless the host is this machine."`
	Username string `yaml:"username" max:"255" doc:"Name to log in with (AUTH PLAIN or LOGIN)."`
	Password string `yaml:"password" max:"1000" secret:"true" doc:"Its password, best as ${file:…}."`
}

// Destination is what holds for mail to one domain.
type Destination struct {
	Domain      string  `yaml:"domain" required:"true" max:"255" doc:"Domain of recipients."`
	Route       string  `yaml:"route" doc:"host:port that its mail goes to, instead of what DNS says."`
	TLS         string  `yaml:"tls" enum:"none,opportunistic,required,verified" doc:"How connections are encrypted."`
	Connections int     `yaml:"connections" min:"1" max:"1000" doc:"Connections at once."`
	Rate        float64 `yaml:"rate" min:"0" max:"100000" doc:"Messages per second; 0: as many as it takes."`
}

// Plan is how many messages a day may go out.
type Plan struct {
	Begins string  `yaml:"begins" required:"true" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"First day, such as 2026-12-01 (UTC). Before it nothing goes out."`
	First  int     `yaml:"first" default:"50" min:"1" max:"1000000000" doc:"Messages on the first day."`
	Growth float64 `yaml:"growth" default:"1.5" min:"1" max:"10" doc:"Each further day has so many times as many as the day before."`
	Days   int     `yaml:"days" default:"30" min:"1" max:"365" doc:"Days after which there is no limit any more."`
}

// Limit is how many messages may go out on a day; ok is false when there is no limit.
func (p *Plan) Limit(day time.Time) (limit int, ok bool) {
	begins, err := time.Parse(time.DateOnly, p.Begins)
	if err != nil {
		return 0, false
	}
	n := int(day.UTC().Truncate(24*time.Hour).Sub(begins) / (24 * time.Hour))
	switch {
	case n >= p.Days:
		return 0, false
	case day.Before(begins):
		return 0, true
	}
	most := float64(p.First)
	for range n {
		if most = most * p.Growth; most > 1e9 {
			return 1e9, true
		}
	}
	return int(most), true
}

// FieldError is a fault of the configuration at a path such as domains[1].dkim[0].key,
// relative to the section.
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// Enabled says whether mail is sent.
func (c *Config) Enabled() bool { return len(c.Identities) > 0 }

// Validate returns every fault that the tags of the fields do not tell, joined.
func (c *Config) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, &FieldError{path, fmt.Sprintf(format, args...)})
	}
	if c.Hostname != "" && !isHost(c.Hostname) {
		fault("hostname", "%q is not the name of a host", c.Hostname)
	}
	c.identities(fault)
	c.domains(fault)
	c.DNS.Validate(func(path, reason string) { fault("dns."+path, "%s", reason) })
	if h := c.SmartHost; h != nil {
		h.check(fault)
	}
	if _, err := c.authorities(); err != nil {
		fault("ca", "%v", err)
	}
	for i, p := range c.AllowPrivate {
		if !p.IsValid() || p.Addr().Is4In6() {
			fault(fmt.Sprintf("allow_private[%d]", i), "%s is no network such as 10.1.2.0/24 or fd12:3456::/32", p)
		}
	}
	seen := map[string]bool{}
	for i, d := range c.Destinations {
		at := fmt.Sprintf("destinations[%d]", i)
		name, err := ASCII(d.Domain)
		switch {
		case d.Domain == "":
		case err != nil:
			fault(at+".domain", "%q is not a domain", d.Domain)
		case seen[name]:
			fault(at+".domain", "%q is there already", d.Domain)
		}
		seen[name] = true
		if d.Route != "" && !isHostPort(d.Route) {
			fault(at+".route", "%q is not host:port", d.Route)
		}
	}
	return errors.Join(faults...)
}

type faultFunc = func(path, format string, args ...any)

func (c *Config) identities(fault faultFunc) {
	names := map[string]bool{}
	for i, id := range c.Identities {
		at := fmt.Sprintf("identities[%d]", i)
		if names[id.Name] && id.Name != "" {
			fault(at+".identity", "%q is there already", id.Name)
		}
		names[id.Name] = true
		if id.Address != "" && (!smtp.ValidAddress(id.Address) || strings.Contains(id.Address, "[")) {
			fault(at+".address", "%q is not an address such as shop@example.com", id.Address)
		}
		if id.ReplyTo != "" && !smtp.ValidAddress(id.ReplyTo) {
			fault(at+".reply_to", "%q is not an address such as shop@example.com", id.ReplyTo)
		}
		if strings.ContainsFunc(id.Display, unprintable) {
			fault(at+".name", "it holds characters that no line of a header can carry")
		}
	}
}

func (c *Config) domains(fault faultFunc) {
	seen := map[string]bool{}
	for i := range c.Domains {
		d := &c.Domains[i]
		at := fmt.Sprintf("domains[%d]", i)
		name, err := ASCII(d.Domain)
		switch {
		case d.Domain == "":
		case err != nil:
			fault(at+".domain", "%q is not a domain", d.Domain)
		case seen[name]:
			fault(at+".domain", "%q is there already", d.Domain)
		}
		seen[name] = true
		if r := strings.ToLower(d.ReturnPath); r != "" && r != strings.ToLower(d.Domain) && !strings.HasSuffix(r, "."+strings.ToLower(d.Domain)) {
			fault(at+".return_path", "%q is neither %s nor below it: DMARC would not take SPF's word for it", d.ReturnPath, d.Domain)
		}
		for j := range d.DKIM {
			d.DKIM[j].check(fmt.Sprintf("%s.dkim[%d]", at, j), d.DKIM[:j], fault)
		}
		if p := d.WarmUp; p != nil && p.Begins != "" {
			if _, err := time.Parse(time.DateOnly, p.Begins); err != nil {
				fault(at+".warm_up.begins", "%q is not a day such as 2026-12-01", p.Begins)
			}
		}
	}
}

func (h *SmartHost) check(fault faultFunc) {
	if h.Address != "" && !isHostPort(h.Address) {
		fault("smart_host.address", "%q is not host:port", h.Address)
	}
	switch {
	case (h.Username == "") != (h.Password == ""):
		fault("smart_host", "a log-in needs both username and password")
	case h.Username != "" && h.TLS != "verified" && h.TLS != "implicit" && !h.local():
		fault("smart_host.tls", "a password goes over connections only that are verified or implicit")
	}
}

// local tells whether the smart host is this machine.
func (h *SmartHost) local() bool {
	host, _, _ := net.SplitHostPort(h.Address)
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// ASCII is the form of a domain that DNS knows, in lower case (RFC 5891).
func ASCII(domain string) (string, error) {
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil {
		return "", err
	}
	if name = strings.ToLower(name); !isHost(name) {
		return "", fmt.Errorf("%q is not a domain", domain)
	}
	return name, nil
}

func isHost(s string) bool { return smtp.ValidAddress("a@"+s) && !strings.HasPrefix(s, "[") }

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err == nil || isHost(host)
}

// authorities are those that certificates may come from; nil means those of the system.
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

// Identity finds one by its name or its address; the first one for "".
func (c *Config) Identity(name string) (*Identity, bool) {
	for i := range c.Identities {
		if id := &c.Identities[i]; name == "" || id.Name == name || strings.EqualFold(id.Address, name) {
			return id, true
		}
	}
	return nil, false
}
