package badger_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"trunkline/storage"
	"trunkline/storage/badger"
)

var testKey = []byte("0123456789abcdef")

// damageFixture is a store as a crash left it: two tables, and a log with
// fixtureBatches batches of two entries.
type damageFixture struct {
	dir  string
	key  []byte
	want map[string]string // what is in it
	last []string          // keys of the last batch in the log
}

const fixtureBatches = 8

func newDamageFixture(t testing.TB, key []byte) damageFixture {
	t.Helper()
	dir := t.TempDir()
	f := damageFixture{key: key, want: map[string]string{}}
	random := rand.New(rand.NewPCG(1, 1))
	add := func(store storage.Store, name string, batches, size int) {
		for n := range batches {
			var pairs []string
			f.last = f.last[:0]
			for i := range 2 {
				k := fmt.Sprintf("%s/%03d/%d", name, n, i)
				v := make([]byte, size)
				for j := range v {
					v[j] = byte(random.Uint32())
				}
				f.want[k] = string(v)
				f.last = append(f.last, k)
				pairs = append(pairs, k, string(v))
			}
			put(t, store, pairs...)
		}
	}
	for _, table := range []string{"table1", "table2"} {
		store := open(t, badger.Options{Dir: dir, EncryptionKey: key})
		add(store, table, 12, 1000)
		closeStore(t, store)
	}
	store := open(t, badger.Options{Dir: dir, EncryptionKey: key})
	add(store, "log", fixtureBatches, 200)
	f.dir = image(t, dir)
	closeStore(t, store)
	return f
}

func (f damageFixture) options(dir string) badger.Options {
	opts := quiet(dir)
	opts.EncryptionKey = f.key
	return opts
}

// path returns the only file of the fixture with that ending, or the newest.
func (f damageFixture) path(t testing.TB, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("the store has no %s", pattern)
	}
	return paths[len(paths)-1]
}

// used returns the length of a file without the zeros at its end.
func used(t testing.TB, path string) (n int64) {
	eachChunk(t, path, func(at int64, data []byte) {
		for i, b := range data {
			if b != 0 {
				n = at + int64(i) + 1
			}
		}
	})
	return n
}

func flip(t testing.TB, path string, at int64, bits byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var b [1]byte
	if _, err := file.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= bits
	if _, err := file.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

// Whatever is damaged, Open says which file, changes nothing, and opens the store
// with all its data once the file is as it was.
func TestDamageIsRefused(t *testing.T) {
	tests := []struct {
		name, file string
		at         func(used int64) int64 // the byte to flip; where to cut if cut is set
		cut        bool
		want       error
	}{
		{"table, first block", "*.sst", func(int64) int64 { return 10 }, false, storage.ErrCorrupt},
		{"table, middle", "*.sst", func(n int64) int64 { return n / 2 }, false, storage.ErrCorrupt},
		{"table, index", "*.sst", func(n int64) int64 { return n - 40 }, false, storage.ErrCorrupt},
		{"table, checksum of the index", "*.sst", func(n int64) int64 { return n - 6 }, false, storage.ErrCorrupt},
		{"table, footer", "*.sst", func(n int64) int64 { return n - 4 }, false, storage.ErrCorrupt},
		{"table, last byte", "*.sst", func(n int64) int64 { return n - 1 }, false, storage.ErrCorrupt},
		{"table cut", "*.sst", func(n int64) int64 { return n / 2 }, true, storage.ErrCorrupt},
		{"table cut to nothing", "*.sst", func(int64) int64 { return 0 }, true, storage.ErrCorrupt},
		{"manifest, magic", "MANIFEST", func(int64) int64 { return 0 }, false, storage.ErrCorrupt},
		{"manifest, version", "MANIFEST", func(int64) int64 { return 7 }, false, storage.ErrCorrupt},
		{"manifest, length of the first record", "MANIFEST", func(int64) int64 { return 11 }, false, storage.ErrCorrupt},
		{"manifest, middle", "MANIFEST", func(n int64) int64 { return n / 2 }, false, storage.ErrCorrupt},
		{"manifest, last byte", "MANIFEST", func(n int64) int64 { return n - 1 }, false, storage.ErrCorrupt},
		{"manifest cut in the magic", "MANIFEST", func(int64) int64 { return 5 }, true, storage.ErrCorrupt},
		{"log, number of the key", "*.mem", func(int64) int64 { return 7 }, false, storage.ErrCorrupt},
		{"log, first record", "*.mem", func(int64) int64 { return 22 }, false, storage.ErrCorrupt},
		{"log, middle", "*.mem", func(n int64) int64 { return n / 2 }, false, storage.ErrCorrupt},
		{"log cut in a batch", "*.mem", func(n int64) int64 { return n / 2 }, true, storage.ErrCorrupt},
		{"log cut in the header", "*.mem", func(int64) int64 { return 12 }, true, storage.ErrCorrupt},
		{"value log, number of the key", "*.vlog", func(int64) int64 { return 6 }, false, storage.ErrCorrupt},
		{"keys, the word that is known", "KEYREGISTRY", func(int64) int64 { return 20 }, false, storage.ErrKey},
		{"keys cut in the header", "KEYREGISTRY", func(int64) int64 { return 20 }, true, storage.ErrCorrupt},
		{"format", "FORMAT", func(int64) int64 { return 3 }, false, storage.ErrFormat},
	}
	f := newDamageFixture(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { requireRefused(t, f, test.file, test.at, test.cut, test.want) })
	}
}

