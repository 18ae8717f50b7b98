package runtime

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Sizes of what a due queue keeps in memory.
const (
	duePage    = 128             // entries read from the store at once, per shard
	dueHorizon = time.Minute     // how far ahead of time entries are read
	cursorStep = 512             // removals per shard between two writes of its cursor
	dueMost    = 4 * duePage     // entries of a shard in memory before further ones are left to the store
	dueLag     = 5 * time.Second // how long before the horizon the next stretch is read
)

// dueQueue gives the entries of one kind (timers, outbox) of an executor's
// shards in order of their due time. The store holds all of them, memory only
// the next ones of each shard.
//
// Deleted entries leave tombstones behind, and a scan from the start of the
// prefix would walk over all of them. So a scan always begins at the shard's
// cursor, below which nothing is left, and the cursor is stored now and then.
type dueQueue struct {
	kind   byte
	store  storage.Store
	shards map[flowengine.Shard]*dueShard
	// leaving lists keys whose deletion is not durable yet.
	leaving func(prefix []byte) map[string]bool
	heads   dueHeads // shards that have something in memory or in the store, by next due time
}

// dueShard is the part of one shard.
//
// Invariant: every stored entry with a key in [cursor, bound) is in pending or
// taken; entries at bound and beyond are only in the store.
type dueShard struct {
	shard   flowengine.Shard
	pending []*dueEntry          // sorted by key, latest first
	known   map[string]*dueEntry // pending and taken ones, by key
	coming  map[string]bool      // put, but not durable yet, by key; true: removed meanwhile
	most    int                  // of coming, since it was last made
	bound   []byte
	wake    int64  // when the store has to be read again, Unix ms
	cursor  []byte // low-water mark as last stored
	removed int    // removals since
	index   int    // in heads
}

// dueEntry is one entry. It is pending until taken, and known until removed.
type dueEntry struct {
	key, value []byte
	row        *Message // what value says, if that was just written; value is nil then
	taken      bool
	gone       bool
}

func newDueQueue(kind byte, store storage.Store, shards []flowengine.Shard, leaving func(prefix []byte) map[string]bool) (*dueQueue, error) {
	q := &dueQueue{kind: kind, store: store, leaving: leaving, shards: make(map[flowengine.Shard]*dueShard, len(shards))}
	for _, s := range shards {
		d := &dueShard{shard: s, known: map[string]*dueEntry{}, coming: map[string]bool{}}
		cursor, err := store.Get(cursorKey(nil, s, kind), nil)
		switch {
		case err == nil:
			d.cursor = cursor
		case isNotFound(err):
			d.cursor = appendPrefix(nil, s, kind)
		default:
			return nil, err
		}
		d.bound = d.cursor
		q.shards[s] = d
		heap.Push(&q.heads, d)
	}
	return q, nil
}

// next is when the queue has to be looked at again, in Unix milliseconds.
func (q *dueQueue) next() int64 { return q.heads[0].next() }

// next is the due time of the first pending entry, or when the store has to be read.
func (d *dueShard) next() int64 {
	if n := len(d.pending); n > 0 {
		return min(dueOf(d.pending[n-1].key), d.wake)
	}
	return d.wake
}

// take returns the next entry that is due at now, or nil. It stays known, and
// stored, until remove.
func (q *dueQueue) take(now time.Time) (*dueEntry, error) {
	for {
		d := q.heads[0]
		if d.next() > now.UnixMilli() {
			return nil, nil
		}
		n := len(d.pending)
		if n == 0 || dueOf(d.pending[n-1].key) > d.wake {
			if err := q.fill(d, now); err != nil {
				return nil, err
			}
			continue
		}
		e := d.pending[n-1]
		d.pending[n-1] = nil
		d.pending = d.pending[:n-1]
		heap.Fix(&q.heads, d.index)
		if e.gone {
			continue
		}
		e.taken = true
		return e, nil
	}
}

