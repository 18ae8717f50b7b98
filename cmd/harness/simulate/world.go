package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/storage/memory"
)

// Bounds of a world.
const (
	awaitMost   = 200_000 // turns until an answer has to have come
	idleMost    = 200_000 // turns until everybody has to be idle
	traceLength = 40      // causes that a failure tells
	nesting     = 2       // causes that may come while another is waited for
)

// errStuck ends a wait for an answer that does not come.
var errStuck = errors.New("the answer did not come")

// world is one runtime after the other on a store that outlives them, with
// everybody around it. Everything in it follows from the seed.
type world struct {
	rng   *rand.Rand
	clock time.Time
	step  int

	store  *memory.Store
	rt     *runtime.Runtime
	hand   runtime.Hand
	ctx    context.Context // of this life of the runtime
	end    context.CancelFunc
	lives  int
	later  bool // people write for later, and in parts
	merges bool // contacts of several persons merge them
	policy *flowengine.Policy
	fatal  bool // nothing goes on: problems say why
	crashy int  // one turn in so many ends the runtime; 0: none

	schema  *flowengine.Schema
	flows   []*flowPlan
	retired []*flowPlan
	known   map[versionKey]*definition // every version that was published
	phones  []string
	network *network
	book    book
	actions []action
	depth   int // of causes that wait for an answer
	awaited int // turns since the last answer
	nextID  int

	trace    []string
	problems []string
}

type versionKey struct {
	flow    string
	ordinal uint32
}

// numbers are ours: one drops what comes twice (rule R7), the other takes all.
var numbers = []string{"38591000001", "38591000002"}

func newWorld(seed uint64) (*world, error) {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0)), store: memory.New(), known: map[versionKey]*definition{}, crashy: 5000, //nolint:gosec // it must be repeatable
		book: newBook(), actions: actions,
	}
	w.later, w.merges, w.policy = w.one(3), w.one(4), randomPolicy(w.rng)
	w.network = newNetwork(w)
	w.clock = pick(w.rng, []time.Time{
		time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC), // summer time begins in Europe
		time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 1, 4, 0, 0, 0, time.UTC), // it ends in America
		time.Date(2028, 2, 28, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC),
	})
	for i := range 4 + w.rng.IntN(8) {
		w.phones = append(w.phones, fmt.Sprintf("3859800%04d", i))
	}
	var err error
	if w.schema, err = flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole}); err != nil {
		return nil, err
	}
	g := w.generator()
	w.flows = append(w.flows, g.newFlow("invited", "flow_api"))
	for i := range 2 + w.rng.IntN(4) {
		w.flows = append(w.flows, g.newFlow(fmt.Sprintf("flow-%d", i)))
	}
	w.start()
	return w, nil
}

func (w *world) generator() *generator { return &generator{rng: w.rng, now: w.clock} }

// one is true once in n times.
func (w *world) one(n int) bool { return w.rng.IntN(n) == 0 }

func (w *world) id() string {
	w.nextID++
	return fmt.Sprintf("%d", w.nextID)
}

