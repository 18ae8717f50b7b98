package runtime

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Errors with which work is refused. Nothing of the work was kept then.
var (
	// ErrOverload: a queue is full.
	ErrOverload = errors.New("the queue is full")
	// ErrStopping: the daemon drains.
	ErrStopping = errors.New("the daemon is stopping")
	// ErrUnavailable: the store does not commit.
	ErrUnavailable = errors.New("the store does not commit")
	// ErrNotFound: there is no such message, person or flow.
	ErrNotFound = errors.New("not found")
)

// Options of a Runtime. The zero value of a field means its default.
type Options struct {
	// Executors is the number of shard owners; default: one per processor.
	Executors int
	// MaxSending bounds the messages per executor that are with senders; default 2048.
	MaxSending int
	// History is how long what happened to a person is kept; default 100 days.
	History time.Duration
	// Events is how long People events are kept; default 190 days.
	Events time.Duration
	// Reports is how long a delivery report is expected; default 7 days.
	Reports time.Duration
	// Early is how long a report waits for its message; default 1 hour.
	Early time.Duration
	// Reassembly is how long the parts of a message wait for the missing ones;
	// default 5 minutes. DeliverIncomplete then hands on what came.
	Reassembly        time.Duration
	DeliverIncomplete bool
	// ReceiptValidity is how long a delivery report that we owe waits for a bind
	// of its carrier; default 48 hours.
	ReceiptValidity time.Duration
	// Calls is how long records of calls are kept; default 400 days.
	Calls time.Duration
	// Assemble makes a text of the parts of a message, missing ones nil.
	Assemble func(parts []*Part) (string, error)
	Now      func() time.Time
	// Random is where the ids of operations come from; default: crypto/rand.
	Random io.Reader
	// Await makes a runtime that is driven by a [Hand]: it is called by whoever
	// would block, again and again until what is waited for has come.
	Await   func(ctx context.Context) error
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

func (o *Options) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Executors <= 0 {
		o.Executors = min(goruntime.GOMAXPROCS(0), flowengine.Shards)
	}
	if o.MaxSending <= 0 {
		o.MaxSending = 2048
	}
	set(&o.History, 100*24*time.Hour)
	set(&o.Events, 190*24*time.Hour)
	set(&o.Reports, 7*24*time.Hour)
	set(&o.Early, time.Hour)
	set(&o.Reassembly, 5*time.Minute)
	set(&o.ReceiptValidity, 48*time.Hour)
	set(&o.Calls, 400*24*time.Hour)
	if o.Assemble == nil {
		o.Assemble = func([]*Part) (string, error) { return "", errors.New("no edge puts parts together") }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
}

// Runtime hosts the flow engine on a store. Its methods may be called
// concurrently.
type Runtime struct {
	store     storage.Store
	options   Options
	log       *slog.Logger
	metrics   *metrics
	executors []*executor
	set       atomic.Pointer[flowengine.Set]
	senders   atomic.Pointer[map[string]Sender]
	published atomic.Bool // the flows are known: steps may run
	draining  atomic.Bool
	stopped   atomic.Bool
	health    atomic.Pointer[healthError]
	flows     registry
	boot      uint32 // number of this start
	jobs      chan *job
	// linkSecret makes the tokens of short links.
	linkSecret []byte
	hooks      atomic.Pointer[hookSet] // nil: nobody wants to hear of anything
	indexed    atomic.Bool             // the indexes have everybody

	rejectConflicts atomic.Bool   // people.on_conflict: reject
	importing       chan struct{} // holds one import at a time
	pacer           pacer
	caller          Caller           // holds calls; nil: nobody does
	asked           chan struct{}    // an element has asked for the start of a broadcast
	alive           map[uint32]alive // of executors of former starts
	wishes          struct {
		sync.Mutex
		ids map[string]bool // of those broadcasts
	}
}

type healthError struct{ err error }

// New makes a runtime on an open store. It reads what the store knows of flows;
// Publish tells it what is configured, and Run starts it.
func New(store storage.Store, o Options) (*Runtime, error) {
	o.setDefaults()
	rt := &Runtime{store: store, options: o, log: o.Log, jobs: make(chan *job, 64), importing: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
	rt.metrics = newMetrics(o.Metrics, rt)
	empty, _, err := flowengine.NewSet(nil, nil, nil)
	if err != nil {
		return nil, err
	}
	rt.set.Store(empty)
	rt.senders.Store(&map[string]Sender{})
	var first storage.Batch // nobody owns its keys yet: no executor runs
	if rt.boot, err = nextBoot(store, &first); err != nil {
		return nil, fmt.Errorf("runtime: counting the start: %w", err)
	}
	if rt.linkSecret, err = storedSecret(store, &first); err != nil {
		return nil, fmt.Errorf("runtime: reading the secret of short links: %w", err)
	}
	if err = store.Apply(&first); err != nil {
		return nil, fmt.Errorf("runtime: counting the start: %w", err)
	}
	if _, err = store.Get(indexedKey(), nil); err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("runtime: reading the store: %w", err)
	}
	rt.indexed.Store(err == nil)
	if err := rt.loadAlive(); err != nil {
		return nil, fmt.Errorf("runtime: reading until when calls stood: %w", err)
	}
	if err := rt.pacer.load(store); err != nil {
		return nil, fmt.Errorf("runtime: reading how far messages are paced: %w", err)
	}
	shards := make([][]flowengine.Shard, o.Executors)
	for s := range flowengine.Shard(flowengine.Shards) {
		i := int(s) % o.Executors
		shards[i] = append(shards[i], s)
	}
	rt.executors = make([]*executor, o.Executors)
	for i := range rt.executors {
		if rt.executors[i], err = newExecutor(rt, i, shards[i]); err != nil {
			return nil, fmt.Errorf("runtime: reading the store: %w", err)
		}
	}
	for _, ex := range rt.executors {
		for _, a := range rt.alive {
			ex.callAt = max(ex.callAt, a.at.UnixMilli())
		}
		if err := ex.loadGroups(); err != nil {
			return nil, fmt.Errorf("runtime: reading the store: %w", err)
		}
	}
	if err := firstError(rt.flows.load(store), rt.loadBroadcasts()); err != nil {
		return nil, fmt.Errorf("runtime: reading the flows: %w", err)
	}
	return rt, nil
}

// bootShift is where the number of the start stands in the sequence of an
// executor's history: a clock that was turned back over a restart must not make
// two entries of the same millisecond one.
const bootShift = 20

// nextBoot counts the starts on a store.
func nextBoot(store storage.Reader, b *storage.Batch) (uint32, error) {
	key := appendPrefix(nil, metaShard, kindBoot)
	value, err := store.Get(key, nil)
	if err != nil && !isNotFound(err) {
		return 0, err
	}
	boot := uint32(0)
	if len(value) == 4 {
		boot = binary.BigEndian.Uint32(value)
	}
	boot++
	if boot == 1 { // nobody is there yet
		b.Put(indexedKey(), nil)
	}
	b.Put(key, binary.BigEndian.AppendUint32(nil, boot))
	return boot, nil
}

// Register names the sender of a channel. It is called before Run.
func (rt *Runtime) Register(channel string, s Sender) {
	old := *rt.senders.Load()
	m := make(map[string]Sender, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	m[channel] = s
	rt.senders.Store(&m)
}

func (rt *Runtime) sender(channel string) Sender { return (*rt.senders.Load())[channel] }

// Run works until ctx ends. What was acknowledged by then is durable.
func (rt *Runtime) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, ex := range rt.executors {
		g.Go(func() error {
			err := ex.run(ctx)
			if ctx.Err() == nil { // a store that fails must not end the daemon: it says what is wrong and answers errors
				<-ctx.Done()
			}
			return err
		})
	}
	g.Go(func() error { return rt.runJobs(ctx) })
	g.Go(func() error { rt.tendBroadcasts(ctx); return nil })
	g.Go(func() error {
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				rt.noteAlive()
			case <-ctx.Done():
				return nil
			}
		}
	})
	g.Go(func() error {
		rt.resumeStops(ctx)
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				rt.keepHouse(ctx)
			case <-ctx.Done():
				return nil
			}
		}
	})
	err := g.Wait()
	rt.stopped.Store(true)
	for _, ex := range rt.executors { // what came between
		ex.refuse(ErrStopping)
	}
	return err
}

