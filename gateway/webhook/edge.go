package webhook

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what an edge works with.
type Options struct {
	Log     *slog.Logger          // slog.Default() when nil
	Metrics prometheus.Registerer // a registry of its own when nil
	Now     func() time.Time      // time.Now when nil
	// Resolver looks hosts up; that of the system when nil.
	Resolver *net.Resolver
}

// Edge is the outgoing HTTP edge.
type Edge struct {
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	build   func(Config) (*set, error)
	jitter  func(time.Duration) time.Duration // any duration up to the given one

	current  atomic.Pointer[set]
	attempts sync.WaitGroup
	cut      context.Context // ends when attempts that a stop waits for had their time
	cutOff   context.CancelFunc

	mu       sync.Mutex
	schedule *schedule
	waiting  map[*job]struct{} // ready or pausing
	phase    phase
}

// phase is where an edge is in its life.
type phase uint8

const (
	phaseNew phase = iota // requests wait for Run
	phaseRunning
	phaseStopping // nothing starts any more
)

// state is where a job is. It changes under the edge's lock.
type state uint8

const (
	stateReady    state = iota // in its host's queue
	statePausing               // until its timer ends
	stateRunning               // an attempt is made
	stateAnswered              // done was called, or will be by who set this
)

// job is a request that was accepted.
type job struct {
	request Request
	target  *url.URL
	ctx     context.Context // the caller's
	done    func(Response)
	began   time.Time

	state    state
	host     *host
	place    *list.Element
	timer    *time.Timer
	unwatch  func() bool
	attempts int
	last     *Response // of the last attempt
}

// New checks the configuration and returns an edge that is not running yet. The
// error lists every fault.
func New(cfg Config, o Options) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	build := func(c Config) (*set, error) { return newSet(c, o.Resolver) }
	s, err := build(cfg)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	e := &Edge{
		log: o.Log, now: o.Now, build: build, jitter: fullJitter,
		schedule: newSchedule(cfg.limits()), waiting: make(map[*job]struct{}),
	}
	e.cut, e.cutOff = context.WithCancel(context.Background())
	e.metrics = newMetrics(o.Metrics, e)
	e.current.Store(s)
	return e, nil
}

func fullJitter(d time.Duration) time.Duration { return rand.N(d + 1) }

func (c *Config) limits() limits {
	return limits{total: c.Concurrency, perHost: c.ConcurrencyPerHost, queue: c.Queue, queuePerHost: c.QueuePerHost}
}

// Do makes a request. It does not block: a request that finds no free place
// waits in a bounded queue or is answered at once with [FailureOverload]. done
// is called exactly once, from any goroutine, before Do returns as well, and
// must not block. When ctx ends, a request that waits is answered with
// [FailureStopping], and an attempt that is being made is the last;
// Response.Attempts tells whether anything was sent.
func (e *Edge) Do(ctx context.Context, r Request, done func(Response)) {
	j := &job{request: r, ctx: ctx, done: done, began: e.now()}
	if err := e.check(j); err != nil {
		e.answer(j, refusal(err))
		return
	}
	if failure := e.admit(j); failure != "" {
		e.answer(j, &Response{Err: failure})
	}
}

// check finds what is wrong with a request and reads its URL.
func (e *Edge) check(j *job) (err error) {
	s := e.current.Load()
	if err = j.request.check(s.config.MaxBody); err != nil {
		return err
	}
	if j.target, err = parseTarget(j.request.URL); err != nil {
		return err
	}
	return s.guard.checkURL(j.target)
}

// CheckURL is that of the configuration in force.
func (e *Edge) CheckURL(url string) error { return e.current.Load().config.CheckURL(url) }

// refusal is the answer to a request that is not made.
func refusal(err error) *Response {
	r := &Response{Err: FailureInvalid, Detail: cut(err.Error())}
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		r.Err = FailureRefused
	case errors.Is(err, errTooLarge):
		r.Err = FailureTooLarge
	}
	return r
}

// admit puts a job into its queue, or says why not.
func (e *Edge) admit(j *job) Failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.phase == phaseStopping || j.ctx.Err() != nil:
		return FailureStopping
	case !e.schedule.admit(j, j.target.Hostname()):
		return FailureOverload
	}
	e.waiting[j] = struct{}{}
	j.unwatch = context.AfterFunc(j.ctx, func() { e.abandon(j) })
	e.start()
	return ""
}

// start starts the attempts that there is room for. The lock is held.
func (e *Edge) start() {
	if e.phase != phaseRunning {
		return
	}
	for j := e.schedule.next(); j != nil; j = e.schedule.next() {
		delete(e.waiting, j)
		j.state = stateRunning
		e.attempts.Add(1)
		go func() {
			defer e.attempts.Done()
			e.settle(j, e.attempt(j))
		}()
	}
}

// attempt makes one attempt.
func (e *Edge) attempt(j *job) *Response {
	now, s := e.now(), e.current.Load()
	limit := j.request.Timeout
	if limit == 0 {
		limit = s.config.Timeout
	}
	if !j.request.Expires.IsZero() {
		left := j.request.Expires.Sub(now)
		if left <= 0 {
			return e.expired(j)
		}
		limit = min(limit, left)
	}
	j.attempts++
	// The caller's context ends with the daemon; what was sent by then may still
	// be answered, until cut ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), limit)
	defer cancel()
	defer context.AfterFunc(e.cut, cancel)()

	began := time.Now()
	r, err := s.exchange(ctx, &j.request, j.target, now)
	if err != nil {
		r = e.failed(ctx, err)
	}
	e.metrics.attempt(r, time.Since(began))
	return r
}

