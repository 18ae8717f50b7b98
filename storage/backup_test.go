package storage_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trunkline/storage"
	"trunkline/storage/memory"
)

var update = flag.Bool("update", false, "write golden files")

// filled returns a store with n small entries, one in seven of which expires.
func filled(t testing.TB, n int) *memory.Store {
	t.Helper()
	store := memory.New()
	var b storage.Batch
	for i := range n {
		key, value := fmt.Appendf(nil, "\x00%crun/%06d", i%5, i), fmt.Appendf(nil, "state of %d", i)
		if i%7 == 0 {
			b.PutUntil(key, value, time.Unix(1<<33+int64(i), 0))
		} else {
			b.Put(key, value)
		}
		if b.Len() == 1000 || i == n-1 {
			if err := store.Apply(&b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	return store
}

func backup(t testing.TB, store storage.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := storage.Backup(context.Background(), store, &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entries returns the encoding of everything in the store.
func entries(t testing.TB, store storage.Store) [][]byte {
	t.Helper()
	view, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var all [][]byte
	err = view.Entries(nil, nil, func(op storage.Op) bool {
		var b storage.Batch
		b.Add(op)
		all = append(all, bytes.Clone(b.Bytes()))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func requireSame(t testing.TB, got, want storage.Store) {
	t.Helper()
	a, b := entries(t, got), entries(t, want)
	if !bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) {
		t.Errorf("%d entries were restored, differing from the %d in the original", len(a), len(b))
	}
}

func TestBackupRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 60_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			store, target := filled(t, n), memory.New()
			var out bytes.Buffer
			calls := 0
			saved, err := storage.Backup(context.Background(), store, &out, func(storage.Summary) { calls++ })
			if err != nil {
				t.Fatal(err)
			}
			if saved.Entries != uint64(n) || (calls == 0) != (n == 0) {
				t.Errorf("%d entries saved in %d blocks, want %d", saved.Entries, calls, n)
			}
			restored, err := storage.Restore(context.Background(), bytes.NewReader(out.Bytes()), target, nil)
			if err != nil || restored != saved {
				t.Errorf("Restore() = %+v, %v, want %+v", restored, err, saved)
			}
			requireSame(t, target, store)
			if again := backup(t, target); !bytes.Equal(again, out.Bytes()) {
				t.Error("a backup of the restored store differs from the one it came from")
			}
		})
	}
}

// Values of every size up to the largest, in blocks that overshoot their target.
func TestBackupOfBigValues(t *testing.T) {
	store, target := memory.New(), memory.New()
	random := make([]byte, storage.MaxValueBytes) // doesn't compress
	for i := range random {
		random[i] = byte(i * i >> 3 * 7)
	}
	for i := range 12 {
		var b storage.Batch
		b.Put(bytes.Repeat([]byte{byte(i + 1)}, storage.MaxKeyBytes), random[:storage.MaxValueBytes>>i])
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := storage.Restore(context.Background(), bytes.NewReader(backup(t, store)), target, nil); err != nil {
		t.Fatal(err)
	}
	requireSame(t, target, store)
}

func TestBackupIsOfOneMoment(t *testing.T) {
	store := filled(t, 60_000)
	before := store.Clone()
	var out bytes.Buffer
	_, err := storage.Backup(context.Background(), store, &out, func(storage.Summary) {
		var b storage.Batch
		b.Put([]byte("\x00"), []byte("new"))
		b.Put([]byte("\xff"), []byte("new"))
		if err := store.Apply(&b); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	target := memory.New()
	if _, err := storage.Restore(context.Background(), bytes.NewReader(out.Bytes()), target, nil); err != nil {
		t.Fatal(err)
	}
	requireSame(t, target, before)
}

func TestRestoreRefusesWhatIsNotEmpty(t *testing.T) {
	target := filled(t, 1)
	_, err := storage.Restore(context.Background(), bytes.NewReader(backup(t, filled(t, 10))), target, nil)
	if !errors.Is(err, storage.ErrNotEmpty) || target.Len() != 1 {
		t.Errorf("Restore() = %v into a store that now has %d entries, want ErrNotEmpty", err, target.Len())
	}
}

// A backup with any one byte changed is refused, and nothing is written.
func TestRestoreRefusesEveryFlippedByte(t *testing.T) {
	data := backup(t, filled(t, 25))
	for i := range data {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			broken := bytes.Clone(data)
			broken[i] ^= flip
			requireRefused(t, broken, fmt.Sprintf("byte %d of %d xor %#x", i, len(data), flip))
		}
	}
}

func TestRestoreRefusesEveryTruncation(t *testing.T) {
	data := backup(t, filled(t, 25))
	for n := range data {
		requireRefused(t, data[:n], fmt.Sprintf("cut off at %d of %d", n, len(data)))
	}
}

func TestRestoreRefusesForeignStreams(t *testing.T) {
	data := backup(t, filled(t, 60_000))
	header := data[:16]
	newer := bytes.Clone(data)
	newer[11]++
	tests := map[string]struct {
		data []byte
		want error
	}{
		"empty":               {nil, storage.ErrCorrupt},
		"text":                {[]byte("flow: birthday-offer\n"), storage.ErrFormat},
		"short text":          {[]byte("flow"), storage.ErrFormat},
		"two in one":          {append(bytes.Clone(data), data...), storage.ErrCorrupt},
		"trailing byte":       {append(bytes.Clone(data), 0), storage.ErrCorrupt},
		"a block left out":    {append(bytes.Clone(header), data[storage.SecondBlock(data):]...), storage.ErrCorrupt},
		"version and old sum": {newer, storage.ErrCorrupt},
		"newer version":       {storage.NewerVersion(data), storage.ErrFormat},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := requireRefused(t, test.data, name); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func requireRefused(t *testing.T, data []byte, what string) error {
	t.Helper()
	target := memory.New()
	_, err := storage.Restore(context.Background(), bytes.NewReader(data), target, nil)
	if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrFormat) {
		t.Errorf("%s: Restore() = %v, want ErrCorrupt or ErrFormat", what, err)
	}
	if target.Applied() != 0 {
		t.Errorf("%s: %d batches were written", what, target.Applied())
	}
	if _, verifyErr := storage.VerifyBackup(context.Background(), bytes.NewReader(data), nil); verifyErr == nil {
		t.Errorf("%s: VerifyBackup() found nothing", what)
	}
	return err
}

func TestBackupPassesErrorsOn(t *testing.T) {
	full := errors.New("disk is full")
	for _, room := range []int{0, 10, 100, 2000} {
		_, err := storage.Backup(context.Background(), filled(t, 1000), &limitedWriter{room, full}, nil)
		if !errors.Is(err, full) {
			t.Errorf("Backup() into %d bytes = %v", room, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	store := filled(t, 10)
	if _, err := storage.Backup(ctx, store, io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup() with a context that has ended = %v", err)
	}
	target := memory.New()
	if _, err := storage.Restore(ctx, bytes.NewReader(backup(t, store)), target, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Restore() with a context that has ended = %v", err)
	}
	target.FailNext(full)
	_, err := storage.Restore(context.Background(), bytes.NewReader(backup(t, store)), target, nil)
	if !errors.Is(err, full) {
		t.Errorf("Restore() into a store that fails = %v", err)
	}
}

type limitedWriter struct {
	room int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return w.room, w.err
	}
	w.room -= len(p)
	return len(p), nil
}

// A backup that an earlier version of the program wrote must stay readable.
func TestRestoreGolden(t *testing.T) {
	path := filepath.Join("testdata", "version1.backup")
	if *update {
		if err := os.WriteFile(path, backup(t, filled(t, 20)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	target := memory.New()
	if _, err := storage.Restore(context.Background(), file, target, nil); err != nil {
		t.Fatal(err)
	}
	requireSame(t, target, filled(t, 20))
}

// FuzzRestore: whatever the stream, the reader neither panics nor accepts
// something that a backup of the restored store would not hold.
func FuzzRestore(f *testing.F) {
	f.Add(backup(f, filled(f, 3)))
	f.Add(backup(f, memory.New()))
	f.Add(storage.NewerVersion(backup(f, memory.New())))
	f.Fuzz(func(t *testing.T, data []byte) {
		target := memory.New()
		done, err := storage.Restore(context.Background(), bytes.NewReader(data), target, nil)
		switch {
		case err != nil && target.Applied() != 0:
			t.Fatalf("refused with %v after writing", err)
		case err == nil && done.Entries != uint64(target.Len()):
			t.Fatalf("restored %d entries of %d", target.Len(), done.Entries)
		}
	})
}

func BenchmarkBackup(b *testing.B) {
	store := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		done, err := storage.Backup(context.Background(), store, io.Discard, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(done.Bytes))
	}
}

func BenchmarkVerifyBackup(b *testing.B) {
	data := backup(b, filled(b, 100_000))
	b.ReportAllocs()
	for b.Loop() {
		done, err := storage.VerifyBackup(context.Background(), bytes.NewReader(data), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(done.Bytes))
	}
}
