package outbound

import (
	"container/list"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway"
	"trunkline/gateway/smtp"
	"trunkline/gateway/smtp/resolver"
)

// Composer makes the message that an outbound one is: header and body. It is called again
// for each attempt and makes the same message, with the same Message-ID (rule X2). From is
// the bare address of an identity.
type Composer func(m gateway.Outbound) ([]byte, error)

// Options are what the edge works with. Compose has to be there.
type Options struct {
	Compose Composer
	// ReturnPath makes the local part of the address to which notices about a message
	// come back.
	ReturnPath func(id string) string
	// Reference is the key under which reports about a message are looked for.
	Reference func(id string) string
	// Sent tells how many messages went out from a domain on a day of Unix time, for
	// plans of warming up.
	Sent func(domain string, day int64) int
	// Policies is a file in which policies of MTA-STS outlive the process; empty: they don't.
	Policies string
	// Hostname greets where the configuration names none.
	Hostname string
	Log      *slog.Logger          // slog.Default() when nil
	Metrics  prometheus.Registerer // a registry of its own when nil
	Now      func() time.Time      // time.Now when nil
}

// Edge sends mail.
type Edge struct {
	options Options
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	port    uint16 // of mail servers; tests have others
	webPort string // of policies

	current atomic.Pointer[settings]
	budget  budget
	working sync.WaitGroup
	cut     context.Context // ends when messages on their way had their time
	cutOff  context.CancelFunc

	mu      sync.Mutex
	phase   phase
	known   map[string]*destination
	turns   list.List // of *destination that could use another connection
	idle    list.List // of *worker, longest first
	workers int
	queued  int
}

type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseStopping
)

// settings are a configuration made ready.
type settings struct {
	config   Config
	hostname string
	resolver *resolver.Resolver
	roots    *x509.CertPool
	sts      *stsStore
	times    timeouts
	domains  map[string]*sending
	special  map[string]*Destination
}

// sending is what holds for mail from one domain.
type sending struct {
	*Domain
	signer *signer
}

// job is a message that waits, or is on its way.
type job struct {
	gateway.Outbound
	ctx    context.Context
	done   func(gateway.Result)
	sender *Identity
	from   string // domain of the sender, in ASCII
	domain string // of the recipient, in ASCII; To has it too
	place  *list.Element
	paid   bool  // of the day's allowance
	day    int64 // when
}

// New checks the configuration and makes an edge that does not send yet. The error lists
// every fault.
func New(c Config, o Options) (*Edge, error) {
	e := &Edge{options: o, log: o.Log, now: o.Now, port: portSMTP, webPort: "443", known: map[string]*destination{}}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.now == nil {
		e.now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	e.cut, e.cutOff = context.WithCancel(context.Background())
	e.budget = budget{sent: o.Sent}
	e.metrics = newMetrics(o.Metrics, e)
	return e, e.Reload(c)
}

// Reload puts another configuration in force, or changes nothing when it is faulty.
// Connections that are open end with the message that they carry.
func (e *Edge) Reload(c Config) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("email: %w", err)
	}
	s, err := e.build(c)
	if err != nil {
		return fmt.Errorf("email: %w", err)
	}
	e.current.Store(s)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.known {
		d.configure(s)
	}
	e.dispatchAll()
	return nil
}

func (e *Edge) build(c Config) (s *settings, err error) {
	s = &settings{config: c, hostname: c.Hostname, times: usualTimeouts(c.ConnectTimeout), domains: map[string]*sending{}, special: map[string]*Destination{}}
	if s.hostname == "" {
		s.hostname = e.options.Hostname
	}
	if s.hostname == "" {
		s.hostname = "localhost"
		if name, err := os.Hostname(); err == nil && isHost(name) {
			s.hostname = name
		}
	}
	s.hostname = strings.ToLower(s.hostname)
	if s.roots, err = c.authorities(); err != nil {
		return nil, err
	}
	if old := e.current.Load(); old != nil && reflect.DeepEqual(old.config.DNS, c.DNS) && old.config.CA == c.CA {
		s.resolver, s.sts = old.resolver, old.sts // with what they know
	} else {
		if s.resolver, err = resolver.New(c.DNS); err != nil {
			return nil, err
		}
		reach := func(a netip.Addr) bool { return e.current.Load().mayReach(a) }
		var known map[string]*stsEntry
		if old != nil {
			known = old.sts.all()
		}
		s.sts = newSTS(s.resolver, s.roots, e.now, e.webPort, reach, func(reason string) { e.metrics.tls.WithLabelValues(bySTS, reason).Inc() })
		if old == nil && e.options.Policies != "" {
			if err := s.sts.load(e.options.Policies); err != nil {
				e.log.Error("policies of MTA-STS are not as they were", "error", err)
			}
		}
		maps.Copy(s.sts.known, known) // nobody has the store yet
	}
	for i := range s.config.Domains {
		d := &s.config.Domains[i]
		one, err := newSigner(d)
		if err != nil {
			return nil, err
		}
		s.domains[one.domain] = &sending{d, one}
	}
	for i := range s.config.Destinations {
		d := &s.config.Destinations[i]
		name, err := ASCII(d.Domain)
		if err != nil {
			return nil, err
		}
		s.special[name] = d
	}
	return s, nil
}

var _ gateway.Sender = (*Edge)(nil)