// fill reads the next page of a shard from the store.
func (q *dueQueue) fill(d *dueShard, now time.Time) error {
	horizon := now.Add(dueHorizon)
	end := dueKey(nil, d.shard, q.kind, horizon, nil)
	prefix := appendPrefix(nil, d.shard, q.kind)
	leaving := q.leaving(prefix)
	var page []*dueEntry
	more := false
	err := q.store.Scan(prefix, d.bound, func(key, value []byte) bool {
		if bytes.Compare(key, end) >= 0 {
			return false
		}
		if len(page) == duePage {
			more = true
			return false
		}
		if d.known[string(key)] == nil && !leaving[string(key)] {
			page = append(page, &dueEntry{key: bytes.Clone(key), value: bytes.Clone(value)})
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, e := range page {
		d.known[string(e.key)] = e
	}
	slices.Reverse(page)
	d.pending = append(page, d.pending...)
	slices.SortFunc(d.pending, func(a, b *dueEntry) int { return bytes.Compare(b.key, a.key) })
	if more {
		d.bound = successor(page[0].key)
		d.wake = dueOf(page[0].key)
	} else {
		if bytes.Compare(end, d.bound) > 0 {
			d.bound = end
		}
		d.wake = horizon.Add(-dueLag).UnixMilli()
	}
	heap.Fix(&q.heads, d.index)
	return nil
}

// add notes an entry that has just become durable. Entries beyond what is kept
// in memory are left to the store.
func (q *dueQueue) add(s flowengine.Shard, e *dueEntry) {
	d, key := q.shards[s], e.key
	removed := d.came(key)
	if removed || bytes.Compare(key, d.bound) >= 0 || d.known[string(key)] != nil {
		return
	}
	if len(d.pending) >= dueMost {
		d.shed()
		if bytes.Compare(key, d.bound) >= 0 {
			heap.Fix(&q.heads, d.index)
			return
		}
	}
	d.known[string(key)] = e
	i, _ := slices.BinarySearchFunc(d.pending, key, func(x *dueEntry, k []byte) int { return bytes.Compare(k, x.key) })
	d.pending = slices.Insert(d.pending, i, e)
	heap.Fix(&q.heads, d.index)
}

// came notes that an entry is durable, and tells whether it was removed meanwhile.
// The room that many at once have taken is given back: a job that goes through all
// shards would leave it behind in each of them.
func (d *dueShard) came(key []byte) (removed bool) {
	d.most = max(d.most, len(d.coming))
	removed = d.coming[string(key)]
	delete(d.coming, string(key))
	if len(d.coming) == 0 && d.most > duePage {
		d.coming, d.most = map[string]bool{}, 0
	}
	return removed
}

// shed forgets the later half of what is pending, which the store still has.
func (d *dueShard) shed() {
	half := len(d.pending) / 2
	first := d.pending[half-1] // earliest of the ones to forget
	for _, e := range d.pending[:half] {
		delete(d.known, string(e.key))
	}
	d.bound = first.key
	d.wake = dueOf(first.key)
	d.pending = slices.Clone(d.pending[half:])
}

// remove forgets an entry whose deletion is in the batch, and moves the cursor
// from time to time.
func (q *dueQueue) remove(s flowengine.Shard, key []byte, b *storage.Batch) {
	b.Delete(key)
	d := q.shards[s]
	if e := d.known[string(key)]; e != nil {
		e.gone = true
		delete(d.known, string(key))
	}
	if _, ok := d.coming[string(key)]; ok {
		d.coming[string(key)] = true
	}
	if d.removed++; d.removed >= cursorStep {
		q.storeCursor(d, d.low(), b)
	}
}

// put adds the entry to the batch. The caller calls add once it is durable.
func (q *dueQueue) put(s flowengine.Shard, key, value []byte, b *storage.Batch) {
	b.Put(key, value)
	d := q.shards[s]
	d.coming[string(key)] = false
	if bytes.Compare(key, d.cursor) < 0 { // the clock went back
		q.storeCursor(d, key, b)
	}
}

func (q *dueQueue) storeCursor(d *dueShard, low []byte, b *storage.Batch) {
	d.removed = 0
	d.cursor = bytes.Clone(low)
	b.Put(cursorKey(nil, d.shard, q.kind), d.cursor)
}

// low is a key at or below every entry that is left.
func (d *dueShard) low() []byte {
	low := d.bound
	for _, e := range d.known {
		if bytes.Compare(e.key, low) < 0 {
			low = e.key
		}
	}
	for key := range d.coming {
		if key < string(low) {
			low = []byte(key)
		}
	}
	return low
}

// dueHeads is a heap of shards by their next due time.
type dueHeads []*dueShard

func (h dueHeads) Len() int { return len(h) }
func (h dueHeads) Less(i, j int) bool {
	a, b := h[i], h[j]
	if x, y := a.next(), b.next(); x != y {
		return x < y
	}
	if n, m := len(a.pending), len(b.pending); n > 0 && m > 0 {
		// What is due in the same millisecond goes by what the key says next.
		return string(a.pending[n-1].key[11:]) < string(b.pending[m-1].key[11:])
	}
	return a.shard < b.shard
}
func (h dueHeads) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeads) Push(x any) {
	d := x.(*dueShard)
	d.index = len(*h)
	*h = append(*h, d)
}
func (h *dueHeads) Pop() any {
	old := *h
	d := old[len(old)-1]
	*h = old[:len(old)-1]
	return d
}

// dueTime is dueOf as a time.
func dueTime(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key[3:11]))).UTC()
}
