package webhook

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// RefusedError says that a request may not go to an address or a port.
type RefusedError struct {
	Address string // as dialled or written, or "port 25"
	Reason  string
}

func (e *RefusedError) Error() string {
	return e.Address + " is refused: " + e.Reason
}

// guard keeps requests from reaching what is inside: it judges the address that
// is really dialled, after the host was looked up, so a name that changes its
// address in between gains nothing.
type guard struct{ allow []netip.Prefix }

// reserved are addresses that no request of a flow has business with.
//
// IPv4: IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast,
// class E, and the metadata service that has a public address (Azure).
// IPv6: IANA IPv6 Special-Purpose Address Registry; whatever else lies outside
// of global unicast is refused by [guard.reason].
var reserved = []struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "it is unspecified (RFC 791)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "it is private (RFC 1918)"},
	{netip.MustParsePrefix("100.64.0.0/10"), "it is shared between a provider's customers (RFC 6598)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "it is this machine (RFC 1122)"},
	{netip.MustParsePrefix("168.63.129.16/32"), "it is a cloud's metadata service"},
	{netip.MustParsePrefix("169.254.0.0/16"), "it is link-local (RFC 3927), as are metadata services of clouds"},
	{netip.MustParsePrefix("172.16.0.0/12"), "it is private (RFC 1918)"},
	{netip.MustParsePrefix("192.0.0.0/24"), "it is reserved for protocols (RFC 6890)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "it is for documentation (RFC 5737)"},
	{netip.MustParsePrefix("192.88.99.0/24"), "it is a 6to4 relay (RFC 7526)"},
	{netip.MustParsePrefix("192.168.0.0/16"), "it is private (RFC 1918)"},
	{netip.MustParsePrefix("198.18.0.0/15"), "it is for benchmarks (RFC 2544)"},
	{netip.MustParsePrefix("198.51.100.0/24"), "it is for documentation (RFC 5737)"},
	{netip.MustParsePrefix("203.0.113.0/24"), "it is for documentation (RFC 5737)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "it is multicast (RFC 5771)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "it is reserved (RFC 1112)"},

	{netip.MustParsePrefix("::/128"), "it is unspecified (RFC 4291)"},
	{netip.MustParsePrefix("::1/128"), "it is this machine (RFC 4291)"},
	{netip.MustParsePrefix("64:ff9b::/96"), "it stands for an IPv4 address (NAT64, RFC 6052)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "it stands for an IPv4 address (NAT64, RFC 8215)"},
	{netip.MustParsePrefix("fc00::/7"), "it is private (RFC 4193)"},
	{netip.MustParsePrefix("fe80::/10"), "it is link-local (RFC 4291)"},
	{netip.MustParsePrefix("ff00::/8"), "it is multicast (RFC 4291)"},
	{netip.MustParsePrefix("2001::/23"), "it is reserved for protocols (RFC 2928), such as Teredo"},
	{netip.MustParsePrefix("2001:db8::/32"), "it is for documentation (RFC 3849)"},
	{netip.MustParsePrefix("2002::/16"), "it stands for an IPv4 address (6to4, RFC 3056)"},
	{netip.MustParsePrefix("3fff::/20"), "it is for documentation (RFC 9637)"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3") // RFC 4291 §2.4, as delegated by IANA
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
)

// check judges an address.
func (g guard) check(a netip.Addr) error {
	if reason := g.reason(a); reason != "" {
		return &RefusedError{a.String(), reason + "; allow_private lists exceptions"}
	}
	return nil
}

// reason says why an address is refused, or "".
func (g guard) reason(a netip.Addr) string {
	if !a.IsValid() {
		return "it is no IP address"
	}
	if a.Zone() != "" {
		return "it belongs to a link"
	}
	a = a.Unmap()
	for _, p := range g.allow {
		if !p.Contains(a) {
			continue
		}
		if nat64.Contains(a) { // a network without IPv4 lists NAT64; what is behind is judged still
			b := a.As16()
			return g.reason(netip.AddrFrom4([4]byte(b[12:])))
		}
		return ""
	}
	for _, r := range reserved {
		if r.prefix.Contains(a) {
			return r.reason
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "it is not global unicast (RFC 4291)"
	}
	return ""
}

// literal judges an address that is written in a URL. Unlike one that was
// dialled, an IPv4 address in the clothes of IPv6 is suspicious.
func (g guard) literal(a netip.Addr) error {
	if a.Is4In6() {
		return &RefusedError{a.String(), "it stands for an IPv4 address (RFC 4291 §2.5.5.2)"}
	}
	return g.check(a)
}

// control is [net.Dialer.ControlContext]: it sees the address that the socket is
// about to connect to.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &RefusedError{address, "it is no address"}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return &RefusedError{host, "it is no IP address"}
	}
	return g.check(a)
}

// localName says that a name means this machine or its cloud, wherever it is
// looked up. Without a proxy its address tells; a proxy might not look so closely.
func localName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || // RFC 6761 §6.3
		host == "metadata.google.internal"
}
