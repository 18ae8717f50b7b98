package keyword

import "strings"

// CatchAll stands before the @ of a number that takes mail to every address of its
// domain.
const CatchAll = "*"

// CutMailbox splits an e-mail address, as Number writes it, at its last @; ok is
// false when a side is missing. Number has folded the case of both sides: our own
// addresses have none.
func CutMailbox(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 {
		return "", "", false
	}
	return address[:at], address[at+1:], true
}
