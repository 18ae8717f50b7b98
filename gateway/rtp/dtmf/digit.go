// Package dtmf sends, receives and hears the digits of a telephone's keypad:
// as RFC 4733 events beside the sound, and in the sound itself. It knows
// payloads, timestamps and samples; packets, sockets and clocks are the
// session's.
package dtmf

// Digit is a key: 0-9, *, #, A-D, as the character itself.
type Digit byte

// keys in the order of their event codes (RFC 4733 §3.2).
const keys = "0123456789*#ABCD"

// ParseDigit returns the key of a character, also of a lower-case letter.
func ParseDigit(c byte) (Digit, bool) {
	if 'a' <= c && c <= 'd' {
		c -= 'a' - 'A'
	}
	d := Digit(c)
	_, ok := d.event()
	return d, ok
}

// event is the code of RFC 4733.
func (d Digit) event() (byte, bool) {
	for i := range len(keys) {
		if keys[i] == byte(d) {
			return byte(i), true
		}
	}
	return 0, false
}

// rows and columns of the keypad in Hz (ITU-T Q.23 §6).
var (
	rows    = [4]float64{697, 770, 852, 941}
	columns = [4]float64{1209, 1336, 1477, 1633}
	pad     = [4][4]Digit{{'1', '2', '3', 'A'}, {'4', '5', '6', 'B'}, {'7', '8', '9', 'C'}, {'*', '0', '#', 'D'}}
)

// Tones are the two frequencies of a key in Hz, or zeros for none.
func (d Digit) Tones() (low, high float64) {
	for r := range pad {
		for c, key := range pad[r] {
			if key == d {
				return rows[r], columns[c]
			}
		}
	}
	return 0, 0
}
