package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"trunkline/storage"
)

func testGet(t *testing.T, _ Suite, store storage.Store) {
	requireGet(t, store, "a", nil)
	apply(t, store, "a=1", "b=")
	requireGet(t, store, "a", []byte("1"))
	requireGet(t, store, "b", []byte{})
	requireGet(t, store, "", nil)
	requireGet(t, store, "a\x00", nil)
}

func testGetReusesDst(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=12345", "b=1")
	dst := make([]byte, 3, 64)
	got, err := store.Get([]byte("a"), dst)
	if err != nil || string(got) != "12345" || &got[0] != &dst[0] {
		t.Errorf("Get into a buffer that is large enough = %q, %v, in place %v", got, err, &got[0] == &dst[0])
	}
	again, err := store.Get([]byte("b"), got)
	if err != nil || string(again) != "1" {
		t.Errorf("Get over an earlier result = %q, %v", again, err)
	}
	again[0] = 'X' // the result is the caller's
	requireGet(t, store, "b", []byte("1"))
}

func testOrder(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "b=4", "\xff\xff=7", "a\xff=3", "\x00=0", "a\x00=2", "\xff=6", "a=1", "ba=5")
	requireScan(t, store, "", "", "\x00=0", "a=1", "a\x00=2", "a\xff=3", "b=4", "ba=5", "\xff=6", "\xff\xff=7")
}

func testPrefixAndFrom(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=", "ab=", "ab\x00=", "aba=", "ac=", "b=", "\xff=", "\xff\xffa=")
	tests := []struct {
		prefix, from string
		want         []string
	}{
		{"ab", "", []string{"ab=", "ab\x00=", "aba="}},
		{"ab", "a", []string{"ab=", "ab\x00=", "aba="}},  // from before the prefix
		{"ab", "ab", []string{"ab=", "ab\x00=", "aba="}}, // from is included
		{"ab", "ab\x00", []string{"ab\x00=", "aba="}},    // the next possible key
		{"ab", "abb", nil},           // behind the last of the prefix
		{"ab", "b", nil},             // behind the prefix
		{"a", "ac", []string{"ac="}}, //
		{"", "ac", []string{"ac=", "b=", "\xff=", "\xff\xffa="}}, // no prefix
		{"abc", "", nil},
		{"\xff", "", []string{"\xff=", "\xff\xffa="}},
		{"\xff\xff", "\xff", []string{"\xff\xffa="}},
		{"\xff", "\xff\xff\xff", nil},
	}
	view := snapshot(t, store)
	for _, test := range tests {
		requireScan(t, store, test.prefix, test.from, test.want...)
		requireScan(t, view, test.prefix, test.from, test.want...)
	}
}

func testScanStops(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=", "b=", "c=")
	visited := 0
	err := store.Scan(nil, nil, func([]byte, []byte) bool { visited++; return visited < 2 })
	if err != nil || visited != 2 {
		t.Errorf("visited %d entries, %v; want 2", visited, err)
	}
}

