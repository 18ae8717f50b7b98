package receipt

import (
	"bytes"
	"math/big"
	"strconv"
	"strings"
)

// Form is how a carrier writes message ids in receipts.
type Form string

// The forms.
const (
	Auto        Form = "auto"        // as in responses, or decimal for hexadecimal, or the reverse
	Decimal     Form = "decimal"     // decimal, whether responses are or not
	Hexadecimal Form = "hexadecimal" // hexadecimal, whether responses are or not
	Text        Form = "text"        // exactly as in responses
)

// maxID is the longest message_id without its NUL (SMPP 3.4 §5.2.23).
const maxID = 64

// ResponseKey returns the key under which a message is kept whose response
// named id; empty when id is empty or longer than an id can be. Only Text keeps
// case, leading zeros, blanks at the ends and a 0x; the other forms share
// their keys, so the form may be changed while messages are under way.
//
// What stays ambiguous: a key does not say in which base the carrier counted.
// A receipt "16" may belong to the response "16" or, from a carrier that
// mixes bases, to "10"; [ReceiptKeys] puts the literal match first, which is
// wrong only when such a carrier has both under way. With Decimal or Hexadecimal one
// of the two readings falls away, with Text both. Ids that differ only in case
// or leading zeros meet in all forms but Text.
func ResponseKey(id []byte, f Form) string {
	if f == Text {
		return literal(id)
	}
	return normal(id)
}

// ReceiptKeys returns the keys under which the message may be kept that a
// receipt names id, the likeliest first: at most three, none for an id that no
// response can have.
func ReceiptKeys(id []byte, f Form) []string {
	if f == Text {
		return list(literal(id))
	}
	key := normal(id)
	keys := list(key)
	if key == "" {
		return nil
	}
	decimal, hexadecimal := digits(key)
	// Decimal in the receipt for hexadecimal in the response is what most
	// of those do that mix them, so it comes first.
	if decimal && f != Hexadecimal {
		keys = add(keys, convert(key, 10, 16))
	}
	if hexadecimal && f != Decimal {
		keys = add(keys, convert(key, 16, 10))
	}
	return keys
}

func list(key string) []string {
	if key == "" {
		return nil
	}
	return append(make([]string, 0, 3), key)
}

func add(keys []string, key string) []string {
	for _, k := range keys {
		if k == key {
			return keys
		}
	}
	return append(keys, key)
}

func literal(id []byte) string {
	if len(id) > maxID {
		return ""
	}
	return string(id)
}

// normal returns id in lower case, without padding, and, if it is a number in either
// base, without leading zeros.
func normal(id []byte) string {
	id = bytes.Trim(id, " \t\r\n\x00")
	if len(id) == 0 || len(id) > maxID {
		return ""
	}
	key := lower(id)
	number := strings.TrimPrefix(key, "0x")
	if _, hexadecimal := digits(number); !hexadecimal {
		return key
	}
	if number = strings.TrimLeft(number, "0"); number == "" {
		return "0"
	}
	return number
}

// lower folds ASCII alone: other octets of an id are no text.
func lower(id []byte) string {
	var buf [maxID]byte
	key := append(buf[:0], id...)
	for i, c := range key {
		if c >= 'A' && c <= 'Z' {
			key[i] = c - 'A' + 'a'
		}
	}
	return string(key)
}

// digits reports whether key has only decimal, and only hexadecimal digits.
func digits(key string) (decimal, hexadecimal bool) {
	if key == "" {
		return false, false
	}
	decimal = true
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'f':
			decimal = false
		default:
			return false, false
		}
	}
	return decimal, true
}

// convert rewrites a number of at most maxID digits in another base.
func convert(number string, from, to int) string {
	if v, err := strconv.ParseUint(number, from, 64); err == nil {
		return strconv.FormatUint(v, to)
	}
	v, ok := new(big.Int).SetString(number, from)
	if !ok {
		return number
	}
	return v.Text(to)
}
