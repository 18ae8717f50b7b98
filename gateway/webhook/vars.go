package webhook

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Bounds of what an answer may set.
const (
	maxVars    = 100
	maxVarName = 64
	maxVarText = 4096 // octets, as of an attribute's text
	maxDigits  = 40   // of a number
)

// Decimal is a number that is no int64, exactly as the answer has it, without
// an exponent: "12.5", "-0.001", "12345678901234567890".
type Decimal string

var byteOrderMark = []byte("\xEF\xBB\xBF")

// variables are the fields of a JSON object whose values are text, numbers, true
// or false (rule X9). Fields with other values, with names that are no
// identifiers, with texts of more than 4096 octets and numbers of more than 40
// digits are left out, as is what comes after 100 variables; of two fields with
// one name the later counts. What is no JSON object has none: nil.
func variables(body []byte) map[string]any {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !json.Valid(body) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	vars := make(map[string]any)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil
		}
		setVariable(vars, name.(string), value)
	}
	return vars
}

func setVariable(vars map[string]any, name string, value json.RawMessage) {
	if !identifier(name) {
		return
	}
	if _, known := vars[name]; !known && len(vars) == maxVars {
		return
	}
	if v := primitive(value); v != nil {
		vars[name] = v
	} else {
		delete(vars, name) // the later field counts, and has no value
	}
}

// primitive reads a value that is valid JSON; nil means that it gives no variable.
func primitive(value json.RawMessage) any {
	switch c := value[0]; {
	case c == 't' || c == 'f':
		return c == 't'
	case c == '-' || digit(c):
		return number(string(value))
	case c == '"' && len(value) <= 6*maxVarText+2: // \u0041 is the longest way to write an octet
		var s string
		if json.Unmarshal(value, &s) == nil && len(s) <= maxVarText {
			return s
		}
	}
	return nil
}

// number reads a JSON number exactly: an int64, a Decimal, or nil when it has
// too many digits.
func number(text string) any {
	sign := ""
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, text = "-", rest
	}
	exponent := 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(text[i+1:])
		if err != nil {
			return nil
		}
		text, exponent = text[:i], n
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	point := len(whole) + exponent - (len(whole) + len(fraction) - len(digits)) // digits before the point
	digits = strings.TrimRight(digits, "0")
	switch {
	case digits == "":
		return int64(0)
	case len(digits) > maxDigits || point > maxDigits || point < -maxDigits:
		return nil
	case point <= 0:
		return Decimal(sign + "0." + strings.Repeat("0", -point) + digits)
	case point < len(digits):
		return Decimal(sign + digits[:point] + "." + digits[point:])
	}
	digits += strings.Repeat("0", point-len(digits))
	if n, err := strconv.ParseInt(sign+digits, 10, 64); err == nil {
		return n
	}
	return Decimal(sign + digits)
}

// identifier says that expressions can name a variable so: a letter or _, then
// letters, digits and _.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || !digit(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxVarName
}
