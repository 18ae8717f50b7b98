package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// A job goes through all persons, shard by shard, page by page, and lets each
// page act in one batch together with the place where the next one begins. So
// it can be cut off at any moment and goes on there.
type job struct {
	id   string // orders jobs and names them
	kind jobKind
	flow string
	what string // entry point, goal or segment
	// quiet: it lets nobody in anywhere (see flowengine.Classify).
	quiet bool
}

type jobKind uint8

// The kinds of jobs. The numbers are stored.
const (
	jobAudience jobKind = 1 // the audience of a flow that was launched (rule E9)
	jobDaily    jobKind = 2 // conditions that change with the day (rule E10)
	jobGoal     jobKind = 3 // count back what a new or changed goal has missed (rule G2)
	jobSegment  jobKind = 4 // compute a segment, or clear one that is no longer there
	jobIndex    jobKind = 5 // make the indexes of a store that had none

	jobNamed      jobKind = 10 // the recipients whom a broadcast names one by one (rule B1)
	jobRecipients jobKind = 11 // those whom it seeks among all persons
	jobRelease    jobKind = 12 // messages that were held while their broadcast was paused
	jobWithdraw   jobKind = 13 // all that is left of a broadcast that was cancelled

	jobMigrate jobKind = 20 // move those inside to a new version that takes them over
)

// Sizes of a job's tasks.
const (
	jobPage  = 32   // persons, or other records, of a shard that one task acts on: some milliseconds at most
	jobLook  = 1024 // other records that it looks at
	jobDepth = 8    // tasks that are queued with an executor
)

// Reasons for which a job does not go on.
var (
	errJobHeld = errors.New("the broadcast is paused")     // later it does
	errJobOver = errors.New("there is nothing left to do") // it never does
)

// progress of a job in a shard: where the next page begins, or jobDone.
var jobDone = []byte("done")

func jobKey(id string) []byte { return append(appendPrefix(nil, metaShard, kindJob), id...) }

// lastJobKey is where the last job of its kind, flow and entry point is remembered.
func lastJobKey(id string) []byte {
	return append(appendPrefix(nil, metaShard, kindLastJob), id[:strings.LastIndexByte(id, '/')]...)
}

func jobProgressKey(s flowengine.Shard, id string) []byte {
	return append(appendPrefix(nil, s, kindJob), id...)
}

func (j *job) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(j.kind))
	b = record.AppendString(b, 2, j.flow)
	b = record.AppendString(b, 3, j.what)
	return record.AppendBool(b, 4, j.quiet)
}

func decodeJob(id string, b []byte) (*job, error) {
	j := &job{id: id}
	return j, record.Decode(b, "job "+id, func(f record.Field) error {
		switch f.Num {
		case 1:
			j.kind = jobKind(f.Uint)
		case 2:
			j.flow = string(f.Bytes)
		case 3:
			j.what = string(f.Bytes)
		case 4:
			j.quiet = f.Bool()
		}
		return nil
	})
}

// storedJobs lists the jobs that are not done.
func (rt *Runtime) storedJobs() (jobs []*job, err error) {
	prefix := appendPrefix(nil, metaShard, kindJob)
	var damaged error
	err = rt.store.Scan(prefix, nil, func(key, value []byte) bool {
		var j *job
		j, damaged = decodeJob(string(key[len(prefix):]), value)
		jobs = append(jobs, j)
		return damaged == nil
	})
	return jobs, firstError(err, damaged)
}

