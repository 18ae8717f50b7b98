package smpp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smpp/text"
)

// Options are what an edge works with.
type Options struct {
	Core    gateway.Core          // takes what comes in; required
	Log     *slog.Logger          // slog.Default() when nil
	Metrics prometheus.Registerer // a registry of its own when nil
	Now     func() time.Time      // time.Now when nil
	// LogBodies puts numbers and texts into the log, at debug level.
	LogBodies bool
	// OwnNumber tells our numbers. When it is set, messages to others are refused
	// with ESME_RINVDSTADR, and reports in which a peer swaps the parties are put
	// right.
	OwnNumber func(number string) bool
}

// Edge is the SMPP edge: all carriers, in both roles.
type Edge struct {
	core      gateway.Core
	log       *slog.Logger
	metrics   *metrics
	now       func() time.Time
	bodies    bool
	ownNumber func(string) bool
	epoch     time.Time         // zero of clock
	decoy     [sha256.Size]byte // no password has this digest

	current    atomic.Pointer[set]
	stopping   atomic.Bool
	until      atomic.Pointer[time.Time] // when draining has to be over; nil: the configuration tells
	ids        idSource
	guard      loginGuard
	started    started
	cancelled  cancelled
	references atomic.Uint32
	tasks      sync.WaitGroup
	ending     context.Context // ends when draining begins
	end        context.CancelFunc

	reload sync.Mutex // one Listen, Run or Reload changes things at a time

	mu        sync.Mutex
	running   bool
	listeners []*listener
	sessions  map[*session]struct{}
	connects  map[netip.Addr]int // connections accepted, by address
	accepted  int
}

// set is a configuration in force. It is immutable.
type set struct {
	config   Config
	carriers map[string]*carrier
	logins   map[string]*carrier // those that bind in, by system_id
	routes   *routeTable
	conf     map[string]Carrier
}

// New checks the configuration and returns an edge that is not running yet.
// The error lists every fault.
func New(cfg Config, carriers []Carrier, o Options) (*Edge, error) {
	if o.Core == nil {
		return nil, errors.New("smpp: an edge needs a core")
	}
	if err := check(&cfg, carriers); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	e := &Edge{
		core: o.Core, log: o.Log, now: o.Now, bodies: o.LogBodies, ownNumber: o.OwnNumber,
		epoch: time.Now(), sessions: make(map[*session]struct{}), connects: make(map[netip.Addr]int),
	}
	e.ending, e.end = context.WithCancel(context.Background())
	rand.Read(e.decoy[:])
	e.references.Store(newReference())
	e.metrics = newMetrics(o.Metrics, e)
	e.current.Store(e.build(nil, cfg, carriers))
	return e, nil
}

