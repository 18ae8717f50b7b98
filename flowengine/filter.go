package flowengine

import (
	"errors"
	"fmt"
	"html"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/osteele/tuesday"
)

// filter is one of the functions that templates can send a value through. A
// missing value stays missing through all of them but `default`: a text must
// not lose the fact that something is missing (strict variables).
type filter struct {
	min, max int // number of arguments
	apply    func(v any, args []any) (any, error)
	missing  bool // apply wants to see missing values
}

func (f filter) call(v any, args ...any) (any, error) {
	if v == nil && !f.missing {
		return nil, nil
	}
	if len(args) < f.min || len(args) > f.max {
		return nil, fmt.Errorf("it takes %s, not %d", f.arity(), len(args))
	}
	out, err := f.apply(v, args)
	if s, ok := out.(string); ok && len(s) > maxRendered {
		return nil, errTooLong
	}
	return out, err
}

func (f filter) arity() string {
	switch {
	case f.max == 0:
		return "no argument"
	case f.min == f.max && f.max == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.max)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

// filters are the filters of Liquid that make sense in a message.
var filters = map[string]filter{
	"default": {1, 1, func(v any, args []any) (any, error) {
		if v == nil || v == "" || v == false {
			return args[0], nil
		}
		return v, nil
	}, true},

	"append":         text1(func(s, arg string) string { return s + arg }),
	"prepend":        text1(func(s, arg string) string { return arg + s }),
	"remove":         text1(func(s, arg string) string { return strings.ReplaceAll(s, arg, "") }),
	"remove_first":   text1(func(s, arg string) string { return strings.Replace(s, arg, "", 1) }),
	"replace":        text2(replaceAll),
	"replace_first":  text2(func(s, from, to string) string { return strings.Replace(s, from, to, 1) }),
	"capitalize":     text(capitalize),
	"upcase":         text(strings.ToUpper),
	"downcase":       text(strings.ToLower),
	"strip":          text(strings.TrimSpace),
	"lstrip":         text(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
	"rstrip":         text(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
	"strip_newlines": text(func(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }),
	filterEscape:     text(html.EscapeString),
	filterRaw:        text(func(s string) string { return s }),
	"url_encode":     text(url.QueryEscape),
	filterKeep:       text(keepAsIs),
	"truncate":       {0, 2, truncate, false},
	"slice":          {1, 2, slice, false},
	"size":           {0, 0, size, false},

	"plus":       number1(func(a, b float64) (float64, error) { return a + b, nil }),
	"minus":      number1(func(a, b float64) (float64, error) { return a - b, nil }),
	"times":      number1(func(a, b float64) (float64, error) { return a * b, nil }),
	"divided_by": number1(divide),
	"modulo":     number1(modulo),
	"abs":        {0, 0, number(math.Abs), false},
	"ceil":       {0, 0, number(math.Ceil), false},
	"floor":      {0, 0, number(math.Floor), false},
	"round":      {0, 1, round, false},

	"date": {1, 1, date, false},
}

// filterKeep keeps URLs from being shortened.
const filterKeep = "no_shorten"

// Every value in the HTML of an e-mail goes through escape, unless it goes through
// raw: then it is HTML itself.
const (
	filterEscape = "escape"
	filterRaw    = "raw"
)

// replaceAll is bounded before it builds anything: one short text can be
// replaced by a long one very often.
func replaceAll(s, from, to string) string {
	if n := strings.Count(s, from); n*len(to) > maxRendered {
		return strings.Repeat(" ", maxRendered+1) // refused by filter.call
	}
	return strings.ReplaceAll(s, from, to)
}

func text(f func(string) string) filter {
	return filter{0, 0, func(v any, _ []any) (any, error) { return f(textOf(v)), nil }, false}
}

func text1(f func(s, arg string) string) filter {
	return filter{1, 1, func(v any, args []any) (any, error) { return f(textOf(v), textOf(args[0])), nil }, false}
}

func text2(f func(s, a, b string) string) filter {
	return filter{2, 2, func(v any, args []any) (any, error) {
		return f(textOf(v), textOf(args[0]), textOf(args[1])), nil
	}, false}
}

func number(f func(float64) float64) func(any, []any) (any, error) {
	return func(v any, _ []any) (any, error) {
		n, err := numberOf(v)
		return asDecimal(f(n), err)
	}
}

func number1(f func(a, b float64) (float64, error)) filter {
	return filter{1, 1, func(v any, args []any) (any, error) {
		a, err := numberOf(v)
		if err != nil {
			return nil, err
		}
		b, err := numberOf(args[0])
		if err != nil {
			return nil, err
		}
		return asDecimal(f(a, b))
	}, false}
}

func divide(a, b float64) (float64, error) {
	if b == 0 {
		return 0, errors.New("division by zero")
	}
	return a / b, nil
}

func modulo(a, b float64) (float64, error) {
	if b == 0 {
		return 0, errors.New("division by zero")
	}
	return math.Mod(a, b), nil
}

func round(v any, args []any) (any, error) {
	n, err := numberOf(v)
	places := 0.0
	if err == nil && len(args) == 1 {
		places, err = numberOf(args[0])
	}
	if err != nil {
		return nil, err
	}
	unit := math.Pow10(int(min(max(places, 0), 6)))
	return asDecimal(math.Round(n*unit)/unit, nil)
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// truncate cuts a text to a number of characters (50), the ellipsis ("...") included.
func truncate(v any, args []any) (any, error) {
	length, ellipsis := 50.0, "..."
	var err error
	if len(args) > 0 {
		if length, err = numberOf(args[0]); err != nil {
			return nil, err
		}
	}
	if len(args) > 1 {
		ellipsis = textOf(args[1])
	}
	s := []rune(textOf(v))
	if float64(len(s)) <= length {
		return string(s), nil
	}
	keep := max(0, int(length)-utf8.RuneCountInString(ellipsis))
	return string(s[:min(keep, len(s))]) + ellipsis, nil
}

// slice takes characters from an index, which counts from the end when negative.
func slice(v any, args []any) (any, error) {
	from, err := numberOf(args[0])
	count := 1.0
	if err == nil && len(args) > 1 {
		count, err = numberOf(args[1])
	}
	if err != nil {
		return nil, err
	}
	s := []rune(textOf(v))
	if from < 0 {
		from += float64(len(s))
	}
	start := int(min(max(from, 0), float64(len(s))))
	end := int(min(max(from+count, float64(start)), float64(len(s))))
	return string(s[start:end]), nil
}

func size(v any, _ []any) (any, error) {
	if list, ok := v.([]string); ok {
		return len(list), nil
	}
	return utf8.RuneCountInString(textOf(v)), nil
}

// date writes a day or an instant in the form of strftime.
func date(v any, args []any) (any, error) {
	at, ok := v.(time.Time)
	if !ok {
		day, err := time.Parse(time.DateOnly, textOf(v))
		if err != nil {
			return nil, fmt.Errorf("%q is not a day as YYYY-MM-DD", shorten(textOf(v)))
		}
		at = day
	}
	return tuesday.Strftime(textOf(args[0]), at)
}

// decimal shows a float64 as people write it: 1000000.5 and never 1.0000005e+06.
type decimal float64

func (d decimal) String() string { return strconv.FormatFloat(float64(d), 'f', -1, 64) }

func asDecimal(f float64, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if math.IsInf(f, 0) || math.IsNaN(f) || math.Abs(f) > 1e15 {
		return nil, errors.New("the number is too large")
	}
	return decimal(math.Round(f*scale) / scale), nil
}

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.Format("2006-01-02 15:04:05 -0700")
	}
	return fmt.Sprint(v)
}

func numberOf(v any) (float64, error) {
	switch v := v.(type) {
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case decimal:
		return float64(v), nil
	case string:
		if n, err := parseDecimal(strings.TrimSpace(v)); err == nil {
			return float64(n) / scale, nil
		}
	}
	return 0, fmt.Errorf("%q is not a number", shorten(textOf(v)))
}
