package flowengine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// CoerceJSON reads a JSON value as an attribute, strictly (rule A3): a text is a
// string, a number a number, a decimal also a string, which keeps its digits, a
// list an array. null is the unset value.
func (s *Schema) CoerceJSON(name string, raw []byte) (Value, error) {
	if _, err := s.Coerce(name, nil); err != nil { // not known, or not to be written
		return Value{}, err
	}
	t := s.types[name]
	x, err := decodeJSON(raw)
	if err != nil {
		return Value{}, err
	}
	fits := true
	switch x := x.(type) {
	case nil:
	case string:
		fits = t != Whole && t != Boolean
	case bool:
		fits = t == Boolean
	case json.Number:
		fits = t == Whole || t == Decimal
		return s.coerceFitting(name, raw, x.String(), fits)
	case []any:
		fits = t == List
		if !fits {
			return Value{}, errors.New("a string, a number, true, false or null is expected, not a list or an object")
		}
	default:
		return Value{}, errors.New("a string, a number, true, false or null is expected, not a list or an object")
	}
	return s.coerceFitting(name, raw, x, fits)
}

func (s *Schema) coerceFitting(name string, raw []byte, x any, fits bool) (Value, error) {
	if !fits {
		return Value{}, fmt.Errorf("%s is not a %s", shorten(string(raw)), s.types[name])
	}
	return s.Coerce(name, x)
}

func decodeJSON(raw []byte) (x any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		return nil, errors.New("it is not a JSON value")
	}
	return x, nil
}
