package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"trunkline/storage"
)

func testLastOperationWins(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=1", "a=2", "-b", "b=1", "c=1", "-c", "d=1", "-d", "d=2")
	requireScan(t, store, "", "", "a=2", "b=1", "d=2")
	apply(t, store, "-a", "a=3", "b=2", "-b")
	requireScan(t, store, "", "", "a=3", "d=2")
}

func testOverwriteAndDelete(t *testing.T, _ Suite, store storage.Store) {
	for i := range 20 {
		apply(t, store, fmt.Sprintf("a=%d", i), "-missing")
		requireGet(t, store, "a", []byte(fmt.Sprint(i)))
		apply(t, store, "-a")
		requireGet(t, store, "a", nil)
		requireScan(t, store, "", "")
	}
}

func testEmptyBatch(t *testing.T, _ Suite, store storage.Store) {
	if err := store.Apply(new(storage.Batch)); err != nil {
		t.Errorf("Apply() of an empty batch = %v", err)
	}
	requireScan(t, store, "", "")
}

func testBatchReuse(t *testing.T, _ Suite, store storage.Store) {
	var b storage.Batch
	for i := range 50 {
		b.Reset()
		b.Put(fmt.Appendf(nil, "%02d", i), fmt.Appendf(nil, "value %d", i))
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		requireGet(t, store, fmt.Sprintf("%02d", i), fmt.Appendf(nil, "value %d", i))
	}
}

// Each applier owns its keys, and finds in them what it wrote last as soon as
// Apply has returned.
func testConcurrentAppliers(t *testing.T, _ Suite, store storage.Store) {
	const appliers, batches = 8, 60
	var group sync.WaitGroup
	for owner := range appliers {
		group.Go(func() {
			key := binary.BigEndian.AppendUint16(nil, uint16(owner))
			var b storage.Batch
			var value []byte
			for i := range batches {
				b.Reset()
				b.Put(key, fmt.Appendf(nil, "%d", i))
				b.Put(fmt.Appendf(key[:2:2], "/%d", i), []byte("row"))
				if i > 0 {
					b.Delete(fmt.Appendf(key[:2:2], "/%d", i-1))
				}
				if err := store.Apply(&b); err != nil {
					t.Errorf("applier %d, batch %d: %v", owner, i, err)
					return
				}
				var err error
				if value, err = store.Get(key, value); err != nil || string(value) != fmt.Sprint(i) {
					t.Errorf("applier %d, batch %d: reads %q, %v", owner, i, value, err)
					return
				}
			}
		})
	}
	group.Wait()
	for owner := range appliers {
		key := string(binary.BigEndian.AppendUint16(nil, uint16(owner)))
		requireScan(t, store, key, "", key+"=59", key+"/59=row")
	}
}

// While batches are being applied that each write the same number to ten keys,
// every snapshot and every scan finds ten equal numbers.
func testWholeBatches(t *testing.T, _ Suite, store storage.Store) {
	const appliers, batches = 3, 80
	var b storage.Batch
	fill := func(b *storage.Batch, owner, i int) {
		b.Reset()
		for k := range 10 {
			b.Put(fmt.Appendf(nil, "%d/%d", owner, k), fmt.Appendf(nil, "%d", i))
		}
	}
	for owner := range appliers {
		fill(&b, owner, 0)
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for owner := range appliers {
		writers.Go(func() {
			var b storage.Batch
			for i := range batches {
				fill(&b, owner, i)
				if err := store.Apply(&b); err != nil {
					t.Errorf("Apply() = %v", err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			view, err := store.Snapshot()
			if err != nil {
				t.Errorf("Snapshot() = %v", err)
				return
			}
			for owner := range appliers {
				requireWhole(t, view, owner)
				requireWhole(t, store, owner)
			}
			if err := view.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func requireWhole(t *testing.T, r storage.Reader, owner int) {
	var first []byte
	n := 0
	err := r.Scan(fmt.Appendf(nil, "%d/", owner), nil, func(key, value []byte) bool {
		if n++; n == 1 {
			first = bytes.Clone(value)
		} else if !bytes.Equal(value, first) {
			t.Errorf("%T sees half a batch: %s at the first key, %s at %s", r, first, value, key)
		}
		return true
	})
	if err != nil || n != 10 {
		t.Errorf("%T sees %d of 10 keys, %v", r, n, err)
	}
}

func testClosed(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=1")
	if err := store.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	_, getErr := store.Get([]byte("a"), nil)
	_, snapshotErr := store.Snapshot()
	for name, err := range map[string]error{
		"Get": getErr, "Snapshot": snapshotErr, "Apply": store.Apply(batch("a=1")), "Close": store.Close(),
		"Health": store.Health(), "Scan": store.Scan(nil, nil, func([]byte, []byte) bool { return true }),
	} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s of a closed store = %v, want ErrClosed", name, err)
		}
	}
}

func testReopen(t *testing.T, suite Suite, store storage.Store) {
	if suite.Reopen == nil {
		t.Skip("no durability to test")
	}
	apply(t, store, "a=1", "b=1", "c=1")
	apply(t, store, "-b", "c=2")
	store = suite.Reopen(t, store)
	requireScan(t, store, "", "", "a=1", "c=2")
	apply(t, store, "c=3", "d=1", "-a")
	requireScan(t, store, "", "", "c=3", "d=1")
	store = suite.Reopen(t, store)
	requireScan(t, store, "", "", "c=3", "d=1")
	if err := store.Health(); err != nil {
		t.Errorf("Health() = %v", err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}
