package smtp

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"trunkline/gateway"
	"trunkline/gateway/smtp/authres"
)

// Values of Listener.DMARC.
const (
	dmarcAccept = "accept"
	dmarcReject = "reject"
)

// authenticate prepares what looks at senders.
func (e *Edge) authenticate(c Authentication) {
	resolver := &net.Resolver{}
	if servers := c.NameServers; len(servers) > 0 {
		resolver.PreferGo = true
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, servers[rand.IntN(len(servers))])
		}
	}
	e.verifier = authres.New(resolver, c.Timeout)
	networks := c.Trusted
	if len(networks) == 0 {
		networks = []string{"127.0.0.0/8", "::1/128"}
	}
	for _, s := range networks {
		e.trusted = append(e.trusted, netip.MustParsePrefix(s)) // Validate has looked
	}
}

// examine begins to check the sender of a mail; nil when nobody wants to know. What no
// flow sees is not checked.
func (s *session) examine(t *transaction) *authres.Check {
	host := remote(s.conn.RemoteAddr())
	if s.conn.at.conf.DMARC == dmarcAccept || len(t.to) == 0 || !host.IsValid() {
		return nil
	}
	for _, p := range s.edge.trusted {
		if p.Contains(host) {
			return nil
		}
	}
	return s.edge.verifier.Begin(host, s.smtp.Hostname(), t.from)
}

// authentic waits for the check, and refuses what the sender's domain wants refused.
func (s *session) authentic(check *authres.Check, l *letter) error {
	if check == nil {
		return nil
	}
	if l.kind != fromPerson {
		check.Close()
		return nil
	}
	r := check.Results(l.headerDomain)
	l.properties = map[string]string{gateway.PropertySPF: r.SPF, gateway.PropertyDKIM: r.DKIM, gateway.PropertyDMARC: r.DMARC}
	s.edge.metrics.dmarc.WithLabelValues(r.DMARC).Inc()
	if r.Refuse && s.conn.at.conf.DMARC == dmarcReject {
		return s.refuse(reasonDMARC, errDMARC)
	}
	return nil
}

// remote is the address of the other side.
func remote(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// fromDomain is the domain of the one address in a From field; empty when there is
// another number of them: such a mail has no policy that could be asked for
// (RFC 7489 §6.6.1).
func fromDomain(addresses []string) string {
	if len(addresses) != 1 {
		return ""
	}
	return addresses[0][strings.LastIndexByte(addresses[0], '@')+1:]
}
