package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync/atomic"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Sizes of an executor.
const (
	batchTasks  = 1024    // tasks per batch at most
	batchBytes  = 1 << 20 // bytes after which a batch takes no further task
	batchOps    = 8 << 10 // operations after which it takes none
	queueTasks  = 4096    // tasks that wait before Overload
	cachePeople = 16384   // persons in each generation of the cache
	timerShare  = 128     // due timers and rows taken before other tasks get their turn
)

// task is one unit of work on a shard. It runs on the shard's executor; done is
// called after the batch that holds its writes is durable, or with the error
// that prevented that.
type task struct {
	name string // for metrics and logs: inbound, send_result, …
	run  func(tx *txn) error
	done func(error)
}

// executor owns some shards. All its fields belong to its goroutine, but queue.
type executor struct {
	rt     *Runtime
	index  int
	shards []flowengine.Shard
	queue  chan task
	jobs   chan task // stretches of jobs, which let other tasks go first

	people   *generations[flowengine.PersonID, *member]
	contacts *generations[flowengine.Address, flowengine.PersonID]
	recent   *generations[string, []byte] // other records just written
	tallies  *generations[string, *Tally]
	counts   map[string]int64 // of persons and members of segments
	early    earlyCounts      // reports that wait for their message
	crowded  time.Time        // when it was last logged that too many do
	dead     atomic.Int64     // webhooks kept that could not be delivered; written by the executor only
	deadTold time.Time        // when that was last logged
	// openCalls are the open records of calls that this start has made.
	openCalls atomic.Int64
	callAt    int64 // Unix ms in the key of the latest record of a call
	timers    *dueQueue
	outbox    *dueQueue
	sending   int       // rows given to senders
	results   chan sent // never blocks: it has room for all that is with senders

	groups                 map[string]*group // parts that wait for the rest of their message
	shares                 map[string]share  // of them, by source
	started                int64             // Unix ms; rows that are older may have been sent before a crash
	record, value, scratch []byte            // buffers
	stepWork               flowengine.Work   // of one step after the other

	current, spare *batch
	inflight       *batch
	commits        chan *batch
	committed      chan *batch
	rowSeq         uint32 // orders rows of the outbox that are due in the same millisecond
	logSeq         uint32 // orders what happened to a person within a millisecond
	failed         error
}

// member is a person in memory.
type member struct {
	person   flowengine.Person
	passages flowengine.Passages
	exists   bool
	apart    bool                // the passages are in a record of their own
	first    flowengine.Address  // of a person who is being made
	leads    flowengine.PersonID // a signpost stands here, to that person
	moved    bool                // it stands for a person who was merged into that one
	// events are the person's People events: those noted since the person came
	// into memory, and, once recalled, those of before.
	events   []remembered
	recalled bool
	past     func(name string) []flowengine.Happened // see eventsOf
	placed   bool                                    // the person's segments are known
}

// batch is a set of tasks that are committed together.
type batch struct {
	writes  storage.Batch
	tasks   []finished
	due     []dueAdd
	settled []func()              // what may happen outside once the batch is durable
	calls   []flowengine.CallTask // likewise, in order, after everybody was answered
	touched map[string]*Tally
	counted map[string]bool // counts that the batch changed
	lanes   map[string]bool // in which its messages have taken turns; nil: none ever
	began   time.Time
	err     error
	// stretches counts the tasks of jobs.
	stretches int
}

type finished struct {
	done func(error)
	err  error
}

