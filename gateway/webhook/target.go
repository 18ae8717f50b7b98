package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckURL finds what is wrong with the URL of a request, apart from what its
// host's address will be. Errors don't repeat the path and the query.
//
// A URL is http or https, at most 2048 characters, without user and password.
// Its host is a name in ASCII (xn--… for others) without a full stop at the end,
// or an IP address in its usual form; its port is not one of another protocol
// that a request could be mistaken for.
func CheckURL(raw string) error {
	_, err := parseTarget(raw)
	return err
}

// CheckURL finds what is wrong with a URL under this configuration, as far as that is
// known before its host is looked up: also an address in it that requests may not go to.
func (c *Config) CheckURL(raw string) error {
	u, err := parseTarget(raw)
	if err != nil {
		return err
	}
	return guard{c.AllowPrivate}.checkURL(u)
}

// parseTarget reads the URL of a request. The result has a lower-case host and
// no fragment.
func parseTarget(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("url: %d characters are more than the %d allowed", len(raw), maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil { // its text repeats the URL
		return nil, errors.New("url: it cannot be read; special characters are to be percent-encoded")
	}
	return checkTarget(u)
}

func checkTarget(u *url.URL) (*url.URL, error) {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("url: the scheme %.20q is neither http nor https", u.Scheme)
	case u.User != nil:
		return nil, errors.New("url: it holds a user or password; use the header Authorization")
	case u.Opaque != "" || u.Host == "":
		return nil, errors.New("url: it names no host")
	case !unreservedQuery(u.RawQuery):
		return nil, errors.New("url: the query holds characters that are to be percent-encoded")
	}
	target := *u
	target.Host = strings.ToLower(u.Host)
	target.Fragment, target.RawFragment = "", ""
	if err := checkHost(target.Hostname()); err != nil {
		return nil, err
	}
	return &target, checkPort(&target)
}

// unreservedQuery says that a query can stand in a request line: net/http
// writes it as it is.
func unreservedQuery(q string) bool { return q == "" || visible(q) }

func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if len(host) > 253 {
		return fmt.Errorf("url: the host's %d characters are more than the 253 allowed", len(host))
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("url: the host %.60q has a part that is empty or longer than 63 characters", host)
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("url: the host %.60q holds characters other than letters, digits and -", host)
		}
	}
	if numeric(labels[len(labels)-1]) {
		return fmt.Errorf("url: the host %.60q is a number, but no address such as 192.0.2.1", host)
	}
	return nil
}

// numeric says that some resolvers take a name that ends with the label for an
// IPv4 address, such as 127.1, 017700000001 or 0x7f000001 (WHATWG URL, "ends in
// a number checker").
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func checkPort(u *url.URL) error {
	n := port(u)
	if n < 1 || n > 65535 {
		return errors.New("url: the port is not between 1 and 65535")
	}
	if _, bad := slices.BinarySearch(badPorts, n); bad {
		return &RefusedError{fmt.Sprintf("port %d", n), "it belongs to another protocol"}
	}
	return nil
}

// port is the port that a URL leads to, or 0.
func port(u *url.URL) int {
	switch {
	case u.Port() != "":
		n, _ := strconv.Atoi(u.Port())
		return n
	case strings.HasSuffix(u.Host, ":"):
		return 0
	case u.Scheme == "https":
		return 443
	}
	return 80
}

// badPorts are those of WHATWG Fetch, "port blocking", and of three stores that
// take an HTTP request for commands: Redis, Memcached and etcd's peers. Sorted.
var badPorts = []int{
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
	113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548,
	554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 2380, 3659, 4045, 4190, 5060, 5061, 6000, 6379,
	6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
}

// check judges a URL as far as that is possible before its host was looked up.
func (g guard) checkURL(u *url.URL) error {
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		return g.literal(a)
	}
	if localName(host) && g.reason(netip.AddrFrom4([4]byte{127, 0, 0, 1})) != "" {
		return &RefusedError{host, "it is this machine or its cloud's metadata service"}
	}
	return nil
}

// sameOrigin says that credentials for one URL may go to another: host and port
// are equal, or the standard port changes from http to https.
func sameOrigin(a, b *url.URL) bool {
	if a.Hostname() != b.Hostname() {
		return false
	}
	return port(a) == port(b) && a.Scheme == b.Scheme ||
		a.Scheme == "http" && b.Scheme == "https" && port(a) == 80 && port(b) == 443
}
