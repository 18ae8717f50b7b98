package smpp

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
	"trunkline/gateway/smpp/text"
)

// terms are what may change about a carrier while its binds stay.
type terms struct {
	Carrier
	classes classTable
	text    text.Options
	service []byte
}

// carrier is a peer with its binds and the messages that wait for them. Lock
// order: a carrier's before a session's.
type carrier struct {
	edge    *Edge
	name    string
	metrics *carrierMetrics
	key     *idKey
	secret  [sha256.Size]byte // digest of the password
	terms   atomic.Pointer[terms]

	rateIn    bucket
	pace      pace
	throttled atomic.Int64 // edge clock at the last throttling answer
	able      atomic.Int32 // binds on which messages go out
	unbound   atomic.Int64 // edge clock when the last of them ended, or the carrier was configured

	stop    chan struct{} // closed when the carrier is to bind no more
	stopped atomic.Bool
	tasks   sync.WaitGroup

	mu      sync.Mutex
	binds   []*session
	queue   queue
	turn    int // where the search for a bind starts
	waking  bool
	last    string // last fault, for operators
	lastAt  time.Time
	scratch scratch
}

// scratch is what a PDU is put together in.
type scratch struct {
	sm       pdu.SM
	text     []byte
	tlvs     pdu.TLVs
	validity []byte
}

func newCarrier(e *Edge, cfg *Config, c *Carrier) *carrier {
	k := &carrier{
		edge: e, name: c.Name, metrics: e.metrics.carrier(c.Name), key: newIDKey(cfg.MessageIDKey, c),
		secret: sha256.Sum256([]byte(c.Password)), stop: make(chan struct{}),
	}
	k.unbound.Store(e.clock())
	k.adopt(c)
	return k
}

// adopt takes over new terms.
func (c *carrier) adopt(conf *Carrier) {
	t := &terms{Carrier: *conf, text: text.Options{Alphabet: conf.Alphabet, Method: conf.Concat}, service: []byte(conf.Service)}
	t.classes, _ = newClassTable(&conf.Errors) // the faults were found by Validate
	c.terms.Store(t)
	c.rateIn.setRate(conf.Rate.In)
	c.pace.setLimit(conf.Rate.Out)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.binds {
		s.rateIn.setRate(conf.Rate.InPerBind)
		s.rateOut.setRate(conf.Rate.OutPerBind)
	}
}

// sameBind reports whether b differs from a in terms only.
func sameBind(a, b *Carrier, same func(a, b any) bool) bool {
	x := *b
	x.Rate, x.Alphabet, x.Concat, x.ReceiptID = a.Rate, a.Alphabet, a.Concat, a.ReceiptID
	x.Source, x.Dest, x.Validity, x.Service = a.Source, a.Dest, a.Validity, a.Service
	x.Routes, x.Senders, x.Errors = a.Routes, a.Senders, a.Errors
	return same(*a, x)
}

// join adds a session that is about to be bound, or says that there are enough.
func (c *carrier) join(s *session, limit int) bool {
	t := c.terms.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.Load() || len(c.binds) >= limit {
		return false
	}
	s.carrier, s.timers, s.windowIn = c, t.Timers, int32(t.WindowIn)
	s.rateIn.setRate(t.Rate.InPerBind)
	s.rateOut.setRate(t.Rate.OutPerBind)
	c.binds = append(c.binds, s)
	return true
}

// bound opens a session that joined for messages.
func (c *carrier) bound(s *session) {
	s.since = c.edge.now()
	s.active.Store(c.edge.clock())
	s.conn.SetReadDeadline(time.Time{})
	s.openWindow(c.terms.Load().Window)
	if s.sends {
		c.able.Add(1)
	}
	s.state.CompareAndSwap(int32(stateOpen), int32(stateBound))
	s.state.CompareAndSwap(int32(stateBinding), int32(stateBound))
	s.start("timers", s.tend)
	c.edge.log.Info("an SMPP session is bound", "carrier", c.name, "pdu", s.kind.String(), "peer", s.remote.String(), "tls", s.secure)
	c.pump()
}