// check finds every fault of a configuration, those of the files it names
// included.
func check(cfg *Config, carriers []Carrier) error {
	errs := []error{validateSet(cfg, carriers)}
	for _, l := range cfg.Listen {
		if l.TLS != nil {
			_, err := l.TLS.server()
			errs = append(errs, err)
		}
	}
	for i := range carriers {
		if t := carriers[i].TLS; t != nil {
			if _, err := t.client("host:1"); err != nil {
				errs = append(errs, fmt.Errorf("carrier %q: %w", carriers[i].Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// build makes a set, taking over the carriers of the old one whose binds may stay.
func (e *Edge) build(old *set, cfg Config, carriers []Carrier) *set {
	n := &set{
		config: cfg, carriers: make(map[string]*carrier), logins: make(map[string]*carrier),
		routes: newRouteTable(carriers), conf: make(map[string]Carrier),
	}
	for i := range carriers {
		conf := &carriers[i]
		c := e.keep(old, &cfg, conf)
		if c == nil {
			c = newCarrier(e, &cfg, conf)
		}
		n.carriers[conf.Name], n.conf[conf.Name] = c, *conf
		if conf.Accept != nil {
			n.logins[conf.SystemID] = c
		}
	}
	return n
}

// keep returns the carrier that goes on under a new configuration, or nil.
func (e *Edge) keep(old *set, cfg *Config, conf *Carrier) *carrier {
	if old == nil || old.config.MessageIDKey != cfg.MessageIDKey {
		return nil
	}
	was, ok := old.conf[conf.Name]
	if !ok || !sameBind(&was, conf, reflect.DeepEqual) {
		return nil
	}
	return old.carriers[conf.Name]
}

// clock is the time since the edge was made, in nanoseconds. It never steps,
// and it is never 0, which stands for no time.
func (e *Edge) clock() int64 { return 1 + int64(time.Since(e.epoch)) }

func (e *Edge) drainTime() time.Duration {
	limit := e.current.Load().config.DrainTimeout
	if until := e.until.Load(); until != nil {
		limit = min(limit, max(0, time.Until(*until)))
	}
	return limit
}

// DrainUntil says when draining has to be over at the latest: a caller who has
// waited for messages in flight already shares one deadline with the edge.
func (e *Edge) DrainUntil(t time.Time) { e.until.Store(&t) }

// Listen opens the addresses on which carriers bind in, all or none. Run does
// it too; calling it before shows errors early.
func (e *Edge) Listen(ctx context.Context) error {
	e.reload.Lock()
	defer e.reload.Unlock()
	return e.listen(ctx)
}

func (e *Edge) listen(ctx context.Context) error {
	if e.Addresses() != nil {
		return nil
	}
	kept, _, err := e.openListeners(ctx, &e.current.Load().config)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners = kept
	return nil
}

// openListeners opens what is not open yet, and returns the listeners that the
// configuration asks for and those that it does not ask for any more. On an
// error nothing has changed.
func (e *Edge) openListeners(ctx context.Context, cfg *Config) (wanted, unwanted []*listener, err error) {
	e.mu.Lock()
	unwanted = append(unwanted, e.listeners...)
	e.mu.Unlock()
	confs := make([]*tls.Config, len(cfg.Listen))
	for i, l := range cfg.Listen {
		if l.TLS != nil {
			if confs[i], err = l.TLS.server(); err != nil {
				return nil, nil, err
			}
		}
	}
	var opened []*listener
	for _, conf := range cfg.Listen {
		l := takeListener(&unwanted, conf.Address)
		if l == nil {
			if l, err = listen(ctx, conf); err != nil {
				for _, o := range opened {
					o.Close()
				}
				return nil, nil, err
			}
			opened = append(opened, l)
		}
		wanted = append(wanted, l)
	}
	for i, l := range wanted { // nothing can fail from here on
		l.tls.Store(confs[i])
	}
	return wanted, unwanted, nil
}

func takeListener(from *[]*listener, address string) *listener {
	for i, l := range *from {
		if l.conf.Address == address {
			*from = append((*from)[:i:i], (*from)[i+1:]...)
			return l
		}
	}
	return nil
}

// Addresses are those on which carriers bind in, in the order of the
// configuration; nil before Listen.
func (e *Edge) Addresses() []net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []net.Addr
	for _, l := range e.listeners {
		list = append(list, l.Addr())
	}
	return list
}

// Run serves until ctx ends. Then it takes no new work, finishes what is in
// flight within the drain timeout, unbinds, closes, and returns nil.
func (e *Edge) Run(ctx context.Context) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, c := range e.current.Load().carriers {
				c.sweep(e.now())
			}
		case <-ctx.Done():
			e.drain()
			return nil
		}
	}
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
		return errors.New("smpp: the edge runs already")
	}
	e.running = true
	for _, l := range e.listeners {
		e.tasks.Go(func() { e.accept(l) })
	}
	for _, c := range e.current.Load().carriers {
		c.connect()
	}
	return nil
}

// Reload puts another configuration in force, or none of it when it has a
// fault. Carriers whose binds need not change keep them.
func (e *Edge) Reload(cfg Config, carriers []Carrier) error {
	e.reload.Lock()
	defer e.reload.Unlock()
	if e.stopping.Load() {
		return errors.New("smpp: the edge is stopping")
	}
	if err := check(&cfg, carriers); err != nil {
		return err
	}
	wanted, unwanted, err := e.openListeners(context.Background(), &cfg)
	if err != nil {
		return err
	}
	e.mu.Lock()
	before := e.listeners
	e.listeners = wanted
	running := e.running
	e.mu.Unlock()

	old := e.current.Load()
	n := e.build(old, cfg, carriers)
	e.current.Store(n)
	for _, l := range unwanted {
		l.Close()
	}
	for i := range carriers {
		c := n.carriers[carriers[i].Name]
		if old.carriers[c.name] == c {
			c.adopt(&carriers[i])
			c.pump()
		}
	}
	for name, c := range old.carriers {
		if n.carriers[name] != c {
			e.tasks.Go(func() { c.retire(errReconfigured, cfg.DrainTimeout) })
		}
	}
	if !running {
		return nil
	}
	for _, l := range wanted {
		if !containsListener(before, l) {
			e.tasks.Go(func() { e.accept(l) })
		}
	}
	for name, c := range n.carriers {
		if old.carriers[name] != c {
			c.connect()
		}
	}
	return nil
}

func containsListener(list []*listener, l *listener) bool {
	for _, o := range list {
		if o == l {
			return true
		}
	}
	return false
}

// retire ends a carrier: it binds no more, what waits goes another way, and
// its sessions are unbound.
func (c *carrier) retire(reason error, limit time.Duration) {
	if c.stopped.Swap(true) {
		return
	}
	close(c.stop)
	c.flush()
	c.mu.Lock()
	binds := append([]*session(nil), c.binds...)
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range binds {
		all.Go(func() { s.retire(reason, limit) })
	}
	all.Wait()
	c.tasks.Wait()
	c.flush()
}

// retire unbinds a session, or ends it when it is not bound.
func (s *session) retire(reason error, limit time.Duration) {
	switch s.at() {
	case stateBound:
		s.part(reason, limit)
	case stateOpen, stateBinding:
		s.kill(reason)
	}
	end := time.NewTimer(limit + partingTime)
	defer end.Stop()
	select {
	case <-s.dead:
	case <-end.C:
		s.kill(reason)
	}
}

// drain ends everything.
func (e *Edge) drain() {
	e.reload.Lock()
	defer e.reload.Unlock()
	limit := e.drainTime()
	e.mu.Lock()
	e.stopping.Store(true)
	e.end()
	for _, l := range e.listeners {
		l.Close()
	}
	open := make([]*session, 0, len(e.sessions))
	for s := range e.sessions {
		open = append(open, s)
	}
	e.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range e.current.Load().carriers {
		all.Go(func() { c.retire(errStopping, limit) })
	}
	for _, s := range open {
		all.Go(func() { s.retire(errStopping, limit) })
	}
	all.Wait()
	e.tasks.Wait()
}

// enter counts a session in, unless the daemon stops.
func (e *Edge) enter(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping.Load() {
		return false
	}
	e.sessions[s] = struct{}{}
	return true
}

func (e *Edge) exit(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

// connected counts a connection in, or says which limit it would break.
func (e *Edge) connected(addr netip.Addr, cfg *Config) (refusal string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.accepted >= cfg.MaxConnections:
		return "connections"
	case e.connects[addr] >= cfg.MaxConnectionsPerAddress:
		return "connections_per_address"
	}
	e.accepted++
	e.connects[addr]++
	return ""
}

func (e *Edge) disconnected(addr netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.accepted--
	if e.connects[addr]--; e.connects[addr] <= 0 {
		delete(e.connects, addr)
	}
}

// Assemble joins the parts of a message that came in, missing ones nil; it is a
// [gateway.Assembler].
func Assemble(parts []*gateway.Fragment) (string, error) { return text.Assemble(parts) }
