package keyword

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// K7
func TestNumber(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"38591000001", "38591000001"},
		{"+38591000001", "38591000001"},
		{"+385 91 000 001", "38591000001"},
		{"+385 (91) 000-001", "38591000001"},
		{"(+385) 91.000.001", "38591000001"},
		{"+385/91\u2011000\u2013001", "38591000001"},
		{"\u202a+385\u00a091\u00a0000\u00a0001\u202c", "38591000001"},
		{"＋３８５９１", "38591"},
		{"0038591", "0038591"}, // a dialling prefix depends on the place
		{"60777", "60777"},
		{"60 777", "60777"},
		{"InfoBip", "infobip"},
		{" My Shop ", "my shop"},
		{"A-B.C (1)", "a-b.c (1)"},
		{"STRASSE", Number("straße")},
		{"*123#", "*123#"},
		{"Info@Example.COM", "info@example.com"},
		{"1+2", "1+2"},
		{"++1", "++1"},
		{"+", ""},
		{" - ", ""},
	} {
		if got := Number(tc.in); got != tc.want {
			t.Errorf("Number(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestNumberDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"38591000001", "+38591000001"} {
		if n := testing.AllocsPerRun(100, func() { _ = Number(s) }); n != 0 {
			t.Errorf("Number(%q) allocates %v times", s, n)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"+385 91 000 001", "InfoBip", "(0)", "+", "\u202a+1", "ﷺ", "\xff", strings.Repeat("9", 400), strings.Repeat("é ", 400), strings.Repeat("1", 319) + "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := Number(s)
		if again := Number(n); again != n {
			t.Fatalf("Number(%+q) = %+q, and again %+q", s, n, again)
		}
		if len(n) > maxAddress || !utf8.ValidString(n) {
			t.Fatalf("Number(%+q) = %+q has %d octets", s, n, len(n))
		}
		if len(s) <= maxAddress && isDigits(s) && n != s {
			t.Fatalf("Number(%q) = %q changes digits", s, n)
		}
	})
}
