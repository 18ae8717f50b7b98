package strict

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// field is a key of a struct, as its tags describe it.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	required bool
	secret   bool
	enum     []string
	pattern  *regexp.Regexp
	min, max *float64 // durations in nanoseconds
	low, top string   // min and max as written
	initial  *string  // default
}

type fields []field

func (fs fields) named(name string) (field, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fs[i], true
}

func (fs fields) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

// plans keeps what tags say while one file is read.
type plans map[reflect.Type]fields

// of reads the tags of a struct. Tags that make no sense are a fault of the
// program and panic.
func (p plans) of(t reflect.Type) fields {
	if known, ok := p[t]; ok {
		return known
	}
	var all fields
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case sf.Anonymous && (options == "inline" || name == "") && name != "-" && sf.Type.Kind() == reflect.Struct:
			for _, f := range p.of(sf.Type) {
				f.index = append([]int{i}, f.index...)
				all = append(all, f)
			}
		case name != "" && name != "-":
			all = append(all, newField(sf, name, i))
		}
	}
	p[t] = all
	return all
}

func newField(sf reflect.StructField, name string, i int) field {
	f := field{
		name: name, index: []int{i}, typ: sf.Type, doc: sf.Tag.Get("doc"),
		required: sf.Tag.Get("required") == "true", secret: sf.Tag.Get("secret") == "true",
	}
	if enum := sf.Tag.Get("enum"); enum != "" {
		f.enum = strings.Split(enum, ",")
	}
	if pattern := sf.Tag.Get("pattern"); pattern != "" {
		f.pattern = regexp.MustCompile(pattern)
	}
	if text, ok := sf.Tag.Lookup("default"); ok {
		f.initial = &text
	}
	f.low, f.top = sf.Tag.Get("min"), sf.Tag.Get("max")
	f.min, f.max = f.bound(f.low), f.bound(f.top)
	return f
}

func (f *field) base() reflect.Type {
	if f.typ.Kind() == reflect.Pointer {
		return f.typ.Elem()
	}
	return f.typ
}

func (f *field) bound(text string) *float64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if f.base() == durationType {
		var d time.Duration
		d, err = ParseDuration(text)
		n = float64(d)
	}
	if err != nil {
		panic(fmt.Sprintf("strict: key %q: the bound %q is not a number or duration", f.name, text))
	}
	return &n
}

// setDefault gives v its default, and those of the structs inside of it.
func (p plans) setDefault(v reflect.Value, f field) {
	if f.initial != nil {
		n := &Node{Kind: plainKind(*f.initial), Text: *f.initial, raw: *f.initial, filled: true, doc: &Document{plans: p}}
		if n.Kind == Null {
			n.Kind = String
		}
		if k := f.base(); k.Kind() == reflect.String && !reflect.PointerTo(k).Implements(unmarshalerType) {
			n.Kind = String
		}
		n.decode(v, f)
		if err := n.doc.Err(); err != nil {
			panic(fmt.Sprintf("strict: key %q: the default does not fit: %v", f.name, err))
		}
		return
	}
	if v.Kind() == reflect.Struct && !readsItself(v.Type()) {
		for _, inner := range p.of(v.Type()) {
			p.setDefault(v.FieldByIndex(inner.index), inner)
		}
	}
}

// readsItself reports that a type is not read key by key.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t == prefixType || p.Implements(unmarshalerType) || p.Implements(textUnmarshalerType)
}

// hint says what the key means, for those who left it out or got it wrong.
func (f *field) hint() string { return strings.TrimSuffix(f.doc, ".") }

// check holds a value against the tags.
func (f *field) check(n *Node, v reflect.Value) {
	switch {
	case v.Type() == durationType:
		f.within(n, float64(v.Int()), n.shown(), "")
	case v.Kind() == reflect.String:
		f.checkText(n, v.String())
	case v.CanInt():
		f.within(n, float64(v.Int()), n.shown(), "")
	case v.CanUint():
		f.within(n, float64(v.Uint()), n.shown(), "")
	case v.CanFloat():
		f.within(n, v.Float(), n.shown(), "")
	case v.Kind() == reflect.Slice && n.Kind == List:
		f.within(n, float64(v.Len()), counted(v.Len(), "item"), " items")
	case v.Kind() == reflect.Map:
		f.within(n, float64(v.Len()), counted(v.Len(), "key"), " keys")
	}
}

func (f *field) checkText(n *Node, s string) {
	if f.required && s == "" {
		n.Report("it is empty", f.hint())
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, s) {
		hint := suggest(s, f.enum)
		n.Report(n.shown()+" is none of "+strings.Join(f.enum, ", "), hint)
		return
	}
	if f.pattern != nil && !f.pattern.MatchString(s) {
		hint := f.hint()
		if hint == "" {
			hint = "it has to match " + f.pattern.String()
		}
		n.Report(n.shown()+" does not fit", hint)
	}
	// The text itself may be a password and is not repeated.
	length := utf8.RuneCountInString(s)
	f.within(n, float64(length), counted(length, "character"), " characters")
}

// within reports a size that is out of bounds.
func (f *field) within(n *Node, x float64, shown, unit string) {
	below, above := f.min != nil && x < *f.min, f.max != nil && x > *f.max
	if !below && !above {
		return
	}
	hint := ""
	switch {
	case f.low != "" && f.top != "":
		hint = "between " + f.low + " and " + f.top + unit
	case below:
		hint = "at least " + f.low + unit
	default:
		hint = "at most " + f.top + unit
	}
	verdict := " is too little"
	switch {
	case unit != "" && above:
		verdict = " are too many"
	case unit != "":
		verdict = " are too few"
	case above:
		verdict = " is too much"
	}
	n.Report(shown+verdict, hint)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
