package runtime

import (
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"slices"
	"time"

	"trunkline/flowengine"
)

// callRecordsPage is how many records of a shard are read at a time.
const callRecordsPage = 64

// callsSince is the key in front of the records of a shard that were written
// from then on.
func callsSince(s flowengine.Shard, from time.Time) []byte {
	key := appendPrefix(nil, s, kindCall)
	if from.IsZero() {
		return key
	}
	return binary.BigEndian.AppendUint64(key, uint64(max(from.UnixMilli(), 0)))
}

// CallsAfter reads the records of a shard that were closed after the one with
// the key after (nil: the first), in the order in which they were closed, and
// gives the key of the last one. What a key names does not change any more, and nothing
// comes before it later on.
func (rt *Runtime) CallsAfter(s flowengine.Shard, after []byte, most int) (records []*CallRecord, last []byte, err error) {
	from := after
	if after != nil {
		from = successor(after)
	}
	if records, err = rt.readCalls(s, from, most); len(records) > 0 {
		return records, records[len(records)-1].key, err
	}
	return nil, after, err
}

// readCalls reads the records of a shard from a key on.
func (rt *Runtime) readCalls(s flowengine.Shard, from []byte, most int) (records []*CallRecord, err error) {
	var damaged error
	err = rt.store.Scan(appendPrefix(nil, s, kindCall), from, func(key, value []byte) bool {
		var r *CallRecord
		if r, damaged = decodeCallRecord(value); damaged != nil {
			return false
		}
		r.key = bytes.Clone(key)
		records = append(records, r)
		return len(records) < most
	})
	return records, firstError(err, damaged)
}

// EachCall calls each for the records of legs that were closed from then on and
// before to (zero times: no bound), ordered by the time at which they were closed, until
// it returns false.
func (rt *Runtime) EachCall(from, to time.Time, each func(*CallRecord) bool) error {
	var all callStreams
	for s := range flowengine.Shard(flowengine.Shards) {
		st := &callStream{rt: rt, shard: s}
		more, err := st.first(from)
		if err != nil {
			return err
		}
		if more {
			all = append(all, st)
		}
	}
	heap.Init(&all)
	for len(all) > 0 {
		st := all[0]
		if !to.IsZero() && st.closed() >= to.UnixMilli() {
			return nil
		}
		if !each(st.page[0]) {
			return nil
		}
		more, err := st.next()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&all, 0)
		default:
			heap.Pop(&all)
		}
	}
	return nil
}

// OpenCalls are the records of the legs that stand, the oldest first.
func (rt *Runtime) OpenCalls() (open []*CallRecord, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		err := rt.store.Scan(appendPrefix(nil, s, kindOpenCall), nil, func(_, value []byte) bool {
			var r *CallRecord
			if r, damaged = decodeCallRecord(value); damaged == nil {
				open = append(open, r)
			}
			return damaged == nil
		})
		if err = firstError(err, damaged); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(open, func(a, b *CallRecord) int {
		return cmp.Or(a.Setup.Compare(b.Setup), cmp.Compare(a.Call, b.Call), cmp.Compare(a.Leg, b.Leg))
	})
	return open, nil
}

// callStream is the records of a shard that are still to come.
type callStream struct {
	rt    *Runtime
	shard flowengine.Shard
	page  []*CallRecord
}

func (s *callStream) first(from time.Time) (more bool, err error) {
	s.page, err = s.rt.readCalls(s.shard, callsSince(s.shard, from), callRecordsPage)
	return len(s.page) > 0, err
}

func (s *callStream) next() (more bool, err error) {
	last := s.page[0].key
	if s.page = s.page[1:]; len(s.page) == 0 {
		s.page, err = s.rt.readCalls(s.shard, successor(last), callRecordsPage)
	}
	return len(s.page) > 0, err
}

// closed is when the next record was closed, in Unix milliseconds.
func (s *callStream) closed() int64 { return dueOf(s.page[0].key) }

type callStreams []*callStream

func (s callStreams) Len() int { return len(s) }
func (s callStreams) Less(i, j int) bool {
	if a, b := s[i].closed(), s[j].closed(); a != b {
		return a < b
	}
	return s[i].shard < s[j].shard
}
func (s callStreams) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *callStreams) Push(x any)   { *s = append(*s, x.(*callStream)) }
func (s *callStreams) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}
