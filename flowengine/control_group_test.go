package flowengine

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"
	"testing"
)

// P5: the control group is a range of buckets of SHA-256 of control|person, and
// independent of splits.
func TestControlGroup(t *testing.T) {
	const people, size = 50_000, Share(500) // 5 %
	var held, branch, both int
	for i := range people {
		id := NewPersonID(Address{Phone, "38591" + strconv.Itoa(i)}, 0)
		sum := sha256.Sum256([]byte("control|" + id.String()))
		if want := Share(binary.BigEndian.Uint64(sum[:8]) % 10_000); controlBucket(id) != want {
			t.Fatalf("the bucket of %s is %d, not %d", id, controlBucket(id), want)
		}
		in, first := controlBucket(id) < size, bucket("s", "f", "e", id, 0) < 5000
		if in {
			held++
		}
		if first {
			branch++
		}
		if in && first {
			both++
		}
	}
	if off := math.Abs(float64(held) - 0.05*people); off > 4*math.Sqrt(people*0.05*0.95) {
		t.Errorf("%d of %d are held out", held, people)
	}
	expected := float64(held) * float64(branch) / people
	if off := math.Abs(float64(both) - expected); off > 4*math.Sqrt(expected) {
		t.Errorf("%d are held out and in the first branch; %.0f are expected of what is independent", both, expected)
	}
}
