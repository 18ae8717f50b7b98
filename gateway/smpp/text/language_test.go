package text

import (
	"strings"
	"testing"
	"unicode"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
)

func languages() []Language {
	all := make([]Language, 0, len(languageNames))
	for l := Default; l <= Urdu; l++ {
		all = append(all, l)
	}
	return all
}

// Each septet of each table is decoded to its character, and the character is
// encoded to that septet: both ways, for all 27 tables.
func TestTablesRoundTrip(t *testing.T) {
	for _, l := range languages() {
		t.Run(l.String(), func(t *testing.T) {
			if l == Default || hasLocking(l) {
				for septet, char := range locking(l).chars {
					if char == 0 {
						continue
					}
					checkSeptet(t, locking(l), septet, char)
					checkDecoded(t, l, Default, []byte{byte(septet)}, char)
				}
			}
			if l == Default || hasSingle(l) {
				for septet, char := range single(l).chars {
					if char == 0 {
						continue
					}
					checkSeptet(t, single(l), septet, char)
					checkDecoded(t, Default, l, []byte{escape, byte(septet)}, char)
				}
			}
		})
	}
}

// checkSeptet allows for the two characters that the Indic and Urdu single shift tables
// have twice: the first septet counts.
func checkSeptet(t *testing.T, table *table, septet int, char uint16) {
	t.Helper()
	want := septet
	if char == '*' && septet == 0x18 && table.chars[0x0b] == '*' {
		want = 0x0b
	}
	if char == '¡' && septet == 0x15 && table.chars[0x13] == '¡' {
		want = 0x13
	}
	if got := table.septet(rune(char)); int(got) != want {
		t.Errorf("%U is at 0x%02X but is encoded as 0x%02X", char, septet, got)
	}
}

func checkDecoded(t *testing.T, lock, shift Language, data []byte, char uint16) {
	t.Helper()
	if got := decode(codingDefault, lock, shift, data); got != string(rune(char)) {
		t.Errorf("% X decodes to %q, want %q", data, got, rune(char))
	}
}

func TestTablesHaveTheCharactersOfTheirScript(t *testing.T) {
	scripts := map[Language]*unicode.RangeTable{
		Bengali: unicode.Bengali, Gujarati: unicode.Gujarati, Hindi: unicode.Devanagari,
		Kannada: unicode.Kannada, Malayalam: unicode.Malayalam, Oriya: unicode.Oriya,
		Punjabi: unicode.Gurmukhi, Tamil: unicode.Tamil, Telugu: unicode.Telugu,
	}
	for l, script := range scripts {
		for _, table := range []*table{locking(l), single(l)} {
			for septet, char := range table.chars {
				r := rune(char)
				if r > 0x7ff && r != '€' && r != '।' && r != '॥' && !unicode.Is(script, r) &&
					!(r >= 0x951 && r <= 0x954) { // Vedic signs, used by several scripts
					t.Errorf("%v: 0x%02X is %U, of another script", l, septet, r)
				}
			}
		}
	}
}

// Sizes and places that the specification's tables have in common.
func TestTablesHaveTheCommonParts(t *testing.T) {
	for _, l := range languages() {
		if l == Default || hasLocking(l) {
			c := locking(l).chars
			if c['\n'] != '\n' || c['\r'] != '\r' || c[' '] != ' ' || c[escape] != 0 {
				t.Errorf("%v: locking table lacks LF, CR, SP or the escape at their places", l)
			}
			for _, r := range "0123456789abcdefghijklmnopqrstuvwxyz!?,.:;" {
				if locking(l).septet(r) == absent {
					t.Errorf("%v: locking table lacks %q", l, r)
				}
			}
		}
		if s := single(l).chars; s[0x14] != '^' || s[0x28] != '{' || s[0x29] != '}' || s[0x2f] != '\\' ||
			s[0x3c] != '[' || s[0x3d] != '~' || s[0x3e] != ']' || s[0x40] != '|' || s[0x65] != '€' {
			t.Errorf("%v: single table lacks a character of the default extension", l)
		}
	}
	for l, want := range map[Language][2]int{
		Default: {127, 10}, Turkish: {127, 17}, Portuguese: {127, 37}, Spanish: {127, 19}, Urdu: {127, 90},
	} {
		if got := [2]int{size(locking(l)), size(single(l))}; got != want {
			t.Errorf("%v: tables of %v characters, want %v", l, got, want)
		}
	}
}

func size(t *table) (n int) {
	for _, c := range t.chars {
		if c != 0 {
			n++
		}
	}
	return n
}

