package keyword

import "strings"

// maxAddress bounds a number or sender in octets. The longest address that any
// channel carries is one of e-mail: 64 octets, "@", 255 octets (RFC 5321
// §4.5.3.1).
const maxAddress = 320

// Number normalises the address of a channel, so that equal ones are equal
// strings (rule K7). Of a phone number or short code the digits remain: an
// E.164 number without plus. Anything else, such as an alphanumeric sender, is
// only normalised like text and stays as it is written. What has nothing but
// separators is "". What is longer than 320 octets is cut.
//
// Trunk and dialling prefixes ("0", "00", "011") stay: they depend on a place
// that this package does not know.
func Number(s string) string {
	if len(s) <= maxAddress && isDigits(s) {
		return s
	}
	s = normal(clip(s, maxAddress))
	s = strings.TrimSuffix(clip(s, maxAddress), " ")
	if digits, ok := numeric(s); ok {
		return digits
	}
	return s
}

// numeric takes the digits from a number written with separators and a leading
// plus; ok is false when s has anything else.
func numeric(s string) (digits string, ok bool) {
	if rest, plus := strings.CutPrefix(s, "+"); plus && isDigits(rest) {
		return rest, true
	}
	b := make([]byte, 0, len(s))
	plus := false
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			b = append(b, byte(r))
		case r == '+' && !plus && len(b) == 0:
			plus = true
		case !isSeparator(r):
			return "", false
		}
	}
	return string(b), true
}

// isSeparator tells whether people write r between the digits of a number; the
// dashes are U+2010 to U+2015 and the minus sign.
func isSeparator(r rune) bool {
	return strings.ContainsRune(" -().\u2212/", r) || '\u2010' <= r && r <= '\u2015'
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
