package badger_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// BenchmarkApply applies batches of some sizes and, beside each, writes the same
// bytes to a file and syncs it: what the disk allows. An operation is about what
// a step of a run puts, a key of 20 bytes and a value of 250.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 64, 256, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			store := open(b, badger.Options{Dir: b.TempDir()})
			defer closeStore(b, store)
			file, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			if err != nil {
				b.Fatal(err)
			}
			defer file.Close()
			bytes := rand.NewChaCha8([32]byte{1})
			random := rand.New(bytes)
			value := make([]byte, 250)
			var batch storage.Batch
			var raw time.Duration
			for b.Loop() {
				b.StopTimer()
				batch.Reset()
				for range size {
					_, _ = bytes.Read(value)
					key := binary.BigEndian.AppendUint16(nil, uint16(random.IntN(256)))
					batch.Put(fmt.Appendf(key, "p/%016x", random.Uint64()), value)
				}
				start := time.Now()
				if _, err := file.Write(batch.Bytes()); err != nil {
					b.Fatal(err)
				}
				if err := file.Sync(); err != nil {
					b.Fatal(err)
				}
				raw += time.Since(start)
				b.StartTimer()
				if err := store.Apply(&batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ops/s")
			b.ReportMetric(b.Elapsed().Seconds()/raw.Seconds(), "times-raw-sync")
		})
	}
}

// BenchmarkScanAfterDeletes reads the head of a queue from whose front 200,000
// entries were deleted: from its prefix, over all of them, and from the cursor
// that a reader keeps.
func BenchmarkScanAfterDeletes(b *testing.B) {
	const entries, deleted, step = 200_100, 200_000, 1000
	store := open(b, badger.Options{Dir: b.TempDir()})
	defer closeStore(b, store)
	key := func(i int) []byte { return fmt.Appendf(nil, "\x00\x01t/%09d", i) }
	each := func(n int, op func(batch *storage.Batch, i int)) {
		var batch storage.Batch
		for from := 0; from < n; from += step {
			batch.Reset()
			for i := from; i < min(from+step, n); i++ {
				op(&batch, i)
			}
			if err := store.Apply(&batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	each(entries, func(batch *storage.Batch, i int) { batch.Put(key(i), []byte("due")) })
	each(deleted, func(batch *storage.Batch, i int) { batch.Delete(key(i)) })

	prefix := []byte("\x00\x01t/")
	starts := []struct {
		name string
		from []byte
	}{{"prefix", nil}, {"cursor", append(key(deleted-1), 0)}}
	for _, start := range starts {
		b.Run(start.name, func(b *testing.B) {
			for b.Loop() {
				found := 0
				err := store.Scan(prefix, start.from, func([]byte, []byte) bool { found++; return found < 10 })
				if err != nil || found != 10 {
					b.Fatalf("found %d of 10, %v", found, err)
				}
			}
		})
	}
}

// BenchmarkOpen opens and closes an empty store.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		closeStore(b, open(b, badger.Options{Dir: dir}))
	}
}
