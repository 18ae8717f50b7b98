package flowengine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Attribute is a person attribute that the operator declares.
type Attribute struct {
	Name string
	Type Type
}

// The attributes that every person has without a declaration. Flows read
// them and cannot write them.
const (
	attrID      = "id"
	attrPhone   = "phone"
	attrEmail   = "email"
	attrCreated = "created"
)

var builtin = map[string]Type{attrID: Text, attrPhone: Text, attrEmail: Text, attrCreated: DateTime}

var attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Schema says which attributes a person may have. It is immutable.
type Schema struct {
	types map[string]Type // declared and built-in
	names []string        // the same, ordered
}

// NewSchema makes a schema of the built-in attributes and those given.
func NewSchema(attributes ...Attribute) (*Schema, error) {
	s := &Schema{types: maps.Clone(builtin)}
	for _, a := range attributes {
		switch {
		case !attributeName.MatchString(a.Name):
			return nil, fmt.Errorf("attribute %q: a name is a letter and at most 63 more letters, digits and underscores", a.Name)
		case builtin[a.Name] != Unset:
			return nil, fmt.Errorf("attribute %q: every person has it already; choose another name", a.Name)
		case s.types[a.Name] != Unset:
			return nil, fmt.Errorf("attribute %q is declared twice", a.Name)
		case a.Type == Unset || a.Type.String() == "":
			return nil, fmt.Errorf("attribute %q has no type", a.Name)
		}
		s.types[a.Name] = a.Type
	}
	s.names = slices.Sorted(maps.Keys(s.types))
	return s, nil
}

// Type is the type of an attribute, built in or declared; Unset when there is none.
func (s *Schema) Type(name string) Type { return s.types[name] }

// Writable is the type of a declared attribute; Unset when there is none or
// when flows cannot write it.
func (s *Schema) Writable(name string) Type {
	if builtin[name] != Unset {
		return Unset
	}
	return s.types[name]
}

// Names lists all attributes, built in and declared, ordered.
func (s *Schema) Names() []string { return s.names }

// Declared lists the attributes that the operator declared, ordered by name.
func (s *Schema) Declared() []Attribute {
	var all []Attribute
	for _, n := range s.names {
		if builtin[n] == Unset {
			all = append(all, Attribute{n, s.types[n]})
		}
	}
	return all
}

// attribute is the value of an attribute of p, built in or declared.
func (p *Person) attribute(name string) Value {
	switch name {
	case attrID:
		return TextValue(p.ID.String())
	case attrPhone:
		phone, _ := p.Address(Phone)
		return optionalText(phone)
	case attrEmail:
		email, _ := p.Address(Email)
		return optionalText(email)
	case attrCreated:
		if p.Created.IsZero() {
			return Value{}
		}
		return DateTimeValue(p.Created)
	}
	return p.Attrs.Get(name)
}

func optionalText(s string) Value {
	if s == "" {
		return Value{}
	}
	return TextValue(s)
}

// The fields of `inbound` in templates and expressions (rule X7).
const (
	inboundText    = "text"
	inboundNumber  = "number"
	inboundDate    = "date"
	inboundKeyword = "keyword"
	inboundFrom    = "from"
	inboundTo      = "to"
)

var inboundTypes = map[string]Type{
	inboundText: Text, inboundNumber: Decimal, inboundDate: Date, inboundKeyword: Text, inboundFrom: Text, inboundTo: Text,
}

// field is one of the inbound fields; unset when h is nil or has no such part.
func (h *Heard) field(name string) Value {
	if h == nil {
		return Value{}
	}
	switch name {
	case inboundText:
		return optionalText(h.Text)
	case inboundNumber:
		return firstNumber(h.Text)
	case inboundDate:
		return firstDate(h.Text)
	case inboundKeyword:
		return optionalText(h.Keyword)
	case inboundFrom:
		return optionalText(h.From)
	case inboundTo:
		return optionalText(h.To)
	}
	return Value{}
}

var numberInText = regexp.MustCompile(`[-+]?[0-9]+(?:[.,][0-9]+)?`)

// firstNumber finds the first number in what a person wrote: "size 42,5!" has
// 42.5. A number that a Decimal cannot hold counts as none.
func firstNumber(text string) Value {
	found := numberInText.FindString(text)
	if found == "" {
		return Value{}
	}
	n, err := parseDecimal(found)
	if err != nil {
		return Value{}
	}
	return Value{Type: Decimal, Num: n}
}

var dateInText = regexp.MustCompile(`\b(?:([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{1,2})[./] ?([0-9]{1,2})[./] ?([0-9]{4}))`)

// firstDate finds the first calendar day in what a person wrote, as 1990-12-31,
// 31.12.1990 or 31/12/1990. A day that does not exist counts as none.
func firstDate(text string) Value {
	m := dateInText.FindStringSubmatch(text)
	if m == nil {
		return Value{}
	}
	year, month, day := m[1], m[2], m[3]
	if year == "" {
		day, month, year = m[4], m[5], m[6]
	}
	pad := func(s string) string { return strings.Repeat("0", 2-len(s)) + s }
	t, err := time.Parse(time.DateOnly, year+"-"+pad(month)+"-"+pad(day))
	if err != nil {
		return Value{}
	}
	return DateValue(t)
}
