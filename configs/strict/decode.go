package strict

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// Unmarshaler is a type that reads itself. It reports what is wrong through the
// node and its parts, or returns an error about the node as a whole. What it
// makes of a scalar must not depend on quotes: canonical JSON has them always.
type Unmarshaler interface{ UnmarshalNode(n *Node) error }

var (
	unmarshalerType     = reflect.TypeFor[Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType        = reflect.TypeFor[time.Duration]()
	prefixType          = reflect.TypeFor[netip.Prefix]()
)

// Decode reads the file into the value that into points at. What is wrong is in
// the document; see Err.
func (d *Document) Decode(into any) {
	if d.root != nil {
		d.root.Decode(into)
	}
}

// Decode reads the node into the value that into points at, which keeps what
// the file says nothing about.
func (n *Node) Decode(into any) { n.decode(reflect.ValueOf(into).Elem(), field{}) }

// DecodeFields reads a map into the struct that into points at. Others are keys
// that the caller reads.
func (n *Node) DecodeFields(into any, others ...string) {
	n.decodeStruct(reflect.ValueOf(into).Elem(), others)
}

func (n *Node) decode(v reflect.Value, f field) {
	if n.Kind == Broken {
		return
	}
	n.hidden = n.hidden || f.secret
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		n.decode(v.Elem(), f)
		return
	}
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		if err := u.UnmarshalNode(n); err != nil {
			n.Errorf("%v", err)
		}
		return
	}
	before := n.inside
	n.inside = false
	n.decodeAs(v, f)
	if !n.inside {
		f.check(n, v)
	}
	n.inside = n.inside || before
}

// decodeAs reads what the Go type of v wants.
func (n *Node) decodeAs(v reflect.Value, f field) {
	switch v.Type() {
	case durationType:
		n.decodeDuration(v)
		return
	case prefixType:
		n.decodePrefix(v)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		n.decodeText(u)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		n.decodeStruct(v, nil)
	case reflect.Slice:
		n.decodeList(v, f)
	case reflect.Map:
		n.decodeMap(v)
	case reflect.String:
		n.decodeString(v)
	case reflect.Bool:
		n.decodeBool(v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.decodeInt(v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.decodeUint(v)
	case reflect.Float32, reflect.Float64:
		n.decodeFloat(v)
	case reflect.Interface:
		if x := n.Value(); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		panic(fmt.Sprintf("strict: a file cannot hold a %s", v.Type()))
	}
}

func (n *Node) decodeStruct(v reflect.Value, others []string) {
	if n.Kind != Map {
		n.Mistyped("a map of keys", "")
		return
	}
	fields := n.doc.plans.of(v.Type())
	meant := map[string]bool{} // keys that were probably meant by unknown ones
	for _, f := range n.Fields {
		known, ok := fields.named(f.Key.Text)
		switch {
		case ok:
			f.Value.decode(v.FieldByIndex(known.index), known)
		case !contains(others, f.Key.Text):
			meant[n.unknown(f.Key, append(fields.names(), others...))] = true
		}
	}
	for _, f := range fields {
		if n.Field(f.name) != nil {
			continue
		}
		if f.required && !meant[f.name] {
			n.missingKey(f)
		} else if f.required {
			n.lacks(f.name)
		}
		n.doc.plans.setDefault(v.FieldByIndex(f.index), f)
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// unknown reports a key and returns the one that was probably meant, or "".
func (n *Node) unknown(key *Node, known []string) string {
	const listed = 30 // known keys that a hint may list
	where := ""
	if label := n.label(); label != "" {
		where = label + ": "
	}
	var open []string // what is there already is not meant once more
	for _, k := range known {
		if n.Field(k) == nil {
			open = append(open, k)
		}
	}
	best, hint := closest(key.Text, open), ""
	switch {
	case best != "":
		hint = fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		hint = "no key is known here"
	case len(known) <= listed:
		hint = "the keys are " + strings.Join(known, ", ")
	}
	n.lacks("")
	n.doc.add(Error{
		Line: key.Line, Column: key.Column, Path: key.keyPath(n), Text: key.raw,
		Message: fmt.Sprintf("%sunknown key %s", where, quoteShort(key.raw)), Hint: hint,
	})
	return best
}

func (n *Node) keyPath(of *Node) string {
	if p := of.path(); p != "" {
		return p + "." + n.raw
	}
	return n.raw
}

// missingKey reports that a required key is not there. The place is the map.
func (n *Node) missingKey(f field) {
	n.lacks(f.name)
	e := n.finding(fmt.Sprintf("%q is missing", f.name), f.hint())
	e.Path = (&Node{raw: f.name}).keyPath(n)
	n.doc.add(e)
}

// decodeList replaces what v holds; a field's enum and pattern hold for each item.
func (n *Node) decodeList(v reflect.Value, f field) {
	if n.Kind != List {
		n.Mistyped("a list", "write [ ] around it, or - before each item")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	each := field{enum: f.enum, pattern: f.pattern, doc: f.doc}
	for i, item := range n.Items {
		item.decode(list.Index(i), each)
	}
	v.Set(list)
}

func (n *Node) decodeMap(v reflect.Value) {
	if n.Kind != Map {
		n.Mistyped("a map of keys", "")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.Fields))
	for _, f := range n.Fields {
		value := reflect.New(v.Type().Elem()).Elem()
		f.Value.decode(value, field{})
		m.SetMapIndex(reflect.ValueOf(f.Key.Text).Convert(v.Type().Key()), value)
	}
	v.Set(m)
}

// Value is the node as plain data: nil, bool, int64, float64, string, []any or
// map[string]any.
func (n *Node) Value() any {
	switch n.Kind {
	case Bool:
		return n.Text[0]|0x20 == 't'
	case Number:
		if i, err := parseInt(canonicalNumber(n.Text)); err == nil {
			return i
		}
		var f float64
		n.decodeFloat(reflect.ValueOf(&f).Elem())
		return f
	case String:
		return n.Text
	case List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Value()
		}
		return list
	case Map:
		m := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			m[f.Key.Text] = f.Value.Value()
		}
		return m
	}
	return nil
}
