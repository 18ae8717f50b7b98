package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// segmentRecord is what is kept of a segment.
type segmentRecord struct {
	id       string
	mark     uint32    // of the definition that is computed
	build    uint32    // number of the latest computation that was asked for
	done     uint32    // number of the latest one that is finished
	computed time.Time // when it was
	removed  bool      // it is no longer configured, and is being cleared
	day      string    // on which a daily snapshot was asked for last
}

func segmentRecordKey(id string) []byte {
	return append(appendPrefix(nil, metaShard, kindSegment), id...)
}

func (r *segmentRecord) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(r.mark))
	b = record.AppendUint(b, 2, uint64(r.build))
	b = record.AppendUint(b, 3, uint64(r.done))
	b = record.AppendTime(b, 4, r.computed)
	b = record.AppendBool(b, 5, r.removed)
	return record.AppendString(b, 6, r.day)
}

func decodeSegmentRecord(id string, b []byte) (*segmentRecord, error) {
	r := &segmentRecord{id: id}
	return r, record.Decode(b, "segment "+id, func(f record.Field) error {
		switch f.Num {
		case 1:
			r.mark = uint32(f.Uint)
		case 2:
			r.build = uint32(f.Uint)
		case 3:
			r.done = uint32(f.Uint)
		case 4:
			r.computed = f.Time()
		case 5:
			r.removed = f.Bool()
		case 6:
			r.day = string(f.Bytes)
		}
		return nil
	})
}

