package runtime

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine"
)

func drawTime(t *rapid.T, label string) time.Time {
	ms := rapid.Int64Range(0, 1<<42).Draw(t, label)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// What is known of a flow's life comes back as it was stored.
func TestFlowRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &flowRecord{
			id: "f", state: flowengine.State(rapid.IntRange(1, 7).Draw(t, "state")), launched: drawTime(t, "launched"), removed: rapid.Bool().Draw(t, "removed"),
			until: drawTime(t, "until"), types: rapid.MapOf(rapid.StringN(1, 5, -1), rapid.SampledFrom([]string{"exit", "pause"})).Draw(t, "types"),
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "versions") {
			r.versions = append(r.versions, versionRecord{uint32(i + 1), []byte{byte(i + 1)}, drawTime(t, "published"), drawTime(t, "version until")})
		}
		got, err := decodeFlowRecord("f", r.encode())
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v became %+v, %v", r, got, err)
		}
	})
}

// When an element ran last is kept with the counters, and the latest of all counts (S4).
func TestTallyKeepsItsUse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := NewTally(), NewTally()
		first, second := drawTime(t, "first"), drawTime(t, "second")
		a.use(first)
		b.use(second)
		got, err := decodeTally(a.append(nil))
		if err != nil || !got.Used.Equal(first) {
			t.Fatalf("%v became %v, %v", first, got.Used, err)
		}
		got.Add(b)
		if want := first.Compare(second); want >= 0 && !got.Used.Equal(first) || want < 0 && !got.Used.Equal(second) {
			t.Fatalf("the latest of %v and %v is %v", first, second, got.Used)
		}
	})
}
