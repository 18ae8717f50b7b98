package sip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway/rtp/sdp"
)

// trunk is a peer. It lives as long as its name is configured; what the
// configuration says of it changes beneath it.
type trunk struct {
	edge *Edge
	name string
	conf atomic.Pointer[Trunk]

	calls           atomic.Int64
	rateIn, rateOut bucket
	nonces          nonces
	targets         atomic.Pointer[[]target]
	health          health
	registration    registration
	kick            chan struct{} // ask now whether the peer is there

	connecting sync.Mutex // one connection is made at a time
	streams    map[netip.AddrPort]*stream
	failed     time.Time // when connecting failed last
	failure    error

	stop context.CancelFunc // of its loops
}

// target is an address to which calls are sent.
type target struct {
	addr netip.AddrPort
	host string // as it was configured, for certificates
}

func newTrunk(e *Edge, conf *Trunk) *trunk {
	t := &trunk{edge: e, name: conf.Name, streams: map[netip.AddrPort]*stream{}, kick: make(chan struct{}, 1)}
	t.conf.Store(conf)
	t.resolveLiterals()
	return t
}

// codecs is what a trunk's calls may use, events and comfort noise included.
func (t *trunk) codecs() []sdp.Codec {
	names := t.conf.Load().Codecs
	if len(names) == 0 {
		names = []string{"pcma", "pcmu"}
	}
	var list []sdp.Codec
	for _, n := range names {
		list = append(list, codecs[n])
	}
	return append(list, sdp.TelephoneEvent, sdp.ComfortNoise)
}

// secure says whether the sound of the trunk's calls is encrypted.
func (c *Trunk) secure() sdp.Secure {
	switch c.SRTP {
	case "optional":
		return sdp.Optional
	case "required":
		return sdp.Required
	}
	return sdp.Plain
}

var codecs = map[string]sdp.Codec{"pcma": sdp.PCMA, "pcmu": sdp.PCMU}

// count counts a call in, unless there are as many as may be.
func (t *trunk) count(e *Edge, conf *Trunk) bool {
	if t.calls.Add(1) > int64(conf.Limits.Calls) {
		t.calls.Add(-1)
		return false
	}
	if e.calls.Add(1) > int64(e.current.Load().config.MaxCalls) {
		e.calls.Add(-1)
		t.calls.Add(-1)
		return false
	}
	return true
}

// host is the first of connect, without its port.
func (t *trunk) host() string {
	conf := t.conf.Load()
	if len(conf.Connect) == 0 {
		return ""
	}
	host, _, _ := splitHost(conf.Connect[0])
	return host
}

