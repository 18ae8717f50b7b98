package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway/sip/message"
)

// Options are what an edge works with.
type Options struct {
	// Handler takes calls that come in; without one they are refused with 480.
	Handler  Handler
	Log      *slog.Logger          // slog.Default() when nil
	Metrics  prometheus.Registerer // a registry of its own when nil
	Resolver *net.Resolver         // net.DefaultResolver when nil
}

// Edge is the SIP edge: all trunks and all calls.
type Edge struct {
	handler  Handler
	log      *slog.Logger
	metrics  *metrics
	resolver *net.Resolver

	listenUDP func(address string) (packetConn, error) // the system's, unless a test has another

	secret [32]byte     // of nonces
	seed   maphash.Seed // of tags of stateless replies
	mark   string       // begins our branches

	current  atomic.Pointer[set]
	allowed  atomic.Pointer[allowTable]
	table    table
	replays  replays
	sources  sources
	streams  streams
	calls    atomic.Int64
	rate     bucket
	load     load
	noise    quiet
	stopping atomic.Bool
	tasks    sync.WaitGroup
	ending   context.Context // ends when calls are no longer served
	end      context.CancelFunc
	ended    chan struct{} // the same, for loops without a context
	until    atomic.Pointer[time.Time]

	reload     sync.Mutex // one Listen, Run or Reload at a time
	mu         sync.Mutex
	running    bool
	sockets    []*socket
	acceptors  []*acceptor
	registrars map[netip.AddrPort]*trunk
}

// set is a configuration in force. It is immutable.
type set struct {
	config Config
	trunks map[string]*trunk
	order  []string
}

// New checks the configuration and returns an edge that is not running yet.
func New(cfg Config, trunks []Trunk, o Options) (*Edge, error) {
	if err := check(&cfg, trunks); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Handler == nil {
		o.Handler = nobody{}
	}
	e := &Edge{
		handler: o.Handler, log: o.Log, resolver: o.Resolver, listenUDP: listenSystem, seed: maphash.MakeSeed(), table: newTable(),
		sources: sources{buckets: map[netip.Addr]*bucket{}}, streams: streams{all: map[*stream]struct{}{}, byAddress: map[netip.Addr]int{}},
		ended: make(chan struct{}), registrars: map[netip.AddrPort]*trunk{},
	}
	e.ending, e.end = context.WithCancel(context.Background())
	rand.Read(e.secret[:])
	e.mark = fmt.Sprintf("%s%08x", message.Magic, mathrand.Uint32())
	e.metrics = newMetrics(o.Metrics, e)
	e.current.Store(e.build(nil, cfg, trunks))
	e.allow()
	return e, nil
}

type nobody struct{}

func (nobody) Invited(*Leg) func(Event) { return nil }

func check(cfg *Config, trunks []Trunk) error {
	errs := []error{cfg.Validate()}
	for i := range trunks {
		if err := trunks[i].Validate(); err != nil {
			errs = append(errs, &TrunkError{trunks[i].Name, err})
		}
	}
	return errors.Join(append(errs, ValidateSet(cfg, trunks))...)
}

// build makes a set; trunks that stay keep their calls and counts.
func (e *Edge) build(old *set, cfg Config, trunks []Trunk) *set {
	n := &set{config: cfg, trunks: map[string]*trunk{}}
	for i := range trunks {
		conf := &trunks[i]
		var t *trunk
		if old != nil {
			t = old.trunks[conf.Name]
		}
		if t == nil {
			t = newTrunk(e, conf)
		}
		n.trunks[conf.Name] = t
		n.order = append(n.order, conf.Name)
	}
	return n
}

// Listen opens the addresses, all or none. Run does it too; calling it before
// shows errors early.
func (e *Edge) Listen(ctx context.Context) error {
	e.reload.Lock()
	defer e.reload.Unlock()
	return e.listen(ctx)
}

