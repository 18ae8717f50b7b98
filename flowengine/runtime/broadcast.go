package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"trunkline/flowengine"
)

// Errors with which work on a broadcast is refused.
var (
	// ErrBroadcast: it is not in a state in which that can be done, or the caller
	// may not do it.
	ErrBroadcast = errors.New("the broadcast does not allow that")
	// ErrRecipient: what shall name a recipient names nobody.
	ErrRecipient = errors.New("that names nobody")
)

// BroadcastStatus is a broadcast as operators see it.
type BroadcastStatus struct {
	ID, Name          string
	State             BroadcastState
	Creator, Approver string
	Approval          bool // it needs an approver
	Created           time.Time
	StartAt           time.Time // zero: when somebody starts it
	Launched, Ended   time.Time // zero: not yet
	Named             uint64    // recipients who were named one by one
	Entering          bool      // not all recipients have been gone through
	Inside            uint64    // whose message is neither taken by a carrier nor given up
	Counts            *Tally
	Definition        []byte // canonical JSON
}

func (r *broadcastRecord) status() BroadcastStatus {
	return BroadcastStatus{
		ID: r.id, Name: r.name, State: r.state, Creator: r.creator, Approver: r.approver, Approval: r.approval, Created: r.created,
		StartAt: r.startAt, Launched: r.launched, Ended: r.ended, Named: r.named, Definition: r.definition, Counts: NewTally(),
	}
}

// CreateBroadcast keeps a broadcast as a draft. Its id must never have been used.
func (rt *Runtime) CreateBroadcast(ctx context.Context, b *flowengine.Broadcast, creator string) (BroadcastStatus, error) {
	if !rt.fires() {
		return BroadcastStatus{}, ErrStopping
	}
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := rt.storedBroadcast(b.ID); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("%w: there is a broadcast %q already, and an id is never used again", ErrBroadcast, b.ID)
		}
		return BroadcastStatus{}, err
	}
	if err := rt.forgetNamed(ctx, b.ID); err != nil { // of an attempt that a crash cut off
		return BroadcastStatus{}, err
	}
	named, err := rt.nameRecipients(ctx, b.ID, b.Persons)
	if err != nil {
		return BroadcastStatus{}, err
	}
	r := &broadcastRecord{
		id: b.ID, name: b.Name, state: BroadcastDraft, definition: b.Version.Canonical, creator: creator, approval: b.Approval || g.approve,
		selects: b.Selects, named: named, created: rt.now(), startAt: b.StartAt,
	}
	return rt.storeBroadcast(ctx, nil, r)
}

// AddRecipients names further recipients of a draft, one by one: ids, phone
// numbers, e-mail addresses. Who is named twice gets the message once. It tells
// how many were not there before.
func (rt *Runtime) AddRecipients(ctx context.Context, id string, refs []string) (added uint64, err error) {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	r, err := rt.storedBroadcast(id)
	if err != nil {
		return 0, err
	}
	if r.state != BroadcastDraft || r.approver != "" {
		return 0, fmt.Errorf("%w: broadcast %q is %s; recipients can be added to a draft that nobody has approved", ErrBroadcast, id, r.state)
	}
	if added, err = rt.nameRecipients(ctx, id, refs); err != nil {
		return 0, err
	}
	r = r.clone()
	r.named += added
	_, err = rt.storeBroadcast(ctx, nil, r)
	return added, err
}

// StartBroadcast lets a draft begin, at its time if it has one and else at once,
// and one that is scheduled at once. One that needs an approver waits for that.
func (rt *Runtime) StartBroadcast(ctx context.Context, id string) (BroadcastStatus, error) {
	return rt.changeBroadcast(ctx, id, func(r *broadcastRecord) error {
		switch r.state {
		case BroadcastDraft:
			r.asked = true
		case BroadcastScheduled:
			r.asked, r.startAt = true, time.Time{}
		case BroadcastAwaiting:
			return fmt.Errorf("%w: broadcast %q waits until somebody other than %s approves it", ErrBroadcast, id, r.creator)
		default:
			return fmt.Errorf("%w: broadcast %q is %s", ErrBroadcast, id, r.state)
		}
		rt.advance(r)
		return nil
	})
}

// ApproveBroadcast lets somebody agree to a broadcast that another has made. What
// was asked to be started begins then, at its time.
func (rt *Runtime) ApproveBroadcast(ctx context.Context, id, approver string) (BroadcastStatus, error) {
	return rt.changeBroadcast(ctx, id, func(r *broadcastRecord) error {
		switch {
		case r.state != BroadcastDraft && r.state != BroadcastAwaiting:
			return fmt.Errorf("%w: broadcast %q is %s", ErrBroadcast, id, r.state)
		case approver == r.creator:
			return fmt.Errorf("%w: broadcast %q was made by %s, so somebody else has to approve it", ErrBroadcast, id, r.creator)
		}
		r.approver = approver
		rt.advance(r)
		return nil
	})
}