// Where encryption makes a difference.
func TestDamageIsRefusedEncrypted(t *testing.T) {
	tests := []struct {
		name, file string
		at         func(used int64) int64
		cut        bool
		want       error
	}{
		{"table, middle", "*.sst", func(n int64) int64 { return n / 2 }, false, storage.ErrCorrupt},
		{"table, index", "*.sst", func(n int64) int64 { return n - 40 }, false, storage.ErrCorrupt},
		{"log, number of the key", "*.mem", func(int64) int64 { return 7 }, false, storage.ErrCorrupt},
		{"log, initial vector", "*.mem", func(int64) int64 { return 9 }, false, storage.ErrCorrupt},
		{"log, middle", "*.mem", func(n int64) int64 { return n / 2 }, false, storage.ErrCorrupt},
		{"keys, a key", "KEYREGISTRY", func(n int64) int64 { return n - 1 }, false, storage.ErrCorrupt},
		{"keys, length of a record", "KEYREGISTRY", func(int64) int64 { return 28 }, false, storage.ErrCorrupt},
		{"keys cut in a record", "KEYREGISTRY", func(n int64) int64 { return n - 1 }, true, storage.ErrCorrupt},
		{"keys cut behind the header", "KEYREGISTRY", func(int64) int64 { return 28 }, true, storage.ErrCorrupt},
	}
	f := newDamageFixture(t, testKey)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { requireRefused(t, f, test.file, test.at, test.cut, test.want) })
	}
}

func requireRefused(t *testing.T, f damageFixture, file string, at func(int64) int64, cut bool, want error) {
	dir := image(t, f.dir)
	path := f.path(t, dir, file)
	before := fingerprint(t, dir)
	place := at(used(t, path))
	if cut {
		if err := os.Truncate(path, place); err != nil {
			t.Fatal(err)
		}
	} else {
		flip(t, path, place, 1)
	}
	damaged := fingerprint(t, dir)
	store, err := badger.Open(f.options(dir))
	if err == nil {
		_ = store.Close()
		t.Fatal("Open() accepts it")
	}
	// A key registry without its key's data is noticed where the key is needed.
	named := strings.Contains(err.Error(), filepath.Base(path)) || strings.Contains(err.Error(), "Invalid datakey id")
	if !errors.Is(err, want) || !named || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open() = %v, want %v that names %s", err, want, filepath.Base(path))
	}
	requireUntouched(t, dir, damaged)
	if cut {
		return
	}
	flip(t, path, place, 1)
	requireUntouched(t, dir, before)
	if store, err = badger.Open(f.options(dir)); err != nil {
		t.Fatalf("Open() of what was put right = %v", err)
	}
	requireContents(t, store, f.want)
	closeStore(t, store)
}

func TestMissingFilesAreRefused(t *testing.T) {
	f := newDamageFixture(t, nil)
	for _, file := range []string{"MANIFEST", "KEYREGISTRY", "*.sst"} {
		t.Run(file, func(t *testing.T) {
			dir := image(t, f.dir)
			path := f.path(t, dir, file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			before := fingerprint(t, dir)
			_, err := badger.Open(f.options(dir))
			if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), path+" is missing") {
				t.Errorf("Open() = %v, want ErrCorrupt that names %s", err, path)
			}
			requireUntouched(t, dir, before)
		})
	}
}

