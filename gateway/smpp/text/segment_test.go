package text

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"trunkline/gateway"
)

// M4, with the 16-bit reference's extra octet taken into account.
func TestParts(t *testing.T) {
	a, euro, zhe, face := "a", "€", "ж", "😀"
	type method = Method
	for _, tc := range []struct {
		name   string
		text   string
		want   int // parts with UDH8 and SAR
		want16 int // parts with UDH16
		coding byte
	}{
		{"empty", "", 1, 1, 0},
		{"160 septets", strings.Repeat(a, 160), 1, 1, 0},
		{"161 septets", strings.Repeat(a, 161), 2, 2, 0},
		{"304 septets", strings.Repeat(a, 304), 2, 2, 0},
		{"306 septets", strings.Repeat(a, 306), 2, 3, 0},
		{"307 septets", strings.Repeat(a, 307), 3, 3, 0},
		{"80 escaped characters", strings.Repeat(euro, 80), 1, 1, 0},
		{"81 escaped characters", strings.Repeat(euro, 81), 2, 2, 0},
		{"152 escaped characters: 76 to a part", strings.Repeat(euro, 152), 2, 2, 0},
		{"153 escaped characters: none is split", strings.Repeat(euro, 153), 3, 3, 0},
		{"70 units", strings.Repeat(zhe, 70), 1, 1, 8},
		{"71 units", strings.Repeat(zhe, 71), 2, 2, 8},
		{"132 units", strings.Repeat(zhe, 132), 2, 2, 8},
		{"134 units", strings.Repeat(zhe, 134), 2, 3, 8},
		{"135 units", strings.Repeat(zhe, 135), 3, 3, 8},
		{"35 pairs", strings.Repeat(face, 35), 1, 1, 8},
		{"36 pairs", strings.Repeat(face, 36), 2, 2, 8},
		{"66 pairs: 33 to a part", strings.Repeat(face, 66), 2, 2, 8},
		{"67 pairs: none is split", strings.Repeat(face, 67), 3, 3, 8},
		{"ç is not in the default alphabet", "ça", 1, 1, 8},
		{"Ç is", "Ça", 1, 1, 0},
	} {
		for m, want := range map[method]int{UDH8: tc.want, SAR: tc.want, UDH16: tc.want16, "": tc.want16, Payload: 1} {
			t.Run(tc.name+"/"+string(m), func(t *testing.T) {
				parts := segment(t, tc.text, Options{Method: m})
				if len(parts) != want || Count(tc.text, Options{Method: m}) != want || parts[0].Coding != tc.coding {
					t.Errorf("%d parts in coding %d, counted %d; want %d in coding %d",
						len(parts), parts[0].Coding, Count(tc.text, Options{Method: m}), want, tc.coding)
				}
			})
		}
	}
}

