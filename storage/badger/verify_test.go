package badger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// twoTables returns an open store with two tables of some blocks.
func twoTables(t *testing.T) (store *badger.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, key := range []string{"a", "b"} {
		store = open(t, badger.Options{Dir: dir})
		big := strings.Repeat(key, 6000) // a block each
		put(t, store, key, big, key+"2", big, key+"3", big)
		closeStore(t, store)
	}
	store = open(t, badger.Options{Dir: dir})
	t.Cleanup(func() { _ = store.Close() })
	return store, dir
}

func tables(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("tables: %v, %v", paths, err)
	}
	return paths
}

func TestVerify(t *testing.T) {
	store, dir := twoTables(t)
	if err := store.Verify(t.Context()); err != nil {
		t.Errorf("Verify() of a sound store = %v", err)
	}
	path := tables(t, dir)[0]
	flip(t, path, 5, 1)
	err := store.Verify(t.Context())
	if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("Verify() = %v, want ErrCorrupt that names %s", err, path)
	}
	flip(t, path, 5, 1)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Verify(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify() when cancelled = %v", err)
	}
	closeStore(t, store)
	if err := store.Verify(t.Context()); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Verify() of a closed store = %v", err)
	}
}

// Damage that comes after the store was opened is found by the next check, and
// from then on Health says so. Batches are still taken: a restore is for people
// to decide.
func TestRunFindsLaterDamage(t *testing.T) {
	store, dir := twoTables(t)
	path := tables(t, dir)[1]
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- store.Run(ctx) }()
		time.Sleep(time.Hour)
		if err := store.Health(); err != nil {
			t.Errorf("Health() of a sound store = %v", err)
		}
		flip(t, path, 5, 1)
		time.Sleep(24 * time.Hour)
		if err := store.Health(); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("Health() a day after the damage = %v, want ErrCorrupt that names %s", err, path)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	put(t, store, "c", "3")
}

// That a check can't be made says nothing about the tables. A link that leads to
// itself opens for nobody, not even root.
func TestRunTriesAgainWhatItCouldNotCheck(t *testing.T) {
	store, dir := twoTables(t)
	path := tables(t, dir)[1]
	aside := filepath.Join(t.TempDir(), "table")
	synctest.Test(t, func(t *testing.T) {
		if err := errors.Join(os.Rename(path, aside), os.Symlink(path, path)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- store.Run(ctx) }()
		time.Sleep(30 * time.Minute)
		if err := store.Health(); err != nil {
			t.Errorf("Health() when a table could not be opened = %v", err)
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
		flip(t, path, 5, 1) // to see that it is checked again
		time.Sleep(time.Hour)
		if err := store.Health(); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Health() after an hour = %v, want ErrCorrupt", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestRunEndsWithTheStore(t *testing.T) {
	store, _ := twoTables(t)
	closeStore(t, store)
	if err := store.Run(t.Context()); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Run() of a closed store = %v, want ErrClosed", err)
	}
}

// What Open does not read itself because it would take too long is left to Run.
func TestOpenChecksTheNewestBlocksOnly(t *testing.T) {
	store, dir := twoTables(t)
	closeStore(t, store)
	opts := quiet(dir)
	opts.VerifyBytes = 1 // the newest table
	oldest, newest := tables(t, dir)[0], tables(t, dir)[1]

	flip(t, newest, 5, 1)
	if _, err := badger.Open(opts); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Open() with damage in the newest table = %v, want ErrCorrupt", err)
	}
	flip(t, newest, 5, 1)

	// The engine reads the last block of every table when it opens it.
	flip(t, oldest, lastBlock(t, oldest), 1)
	before := fingerprint(t, dir)
	if _, err := badger.Open(opts); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("Open() with damage in the last block of the oldest table = %v, want ErrCorrupt", err)
	}
	requireUntouched(t, dir, before)
	flip(t, oldest, lastBlock(t, oldest), 1)

	flip(t, oldest, 5, 1)
	store, err := badger.Open(opts)
	if err != nil {
		t.Fatalf("Open() with damage where it does not look = %v", err)
	}
	if err := store.Verify(t.Context()); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Verify() = %v, want ErrCorrupt", err)
	}
	// The engine takes the damaged block for one without the key; see Run.
	if value, err := store.Get([]byte("a"), nil); err == nil {
		t.Errorf("Get() from a damaged block = %.20q", value)
	}
	if value, err := store.Get([]byte("b"), nil); err != nil || len(value) != 6000 {
		t.Errorf("Get() from a sound table = %d bytes, %v", len(value), err)
	}
}

// lastBlock returns a place in the last block of a table: before the index, its
// length, its checksum, and the length of that.
func lastBlock(t *testing.T, path string) int64 {
	t.Helper()
	data := readFile(t, path)
	end := len(data) - 4
	end -= int(binary.BigEndian.Uint32([]byte(data[end:]))) + 4
	end -= int(binary.BigEndian.Uint32([]byte(data[end:])))
	return int64(end) - 10
}
