package receipt

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysMeet(t *testing.T) {
	long := strings.Repeat("f", 64)
	const longDecimal = "115792089237316195423570985008687907853269984665640564039457584007913129639935"
	for _, tc := range []struct {
		name, response, receipt string
		forms                   string // forms in which they meet
	}{
		{"same", "12345678", "12345678", "auto decimal hexadecimal text"},
		{"leading zeros lost", "0012345678", "12345678", "auto decimal hexadecimal"},
		{"leading zeros added", "12345678", "0000012345678", "auto decimal hexadecimal"},
		{"other case", "00A1B2C3", "a1b2c3", "auto decimal hexadecimal"},
		{"padded", "12345678", "12345678  \x00", "auto decimal hexadecimal"},
		{"prefix", "0xA1B2C3", "a1b2c3", "auto decimal hexadecimal"},
		{"hexadecimal answered, decimal reported", "00A1B2C3", "10597059", "auto decimal"},
		{"hexadecimal without letters, decimal reported", "10", "16", "auto decimal"},
		{"hexadecimal answered, decimal with zeros", "a1b2c3", "0010597059", "auto decimal"},
		{"decimal answered, hexadecimal reported", "10597059", "00A1B2C3", "auto hexadecimal"},
		{"decimal answered, hexadecimal without letters", "16", "10", "auto hexadecimal"},
		{"64 bits", "ffffffffffffffff", "18446744073709551615", "auto decimal"},
		{"80 bits", "0190a1b2c3d4e5f60718", "7390349219988940130072", "auto decimal"},
		{"256 bits do not fit into decimal", long, longDecimal, ""},
		{"words", "Msg-1", "msg-1", "auto decimal hexadecimal"},
		{"UUID", "5F8D0D55-E2C1-4B7E-9F61-000000000001", "5f8d0d55-e2c1-4b7e-9f61-000000000001", "auto decimal hexadecimal"},
		{"zero", "000", "0", "auto decimal hexadecimal"},
		{"other id", "12345678", "12345679", ""},
		{"words keep their zeros", "0x-1", "x-1", ""},
		{"empty", "", "", ""},
		{"longer than an id can be", long + "f", long + "f", ""},
	} {
		for _, form := range []Form{Auto, Decimal, Hexadecimal, Text} {
			t.Run(tc.name+"/"+string(form), func(t *testing.T) {
				want := slices.Contains(strings.Fields(tc.forms), string(form))
				key, keys := ResponseKey([]byte(tc.response), form), ReceiptKeys([]byte(tc.receipt), form)
				if got := slices.Contains(keys, key); got != want {
					t.Errorf("response %q (key %q) and receipt %q (keys %q) meet: %v, want %v", tc.response, key, tc.receipt, keys, got, want)
				}
			})
		}
	}
}

func TestLiteralKeyComesFirst(t *testing.T) {
	for _, id := range []string{"16", "a0", "0012", "Msg-1", "7"} {
		if keys := ReceiptKeys([]byte(id), Auto); keys[0] != ResponseKey([]byte(id), Auto) {
			t.Errorf("receipt keys of %q are %q: the key of the same id in a response must come first", id, keys)
		}
	}
}

func TestSmallNumbersAreTheSameInBothBases(t *testing.T) {
	if keys := ReceiptKeys([]byte("7"), Auto); len(keys) != 1 {
		t.Errorf("keys of 7 are %q, want one", keys)
	}
}

func TestNumbersMeetInAnyBaseAndWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64().Draw(t, "id")
		write := func(name string) (string, string) {
			base := rapid.SampledFrom([]string{"decimal", "hexadecimal"}).Draw(t, name)
			width := rapid.IntRange(0, 30).Draw(t, name+" width")
			switch base {
			case "decimal":
				return fmt.Sprintf("%0*d", width, n), base
			default:
				s := fmt.Sprintf("%0*x", width, n)
				if rapid.Bool().Draw(t, name+" upper") {
					s = strings.ToUpper(s)
				}
				return s, base
			}
		}
		response, _ := write("response")
		receipt, base := write("receipt")
		for _, form := range []Form{Auto, Form(base)} {
			key, keys := ResponseKey([]byte(response), form), ReceiptKeys([]byte(receipt), form)
			if !slices.Contains(keys, key) {
				t.Fatalf("%s: response %q (key %q) and receipt %q (keys %q) do not meet", form, response, key, receipt, keys)
			}
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("00A1B2C3"))
	f.Add([]byte("0x"))
	f.Add([]byte(strings.Repeat("9", 64)))
	f.Add([]byte(" \x00"))
	f.Add(bytes.Repeat([]byte{0xcc}, 27)) // not UTF-8
	f.Fuzz(func(t *testing.T, id []byte) {
		for _, form := range []Form{Auto, Decimal, Hexadecimal, Text} {
			key, keys := ResponseKey(id, form), ReceiptKeys(id, form)
			if (key == "") != (len(keys) == 0) {
				t.Errorf("%s: response key %q but receipt keys %q", form, key, keys)
			}
			if key != "" && keys[0] != key {
				t.Errorf("%s: response key %q is not the first of %q", form, key, keys)
			}
			if len(keys) > 3 || slices.Contains(keys, "") {
				t.Errorf("%s: keys %q", form, keys)
			}
			for _, k := range keys {
				if len(k) > 80 {
					t.Errorf("%s: key of %d octets: %q", form, len(k), k)
				}
			}
		}
	})
}

func BenchmarkReceiptKeys(b *testing.B) {
	for _, id := range []string{"0012345678", "0190a1b2c3d4e5f60718", "5f8d0d55-e2c1-4b7e-9f61-000000000001"} {
		b.Run(id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ReceiptKeys([]byte(id), Auto)
			}
		})
	}
}