func (w *world) wrong(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// say notes what happens, for the report of a failure.
func (w *world) say(format string, args ...any) {
	line := fmt.Sprintf("%5d %s  ", w.step, w.clock.Format("2006-01-02T15:04:05.000")) + fmt.Sprintf(format, args...)
	if len(w.trace) >= traceLength {
		w.trace = append(w.trace[:0], w.trace[1:]...)
	}
	w.trace = append(w.trace, line)
}

// start begins lives of the runtime until one of them has read its configuration.
func (w *world) start() {
	for range 20 {
		w.lives++
		w.ctx, w.end = context.WithCancel(context.Background())
		w.network.begin()
		o := runtime.Options{
			Executors: 1 + w.rng.IntN(3), History: 100 * 365 * 24 * time.Hour, Now: func() time.Time { return w.clock },
			Random: randomBytes{w.rng}, Await: w.await, Log: slog.New(alarm{w}), Assemble: assemble,
		}
		if w.one(4) {
			o.MaxSending = 3
		}
		rt, err := runtime.New(w.store, o)
		if err != nil {
			w.wrong("the runtime does not start: %v", err)
			w.fatal = true
			return
		}
		w.rt, w.hand = rt, rt.Hand()
		rt.Register("sms", w.network)
		rt.Register(flowengine.ChannelHTTP, w.network)
		w.say("life %d begins with %d executors", w.lives, o.Executors)
		if w.publish() && w.ctx.Err() == nil {
			w.hand.Begin(w.ctx)
		}
		if w.ctx.Err() == nil || w.fatal {
			return
		}
		w.recover()
	}
	w.crashy = 0
	w.start()
}

// publish gives the runtime the configuration, and tells whether it took it.
func (w *world) publish() bool {
	p := runtime.Publication{RejectConflicts: !w.merges, Policy: w.policy, Schema: w.schema, Numbers: []*flowengine.Number{
		{Value: numbers[0], Channel: "sms", DuplicateWindow: 2 * time.Second, Default: "what?"},
		{Value: numbers[1], Channel: "sms"},
	}}
	var all []*definition
	for _, f := range w.flows {
		d, err := f.compile(w.schema)
		if err != nil {
			w.wrong("%v", err)
			w.fatal = true
			return false
		}
		all = append(all, d)
		p.Flows = append(p.Flows, d.version)
	}
	_, err := w.rt.Publish(w.ctx, p)
	for _, d := range all {
		if d.version.Ordinal > 0 {
			w.known[versionKey{d.version.Flow, d.version.Ordinal}] = d
		}
	}
	if err != nil && w.ctx.Err() == nil {
		w.wrong("a configuration is refused: %v", err)
		w.fatal = true
	}
	return err == nil
}

// crash ends the life of the runtime as a power cut does: what was applied is
// there, and nothing else.
func (w *world) crash() {
	w.say("crash")
	w.end()
}

// recover looks at what a crash has left, and goes on with that.
func (w *world) recover() {
	w.network.lost()
	w.book.lost()
	w.store = w.store.Clone()
	if !w.merges { // what is on its way from one person to another is nobody's
		w.audit(false)
	}
}

// await is called by whoever waits for an answer of the runtime.
func (w *world) await(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.awaited++; w.awaited > awaitMost {
		w.wrong("a request was not answered in %d turns", awaitMost)
		w.fatal = true
		w.end()
		return errStuck
	}
	w.turn()
	return ctx.Err()
}

// request lets something happen that waits for its answer, and meanwhile gives
// everybody else their turns. It tells whether the answer came: err is not what
// became of a crash.
func (w *world) request(do func(ctx context.Context) error) (err error, answered bool) {
	w.depth++
	defer func() { w.depth-- }()
	w.awaited = 0
	life := w.ctx
	err = do(life)
	return err, life.Err() == nil
}

// turn lets somebody, anybody, do something.
func (w *world) turn() {
	i := w.rng.IntN(w.hand.Executors())
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.hand.Collect(i)
	case n < 50:
		w.hand.Commit(i)
	case n < 70:
		w.hand.Apply(w.ctx, i)
	case n < 88:
		w.hand.Release(i)
	case n < 98:
		w.network.act()
	case w.depth > 0 && w.depth < nesting && w.crashy > 0:
		w.interfere()
	}
	if w.crashy > 0 && w.ctx.Err() == nil && w.one(w.crashy) {
		w.crash()
	}
}

// rest gives turns until nobody has anything to do, and tells whether that came
// about in this life.
func (w *world) rest() bool {
	for n := 0; w.ctx.Err() == nil; n++ {
		if w.hand.Idle() && w.network.idle() {
			return true
		}
		if n > idleMost {
			w.wrong("the runtime does not come to rest")
			w.fatal = true
			return false
		}
		w.turn()
	}
	return false
}

// pass moves the clock, and does what is due every minute.
func (w *world) pass(d time.Duration) {
	w.clock = w.clock.Add(d)
	if d >= time.Minute || w.one(10) {
		w.request(func(ctx context.Context) error { w.hand.KeepHouse(ctx); return nil })
	}
	if d >= time.Hour {
		w.store.Expire(w.clock)
	}
}

func assemble(parts []*runtime.Part) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		if p != nil {
			b.Write(p.Payload)
		}
	}
	return b.String(), nil
}

// randomBytes are what ids are made of.
type randomBytes struct{ rng *rand.Rand }

func (r randomBytes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	return len(b), nil
}

// alarm is a log in which nothing may be that an operator has to look at.
type alarm struct{ w *world }

func (a alarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (a alarm) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(at slog.Attr) bool { fmt.Fprintf(&b, " %s=%s", at.Key, at.Value); return true })
	a.w.wrong("the runtime says: %s%s", r.Message, b.String())
	return nil
}

func (a alarm) WithAttrs([]slog.Attr) slog.Handler { return a }
func (a alarm) WithGroup(string) slog.Handler      { return a }
