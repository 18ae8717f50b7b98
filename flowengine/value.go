package flowengine

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the type of an attribute or variable. The numbers are stored.
type Type uint8

// The types.
const (
	Unset    Type = 0
	Text     Type = 1
	Whole    Type = 2 // whole number, int64
	Decimal  Type = 3 // exact, six decimal places
	Boolean  Type = 4
	Date     Type = 5 // calendar day
	DateTime Type = 6 // instant, milliseconds
	List     Type = 7 // texts, in order
)

var typeNames = map[Type]string{Text: "text", Whole: "whole_number", Decimal: "decimal", Boolean: "boolean", Date: "date", DateTime: "date_time", List: "list"}

// String gives the word used in configuration.
func (t Type) String() string { return typeNames[t] }

// TypeNamed is the inverse of String; Unset when there is no such type.
func TypeNamed(name string) Type {
	for t, n := range typeNames {
		if n == name {
			return t
		}
	}
	return Unset
}

// Limits of one value.
const (
	MaxText      = 4096 // characters of a text; bytes of a list in its stored form
	MaxListItems = 100
)

// scale is the number of units of a Decimal in one.
const scale = 1_000_000

// Value is one attribute value. The zero Value is unset.
//
// Num holds a Whole as it is, a Decimal in millionths, a Boolean as 0 or 1, a
// Date in days since 1970-01-01 and a DateTime in Unix milliseconds. Str holds a
// Text, and a List as a JSON array of strings in one canonical spelling, so that
// equal values are equal for ==.
type Value struct {
	Type Type
	Str  string
	Num  int64
}

// TextValue makes a text value.
func TextValue(s string) Value { return Value{Type: Text, Str: s} }

// WholeValue makes a whole number.
func WholeValue(n int64) Value { return Value{Type: Whole, Num: n} }

// BooleanValue makes a boolean.
func BooleanValue(b bool) Value {
	if b {
		return Value{Type: Boolean, Num: 1}
	}
	return Value{Type: Boolean}
}

// DateTimeValue makes an instant of millisecond precision.
func DateTimeValue(t time.Time) Value { return Value{Type: DateTime, Num: t.UnixMilli()} }

// DateValue makes the calendar day of t in its own zone.
func DateValue(t time.Time) Value {
	y, m, d := t.Date()
	return Value{Type: Date, Num: time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400}
}

// String writes the value as templates and the API show it.
func (v Value) String() string {
	switch v.Type {
	case Text, List:
		return v.Str
	case Whole:
		return strconv.FormatInt(v.Num, 10)
	case Decimal:
		return formatDecimal(v.Num)
	case Boolean:
		return strconv.FormatBool(v.Num != 0)
	case Date:
		return time.Unix(v.Num*86400, 0).UTC().Format(time.DateOnly)
	case DateTime:
		return time.UnixMilli(v.Num).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	return ""
}

// Any gives the value as expressions and templates compute with it: string,
// int64, float64, bool, time.Time in UTC or []string; nil when unset.
func (v Value) Any() any {
	switch v.Type {
	case Text:
		return v.Str
	case Whole:
		return v.Num
	case Decimal:
		return float64(v.Num) / scale
	case Boolean:
		return v.Num != 0
	case Date:
		return time.Unix(v.Num*86400, 0).UTC()
	case DateTime:
		return time.UnixMilli(v.Num).UTC()
	case List:
		return v.List()
	}
	return nil
}

// CoerceError says why a value does not fit a type.
type CoerceError struct {
	To    Type
	Given string // the offending value, shortened
	Why   string
}

func (e *CoerceError) Error() string {
	return fmt.Sprintf("%q is not a %s: %s", e.Given, e.To, e.Why)
}

// Coerce turns what an expression or a file gave (string, integers, float64,
// bool, time.Time, lists of them, Value, nil) into a value of type t (rule X7).
// An empty text, an empty list and nil give the unset value. A number in text
// may have a decimal comma where no point stands. A list in text is a JSON array,
// or its items with commas between them; anything else is a list of one.
func Coerce(x any, t Type) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Value{}, nil
	case Value:
		if x.Type == t || x.Type == Unset {
			return x, nil
		}
		return Coerce(x.Any(), t)
	case string:
		return coerceText(x, t)
	case []string:
		return coerceList(x, t)
	case []any:
		return coerceItems(x, t)
	case bool:
		if t == Boolean {
			return BooleanValue(x), nil
		}
		return coerceText(strconv.FormatBool(x), t)
	case int:
		return coerceInt(int64(x), t)
	case int64:
		return coerceInt(x, t)
	case float64:
		return coerceFloat(x, t)
	case time.Time:
		switch t {
		case Date:
			return DateValue(x), nil
		case DateTime:
			return DateTimeValue(x), nil
		case Text, List:
			return coerceText(x.Format(time.RFC3339), t)
		}
		return Value{}, &CoerceError{t, x.Format(time.RFC3339), "it is a point in time"}
	}
	return Value{}, &CoerceError{t, shorten(fmt.Sprint(x)), fmt.Sprintf("a %T has no such form", x)}
}

