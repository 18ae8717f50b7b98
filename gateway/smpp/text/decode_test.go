package text

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"trunkline/gateway"
)

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name     string
		coding   byte
		alphabet Alphabet
		header   string
		data     string
		want     string
	}{
		{"default alphabet", 0, GSM7, "", "Hi\x00\x1b\x65", "Hi@€"},
		{"escape without effect", 0, GSM7, "", "\x1b\x41", "A"},
		{"escape twice", 0, GSM7, "", "\x1b\x1bA", " A"},
		{"escape at the end", 0, GSM7, "", "A\x1b", "A\uFFFD"},
		{"high octets are no septets", 0, GSM7, "", "A\x80\x1b\xff", "A\uFFFD\uFFFD"},
		{"packed", 0, GSM7Packed, "", "\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37", "hellohello"},
		{"packed behind a header", 0, GSM7Packed, "\x00\x03\x01\x02\x01", "\xc2", "a"},
		{"Latin-1 by default", 0, Latin1, "", "\xe7\x80", "ç\u0080"},
		{"ASCII by default", 0, ASCII, "", "a@\xe7", "a@\uFFFD"},
		{"UTF-8 by default", 0, UTF8, "", "ж\xff", "ж\uFFFD"},
		{"Turkish single shift", 0, GSM7, "\x24\x01\x01", "\x1b\x63", "ç"},
		{"Turkish locking shift", 0, GSM7, "\x25\x01\x01", "\x04", "€"},
		{"shifts do not touch other codings", 8, GSM7, "\x25\x01\x01", "\x00\x04", "\x04"},
		{"IA5", 1, GSM7, "", "a@\x80", "a@\uFFFD"},
		{"8-bit", 2, GSM7, "", "\x00\xff", "\x00ÿ"},
		{"Latin-1", 3, GSM7, "", "\xe7", "ç"},
		{"8-bit again", 4, GSM7, "", "\xff", "ÿ"},
		{"Shift-JIS", 5, GSM7, "", "\x83\x65\x83\x58\x83\x67", "テスト"},
		{"JIS with escapes", 5, GSM7, "", "\x1b$B%F%9%H\x1b(B", "テスト"},
		{"Cyrillic", 6, GSM7, "", "\xbf\xe0\xd8\xd2\xd5\xe2", "Привет"},
		{"Hebrew", 7, GSM7, "", "\xf9\xec\xe5\xed", "שלום"},
		{"UCS-2", 8, GSM7, "", "\x04\x36\xd8\x3d\xde\x00", "ж😀"},
		{"UCS-2 with a lone surrogate", 8, GSM7, "", "\xd8\x3d\x00A", "\uFFFDA"},
		{"UCS-2 cut short", 8, GSM7, "", "\x04\x36\xd8\x3d\xde", "ж\uFFFD\uFFFD"},
		{"UCS-2 with its order mark", 8, GSM7, "", "\xfe\xff\x04\x36", "ж"},
		{"UCS-2 in the wrong order, marked", 8, GSM7, "", "\xff\xfe\x36\x04", "ж"},
		{"ISO-2022-JP", 0x0a, GSM7, "", "\x1b$B%F\x1b(BA", "テA"},
		{"EUC for the extended set", 0x0d, GSM7, "", "\xa5\xc6", "テ"},
		{"Korean", 0x0e, GSM7, "", "\xbe\xc8\xb3\xe7", "안녕"},
		{"pictograms read as the air interface has them", 0x09, GSM7, "", "\x04\x36", "ж"},
		{"reserved by SMPP, UCS-2 on the air", 0x0b, GSM7, "", "\x04\x36", "ж"},
		{"reserved by both", 0x0f, GSM7, "", "\x00", "@"},
		{"class 0, default", 0x10, GSM7, "", "\x00", "@"},
		{"class 1, 8-bit", 0x15, GSM7, "", "\xff", "ÿ"},
		{"class 2, UCS-2", 0x1a, GSM7, "", "\x04\x36", "ж"},
		{"compressed is left alone", 0x20, GSM7, "", "\xff", "ÿ"},
		{"marked for deletion, UCS-2", 0x48, GSM7, "", "\x04\x36", "ж"},
		{"reserved group", 0x80, GSM7, "", "\x00", "@"},
		{"message waiting, discard", 0xc8, GSM7, "", "\x00", "@"},
		{"message waiting, store", 0xd8, GSM7, "", "\x00", "@"},
		{"message waiting, UCS-2", 0xe0, GSM7, "", "\x04\x36", "ж"},
		{"flash", 0xf0, GSM7, "", "\x00", "@"},
		{"flash at a Latin-1 carrier", 0xf0, Latin1, "", "\xe7", "ç"},
		{"class 2, 8-bit", 0xf6, GSM7, "", "\xff", "ÿ"},
		{"our own mark has no meaning on the wire", codingUTF8, GSM7, "", "\x00", "@"},
		{"nothing", 0, GSM7, "", "", ""},
		{"nothing packed behind a header", 0, GSM7Packed, "\x00\x03\x01\x02\x01", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var header []byte
			if tc.header != "" {
				header = []byte(tc.header)
			}
			got, err := Decode(tc.coding, tc.alphabet, header, []byte(tc.data))
			if err != nil || got != tc.want {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	if got, err := Decode(0, GSM7, []byte{0x24, 1}, []byte("\x1b\x65")); !errors.Is(err, ErrHeader) || got != "€" {
		t.Errorf("broken header: %q, %v, want the text all the same", got, err)
	}
	if got, err := Decode(0, GSM7, nil, make([]byte, maxOctets+1)); !errors.Is(err, ErrTooLong) || got != "" {
		t.Errorf("too long: %d octets, %v", len(got), err)
	}
}

func fragment(coding byte, header, payload string) *gateway.Fragment {
	return &gateway.Fragment{Coding: coding, Header: []byte(header), Payload: []byte(payload)}
}

func TestAssemble(t *testing.T) {
	var assembler gateway.Assembler = Assemble
	for _, tc := range []struct {
		name  string
		parts []*gateway.Fragment
		want  string
	}{
		{"one", []*gateway.Fragment{fragment(0, "", "a")}, "a"},
		{"escape over two parts", []*gateway.Fragment{fragment(0, "", "a\x1b"), fragment(0, "", "\x65b")}, "a€b"},
		{"pair over two parts", []*gateway.Fragment{fragment(8, "", "\xd8\x3d"), fragment(8, "", "\xde\x00")}, "😀"},
		{"pair over three parts, one empty", []*gateway.Fragment{fragment(8, "", "\xd8\x3d"), fragment(8, "", ""), fragment(8, "", "\xde\x00")}, "😀"},
		{"UTF-8 over two parts", []*gateway.Fragment{fragment(codingUTF8, "", "\xd0"), fragment(codingUTF8, "", "\xb6")}, "ж"},
		{"odd UCS-2 does not shift the next part", []*gateway.Fragment{fragment(8, "", "\x00a\x00"), fragment(8, "", "\x00b")}, "a\uFFFDb"},
		{"codings differ", []*gateway.Fragment{fragment(0, "", "\x00"), fragment(8, "", "\x04\x36"), fragment(3, "", "\xe7"), fragment(0, "", "\x00")}, "@жç@"},
		{"tables differ", []*gateway.Fragment{fragment(0, "\x25\x01\x01", "\x04"), fragment(0, "", "\x04")}, "€è"},
		{"missing in the middle", []*gateway.Fragment{fragment(0, "", "a"), nil, fragment(0, "", "b")}, "a…b"},
		{"missing at both ends", []*gateway.Fragment{nil, nil, fragment(0, "", "b"), nil}, "…b…"},
		{"escape before a gap", []*gateway.Fragment{fragment(0, "", "a\x1b"), nil, fragment(0, "", "\x65")}, "a\uFFFD…e"},
		{"broken header", []*gateway.Fragment{fragment(0, "\x24", "a"), fragment(0, "", "b")}, "ab"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := assembler(tc.parts); err != nil || got != tc.want {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestAssembleRefuses(t *testing.T) {
	for _, parts := range [][]*gateway.Fragment{nil, {nil, nil}} {
		if _, err := Assemble(parts); !errors.Is(err, ErrNoParts) {
			t.Errorf("%d parts: %v, want ErrNoParts", len(parts), err)
		}
	}
	if _, err := Assemble(make([]*gateway.Fragment, 256)); err == nil {
		t.Error("256 parts are assembled")
	}
	big := fragment(0, "", strings.Repeat("a", maxAssembled/2+1))
	if _, err := Assemble([]*gateway.Fragment{big, big}); !errors.Is(err, ErrTooLong) {
		t.Errorf("too many octets: %v, want ErrTooLong", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(0), uint8(0), []byte("\x24\x01\x01"), []byte("\x1b\x63"))
	f.Add(byte(8), uint8(1), []byte(nil), []byte("\xd8\x3d\xde"))
	f.Add(byte(0xf0), uint8(1), []byte{0, 3, 1, 2, 1}, []byte("\xc2"))
	f.Add(byte(5), uint8(2), []byte{}, []byte("\x1b$B%F"))
	f.Fuzz(func(t *testing.T, coding byte, alphabet uint8, header, data []byte) {
		a := alphabets[int(alphabet)%len(alphabets)]
		got, err := Decode(coding, a, header, data)
		if err != nil && !errors.Is(err, ErrHeader) && !errors.Is(err, ErrTooLong) {
			t.Fatal(err)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
		if len(got) > 4*len(data)+4 {
			t.Fatalf("%d octets out of %d", len(got), len(data))
		}
		if errors.Is(err, ErrTooLong) {
			return
		}
		canonical, payload := Canonical(coding, a, header, data)
		joined, err := Assemble([]*gateway.Fragment{{Coding: canonical, Header: header, Payload: payload}})
		if err != nil || joined != got {
			t.Fatalf("alone %q, as the only part %q, %v", got, joined, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, s := range benchmarkTexts {
		p := segment(b, s, Options{Method: Payload})[0]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p.Data)))
			for b.Loop() {
				_, _ = Decode(p.Coding, GSM7, nil, p.Data)
			}
		})
	}
}