// domain is the host part of addresses that we write.
func (t *trunk) domain() string {
	conf := t.conf.Load()
	switch {
	case conf.Domain != "":
		return conf.Domain
	case len(conf.Connect) > 0:
		host, port, _ := splitHost(conf.Connect[0])
		if port != 0 && port != defaultPort(conf.Transport) {
			return net.JoinHostPort(host, strconv.Itoa(port))
		}
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return "trunkline.invalid"
}

func defaultPort(t Transport) int {
	if t == TLSTCP {
		return 5061
	}
	return 5060
}

func (t *trunk) up() bool {
	t.health.mu.Lock()
	defer t.health.mu.Unlock()
	return !t.health.down && len(t.list()) > 0
}

func (t *trunk) list() []target {
	if l := t.targets.Load(); l != nil {
		return *l
	}
	return nil
}

func (t *trunk) targetCount() int { return len(t.list()) }

// path is the way to the nth target, counted from the one that answers.
func (t *trunk) path(ctx context.Context, n int) (path, error) {
	list := t.list()
	if n >= len(list) {
		return path{}, errNoPath
	}
	t.health.mu.Lock()
	to := list[(t.health.active+n)%len(list)]
	t.health.mu.Unlock()
	if t.conf.Load().Transport == UDP {
		s := t.edge.socketFor(to.addr.Addr())
		if s == nil {
			return path{}, fmt.Errorf("%w: no UDP listener of its address family", errNoPath)
		}
		return path{socket: s, peer: to.addr}, nil
	}
	s, err := t.connection(ctx, to)
	if err != nil {
		return path{}, err
	}
	return path{stream: s, peer: to.addr}, nil
}

const reconnectPause = time.Second

// connection is the trunk's connection to a target, made when it is not there.
// After a failure others need not fail one by one.
func (t *trunk) connection(ctx context.Context, to target) (*stream, error) {
	t.connecting.Lock()
	defer t.connecting.Unlock()
	if s := t.streams[to.addr]; s != nil && !s.ended() {
		return s, nil
	}
	if t.conf.Load().Transport == UDP {
		return nil, errNoPath
	}
	if time.Since(t.failed) < reconnectPause {
		return nil, t.failure
	}
	s, err := t.edge.dial(ctx, t, to)
	if err != nil {
		t.failed, t.failure = time.Now(), fmt.Errorf("sip: connecting to %s: %w", to.addr, err)
		return nil, t.failure
	}
	for addr, old := range t.streams {
		if old.ended() {
			delete(t.streams, addr)
		}
	}
	t.streams[to.addr] = s
	return s, nil
}

// suspect asks soon whether the peer is there.
func (t *trunk) suspect() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// resolveLiterals finds the targets that are addresses already.
func (t *trunk) resolveLiterals() {
	conf := t.conf.Load()
	var list []target
	for _, c := range conf.Connect {
		host, port, _ := splitHost(c)
		if addr, err := netip.ParseAddr(host); err == nil {
			list = append(list, target{netip.AddrPortFrom(addr.Unmap(), uint16(cmp.Or(port, defaultPort(conf.Transport)))), host})
		}
	}
	t.targets.Store(&list)
}

// resolve finds all targets (RFC 3263: SRV when no port is said, then
// addresses). It reports whether something has changed.
func (t *trunk) resolve(ctx context.Context) (changed bool, err error) {
	conf := t.conf.Load()
	var list []target
	for _, c := range conf.Connect {
		host, port, _ := splitHost(c)
		found, e := t.lookup(ctx, conf.Transport, host, port)
		list, err = append(list, found...), errors.Join(err, e)
	}
	if len(list) == 0 && err != nil {
		return false, err // what was known stays
	}
	if slices.Equal(list, t.list()) {
		return false, err
	}
	t.targets.Store(&list)
	return true, err
}

const maxTargets = 16

func (t *trunk) lookup(ctx context.Context, transport Transport, host string, port int) ([]target, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []target{{netip.AddrPortFrom(addr.Unmap(), uint16(cmp.Or(port, defaultPort(transport)))), host}}, nil
	}
	type place struct {
		host string
		port int
	}
	places := []place{{host, cmp.Or(port, defaultPort(transport))}}
	if port == 0 {
		service := map[Transport][2]string{UDP: {"sip", "udp"}, TCP: {"sip", "tcp"}, TLSTCP: {"sips", "tcp"}}[transport]
		if _, records, err := t.edge.resolver.LookupSRV(ctx, service[0], service[1], host); err == nil && len(records) > 0 {
			places = places[:0]
			for _, r := range records {
				places = append(places, place{r.Target, int(r.Port)})
			}
		}
	}
	var list []target
	for _, p := range places {
		addrs, err := t.edge.resolver.LookupNetIP(ctx, "ip", p.host)
		if err != nil {
			return list, fmt.Errorf("sip: looking up %s: %w", p.host, err)
		}
		for _, a := range addrs {
			if len(list) < maxTargets {
				list = append(list, target{netip.AddrPortFrom(a.Unmap(), uint16(p.port)), host})
			}
		}
	}
	return list, nil
}

// bestRoute is the route with the longest prefix of a number, nil when none
// allows it.
func bestRoute(conf *Trunk, number string) *Route {
	number = strings.TrimPrefix(number, "+")
	var best *Route
	for i := range conf.Routes {
		r := &conf.Routes[i]
		p := strings.TrimPrefix(r.Prefix, "+")
		if strings.HasPrefix(number, p) && (best == nil || len(p) > len(strings.TrimPrefix(best.Prefix, "+"))) {
			best = r
		}
	}
	return best
}

// Choice is a trunk that may carry a call.
type Choice struct {
	Trunk string
	Route Route
	Up    bool
}

// Choices are the trunks whose routes allow a number, best first: the longest
// prefix, then priority, then cost. Trunks that are down come last.
func (e *Edge) Choices(number string) []Choice {
	var list []Choice
	for _, t := range e.current.Load().trunks {
		if r := bestRoute(t.conf.Load(), number); r != nil {
			list = append(list, Choice{t.name, *r, t.up()})
		}
	}
	slices.SortFunc(list, func(a, b Choice) int {
		return cmp.Or(
			cmp.Compare(number01(b.Up), number01(a.Up)), cmp.Compare(len(b.Route.Prefix), len(a.Route.Prefix)),
			cmp.Compare(b.Route.Priority, a.Route.Priority), cmp.Compare(a.Route.Cost, b.Route.Cost), cmp.Compare(a.Trunk, b.Trunk),
		)
	})
	return list
}

func number01(b bool) int {
	if b {
		return 1
	}
	return 0
}