// Characters at places that are easy to get wrong.
func TestTablesAtKnownPlaces(t *testing.T) {
	for _, tc := range []struct {
		lock, shift Language
		data        string
		want        string
	}{
		{Default, Default, "\x09", "Ç"},
		{Default, Default, "\x1b\x0a", "\f"},
		{Turkish, Default, "\x04\x07\x0b\x0c\x1c\x1d\x40\x60", "€ıĞğŞşİç"},
		{Default, Turkish, "\x1b\x53\x1b\x73\x1b\x47\x1b\x67\x1b\x49\x1b\x69\x1b\x63", "ŞşĞğİıç"},
		{Default, Spanish, "\x1b\x41\x1b\x49\x1b\x4f\x1b\x55\x1b\x61\x1b\x69\x1b\x6f\x1b\x75\x1b\x09", "ÁÍÓÚáíóúç"},
		{Portuguese, Default, "\x04\x06\x07\x08\x09\x12\x15\x17\x18\x5b\x5c\x60\x7b\x7c\x7d", "êúíóçª∞\\€ÃÕ~ãõ`"},
		{Default, Portuguese, "\x1b\x05\x1b\x0b\x1b\x0c\x1b\x0e\x1b\x0f\x1b\x1f\x1b\x7f", "êÔôÁáÊâ"},
		{Hindi, Default, "\x28\x48\x2c\x13\x44\x5f\x60", ")ऴ,ओर्ॐ"},
		{Hindi, Hindi, "\x1b\x1c\x1b\x25\x1b\x41", "०९A"},
		{Kannada, Default, "\x24\x3d", "ಡಪ"},
		{Tamil, Tamil, "\x1b\x24\x1b\x25", "௮௯"},
		{Telugu, Telugu, "\x1b\x22\x1b\x23\x1b\x65", "౬౭€"},
		{Oriya, Default, "\x47", "ଳ"},
		{Default, Punjabi, "\x1b\x23", "੭"},
		{Urdu, Urdu, "\x00\x0f\x5b\x1b\x1c\x1b\x22", "اټے۰۶"},
	} {
		if got := decode(codingDefault, tc.lock, tc.shift, []byte(tc.data)); got != tc.want {
			t.Errorf("%v/%v: % X decodes to %q, want %q", tc.lock, tc.shift, tc.data, got, tc.want)
		}
	}
}

func TestUnknownLanguageIsTheDefault(t *testing.T) {
	for _, l := range []Language{14, 255} {
		if got := decode(codingDefault, l, l, []byte("\x00\x1b\x65")); got != "@€" || l.String() != "unknown" {
			t.Errorf("language %d (%v) decodes to %q", l, l, got)
		}
	}
	if got := decode(codingDefault, Spanish, Default, []byte{0}); got != "@" {
		t.Errorf("Spanish has no locking table, yet 0 decodes to %q", got)
	}
}

func TestDefaultAlphabetAgreesWithGoSMPP(t *testing.T) {
	for septet, char := range defaultLocking {
		if char == 0 {
			continue
		}
		checkOracle(t, rune(char), []byte{byte(septet)})
	}
	for septet, char := range defaultSingle {
		if char != 0 {
			checkOracle(t, rune(char), []byte{escape, byte(septet)})
		}
	}
}

func checkOracle(t *testing.T, r rune, data []byte) {
	t.Helper()
	if got := pdutext.GSM7(string(r)).Encode(); string(got) != string(data) {
		t.Errorf("go-smpp encodes %q as % X, we as % X", r, got, data)
	}
	if got := pdutext.GSM7(data).Decode(); string(got) != string(r) {
		t.Errorf("go-smpp decodes % X to %q, we to %q", data, got, r)
	}
}

func TestUCS2AgreesWithGoSMPP(t *testing.T) {
	s := "Žluťoučký кот 漢字 😀 \u200d ﷽"
	part, err := Segment(nil, s, 0, Options{})
	if err != nil || len(part) != 1 || part[0].Coding != codingUCS2 {
		t.Fatalf("Segment: %v, %v", part, err)
	}
	if want := pdutext.UCS2(s).Encode(); string(want) != string(part[0].Data) {
		t.Errorf("go-smpp encodes\n% X, we\n% X", want, part[0].Data)
	}
	if got := pdutext.UCS2(part[0].Data).Decode(); string(got) != s {
		t.Errorf("go-smpp decodes to %q", got)
	}
}

func TestLatin1AgreesWithUnicode(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var want strings.Builder
	for i := range 256 {
		want.WriteRune(rune(i))
	}
	for _, coding := range []byte{codingLatin1, codingOctets2, codingOctets} {
		if got, err := Decode(coding, GSM7, nil, all); err != nil || got != want.String() {
			t.Errorf("coding %d: %q, %v", coding, got, err)
		}
	}
}