// leave removes a session that is over.
func (c *carrier) leave(s *session) {
	c.mu.Lock()
	for i, other := range c.binds {
		if other == s {
			c.binds = append(c.binds[:i], c.binds[i+1:]...)
			break
		}
	}
	c.mu.Unlock()
	if s.sends && !s.since.IsZero() && c.able.Add(-1) == 0 {
		c.unbound.Store(c.edge.clock())
	}
	if reason := s.reason(); reason != nil {
		c.fault(reason.Error())
	}
}

// fault keeps what went wrong last for operators to see.
func (c *carrier) fault(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lastAt = what, c.edge.now()
}

// usable reports that a message could go out.
func (c *carrier) usable() bool { return c.able.Load() > 0 && !c.stopped.Load() }

// enqueue puts a job behind the others and sends what can be sent.
func (c *carrier) enqueue(j *job) {
	limit := c.edge.current.Load().config.Queue
	c.mu.Lock()
	j.queued = c.edge.clock()
	if c.queue.len() >= limit || c.queue.len() >= crowd && c.late(j.queued) {
		c.mu.Unlock()
		c.turnAway(j)
		return
	}
	c.queue.push(j)
	over := c.send()
	c.mu.Unlock()
	finish(over)
}

// A carrier that takes messages slowly or not at all must not hold all that the
// core has on its way, or the others would stand still with it. So when its first
// message waits for long, few may wait behind it.
const (
	crowd      = 256 // messages
	crowdAfter = 2 * time.Second
)

// late reports that the first message has waited for long; c.mu is held.
func (c *carrier) late(now int64) bool {
	return c.queue.len() > 0 && time.Duration(now-c.queue.first().queued) >= crowdAfter
}

// disperse turns away what waits behind the first ones of a slow carrier.
func (c *carrier) disperse() {
	c.mu.Lock()
	var away []*job
	if c.late(c.edge.clock()) {
		n := 0
		away = c.queue.remove(func(j *job) bool { n++; return n > crowd && j.sent == 0 })
	}
	c.mu.Unlock()
	for _, j := range away {
		c.turnAway(j)
	}
}

// turnAway gives a message back to the core, to come again later and later.
func (c *carrier) turnAway(j *job) {
	c.metrics.full.Inc()
	j.retry(c.name, "queue_full", backoff(int(j.m.Attempt)+1, 2*time.Second, time.Minute))
}

// pump sends what can be sent.
func (c *carrier) pump() {
	c.mu.Lock()
	if c.queue.len() == 0 {
		c.mu.Unlock()
		return
	}
	over := c.send()
	c.mu.Unlock()
	finish(over)
}

// resume sends the next part of a job before all that waits.
func (c *carrier) resume(j *job) {
	c.mu.Lock()
	j.queued = c.edge.clock()
	c.queue.pushFront(j)
	over := c.send()
	c.mu.Unlock()
	finish(over)
}

// takeBack puts jobs that a session never wrote before the others, or sends
// them another way when no bind is left.
func (c *carrier) takeBack(jobs []*job) {
	c.mu.Lock()
	for i := len(jobs) - 1; i >= 0; i-- {
		c.queue.pushFront(jobs[i])
	}
	c.mu.Unlock()
	if !c.usable() {
		c.flush()
		return
	}
	c.pump()
}

// flush gives all that waits to other carriers, or back to the core.
func (c *carrier) flush() {
	c.mu.Lock()
	jobs := c.queue.takeAll()
	c.mu.Unlock()
	for _, j := range jobs {
		if j.sent > 0 { // parts of one message stay with one carrier
			j.absent(c)
			j.unsent(c.name)
			continue
		}
		j.absent(c)
		c.edge.place(j)
	}
}

// over is a job that ends without having been written.
type over struct {
	job    *job
	result gateway.Result
}

func finish(list []over) {
	for _, o := range list {
		o.job.end(o.result)
	}
}

