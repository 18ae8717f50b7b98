package smpp

import (
	"strings"

	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/text"
)

const (
	addressOctets = 20 // source_addr and destination_addr without NUL (SMPP 3.4 §5.2.8)
	shortCode     = 8  // digits up to which a number is a short code: no E.164 number with country code is as short
)

// number appends an address to buf as the peer wants to see it, and returns
// what lies behind it for the next one. Where the configuration leaves type and
// plan open, digits are international, few digits are a code of the network's
// own, and anything else is alphanumeric. It fails when the address does not fit.
func number(buf []byte, s string, n Numbering, a text.Alphabet) (pdu.Address, []byte, bool) {
	digits := strings.TrimPrefix(s, "+")
	var out pdu.Address
	switch {
	case digits == "":
		digits = s
	case !allDigits(digits):
		out.TON, out.NPI = pdu.TONAlphanumeric, pdu.NPIUnknown
	case len(digits) <= shortCode && digits == s:
		out.TON, out.NPI = pdu.TONNetworkSpecific, pdu.NPIUnknown
	default:
		out.TON, out.NPI = pdu.TONInternational, pdu.NPIISDN
	}
	if n.TON != nil {
		out.TON = pdu.TON(*n.TON)
	}
	if n.NPI != nil {
		out.NPI = pdu.NPI(*n.NPI)
	}
	start := len(buf)
	if allDigits(digits) {
		buf = append(buf, digits...)
	} else {
		var ok bool
		if buf, ok = appendName(buf, s, a); !ok {
			return out, buf, false
		}
	}
	out.Addr = buf[start:len(buf):len(buf)]
	return out, buf, len(out.Addr) <= addressOctets
}

// appendName writes an alphanumeric sender in the carrier's default alphabet.
func appendName(buf []byte, s string, a text.Alphabet) ([]byte, bool) {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7E || strings.IndexByte("@$_`[]{}\\^~|", s[i]) >= 0 {
			return encodeName(buf, s, a)
		}
	}
	return append(buf, s...), true // letters that all alphabets share
}

func encodeName(buf []byte, s string, a text.Alphabet) ([]byte, bool) {
	if a == text.GSM7Packed {
		a = text.GSM7 // addresses are not packed
	}
	parts, err := text.Segment(nil, s, 0, text.Options{Alphabet: a})
	if err != nil || len(parts) != 1 || parts[0].Coding != 0 || strings.IndexByte(string(parts[0].Data), 0) >= 0 {
		return buf, false
	}
	return append(buf, parts[0].Data...), true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// plain returns an address of a peer as the core wants it: an international
// number in digits alone, a name in letters, anything else as written.
func plain(a pdu.Address, alphabet text.Alphabet) string {
	switch a.TON {
	case pdu.TONInternational:
		return international(string(a.Addr))
	case pdu.TONAlphanumeric:
		for _, b := range a.Addr {
			if b < 0x20 || b > 0x7E {
				if alphabet == text.GSM7Packed {
					alphabet = text.GSM7
				}
				if s, err := text.Decode(0, alphabet, nil, a.Addr); err == nil {
					return s
				}
			}
		}
	case pdu.TONUnknown:
		if s := string(a.Addr); strings.HasPrefix(s, "+") {
			return international(s)
		}
	}
	return string(a.Addr)
}

// international drops what says only that a number is international.
func international(s string) string {
	if digits := strings.TrimPrefix(s, "+"); allDigits(digits) {
		if digits == s {
			digits = strings.TrimPrefix(digits, "00") // no country code starts with 0
		}
		if digits != "" {
			return digits
		}
	}
	return s
}
