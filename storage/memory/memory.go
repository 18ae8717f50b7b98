// Package memory is the storage contract held in memory: for simulations, tests
// and trials. It adds what only a simulation can have: batches that fail on
// demand, the state as a crash would leave it, and expiry at a chosen time. It
// knows no files, no clock and no goroutines.
package memory

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"trunkline/storage"
)

// Store is an in-memory [storage.Store]. Batches are atomic because they are
// applied to a copy-on-write tree under a lock; "durable" means that a later
// Clone has them.
type Store struct {
	mu      sync.RWMutex
	tree    *btree.BTreeG[entry]
	applied uint64
	closed  bool
	failed  error // set by the first injected failure: final, as on disk
	full    bool
	fail    func(n uint64, b *storage.Batch) error
}

// entry is one key with its value. Its slices are never changed after they were
// put into the tree, since snapshots and clones share them.
type entry struct {
	key, value []byte
	expires    int64
}

// newEntry copies op. Key and value share one allocation of their own, so that an
// entry that lives long does not hold on to the batch it came with.
func newEntry(op storage.Op) entry {
	data := append(append(make([]byte, 0, len(op.Key)+len(op.Value)), op.Key...), op.Value...)
	n := len(op.Key)
	return entry{key: data[:n:n], value: data[n:], expires: op.Expires}
}

func less(a, b entry) bool { return bytes.Compare(a.key, b.key) < 0 }

// New returns an empty store.
func New() *Store { return &Store{tree: newTree()} }

func newTree() *btree.BTreeG[entry] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// Get implements [storage.Reader].
func (s *Store) Get(key, dst []byte) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	return get(s.tree, key, dst)
}

// Scan implements [storage.Reader]. It works on a view taken when it begins.
func (s *Store) Scan(prefix, from []byte, fn func(key, value []byte) (more bool)) error {
	view, err := s.Snapshot()
	if err != nil {
		return err
	}
	return view.Scan(prefix, from, fn)
}

// Apply implements [storage.Store]. A failure that FailWith injected is final
// unless it is [storage.ErrFull].
func (s *Store) Apply(b *storage.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	if s.failed != nil {
		return s.failed
	}
	if err := b.Check(); err != nil {
		return err
	}
	if b.Len() == 0 {
		return nil
	}
	if s.full {
		return fmt.Errorf("applying a batch of %d operations: %w", b.Len(), storage.ErrFull)
	}
	if s.fail != nil {
		if err := s.fail(s.applied, b); err != nil {
			s.failed = fmt.Errorf("applying batch %d: %w: %w", s.applied, storage.ErrFailed, err)
			return s.failed
		}
	}
	for op := range b.Ops() {
		if op.Kind == storage.OpDelete {
			s.tree.Delete(entry{key: op.Key})
			continue
		}
		s.tree.Set(newEntry(op))
	}
	s.applied++
	return nil
}

// Snapshot implements [storage.Store].
func (s *Store) Snapshot() (storage.Snapshot, error) {
	s.mu.Lock() // Copy marks the nodes as shared, which is a write
	defer s.mu.Unlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	return &snapshot{tree: s.tree.Copy()}, nil
}

// Health implements [storage.Store].
func (s *Store) Health() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return storage.ErrClosed
	case s.failed != nil:
		return s.failed
	case s.full:
		return storage.ErrFull
	}
	return nil
}

// Close implements [storage.Store]. The data stays for Clone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.closed = true
	return nil
}

// Clone returns an open store with every batch applied so far and none of the
// injected faults: what a process finds that starts again after this one was
// killed between two batches. The original may be closed or failed; the two
// share nothing that changes.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{tree: s.tree.Copy(), applied: s.applied}
}

// Applied returns the number of batches applied, those before a Clone included.
func (s *Store) Applied() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.applied
}

// Len returns the number of entries.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tree.Len()
}

// FailWith installs a fault: fail is asked before each batch, with the number of
// batches applied before it, and its error fails that batch and the store with
// it. It runs under the store's lock and must not call the store. nil removes
// the fault, but does not heal a store that has failed.
func (s *Store) FailWith(fail func(n uint64, b *storage.Batch) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// FailNext makes the next batch fail with err.
func (s *Store) FailNext(err error) {
	s.FailWith(func(uint64, *storage.Batch) error { return err })
}

// SetFull makes the store refuse batches with [storage.ErrFull], or accept them
// again.
func (s *Store) SetFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// Expire drops every entry whose expiry is not after now and returns how many
// they were. Without it nothing ever expires.
func (s *Store) Expire(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due [][]byte
	s.tree.Scan(func(e entry) bool {
		if e.expires != 0 && e.expires <= now.Unix() {
			due = append(due, e.key)
		}
		return true
	})
	for _, key := range due {
		s.tree.Delete(entry{key: key})
	}
	return len(due)
}

func get(tree *btree.BTreeG[entry], key, dst []byte) ([]byte, error) {
	found, ok := tree.Get(entry{key: key})
	if !ok {
		return nil, storage.ErrNotFound
	}
	return append(dst[:0], found.value...), nil
}
