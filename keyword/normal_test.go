package keyword

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// K2
func TestNormal(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"already normal", "start now", "start now"},
		{"case", "StArT", "start"},
		{"spaces", "  start \t\r\n now  ", "start now"},
		{"only spaces", " \t\n ", ""},
		{"controls", "st\x00a\x7frt\x1b", "start"},
		{"a line break is a space", "stop\nit", "stop it"},
		{"a control between spaces", "a \x01 b", "a b"},
		{"next line, no-break and line separator", "a\u0085b\u00a0c\u2028d", "a b c d"},
		{"ideographic space", "　スタート　", "スタート"},
		{"full width", "ＳＴＡＲＴ１", "start1"},
		{"half-width katakana", "ｽﾀｰﾄ", "スタート"},
		{"ligature", "ﬁne", "fine"},
		{"sharp s", "STRAẞE straße", "strasse strasse"},
		{"final sigma", "ΣΟΦΟΣ", "σοφοσ"},
		{"composed and decomposed are equal", "POC\u030cNI", "počni"},
		{"diacritics count", "počni", "počni"},
		{"Turkish capital", "İ", "i̇"},
		{"joiner before a mark", "c\u200d\u030c", "č"},
		{"soft hyphen, byte order mark, zero-width space", "\ufeffst\u00adar\u200bt", "start"},
		{"bidirectional marks", "\u200f\u202bשלום\u202c\u200e", "שלום"},
		{"Hebrew points stay", "שָׁלוֹם", "שָׁלוֹם"},
		{"Arabic presentation forms", "ﻣﺮﺣﺒﺎ", "مرحبا"},
		{"Arabic", "\u200fابدأ ", "ابدأ"},
		{"emoji family", "👨\u200d👩\u200d👧", "👨👩👧"},
		{"variation selector", "❤\ufe0f", "❤"},
		{"keycap", "1\ufe0f\u20e3", "1\u20e3"},
		{"Devanagari joiner", "क\u094d\u200dष", "क\u094dष"},
		{"Cherokee capitals", "ᏣᎳᎩ", "ᏣᎳᎩ"},
		{"Cherokee small letters", "ꮳꮃꭹ", "ᏣᎳᎩ"},
		{"invalid UTF-8", "a\xffb", "a\ufffdb"},
		{"spacing diaeresis has a space in it", "a¨", "a \u0308"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := normal(tc.in); got != tc.want {
				t.Errorf("normal(%q) = %q (%+q), want %q (%+q)", tc.in, got, got, tc.want, tc.want)
			}
		})
	}
}

// K4
func TestFoldDiacritics(t *testing.T) {
	for in, want := range map[string]string{
		"počni":       "pocni",
		"čćžšđ":       "cczsd",
		"łódź":        "lodz",
		"smørrebrød":  "smorrebrod",
		"ısı":         "isi",
		"việt nam":    "viet nam",
		"שָׁלוֹם":     "שלום",
		"مَرْحَبًا":   "مرحبا",
		"أهلا":        "اهلا",
		"한국":          "한국",
		"\u0308":      "",
		"a \u0308 b":  "a b",
		"plain ascii": "plain ascii",
	} {
		if got := foldDiacritics(normal(in)); got != want {
			t.Errorf("foldDiacritics(%q) = %q (%+q), want %q", in, got, got, want)
		}
	}
}

// K2: no character survives that should not, and none changes the second time.
// Beyond plane 1 there are ideographs, which nothing changes, and selectors.
func TestNormalOfEveryCharacter(t *testing.T) {
	for r := rune(0); r < 0x1ffff; r++ {
		if !utf8.ValidRune(r) || unicode.Is(unicode.Unified_Ideograph, r) {
			continue
		}
		checkNormal(t, string(r))
		checkNormal(t, "a"+string(r)+"\u0301 b")
	}
}

func FuzzNormal(f *testing.F) {
	for _, s := range []string{
		"", "Start!", " a  b ", "POC\u030cNI", "c\u200d\u030c", "ΐ", "ᾳ\u0301", "\u037a", "¨", "👨\u200d👩\u200d👧", "\xff\xfe", "ﷺ",
		"q\u0345\u0301", "\u1100\u0301\u1161", strings.Repeat("\u0301", 80), "\u0f71\u0f72\u0f74",
	} {
		f.Add(s)
	}
	f.Fuzz(checkNormal)
}

// checkNormal holds the invariants of normalisation.
func checkNormal(t *testing.T, s string) {
	n := normal(s)
	if again := normal(n); again != n {
		t.Fatalf("normal(%+q) = %+q, and again %+q", s, n, again)
	}
	if len(n) > 18*len(s) { // most that NFKC makes of a character, UAX #15 §14.1
		t.Fatalf("%d octets became %d", len(s), len(n))
	}
	if !utf8.ValidString(n) || strings.Trim(n, " ") != n || strings.Contains(n, "  ") {
		t.Fatalf("normal(%+q) = %+q is not tidy", s, n)
	}
	for _, r := range n {
		if r != ' ' && visible(r) != r {
			t.Fatalf("normal(%+q) = %+q keeps %U", s, n, r)
		}
	}
	folded := foldDiacritics(n)
	if again := foldDiacritics(folded); again != folded {
		t.Fatalf("foldDiacritics(%+q) = %+q, and again %+q", n, folded, again)
	}
	if strings.Trim(folded, " ") != folded || strings.Contains(folded, "  ") {
		t.Fatalf("foldDiacritics(%+q) = %+q is not tidy", n, folded)
	}
}
