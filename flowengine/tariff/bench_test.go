package tariff

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// manyRows makes a file of n rows of sms: prefixes of 7 digits, two prices each.
func manyRows(n int) []byte {
	b := []byte(header)
	for i := range n {
		b = fmt.Appendf(b, "sms,outbound,%d,EUR,0.%04d,,,,2026-0%d-01\n", 3_850_000+i/2, i%10_000, 1+i%2)
	}
	return b
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			data := manyRows(n)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var table *Table
			for b.Loop() {
				var err error
				if table, err = Parse(File{"t.csv", data}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(held(&table))/float64(n), "held-B/row")
		})
	}
}

// held is how much memory is free once the table is dropped.
func held(t **Table) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(*t)
	*t = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(before.HeapAlloc) - int64(after.HeapAlloc)
}

// BenchmarkLookup shows that the number of rows matters for the caches alone.
func BenchmarkLookup(b *testing.B) {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, n := range []int{1_000, 1_000_000} {
		table := mustParse(b, string(manyRows(n-1))+"email,outbound,example.com,EUR,1,,,,2026-01-01\n")
		for _, tc := range []struct{ name, channel, to string }{{"number", SMS, "385000012345"}, {"domain", Email, "ana@Example.com"}} {
			b.Run(fmt.Sprintf("rows=%d/%s", n, tc.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := table.Lookup(tc.channel, Outbound, tc.to, at); !ok {
						b.Fatal("not found")
					}
				}
			})
		}
	}
}

// A lookup and a price don't allocate.
func TestLookupAllocatesNothing(t *testing.T) {
	table := mustParse(t, example)
	at := day(5, 1)
	if n := testing.AllocsPerRun(100, func() {
		table.Lookup(SMS, Outbound, "+385917654321", at)
		table.Lookup(Email, Outbound, "Ana@Example.COM", at)
		table.Message(SMS, Outbound, "385917654321", 3, at)
		table.Call(Outbound, "385917654321", true, time.Minute, at)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