func segment(t testing.TB, s string, o Options) []Part {
	t.Helper()
	parts, err := Segment(nil, s, 0x1234, o)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestSegmentOnTheWire(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, tc := range []struct {
		name string
		text string
		o    Options
		want []Part
	}{
		{"alone", "a€@", Options{}, []Part{{Data: []byte("a\x1b\x65\x00"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"packed", "hellohello", Options{Alphabet: GSM7Packed}, []Part{{Data: []byte("\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"Latin-1", "ça", Options{Alphabet: Latin1}, []Part{{Data: []byte("\xe7a"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"Latin-1 has no euro", "€", Options{Alphabet: Latin1}, []Part{{Coding: 8, Data: []byte("\x20\xac"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"ASCII", "`a@", Options{Alphabet: ASCII}, []Part{{Data: []byte("`a@"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"ASCII has no ä", "ä", Options{Alphabet: ASCII}, []Part{{Coding: 8, Data: []byte("\x00\xe4"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"UTF-8", "ж€😀", Options{Alphabet: UTF8}, []Part{{Data: []byte("ж€😀"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"UCS-2", "ж😀", Options{}, []Part{{Coding: 8, Data: []byte("\x04\x36\xd8\x3d\xde\x00"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"invalid UTF-8", "a\xff\xfe", Options{}, []Part{{Coding: 8, Data: []byte("\x00a\xff\xfd"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"8-bit reference", long, Options{Method: UDH8}, []Part{
			{Header: []byte("\x05\x00\x03\x34\x02\x01"), Data: []byte(long[:153]), Ref: 0x34, Total: 2, Seq: 1},
			{Header: []byte("\x05\x00\x03\x34\x02\x02"), Data: []byte(long[153:]), Ref: 0x34, Total: 2, Seq: 2},
		}},
		{"16-bit reference", long, Options{Method: UDH16}, []Part{
			{Header: []byte("\x06\x08\x04\x12\x34\x02\x01"), Data: []byte(long[:152]), Ref: 0x1234, Total: 2, Seq: 1},
			{Header: []byte("\x06\x08\x04\x12\x34\x02\x02"), Data: []byte(long[152:]), Ref: 0x1234, Total: 2, Seq: 2},
		}},
		{"sar", long, Options{Method: SAR}, []Part{
			{Data: []byte(long[:153]), Ref: 0x1234, Total: 2, Seq: 1},
			{Data: []byte(long[153:]), Ref: 0x1234, Total: 2, Seq: 2},
		}},
		{"payload", long, Options{Method: Payload}, []Part{{Data: []byte(long), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"Turkish single shift", "çığ", Options{Languages: []Language{Turkish}}, []Part{
			{Header: []byte("\x03\x24\x01\x01"), Data: []byte("\x1b\x63\x1b\x69\x1b\x67"), Ref: 0x1234, Total: 1, Seq: 1},
		}},
		{"Hindi needs its locking table", "नमस्ते", Options{Languages: []Language{Turkish, Hindi}}, []Part{
			{Header: []byte("\x03\x25\x01\x06"), Data: []byte("\x2f\x42\x4c\x5f\x27\x59"), Ref: 0x1234, Total: 1, Seq: 1},
		}},
		{"and both for capitals", "नA", Options{Languages: []Language{Hindi}}, []Part{
			{Header: []byte("\x06\x24\x01\x06\x25\x01\x06"), Data: []byte("\x2f\x1b\x41"), Ref: 0x1234, Total: 1, Seq: 1},
		}},
		{"no national table without need", "a", Options{Languages: []Language{Hindi}}, []Part{{Data: []byte("a"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"no national table has it", "ж", Options{Languages: languages()}, []Part{{Coding: 8, Data: []byte("\x04\x36"), Ref: 0x1234, Total: 1, Seq: 1}}},
		{"a language nobody knows", "ж", Options{Languages: []Language{99}}, []Part{{Coding: 8, Data: []byte("\x04\x36"), Ref: 0x1234, Total: 1, Seq: 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := segment(t, tc.text, tc.o)
			if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", tc.want) {
				t.Errorf("got  %#v\nwant %#v", got, tc.want)
			}
		})
	}
}

func TestSegmentKeepsCharactersWhole(t *testing.T) {
	family := "👨\u200d👩\u200d👧" // 8 units
	for _, tc := range []struct {
		name, text string
		first      string // the first part's end
		parts      int
	}{
		{"combining mark", strings.Repeat("ж", 66) + "и\u0306" + strings.Repeat("ж", 10), "ж", 2},
		{"joined emoji", strings.Repeat("ж", 63) + family + "ж", "ж", 2},
		{"skin tone", strings.Repeat("ж", 65) + "👍🏽" + strings.Repeat("ж", 10), "ж", 2},
		{"not if it takes a further part", strings.Repeat("ж", 66) + "и\u0306" + strings.Repeat("ж", 66), "и", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parts := segment(t, tc.text, Options{Method: UDH8})
			first, err := Decode(parts[0].Coding, GSM7, parts[0].Header[1:], parts[0].Data)
			if err != nil || !strings.HasSuffix(first, tc.first) || len(parts) != tc.parts {
				t.Errorf("%d parts, the first is %q, %v", len(parts), first, err)
			}
		})
	}
}

func TestSegmentTooLong(t *testing.T) {
	for _, tc := range []struct {
		text string
		o    Options
	}{
		{strings.Repeat("a", 255*153+1), Options{Method: UDH8}},
		{strings.Repeat("a", 255*152+1), Options{Method: UDH16}},
		{strings.Repeat("ж", 255*67+1), Options{Method: SAR}},
		{strings.Repeat("a", 1<<16), Options{Method: Payload}},
		{strings.Repeat("ж", 1<<15), Options{Method: Payload}},
	} {
		kept := []Part{{Coding: 7}}
		got, err := Segment(kept, tc.text, 1, tc.o)
		if !errors.Is(err, ErrTooLong) || len(got) != 1 {
			t.Errorf("%s, %d octets: %d parts, %v", tc.o.Method, len(tc.text), len(got), err)
		}
		if tc.o.Method != Payload && Count(tc.text, tc.o) != 256 {
			t.Errorf("%s: Count = %d, want 256", tc.o.Method, Count(tc.text, tc.o))
		}
	}
	segment(t, strings.Repeat("a", 255*153), Options{Method: UDH8})
	segment(t, strings.Repeat("a", 1<<16-1), Options{Method: Payload})
	segment(t, strings.Repeat("a", 1<<16-1), Options{Method: Payload, Alphabet: UTF8})
}

// A final @ or CR in the last septet of a full octet would be read as padding.
func TestPackedTextThatLooksPadded(t *testing.T) {
	for _, text := range []string{"1234567@", "1234567\r"} {
		if p := segment(t, text, Options{Alphabet: GSM7Packed}); p[0].Coding != codingUCS2 {
			t.Errorf("%q goes out in coding %d, where it would lose its end", text, p[0].Coding)
		}
	}
}

func TestSegmentAppends(t *testing.T) {
	dst := make([]Part, 1, 8)
	got, err := Segment(dst, "a", 1, Options{})
	if err != nil || len(got) != 2 || &got[0] != &dst[0] {
		t.Errorf("%v, %v: want one part behind the one that was there", got, err)
	}
	got[1].Data = append(got[1].Data, "xyz"...) // must not reach into another part
	more := segment(t, strings.Repeat("a", 200), Options{})
	first := string(more[1].Header)
	_ = append(more[0].Data, "xyz"...)
	if string(more[1].Header) != first {
		t.Error("appending to a part changes the next one")
	}
}

func TestAllocations(t *testing.T) {
	gsm, wide := strings.Repeat("Hello, world! ", 20), strings.Repeat("Привет 😀 ", 20)
	dst := make([]Part, 0, 8)
	for _, s := range []string{gsm, wide} {
		if n := testing.AllocsPerRun(100, func() { Count(s, Options{}) }); n != 0 {
			t.Errorf("Count(%.10q…) allocates %v times", s, n)
		}
		if n := testing.AllocsPerRun(100, func() { dst, _ = Segment(dst[:0], s, 1, Options{}) }); n > 1 {
			t.Errorf("Segment(%.10q…) allocates %v times, want once", s, n)
		}
	}
}

var alphabets = []Alphabet{GSM7, GSM7Packed, Latin1, ASCII, UTF8, ""}

// roundTrip sends s and reads it again, part by part as canonical fragments.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string, ref uint16, o Options) {
	t.Helper()
	parts, err := Segment(nil, s, ref, o)
	if errors.Is(err, ErrTooLong) {
		return
	}
	if err != nil || len(parts) != Count(s, o) {
		t.Fatalf("%+v: %d parts, counted %d, %v", o, len(parts), Count(s, o), err)
	}
	fragments := make([]*gateway.Fragment, len(parts))
	for i, p := range parts {
		fragments[i] = received(t, p, i, len(parts), o)
	}
	got, err := Assemble(fragments)
	want := strings.ToValidUTF8(s, "\uFFFD")
	if strings.HasPrefix(want, "\uFFFE") {
		return // no character; read as the mark of the other octet order
	}
	if parts[0].Coding == codingUCS2 {
		want = strings.TrimPrefix(want, "\uFEFF") // read as an order mark
	}
	if err != nil || got != want {
		t.Fatalf("%+v\nsent %q\ngot  %q, %v", o, want, got, err)
	}
}

// received checks part i of n and turns it into what the receiver keeps.
func received(t interface {
	Helper()
	Fatalf(string, ...any)
}, p Part, i, n int, o Options) *gateway.Fragment {
	t.Helper()
	if int(p.Seq) != i+1 || int(p.Total) != n {
		t.Fatalf("part %d of %d says %d of %d", i+1, n, p.Seq, p.Total)
	}
	h := Header{}
	if p.Header != nil {
		var err error
		if h, _, err = ParseHeader(slices.Concat(p.Header, p.Data)); err != nil {
			t.Fatalf("header % X: %v", p.Header, err)
		}
	}
	if marked := n > 1 && o.Method != SAR; marked != h.Concat.OK ||
		marked && (h.Concat.Ref != p.Ref || h.Concat.Total != p.Total || h.Concat.Seq != p.Seq) {
		t.Fatalf("header % X does not fit %+v", p.Header, p)
	}
	if o.Method != Payload && len(p.Header)+len(p.Data) > 254 {
		t.Fatalf("%d octets do not fit into short_message", len(p.Header)+len(p.Data))
	}
	if exact := p.Coding == codingUCS2 || o.Alphabet == GSM7Packed || o.Alphabet == Latin1; exact && o.Method != Payload && len(p.Header)+len(p.Data) > userData {
		t.Fatalf("%d octets do not fit into a short message", len(p.Header)+len(p.Data))
	}
	coding, payload := Canonical(p.Coding, o.Alphabet, h.Raw, p.Data)
	return &gateway.Fragment{Ref: p.Ref, Total: p.Total, Seq: p.Seq, Coding: coding, Header: h.Raw, Payload: payload}
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom([]rune("abc @\r\n€^{}[]~|\\ÄÖñéΔ")), 0, 1000, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune("@€")), 0, 700, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune("नमस्ते तबलाA1?€")), 0, 700, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune("ж😀é\u0301\u200d👍🏽")), 0, 700, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune("çığşÇéêãõ")), 0, 500, -1),
		rapid.String(),
	)
}

func TestWhatIsSegmentedIsAssembled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, anyText().Draw(t, "text"), rapid.Uint16().Draw(t, "ref"), Options{
			Alphabet:  rapid.SampledFrom(alphabets).Draw(t, "alphabet"),
			Method:    rapid.SampledFrom([]Method{UDH8, UDH16, SAR, Payload, ""}).Draw(t, "method"),
			Languages: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Language { return Language(rapid.IntRange(0, 15).Draw(t, "language")) }), 0, 4).Draw(t, "languages"),
		})
	})
}

