package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
)

// Bounds of what comes with a request about one person.
const (
	maxAttributes = 500
	maxProperties = 100
	maxTags       = 200
	maxTag        = 128 // octets
	maxName       = 64
)

var errNoName = errors.New("a name is a letter and at most 63 more letters, digits and underscores")

var valueName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// inferredValue reads a JSON value without a declared type: an event's property
// or a variable. A string that is an instant (RFC 3339) becomes one; a number
// without a point is whole, another an exact decimal.
func inferredValue(raw json.RawMessage) (flowengine.Value, error) {
	token, err := scalar(raw)
	if err != nil || token == nil {
		return flowengine.Value{}, err
	}
	switch x := token.(type) {
	case bool:
		return flowengine.BooleanValue(x), nil
	case json.Number:
		if strings.ContainsAny(x.String(), ".eE") {
			return flowengine.Coerce(x.String(), flowengine.Decimal)
		}
		return flowengine.Coerce(x.String(), flowengine.Whole)
	case string:
		if at, err := time.Parse(time.RFC3339, x); err == nil {
			return flowengine.DateTimeValue(at), nil
		}
		return flowengine.Coerce(x, flowengine.Text)
	}
	return flowengine.Value{}, fmt.Errorf("a string, a number, true or false is expected")
}

// scalar reads a JSON value that is no list and no object; nil stands for null.
func scalar(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("it is not a JSON value")
	}
	if _, nested := token.(json.Delim); nested {
		return nil, fmt.Errorf("a string, a number, true, false or null is expected, not a list or an object")
	}
	return token, nil
}

// attributes reads attributes by the schema; null removes one. Every one that is
// wrong is reported below at.
func attributes(schema *flowengine.Schema, given map[string]json.RawMessage, at string, f *faults) (set []flowengine.Attr) {
	if len(given) > maxAttributes {
		f.at(at, fmt.Sprintf("at most %d attributes are taken at once", maxAttributes))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		v, err := attribute(schema, name, given[name])
		if err != nil {
			f.at(at+pointer(name), err.Error())
			continue
		}
		set = append(set, flowengine.Attr{Name: name, Value: v})
	}
	return set
}

func attribute(schema *flowengine.Schema, name string, raw json.RawMessage) (flowengine.Value, error) {
	if !valueName.MatchString(name) {
		return flowengine.Value{}, errNoName
	}
	return schema.CoerceJSON(name, raw)
}

// eventProperties reads the properties of an event: as they come, or, of one that is
// declared, by its schema. null leaves one out.
func eventProperties(schema *flowengine.Schema, given map[string]json.RawMessage, at string, f *faults) (attrs flowengine.Attrs) {
	if schema == nil {
		return properties(given, at, f)
	}
	for _, a := range attributes(schema, given, at, f) {
		attrs.Set(a.Name, a.Value)
	}
	return attrs
}

// properties reads the properties of an event or the variables of a run.
func properties(given map[string]json.RawMessage, at string, f *faults) (attrs flowengine.Attrs) {
	if len(given) > maxProperties {
		f.at(at, fmt.Sprintf("at most %d are kept", maxProperties))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !valueName.MatchString(name) {
			f.at(at+pointer(name), errNoName.Error())
			continue
		}
		v, err := inferredValue(given[name])
		if err != nil {
			f.at(at+pointer(name), err.Error())
			continue
		}
		attrs.Set(name, v)
	}
	return attrs
}

// tags reads tags; at is where they are listed.
func tags(given []string, at string, f *faults) (all []flowengine.Tag) {
	if len(given) > maxTags {
		f.at(at, fmt.Sprintf("at most %d tags are taken at once", maxTags))
		return nil
	}
	for i, name := range given {
		t := flowengine.NewTag(name)
		if t.Name == "" || len(t.Name) > maxTag || !printable(t.Name) {
			f.at(at+pointer(fmt.Sprint(i)), fmt.Sprintf("a tag is 1 to %d octets of printable text", maxTag))
			continue
		}
		all = append(all, t)
	}
	return all
}
