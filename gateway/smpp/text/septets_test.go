package text

import (
	"bytes"
	"testing"

	"github.com/fiorix/go-smpp/smpp/encoding"
	"golang.org/x/text/transform"
)

func TestPack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		septets string
		fill    int
		want    string
	}{
		{"nothing", "", 0, ""},
		{"nothing behind a header", "", 1, ""},
		{"one", "1", 0, "\x31"},
		{"example of TS 23.038", "hellohello", 0, "\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"},
		{"eight in seven", "12345678", 0, "\x31\xd9\x8c\x56\xb3\xdd\x70"},
		{"seven need a filler", "1234567", 0, "\x31\xd9\x8c\x56\xb3\xdd\x1a"},
		{"one fill bit, as behind UDH8", "a", 1, "\xc2"},
		{"six fill bits", "ab", 6, "\x40\x58\x0c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := pack(nil, []byte(tc.septets), tc.fill)
			if string(got) != tc.want {
				t.Errorf("pack = % X, want % X", got, tc.want)
			}
			if back := unpack(nil, got, tc.fill); string(back) != tc.septets {
				t.Errorf("unpack = %q, want %q", back, tc.septets)
			}
		})
	}
}

func TestUnpackDropsZeroPadding(t *testing.T) {
	if got := unpack(nil, []byte("\x31\xd9\x8c\x56\xb3\xdd\x00"), 0); string(got) != "1234567" {
		t.Errorf("unpack = %q, want 1234567 without an @", got)
	}
}

func TestFillBits(t *testing.T) {
	for octets, want := range []int{0: 0, 1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1, 7: 0, 8: 6} {
		if got := fillBits(octets); got != want {
			t.Errorf("fillBits(%d) = %d, want %d", octets, got, want)
		}
	}
}

func TestPackAgreesWithGoSMPP(t *testing.T) {
	const s = "The quick brown fox jumps over the lazy dog"
	for n := 1; n <= len(s); n++ {
		want, _, err := transform.Bytes(encoding.GSM7(true).NewEncoder(), []byte(s[:n]))
		if err != nil {
			t.Fatal(err)
		}
		got := pack(nil, []byte(s[:n]), 0)
		if n%8 == 7 { // its filler, if any, is another one
			got, want = got[:len(got)-1], want[:len(want)-1]
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q\n we    % X\n they % X", s[:n], got, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("hellohello"), 0)
	f.Add([]byte("1234567"), 0)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, 3)
	f.Fuzz(func(t *testing.T, septets []byte, fill int) {
		fill = ((fill % 7) + 7) % 7
		for i := range septets {
			septets[i] &= 0x7f
		}
		n := len(septets)
		packed := pack(nil, septets, fill)
		if len(packed) != packedLen(n, fill) {
			t.Fatalf("%d septets behind %d bits take %d octets, want %d", n, fill, len(packed), packedLen(n, fill))
		}
		want := septets
		if n > 0 && looksFilled(n, fill, septets[n-1]) {
			want = septets[:n-1]
		}
		if got := unpack(nil, packed, fill); !bytes.Equal(got, want) {
			t.Fatalf("fill %d: % X became % X", fill, want, got)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"), 0)
	f.Add([]byte{0xff}, 6)
	f.Fuzz(func(t *testing.T, data []byte, fill int) {
		fill = ((fill % 7) + 7) % 7
		got := unpack(nil, data, fill)
		if len(got) > len(data)*8/7 {
			t.Fatalf("%d septets out of %d octets", len(got), len(data))
		}
		for _, s := range got {
			if s > 0x7f {
				t.Fatalf("septet 0x%02X", s)
			}
		}
	})
}
