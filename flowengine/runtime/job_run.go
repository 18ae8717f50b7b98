package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// jobRun is a job on one executor. Several stretches of it are queued at a time,
// so that the executor has the next one at hand while a batch is being synced.
// What the stretches share belongs to the executor.
type jobRun struct {
	rt      *Runtime
	job     *job
	ex      *executor
	results chan error
	queued  int

	from   []byte // of the executor: where the next stretch begins
	failed error  // of the executor: nothing acts after it
}

func (r *jobRun) run(ctx context.Context) error {
	for _, s := range r.ex.shards {
		if err := r.runIn(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// runIn goes through one shard.
func (r *jobRun) runIn(ctx context.Context, s flowengine.Shard) error {
	progress, err := r.rt.store.Get(jobProgressKey(s, r.job.id), nil)
	if err != nil && !isNotFound(err) {
		return err
	}
	r.from = progress // no stretch is queued now
	for ended := string(r.from) == string(jobDone); !ended || r.queued > 0; {
		for !ended && r.queued < jobDepth {
			if err := r.submit(ctx, s); err != nil {
				return err
			}
		}
		err := r.rt.await(ctx, r.results)
		r.queued--
		switch {
		case errors.Is(err, errShardDone):
			ended = true
		case err != nil:
			return err
		}
	}
	return nil
}

// submit queues the next stretch. Stretches are equal: each begins where the one
// before it has ended. A stretch answers when it has acted, not when that is durable:
// so the executor always has the next ones at hand, and works while a batch is synced.
// What follows the job waits for the executor, which makes durable in order.
func (r *jobRun) submit(ctx context.Context, s flowengine.Shard) error {
	acted := false
	t := task{name: "job", run: func(tx *txn) error {
		done, err := r.stretch(tx, s)
		acted = true
		if err == nil && done {
			r.results <- errShardDone
		} else {
			r.results <- err
		}
		return err
	}, done: func(err error) {
		if !acted { // it panicked, or never had its turn
			r.results <- err
		}
	}}
	select {
	case r.ex.jobs <- t:
		r.queued++
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errShardDone says that nothing is left to do in a shard.
var errShardDone = errors.New("the job is done in the shard")

// stretch acts on the next records of a shard, and notes in the same batch how
// far it came.
func (r *jobRun) stretch(tx *txn, s flowengine.Shard) (done bool, err error) {
	if r.failed != nil {
		return false, r.failed
	}
	if string(r.from) == string(jobDone) {
		return true, nil
	}
	defer func() {
		if p := recover(); p != nil {
			r.failed = fmt.Errorf("the job %s panicked", r.job.id)
			panic(p)
		}
		r.failed = err
	}()
	if err := r.job.held(tx); err != nil {
		return false, err
	}
	next, err := r.job.walk(tx, s, r.from)
	if err != nil {
		return false, err
	}
	tx.put(jobProgressKey(s, r.job.id), next, time.Time{})
	r.from = next
	return string(next) == string(jobDone), nil
}

// walk lets the job act on some records from a key on, and tells where to go on.
func (j *job) walk(tx *txn, s flowengine.Shard, from []byte) (next []byte, err error) {
	areas := j.areas(s)
	if areas == nil {
		return j.walkPersons(tx, s, from)
	}
	if from == nil {
		from = areas[0]
	}
	at := slices.IndexFunc(areas, func(area []byte) bool { return bytes.HasPrefix(from, area) })
	if at < 0 {
		return nil, fmt.Errorf("%w: job %s goes on at %x", record.ErrDamaged, j.id, from)
	}
	visit := j.visitor(tx, s)
	acted, looked := 0, 0
	var failed error
	err = tx.ex.rt.store.Scan(areas[at], from, func(key, value []byte) bool {
		if acted == jobPage || looked == jobLook {
			next = slices.Clone(key)
			return false
		}
		looked++
		var did bool
		did, failed = visit(key, value)
		if did {
			acted++
		}
		return failed == nil
	})
	if err = firstError(err, failed); err != nil {
		return nil, err
	}
	switch {
	case next != nil:
		return next, nil
	case at+1 < len(areas):
		return areas[at+1], nil
	}
	return jobDone, nil
}

// walkPersons is walk for a job that acts on persons.
func (j *job) walkPersons(tx *txn, s flowengine.Shard, from []byte) (next []byte, err error) {
	people, next, err := tx.page(j, s, from)
	if err != nil {
		return nil, err
	}
	for _, id := range people {
		err := tx.alone(j, id, func() error {
			m, err := tx.member(id)
			if err != nil {
				return err
			}
			return j.act(tx, m)
		})
		if err != nil {
			return nil, err
		}
	}
	if next == nil {
		next = jobDone
	}
	return next, nil
}

// areas are the prefixes of the keys that a job goes through in a shard; nil for
// a job that acts on persons.
func (j *job) areas(s flowengine.Shard) [][]byte {
	switch j.kind {
	case jobNamed:
		return [][]byte{namedPrefix(s, j.flow)}
	case jobRelease:
		return [][]byte{heldPrefix(s, j.flow)}
	case jobWithdraw:
		return [][]byte{namedPrefix(s, j.flow), heldPrefix(s, j.flow), appendPrefix(nil, s, kindOutbox), activePrefix(nil, s, j.flow, 0)}
	}
	return nil
}

// visitor acts on the records that the job goes through. It tells whether a
// record was one to act on.
func (j *job) visitor(tx *txn, s flowengine.Shard) func(key, value []byte) (bool, error) {
	switch j.kind {
	case jobNamed:
		return func(key, _ []byte) (bool, error) { return true, tx.enterNamed(j, s, key) }
	case jobRelease:
		return func(key, value []byte) (bool, error) { return true, tx.release(j, s, key, value) }
	}
	return tx.withdrawer(j, s)
}

// alone lets a job act on one person. What is wrong with one, a damaged record or
// a step that panics before it has written anything, keeps nobody else from
// their turn: it is logged, and counted as a panic or as damage.
func (tx *txn) alone(j *job, id flowengine.PersonID, act func() error) (err error) {
	mark := tx.batch.writes.Len()
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if tx.batch.writes.Len() != mark { // half of it is written
			panic(r)
		}
		tx.ex.rt.metrics.panics.Inc()
		tx.ex.rt.log.Error("a job passes a person over, whose step panicked", "job", j.id, "person", id.String(), "panic", r, "stack", string(debug.Stack()))
		tx.forget()
		tx.changing = flowengine.PersonID{}
		err = nil
	}()
	err = act()
	if errors.Is(err, record.ErrDamaged) && tx.batch.writes.Len() == mark {
		tx.ex.rt.log.Error("a job passes a person over, whose record is damaged", "job", j.id, "person", id.String(), "error", err)
		return nil
	}
	return err
}

// migratePage lists persons inside of older versions of a flow.
func (rt *Runtime) migratePage(j *job, s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	newest := uint32(0)
	if f := rt.set.Load().Flow(j.flow); f != nil && f.Newest != nil {
		newest = f.Newest.Ordinal
	}
	return rt.activePage(s, activePrefix(nil, s, j.flow, 0), from, func(version uint32) bool { return version < newest })
}

// activePage lists some persons who are inside of a flow, from a key on, and where
// the next page begins; nil when there is none. It ends at the first version that
// does not match.
func (rt *Runtime) activePage(s flowengine.Shard, prefix, from []byte, match func(version uint32) bool) (people []flowengine.PersonID, next []byte, err error) {
	flow := prefix[:bytes.IndexByte(prefix[3:], 0)+4] // without a version
	err = rt.store.Scan(prefix, from, func(key, _ []byte) bool {
		id, ok := activePerson(s, key)
		version, known := activeVersion(flow, key)
		switch {
		case !ok || !known:
			return true
		case match != nil && !match(version):
			return false
		case slices.Contains(people, id): // in it more than once
			return true
		case len(people) == jobPage:
			next = slices.Clone(key)
			return false
		}
		people = append(people, id)
		return true
	})
	return people, next, err
}

// peoplePage lists some persons of a shard from a key on, and where the next
// page begins; nil when there is none. A place of another list begins anew.
func (rt *Runtime) peoplePage(s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	if rt.indexed.Load() {
		return rt.rollPage(s, from)
	}
	if !bytes.HasPrefix(from, appendPrefix(nil, s, areaPeople)) {
		from = nil
	}
	err = rt.store.Scan(appendPrefix(nil, s, areaPeople), from, func(key, _ []byte) bool {
		id, yes := isProfile(key)
		if !yes {
			return true
		}
		if len(people) == jobPage {
			next = slices.Clone(key)
			return false
		}
		people = append(people, id)
		return true
	})
	return people, next, err
}

// rollPage is peoplePage where there is a list of all persons.
func (rt *Runtime) rollPage(s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	prefix := appendPrefix(nil, s, kindRoll)
	if !bytes.HasPrefix(from, prefix) {
		from = nil
	}
	err = rt.store.Scan(prefix, from, func(key, _ []byte) bool {
		if len(people) == jobPage {
			next = slices.Clone(key)
			return false
		}
		if id, ok := listed(s, prefix, key); ok {
			people = append(people, id)
		}
		return true
	})
	return people, next, err
}