// Send implements gateway.Sender. A message whose destination has as many as it can take,
// or does not answer, goes back to the core at once: it holds up no other.
func (e *Edge) Send(ctx context.Context, m gateway.Outbound, done func(gateway.Result)) {
	s := e.current.Load()
	j := &job{Outbound: m, ctx: ctx, done: done}
	if err := j.address(s); err != nil {
		e.answer(j, gateway.Result{Fate: gateway.FateRejected, Code: codeAddress, Trail: gateway.Trail{Reply: clean(err.Error(), replyTextMost)}})
		return
	}
	if pause, ok := e.budget.take(s, j, e.now()); !ok {
		e.answer(j, gateway.Result{Fate: gateway.FateRetry, Code: codeAllowance, Untried: true, After: pause})
		return
	}
	if r, refused := e.admit(s, j); refused {
		e.answer(j, r)
	}
}

// address finds out who writes to whom.
func (j *job) address(s *settings) (err error) {
	var ok bool
	if j.sender, ok = s.config.Identity(j.From); !ok {
		return fmt.Errorf("there is no identity %q", j.From)
	}
	at := strings.LastIndexByte(j.sender.Address, '@')
	if j.from, err = ASCII(j.sender.Address[at+1:]); err != nil {
		return err
	}
	if !smtp.ValidAddress(j.To) {
		return fmt.Errorf("%.100q is not an address", j.To)
	}
	at = strings.LastIndexByte(j.To, '@')
	if j.domain = strings.ToLower(j.To[at+1:]); !strings.HasPrefix(j.domain, "[") {
		if j.domain, err = ASCII(j.domain); err != nil {
			return err
		}
	}
	j.To = j.To[:at+1] + j.domain
	return nil
}

// admit puts a message into the queue of its destination, or says why not.
func (e *Edge) admit(s *settings, j *job) (r gateway.Result, refused bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if e.phase == phaseStopping || j.ctx.Err() != nil {
		return stopping(), true
	}
	d := e.destination(s, j.domain, now)
	half := e.queued > s.config.Queue/2
	switch {
	case now.Before(d.until):
		r = retry(codeDown, j.Attempt)
		r.After = max(r.After, d.until.Sub(now)+rand.N(downFirst))
		r.Trail.Reply = d.reason
		return r, true
	case e.queued >= s.config.Queue || d.queue.Len() >= d.limit(half):
		return gateway.Result{Fate: gateway.FateRetry, Code: codeCrowded, Untried: true, After: d.returnAt(now)}, true
	}
	j.place = d.queue.PushBack(j)
	e.queued++
	e.dispatch(d)
	return r, false
}

func stopping() gateway.Result {
	return gateway.Result{Fate: gateway.FateRetry, Code: codeStopping, Untried: true}
}

// destinationsMost is how many destinations are remembered before quiet ones are forgotten.
const destinationsMost = 20_000

// destination finds the one that takes mail to a domain. The lock is held.
func (e *Edge) destination(s *settings, domain string, now time.Time) *destination {
	if s.config.SmartHost != nil && s.special[domain] == nil {
		domain = ""
	}
	d := e.known[domain]
	if d == nil {
		if len(e.known) >= destinationsMost {
			for name, other := range e.known {
				if other.quiet(now) {
					delete(e.known, name)
				}
			}
		}
		d = &destination{name: domain, allowed: 1}
		e.known[domain] = d
	}
	d.used = now
	d.configure(s)
	return d
}

// answer tells the core what became of a message. The lock is not held.
func (e *Edge) answer(j *job, r gateway.Result) {
	if j.paid {
		if r.Fate == gateway.FateAccepted || r.Fate == gateway.FateInDoubt {
			r.Domain = j.from
		} else {
			e.budget.giveBack(j)
		}
	}
	e.metrics.result(r)
	e.report(j, r)
	j.done(r)
}

// report logs what came to an end without success, and other things for who looks closely.
func (e *Edge) report(j *job, r gateway.Result) {
	level := slog.LevelDebug
	if r.Fate == gateway.FateInDoubt {
		level = slog.LevelWarn
	}
	e.log.LogAttrs(context.WithoutCancel(j.ctx), level, "an attempt to send a mail ended", slog.String("message", j.ID), slog.String("domain", j.domain),
		slog.String("code", r.Code), slog.String("host", r.Trail.Host), slog.String("tls", r.Trail.TLS), slog.String("reply", r.Trail.Reply), slog.Duration("again_after", r.After))
}

// Run sends until ctx ends. Then those that wait are given back, and those on their way
// get DrainTimeout to end.
func (e *Edge) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.phase != phaseNew {
		e.mu.Unlock()
		return errors.New("email: an edge runs once")
	}
	e.phase = phaseRunning
	e.dispatchAll()
	e.mu.Unlock()

	e.keepPolicies(ctx)
	<-ctx.Done()
	e.stop()
	drain := time.AfterFunc(e.current.Load().config.DrainTimeout, e.cutOff)
	e.working.Wait()
	drain.Stop()
	e.cutOff()
	return nil
}

// stop gives back everything that waits, and ends connections that carry nothing.
func (e *Edge) stop() {
	e.mu.Lock()
	e.phase = phaseStopping
	var waiting []*job
	for _, d := range e.known {
		waiting = append(waiting, e.drain(d)...)
	}
	for e.idle.Len() > 0 {
		e.evict()
	}
	e.mu.Unlock()
	for _, j := range waiting {
		e.answer(j, stopping())
	}
}

// drain empties the queue of a destination. The lock is held.
func (e *Edge) drain(d *destination) (all []*job) {
	for f := d.queue.Front(); f != nil; f = d.queue.Front() {
		all = append(all, e.pop(d))
	}
	return all
}

func (e *Edge) pop(d *destination) *job {
	e.queued--
	j, _ := d.queue.Remove(d.queue.Front()).(*job)
	return j
}
