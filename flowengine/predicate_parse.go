package flowengine

import (
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// Limits of one condition.
const (
	maxPredicateLeaves = 50
	maxPredicateDepth  = 8
	maxPredicateValues = 100 // of one comparison
	maxPattern         = 500 // bytes of a regular expression
)

// The forms that a condition can be written in. Each is told by its first key.
type (
	attrForm struct {
		Attr       string `yaml:"attr" required:"true" doc:"Attribute of the person."`
		comparison `yaml:",inline"`
	}
	varForm struct {
		Var        string `yaml:"var" required:"true" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,63}$" doc:"Variable of the run."`
		comparison `yaml:",inline"`
	}
	propForm struct {
		Prop       string `yaml:"prop" required:"true" max:"64" doc:"Property of the event at hand."`
		comparison `yaml:",inline"`
	}
	contactForm struct {
		Contact string  `yaml:"contact" required:"true" enum:"sms,email,voice,push,chat" doc:"Channel on which the person was last contacted."`
		Op      string  `yaml:"op" required:"true" doc:"Operator."`
		Value   literal `yaml:"value" doc:"What the operator compares with."`
	}
	tagForm struct {
		Tag string `yaml:"tag" required:"true" max:"200" doc:"Tag of the person."`
		Op  string `yaml:"op" enum:"has,has_not" default:"has" doc:"Operator."`
	}
	tagsForm struct {
		Tags []string `yaml:"tags" required:"true" min:"1" max:"100" doc:"Tags of the person."`
		Op   string   `yaml:"op" required:"true" enum:"has_any,has_all" doc:"Operator."`
	}
	eventForm struct {
		Event  string        `yaml:"event" required:"true" doc:"Name of a People event."`
		Op     string        `yaml:"op" enum:"happened,not_happened" default:"happened" doc:"Operator."`
		Within time.Duration `yaml:"within" min:"1s" max:"90d" doc:"How long ago at most. Default: as long as events are kept."`
		Where  *Predicate    `yaml:"where" doc:"Condition over properties of the event."`
		Count  *countForm    `yaml:"count" doc:"How often. Default: at least once."`
	}
	countForm struct {
		Op    string  `yaml:"op" required:"true" enum:"is,lt,lte,gte,gt,between" doc:"Operator."`
		Value literal `yaml:"value" required:"true" doc:"A number, or two for between."`
	}
	messageForm struct {
		Message string `yaml:"message" required:"true" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Element of the flow that sent the message."`
		Op      string `yaml:"op" required:"true" enum:"delivered,not_delivered,opened,not_opened,clicked,not_clicked,accepted,failed" doc:"Operator. Of a message that was never sent, none is true."`
	}
	allForm struct {
		All []Predicate `yaml:"all" required:"true" min:"1" max:"50" doc:"Conditions that all have to hold."`
	}
	anyForm struct {
		Any []Predicate `yaml:"any" required:"true" min:"1" max:"50" doc:"Conditions of which one has to hold."`
	}
	notForm struct {
		Not Predicate `yaml:"not" required:"true" doc:"Condition that must not hold."`
	}
	exprForm struct {
		Expr string `yaml:"expr" required:"true" doc:"Expression over person, inbound, event, vars and now that is true or false."`
	}
)

// comparison is what follows the name of a value.
type comparison struct {
	Op          string  `yaml:"op" required:"true" doc:"Operator; which ones there are depends on the type."`
	Value       literal `yaml:"value" doc:"What the operator compares with: a constant, two for between, a list for in, has_any and has_all, a number of days for those that are relative to today."`
	Case        string  `yaml:"case" enum:"insensitive,sensitive" doc:"Whether capital letters differ from small ones in texts. Default: insensitive."`
	Anniversary *bool   `yaml:"anniversary" doc:"Ignore the year of dates. Default: true for operators relative to today on birthDate, false otherwise."`
	Leap        string  `yaml:"leap" enum:"feb28,mar1" doc:"When the anniversary of 29 February is in common years. Default: feb28."`
}

// predicateForms lists the forms, in the order of the reference.
var predicateForms = []struct {
	key  string
	make func() any
}{
	{"attr", func() any { return new(attrForm) }},
	{"tag", func() any { return new(tagForm) }},
	{"tags", func() any { return new(tagsForm) }},
	{"segment", func() any { return new(segmentForm) }},
	{"var", func() any { return new(varForm) }},
	{"event", func() any { return new(eventForm) }},
	{"prop", func() any { return new(propForm) }},
	{"message", func() any { return new(messageForm) }},
	{"contact", func() any { return new(contactForm) }},
	{"all", func() any { return new(allForm) }},
	{"any", func() any { return new(anyForm) }},
	{"not", func() any { return new(notForm) }},
	{"expr", func() any { return new(exprForm) }},
}

func predicateKeys() []string {
	keys := make([]string, len(predicateForms))
	for i, f := range predicateForms {
		keys[i] = f.key
	}
	return keys
}

// ParsePredicate reads a condition that stands alone, in YAML or JSON, and
// compiles it. The error is a strict.Errors with everything that is wrong.
func ParsePredicate(file string, data []byte, schema *Schema) (*Predicate, error) {
	doc := strict.Parse(file, data, strict.Options{})
	p := new(Predicate)
	doc.Decode(p)
	p.Check(schema, doc.ErrorAt)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// UnmarshalNode reads a condition: its first key says which others it may have.
func (p *Predicate) UnmarshalNode(n *strict.Node) error {
	if n.Kind != strict.Map {
		n.Mistyped("a condition", "write it as {attr: city, op: is, value: Zagreb}")
		return nil
	}
	var given []string
	var form any
	for _, f := range predicateForms {
		if n.Field(f.key) != nil {
			given, form = append(given, f.key), f.make()
		}
	}
	switch len(given) {
	case 0:
		n.Report("the condition does not say what it looks at", predicateHint(n))
		return nil
	case 1:
		n.DecodeFields(form)
		p.form = form
		return nil
	}
	n.Report("a condition looks at one thing, not at "+strings.Join(given, " and "), "join several by {all: […]} or {any: […]}")
	return nil
}

// predicateHint is about a condition without any key that could be its first.
func predicateHint(n *strict.Node) string {
	for _, f := range n.Fields {
		if hint := didYouMean(f.Key.Text, predicateKeys()); hint != "" {
			return strings.Trim(hint, " ()")
		}
	}
	return "the first key is " + orList(predicateKeys())
}

// orList is "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// JSONSchema has the keys of all forms: an editor offers them, ParsePredicate
// tells which go together. Conditions are described two levels deep.
func (p *Predicate) JSONSchema() map[string]any {
	inner := predicateSchema(map[string]any{"type": "object"})
	return predicateSchema(inner)
}

// predicateSchema is the schema of a condition with others inside.
func predicateSchema(inside map[string]any) map[string]any {
	properties := map[string]any{}
	var first []any
	add := func(key string, schema any) {
		if properties[key] == nil {
			properties[key] = schema
		}
	}
	for _, f := range predicateForms {
		first = append(first, map[string]any{"required": []any{f.key}})
		switch f.key {
		case "all", "any":
			add(f.key, map[string]any{"type": "array", "items": inside, "minItems": 1, "maxItems": maxPredicateLeaves})
		case "not":
			add(f.key, inside)
		case "event":
			add("event", map[string]any{"type": "string"})
			add("within", strict.Subschema(time.Duration(0)))
			add("where", inside)
			add("count", strict.Subschema(countForm{}))
		default:
			of, _ := strict.Subschema(f.make())["properties"].(map[string]any)
			for _, key := range slices.Sorted(maps.Keys(of)) {
				if key != "op" {
					add(key, of[key])
				}
			}
		}
	}
	properties["op"] = map[string]any{"enum": operatorNames(), "description": "Operator; which ones there are depends on the type."}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "oneOf": first}
}

// literal is a constant as it is written, or a list of constants.
type literal struct {
	kind  strict.Kind // Broken: not written
	text  string
	plain any
	items []literal
}

// UnmarshalNode reads a constant or a list of constants.
func (l *literal) UnmarshalNode(n *strict.Node) error {
	const expected = "a text, a number, true, false or a list of them"
	switch n.Kind {
	case strict.Map, strict.Null:
		n.Mistyped(expected, "")
		return nil
	case strict.List:
		if len(n.Items) == 0 || len(n.Items) > maxPredicateValues {
			n.Errorf("there are between 1 and %d values in a list, not %d", maxPredicateValues, len(n.Items))
			return nil
		}
		for _, item := range n.Items {
			if item.Kind == strict.List {
				item.Mistyped("a text, a number, true or false", "")
				return nil
			}
			var one literal
			if err := one.UnmarshalNode(item); err != nil {
				return err
			}
			l.items = append(l.items, one)
		}
	default:
		l.text, l.plain = n.Text, n.Value()
	}
	l.kind = n.Kind
	return nil
}

// JSONSchema allows constants and lists of them.
func (l *literal) JSONSchema() map[string]any {
	scalar := []any{"string", "number", "boolean"}
	return map[string]any{"anyOf": []any{
		map[string]any{"type": scalar},
		map[string]any{"type": "array", "items": map[string]any{"type": scalar}, "minItems": 1, "maxItems": maxPredicateValues},
	}}
}

// to makes a value of a type. A number counts as it is written: 12.50 is exact,
// and as a text it keeps its zeros.
func (l *literal) to(t Type) (Value, error) {
	if l.kind == strict.Number && (t == Text || t == Whole || t == Decimal || t == List) {
		if v, err := coerceText(l.text, t); err == nil {
			return v, nil
		}
	}
	return Coerce(l.plain, t)
}
