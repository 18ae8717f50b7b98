package badger

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
)

// Get implements [storage.Store].
func (s *Store) Get(key, dst []byte) ([]byte, error) {
	if !s.calls.enter() {
		return nil, storage.ErrClosed
	}
	defer s.calls.leave()
	if s.failed.Load() != nil {
		// The newest version may be of the batch that failed.
		ts := s.pins.pin()
		defer s.pins.unpin(ts)
		return s.get(ts, key, dst)
	}
	return s.get(newest, key, dst)
}

// Scan implements [storage.Store]. It sees whole batches only, also where the
// keys belong to somebody else.
func (s *Store) Scan(prefix, from []byte, fn func(key, value []byte) (more bool)) error {
	if !s.calls.enter() {
		return storage.ErrClosed
	}
	defer s.calls.leave()
	ts := s.pins.pin()
	defer s.pins.unpin(ts)
	return s.scan(ts, prefix, from, func(item *engine.Item, value []byte) bool { return fn(item.Key(), value) })
}

// Snapshot implements [storage.Store].
func (s *Store) Snapshot() (storage.Snapshot, error) {
	if !s.calls.enter() {
		return nil, storage.ErrClosed
	}
	defer s.calls.leave()
	return &snapshot{store: s, ts: s.pins.pin()}, nil
}

// snapshot is the store at a pinned timestamp.
type snapshot struct {
	store  *Store
	ts     uint64
	closed atomic.Bool
}

func (v *snapshot) Get(key, dst []byte) ([]byte, error) {
	if !v.enter() {
		return nil, storage.ErrClosed
	}
	defer v.store.calls.leave()
	return v.store.get(v.ts, key, dst)
}

func (v *snapshot) Scan(prefix, from []byte, fn func(key, value []byte) (more bool)) error {
	if !v.enter() {
		return storage.ErrClosed
	}
	defer v.store.calls.leave()
	return v.store.scan(v.ts, prefix, from, func(item *engine.Item, value []byte) bool { return fn(item.Key(), value) })
}

func (v *snapshot) Entries(prefix, from []byte, fn func(op storage.Op) (more bool)) error {
	if !v.enter() {
		return storage.ErrClosed
	}
	defer v.store.calls.leave()
	return v.store.scan(v.ts, prefix, from, func(item *engine.Item, value []byte) bool {
		op := storage.Op{Kind: storage.OpPut, Key: item.Key(), Value: value}
		if expires := item.ExpiresAt(); expires != 0 {
			op.Kind, op.Expires = storage.OpPutUntil, int64(expires)
		}
		return fn(op)
	})
}

func (v *snapshot) Close() error {
	if v.closed.Swap(true) {
		return storage.ErrClosed
	}
	v.store.pins.unpin(v.ts)
	return nil
}

func (v *snapshot) enter() bool { return !v.closed.Load() && v.store.calls.enter() }

func (s *Store) get(ts uint64, key, dst []byte) ([]byte, error) {
	txn := s.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	switch {
	case errors.Is(err, engine.ErrKeyNotFound), errors.Is(err, engine.ErrEmptyKey):
		return nil, storage.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("reading key %x: %w", key, translate(err))
	}
	value, err := item.ValueCopy(dst[:0])
	if err != nil {
		return nil, fmt.Errorf("reading key %x: %w", key, translate(err))
	}
	return value, nil
}

// scan visits the live entries of a pinned timestamp.
func (s *Store) scan(ts uint64, prefix, from []byte, fn func(item *engine.Item, value []byte) (more bool)) error {
	start := prefix
	if bytes.Compare(from, prefix) > 0 {
		if !bytes.HasPrefix(from, prefix) {
			return nil
		}
		start = from
	}
	txn := s.db.NewTransactionAt(ts, false)
	defer txn.Discard()
	entries := txn.NewIterator(engine.IteratorOptions{Prefix: prefix})
	defer entries.Close()
	more := true
	visit := func(item *engine.Item) func(value []byte) error {
		return func(value []byte) error {
			more = fn(item, value)
			return nil
		}
	}
	for entries.Seek(start); entries.Valid(); entries.Next() {
		item := entries.Item()
		if err := item.Value(visit(item)); err != nil {
			return fmt.Errorf("reading key %x: %w", item.Key(), translate(err))
		}
		if !more {
			break
		}
	}
	return nil
}

// pins keeps the versions that open scans and snapshots read from being
// discarded. Timestamps are pinned in ascending order, so the list is sorted.
type pins struct {
	mu      sync.Mutex
	open    []pin
	settled *atomic.Uint64
	discard func(ts uint64) // told that of everything up to ts the newest is enough
}

type pin struct {
	ts uint64
	n  int
}

// pin returns the newest settled timestamp and holds on to it.
func (p *pins) pin() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	ts := p.settled.Load()
	if last := len(p.open) - 1; last >= 0 && p.open[last].ts == ts {
		p.open[last].n++
	} else {
		p.open = append(p.open, pin{ts, 1})
	}
	return ts
}

func (p *pins) unpin(ts uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.open {
		if p.open[i].ts == ts {
			p.open[i].n--
			break
		}
	}
	done := 0
	for done < len(p.open) && p.open[done].n == 0 {
		done++
	}
	p.open = append(p.open[:0], p.open[done:]...)
	p.release()
}

// advance moves the discard timestamp along with the settled one.
func (p *pins) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release()
}

func (p *pins) release() {
	if len(p.open) > 0 {
		p.discard(p.open[0].ts)
		return
	}
	p.discard(p.settled.Load())
}
