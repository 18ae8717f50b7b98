package badger_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	engine "github.com/dgraph-io/badger/v4"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// valueLogHeader is all that a value log ever holds.
const valueLogHeader = 20

func requireEmptyValueLog(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("value logs: %v, %v", paths, err)
	}
	for _, path := range paths {
		if n := used(t, path); n > valueLogHeader {
			t.Errorf("%s holds %d bytes", filepath.Base(path), n-valueLogHeader)
		}
	}
}

// The largest value stays in the tree, so there is no value log to collect.
func TestValueLogStaysEmpty(t *testing.T) {
	dir := t.TempDir()
	store := open(t, badger.Options{Dir: dir})
	random := rand.NewChaCha8([32]byte{})
	value := make([]byte, storage.MaxValueBytes)
	var b storage.Batch
	for n := range 12 {
		_, _ = random.Read(value)
		b.Reset()
		b.Put(fmt.Append(nil, n), value)
		b.Put(make([]byte, storage.MaxKeyBytes), value)
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	requireEmptyValueLog(t, dir)
	closeStore(t, store)
	requireEmptyValueLog(t, dir)
	store = open(t, badger.Options{Dir: dir})
	got, err := store.Get([]byte("11"), nil)
	if err != nil || string(got) != string(value) {
		t.Errorf("Get() = %d bytes, %v", len(got), err)
	}
	closeStore(t, store)
}

// small makes tables and levels so small that merging begins after 1 MiB.
func small(tune engine.Options) engine.Options {
	return tune.WithMemTableSize(1 << 20).WithValueThreshold(64 << 10).WithBaseTableSize(256 << 10).WithBaseLevelSize(1 << 20).
		WithNumLevelZeroTables(5).WithNumLevelZeroTablesStall(15)
}

// overwrite writes new values to the same 128 keys, 32 KiB in each of n batches.
func overwrite(t *testing.T, store storage.Store, n int) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 1<<10)
	var b storage.Batch
	for i := range n {
		b.Reset()
		for k := range 32 {
			_, _ = random.Read(value)
			b.Put(binary.BigEndian.AppendUint32(nil, uint32(i*32+k)%128), value)
		}
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
}

// What was overwritten goes away: the folder does not grow with the number of
// writes. An open snapshot keeps what it sees, and no more than that.
func TestOverwrittenVersionsAreDropped(t *testing.T) {
	const live = 128 << 10 // bytes in 128 values
	dir := t.TempDir()
	store, err := badger.OpenTuned(quiet(dir), small)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, store, 10)
	view, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	was := contents(t, view)
	overwrite(t, store, 400) // 13 MiB
	requireContents(t, view, was)
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, store, 400)
	want := contents(t, store)
	closeStore(t, store) // puts the memtable into a table

	if store, err = badger.OpenTuned(quiet(dir), small); err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, store)
	if err := store.Engine().Flatten(2); err != nil {
		t.Fatal(err)
	}
	stats, err := store.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.DiskBytes > 4*live {
		t.Errorf("%d KiB of tables hold %d KiB of data", stats.DiskBytes>>10, live>>10)
	}
	requireContents(t, store, want)
	requireEmptyValueLog(t, dir)
}

// Deleted entries go away as well, and leave nothing to scan over.
func TestDeletedEntriesAreDropped(t *testing.T) {
	dir := t.TempDir()
	store, err := badger.OpenTuned(quiet(dir), small)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, store, 300)
	var b storage.Batch
	for k := range uint32(128) {
		b.Delete(binary.BigEndian.AppendUint32(nil, k))
	}
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
	closeStore(t, store)
	if store, err = badger.OpenTuned(quiet(dir), small); err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, store)
	if err := store.Engine().Flatten(2); err != nil {
		t.Fatal(err)
	}
	requireContents(t, store, map[string]string{})
	if stats, err := store.Stats(); err != nil || stats.DiskBytes > 16<<10 {
		t.Errorf("an empty store has %d KiB of tables, %v", stats.DiskBytes>>10, err)
	}
}

// Being killed again and again leaves no logs behind.
func TestLogsDoNotPileUp(t *testing.T) {
	dir := t.TempDir()
	var counts []int
	for range 5 {
		process := startChild(t, roleWrite, dir)
		for lines := 0; lines < 10 && process.lines.Scan(); lines++ {
		}
		process.kill(t, func(string) {})
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, file := range files {
			if ext := filepath.Ext(file.Name()); ext == ".mem" || ext == ".vlog" {
				n++
			}
		}
		counts = append(counts, n)
	}
	if slices.Max(counts) > 5 {
		t.Errorf("logs after each crash: %v", counts)
	}
}

func TestStats(t *testing.T) {
	store := open(t, badger.Options{Dir: t.TempDir()})
	for range 3 {
		put(t, store, "a", "1")
	}
	store.SetFree(func(string) (uint64, error) { return 1 << 30, nil })
	stats, err := store.Stats()
	if err != nil || stats.Batches != 3 || stats.FreeBytes != 1<<30 || stats.Tables != 0 {
		t.Errorf("Stats() = %+v, %v", stats, err)
	}
	closeStore(t, store)
	if _, err := store.Stats(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Stats() of a closed store = %v", err)
	}
}