// runJobs works off jobs, one at a time, until ctx ends.
func (rt *Runtime) runJobs(ctx context.Context) error {
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for {
		rt.workOffJobs(ctx)
		select {
		case <-rt.jobs:
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// workOffJobs goes through the jobs that there are. What the end of ctx cuts off
// goes on after the next start.
func (rt *Runtime) workOffJobs(ctx context.Context) {
	if !rt.fires() {
		return
	}
	jobs, err := rt.storedJobs()
	if err != nil && ctx.Err() == nil {
		rt.log.Error("the jobs could not be read", "error", err)
	}
	slices.SortStableFunc(jobs, func(a, b *job) int { return a.rank() - b.rank() })
	for _, j := range jobs {
		err := rt.runJob(ctx, j)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, errJobHeld) {
			rt.log.Error("a job failed; it is tried again", "job", j.id, "error", err)
			if j.rank() < rankOthers {
				return
			}
		}
	}
}

// rank orders jobs: what others read comes first, and they wait for it.
func (j *job) rank() int {
	switch j.kind {
	case jobIndex:
		return 0
	case jobSegment:
		return 1
	}
	return rankOthers
}

const rankOthers = 2

// page lists persons of a shard on whom the job acts, and where the next page
// begins; nil when there is none.
func (tx *txn) page(j *job, s flowengine.Shard, from []byte) ([]flowengine.PersonID, []byte, error) {
	rt := tx.ex.rt
	switch {
	case j.kind == jobSegment:
		return tx.segmentPlan(j, s, from)
	case j.kind == jobMigrate:
		return rt.migratePage(j, s, from)
	case !rt.indexed.Load():
	case j.kind == jobAudience || j.kind == jobDaily || j.kind == jobRecipients:
		if sources, ok := rt.entrySources(j); ok {
			return rt.sourcePage(s, sources, from, jobPage)
		}
	}
	return rt.peoplePage(s, from)
}

// entrySources are the parts of indexes that have everybody whom an entry point
// takes now, when its condition says so much.
func (rt *Runtime) entrySources(j *job) ([]flowengine.Source, bool) {
	f := rt.set.Load().Flow(j.flow)
	if f == nil || f.Newest == nil {
		return nil, true // nobody
	}
	for _, e := range f.Newest.Entries {
		if e.ID == j.what {
			return e.Sources(rt.now(), f.Newest.Settings.Zone())
		}
	}
	return nil, true
}

// runJob goes through all shards, those of different executors side by side.
func (rt *Runtime) runJob(ctx context.Context, j *job) error {
	if err := rt.barrier(ctx); err != nil { // a job reads what is durable
		return err
	}
	g, all := errgroup.WithContext(ctx)
	if rt.options.Await != nil { // one after the other, in an order that can be repeated
		g.SetLimit(1)
	}
	for _, ex := range rt.executors {
		g.Go(func() error { return (&jobRun{rt: rt, job: j, ex: ex, results: make(chan error, jobDepth)}).run(all) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, errJobOver) {
		return err
	}
	for _, ex := range rt.executors {
		if err := rt.do(ctx, ex, "job", func(tx *txn) error {
			for _, s := range ex.shards {
				tx.delete(jobProgressKey(s, j.id))
			}
			return nil
		}); err != nil {
			return err
		}
	}
	err := rt.do(ctx, rt.owner(metaShard), "job", func(tx *txn) error {
		tx.delete(jobKey(j.id))
		switch j.kind {
		case jobSegment:
			return tx.computed(j)
		case jobIndex:
			tx.put(indexedKey(), nil, time.Time{})
		}
		return nil
	})
	if err == nil && j.kind == jobIndex {
		rt.indexed.Store(true)
	}
	return err
}

func indexedKey() []byte { return appendPrefix(nil, metaShard, kindIndexed) }

// indexJob begins to make the indexes of a store that was made before there were
// any.
func (rt *Runtime) indexJob(ctx context.Context) error {
	if rt.indexed.Load() {
		return nil
	}
	return rt.startOnce(ctx, []*job{{id: "index/1", kind: jobIndex}})
}

// act lets a job act on a person.
func (j *job) act(tx *txn, m *member) error {
	if !m.exists {
		return nil
	}
	switch j.kind {
	case jobAudience, jobRecipients:
		tx.step(m, &flowengine.Muster{Flow: j.flow, Entry: j.what})
	case jobDaily:
		tx.step(m, &flowengine.Daily{Flow: j.flow, Entry: j.what})
	case jobGoal:
		return tx.countBack(m, j.flow, j.what)
	case jobMigrate:
		tx.step(m, &flowengine.Migrate{Flow: j.flow})
	case jobSegment:
		tx.step(m, &flowengine.Classify{Segment: j.what, Quiet: j.quiet})
	case jobIndex:
		tx.relist(m)
	default:
		return fmt.Errorf("%w: a job of kind %d", record.ErrDamaged, j.kind)
	}
	return nil
}

// launchJobs begins the jobs of flows that were launched: their audiences.
func (rt *Runtime) launchJobs(ctx context.Context) error {
	var jobs []*job
	for _, f := range rt.set.Load().Flows() {
		if f.State != flowengine.Active || f.Newest == nil {
			continue
		}
		for _, e := range f.Newest.Entries {
			if _, ok := e.Trigger.(*flowengine.Audience); ok {
				jobs = append(jobs, audienceJob(f.ID, e.ID, f.Launched))
			}
		}
	}
	return rt.startOnce(ctx, jobs)
}

func audienceJob(flow, entry string, launched time.Time) *job {
	return &job{id: fmt.Sprintf("audience/%s/%s/%d", flow, entry, launched.UnixMilli()), kind: jobAudience, flow: flow, what: entry}
}

// migrateJobs begins the jobs of newest versions that take over who is inside of
// older ones.
func (rt *Runtime) migrateJobs(ctx context.Context) error {
	var jobs []*job
	for _, f := range rt.set.Load().Flows() {
		if f.Newest != nil && f.Newest.Ordinal > 1 && f.Newest.Settings.OnPublish == flowengine.OnPublishMigrate {
			jobs = append(jobs, &job{id: fmt.Sprintf("migrate/%s/%d", f.ID, f.Newest.Ordinal), kind: jobMigrate, flow: f.ID})
		}
	}
	return rt.startOnce(ctx, jobs)
}

// dailyJobs begins the jobs of conditions that are looked at every day, when the
// time of day has come. A day that the daemon slept through is not made up for,
// but its hours are (rule E10).
func (rt *Runtime) dailyJobs(ctx context.Context) error {
	now := rt.now()
	var jobs []*job
	for _, f := range rt.set.Load().Flows() {
		if f.State != flowengine.Active || f.Newest == nil {
			continue
		}
		for _, e := range f.Newest.Entries {
			t, ok := e.Trigger.(*flowengine.ProfileChange)
			if !ok {
				continue
			}
			if at, daily := t.Daily(); daily {
				zone := f.Newest.Settings.Zone()
				if now.Before(todayAt(at, now, zone)) {
					continue
				}
				day := now.In(zone).Format(time.DateOnly)
				jobs = append(jobs, &job{id: fmt.Sprintf("daily/%s/%s/%s", f.ID, e.ID, day), kind: jobDaily, flow: f.ID, what: e.ID})
			}
		}
	}
	return rt.startOnce(ctx, jobs)
}

// todayAt is a time of day on the day of now.
func todayAt(at flowengine.Moment, now time.Time, zone *time.Location) time.Time {
	y, m, d := now.In(zone).Date()
	return at.After(time.Date(y, m, d, 0, 0, 0, 0, zone).Add(-time.Millisecond), zone)
}

// beginJobs lets begin store jobs, and starts them once they are durable.
func (rt *Runtime) beginJobs(ctx context.Context, begin func(tx *txn) ([]*job, error)) error {
	var jobs []*job
	err := rt.do(ctx, rt.owner(metaShard), "job", func(tx *txn) (err error) {
		jobs, err = begin(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		select {
		case rt.jobs <- j:
		default:
		}
	}
	return nil
}

// startOnce begins jobs that were never begun. What was begun is remembered by
// the last job of its kind, flow and entry point.
func (rt *Runtime) startOnce(ctx context.Context, jobs []*job) error {
	for _, j := range jobs {
		last := lastJobKey(j.id)
		fresh := false
		err := rt.do(ctx, rt.owner(metaShard), "job", func(tx *txn) error {
			value, err := tx.get(last)
			if err != nil && !isNotFound(err) {
				return err
			}
			if string(value) == j.id {
				return nil
			}
			fresh = true
			tx.put(last, []byte(j.id), time.Time{})
			tx.put(jobKey(j.id), j.append(nil), time.Time{})
			return nil
		})
		if err != nil {
			return err
		}
		if fresh {
			rt.wakeJobs()
		}
	}
	return nil
}

// wakeJobs lets the stored jobs be looked at again.
func (rt *Runtime) wakeJobs() {
	select {
	case rt.jobs <- nil:
	default: // somebody looks already
	}
}
