package flowengine

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"
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

const attrBirthDate = "birthDate"

// standard is an attribute that every person has without a declaration and that
// flows write as well.
type standard struct {
	typ   Type
	limit int                          // characters; 0: MaxText alone
	fit   func(string) (string, error) // checks a text further; nil: nothing more
}

var standards = map[string]standard{
	"firstName":         {typ: Text, limit: 255},
	"lastName":          {typ: Text, limit: 255},
	"middleName":        {typ: Text, limit: 50},
	"address":           {typ: Text, limit: 50},
	"city":              {typ: Text, limit: 50},
	"country":           {typ: Text, limit: 50},
	"gender":            {typ: Text, limit: 50},
	attrBirthDate:       {typ: Date},
	"preferredLanguage": {typ: Text, limit: 35, fit: languageTag},
	"externalId":        {typ: Text, limit: 256},
	attrTimezone:        {typ: Text, limit: 64, fit: zoneName},
	AttrDoNotTrack:      {typ: Boolean},
}

// languageTag writes a language as BCP 47 does: hr, pt-BR.
func languageTag(s string) (string, error) {
	tag, err := language.Raw.Parse(strings.TrimSpace(s))
	if err != nil {
		return "", errors.New("a language such as hr or pt-BR is expected (BCP 47)")
	}
	return tag.String(), nil
}

// zoneName takes the name of a time zone as it is.
func zoneName(s string) (string, error) {
	if _, err := time.LoadLocation(s); err != nil || s == "Local" {
		return "", errors.New("the name of a time zone such as Europe/Zagreb is expected (IANA)")
	}
	return s, nil
}

var attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Schema says which attributes a person may have. It is immutable.
type Schema struct {
	types map[string]Type // declared and built-in
	names []string        // the same, ordered

	segments []string // that conditions may name, ordered

	events map[string]*Schema // properties of the kinds of events that are declared
	at     *Schema            // of the event that conditions look at; nil: it is not declared
	event  string             // the kind of event whose properties these are; empty: of a person
}

// NewSchema makes a schema of the attributes that every person has and those
// given. A standard attribute may be among them with the type it has anyway.
func NewSchema(attributes ...Attribute) (*Schema, error) {
	s := &Schema{types: maps.Clone(builtin)}
	for name, a := range standards {
		s.types[name] = a.typ
	}
	declared := map[string]bool{}
	for _, a := range attributes {
		switch {
		case !attributeName.MatchString(a.Name):
			return nil, fmt.Errorf("attribute %q: a name is a letter and at most 63 more letters, digits and underscores", a.Name)
		case builtin[a.Name] != Unset:
			return nil, fmt.Errorf("attribute %q: every person has it already; choose another name", a.Name)
		case declared[a.Name]:
			return nil, fmt.Errorf("attribute %q is declared twice", a.Name)
		case a.Type == Unset || a.Type.String() == "":
			return nil, fmt.Errorf("attribute %q has no type", a.Name)
		case standards[a.Name].typ != Unset && standards[a.Name].typ != a.Type:
			return nil, fmt.Errorf("attribute %q: every person has it already, as a %s; leave the declaration out or choose another name", a.Name, standards[a.Name].typ)
		}
		declared[a.Name] = true
		s.types[a.Name] = a.Type
	}
	s.names = slices.Sorted(maps.Keys(s.types))
	return s, nil
}

// Type is the type of an attribute, whoever declares it; Unset when there is none.
func (s *Schema) Type(name string) Type { return s.types[name] }

// Writable is the type of an attribute that flows can write; Unset when there is
// none or when they cannot.
func (s *Schema) Writable(name string) Type {
	if builtin[name] != Unset {
		return Unset
	}
	return s.types[name]
}

// Names lists all attributes, ordered.
func (s *Schema) Names() []string { return s.names }

// Declared lists the attributes that only the operator's declaration gives to a
// person, ordered by name.
func (s *Schema) Declared() []Attribute {
	var all []Attribute
	for _, n := range s.names {
		if builtin[n] == Unset && standards[n].typ == Unset {
			all = append(all, Attribute{n, s.types[n]})
		}
	}
	return all
}

// Coerce turns x into a value that the attribute may have: of its type and
// within its limits (rule X7). The error says what is wrong with the attribute
// or, as a CoerceError, with the value.
func (s *Schema) Coerce(name string, x any) (Value, error) {
	switch {
	case s.types[name] == Unset:
		return Value{}, s.unknown(name)
	case builtin[name] != Unset && s.event == "":
		return Value{}, fmt.Errorf("attribute %q belongs to every person and cannot be set", name)
	}
	v, err := Coerce(x, s.types[name])
	if err != nil {
		return Value{}, err
	}
	if s.event != "" {
		return v, nil
	}
	return standards[name].within(v)
}

func (s *Schema) unknown(name string) error {
	if s.event != "" {
		return fmt.Errorf("the event %q has no property %q%s", s.event, name, didYouMean(name, s.names))
	}
	return fmt.Errorf("there is no attribute %q%s", name, didYouMean(name, s.names))
}

// within checks the limits of a standard attribute; one that is none has none.
func (a standard) within(v Value) (Value, error) {
	if v.Type != Text {
		return v, nil
	}
	if a.limit > 0 && utf8.RuneCountInString(v.Str) > a.limit {
		return Value{}, &CoerceError{Text, shorten(v.Str), fmt.Sprintf("it is longer than %d characters", a.limit)}
	}
	if a.fit != nil {
		fitted, err := a.fit(v.Str)
		if err != nil {
			return Value{}, &CoerceError{Text, shorten(v.Str), err.Error()}
		}
		v.Str = fitted
	}
	return v, nil
}

// attribute is the value of any attribute of p.
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
	// Of e-mails.
	inboundSubject = "subject"
	inboundSPF     = "spf"
	inboundDKIM    = "dkim"
	inboundDMARC   = "dmarc"
	inboundFiles   = "files"
)

var inboundTypes = map[string]Type{
	inboundText: Text, inboundNumber: Decimal, inboundDate: Date, inboundKeyword: Text, inboundFrom: Text, inboundTo: Text,
	inboundSubject: Text, inboundSPF: Text, inboundDKIM: Text, inboundDMARC: Text, inboundFiles: List,
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
	case inboundSubject:
		return optionalText(h.Subject)
	case inboundSPF:
		return optionalText(h.SPF)
	case inboundDKIM:
		return optionalText(h.DKIM)
	case inboundDMARC:
		return optionalText(h.DMARC)
	case inboundFiles:
		if len(h.Files) > 0 {
			return ListValue(h.Files)
		}
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