func FuzzSegmentAssemble(f *testing.F) {
	f.Add("Hello", uint16(1), uint8(0), uint8(0), uint8(0))
	f.Add(strings.Repeat("€@", 200), uint16(300), uint8(1), uint8(1), uint8(6))
	f.Add(strings.Repeat("й\u0306😀", 100), uint16(0), uint8(2), uint8(2), uint8(1))
	f.Add("\xff"+strings.Repeat("ç", 300), uint16(9), uint8(4), uint8(3), uint8(3))
	f.Fuzz(func(t *testing.T, s string, ref uint16, alphabet, method, language uint8) {
		methods := []Method{UDH8, UDH16, SAR, Payload}
		roundTrip(t, s, ref, Options{
			Alphabet:  alphabets[int(alphabet)%len(alphabets)],
			Method:    methods[int(method)%len(methods)],
			Languages: []Language{Language(language), Hindi},
		})
	})
}

func TestNationalTablesAreNeverWorseThanUCS2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyText().Draw(t, "text")
		if national, plain := Count(s, Options{Languages: languages()}), Count(s, Options{}); national > plain {
			t.Fatalf("%q: %d parts with national tables, %d without", s, national, plain)
		}
		if !utf8.ValidString(s) {
			t.Skip("covered elsewhere")
		}
	})
}

func BenchmarkSegment(b *testing.B) {
	for name, s := range benchmarkTexts {
		b.Run(name, func(b *testing.B) {
			dst := make([]Part, 0, 8)
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				dst, _ = Segment(dst[:0], s, 1, Options{})
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	for name, s := range benchmarkTexts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Count(s, Options{})
			}
		})
	}
}

var benchmarkTexts = map[string]string{
	"gsm7/1 part":  "Hello! Your code is 123456. It is valid for 10 minutes; never tell it to anybody.",
	"gsm7/3 parts": strings.Repeat("Hello, world! How are you? ", 16),
	"gsm7/accents": strings.Repeat("Grüße aus Köln, 5 €. ", 7),
	"ucs2/1 part":  "Ваш код 123456. Он действует 10 минут.",
	"ucs2/3 parts": strings.Repeat("Привет, мир! 😀 ", 12),
}
