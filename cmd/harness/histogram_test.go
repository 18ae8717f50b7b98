package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Every value lies in a bucket whose bound is at most 1 % above it.
func TestBucketBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		v := r.Uint64() >> (14 + r.UintN(50))
		i := bucketOf(v)
		if up := upperBound(i); up < v || float64(up) > float64(v)*1.01+1 {
			t.Fatalf("%d is in bucket %d, which ends at %d", v, i, up)
		}
		if i > 0 && upperBound(i-1) >= v {
			t.Fatalf("%d is in bucket %d, and fits into the one before", v, i)
		}
	}
	if i := bucketOf(1<<64 - 1); i != buckets-1 {
		t.Errorf("the largest value is in bucket %d", i)
	}
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Errorf("an empty histogram says %s", got)
	}
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]time.Duration, 50_000)
	for i := range all {
		all[i] = time.Duration(r.ExpFloat64() * float64(3*time.Millisecond))
		h.add(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[max(int(q*float64(len(all)))-1, 0)]
		if got := h.quantile(q); got < exact || float64(got) > 1.01*float64(exact)+1 {
			t.Errorf("quantile %g: got %s, want %s", q, got, exact)
		}
	}
}