func coerceInt(n int64, t Type) (Value, error) {
	switch t {
	case Whole:
		return WholeValue(n), nil
	case Decimal:
		if n > math.MaxInt64/scale || n < math.MinInt64/scale {
			return Value{}, &CoerceError{t, strconv.FormatInt(n, 10), "it is too large"}
		}
		return Value{Type: Decimal, Num: n * scale}, nil
	case Text, List:
		return coerceText(strconv.FormatInt(n, 10), t)
	}
	return Value{}, &CoerceError{t, strconv.FormatInt(n, 10), "it is a number"}
}

func coerceFloat(f float64, t Type) (Value, error) {
	given := strconv.FormatFloat(f, 'f', -1, 64)
	switch t {
	case Whole:
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return Value{}, &CoerceError{t, given, "it is not whole"}
		}
		return WholeValue(int64(f)), nil
	case Decimal, Text:
		return coerceText(given, t)
	case List: // a decimal comma is no separator here
		return coerceList([]string{given}, t)
	}
	return Value{}, &CoerceError{t, given, "it is a number"}
}

func coerceText(s string, t Type) (Value, error) {
	if t == Text {
		switch {
		case len(s) > MaxText && utf8.RuneCountInString(s) > MaxText:
			return Value{}, &CoerceError{t, shorten(s), fmt.Sprintf("it is longer than %d characters", MaxText)}
		case !utf8.ValidString(s):
			return Value{}, &CoerceError{t, strings.ToValidUTF8(shorten(s), "�"), "it is not UTF-8"}
		}
		if s == "" {
			return Value{}, nil
		}
		return TextValue(s), nil
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return Value{}, nil
	}
	fail := func(why string) (Value, error) { return Value{}, &CoerceError{t, shorten(s), why} }
	switch t {
	case Whole:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fail("digits without a point are expected")
		}
		return WholeValue(n), nil
	case Decimal:
		n, err := parseDecimal(s)
		if err != nil {
			return fail(err.Error())
		}
		return Value{Type: Decimal, Num: n}, nil
	case Boolean:
		switch strings.ToLower(s) {
		case "true", "1":
			return BooleanValue(true), nil
		case "false", "0":
			return BooleanValue(false), nil
		}
		return fail("true or false is expected")
	case Date:
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return fail(noDay(s, "a day as YYYY-MM-DD is expected"))
		}
		return DateValue(d), nil
	case DateTime:
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return fail(noDay(s, "an instant as 2006-01-02T15:04:05Z is expected"))
		}
		return DateTimeValue(at), nil
	case List:
		items, err := parseList(s)
		if err != nil {
			return fail(err.Error())
		}
		return coerceList(items, t)
	}
	return fail("it has no type")
}

var dayForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:$|T)`)

// noDay says why a text is no date: one that the calendar does not have is
// something else than one in another form.
func noDay(s, expected string) string {
	m := dayForm.FindStringSubmatch(s)
	if m == nil {
		return expected
	}
	month, _ := strconv.Atoi(m[2]) // digits
	switch {
	case month < 1 || month > 12:
		return fmt.Sprintf("there is no month %s; %s", m[2], expected)
	case m[3] == "00":
		return "there is no day 00; " + expected
	}
	if _, err := time.Parse(time.DateOnly, m[1]+"-"+m[2]+"-"+m[3]); err != nil {
		return fmt.Sprintf("%s %s has no day %s", time.Month(month), m[1], m[3])
	}
	return expected
}

// parseDecimal reads a decimal number of at most six places into millionths, exactly.
func parseDecimal(s string) (int64, error) {
	if strings.Count(s, ",") == 1 && !strings.Contains(s, ".") {
		s = strings.Replace(s, ",", ".", 1)
	}
	body := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, frac, point := strings.Cut(body, ".")
	if whole == "" || (point && frac == "") || len(s)-len(body) > 1 {
		return 0, fmt.Errorf("a number such as 12.50 is expected")
	}
	if len(frac) > 6 {
		return 0, fmt.Errorf("at most six decimal places are kept")
	}
	digits := whole + frac + strings.Repeat("0", 6-len(frac))
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, fmt.Errorf("a number such as 12.50 is expected")
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("it is too large")
	}
	if s[0] == '-' {
		n = -n
	}
	return n, nil
}

func formatDecimal(n int64) string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -uint64(n)
	}
	s := fmt.Sprintf("%s%d.%06d", sign, u/scale, u%scale)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
