package storage_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/storage"
)

func TestBatchKeepsOrderAndCopies(t *testing.T) {
	key, value := []byte("key"), []byte("value")
	var b storage.Batch
	b.Put(key, value)
	b.Delete(key)
	b.PutUntil(key, nil, time.Unix(1_800_000_000, 999))
	key[0], value[0] = 'X', 'X' // the batch must not notice

	want := []storage.Op{
		{Kind: storage.OpPut, Key: []byte("key"), Value: []byte("value")},
		{Kind: storage.OpDelete, Key: []byte("key")},
		{Kind: storage.OpPutUntil, Key: []byte("key"), Expires: 1_800_000_000},
	}
	requireOps(t, &b, want)
	if err := b.Check(); err != nil {
		t.Errorf("Check() = %v", err)
	}
	b.Reset()
	requireOps(t, &b, nil)
}

func TestBatchRefusesWhatIsOverTheLimits(t *testing.T) {
	tests := []struct {
		name string
		fill func(b *storage.Batch)
		want error
	}{
		{"largest key and value", func(b *storage.Batch) {
			b.Put(make([]byte, storage.MaxKeyBytes), make([]byte, storage.MaxValueBytes))
		}, nil},
		{"most operations", func(b *storage.Batch) {
			for range storage.MaxBatchOps {
				b.Delete([]byte("k"))
			}
		}, nil},
		{"empty key put", func(b *storage.Batch) { b.Put(nil, []byte("v")) }, storage.ErrInvalidKey},
		{"empty key deleted", func(b *storage.Batch) { b.Delete(nil) }, storage.ErrInvalidKey},
		{"key too long", func(b *storage.Batch) { b.Delete(make([]byte, storage.MaxKeyBytes+1)) }, storage.ErrTooLarge},
		{"value too long", func(b *storage.Batch) { b.Put([]byte("k"), make([]byte, storage.MaxValueBytes+1)) }, storage.ErrTooLarge},
		{"too many operations", func(b *storage.Batch) {
			for range storage.MaxBatchOps + 1 {
				b.Delete([]byte("k"))
			}
		}, storage.ErrTooLarge},
		{"too many bytes", func(b *storage.Batch) {
			for range storage.MaxBatchBytes / storage.MaxValueBytes {
				b.Put([]byte("k"), make([]byte, storage.MaxValueBytes))
			}
		}, storage.ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b storage.Batch
			test.fill(&b)
			if err := b.Check(); !errors.Is(err, test.want) {
				t.Errorf("Check() = %v, want %v", err, test.want)
			}
			b.Reset()
			if err := b.Check(); err != nil {
				t.Errorf("Check() after Reset = %v", err)
			}
		})
	}
}

func TestBatchEncodingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b storage.Batch
		var want []storage.Op
		for range rapid.IntRange(0, 20).Draw(t, "ops") {
			op := storage.Op{
				Kind: rapid.SampledFrom([]storage.OpKind{storage.OpPut, storage.OpPutUntil, storage.OpDelete}).Draw(t, "kind"),
				Key:  rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "key"),
			}
			if op.Kind != storage.OpDelete {
				op.Value = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value")
			}
			if op.Kind == storage.OpPutUntil {
				op.Expires = rapid.Int64Range(1, 1<<40).Draw(t, "expires")
			}
			b.Add(op)
			want = append(want, op)
		}
		var copied storage.Batch
		if err := copied.Load(b.Bytes()); err != nil {
			t.Fatalf("Load(Bytes()) = %v", err)
		}
		requireOps(t, &copied, want)
	})
}

func TestBatchReusesItsBuffer(t *testing.T) {
	var b storage.Batch
	key, value := []byte("00key"), make([]byte, 100)
	fill := func() {
		b.Reset()
		for range 200 {
			b.Put(key, value)
			b.Delete(key)
		}
		for op := range b.Ops() {
			if op.Kind == storage.OpDelete && op.Value != nil {
				t.Fatal("a delete has no value")
			}
		}
	}
	fill()
	if allocs := testing.AllocsPerRun(100, fill); allocs > 0 {
		t.Errorf("a warm batch allocates %v times", allocs)
	}
}

// FuzzBatchLoad: whatever the bytes, Load either refuses them or holds exactly
// them, in operations that can be applied.
func FuzzBatchLoad(f *testing.F) {
	var b storage.Batch
	b.Put([]byte("a"), []byte("1"))
	b.PutUntil([]byte("b"), []byte("2"), time.Unix(1_800_000_000, 0))
	b.Delete([]byte("c"))
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Add([]byte{1, 1, 'k', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var b storage.Batch
		if err := b.Load(data); err != nil {
			if b.Len() != 0 && !errors.Is(err, storage.ErrTooLarge) {
				t.Fatalf("refused with %v but holds %d operations", err, b.Len())
			}
			return
		}
		if !bytes.Equal(b.Bytes(), data) {
			t.Fatalf("Load changed the encoding")
		}
		n := 0
		var again storage.Batch
		for op := range b.Ops() {
			again.Add(op)
			n++
		}
		if n != b.Len() || again.Len() != n || again.Check() != nil {
			t.Fatalf("Len %d, iterated %d, check %v", b.Len(), n, again.Check())
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	var batch storage.Batch
	key, value := []byte("00r/welcome/0000000000000001"), make([]byte, 60)
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		for range 256 {
			batch.Put(key, value)
		}
		for range batch.Ops() {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/key")
}

func requireOps(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, b *storage.Batch, want []storage.Op) {
	t.Helper()
	got := slices.Collect(b.Ops())
	equal := slices.EqualFunc(got, want, func(a, b storage.Op) bool {
		return a.Kind == b.Kind && a.Expires == b.Expires && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	})
	if !equal || b.Len() != len(want) {
		t.Fatalf("batch of %d holds %v, want %v", b.Len(), got, want)
	}
}
