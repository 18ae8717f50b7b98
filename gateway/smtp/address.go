package smtp

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths in octets (RFC 5321 §4.5.3.1).
const (
	localMost  = 64
	domainMost = 255
	labelMost  = 63
)

// ValidAddress tells whether s is an address that mail can come from or go to:
// local@domain without anything around it. Other letters than ASCII are allowed
// (RFC 6531). What only a quoted local part may hold (spaces, controls, brackets)
// is not.
func ValidAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && validLocal(s[:at]) && validHost(s[at+1:])
}

func validLocal(s string) bool {
	if len(s) > localMost || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`()<>[]:;@\,"`, r)
	})
}

// validHost takes a domain, or an address in brackets (RFC 5321 §4.1.3).
func validHost(s string) bool {
	if inside, ok := strings.CutPrefix(s, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		if v6, is := strings.CutPrefix(inside, "IPv6:"); is {
			inside = v6
		}
		_, err := netip.ParseAddr(inside)
		return ok && err == nil
	}
	return validDomain(s)
}

func validDomain(s string) bool {
	if len(s) > domainMost || !utf8.ValidString(s) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > labelMost || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
				return false
			}
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
