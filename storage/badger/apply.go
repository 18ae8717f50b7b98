package badger

import (
	"fmt"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
)

// Apply implements [storage.Store]: one engine transaction, and one sync, which
// batches of others may share.
func (s *Store) Apply(b *storage.Batch) error {
	if !s.calls.enter() {
		return storage.ErrClosed
	}
	defer s.calls.leave()
	if err := s.failed.Load(); err != nil {
		return *err
	}
	if err := b.Check(); err != nil {
		return err
	}
	if b.Len() == 0 {
		return nil
	}
	if err := s.space.admit(len(b.Bytes())); err != nil {
		return fmt.Errorf("applying a batch of %d bytes: %w", len(b.Bytes()), err)
	}

	w := s.writer()
	defer s.txns.Put(w)
	txn, err := w.fill(s.db, b)
	if err != nil {
		return fmt.Errorf("applying a batch of %d operations: %w", b.Len(), translate(err))
	}
	s.places <- struct{}{}
	defer func() { <-s.places }()
	s.order.Lock()
	ts := s.next
	s.next++
	w.mark(byte(ts - s.settled.Load()))
	err = txn.CommitAt(ts, w.done)
	s.order.Unlock()
	if err == nil {
		err = <-w.result
	}
	if err == nil {
		err = s.logs.wait()
	}
	return s.settle(ts, err)
}

// settle acknowledges or fails the batch of ts, in the order of timestamps. A
// batch that comes after a failed one fails as well, even if it reached the
// disk: acknowledging it would let readers past the failed one.
func (s *Store) settle(ts uint64, err error) error {
	s.turn.Lock()
	for s.settled.Load() != ts-1 && s.failed.Load() == nil {
		s.turned.Wait()
	}
	defer s.turned.Broadcast()
	defer s.turn.Unlock()
	if earlier := s.failed.Load(); earlier != nil {
		return *earlier
	}
	if err != nil {
		final := fmt.Errorf("the store in %q could not write a batch and takes no more until it is opened again: %w: %w",
			s.dir, storage.ErrFailed, translate(err))
		s.failed.Store(&final)
		s.log.Error("batch not written", "folder", s.dir, "error", err)
		return final
	}
	s.settled.Store(ts)
	s.pins.advance()
	return nil
}

// writer is what Apply reuses from batch to batch.
type writer struct {
	entries []engine.Entry
	result  chan error
	done    func(error)
}

func (s *Store) writer() *writer {
	if w, ok := s.txns.Get().(*writer); ok {
		return w
	}
	w := &writer{result: make(chan error, 1)}
	w.done = func(err error) { w.result <- err }
	return w
}

// fill puts the batch's operations into a transaction. The transaction refers to
// the batch and to w until it is settled.
func (w *writer) fill(db *engine.DB, b *storage.Batch) (*engine.Txn, error) {
	if cap(w.entries) < b.Len() {
		w.entries = make([]engine.Entry, b.Len())
	}
	w.entries = w.entries[:b.Len()]
	txn := db.NewTransactionAt(newest, true)
	i := 0
	for op := range b.Ops() {
		entry := &w.entries[i]
		*entry = engine.Entry{Key: op.Key, Value: op.Value, ExpiresAt: uint64(op.Expires)}
		if op.Kind == storage.OpDelete {
			*entry = engine.Entry{Key: op.Key, ExpiresAt: longAgo}
		}
		if err := txn.SetEntry(entry); err != nil {
			txn.Discard()
			return nil, err
		}
		i++
	}
	return txn, nil
}

// longAgo is the expiry of an entry that stands for a deletion: one of the engine's
// own would have no room for the mark.
const longAgo = 1

// mark notes with every entry of the batch, in the byte that the engine leaves to
// its user, how many batches, with this one, are not settled; see inspectLog.
func (w *writer) mark(unsettled byte) {
	for i := range w.entries {
		w.entries[i].UserMeta = unsettled
	}
}