// failed is the outcome of an attempt without an answer.
func (e *Edge) failed(ctx context.Context, err error) *Response {
	r := &Response{Err: classify(ctx, err), Detail: detail(err)}
	if r.Err == FailureTimeout && e.cut.Err() != nil {
		return &Response{Err: FailureStopping}
	}
	if r.Detail == "" {
		r.Detail = usual(r.Err)
	}
	var dns *net.DNSError
	r.absent = errors.As(err, &dns) && dns.IsNotFound
	return r
}

// expired is the outcome of a request whose time ended while it waited.
func (e *Edge) expired(j *job) *Response {
	if j.last != nil {
		return j.last
	}
	return &Response{Err: FailureExpired}
}

// settle decides what comes after an attempt: another one, or the answer.
func (e *Edge) settle(j *job, r *Response) {
	e.mu.Lock()
	e.schedule.release(j)
	j.last = r
	wait, again := e.again(j, r)
	switch {
	case again && (e.phase == phaseStopping || j.ctx.Err() != nil):
		stopped := *r // what the server said stays for the record
		stopped.Err = FailureStopping
		r, again = &stopped, false
	case again:
		j.state = statePausing
		e.waiting[j] = struct{}{}
		j.timer = time.AfterFunc(wait, func() { e.resume(j) })
	}
	if !again {
		e.leave(j)
	}
	e.start()
	e.mu.Unlock()
	if !again {
		e.answer(j, r)
	}
}

// again says whether another attempt follows, and after how long.
func (e *Edge) again(j *job, r *Response) (time.Duration, bool) {
	retries := min(j.request.Retries, maxRetries)
	if retries == 0 {
		retries = e.current.Load().config.Retries
	}
	if !r.temporary() || j.attempts > retries {
		return 0, false
	}
	wait, ok := pause(r, j.attempts, e.jitter)
	if end := j.request.Expires; !end.IsZero() && !e.now().Add(wait).Before(end) {
		return 0, false
	}
	return wait, ok
}

// resume puts a job whose pause is over back into its queue.
func (e *Edge) resume(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.state != statePausing {
		return
	}
	j.state = stateReady
	e.schedule.enqueue(j)
	e.start()
}

// abandon answers a job that waits and whose caller does not.
func (e *Edge) abandon(j *job) {
	e.mu.Lock()
	waits := j.state == stateReady || j.state == statePausing
	if waits {
		e.leave(j)
	}
	e.mu.Unlock()
	if waits {
		e.answer(j, j.stopped())
	}
}

// stopped is the answer to a job that waited when it was given up.
func (j *job) stopped() *Response {
	r := Response{}
	if j.last != nil {
		r = *j.last
	}
	r.Err = FailureStopping
	return &r
}

// leave forgets a job that is about to be answered. The lock is held.
func (e *Edge) leave(j *job) {
	j.state = stateAnswered
	if j.timer != nil {
		j.timer.Stop()
	}
	j.unwatch()
	delete(e.waiting, j)
	e.schedule.leave(j)
}

// answer tells the caller. The lock is not held.
func (e *Edge) answer(j *job, r *Response) {
	out := *r
	out.Attempts = j.attempts
	out.Elapsed = e.now().Sub(j.began)
	e.metrics.request(&j.request, &out)
	e.report(j, &out)
	j.done(out)
}

// report logs what did not succeed. Paths may hold tokens as queries do, so the
// host is all that is said of the URL.
func (e *Edge) report(j *job, r *Response) {
	if r.OK() {
		return
	}
	level, host := slog.LevelDebug, ""
	if r.Err == FailureRefused {
		level = slog.LevelWarn
	}
	if j.target != nil {
		host = j.target.Host
	}
	e.log.LogAttrs(context.WithoutCancel(j.ctx), level, "an HTTP request did not succeed", slog.String("request", cut(j.request.ID)), slog.String("host", host),
		slog.String("failure", string(r.Err)), slog.Int("status", r.Status), slog.Int("attempts", r.Attempts), slog.String("detail", r.Detail))
}

// Run makes requests until ctx ends. Then those that wait are answered with
// [FailureStopping]; those on their way get DrainTimeout to end.
func (e *Edge) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.phase != phaseNew {
		e.mu.Unlock()
		return errors.New("webhook: an edge runs once")
	}
	e.phase = phaseRunning
	e.start()
	e.mu.Unlock()

	<-ctx.Done()
	e.stop()
	drain := time.AfterFunc(e.current.Load().config.DrainTimeout, e.cutOff)
	e.attempts.Wait()
	drain.Stop()
	e.cutOff()
	e.current.Load().closeIdle()
	return nil
}

// stop answers everything that waits.
func (e *Edge) stop() {
	e.mu.Lock()
	e.phase = phaseStopping
	waiting := make([]*job, 0, len(e.waiting))
	for j := range e.waiting {
		waiting = append(waiting, j)
	}
	for _, j := range waiting {
		e.leave(j)
	}
	e.mu.Unlock()
	for _, j := range waiting {
		e.answer(j, j.stopped())
	}
}

// Reload puts another configuration in force, or changes nothing when it is
// faulty. Requests on their way go on under the old one; what waits, and every
// further attempt, falls under the new one.
func (e *Edge) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	s, err := e.build(cfg)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	e.mu.Lock()
	old := e.current.Swap(s)
	e.schedule.limit(cfg.limits())
	e.start()
	e.mu.Unlock()
	old.closeIdle()
	return nil
}