func (e *Edge) listen(ctx context.Context) (err error) {
	if e.Addresses() != nil {
		return nil
	}
	var sockets []*socket
	var acceptors []*acceptor
	defer func() {
		if err != nil {
			closeAll(sockets, acceptors)
		}
	}()
	for i, conf := range e.current.Load().config.Listen {
		if conf.Transport == UDP {
			s, err := e.openSocket(conf)
			if err != nil {
				return fmt.Errorf("sip.listen[%d]: %w", i, err)
			}
			sockets = append(sockets, s)
			continue
		}
		a, err := openAcceptor(ctx, conf)
		if err != nil {
			return fmt.Errorf("sip.listen[%d]: %w", i, err)
		}
		acceptors = append(acceptors, a)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sockets, e.acceptors = sockets, acceptors
	return nil
}

func closeAll(sockets []*socket, acceptors []*acceptor) {
	for _, s := range sockets {
		s.close()
	}
	for _, a := range acceptors {
		_ = a.Close()
	}
}

// Addresses are those at which calls are taken, UDP first; nil before Listen.
func (e *Edge) Addresses() []netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []netip.AddrPort
	for _, s := range e.sockets {
		list = append(list, s.addr)
	}
	for _, a := range e.acceptors {
		list = append(list, a.addr)
	}
	return list
}

// Close lets go of what Listen opened, for an edge that never runs.
func (e *Edge) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	closeAll(e.sockets, e.acceptors)
}

// Run serves until ctx ends. Then it takes no new calls, lets those that are
// there come to their end within the drain timeout, hangs up the others, and
// returns nil.
func (e *Edge) Run(ctx context.Context) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	e.drain()
	return nil
}

func (e *Edge) begin(ctx context.Context) error {
	e.reload.Lock()
	defer e.reload.Unlock()
	if err := e.listen(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running {
		return errors.New("sip: the edge runs already")
	}
	e.running = true
	for _, s := range e.sockets {
		e.tasks.Go(s.run)
	}
	for _, a := range e.acceptors {
		e.tasks.Go(func() { e.accept(a) })
	}
	for _, t := range e.current.Load().trunks {
		e.startTrunk(t)
	}
	return nil
}

// startTrunk begins the trunk's loops.
func (e *Edge) startTrunk(t *trunk) {
	ctx, cancel := context.WithCancel(e.ending)
	conf := t.conf.Load()
	var loops sync.WaitGroup
	loops.Go(func() { e.guard("watching a trunk", func() { t.watch(ctx) }) })
	if conf.Register != nil {
		loops.Go(func() { e.guard("registering a trunk", func() { t.register(ctx, conf) }) })
	}
	t.stop = func() { cancel(); loops.Wait() }
	e.tasks.Go(loops.Wait)
}

// Reload puts another configuration in force, or none of it when it has a
// fault. Calls go on; addresses are opened at the start only.
func (e *Edge) Reload(cfg Config, trunks []Trunk) error {
	e.reload.Lock()
	defer e.reload.Unlock()
	if e.stopping.Load() {
		return errors.New("sip: the edge is stopping")
	}
	if err := check(&cfg, trunks); err != nil {
		return err
	}
	old := e.current.Load()
	n := e.build(old, cfg, trunks)
	e.mu.Lock()
	running := e.running
	e.mu.Unlock()
	e.current.Store(n)
	for i := range trunks {
		t := n.trunks[trunks[i].Name]
		same := reflect.DeepEqual(t.conf.Load(), &trunks[i])
		known := old.trunks[t.name] == t
		if known && same {
			continue
		}
		if running && known {
			t.stop()
		}
		t.conf.Store(&trunks[i])
		t.resolveLiterals()
		if running {
			e.startTrunk(t)
		}
	}
	for name, t := range old.trunks {
		if n.trunks[name] == nil && running {
			t.stop()
		}
	}
	e.allow()
	return nil
}

// DrainUntil says when draining has to be over at the latest.
func (e *Edge) DrainUntil(t time.Time) { e.until.Store(&t) }

// Stop refuses new calls from now on; those that are there go on.
func (e *Edge) Stop() { e.stopping.Store(true) }

// partingTime is for the last answers to BYE.
const partingTime = 2 * time.Second

// drain ends everything.
func (e *Edge) drain() {
	e.reload.Lock()
	defer e.reload.Unlock()
	e.stopping.Store(true)
	until := time.Now().Add(e.current.Load().config.DrainTimeout)
	if t := e.until.Load(); t != nil && t.Before(until) {
		until = *t
	}
	e.await(until)
	for _, l := range e.table.all() {
		l.do(func() { l.hangup(causeStopping) })
	}
	e.await(time.Now().Add(partingTime))
	e.end() // trunks take their registrations back
	for _, t := range e.current.Load().trunks {
		if t.stop != nil {
			t.stop()
		}
	}
	close(e.ended)
	e.mu.Lock()
	closeAll(e.sockets, e.acceptors)
	e.mu.Unlock()
	for _, s := range e.streams.list() {
		s.close()
	}
	e.tasks.Wait()
}

// await waits until no leg is there.
func (e *Edge) await(until time.Time) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for legs, _ := e.table.count(); legs > 0 && time.Now().Before(until); legs, _ = e.table.count() {
		<-t.C
	}
}