// segmentRecordOf reads what is kept of a segment; one that is new has nothing.
func (tx *txn) segmentRecordOf(id string) (*segmentRecord, error) {
	value, err := tx.get(segmentRecordKey(id))
	if isNotFound(err) {
		return &segmentRecord{id: id}, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeSegmentRecord(id, value)
}

// storedSegments lists what is kept of all segments.
func (rt *Runtime) storedSegments() (all []*segmentRecord, err error) {
	prefix := appendPrefix(nil, metaShard, kindSegment)
	var damaged error
	err = rt.store.Scan(prefix, nil, func(key, value []byte) bool {
		var r *segmentRecord
		r, damaged = decodeSegmentRecord(string(key[len(prefix):]), value)
		all = append(all, r)
		return damaged == nil
	})
	return all, firstError(err, damaged)
}

func (r *segmentRecord) jobID() string { return fmt.Sprintf("segment/%s/%08d", r.id, r.build) }

// compute asks for the computation of a segment.
func (tx *txn) compute(r *segmentRecord, quiet bool) *job {
	r.build++
	j := &job{id: r.jobID(), kind: jobSegment, what: r.id, quiet: quiet}
	tx.put(segmentRecordKey(r.id), r.append(nil), time.Time{})
	tx.put(jobKey(j.id), j.append(nil), time.Time{})
	return j
}

// segmentJobs begins to compute segments that are new or have changed, and to
// clear those that are no longer configured.
func (rt *Runtime) segmentJobs(ctx context.Context) error {
	stored, err := rt.storedSegments()
	if err != nil {
		return err
	}
	set := rt.set.Load()
	return rt.beginJobs(ctx, func(tx *txn) (jobs []*job, err error) {
		for _, s := range set.Segments() {
			r, err := tx.segmentRecordOf(s.ID)
			if err != nil {
				return nil, err
			}
			if r.build > 0 && r.mark == s.Mark() && !r.removed {
				continue
			}
			quiet := r.build == 0 || r.removed // nobody was in it
			r.mark, r.removed = s.Mark(), false
			jobs = append(jobs, tx.compute(r, quiet))
		}
		for _, old := range stored {
			if set.Segment(old.id) != nil {
				continue
			}
			r, err := tx.segmentRecordOf(old.id)
			if err != nil {
				return nil, err
			}
			if r.build > 0 && !r.removed {
				r.removed = true
				jobs = append(jobs, tx.compute(r, true))
			}
		}
		return jobs, nil
	})
}

// dailySegments begins to compute snapshots whose time of day has come.
func (rt *Runtime) dailySegments(ctx context.Context) error {
	now := rt.now()
	for _, s := range rt.set.Load().Segments() {
		at, daily := s.Daily()
		if !daily || now.Before(todayAt(at, now, s.Zone())) {
			continue
		}
		day := now.In(s.Zone()).Format(time.DateOnly)
		err := rt.beginJobs(ctx, func(tx *txn) ([]*job, error) {
			r, err := tx.segmentRecordOf(s.ID)
			if err != nil || r.day == day || r.build == 0 {
				return nil, err
			}
			r.day = day
			return []*job{tx.compute(r, false)}, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RecomputeSegment begins to compute a segment anew.
func (rt *Runtime) RecomputeSegment(ctx context.Context, id string) error {
	if rt.set.Load().Segment(id) == nil {
		return rt.unknownSegment(id)
	}
	return rt.beginJobs(ctx, func(tx *txn) ([]*job, error) {
		r, err := tx.segmentRecordOf(id)
		if err != nil {
			return nil, err
		}
		return []*job{tx.compute(r, false)}, nil
	})
}

func (rt *Runtime) unknownSegment(id string) error {
	var known []string
	for _, s := range rt.set.Load().Segments() {
		known = append(known, s.ID)
	}
	if len(known) == 0 {
		return fmt.Errorf("%w: there is no segment %q; none is configured", ErrNotFound, id)
	}
	slices.Sort(known)
	return fmt.Errorf("%w: there is no segment %q; the segments are: %s", ErrNotFound, id, strings.Join(known, ", "))
}

// computed notes that a job has computed a segment. One that was cleared is
// forgotten, unless it came back meanwhile.
func (tx *txn) computed(j *job) error {
	r, err := tx.segmentRecordOf(j.what)
	if err != nil || r.jobID() != j.id { // a later one is under way
		return err
	}
	if r.removed {
		tx.delete(segmentRecordKey(r.id))
		return nil
	}
	r.done, r.computed = r.build, tx.now
	tx.put(segmentRecordKey(r.id), r.append(nil), time.Time{})
	return nil
}

// segmentPlan is where the job of a segment looks: at everybody, or, where an
// index has everybody who is in it or fits, only there.
func (tx *txn) segmentPlan(j *job, s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	rt := tx.ex.rt
	members := flowengine.Source{Kind: flowengine.BySegment, Name: j.what}
	seg := rt.set.Load().Segment(j.what)
	if seg == nil {
		return rt.sourcePage(s, []flowengine.Source{members}, from, segmentPageMost)
	}
	timeless := !seg.RealTime() || len(seg.Condition.Uses().Events) == 0 && !seg.Condition.Uses().Clock
	if found, ok := seg.Condition.Sources(rt.now(), seg.Zone()); ok && timeless && rt.indexed.Load() {
		return rt.sourcePage(s, append([]flowengine.Source{members}, found...), from, segmentPageMost)
	}
	return tx.segmentPage(seg, s, from)
}

// SegmentStatus is a segment as operators see it.
type SegmentStatus struct {
	ID, Name, Update string
	Members          uint64
	// Computed is when it was last computed as a whole; zero: never yet.
	Computed time.Time
	// Computing says that it is being computed, and Progress how far that is, from 0 to 1.
	Computing bool
	Progress  float64
	Removed   bool // no longer configured, and being cleared
}

// Segments lists all segments, by id.
func (rt *Runtime) Segments() ([]SegmentStatus, error) {
	stored, err := rt.storedSegments()
	if err != nil {
		return nil, err
	}
	all := make([]SegmentStatus, 0, len(stored))
	for _, r := range stored {
		status, err := rt.segmentStatus(r)
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

// SegmentOf is the status of one segment.
func (rt *Runtime) SegmentOf(id string) (status SegmentStatus, err error) {
	value, err := rt.store.Get(segmentRecordKey(id), nil)
	if isNotFound(err) {
		return status, rt.unknownSegment(id)
	}
	if err != nil {
		return status, err
	}
	r, err := decodeSegmentRecord(id, value)
	if err != nil {
		return status, err
	}
	return rt.segmentStatus(r)
}

func (rt *Runtime) segmentStatus(r *segmentRecord) (status SegmentStatus, err error) {
	status = SegmentStatus{ID: r.id, Computed: r.computed, Computing: r.build != r.done, Progress: 1, Removed: r.removed}
	if s := rt.set.Load().Segment(r.id); s != nil {
		status.Name, status.Update = s.Name, s.Update
	}
	if status.Members, err = counted(rt.store, segmentCount(r.id)); err != nil {
		return status, err
	}
	if status.Computing {
		status.Progress, err = rt.progress(r.jobID())
	}
	return status, err
}

// progress is the part of the shards that a job has gone through.
func (rt *Runtime) progress(id string) (float64, error) {
	done := 0
	for s := range flowengine.Shard(flowengine.Shards) {
		value, err := rt.store.Get(jobProgressKey(s, id), nil)
		if err != nil && !isNotFound(err) {
			return 0, err
		}
		if string(value) == string(jobDone) {
			done++
		}
	}
	return float64(done) / flowengine.Shards, nil
}