// advance brings a broadcast as far on its way as it may go now.
func (rt *Runtime) advance(r *broadcastRecord) {
	switch {
	case r.approval && r.approver == "":
		r.state = BroadcastAwaiting
	case r.asked && !rt.now().Before(r.startAt):
		r.state, r.launched = BroadcastRunning, rt.now()
	default:
		r.state = BroadcastScheduled
	}
}

// PauseBroadcast holds everything that has not been given to a carrier.
func (rt *Runtime) PauseBroadcast(ctx context.Context, id string) (BroadcastStatus, error) {
	return rt.changeBroadcast(ctx, id, func(r *broadcastRecord) error {
		if r.state != BroadcastRunning {
			return fmt.Errorf("%w: broadcast %q is %s; only one that is running can be paused", ErrBroadcast, id, r.state)
		}
		r.state = BroadcastPaused
		return nil
	})
}

// ResumeBroadcast lets a paused broadcast go on.
func (rt *Runtime) ResumeBroadcast(ctx context.Context, id string) (BroadcastStatus, error) {
	return rt.changeBroadcast(ctx, id, func(r *broadcastRecord) error {
		if r.state != BroadcastPaused {
			return fmt.Errorf("%w: broadcast %q is %s, not paused", ErrBroadcast, id, r.state)
		}
		r.state = BroadcastRunning
		return nil
	})
}

// CancelBroadcast ends a broadcast for good. What has not been given to a carrier
// is withdrawn.
func (rt *Runtime) CancelBroadcast(ctx context.Context, id string) (BroadcastStatus, error) {
	return rt.changeBroadcast(ctx, id, func(r *broadcastRecord) error {
		if r.state == BroadcastFinished || r.state == BroadcastCancelled {
			return fmt.Errorf("%w: broadcast %q is %s already", ErrBroadcast, id, r.state)
		}
		r.state, r.closing, r.ended = BroadcastCancelled, true, rt.now()
		return nil
	})
}

// changeBroadcast changes a broadcast and what the engine knows of it.
func (rt *Runtime) changeBroadcast(ctx context.Context, id string, change func(*broadcastRecord) error) (BroadcastStatus, error) {
	if !rt.fires() {
		return BroadcastStatus{}, ErrStopping
	}
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	old, err := rt.storedBroadcast(id)
	if err != nil {
		return BroadcastStatus{}, err
	}
	r := old.clone()
	if err := change(r); err != nil {
		return BroadcastStatus{}, err
	}
	return rt.storeBroadcast(ctx, old, r)
}

// storeBroadcast makes a change of a broadcast durable, with the jobs that follow
// from it, and then lets the engine know. The caller holds the registry's lock.
func (rt *Runtime) storeBroadcast(ctx context.Context, old, r *broadcastRecord) (BroadcastStatus, error) {
	g := &rt.flows
	change := g.change()
	change.broadcasts = maps.Clone(g.broadcasts)
	if change.broadcasts == nil {
		change.broadcasts = map[string]*broadcastRecord{}
	}
	delete(change.broadcasts, r.id)
	if r.loaded() {
		b, err := r.parse(g.schema)
		if err != nil {
			return BroadcastStatus{}, fmt.Errorf("%w: broadcast %q does not fit the configuration any more: %w", ErrBroadcast, r.id, err)
		}
		r.version = b.Version
		change.broadcasts[r.id] = r
	}
	write := func(tx *txn) error {
		tx.put(broadcastKey(r.id), r.append(nil), time.Time{})
		tx.delete(askedKey(r.id))
		r.jobs(tx, old)
		return nil
	}
	var err error
	if g.broadcasts[r.id] != nil || change.broadcasts[r.id] != nil {
		_, err = rt.install(ctx, change, nil, write)
	} else {
		err = rt.do(ctx, rt.owner(metaShard), "broadcast", write)
	}
	if err != nil {
		return BroadcastStatus{}, err
	}
	g.notePrepared(r)
	rt.set.Store(rt.set.Load().WithBroadcasts(maps.Clone(g.prepared)))
	rt.wakeJobs()
	return r.status(), nil
}

func (r *broadcastRecord) parse(schema *flowengine.Schema) (*flowengine.Broadcast, error) {
	return flowengine.ParseBroadcast(r.id+".json", r.definition, schema, nil)
}

// notePrepared remembers which broadcasts can be started, and when they shall be.
func (g *registry) notePrepared(r *broadcastRecord) {
	if g.prepared == nil {
		g.prepared, g.due = map[string]bool{}, map[string]time.Time{}
	}
	delete(g.prepared, r.id)
	delete(g.due, r.id)
	if r.prepared() {
		g.prepared[r.id] = true
	}
	if r.state == BroadcastScheduled && r.asked {
		g.due[r.id] = r.startAt
	}
}

