package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets of a histogram: each power of two is cut into subBuckets, so a
// quantile is at most 1/subBuckets too high.
const (
	subBits    = 7
	subBuckets = 1 << subBits
	buckets    = (64 - subBits) << subBits
)

// histogram counts durations without allocating. It may be used concurrently.
type histogram struct {
	counts [buckets]atomic.Uint64
	n      atomic.Uint64
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(uint64(max(d, 0)))].Add(1)
	h.n.Add(1)
}

// quantile returns a duration that a share q of all is not above.
func (h *histogram) quantile(q float64) time.Duration {
	n := h.n.Load()
	rank := uint64(q * float64(n))
	if rank < 1 {
		rank = 1
	}
	seen := uint64(0)
	for i := range h.counts {
		seen += h.counts[i].Load()
		if seen >= rank && seen > 0 {
			return time.Duration(upperBound(i))
		}
	}
	return 0
}

// bucketOf is exact below subBuckets; above, the bits behind the leading one
// choose the bucket.
func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	if shift >= 64-2*subBits { // beyond a month of nanoseconds: the last bucket
		return buckets - 1
	}
	return (shift+1)<<subBits + int(v>>shift) - subBuckets
}

// upperBound is the largest value of a bucket.
func upperBound(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	shift := i>>subBits - 1
	return (uint64(i&(subBuckets-1))+subBuckets+1)<<shift - 1
}
