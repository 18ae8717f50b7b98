package sip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FieldError is a fault of the configuration at a path such as routes[2].prefix,
// relative to the section or file.
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

// Enabled says whether calls are taken or made.
func (c *Config) Enabled() bool { return len(c.Listen) > 0 }

// Validate returns every fault that the tags of the fields do not tell, joined.
func (c *Config) Validate() error {
	var f faults
	seen := map[string]int{}
	for i, l := range c.Listen {
		at := fmt.Sprintf("listen[%d]", i)
		_, port, err := net.SplitHostPort(l.Address)
		if _, e := strconv.ParseUint(port, 10, 16); l.Address != "" && (err != nil || e != nil) {
			f.add(at+".address", "%q is not host:port", l.Address)
		}
		if first, taken := seen[string(l.Transport)+l.Address]; taken && port != "0" {
			f.add(at+".address", "listen[%d] has this address already", first)
		}
		seen[string(l.Transport)+l.Address] = i
		switch {
		case l.Transport == TLSTCP && (l.TLS == nil || l.TLS.Cert == "" || l.TLS.Key == ""):
			f.add(at+".tls", "a listener with transport tls needs cert and key")
		case l.Transport != TLSTCP && l.TLS != nil:
			f.add(at+".tls", "transport is %s; remove this, or say transport: tls", l.Transport)
		case l.TLS != nil:
			if _, err := l.TLS.server(); err != nil {
				f.add(at+".tls", "%v", err)
			}
		}
		if l.Advertise != "" {
			if _, _, err := splitHost(l.Advertise); err != nil {
				f.add(at+".advertise", "%v", err)
			}
		}
	}
	if strings.ContainsAny(c.UserAgent, "\r\n") {
		f.add("user_agent", "it has a line break")
	}
	return errors.Join(f...)
}

// splitHost reads host or host:port; port is 0 when it is not said.
func splitHost(s string) (host string, port int, err error) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return addr.String(), 0, nil
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil && !strings.Contains(s, ":") {
		host, text, err = s, "", nil
	}
	if err != nil || host == "" || strings.ContainsAny(host, " \t\r\n/@;<>?\"") {
		return "", 0, fmt.Errorf("%q is not host or host:port", s)
	}
	if text == "" {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q has no port between 1 and 65535", s)
	}
	return host, int(n), nil
}

// Validate returns every fault of the trunk that the tags do not tell, joined.
func (t *Trunk) Validate() error {
	var f faults
	if t.Name != "" && !validName(t.Name) {
		f.add("trunk", "%q is not a name of a–z, 0–9 and -, at most 64 characters", t.Name)
	}
	for i, c := range t.Connect {
		if _, _, err := splitHost(c); err != nil {
			f.add(fmt.Sprintf("connect[%d]", i), "%v", err)
		}
	}
	if len(t.Connect) == 0 && len(t.From) == 0 && t.Certificate == "" {
		f.add("connect", "nothing says who the peer is; write connect, from or certificate")
	}
	if len(t.Connect) == 0 && len(t.Routes) > 0 {
		f.add("routes", "calls have nowhere to go; write connect")
	}
	if t.TLS != nil {
		if t.Transport != TLSTCP {
			f.add("tls", "transport is %s; remove this, or say transport: tls", t.Transport)
		} else if _, err := t.TLS.client("localhost"); err != nil {
			f.add("tls", "%v", err)
		}
	}
	for i, c := range t.Codecs {
		if _, ok := codecs[c]; !ok {
			f.add(fmt.Sprintf("codecs[%d]", i), "%q is none of pcma, pcmu", c)
		}
	}
	t.checkLogins(&f)
	t.checkNumbers(&f)
	if t.MinSE > t.SessionExpires {
		f.add("min_se", "it is longer than session_expires, %s", t.SessionExpires)
	}
	return errors.Join(f...)
}