func testScanMayRead(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=b", "b=c", "c=a")
	err := store.Scan(nil, nil, func(_, value []byte) bool {
		if _, err := store.Get(value, nil); err != nil {
			t.Errorf("Get(%q) inside a scan = %v", value, err)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func testExpiry(t *testing.T, _ Suite, store storage.Store) {
	var b storage.Batch
	far := time.Unix(1<<33, 0)
	b.PutUntil([]byte("far"), []byte("1"), far)
	b.PutUntil([]byte("past"), []byte("2"), time.Unix(1, 0)) // may be there or not
	b.PutUntil([]byte("kept"), []byte("3"), far)
	b.Put([]byte("kept"), []byte("4"))
	b.Put([]byte("stays"), []byte("5"))
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	requireGet(t, store, "far", []byte("1"))
	want := map[string]int64{"far": far.Unix(), "kept": 0, "stays": 0}
	err := snapshot(t, store).Entries(nil, nil, func(op storage.Op) bool {
		key := string(op.Key)
		if key == "past" {
			return true
		}
		expires, ok := want[key]
		if !ok || op.Expires != expires || (op.Kind == storage.OpPutUntil) != (expires != 0) {
			t.Errorf("entry %q has kind %d and expires %d, want %d", key, op.Kind, op.Expires, expires)
		}
		delete(want, key)
		return true
	})
	if err != nil || len(want) != 0 {
		t.Errorf("Entries() = %v and missed %v", err, want)
	}
}

func testSnapshotIsolation(t *testing.T, _ Suite, store storage.Store) {
	apply(t, store, "a=1", "b=1", "c=1")
	view := snapshot(t, store)
	apply(t, store, "a=2", "-b", "d=2")
	for i := range 300 {
		apply(t, store, fmt.Sprintf("a=%d", i), fmt.Sprintf("x%d=", i))
	}
	requireScan(t, view, "", "", "a=1", "b=1", "c=1")
	requireGet(t, view, "a", []byte("1"))
	requireGet(t, view, "b", []byte("1"))
	requireGet(t, view, "d", nil)
	requireGet(t, store, "a", []byte("299"))
	requireGet(t, store, "b", nil)

	if err := view.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	none := func([]byte, []byte) bool { return true }
	_, getErr := view.Get([]byte("a"), nil)
	for name, err := range map[string]error{
		"Get": getErr, "Scan": view.Scan(nil, nil, none), "Close": view.Close(),
		"Entries": view.Entries(nil, nil, func(storage.Op) bool { return true }),
	} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s of a closed snapshot = %v, want ErrClosed", name, err)
		}
	}
}

func testSnapshotEmpty(t *testing.T, _ Suite, store storage.Store) {
	view := snapshot(t, store)
	apply(t, store, "a=1")
	requireScan(t, view, "", "")
	requireGet(t, view, "a", nil)
}

// Snapshots are closed in another order than they were opened; each keeps its
// state as long as it is open.
func testSnapshotsOverlap(t *testing.T, _ Suite, store storage.Store) {
	views := make([]storage.Snapshot, 6)
	for i := range views {
		apply(t, store, fmt.Sprintf("a=%d", i/2))
		views[i] = snapshot(t, store)
	}
	for _, i := range []int{3, 0, 5, 1, 2, 4} {
		requireGet(t, views[i], "a", []byte(fmt.Sprint(i/2)))
		if err := views[i].Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		apply(t, store, "a=later")
	}
}

// A scan goes over the state in which it began.
func testScanSeesOneState(t *testing.T, _ Suite, store storage.Store) {
	for i := range 100 {
		apply(t, store, fmt.Sprintf("%02d=old", i))
	}
	begun, applied, olds := make(chan struct{}), make(chan error), 0
	go func() {
		<-begun
		var b storage.Batch
		for i := range 100 {
			b.Put(fmt.Appendf(nil, "%02d", i), []byte("new"))
		}
		applied <- store.Apply(&b)
	}()
	err := store.Scan(nil, nil, func(key, value []byte) bool {
		if string(key) == "00" {
			close(begun)
			if err := <-applied; err != nil {
				t.Errorf("Apply() beside a scan = %v", err)
			}
		}
		if string(value) == "old" {
			olds++
		}
		return true
	})
	if err != nil || olds != 100 {
		t.Errorf("scan saw %d of 100 old values, %v", olds, err)
	}
}

// A reader with a cursor doesn't visit what was deleted before it, and is right
// about it.
func testManyDeletes(t *testing.T, _ Suite, store storage.Store) {
	const n = 5000
	var b storage.Batch
	key := func(i int) []byte { return fmt.Appendf(nil, "t/%06d", i) }
	for i := range n {
		b.Put(key(i), []byte("due"))
	}
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	for i := range n - 3 {
		b.Delete(key(i))
	}
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	requireScan(t, store, "t/", "", "t/004997=due", "t/004998=due", "t/004999=due")
	requireScan(t, store, "t/", "t/004998", "t/004998=due", "t/004999=due")
}

func testSizes(t *testing.T, _ Suite, store storage.Store) {
	for _, size := range []int{0, 1, 127, 128, 16 << 10, storage.MaxValueBytes} {
		key := fmt.Sprintf("size/%d", size)
		value := bytes.Repeat([]byte{byte(size), 0, 0xff}, size/3+1)[:size]
		var b storage.Batch
		b.Put([]byte(key), value)
		if err := store.Apply(&b); err != nil {
			t.Fatalf("value of %d bytes: %v", size, err)
		}
		requireGet(t, store, key, value)
	}
	var b storage.Batch
	long := bytes.Repeat([]byte{'k'}, storage.MaxKeyBytes)
	b.Put(long, []byte("v"))
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	requireGet(t, store, string(long), []byte("v"))
	requireScan(t, store, string(long[:100]), "", string(long)+"=v")

	b.Reset()
	value := make([]byte, storage.MaxValueBytes-100)
	for i := range storage.MaxBatchBytes / storage.MaxValueBytes {
		b.Put(fmt.Appendf(nil, "largest/%d", i), value)
	}
	if err := store.Apply(&b); err != nil {
		t.Fatalf("batch of %d bytes: %v", len(b.Bytes()), err)
	}
	b.Reset()
	for i := range storage.MaxBatchOps {
		b.Put(fmt.Appendf(nil, "many/%d", i), make([]byte, storage.MaxBatchBytes/storage.MaxBatchOps-24))
	}
	if err := store.Apply(&b); err != nil {
		t.Fatalf("batch of %d operations and %d bytes: %v", b.Len(), len(b.Bytes()), err)
	}
	visited := 0
	if err := store.Scan([]byte("many/"), nil, func([]byte, []byte) bool { visited++; return true }); err != nil || visited != b.Len() {
		t.Errorf("scan visited %d of %d, %v", visited, b.Len(), err)
	}
}

func testLimits(t *testing.T, _ Suite, store storage.Store) {
	var big, empty storage.Batch
	big.Put([]byte("a"), []byte("1"))
	big.Put([]byte("b"), make([]byte, storage.MaxValueBytes+1))
	if err := store.Apply(&big); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("Apply() of a value that is too long = %v, want ErrTooLarge", err)
	}
	empty.Put([]byte("a"), []byte("1"))
	empty.Put(nil, []byte("1"))
	if err := store.Apply(&empty); !errors.Is(err, storage.ErrInvalidKey) {
		t.Errorf("Apply() of an empty key = %v, want ErrInvalidKey", err)
	}
	requireScan(t, store, "", "")
	if err := store.Health(); err != nil {
		t.Errorf("a refused batch left the store with %v", err)
	}
	apply(t, store, "a=1")
	_, err := store.Get(make([]byte, math.MaxUint16+1), nil)
	if !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Get() of a key that is too long = %v, want ErrNotFound", err)
	}
}