func newExecutor(rt *Runtime, index int, shards []flowengine.Shard) (*executor, error) {
	ex := &executor{
		rt: rt, index: index, shards: shards,
		queue:    make(chan task, queueTasks),
		jobs:     make(chan task, jobDepth),
		people:   newGenerations[flowengine.PersonID, *member](cachePeople),
		contacts: newGenerations[flowengine.Address, flowengine.PersonID](cachePeople),
		recent:   newGenerations[string, []byte](cachePeople),
		tallies:  newGenerations[string, *Tally](1024),
		early:    earlyCounts{},
		counts:   map[string]int64{},
		groups:   map[string]*group{},
		shares:   map[string]share{},
		results:  make(chan sent, rt.options.MaxSending),
		started:  rt.now().UnixMilli(),
		logSeq:   rt.boot << bootShift,
		rowSeq:   rt.boot << bootShift,
		scratch:  make([]byte, 0, 256),
		current:  newBatch(), spare: newBatch(),
		commits: make(chan *batch, 1), committed: make(chan *batch, 1),
	}
	var err error
	if ex.timers, err = newDueQueue(kindTimer, rt.store, shards, ex.leaving); err != nil {
		return nil, err
	}
	if ex.outbox, err = newDueQueue(kindOutbox, rt.store, shards, ex.leaving); err != nil {
		return nil, err
	}
	for _, s := range shards {
		err := firstError(
			rt.store.Scan(appendPrefix(nil, s, kindEarly), nil, func(key, _ []byte) bool {
				ex.early.add(s, earlyCarrier(key), 1)
				return true
			}),
			rt.store.Scan(appendPrefix(nil, s, kindDead), nil, func(_, _ []byte) bool { ex.dead.Add(1); return true }))
		if err != nil {
			return nil, err
		}
	}
	return ex, nil
}

// leaving lists the keys with a prefix that are in the store and whose deletion
// is on its way there.
func (ex *executor) leaving(prefix []byte) map[string]bool {
	keys := map[string]bool{}
	for op := range ex.unsynced(prefix) {
		keys[string(op.Key)] = op.Kind == storage.OpDelete
	}
	return keys
}

// unsynced gives what is written under a prefix and not durable yet, in the order
// in which it was written.
func (ex *executor) unsynced(prefix []byte) iter.Seq[storage.Op] {
	return func(yield func(storage.Op) bool) {
		for _, b := range []*batch{ex.inflight, ex.current} {
			if b == nil {
				continue
			}
			for op := range b.writes.Ops() {
				if bytes.HasPrefix(op.Key, prefix) && !yield(op) {
					return
				}
			}
		}
	}
}

func newBatch() *batch { return &batch{touched: map[string]*Tally{}, counted: map[string]bool{}} }

// run is the executor's life. It ends when ctx does, after what it took is
// durable, or when a commit fails.
func (ex *executor) run(ctx context.Context) error {
	finished := make(chan struct{})
	go func() { // the one committer; ends with commits
		defer close(finished)
		for b := range ex.commits {
			ex.sync(ctx, b)
		}
	}()
	defer func() {
		close(ex.commits)
		<-finished
	}()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		if err := ex.collect(); err != nil {
			ex.fail(err)
		}
		ex.commit()
		if ex.failed != nil {
			return ex.abandon(ctx)
		}
		queue, results, jobs := ex.queue, ex.results, ex.jobs
		if ex.current.full() {
			queue, results = nil, nil
		}
		if !ex.leisure() {
			jobs = nil
		}
		ex.setAlarm(alarm)
		select {
		case r := <-results:
			ex.finished(r)
		case t := <-queue:
			ex.execute(t)
		case t := <-jobs:
			ex.stretch(t)
		case b := <-ex.committed:
			ex.release(b)
		case <-alarm.C:
		case <-ctx.Done():
			return ex.finish(ctx)
		}
	}
}

// sync is the committer's work on a batch.
func (ex *executor) sync(ctx context.Context, b *batch) {
	b.err = ex.apply(ctx, b)
	ex.committed <- b
}

