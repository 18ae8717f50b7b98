package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Config is the section `smtp:` of the daemon's configuration.
type Config struct {
	Listen   []Listener `yaml:"listen" max:"16" doc:"Addresses at which mail is taken; none switches mail off."`
	Hostname string     `yaml:"hostname" default:"" max:"255" doc:"Name by which the gateway greets, such as mx.example.com. Default: the name of the machine."`

	MaxSize       int `yaml:"max_size" default:"10485760" min:"65536" max:"104857600" doc:"Largest message in octets (SIZE); a larger one gets 552 5.3.4."`
	MaxRecipients int `yaml:"max_recipients" default:"100" min:"1" max:"1000" doc:"Recipients of one message; further ones get 452 4.5.3."`
	MaxLine       int `yaml:"max_line" default:"16384" min:"1000" max:"1048576" doc:"Longest line in octets; a longer one gets 500 and ends the session."`
	MaxHeader     int `yaml:"max_header" default:"131072" min:"4096" max:"1048576" doc:"Largest header of a message in octets; a larger one gets 554 5.6.0."`

	MaxConnections           int `yaml:"max_connections" default:"500" min:"1" max:"100000" doc:"Connections held at once; further ones get 421."`
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" default:"20" min:"1" max:"100000" doc:"Connections held at once from one IP address (IPv6: one /64 network); further ones get 421."`
	Rate                     int `yaml:"rate" default:"600" min:"1" max:"1000000" doc:"Messages per minute from one IP address (IPv6: one /64 network); more get 421."`

	Authentication Authentication `yaml:"authentication" doc:"How it is found out whether a mail is from whom it says (SPF, DKIM, DMARC)."`

	CommandTimeout time.Duration `yaml:"command_timeout" default:"5m" min:"1s" max:"1h" doc:"Time that a peer has for its next command (RFC 5321 §4.5.3.2.7)."`
	DataTimeout    time.Duration `yaml:"data_timeout" default:"10m" min:"1s" max:"1h" doc:"Time that a peer has for a whole message."`
	SessionTimeout time.Duration `yaml:"session_timeout" default:"1h" min:"1s" max:"24h" doc:"Longest life of a connection."`
}

// Authentication says how senders are checked.
type Authentication struct {
	NameServers []string      `yaml:"name_servers" max:"8" doc:"Name servers that are asked, as address:port, such as 127.0.0.1:53. Default: those of the system."`
	Timeout     time.Duration `yaml:"timeout" default:"5s" min:"100ms" max:"1m" doc:"Time for a question to a name server, and for all that is still unknown when a mail has come."`
	Trusted     []string      `yaml:"trusted" max:"64" doc:"Networks whose mail is not checked, such as 10.0.0.0/8. Default: this machine, 127.0.0.0/8 and ::1/128."`
}

// Listener is one address at which mail is taken.
type Listener struct {
	Address  string `yaml:"address" required:"true" doc:"host:port, such as 0.0.0.0:25; an empty host means every address of the machine."`
	TLS      *TLS   `yaml:"tls" doc:"Certificate. With it STARTTLS is offered."`
	Implicit bool   `yaml:"implicit_tls" default:"false" doc:"Speak TLS from the first octet instead of offering STARTTLS (RFC 8314); needs tls."`
	DMARC    string `yaml:"dmarc" default:"tag" enum:"accept,tag,reject" doc:"What is done about the senders of mails: accept checks nothing; tag checks, and flows see inbound.spf, inbound.dkim and inbound.dmarc; reject also refuses, with 550 5.7.1, what the domain of the sender wants refused."`
}

// TLS is our side of an encrypted connection. The files are read again when they
// change.
type TLS struct {
	Cert string `yaml:"cert" required:"true" doc:"File with our certificate chain (PEM)."`
	Key  string `yaml:"key" required:"true" doc:"File with its private key (PEM)."`
}

// FieldError is a fault of the configuration at a path such as listen[1].tls,
// relative to the section.
type FieldError struct {
	Path   string
	Reason string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Reason }

// Enabled says whether mail is taken.
func (c *Config) Enabled() bool { return len(c.Listen) > 0 }

// Validate returns every fault that the tags of the fields do not tell, joined.
func (c *Config) Validate() error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, &FieldError{path, fmt.Sprintf(format, args...)})
	}
	if c.Hostname != "" && !validDomain(c.Hostname) {
		fault("hostname", "%q is not the name of a host", c.Hostname)
	}
	for i, s := range c.Authentication.NameServers {
		if _, err := netip.ParseAddrPort(s); err != nil {
			fault(fmt.Sprintf("authentication.name_servers[%d]", i), "%q is not address:port, such as 127.0.0.1:53", s)
		}
	}
	for i, s := range c.Authentication.Trusted {
		if _, err := netip.ParsePrefix(s); err != nil {
			fault(fmt.Sprintf("authentication.trusted[%d]", i), "%q is not a network such as 10.0.0.0/8", s)
		}
	}
	for i, l := range c.Listen {
		at := fmt.Sprintf("listen[%d]", i)
		if _, _, err := net.SplitHostPort(l.Address); l.Address != "" && err != nil {
			fault(at+".address", "%q is not host:port", l.Address)
		}
		switch {
		case l.TLS == nil && l.Implicit:
			fault(at+".implicit_tls", "there is no certificate; say cert and key in tls")
		case l.TLS != nil && l.TLS.Cert != "" && l.TLS.Key != "":
			if _, err := tls.LoadX509KeyPair(l.TLS.Cert, l.TLS.Key); err != nil {
				fault(at+".tls", "%v", err)
			}
		}
	}
	return errors.Join(faults...)
}
