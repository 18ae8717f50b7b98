package strict

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const maxShown = 60 // characters of an offending text that a message shows

func quoteShort(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown-1]) + "…"
	}
	return s
}

func (n *Node) decodeString(v reflect.Value) {
	switch n.Kind {
	case String:
		v.SetString(n.Text)
	case Number, Bool:
		hint := "put it in quotes"
		if !n.hidden {
			hint += ": " + quoteShort(n.raw)
		}
		n.Mistyped("text", hint)
	default:
		n.Mistyped("text", "")
	}
}

// decodeText reads a type that knows its own text.
func (n *Node) decodeText(u encoding.TextUnmarshaler) {
	if n.Kind != String && n.Kind != Number && n.Kind != Bool {
		n.Mistyped("text", "")
		return
	}
	if err := u.UnmarshalText([]byte(n.Text)); err != nil {
		if n.filled || n.hidden {
			err = errors.New("what is filled in does not fit")
		}
		n.Errorf("%v", err)
	}
}

func (n *Node) decodeBool(v reflect.Value) {
	switch {
	case n.Kind == Bool || n.filled && plainKind(n.Text) == Bool:
		v.SetBool(n.Text[0]|0x20 == 't')
	case n.Kind == String && plainKind(n.Text) == Bool:
		n.Mistyped("true or false", "leave the quotes out")
	case n.Kind == String || n.Kind == Number:
		hint := "write true or false"
		switch strings.ToLower(n.Text) {
		case "yes", "on", "y", "1":
			hint = "write true"
		case "no", "off", "n", "0":
			hint = "write false"
		}
		n.Mistyped("true or false", hint)
	default:
		n.Mistyped("true or false", "")
	}
}

// number gives the text of a number, or reports that the node is none.
func (n *Node) number(expected string) (text string, ok bool) {
	switch {
	case n.Kind == Number || n.filled && plainKind(n.Text) == Number:
		return n.Text, true
	case n.Kind == String && n.quoted && plainKind(n.Text) == Number:
		n.Mistyped(expected, "leave the quotes out")
	default:
		n.Mistyped(expected, "")
	}
	return "", false
}

var errNotWhole = errors.New("not a whole number")

// parseInt reads a whole number of YAML: decimal, or with 0x or 0o before it.
// Zeros before a decimal number are refused, as they mean octal to some.
func parseInt(s string) (int64, error) {
	digits := strings.TrimLeft(s, "+-")
	base := 10
	switch {
	case strings.HasPrefix(digits, "0x"):
		s, base = digits[2:], 16
	case strings.HasPrefix(digits, "0o"):
		s, base = digits[2:], 8
	case strings.ContainsAny(digits, ".eE") || len(digits) > 1 && digits[0] == '0':
		return 0, errNotWhole
	}
	return strconv.ParseInt(s, base, 64)
}

func (n *Node) decodeInt(v reflect.Value) {
	const expected = "a whole number"
	text, ok := n.number(expected)
	if !ok {
		return
	}
	i, err := parseInt(text)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && v.OverflowInt(i):
		limit := int64(1)<<(v.Type().Bits()-1) - 1
		n.outOfRange(strconv.FormatInt(-limit-1, 10), strconv.FormatInt(limit, 10))
	case err != nil:
		n.Mistyped(expected, wholeHint(text))
	default:
		v.SetInt(i)
	}
}

func wholeHint(text string) string {
	if t := strings.TrimLeft(text, "0"); t != text && t != "" && !strings.ContainsAny(t, ".eE") {
		return "write " + t
	}
	return ""
}

