package badger_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"trunkline/storage"
	"trunkline/storage/badger"
)

// BenchmarkRoundTrips applies what keyword round trips of new persons write, one
// batch of roundTripsPerBatch per iteration, and says what a million of them
// cost: CPU seconds of this process, merges in the background included, and bytes
// that reached the disk per byte that was put. CPU seconds can be compared on a
// busy machine too; give it some minutes of work, so that merges have come to
// their usual share: -benchtime=4000x is a million round trips.
func BenchmarkRoundTrips(b *testing.B) {
	store := open(b, badger.Options{Dir: b.TempDir()})
	defer closeStore(b, store)
	benchmarkRoundTrips(b, store)
}

const roundTripsPerBatch = 250

func benchmarkRoundTrips(b *testing.B, store *badger.Store) {
	var batch storage.Batch
	var put, most int64
	cpu, written := cpuTime(b), writtenBytes(b)
	b.ResetTimer()
	for n := range b.N {
		batch.Reset()
		for i := range roundTripsPerBatch {
			putRoundTrip(&batch, n, i)
			if _, err := store.Get(benchPerson(n, i), nil); err == nil {
				b.Fatal("a new person is known")
			}
		}
		put += int64(len(batch.Bytes()))
		if err := store.Apply(&batch); err != nil {
			b.Fatal(err)
		}
		if n%50 == 0 {
			most = max(most, ownBytes(b))
		}
	}
	b.StopTimer()
	million := 1e6 / float64(b.N*roundTripsPerBatch)
	b.ReportMetric((cpuTime(b)-cpu).Seconds()*million, "cpu-s/M")
	b.ReportMetric(float64(writtenBytes(b)-written)/float64(put), "write-amp")
	b.ReportMetric(float64(most>>20), "most-own-MB")
	b.ReportMetric(float64(put)/float64(b.N*roundTripsPerBatch), "B/trip")
}

// putRoundTrip puts the first step of round trip i of batch n, the second one of
// that of the batch before, and the third of that before it: 8 keys, 0.9 KB.
func putRoundTrip(batch *storage.Batch, n, i int) {
	until := time.Unix(2_000_000_000, 0)
	batch.Put(benchPerson(n, i), benchValue(n, i, 260))
	batch.Put(benchRow(n, i), benchValue(n, i, 150))
	batch.PutUntil(append(benchPerson(n, i), "l1"...), benchValue(n, i, 120), until)
	if n < 2 {
		return
	}
	batch.Delete(benchRow(n-1, i))
	batch.PutUntil(benchMessage(n-1, i), benchValue(n-1, i, 60), until)
	batch.Put(benchPerson(n-1, i), benchValue(n-1, i, 230))
	batch.PutUntil(append(benchPerson(n-1, i), "l2"...), benchValue(n-1, i, 40), until)
	batch.PutUntil(append(benchPerson(n-2, i), "l3"...), benchValue(n-2, i, 30), until)
}

var benchSeed = maphash.MakeSeed()

// benchShard is the shard of a person, followed by what spreads persons in it.
func benchShard(n, i int) []byte {
	sum := maphash.Comparable(benchSeed, [2]int{n, i})
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 40), 0, byte(sum)), sum)
}

func benchPerson(n, i int) []byte {
	key := benchShard(n, i)
	return append(append(key[:2:2], 'p'), append(key[2:], "123450"...)...)
}

func benchRow(n, i int) []byte {
	key := append(benchShard(n, i)[:2], 'o')
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(key, uint64(n)), uint64(i))
}

func benchMessage(n, i int) []byte {
	key := append(benchShard(n, i)[:2], "mcarrier\x00385980000000\x00"...)
	return strconv.AppendInt(key, int64(n*roundTripsPerBatch+i), 16)
}

// benchValue is a value that compresses about as well as records do.
func benchValue(n, i, size int) []byte {
	value := fmt.Appendf(nil, "%d;%d;", n*roundTripsPerBatch+i, maphash.Comparable(benchSeed, n^i))
	const text = "flow=any-keyword element=save version=1 Size 42 noted, thank you very much; "
	for len(value) < size {
		value = append(value, text[:min(len(text), size-len(value))]...)
		value = strconv.AppendUint(value, maphash.Comparable(benchSeed, len(value)^n*i), 36)
	}
	return value[:size]
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writtenBytes is what this process has sent to the disk, 0 where the system
// does not tell (proc(5), /proc/pid/io).
func writtenBytes(testing.TB) (n int64) {
	data, _ := os.ReadFile("/proc/self/io")
	if _, line, ok := bytes.Cut(data, []byte("\nwrite_bytes: ")); ok {
		_, _ = fmt.Sscan(string(line), &n)
	}
	return n
}

// ownBytes is the memory of this process that is backed by no file, 0 where the
// system does not tell (proc(5), /proc/pid/status).
func ownBytes(testing.TB) (n int64) {
	data, _ := os.ReadFile("/proc/self/status")
	if _, line, ok := bytes.Cut(data, []byte("\nRssAnon:")); ok {
		_, _ = fmt.Sscan(string(line), &n)
	}
	return n << 10
}