func (t *Trunk) checkLogins(f *faults) {
	if a := t.Authenticate; a != nil {
		for i, alg := range a.Algorithms {
			if !slices.Contains([]string{"SHA-256", "MD5"}, alg) {
				f.add(fmt.Sprintf("authenticate.algorithms[%d]", i), "%q is none of SHA-256, MD5", alg)
			}
		}
		if strings.ContainsAny(a.Realm, "\"\\\r\n") {
			f.add("authenticate.realm", "a realm has no quotes and no line breaks")
		}
	}
	if r := t.Register; r != nil {
		switch {
		case r.Registrar == "" && len(t.Connect) == 0:
			f.add("register.registrar", "there is no registrar and no connect")
		case r.Registrar != "":
			if _, _, err := splitHost(r.Registrar); err != nil {
				f.add("register.registrar", "%v", err)
			}
		}
	}
	if t.Domain != "" {
		if _, _, err := splitHost(t.Domain); err != nil {
			f.add("domain", "%v", err)
		}
	}
}

func (t *Trunk) checkNumbers(f *faults) {
	for i, r := range t.Routes {
		if p := strings.TrimPrefix(r.Prefix, "+"); strings.Trim(p, "0123456789") != "" {
			f.add(fmt.Sprintf("routes[%d].prefix", i), "%q is not the beginning of a number", r.Prefix)
		}
	}
	for key, list := range map[string][]string{"allow": t.CallerID.Allow, "refuse": t.CallerID.Refuse} {
		for i, n := range list {
			if p := strings.TrimSuffix(strings.TrimPrefix(n, "+"), "*"); strings.Trim(p, "0123456789") != "" {
				f.add(fmt.Sprintf("caller_id.%s[%d]", key, i), "%q is not a number such as +385911234567 or +38591*", n)
			}
		}
	}
	if d := t.CallerID.Default; strings.Trim(strings.TrimPrefix(d, "+"), "0123456789") != "" {
		f.add("caller_id.default", "%q is not a number", d)
	}
}

func validName(s string) bool {
	return len(s) <= 64 && s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// ValidateSet checks what concerns the section and its trunks together; each of
// them has been validated by itself. A fault of a trunk is a [TrunkError].
func ValidateSet(cfg *Config, trunks []Trunk) error {
	var errs []error
	names := map[string]bool{}
	nets := map[netip.Prefix]string{}
	for i := range trunks {
		t := &trunks[i]
		var f faults
		if names[t.Name] {
			f.add("trunk", "the name %q is taken by another trunk", t.Name)
		}
		names[t.Name] = true
		for j, p := range t.From {
			if other, taken := nets[p.Masked()]; taken {
				f.add(fmt.Sprintf("from[%d]", j), "trunk %q has %s too, and a message would not tell whose it is", other, p)
			}
			nets[p.Masked()] = t.Name
		}
		if !listens(cfg, t.Transport) && (t.Transport == UDP || len(cfg.Listen) == 0) {
			f.add("transport", "there is no sip.listen with transport %s", t.Transport)
		}
		for _, err := range f {
			errs = append(errs, &TrunkError{t.Name, err})
		}
	}
	return errors.Join(errs...)
}

// TrunkError is a fault of one trunk among the others.
type TrunkError struct {
	Trunk string
	Err   error
}

func (e *TrunkError) Error() string { return fmt.Sprintf("trunk %q: %v", e.Trunk, e.Err) }

// Unwrap gives the [FieldError].
func (e *TrunkError) Unwrap() error { return e.Err }

func listens(cfg *Config, t Transport) bool {
	return slices.ContainsFunc(cfg.Listen, func(l Listener) bool { return l.Transport == t })
}

// matches compares a number with entries of a list, each a number or a
// beginning with a final *; plus signs do not matter.
func matches(list []string, number string) bool {
	number = strings.TrimPrefix(number, "+")
	return slices.ContainsFunc(list, func(e string) bool {
		e = strings.TrimPrefix(e, "+")
		if prefix, ok := strings.CutSuffix(e, "*"); ok {
			return strings.HasPrefix(number, prefix)
		}
		return e == number
	})
}
