package smpp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// FieldError is a fault of the configuration at a path such as
// routes[2].prefix, relative to the section or file that was validated.
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

func (f *faults) hostPort(path, v string, needHost bool) {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		f.add(path, "%q is not host:port: %v", v, err)
		return
	}
	if needHost && host == "" {
		f.add(path, "%q names no host", v)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || n == 0 && needHost {
		f.add(path, "%q has no port between 1 and 65535", v)
	}
}

func (f *faults) between(path string, v, low, high time.Duration) {
	if v < low || v > high {
		f.add(path, "%s is not between %s and %s", v, low, high)
	}
}

func oneOf[T ~string](f *faults, path string, v T, allowed ...T) {
	if !slices.Contains(allowed, v) {
		f.add(path, "%q is none of %v", v, allowed)
	}
}

// Validate returns every fault of the section as a *[FieldError], joined.
func (c *Config) Validate() error {
	var f faults
	for i, l := range c.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		f.hostPort(path+".address", l.Address, false)
		if l.TLS != nil && (l.TLS.Cert == "" || l.TLS.Key == "") {
			f.add(path+".tls", "a listener needs cert and key")
		}
	}
	for path, v := range map[string]int{"max_connections": c.MaxConnections, "queue": c.Queue,
		"max_connections_per_address": c.MaxConnectionsPerAddress} {
		if v < 1 {
			f.add(path, "%d is less than 1", v)
		}
	}
	if c.MaxPDU < 1024 {
		f.add("max_pdu", "%d is less than 1024, and ordinary messages would not fit", c.MaxPDU)
	}
	if len(c.SystemID) > 15 {
		f.add("system_id", "%q is longer than 15 characters (SMPP 3.4 §5.2.1)", c.SystemID)
	}
	f.between("session_init", c.SessionInit, time.Millisecond, time.Hour)
	f.between("drain_timeout", c.DrainTimeout, 0, time.Hour)
	return errors.Join(f...)
}

// Validate returns every fault of the carrier as a *[FieldError], joined.
func (c *Carrier) Validate() error {
	var f faults
	if !validName(c.Name) {
		f.add("carrier", "%q is not 1–64 characters of a–z, 0–9 and -", c.Name)
	}
	switch {
	case len(c.Connect) == 0 && c.Accept == nil:
		f.add("connect", "say either connect (we bind to the message centre) or accept (the carrier binds to us)")
	case len(c.Connect) > 0 && c.Accept != nil:
		f.add("accept", "a carrier is either bound out to (connect) or binds in (accept); write two files")
	}
	for i, a := range c.Connect {
		f.hostPort(fmt.Sprintf("connect[%d]", i), a, true)
	}
	c.validateBind(&f)
	c.validateTimers(&f)
	oneOf(&f, "alphabet", c.Alphabet, GSM7, GSM7Packed, Latin1, ASCII, UTF8)
	oneOf(&f, "concatenation", c.Concat, UDH8, UDH16, SAR, Payload)
	oneOf(&f, "receipt_id", c.ReceiptID, IDAuto, IDDecimal, IDHexadecimal, IDText)
	for path, n := range map[string]Numbering{"source": c.Source, "dest": c.Dest} {
		if n.TON != nil && !(*n.TON >= 0 && *n.TON < 256 && pdu.TON(*n.TON).Valid()) {
			f.add(path+".ton", "%d is not between 0 and 6 (SMPP 3.4 §5.2.5)", *n.TON)
		}
		if n.NPI != nil && !(*n.NPI >= 0 && *n.NPI < 256 && pdu.NPI(*n.NPI).Valid()) {
			f.add(path+".npi", "%d is no numbering plan (SMPP 3.4 §5.2.6)", *n.NPI)
		}
	}
	for i, r := range c.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		if p := strings.TrimPrefix(r.Prefix, "+"); strings.Trim(p, "0123456789") != "" {
			f.add(path+".prefix", "%q is not digits", r.Prefix)
		}
		if r.Weight < 0 {
			f.add(path+".weight", "%d is less than 0", r.Weight)
		}
		if r.Cost < 0 {
			f.add(path+".cost", "%g is less than 0", r.Cost)
		}
	}
	for i, s := range c.Senders {
		if p := strings.TrimPrefix(s.Prefix, "+"); strings.Trim(p, "0123456789") != "" {
			f.add(fmt.Sprintf("senders[%d].prefix", i), "%q is not digits", s.Prefix)
		}
		if len(s.Replace) > 20 {
			f.add(fmt.Sprintf("senders[%d].replace", i), "%q is longer than 20 characters (SMPP 3.4 §5.2.8)", s.Replace)
		}
	}
	_, errs := newClassTable(&c.Errors)
	f = append(f, errs...)
	return errors.Join(f...)
}