// The jobs of a broadcast.
func (r *broadcastRecord) job(kind jobKind, name string) *job {
	return &job{id: "broadcast/" + r.id + "/" + name, kind: kind, flow: flowengine.BroadcastFlow(r.id), what: flowengine.BroadcastEntry}
}

func (r *broadcastRecord) entering() []*job {
	return []*job{r.job(jobNamed, "named"), r.job(jobRecipients, "persons")}
}

// jobs begins, in the same batch, what follows from a change of state, and ends
// what it makes needless.
func (r *broadcastRecord) jobs(tx *txn, old *broadcastRecord) {
	begin := func(j *job) { tx.put(jobKey(j.id), j.append(nil), time.Time{}) }
	was := BroadcastDraft
	if old != nil {
		was = old.state
	}
	switch {
	case r.state == was:
	case r.state == BroadcastRunning && was == BroadcastPaused:
		begin(r.job(jobRelease, fmt.Sprintf("release-%d", tx.now.UnixMilli())))
	case r.state == BroadcastRunning:
		all := r.entering()
		if begin(all[0]); r.selects {
			begin(all[1])
		}
	case r.state == BroadcastCancelled:
		for _, j := range r.entering() {
			tx.delete(jobKey(j.id))
		}
		begin(r.job(jobWithdraw, "withdraw"))
	}
}

// Broadcast tells of one broadcast, with its counters.
func (rt *Runtime) Broadcast(id string) (BroadcastStatus, error) {
	r, err := rt.storedBroadcast(id)
	if err != nil {
		return BroadcastStatus{}, err
	}
	s := r.status()
	if s.Counts, err = rt.readTally(flowengine.BroadcastFlow(id)); err != nil {
		return s, err
	}
	s.Inside = inside(s.Counts)
	s.Entering, err = rt.broadcastEnters(r)
	return s, err
}

func inside(t *Tally) uint64 {
	n := t.Entered
	for _, exited := range t.Exited {
		n -= min(n, exited)
	}
	return n
}

// broadcastEnters says whether recipients are still being gone through.
func (rt *Runtime) broadcastEnters(r *broadcastRecord) (bool, error) {
	for _, j := range r.entering() {
		if _, err := rt.store.Get(jobKey(j.id), nil); !isNotFound(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// Broadcasts lists broadcasts by id, beginning after one, at most limit of them.
func (rt *Runtime) Broadcasts(after string, limit int) (all []BroadcastStatus, err error) {
	sums, err := ReadTallies(rt.store)
	if err != nil {
		return nil, err
	}
	err = rt.scanBroadcasts(after, func(r *broadcastRecord) bool {
		s := r.status()
		if t := sums[flowengine.BroadcastFlow(r.id)]; t != nil {
			s.Counts, s.Inside = t, inside(t)
		}
		all = append(all, s)
		return len(all) < limit
	})
	return all, err
}

// readTally sums the stored counters of one flow.
func (rt *Runtime) readTally(flow string) (*Tally, error) {
	sum := NewTally()
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		key := tallyKey(nil, s, flow, 0)
		err := rt.store.Scan(key[:len(key)-4], nil, func(_, value []byte) bool {
			var t *Tally
			if t, damaged = decodeTally(value); damaged == nil {
				sum.Add(t)
			}
			return damaged == nil
		})
		if err = firstError(err, damaged); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// loadBroadcasts reads what the store knows of broadcasts when the runtime starts.
func (rt *Runtime) loadBroadcasts() error {
	g := &rt.flows
	g.broadcasts = map[string]*broadcastRecord{}
	err := rt.scanBroadcasts("", func(r *broadcastRecord) bool {
		g.notePrepared(r)
		if r.loaded() {
			g.broadcasts[r.id] = r
		}
		return true
	})
	if err != nil {
		return err
	}
	prefix := appendPrefix(nil, metaShard, kindAsked)
	return rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
		rt.askFor(string(key[len(prefix):]))
		return true
	})
}

// refit reads the broadcasts that are loaded against another schema.
func (g *registry) refit(schema *flowengine.Schema) (map[string]*broadcastRecord, error) {
	next := map[string]*broadcastRecord{}
	for _, id := range slices.Sorted(maps.Keys(g.broadcasts)) {
		r := g.broadcasts[id].clone()
		b, err := r.parse(schema)
		if err != nil {
			return nil, fmt.Errorf("broadcast %q, which is %s, does not fit the configuration any more: %w", id, r.state, err)
		}
		r.version = b.Version
		next[id] = r
	}
	return next, nil
}
