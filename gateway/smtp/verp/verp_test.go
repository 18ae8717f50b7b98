package verp

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var key = NewKey([]byte("a secret of the tests"))

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		local := key.Sign(id)
		if len(local) > 64 || len(local) != Length || strings.ToLower(local) != local || !Match(local) {
			t.Fatalf("the local part is %q", local)
		}
		for _, form := range []string{local, strings.ToUpper(local), strings.ToUpper(local[:20]) + local[20:]} {
			if got, ok := key.Parse(form); !ok || got != Reference(id) {
				t.Fatalf("%q names %q, %v", form, got, ok)
			}
		}
		if _, ok := NewKey([]byte("another secret")).Parse(local); ok {
			t.Fatal("another key proves it")
		}
	})
}

// A Message-ID leads to the same reference.
func TestFromMessageID(t *testing.T) {
	sum := sha256.Sum256([]byte("id")) // 20 octets of it, in base32hex
	left := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:20]))
	for _, s := range []string{left, strings.ToUpper(left)} {
		if got, ok := FromMessageID(s); !ok || got != Reference("id") {
			t.Errorf("%q names %q, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", left[1:], left + "0", strings.Repeat("z", 32), "2025.1@mail.b.example"} {
		if got, ok := FromMessageID(s); ok {
			t.Errorf("%q names %q", s, got)
		}
	}
}

// One changed letter, anywhere, and nothing is proved.
func TestForged(t *testing.T) {
	local := key.Sign("person/flow/1/element/2.3")
	for i := range local {
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567-=\x00" {
			forged := local[:i] + string(c) + local[i+1:]
			if _, ok := key.Parse(forged); ok != (forged == local) {
				t.Errorf("%q: %v", forged, ok)
			}
		}
	}
	for _, other := range []string{"", "b-", local[:len(local)-1], local + "a", "shop", "b" + local[1:] + "@example.com", strings.Repeat("ſ", 21)} {
		if _, ok := key.Parse(other); ok {
			t.Errorf("%q is taken for ours", other)
		}
	}
}

// What a version has sent out, the next one must know when it comes back.
func TestStable(t *testing.T) {
	const want = "b-uvqukjym42z35pi52ajlookisj4sffsemoxx4oml"
	if got := key.Sign("id"); got != want {
		t.Errorf("the local part is %q, not %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(key.Sign("x"))
	f.Add(strings.ToUpper(key.Sign("x")))
	f.Add("b-" + strings.Repeat("a", Length-2))
	f.Add("")
	f.Fuzz(func(t *testing.T, local string) {
		reference, ok := key.Parse(local)
		if !ok {
			return
		}
		if len(reference) != referenceLength || !strings.HasPrefix(strings.ToLower(local), prefix+reference) {
			t.Errorf("%q names %q", local, reference)
		}
	})
}