// fires tells whether timers fire and messages go out: not before the flows are
// known, for a run would be lost whose flow is not there, and not any more when
// the daemon drains.
func (rt *Runtime) fires() bool { return rt.published.Load() && !rt.draining.Load() }

// keepHouse does what is due every minute.
func (rt *Runtime) keepHouse(ctx context.Context) {
	rt.lifecycle(ctx)
	if rt.fires() {
		rt.judge(ctx)
		if err := errors.Join(rt.dailySegments(ctx), rt.dailyJobs(ctx)); err != nil && ctx.Err() == nil {
			rt.log.Error("the jobs of the day could not begin", "error", err)
		}
	}
	for _, ex := range rt.executors {
		for _, s := range ex.shards {
			ex.submit(task{name: "sweep", run: func(tx *txn) error { return firstError(tx.sweepEarly(s), tx.sweepDead(s)) }})
		}
	}
}

// Drain stops sending and firing timers, and waits until everything that was
// begun is finished and durable, or ctx ends.
func (rt *Runtime) Drain(ctx context.Context) error {
	rt.draining.Store(true)
	for {
		busy := 0
		for _, ex := range rt.executors {
			err := rt.do(ctx, ex, "drain", func(tx *txn) error {
				if tx.ex.sending > 0 || len(tx.ex.queue) > 0 || len(tx.ex.jobs) > 0 {
					busy++
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Health is nil while everything that is acknowledged becomes durable, and else
// says what is wrong.
func (rt *Runtime) Health() error {
	if h := rt.health.Load(); h != nil {
		return h.err
	}
	return rt.store.Health()
}

// stalled notes that a batch waits for the store, or no longer does.
func (rt *Runtime) stalled(err error) {
	old := rt.health.Load()
	switch {
	case err != nil && old == nil:
		if rt.health.CompareAndSwap(nil, &healthError{err}) {
			rt.log.Error("the store has no room; nothing is acknowledged until there is", "error", err)
		}
	case err == nil && old != nil && errors.Is(old.err, storage.ErrFull):
		if rt.health.CompareAndSwap(old, nil) {
			rt.log.Info("the store has room again")
		}
	}
}

// full tells whether a batch waits for room. What would only wait behind it is
// refused then: a peer that hears nothing takes the message for lost.
func (rt *Runtime) full() bool {
	h := rt.health.Load()
	return h != nil && errors.Is(h.err, storage.ErrFull)
}

// fail notes that an executor has stopped for good.
func (rt *Runtime) fail(err error) { rt.health.Store(&healthError{err}) }

func (rt *Runtime) now() time.Time { return rt.options.Now().UTC().Truncate(time.Millisecond) }

func (rt *Runtime) owner(s flowengine.Shard) *executor { return rt.executors[int(s)%len(rt.executors)] }

// submit queues a task, or answers it with ErrOverload.
func (ex *executor) submit(t task) {
	if ex.rt.stopped.Load() {
		t.refuse(ErrStopping)
		return
	}
	select {
	case ex.queue <- t:
	default:
		t.refuse(ErrOverload)
	}
}

func (t task) refuse(err error) {
	if t.done != nil {
		t.done(err)
	}
}

// do runs a task and waits until what it wrote is durable. When ctx ends before,
// the task does not run, or has run, by the time do returns: what it writes to
// variables of the caller is never written behind the caller's back.
func (rt *Runtime) do(ctx context.Context, ex *executor, name string, run func(*txn) error) error {
	done, ran := make(chan error, 1), make(chan struct{})
	var taken atomic.Bool // by the executor, or by do, which gives it up
	t := task{name: name, done: func(err error) { done <- err }, run: func(tx *txn) error {
		if !taken.CompareAndSwap(false, true) {
			return nil
		}
		defer close(ran)
		return run(tx)
	}}
	select {
	case ex.queue <- t:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := rt.await(ctx, done)
	if err != nil && ctx.Err() != nil && !taken.CompareAndSwap(false, true) {
		<-ran
	}
	return err
}

// await waits for the answer to a task.
func (rt *Runtime) await(ctx context.Context, done <-chan error) error {
	if rt.options.Await == nil {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for len(done) == 0 {
		if err := rt.options.Await(ctx); err != nil {
			return err
		}
	}
	return <-done
}

// Inbound takes a message from a person, or a part of one. done is called
// exactly once: with nil after the message and all that follows from it are durable.
func (rt *Runtime) Inbound(a *Arrival, done func(error)) {
	if !rt.fires() {
		done(ErrStopping)
		return
	}
	if rt.full() {
		done(ErrOverload)
		return
	}
	rt.owner(a.From.Shard()).submit(task{name: "inbound", done: done, run: func(tx *txn) error { return tx.arrive(a, done) }})
}

// Report takes a delivery report; done is as in Inbound.
func (rt *Runtime) Report(d *Delivery, done func(error)) {
	if rt.full() {
		done(ErrOverload)
		return
	}
	to := flowengine.Address{Kind: flowengine.Phone}
	if d.Channel == channelEmail && len(d.Keys) > 0 {
		to, d.Carrier = reportPlace(d.Channel, "", "", d.Keys[0])
	} else {
		to.Value = rt.recipient(d)
	}
	rt.owner(to.Shard()).submit(task{name: "report", done: done, run: func(tx *txn) error { return tx.report(d, to) }})
}

// recipient tells which of a report's addresses is the person's: peers disagree
// on the order.
func (rt *Runtime) recipient(d *Delivery) string {
	ours := func(v string) bool {
		return v == "" || v[0] < '0' || v[0] > '9' || rt.set.Load().Number("sms", v) != nil
	}
	if ours(d.To) && !ours(d.Other) {
		return d.Other
	}
	return d.To
}

// Send puts a message that no flow asked for into the outbox.
func (rt *Runtime) Send(ctx context.Context, m *Message) error {
	s := reportAddress(m.To).Shard()
	return rt.do(ctx, rt.owner(s), "send", func(tx *txn) error {
		tx.enqueue(s, m, tx.now)
		return tx.expectLetter(m, s)
	})
}

// Query tells when a postponed message will take effect.
func (rt *Runtime) Query(ctx context.Context, carrier string, from flowengine.Address, id string) (at time.Time, err error) {
	err = rt.do(ctx, rt.owner(from.Shard()), "query", func(tx *txn) error {
		key, _, err := tx.postponed(carrier, from, id)
		if err == nil {
			at = dueTime(key)
		}
		return err
	})
	return at, notFound(err)
}

// Ours reports whether messages to a number are for us; see [flowengine.Set.Ours].
func (rt *Runtime) Ours(channel, number string) bool { return rt.set.Load().Ours(channel, number) }

// Mailbox finds which of our numbers takes mail to an address; see [flowengine.Set.Mailbox].
func (rt *Runtime) Mailbox(address string) (number string, domain bool) {
	return rt.set.Load().Mailbox(address)
}

// Cancel withdraws a postponed message.
func (rt *Runtime) Cancel(ctx context.Context, carrier string, from flowengine.Address, id string) error {
	return notFound(rt.do(ctx, rt.owner(from.Shard()), "cancel", func(tx *txn) error { return tx.unschedule(carrier, from, id) }))
}

// Replace changes a postponed message; the zero time leaves its time as it is.
func (rt *Runtime) Replace(ctx context.Context, carrier string, from flowengine.Address, id, text string, at time.Time) error {
	return notFound(rt.do(ctx, rt.owner(from.Shard()), "replace", func(tx *txn) error { return tx.reschedule(carrier, from, id, text, at) }))
}

func notFound(err error) error {
	if isNotFound(err) {
		return ErrNotFound
	}
	return err
}

// fire lets a deadline take effect. It runs in the shard of the timer.
func (tx *txn) fire(e *dueEntry) error {
	if len(e.value) == 1 && e.value[0] == kindFragments {
		return tx.partsTimedOut(e)
	}
	if len(e.value) == 1 && e.value[0] == kindPlace {
		return tx.lookAt(e)
	}
	id, timer, ok := parseRunTimer(e.key)
	if !ok {
		tx.ex.timers.remove(shardOf(e.key), e.key, &tx.batch.writes)
		return fmt.Errorf("a timer with a damaged key of %d bytes is dropped", len(e.key))
	}
	m, err := tx.member(id)
	if err != nil {
		return err
	}
	if m.exists {
		tx.step(m, &timer)
	}
	tx.ex.timers.remove(shardOf(e.key), e.key, &tx.batch.writes)
	return nil
}
