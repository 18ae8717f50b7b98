package badger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// A disk with less room than the reserve makes batches wait outside, and nothing
// else: the store reads, and takes batches again as soon as there is room.
func TestFullDisk(t *testing.T) {
	opts := quiet(t.TempDir())
	opts.ReserveBytes = 1 << 20
	store := open(t, opts)
	defer closeStore(t, store)
	var free atomic.Uint64
	free.Store(10 << 20)
	store.SetFree(func(string) (uint64, error) { return free.Load(), nil })
	put(t, store, "a", "1")

	free.Store(1<<20 - 1)
	if err := store.Health(); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Health() = %v, want ErrFull", err)
	}
	var b storage.Batch
	b.Put([]byte("b"), []byte("2"))
	for range 3 {
		err := store.Apply(&b)
		if !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), "free some room") {
			t.Errorf("Apply() = %v, want ErrFull that says what to do", err)
		}
	}
	requireContents(t, store, map[string]string{"a": "1"})

	free.Store(10 << 20)
	if err := store.Apply(&b); err != nil {
		t.Errorf("Apply() after room was made = %v", err)
	}
	if err := store.Health(); err != nil {
		t.Errorf("Health() after room was made = %v", err)
	}
	requireContents(t, store, map[string]string{"a": "1", "b": "2"})
}

// The system is not asked before every batch, but long before what was written
// since could have used the reserve up.
func TestFullDiskIsNoticedWithinFewBatches(t *testing.T) {
	opts := quiet(t.TempDir())
	opts.ReserveBytes = 64 << 20
	store := open(t, opts)
	defer closeStore(t, store)
	asked, free := 0, uint64(1<<30)
	store.SetFree(func(string) (uint64, error) { asked++; return free, nil })
	value := strings.Repeat("x", 64<<10)
	put(t, store, "a", value) // the budget from Open may last for some
	for range 200 {
		put(t, store, "a", value)
	}
	if asked == 0 || asked > 20 {
		t.Errorf("asked %d times for the room that 200 batches of 64 KiB need", asked)
	}
	free = opts.ReserveBytes - 1
	written := 0
	var b storage.Batch
	b.Put([]byte("a"), []byte(value))
	for store.Apply(&b) == nil {
		if written += len(b.Bytes()); written > 8<<20 {
			t.Fatal("8 MiB went into the reserve")
		}
	}
}

func TestRoomCannotBeAsked(t *testing.T) {
	store := open(t, badger.Options{Dir: t.TempDir()})
	defer closeStore(t, store)
	store.SetFree(func(string) (uint64, error) { return 0, syscall.EIO })
	if err := store.Health(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Health() = %v, want what the system said", err)
	}
}

func TestOpenOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	put(t, store, "a", "1")
	closeStore(t, store)
	before := fingerprint(t, dir)
	opts := quiet(dir)
	opts.ReserveBytes = 1 << 60
	if _, err := badger.Open(opts); !errors.Is(err, storage.ErrFull) || !strings.Contains(err.Error(), "in reserve") {
		t.Errorf("Open() = %v, want ErrFull", err)
	}
	requireUntouched(t, dir, before)
}

func TestReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	put(t, store, "a", "1")
	closeStore(t, store)
	mountReadOnly(t, dir)
	before := fingerprint(t, dir)
	for _, dir := range []string{dir, filepath.Join(dir, "new")} {
		if _, err := badger.Open(quiet(dir)); !errors.Is(err, storage.ErrReadOnly) {
			t.Errorf("Open(%q) = %v, want ErrReadOnly", dir, err)
		}
	}
	requireUntouched(t, dir, before)
}

// mountReadOnly makes dir read-only, also for root if the system lets it.
func mountReadOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if err := os.Chmod(filepath.Join(dir, "OWNER"), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
		return
	}
	bindReadOnly(t, dir)
}
