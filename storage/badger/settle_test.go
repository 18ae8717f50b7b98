package badger

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"trunkline/storage"
)

// settling returns a store that has only what settle needs: it has settled
// everything up to ts.
func settling(ts uint64) *Store {
	s := &Store{dir: "folder", log: slog.New(slog.DiscardHandler)}
	s.turned.L = &s.turn
	s.settled.Store(ts)
	s.pins.settled = &s.settled
	s.pins.discard = func(uint64) {}
	return s
}

// A batch that is written before an earlier one is acknowledged after it.
func TestBatchesSettleInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settling(6)
		acknowledged := make(chan uint64, 3)
		for _, ts := range []uint64{9, 8} {
			go func() {
				if err := s.settle(ts, nil); err != nil {
					t.Errorf("settle(%d) = %v", ts, err)
				}
				acknowledged <- ts
			}()
			synctest.Wait()
		}
		if len(acknowledged) != 0 || s.settled.Load() != 6 {
			t.Errorf("%d is acknowledged and %d is not written yet", <-acknowledged, 7)
		}
		if err := s.settle(7, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(acknowledged) != 2 || s.settled.Load() != 9 {
			t.Errorf("%d of 2 that waited are acknowledged and %d is settled", len(acknowledged), s.settled.Load())
		}
	})
}

// A batch that failed takes those after it along, written or not, and leaves
// those before it alone.
func TestFailureTakesLaterBatchesAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settling(0)
		broken := errors.New("the disk broke")
		results := make([]chan error, 5)
		for i, err := range []error{3: nil, 2: broken, 4: broken} {
			if i < 2 {
				continue
			}
			results[i] = make(chan error, 1)
			go func() { results[i] <- s.settle(uint64(i), err) }()
		}
		synctest.Wait()
		if err := s.settle(1, nil); err != nil {
			t.Errorf("the batch before the one that failed: %v", err)
		}
		for i := 2; i <= 4; i++ {
			if err := <-results[i]; !errors.Is(err, storage.ErrFailed) || !errors.Is(err, broken) {
				t.Errorf("settle(%d) = %v, want ErrFailed for the first failure", i, err)
			}
		}
		if s.settled.Load() != 1 {
			t.Errorf("%d is settled, want 1", s.settled.Load())
		}
	})
}

// A failure is final: Apply and Health keep saying it, and readers still see what
// was acknowledged, and only that.
func TestFailureIsFinal(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var b storage.Batch
	b.Put([]byte("a"), []byte("1"))
	if err := s.Apply(&b); err != nil {
		t.Fatal(err)
	}
	b.Put([]byte("a"), []byte("2"))
	w := s.writer()
	txn, err := w.fill(s.db, &b)
	if err != nil {
		t.Fatal(err)
	}
	ts := s.next
	s.next++
	if err := errors.Join(txn.CommitAt(ts, w.done), <-w.result); err != nil {
		t.Fatal(err)
	}
	// It did reach the engine, but whether it reached the disk is unknown.
	failure := s.settle(ts, errors.New("the disk broke"))
	for name, err := range map[string]error{"settle": failure, "Apply": s.Apply(&b), "Health": s.Health()} {
		if !errors.Is(err, storage.ErrFailed) || err.Error() != failure.Error() {
			t.Errorf("%s = %v, want %v", name, err, failure)
		}
	}
	value, err := s.Get([]byte("a"), nil)
	if err != nil || string(value) != "1" {
		t.Errorf("Get() after the failure = %q, %v, want what was acknowledged", value, err)
	}
	err = s.Scan(nil, nil, func(_, value []byte) bool {
		if string(value) != "1" {
			t.Errorf("Scan() after the failure sees %q", value)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The oldest open reader decides which versions may go.
func TestPinsHoldBackTheDiscardTimestamp(t *testing.T) {
	s := settling(5)
	var discard uint64
	s.pins.discard = func(ts uint64) { discard = ts }
	step := func(settled, want uint64) {
		t.Helper()
		s.settled.Store(settled)
		s.pins.advance()
		if discard != want {
			t.Errorf("with %d settled, versions up to %d may go, want %d", settled, discard, want)
		}
	}
	step(6, 6)
	first, again := s.pins.pin(), s.pins.pin()
	step(7, 6)
	second := s.pins.pin()
	step(9, 6)
	s.pins.unpin(first)
	step(9, 6) // the same moment is pinned twice
	s.pins.unpin(again)
	step(9, 7)
	third := s.pins.pin()
	s.pins.unpin(third)
	step(9, 7)
	s.pins.unpin(second)
	step(9, 9)
	if len(s.pins.open) != 0 {
		t.Errorf("%d moments are still pinned", len(s.pins.open))
	}
}
