// Package conformance is the storage contract as a test suite. Every
// implementation runs it; whatever the runtime relies on is proved here once for
// all of them. It knows nothing of any implementation.
package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"trunkline/storage"
)

// Suite is what an implementation hands in.
type Suite struct {
	// Open returns an empty store, which the suite closes.
	Open func(t testing.TB) storage.Store
	// Reopen closes the store and returns it opened again, or what a process
	// would find after a crash. The old one is not used any more. nil leaves out
	// the tests of durability.
	Reopen func(t testing.TB, store storage.Store) storage.Store
}

// Run runs the whole suite.
func Run(t *testing.T, suite Suite) {
	tests := []struct {
		name string
		test func(t *testing.T, suite Suite, store storage.Store)
	}{
		{"get", testGet},
		{"get reuses dst", testGetReusesDst},
		{"order", testOrder},
		{"prefix and from", testPrefixAndFrom},
		{"scan stops", testScanStops},
		{"scan may read", testScanMayRead},
		{"last operation wins", testLastOperationWins},
		{"overwrite and delete", testOverwriteAndDelete},
		{"sizes", testSizes},
		{"limits", testLimits},
		{"empty batch", testEmptyBatch},
		{"batch is the caller's again", testBatchReuse},
		{"expiry", testExpiry},
		{"snapshot isolation", testSnapshotIsolation},
		{"snapshot of an empty store", testSnapshotEmpty},
		{"snapshots overlap", testSnapshotsOverlap},
		{"scan sees one state", testScanSeesOneState},
		{"concurrent appliers", testConcurrentAppliers},
		{"whole batches", testWholeBatches},
		{"many deletes", testManyDeletes},
		{"closed", testClosed},
		{"reopen", testReopen},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := suite.Open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
					t.Errorf("Close() = %v", err)
				}
			})
			test.test(t, suite, store)
		})
	}
	t.Run("model", func(t *testing.T) { testModel(t, suite) })
}

// batch collects puts of "key=value" and deletes of "-key".
func batch(ops ...string) *storage.Batch {
	b := new(storage.Batch)
	for _, op := range ops {
		if key, ok := bytes.CutPrefix([]byte(op), []byte("-")); ok {
			b.Delete(key)
			continue
		}
		key, value, _ := bytes.Cut([]byte(op), []byte("="))
		b.Put(key, value)
	}
	return b
}

func apply(t testing.TB, store storage.Store, ops ...string) {
	t.Helper()
	if err := store.Apply(batch(ops...)); err != nil {
		t.Fatalf("Apply(%q) = %v", ops, err)
	}
}

// scan returns the entries as "key=value".
func scan(t testing.TB, r storage.Reader, prefix, from string) []string {
	t.Helper()
	var found []string
	err := r.Scan([]byte(prefix), []byte(from), func(key, value []byte) bool {
		found = append(found, fmt.Sprintf("%s=%s", key, value))
		return true
	})
	if err != nil {
		t.Fatalf("Scan(%q, %q) = %v", prefix, from, err)
	}
	return found
}

func requireScan(t testing.TB, r storage.Reader, prefix, from string, want ...string) {
	t.Helper()
	if got := scan(t, r, prefix, from); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Scan(%q, %q) visited %q, want %q", prefix, from, got, want)
	}
}

// requireGet takes a nil want for a key that must not be there.
func requireGet(t testing.TB, r storage.Reader, key string, want []byte) {
	t.Helper()
	got, err := r.Get([]byte(key), nil)
	switch {
	case want == nil && !errors.Is(err, storage.ErrNotFound):
		t.Errorf("Get(%q) = %q, %v, want ErrNotFound", key, got, err)
	case want != nil && (err != nil || !bytes.Equal(got, want)):
		t.Errorf("Get(%q) = %.100q, %v, want %.100q", key, got, err, want)
	}
}

func snapshot(t testing.TB, store storage.Store) storage.Snapshot {
	t.Helper()
	view, err := store.Snapshot()
	if err != nil {
		t.Fatalf("Snapshot() = %v", err)
	}
	t.Cleanup(func() { _ = view.Close() })
	return view
}