// Any flipped bit of any file is either refused, with the folder as it was, or
// does no harm: every entry is there. Only the last batch of the log may be
// missing, since nothing tells that it had been written in full.
func TestAnyFlippedBitIsHarmlessOrRefused(t *testing.T) {
	const flips = 40
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			f := newDamageFixture(t, key)
			files, err := os.ReadDir(f.dir)
			if err != nil {
				t.Fatal(err)
			}
			withoutLast := maps.Clone(f.want)
			for _, key := range f.last {
				delete(withoutLast, key)
			}
			random := rand.New(rand.NewPCG(7, 7))
			dir, accepted := image(t, f.dir), 0
			for range flips {
				file := files[random.IntN(len(files))].Name()
				path := filepath.Join(dir, file)
				n := used(t, path)
				if file == "OWNER" || file == "LOCK" || n == 0 {
					continue
				}
				at, bit := random.Int64N(n), byte(1)<<random.IntN(8)
				before := fingerprint(t, dir)
				flip(t, path, at, bit)
				damaged := fingerprint(t, dir)
				store, err := badger.Open(f.options(dir))
				if err != nil {
					if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrKey) && !errors.Is(err, storage.ErrFormat) {
						t.Errorf("%s, byte %d: Open() = %v", file, at, err)
					}
					requireUntouched(t, dir, damaged)
					flip(t, path, at, bit)
					requireUntouched(t, dir, before)
					continue
				}
				accepted++
				if got := contents(t, store); !maps.Equal(got, f.want) && !maps.Equal(got, withoutLast) {
					t.Errorf("%s, byte %d, bits %08b: accepted, and %d of %d entries are there", file, at, bit, len(got), len(f.want))
				}
				closeStore(t, store)
				dir = image(t, f.dir)
			}
			if accepted == flips {
				t.Error("every flip was accepted: the test flips nothing that matters")
			}
		})
	}
}

// A crash can leave half of the batch that was under way, or a record of a table
// that was just being written. Neither had been acknowledged.
func TestTornTailsAreAccepted(t *testing.T) {
	f := newDamageFixture(t, nil)
	withoutLast := maps.Clone(f.want)
	for _, key := range f.last {
		delete(withoutLast, key)
	}
	t.Run("log", func(t *testing.T) {
		// From its last byte to where the last batch begins: 2 records of 200
		// bytes of value and their surroundings, and the end.
		for _, back := range []int64{1, 20, 60, 300, 450} {
			dir := image(t, f.dir)
			path := f.path(t, dir, "*.mem")
			size, end := fileSize(t, path), used(t, path)
			if err := errors.Join(os.Truncate(path, end-back), os.Truncate(path, size)); err != nil {
				t.Fatal(err)
			}
			store := open(t, f.options(dir))
			requireContents(t, store, withoutLast)
			put(t, store, "later", "1")
			closeStore(t, store)
		}
	})
	t.Run("manifest", func(t *testing.T) {
		for _, tail := range []int{1, 7, 8, 20} {
			dir := image(t, f.dir)
			record := binary.BigEndian.AppendUint32(nil, 30) // longer than what follows
			record = append(record, make([]byte, 20)...)
			appendTo(t, filepath.Join(dir, "MANIFEST"), record[:tail])
			store := open(t, f.options(dir))
			requireContents(t, store, f.want)
			closeStore(t, store)
		}
	})
	t.Run("table that no manifest names", func(t *testing.T) {
		dir := image(t, f.dir)
		writeFile(t, filepath.Join(dir, "000777.sst"), "half a tab")
		store := open(t, f.options(dir))
		requireContents(t, store, f.want)
		closeStore(t, store)
	})
	// The engine empties a log before it removes it.
	t.Run("log that was being removed", func(t *testing.T) {
		dir := image(t, f.dir)
		writeFile(t, filepath.Join(dir, "00000.mem"), "")
		writeFile(t, filepath.Join(dir, "000009.vlog"), "")
		store := open(t, f.options(dir))
		requireContents(t, store, f.want)
		closeStore(t, store)
	})
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func appendTo(t testing.TB, path string, data []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the disk can't read is an error and not the end of the process. A file
// that shrinks under its mapping raises the same signal.
func TestUnreadableFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, strings.Repeat("x", 1<<16))
	err := badger.Mapped(path, func(data []byte) error {
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
		return fmt.Errorf("read %q from a file that is empty", data[1<<15])
	})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("mapped() = %v, want EIO", err)
	}
}
