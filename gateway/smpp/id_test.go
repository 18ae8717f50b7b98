package smpp

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/gateway/smpp/pdu"
)

func TestMessageID(t *testing.T) {
	ours := newIDKey("", &Carrier{Name: "a", SystemID: "a", Password: "secret"})
	other := newIDKey("", &Carrier{Name: "b", SystemID: "a", Password: "secret"})
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Range(1<<52, 1<<54-1).Draw(t, "v")
		want := pdu.RegisteredDelivery(rapid.IntRange(0, 3).Draw(t, "want"))
		id := ours.append(nil, v, want)
		if len(id) != idDigits || id[0] == '0' {
			t.Fatalf("id %s", id)
		}
		given, wanted, ok := ours.verify(id)
		if !ok || wanted != want || given.UnixMilli() != int64(v>>seqBits) {
			t.Fatalf("id %s of %d: %s %v", id, v, given, ok)
		}
		if _, _, ok := ours.verify(bytes.ToUpper(id)); !ok {
			t.Fatal("upper case is refused")
		}
		if _, _, ok := other.verify(id); ok {
			t.Fatal("another carrier's id passes")
		}
		i := rapid.IntRange(0, idDigits-1).Draw(t, "i")
		id[i] ^= 1 // a hexadecimal digit or, for 9 and a, another one or none
		if _, _, ok := ours.verify(id); ok {
			t.Fatalf("forged id %s passes", id)
		}
	})
	for _, bad := range []string{"", "1", "zzzzzzzzzzzzzzzzzzzz", "123456789012345678901"} {
		if _, _, ok := ours.verify([]byte(bad)); ok {
			t.Errorf("%q passes", bad)
		}
	}
}

// Ids are unique even when the clock stands still or steps back.
func TestMessageIDsAreUnique(t *testing.T) {
	var s idSource
	seen := make(map[uint64]bool)
	for i := range 20000 {
		now := noon.Add(-time.Duration(i/5000) * time.Second)
		v := s.next(now)
		if seen[v] {
			t.Fatalf("id %d twice", v)
		}
		seen[v] = true
	}
}

func BenchmarkMessageID(b *testing.B) {
	var s idSource
	k := newIDKey("", &Carrier{Name: "a"})
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = k.append(buf[:0], s.next(noon), pdu.ReceiptAlways)
	}
}
