package sip

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"trunkline/gateway/sip/message"
)

// registration is whether the provider knows where we are (RFC 3261 §10.2).
type registration struct {
	mu        sync.Mutex
	until     time.Time // zero: not registered
	lastError string
}

const (
	firstRegisterPause = 2 * time.Second
	maxRegisterPause   = 5 * time.Minute
	goodbyeTime        = 2 * time.Second // for taking the registration back
)

func (r *registration) set(until time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.lastError = err.Error()
		if time.Now().After(r.until) {
			r.until = time.Time{}
		}
		return
	}
	r.until, r.lastError = until, ""
}

// register keeps the trunk registered until ctx ends, then takes it back.
func (t *trunk) register(ctx context.Context, conf *Trunk) {
	r := registrant{trunk: t, conf: conf.Register, callID: t.edge.newTag(), expires: conf.Register.Expires}
	failures := 0
	for ctx.Err() == nil {
		granted, err := r.renew(ctx, r.expires)
		wait := granted - min(granted/10, time.Minute) // in time, and again when that fails
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			failures++
			wait = jitter(min(firstRegisterPause<<min(failures, 10), maxRegisterPause))
			t.edge.metrics.registrations("failed")
			t.edge.log.Warn("a trunk could not register", "trunk", t.name, "error", err, "again_in", wait.String())
			t.registration.set(time.Time{}, err)
		} else {
			failures = 0
			t.edge.metrics.registrations("done")
			t.registration.set(time.Now().Add(granted), nil)
		}
		t.pause(ctx, max(wait, time.Second))
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
	defer cancel()
	if t.registered() {
		_, _ = r.renew(end, 0)
	}
	t.registration.set(time.Time{}, nil)
}

func (t *trunk) registered() bool {
	t.registration.mu.Lock()
	defer t.registration.mu.Unlock()
	return time.Now().Before(t.registration.until)
}

// registrant is what lasts from one REGISTER to the next.
type registrant struct {
	trunk   *trunk
	conf    *Register
	callID  string
	seq     uint32
	expires time.Duration
	known   *credentials
}

// renew sends REGISTER, answering challenges and wishes for a longer time.
func (r *registrant) renew(ctx context.Context, expires time.Duration) (time.Duration, error) {
	for range 4 {
		m, contact, err := r.once(ctx, expires)
		switch {
		case err != nil:
			return 0, err
		case m.Status < 300:
			return grantedIn(m, contact, expires), nil
		case m.Status == 401 || m.Status == 407:
			c := r.trunk.challenged(m)
			if c == nil || r.known != nil && r.known.count == 1 && !c.challenge.Stale && r.known.challenge.Realm == c.challenge.Realm && r.known.challenge.Nonce == c.challenge.Nonce {
				return 0, fmt.Errorf("sip: the registrar asks for a login that we don't have: %d %.40s", m.Status, m.Phrase)
			}
			r.known = c
		case m.Status == 423 && expires > 0:
			n, err := m.Number(message.MinExpires)
			if err != nil || n <= 0 || n > 7*24*3600 {
				return 0, fmt.Errorf("sip: the registrar says 423 without Min-Expires")
			}
			r.expires = time.Duration(n) * time.Second
			expires = r.expires
		default:
			return 0, fmt.Errorf("sip: the registrar refused: %d %.40s", m.Status, m.Phrase)
		}
	}
	return 0, fmt.Errorf("sip: the registrar refused the login of trunk %s", r.trunk.name)
}

func (r *registrant) once(ctx context.Context, expires time.Duration) (*message.Message, string, error) {
	p, err := r.path(ctx)
	if err != nil {
		return nil, "", err
	}
	domain := cmp.Or(r.conf.Domain, r.trunk.domain())
	uri, aor := "sip:"+domain, "<sip:"+message.EscapeUser(r.conf.User)+"@"+domain+">"
	contact := "sip:" + message.EscapeUser(r.conf.User) + "@" + p.local()
	if t := r.trunk.conf.Load().Transport; t != UDP {
		contact += ";transport=" + string(t)
	}
	r.seq++
	extra := [][2]string{{"Contact", "<" + contact + ">"}, {"Expires", strconv.Itoa(int(expires / time.Second))}}
	if name, value := r.known.header(r.trunk, "REGISTER", uri); name != "" {
		extra = append(extra, [2]string{name, value})
	}
	m, err := r.trunk.ask(ctx, p, ask{method: "REGISTER", uri: uri, from: aor, to: aor, callID: r.callID, seq: r.seq, extra: extra})
	return m, contact, err
}

// path is the way to the registrar.
func (r *registrant) path(ctx context.Context) (path, error) {
	t := r.trunk
	if r.conf.Registrar == "" {
		return t.path(ctx, 0)
	}
	host, port, _ := splitHost(r.conf.Registrar)
	transport := t.conf.Load().Transport
	list, err := t.lookup(ctx, transport, host, port)
	if err != nil || len(list) == 0 {
		return path{}, fmt.Errorf("sip: no address of registrar %s: %w", host, err)
	}
	t.edge.alsoAllow(t, list[0].addr)
	if transport == UDP {
		if s := t.edge.socketFor(list[0].addr.Addr()); s != nil {
			return path{socket: s, peer: list[0].addr}, nil
		}
		return path{}, errNoPath
	}
	s, err := t.connection(ctx, list[0])
	if err != nil {
		return path{}, err
	}
	return path{stream: s, peer: list[0].addr}, nil
}

// grantedIn is how long the registrar keeps our contact: said with the contact,
// for all of them, or as we asked (§10.2.4).
func grantedIn(m *message.Message, contact string, asked time.Duration) time.Duration {
	granted := asked
	if n, err := m.Number(message.Expires); err == nil && n > 0 {
		granted = time.Duration(n) * time.Second
	}
	m.Each(message.Contact, func(e string) bool {
		a, err := message.ParseAddress(e)
		if err != nil || !strings.EqualFold(a.URI, contact) {
			return true
		}
		v, _ := a.Params.Get("expires")
		if n, err := strconv.ParseUint(v, 10, 31); err == nil && n > 0 {
			granted = time.Duration(n) * time.Second
		}
		return false
	})
	return max(min(granted, 24*time.Hour), 5*time.Second)
}

// alsoAllow lets messages of a registrar in that is none of connect.
func (e *Edge) alsoAllow(t *trunk, addr netip.AddrPort) {
	e.mu.Lock()
	known := e.registrars[addr] == t
	e.registrars[addr] = t
	e.mu.Unlock()
	if !known {
		e.allow()
	}
}
