package tariff

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Money is a sum in millionths of a unit of some currency (rule C4).
type Money int64

// unit is one whole unit of a currency.
const unit Money = 1_000_000

const decimals = 6 // of a unit

// ErrOverflow says that a sum is beyond ±9.2·10¹² units of a currency.
var ErrOverflow = errors.New("the sum is too large")

// ParseMoney reads an exact decimal number with a point and at most six decimal
// places, such as 0.0123 or -4.
func ParseMoney(s string) (Money, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	switch {
	case !isDigits(whole) || point && !isDigits(fraction):
		return 0, fmt.Errorf("%q is not an amount: digits with a decimal point are expected, such as 0.0123", clip(s))
	case len(fraction) > decimals:
		return 0, fmt.Errorf("%q has more than %d decimal places", clip(s), decimals)
	}
	u, ok := appendDigits(0, whole)
	for i := 0; ok && i < decimals; i++ {
		digit := "0"
		if i < len(fraction) {
			digit = fraction[i : i+1]
		}
		u, ok = appendDigits(u, digit)
	}
	if !ok {
		return 0, fmt.Errorf("%q: %w", clip(s), ErrOverflow)
	}
	if negative {
		return -Money(u), nil
	}
	return Money(u), nil
}

// appendDigits writes decimal digits behind n; ok is false above the largest Money.
func appendDigits(n int64, digits string) (_ int64, ok bool) {
	for i := range len(digits) {
		d := int64(digits[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// String gives the exact amount in the shortest form that ParseMoney reads.
func (m Money) String() string { return string(m.appendTo(nil)) }

func (m Money) appendTo(b []byte) []byte {
	u := uint64(m)
	if m < 0 {
		b, u = append(b, '-'), -u
	}
	b = strconv.AppendUint(b, u/uint64(unit), 10)
	fraction := u % uint64(unit)
	if fraction == 0 {
		return b
	}
	b = append(b, '.')
	for place := uint64(unit) / 10; fraction > 0; place /= 10 {
		b = append(b, byte('0'+fraction/place))
		fraction %= place
	}
	return b
}

// MarshalText writes what String gives: a number in quotes keeps its digits in JSON.
func (m Money) MarshalText() ([]byte, error) { return m.appendTo(nil), nil }

// UnmarshalText reads what ParseMoney does.
func (m *Money) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMoney(string(text))
	return err
}

// Add gives m + n or ErrOverflow.
func (m Money) Add(n Money) (Money, error) {
	if sum := m + n; (sum > m) == (n > 0) {
		return sum, nil
	}
	return 0, fmt.Errorf("%v + %v: %w", m, n, ErrOverflow)
}

// Times gives m · n or ErrOverflow.
func (m Money) Times(n int64) (Money, error) {
	if p, ok := m.timesPer(n, 1); ok {
		return p, nil
	}
	return 0, fmt.Errorf("%v · %d: %w", m, n, ErrOverflow)
}

// timesPer gives m · n / per, with halves of a millionth rounded away from zero,
// which is up for all prices. per is above 0.
func (m Money) timesPer(n, per int64) (Money, bool) {
	high, low := bits.Mul64(magnitude(int64(m)), magnitude(n))
	low, carry := bits.Add64(low, uint64(per)/2, 0)
	high += carry
	if high >= uint64(per) { // the quotient has more than 64 bits
		return 0, false
	}
	quotient, _ := bits.Div64(high, low, uint64(per))
	if negative := (m < 0) != (n < 0); negative && quotient <= 1<<63 {
		return Money(-quotient), true
	}
	return Money(quotient), quotient <= math.MaxInt64
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Currency is a code of ISO 4217, three capital letters. The zero Currency is none.
type Currency [3]byte

// ParseCurrency reads a code such as EUR. It doesn't ask whether the code is
// assigned: that list changes more often than this program.
func ParseCurrency(s string) (Currency, error) {
	if len(s) != len(Currency{}) {
		return Currency{}, notACurrency(s)
	}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return Currency{}, notACurrency(s)
		}
	}
	return Currency([]byte(s)), nil
}

func notACurrency(s string) error {
	return fmt.Errorf("%q is not a currency: three capital letters of ISO 4217 are expected, such as EUR", clip(s))
}

// String gives the code; of none, "".
func (c Currency) String() string {
	if c == (Currency{}) {
		return ""
	}
	return string(c[:])
}

// MarshalText writes the code.
func (c Currency) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Currency) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*c = Currency{}
		return nil
	}
	*c, err = ParseCurrency(string(text))
	return err
}

// Amount is money of a currency.
type Amount struct {
	Money    Money    `json:"amount"`
	Currency Currency `json:"currency"`
}

// ParseAmount reads what String writes.
func ParseAmount(s string) (Amount, error) {
	number, code, ok := strings.Cut(s, " ")
	if !ok {
		return Amount{}, fmt.Errorf("%q is not an amount: a number, a space and a currency are expected, such as 0.0123 EUR", clip(s))
	}
	m, err := ParseMoney(number)
	if err != nil {
		return Amount{}, err
	}
	c, err := ParseCurrency(code)
	return Amount{m, c}, err
}

// String gives an amount as in 0.0123 EUR.
func (a Amount) String() string { return a.Money.String() + " " + a.Currency.String() }

// Add sums amounts of one currency; nothing is ever converted.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, fmt.Errorf("%v + %v: the currencies differ", a, b)
	}
	sum, err := a.Money.Add(b.Money)
	return Amount{sum, a.Currency}, err
}

// Totals sums up amounts currency by currency (rule C4).
type Totals map[Currency]Money

// Add counts an amount; after ErrOverflow the totals are as they were.
func (t Totals) Add(a Amount) error {
	sum, err := t[a.Currency].Add(a.Money)
	if err != nil {
		return err
	}
	t[a.Currency] = sum
	return nil
}

// Amounts gives the totals ordered by currency.
func (t Totals) Amounts() []Amount {
	all := make([]Amount, 0, len(t))
	for c, m := range t {
		all = append(all, Amount{m, c})
	}
	slices.SortFunc(all, func(a, b Amount) int { return cmp.Compare(a.Currency.String(), b.Currency.String()) })
	return all
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// clip keeps what errors repeat short.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