// apply makes a batch durable. While the medium is full nothing was written, so
// it tries again until there is room: the tasks of the batch and those behind it
// wait, the queue fills up, and whoever comes then hears ErrOverload.
func (ex *executor) apply(ctx context.Context, b *batch) error {
	if b.writes.Len() == 0 {
		return nil
	}
	for wait := time.Second; ; wait = min(2*wait, 15*time.Second) {
		err := ex.rt.store.Apply(&b.writes)
		if !errors.Is(err, storage.ErrFull) {
			ex.rt.stalled(nil)
			return err
		}
		ex.rt.stalled(err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// collect takes what waits, without waiting itself, until the batch is full:
// what senders are done with, what is due, then queued tasks. Jobs have one stretch
// in each batch, and more while nobody else has to wait for it.
func (ex *executor) collect() error {
	if len(ex.current.tasks) == 0 {
		ex.work()
	}
	for len(ex.results) > 0 && !ex.current.full() {
		ex.finished(<-ex.results)
	}
	if ex.rt.fires() {
		if err := ex.fireDue(); err != nil {
			return err
		}
	}
	for !ex.current.full() {
		select {
		case b := <-ex.committed:
			ex.release(b)
		default:
		}
		select {
		case t := <-ex.queue:
			ex.execute(t)
		default:
			if !ex.leisure() || !ex.work() {
				return nil
			}
		}
	}
	return nil
}

// leisure says that nobody waits for the current batch, or that it could not be
// committed now.
func (ex *executor) leisure() bool {
	b := ex.current
	return !b.full() && (ex.inflight != nil || len(b.tasks) == b.stretches)
}

// work runs a stretch of a job, if one waits.
func (ex *executor) work() bool {
	select {
	case t := <-ex.jobs:
		ex.stretch(t)
		return true
	default:
		return false
	}
}

func (ex *executor) stretch(t task) {
	ex.execute(t)
	ex.current.stretches = min(ex.current.stretches+1, len(ex.current.tasks))
}

// fireDue runs timers that are due, and gives due rows to their senders.
func (ex *executor) fireDue() error {
	now := ex.rt.now()
	for range timerShare {
		if ex.current.full() {
			break
		}
		e, err := ex.timers.take(now)
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		ex.execute(task{name: "timer", run: func(tx *txn) error { return tx.fire(e) }})
	}
	for ex.sending < ex.rt.options.MaxSending && !ex.current.full() {
		e, err := ex.outbox.take(now)
		if err != nil || e == nil {
			return err
		}
		ex.dispatch(e, now)
	}
	return nil
}

func (ex *executor) setAlarm(alarm *time.Timer) {
	next := time.Hour.Milliseconds()
	now := ex.rt.now().UnixMilli()
	if ex.rt.fires() && !ex.current.full() {
		next = min(next, ex.timers.next()-now)
		if ex.sending < ex.rt.options.MaxSending {
			next = min(next, ex.outbox.next()-now)
		}
	}
	alarm.Reset(time.Duration(max(next, 0)) * time.Millisecond)
}

// execute runs one task into the current batch. A panic in it is the task's
// error: it had nothing written before it returned.
func (ex *executor) execute(t task) {
	b := ex.current
	if len(b.tasks) == 0 {
		b.began = ex.rt.now()
	}
	tx := &txn{ex: ex, batch: b, now: ex.rt.now()}
	err := ex.guard(t, tx)
	ex.rt.metrics.tasks.WithLabelValues(t.name).Inc()
	if tx.handedOn {
		return
	}
	b.tasks = append(b.tasks, finished{t.done, err})
}

func (ex *executor) guard(t task, tx *txn) (err error) {
	mark := ex.current.writes.Len()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("runtime: task %s: %v", t.name, r)
			ex.rt.metrics.panics.Inc()
			ex.rt.log.Error("a step panicked", "task", t.name, "panic", r, "stack", string(debug.Stack()))
			tx.forget()
			if ex.current.writes.Len() != mark { // half a step must never be committed
				ex.fail(err)
			}
		}
	}()
	return t.run(tx)
}

func (b *batch) full() bool {
	return len(b.tasks) >= batchTasks || len(b.writes.Bytes()) >= batchBytes || b.writes.Len() >= batchOps
}

// commit hands the current batch to the committer, unless one is being synced.
func (ex *executor) commit() {
	if ex.inflight != nil || len(ex.current.tasks) == 0 || ex.failed != nil {
		return
	}
	b := ex.current
	ex.writeTallies(b)
	ex.writeCounts(b)
	ex.writeLanes(b)
	ex.rt.metrics.batch.Observe(float64(len(b.tasks)))
	ex.inflight, ex.current, ex.spare = b, ex.spare, nil
	ex.commits <- b
}

// release answers everybody whose task is in a batch that is durable now, and
// lets its effects out, in order.
func (ex *executor) release(b *batch) {
	ex.inflight = nil
	if b.err != nil {
		ex.fail(b.err)
		for _, t := range b.tasks {
			if t.done != nil {
				t.done(fmt.Errorf("%w: %w", ErrUnavailable, b.err))
			}
		}
		return
	}
	for _, d := range b.due {
		d.queue.add(d.shard, d.entry)
	}
	for _, settle := range b.settled {
		settle()
	}
	for _, t := range b.tasks {
		if t.done != nil {
			t.done(t.err)
		}
	}
	for i := range b.calls {
		ex.rt.caller.Do(b.calls[i])
	}
	ex.rt.metrics.commit.Observe(ex.rt.now().Sub(b.began).Seconds())
	b.writes.Reset()
	clear(b.tasks)
	clear(b.due)
	clear(b.settled)
	clear(b.calls)
	clear(b.touched)
	clear(b.counted)
	clear(b.lanes)
	b.stretches = 0
	b.tasks, b.due, b.settled, b.calls = b.tasks[:0], b.due[:0], b.settled[:0], b.calls[:0]
	ex.spare = b
}

// finish makes durable what was taken, then ends.
func (ex *executor) finish(context.Context) error {
	for {
		ex.commit()
		if ex.inflight == nil {
			break
		}
		ex.release(<-ex.committed)
		if ex.failed != nil {
			break
		}
	}
	ex.refuse(ErrStopping)
	return ex.failed
}

// fail ends the executor's work: nothing is acknowledged any more.
func (ex *executor) fail(err error) {
	if ex.failed == nil {
		ex.failed = err
		ex.rt.fail(err)
		ex.rt.log.Error("the store refused a batch; nothing further is acknowledged until the daemon is restarted", "error", err)
	}
}

// abandon refuses everything until ctx ends.
func (ex *executor) abandon(ctx context.Context) error {
	err := fmt.Errorf("%w: %w", ErrUnavailable, ex.failed)
	for _, t := range ex.current.tasks {
		if t.done != nil {
			t.done(err)
		}
	}
	for {
		select {
		case t := <-ex.queue:
			t.refuse(err)
		case t := <-ex.jobs:
			t.refuse(err)
		case <-ex.committed:
		case <-ex.results:
		case <-ctx.Done():
			ex.refuse(err)
			return ex.failed
		}
	}
}

// refuse answers what is still queued.
func (ex *executor) refuse(err error) {
	for {
		select {
		case t := <-ex.queue:
			t.refuse(err)
		case t := <-ex.jobs:
			t.refuse(err)
		default:
			return
		}
	}
}

// owns tells whether the executor is the owner of a shard.
func (ex *executor) owns(s flowengine.Shard) bool { return ex.rt.owner(s) == ex }

// tally is the running sum of a flow's counters for the day of now.
// It is written once per batch, however many events it counts.
//
// All shards of an executor count in its first one: a batch has persons of most
// shards, and would write counters for each of them. The sum over all shards is
// what counts.
func (ex *executor) tally(b *batch, flow string, now time.Time) *Tally {
	key := tallyKey(ex.scratch[:0], ex.shards[0], flow, dayOf(now))
	if t := b.touched[string(key)]; t != nil {
		return t
	}
	t, ok := ex.tallies.get(string(key))
	if !ok {
		value, err := ex.rt.store.Get(key, nil)
		if err == nil {
			t, err = decodeTally(value)
		} else if isNotFound(err) {
			t, err = NewTally(), nil
		}
		if err != nil { // counters that can't be read must not be counted over
			panic(fmt.Sprintf("counters of flow %q: %v", flow, err))
		}
		ex.tallies.put(string(key), t)
	}
	b.touched[string(key)] = t
	return t
}

// writeTallies puts the counters that the batch changed into it.
func (ex *executor) writeTallies(b *batch) {
	for key, t := range b.touched {
		ex.record = t.append(ex.record[:0])
		b.writes.Put([]byte(key), ex.record)
	}
}
