package keyword

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// normal gives the form in which texts and keywords are compared (rule K2):
// NFKC, case-folded, without invisible characters, with single spaces inside
// and none at the ends.
//
// Two details go beyond the rule. Line breaks and tabs are controls (Cc), but
// count as the white space they are, so that "stop\nplease" has two words.
// Invisible characters go first and NFKC comes once more after folding; so a
// joiner between letter and accent does not keep them apart, and normalising
// twice is the same as once.
func normal(s string) string {
	if !isASCII(s) {
		return normalUnicode(s)
	}
	if isNormalASCII(s) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case isSpace(c):
			if len(b) > 0 && b[len(b)-1] != ' ' {
				b = append(b, ' ')
			}
		case c < ' ' || c == 0x7f:
		case 'A' <= c && c <= 'Z':
			b = append(b, c+('a'-'A'))
		default:
			b = append(b, c)
		}
	}
	return strings.TrimSuffix(string(b), " ")
}

func normalUnicode(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune { return lowerCherokee(visible(r)) }, s)
	s = norm.NFKC.String(s)
	s = cases.Fold().String(s)
	s = norm.NFKC.String(s)
	return collapse(s)
}

// lowerCherokee makes both cases of a Cherokee letter the lower one. Unicode
// folds them to the upper one, but cases.Fold of x/text v0.44 swaps them.
func lowerCherokee(r rune) rune {
	if '\u13a0' <= r && r <= '\u13f5' {
		return unicode.ToLower(r)
	}
	return r
}

// foldDiacritics takes the diacritics from a normal text (rule K4): all
// non-spacing marks, and the strokes and dots that Unicode does not decompose.
func foldDiacritics(s string) string {
	if isASCII(s) {
		return s
	}
	s = strings.Map(unmarked, norm.NFD.String(s))
	return collapse(norm.NFC.String(s))
}

func unmarked(r rune) rune {
	switch r {
	case 'đ':
		return 'd'
	case 'ħ':
		return 'h'
	case 'ı':
		return 'i'
	case 'ł':
		return 'l'
	case 'ø':
		return 'o'
	case 'ŧ':
		return 't'
	}
	if unicode.Is(unicode.Mn, r) {
		return -1
	}
	return r
}

// visible makes every White_Space a space and drops what has no look of its
// own: controls, format characters such as joiners and bidirectional marks, and
// variation selectors, which many phones add to emoji and others do not.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
		return -1
	}
	return r
}

// collapse makes one space of several and removes those at the ends.
func collapse(s string) string {
	s = strings.Trim(s, " ")
	if !strings.Contains(s, "  ") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != ' ' || s[i-1] != ' ' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// affix tells whether r may be stripped from the ends of a message (rule K3):
// punctuation or symbol, and the spaces between them.
func affix(r rune) bool { return r == ' ' || isAffix(r) }

func isAffix(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isNormalASCII(s string) bool {
	space := true // a space must not follow
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			if space {
				return false
			}
			space = true
			continue
		case c < ' ' || c == 0x7f || 'A' <= c && c <= 'Z':
			return false
		}
		space = false
	}
	return !space || s == ""
}

// isSpace tells whether an ASCII character is White_Space.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// clip shortens s to at most n octets without cutting a character in two.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