// allowTable tells whose an address is.
type allowTable struct {
	exact  map[netip.AddrPort]*trunk
	hosts  map[netip.Addr]*trunk
	ranges []allowRange // longest first
}

type allowRange struct {
	prefix netip.Prefix
	trunk  *trunk
}

// allow computes the table anew.
func (e *Edge) allow() {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.current.Load()
	a := &allowTable{exact: map[netip.AddrPort]*trunk{}, hosts: map[netip.Addr]*trunk{}}
	for addr, t := range e.registrars {
		if s.trunks[t.name] == t {
			a.exact[addr] = t
		}
	}
	for _, name := range s.order {
		t := s.trunks[name]
		for _, to := range t.list() {
			if a.exact[to.addr] == nil {
				a.exact[to.addr] = t
			}
			if a.hosts[to.addr.Addr()] == nil {
				a.hosts[to.addr.Addr()] = t
			}
		}
		for _, p := range t.conf.Load().From {
			a.ranges = append(a.ranges, allowRange{p.Masked(), t})
		}
	}
	slices.SortStableFunc(a.ranges, func(x, y allowRange) int { return y.prefix.Bits() - x.prefix.Bits() })
	e.allowed.Store(a)
}

// trunkAt is whose an address is: by address and port, by a network of from, by
// address; nil for strangers.
func (e *Edge) trunkAt(peer netip.AddrPort) *trunk {
	a := e.allowed.Load()
	if t := a.exact[peer]; t != nil {
		return t
	}
	for _, r := range a.ranges {
		if r.prefix.Contains(peer.Addr()) {
			return r.trunk
		}
	}
	return a.hosts[peer.Addr()]
}

// socketFor is the UDP listener from which a peer can be reached.
func (e *Edge) socketFor(peer netip.Addr) *socket {
	e.mu.Lock()
	defer e.mu.Unlock()
	var any *socket
	for _, s := range e.sockets {
		a := s.addr.Addr()
		switch {
		case a.IsUnspecified() && (a.Is6() || peer.Is4()):
			any = s
		case a.Is4() == peer.Is4() && a.IsLoopback() == peer.IsLoopback():
			return s
		case a.Is4() == peer.Is4() && any == nil:
			any = s
		}
	}
	return any
}

// load tells how far behind we are: how long the newest call that has got an answer
// waited for its first one, and whether others still wait.
type load struct {
	waiting atomic.Int64
	delay   atomic.Int64
}

func (l *load) note(d time.Duration) {
	l.delay.Store(int64(d))
	l.waiting.Add(-1)
}

// late reports that we are behind, and new calls have to come again later.
func (l *load) late(limit time.Duration) bool {
	return l.waiting.Load() > 0 && time.Duration(l.delay.Load()) > limit
}

// guard runs f; a panic is logged and counted, and ends nothing else. It
// reports whether f came to its end.
func (e *Edge) guard(what string, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			e.metrics.panics.Inc()
			e.log.Error("a panic was caught; this is a bug", "while", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// newTag is unguessable: who knows it belongs to the call.
func (e *Edge) newTag() string {
	var b [24]byte
	return string(appendHex(b[:0], mathrand.Uint64(), uint64(mathrand.Uint32())))
}

func (e *Edge) newBranch() string {
	return string(strconv.AppendUint(append(make([]byte, 0, 32), e.mark...), mathrand.Uint64(), 36))
}

func appendHex(b []byte, parts ...uint64) []byte {
	for _, p := range parts {
		b = strconv.AppendUint(b, p, 36)
	}
	return b
}

// tagFor is the To tag of a stateless reply: the same whenever the request comes.
func (e *Edge) tagFor(r *request) string {
	return "s" + strconv.FormatUint(maphash.String(e.seed, r.callID+r.via.Branch()), 36)
}

func (e *Edge) strayTag(data []byte) string {
	return "s" + strconv.FormatUint(maphash.Bytes(e.seed, data), 36)
}
