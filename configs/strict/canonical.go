package strict

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Canonical writes the file as JSON with sorted keys and without insignificant
// space: the same for all files that say the same, whatever their order,
// comments and quotes. Secrets stay references. Reading the JSON again gives
// the same value. A file that is broken has none. Keys at the top that are in
// without are left out.
func Canonical(d *Document, without ...string) ([]byte, error) {
	if err := d.Err(); err != nil {
		return nil, err
	}
	if d.root == nil {
		return nil, errors.New("the file is empty")
	}
	root := *d.root
	root.Fields = slices.DeleteFunc(slices.Clone(root.Fields), func(f Field) bool { return contains(without, f.Key.Text) })
	return appendCanonical(nil, &root), nil
}

func appendCanonical(b []byte, n *Node) []byte {
	switch n.Kind {
	case Bool:
		return append(b, strings.ToLower(n.raw)...)
	case Number:
		return append(b, canonicalNumber(n.raw)...)
	case String:
		return appendString(b, n.raw)
	case List:
		b = append(b, '[')
		for i, item := range n.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, item)
		}
		return append(b, ']')
	case Map:
		sorted := slices.SortedFunc(slices.Values(n.Fields), func(x, y Field) int { return strings.Compare(x.Key.Text, y.Key.Text) })
		b = append(b, '{')
		for i, f := range sorted {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, f.Key.Text), ':')
			b = appendCanonical(b, f.Value)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

var jsonNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$`)

// canonicalNumber keeps a number as it was written when JSON can say it so.
func canonicalNumber(s string) string {
	if jsonNumber.MatchString(s) {
		return s
	}
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0o") {
		n, _ := new(big.Int).SetString(s, 0) // at most maxNumber digits
		return n.String()
	}
	sign := ""
	if s[0] == '-' {
		sign = "-"
	}
	mantissa, exponent := strings.TrimLeft(s, "+-"), ""
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, exponent = mantissa[:i], mantissa[i:]
	}
	whole, fraction, isFraction := strings.Cut(mantissa, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if isFraction {
		whole += "." + fraction
	}
	if isFraction && fraction == "" { // 1. is no whole number
		whole += "0"
	}
	return sign + whole + exponent
}

// appendString writes a JSON string that any YAML reader takes, too.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < 0x10000 && !unicode.IsPrint(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