// send writes jobs while there is a bind with a free window and the rates
// allow it; c.mu is held. What cannot be sent at all is returned.
func (c *carrier) send() (failed []over) {
	for c.queue.len() > 0 {
		now := c.edge.now()
		j := c.queue.first()
		if j.expired(now) {
			c.queue.pop()
			failed = append(failed, over{j, gateway.Result{Fate: gateway.FateExpired, Carrier: c.name}})
			continue
		}
		s, wait := c.pick(now)
		if s == nil {
			c.wakeIn(wait)
			return failed
		}
		if !c.pace.bucket.take(now) {
			c.wakeIn(c.pace.bucket.wait())
			return failed
		}
		c.queue.pop()
		err := s.submit(c, j)
		if err == nil {
			s.rateOut.take(now)
			continue
		}
		c.pace.bucket.putBack()
		if errors.Is(err, errClosed) {
			c.queue.pushFront(j)
			return failed // its end wakes us
		}
		failed = append(failed, over{j, gateway.Result{Fate: gateway.FateRejected, Carrier: c.name, Code: code(err)}})
	}
	return failed
}

// code names an encoding error.
func code(err error) string {
	var bad *pdu.Error
	if errors.As(err, &bad) {
		return bad.Status.String()
	}
	return "unencodable"
}

// pick finds the bind with the fewest messages in flight among those with a
// free window, or tells how long until its rate allows another; c.mu is held.
func (c *carrier) pick(now time.Time) (best *session, wait time.Duration) {
	c.turn++
	for i := range c.binds {
		s := c.binds[(c.turn+i)%len(c.binds)]
		if s.at() != stateBound || !s.sends || int(s.inFlight.Load()) >= s.window {
			continue
		}
		if !s.rateOut.ready(now) {
			if w := s.rateOut.wait(); wait == 0 || w < wait {
				wait = w
			}
			continue
		}
		if best == nil || s.inFlight.Load() < best.inFlight.Load() {
			best = s
		}
	}
	return best, wait
}

// wakeIn looks again after a while; c.mu is held. Tokens come in small change:
// waiting a few milliseconds collects several.
func (c *carrier) wakeIn(d time.Duration) {
	if d <= 0 || c.waking || c.stopped.Load() {
		return
	}
	c.waking = true
	time.AfterFunc(min(max(d, 5*time.Millisecond), time.Second), func() {
		c.mu.Lock()
		c.waking = false
		c.mu.Unlock()
		c.pump()
	})
}

// sweep ends jobs whose validity is over while they wait.
func (c *carrier) sweep(now time.Time) {
	c.mu.Lock()
	jobs := c.queue.remove(func(j *job) bool { return j.expired(now) })
	c.mu.Unlock()
	for _, j := range jobs {
		j.end(gateway.Result{Fate: gateway.FateExpired, Carrier: c.name})
	}
	if !c.usable() { // the last bind ended while a job was put into the queue
		c.flush()
	}
	c.disperse()
	c.pump()
}

// accepted is the peer's yes to a part.
func (c *carrier) accepted(j *job, id []byte) {
	c.pace.accepted(c.edge.now())
	j.keys = append(j.keys, receipt.ResponseKey(id, c.terms.Load().ReceiptID))
	j.sent++
	if int(j.sent) < len(j.parts) {
		c.resume(j)
		return
	}
	c.pump() // first, as done may bring the next message
	j.end(gateway.Result{Fate: gateway.FateAccepted, Carrier: c.name, Code: pdu.ESME_ROK.String()})
}

// refused is the peer's no.
func (c *carrier) refused(j *job, status pdu.Status) {
	kind := c.terms.Load().classes.of(status)
	name := status.String()
	j.code = name
	switch {
	case kind == classThrottle:
		c.throttled.Store(c.edge.clock())
		j.retry(c.name, name, c.pace.throttled(c.edge.now()))
	case kind == classRetry:
		j.retry(c.name, name, 0)
	case kind == classOther && j.sent == 0:
		j.passing = j.passing || passing(status)
		c.edge.place(j)
	case kind == classOther && passing(status): // parts of one message stay with one carrier
		j.retry(c.name, name, 0)
	default:
		j.end(gateway.Result{Fate: gateway.FateRejected, Carrier: c.name, Code: name})
	}
	c.pump()
}

// newReference starts concatenation references anywhere, so that those of
// before a restart do not come again at once.
func newReference() uint32 { return rand.Uint32() }