func (c *Carrier) validateBind(f *faults) {
	for _, s := range []struct {
		path, v string
		limit   int
	}{
		{"system_id", c.SystemID, 15}, {"password", c.Password, 8}, {"system_type", c.SystemType, 12},
		{"address_range", c.AddrRange, 40}, {"service_type", c.Service, 5},
	} {
		if len(s.v) > s.limit {
			// The password is not repeated.
			f.add(s.path, "it is longer than the %d characters of the field (SMPP 3.4 §4.1.1)", s.limit)
		}
		if strings.ContainsRune(s.v, 0) {
			f.add(s.path, "it holds a NUL")
		}
	}
	if c.SystemID == "" {
		f.add("system_id", "it is empty")
	}
	oneOf(f, "bind", c.Bind, Transceiver, Transmitter, Receiver, Pair)
	if c.Binds < 1 {
		f.add("binds", "%d is less than 1", c.Binds)
	}
	if c.Window < 1 {
		f.add("window", "%d is less than 1", c.Window)
	}
	if c.WindowIn < 1 {
		f.add("window_in", "%d is less than 1", c.WindowIn)
	}
	for path, v := range map[string]float64{"rate.in": c.Rate.In, "rate.in_per_bind": c.Rate.InPerBind,
		"rate.out": c.Rate.Out, "rate.out_per_bind": c.Rate.OutPerBind} {
		if !(v >= 0) {
			f.add(path, "%g is less than 0", v)
		}
	}
	if a := c.Accept; a != nil {
		if a.MaxBinds < 1 {
			f.add("accept.max_binds", "%d is less than 1", a.MaxBinds)
		}
		if c.Password == "" {
			f.add("password", "a carrier that binds in needs one")
		}
		if c.TLS != nil {
			f.add("tls", "it is for carriers that we connect to; for those that bind in set accept.require_tls and the listener's tls")
		}
		if c.Outbind != nil {
			f.add("outbind", "it is for carriers that we connect to")
		}
	}
	if o := c.Outbind; o != nil && (o.SystemID == "" || len(o.SystemID) > 15 || len(o.Password) > 8) {
		f.add("outbind", "system_id must have 1–15 characters and password at most 8 (SMPP 3.4 §4.1.7)")
	}
}

func (c *Carrier) validateTimers(f *faults) {
	t := &c.Timers
	f.between("timers.enquire_link", t.EnquireLink, 0, time.Hour)
	f.between("timers.response", t.Response, time.Millisecond, time.Hour)
	f.between("timers.late_response", t.Late, t.Response, 6*time.Hour)
	f.between("timers.inactivity", t.Inactivity, 0, 24*time.Hour)
	f.between("timers.connect", t.Connect, time.Millisecond, time.Hour)
	f.between("timers.reconnect", t.Reconnect, time.Millisecond, time.Hour)
	f.between("timers.reconnect_max", t.ReconnectTo, t.Reconnect, time.Hour)
	f.between("default_validity", c.Validity, time.Second, 744*time.Hour)
}

func validName(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// validateSet checks the section and all carriers together. A carrier's fault
// is prefixed with its name.
func validateSet(cfg *Config, carriers []Carrier) error {
	var f faults
	if err := cfg.Validate(); err != nil {
		f = append(f, err)
	}
	names, logins := make(map[string]bool), make(map[string]string)
	for i := range carriers {
		c := &carriers[i]
		if err := c.Validate(); err != nil {
			f = append(f, fmt.Errorf("carrier %q: %w", c.Name, err))
		}
		if names[c.Name] {
			f = append(f, fmt.Errorf("carrier %q: the name is taken by another carrier", c.Name))
		}
		names[c.Name] = true
		if c.Accept == nil {
			continue
		}
		if other, taken := logins[c.SystemID]; taken {
			f = append(f, fmt.Errorf("carrier %q: system_id %q is also that of carrier %q, and a bind would not tell which", c.Name, c.SystemID, other))
		}
		logins[c.SystemID] = c.Name
		if len(cfg.Listen) == 0 {
			f = append(f, fmt.Errorf("carrier %q: it binds in, but smpp.listen names no address", c.Name))
		}
	}
	return errors.Join(f...)
}