func (n *Node) decodeUint(v reflect.Value) {
	const expected = "a whole number"
	text, ok := n.number(expected)
	if !ok {
		return
	}
	i, err := parseInt(text)
	u := uint64(i)
	if errors.Is(err, strconv.ErrRange) {
		u, err = strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
		i = 0
	}
	switch {
	case i < 0 || errors.Is(err, strconv.ErrRange) || err == nil && v.OverflowUint(u):
		n.outOfRange("0", strconv.FormatUint(math.MaxUint64>>(64-v.Type().Bits()), 10))
	case errors.Is(err, strconv.ErrSyntax): // a negative number beyond 64 bits
		n.outOfRange("0", strconv.FormatUint(math.MaxUint64>>(64-v.Type().Bits()), 10))
	case err != nil:
		n.Mistyped(expected, wholeHint(text))
	default:
		v.SetUint(u)
	}
}

func (n *Node) decodeFloat(v reflect.Value) {
	const expected = "a number"
	text, ok := n.number(expected)
	if !ok {
		return
	}
	f, err := strconv.ParseFloat(text, 64)
	if i, isInt := parseInt(text); isInt == nil {
		f, err = float64(i), nil
	}
	switch {
	case err != nil && errors.Is(err, strconv.ErrRange) || v.OverflowFloat(f):
		n.Report(n.shown()+" is too large", "")
	case err != nil:
		n.Mistyped(expected, "")
	default:
		v.SetFloat(f)
	}
}

func (n *Node) outOfRange(low, high string) {
	n.Report(n.shown()+" is out of range", "between "+low+" and "+high)
}

func (n *Node) decodeDuration(v reflect.Value) {
	const expected, hint = "a duration", "write it as 90s, 15m, 24h, 7d or 1d12h"
	switch {
	case n.Kind == String, n.Kind == Number && n.Text == "0":
		d, err := ParseDuration(n.Text)
		if err != nil {
			n.Mistyped(expected, hint)
			return
		}
		v.SetInt(int64(d))
	case n.Kind == Number:
		n.Mistyped(expected, "add the unit: "+n.Text+"s, "+n.Text+"m, "+n.Text+"h or "+n.Text+"d")
	default:
		n.Mistyped(expected, hint)
	}
}

var errDuration = errors.New("not a duration")

// ParseDuration reads a duration as Go writes it, and with d for days of 24
// hours and w for weeks of 7 days: 90s, 24h, 7d, 1d12h. It is not negative.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	total := time.Duration(0)
	for rest := s; ; {
		number := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		unit := len(rest[number:]) - len(strings.TrimLeft(rest[number:], "wdhmsnuµμ"))
		if number == 0 || unit == 0 {
			return 0, fmt.Errorf("%w: %q", errDuration, s)
		}
		one, err := durationPart(rest[:number], rest[number:number+unit])
		if err != nil || total+one < total {
			return 0, fmt.Errorf("%w: %q", errDuration, s)
		}
		total += one
		if rest = rest[number+unit:]; rest == "" {
			return total, nil
		}
	}
}

func durationPart(number, unit string) (time.Duration, error) {
	days := 0.0
	switch unit {
	case "d":
		days = 1
	case "w":
		days = 7
	default:
		return time.ParseDuration(number + unit)
	}
	n, err := strconv.ParseFloat(number, 64)
	ns := n * days * float64(24*time.Hour)
	if err != nil || ns > math.MaxInt64/2 {
		return 0, errDuration
	}
	return time.Duration(math.Round(ns)), nil
}

// decodePrefix reads a network; an address alone is a network of one.
func (n *Node) decodePrefix(v reflect.Value) {
	const expected, hint = "a network", "write it as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
	if n.Kind != String && n.Kind != Number {
		n.Mistyped(expected, hint)
		return
	}
	prefix, err := netip.ParsePrefix(n.Text)
	if addr, alone := netip.ParseAddr(n.Text); alone == nil && addr.Zone() == "" {
		prefix, err = addr.Prefix(addr.BitLen())
	}
	switch {
	case err != nil:
		n.Mistyped(expected, hint)
	case prefix != prefix.Masked():
		n.Report(n.shown()+" has bits set beyond its length", "write "+prefix.Masked().String())
	default:
		v.Set(reflect.ValueOf(prefix))
	}
}
