package flowengine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// Limits of one flow.
const (
	maxElements    = 500
	maxEntries     = 100
	maxWords       = 200 // of one entry point or branch
	maxEntryLimits = 20
	maxFlowName    = 200  // characters of a flow's name, and of its salt
	maxWhole       = 1e15 // beyond, a number with decimals is not exact
)

// ParseFlow reads a flow file, in YAML or JSON, and makes the version that runs.
// The error is a strict.Errors with everything that is wrong, by place. Numbers
// says which numbers are ours; nil believes every one. The caller sets Ordinal.
func ParseFlow(file string, data []byte, schema *Schema, numbers Numbers) (*Version, error) {
	return ParseFlowIn(nil, file, data, schema, numbers)
}

// ParseFlowIn is ParseFlow for a file whose e-mails may have their texts in files of a
// folder: html_file and text_file. What they hold becomes part of the version.
func ParseFlowIn(folder fs.FS, file string, data []byte, schema *Schema, numbers Numbers) (*Version, error) {
	doc := strict.Parse(file, data, strict.Options{})
	inlineFiles(doc.Root(), folder)
	d := new(definition)
	doc.Decode(d)
	if !d.whole(doc) {
		return nil, doc.Err()
	}
	b := &builder{definition: d, schema: schema, numbers: numbers, report: func(path []any, warning bool, message string) {
		if warning {
			doc.WarnAt(path, "%s", message)
		} else {
			doc.ErrorAt(path, "%s", message)
		}
	}}
	v := b.build()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	canonical, err := strict.Canonical(doc, "goals")
	if err != nil {
		return nil, err
	}
	v.Canonical, v.Hash = canonical, sha256.Sum256(canonical)
	v.locate(doc)
	for _, w := range doc.Warnings() {
		v.Warnings = append(v.Warnings, w.Error())
	}
	return v, nil
}

// locate notes where things stand in the file that only the whole configuration,
// or what is stored, can tell to be wrong.
func (v *Version) locate(doc *strict.Document) {
	v.File = doc.File
	for id, n := range v.nodes {
		n.Line, n.Column = doc.Position([]any{"elements", id, "type"})
	}
	for i, e := range v.Entries {
		e.Line, e.Column = doc.Position([]any{"entries", i, "type"})
	}
}

// whole says whether enough of the definition was read to check it as a whole.
// What is too large is reported and not looked at.
func (d *definition) whole(doc *strict.Document) bool {
	root := doc.Root()
	if root == nil || root.Kind != strict.Map {
		return false
	}
	elements := root.Field("elements")
	if elements == nil || elements.Kind != strict.Map {
		return false
	}
	tooLong := func(n, limit int, what string, path ...any) bool {
		if n > limit {
			doc.ErrorAt(path, "%d %s are too many; at most %d are allowed", n, what, limit)
		}
		return n > limit
	}
	s := &d.Settings
	tooLong(len([]rune(d.Name)), maxFlowName, "characters of a name", "name")
	tooLong(len([]rune(s.Salt)), maxFlowName, "characters of a salt", "settings", "salt")
	tooLong(len(s.EntryLimits), maxEntryLimits, "entry limits", "settings", "entry_limits")
	elementsTooMany := tooLong(len(d.Elements), maxElements, "elements", "elements")
	entriesTooMany := tooLong(len(d.Entries), maxEntries, "entry points", "entries")
	return !elementsTooMany && !entriesTooMany
}

// didYouMean is ` (did you mean "x"?)`, or "" when no known word is close.
func didYouMean(word string, known []string) string { return strict.DidYouMean(word, known) }

// UnmarshalNode reads an element: its type says which options it may have.
func (e *elementNode) UnmarshalNode(n *strict.Node) error {
	e.Type = readType(n, "an element", "element", elementTypeNames())
	element := newElement(e.Type)
	if element == nil {
		return nil
	}
	if on := n.Field("on"); on != nil {
		on.Decode(&e.On)
	}
	n.DecodeFields(element, "type", "on")
	e.Element = element
	return nil
}

// readType reads the key `type` of what has one, and reports one that is missing
// or not known. a and what name the thing in messages.
func readType(n *strict.Node, a, what string, names []string) (name string) {
	if n.Kind != strict.Map {
		n.Mistyped(a+" with a type", "")
		return ""
	}
	typ := n.Field("type")
	if typ == nil {
		n.Report(`"type" is missing`, "the types are "+strings.Join(names, ", "))
		return ""
	}
	typ.Decode(&name)
	if channel := comingTypes[name]; channel != "" && what == "element" {
		typ.Errorf("%s can't be used: %s", name, Coming[channel])
		return name
	}
	if typ.Kind == strict.String && !slices.Contains(names, name) {
		hint := didYouMean(name, names)
		if hint == "" {
			hint = "; the types are " + strings.Join(names, ", ")
		}
		typ.Errorf("there is no %s type %q%s", what, shorten(name), hint)
	}
	return name
}

// UnmarshalNode reads `any`, a keyword or a list of keywords. The keyword "any"
// itself is written in a list.
func (k *Keywords) UnmarshalNode(n *strict.Node) error {
	const expected, hint = "any, a keyword or a list of keywords", "a keyword that is a number is put in quotes"
	switch n.Kind {
	case strict.String:
		if k.Any = n.Text == "any"; !k.Any {
			k.Words = []string{n.Text}
		}
	case strict.List:
		if len(n.Items) == 0 || len(n.Items) > maxWords {
			return fmt.Errorf("there are between 1 and %d keywords in a list, not %d", maxWords, len(n.Items))
		}
		n.Decode(&k.Words)
	case strict.Number, strict.Bool:
		n.Mistyped(expected, fmt.Sprintf("put it in quotes: %q", n.Text))
	default:
		n.Mistyped(expected, hint)
	}
	return nil
}

// UnmarshalNode reads a constant or ${…}.
func (s *Setting) UnmarshalNode(n *strict.Node) error {
	switch n.Kind {
	case strict.List, strict.Map:
		n.Mistyped("a text, a number, true, false, null or ${…}", "")
		return nil
	case strict.String:
		source, isExpression, whole := expressionIn(n.Text)
		switch {
		case !whole:
			return errors.New("${…} must be the whole text; join texts in the expression: ${\"a\" + inbound.text}")
		case isExpression && source == "":
			return errors.New("the expression is empty")
		}
		if s.Source = source; isExpression {
			return nil
		}
	}
	s.Constant = n.Value()
	if f, ok := s.Constant.(float64); ok && (f > maxWhole || f < -maxWhole) {
		return errors.New("the number is too large")
	}
	return nil
}

// UnmarshalNode reads a percentage.
func (s *Share) UnmarshalNode(n *strict.Node) error {
	const expected = "a percentage above 0 with at most two decimal places"
	if n.Kind != strict.Number {
		n.Mistyped(expected, "write a number such as 33.34, without quotes or %")
		return nil
	}
	share, ok := ParseShare(n.Text)
	if !ok {
		n.Mistyped(expected, "")
	}
	*s = share
	return nil
}

// UnmarshalNode reads a time of day, a local time or an instant.
func (m *Moment) UnmarshalNode(n *strict.Node) error {
	if n.Kind != strict.String {
		n.Mistyped("a time", "write it as 09:00, 2026-12-24 09:00 or 2026-12-24T09:00:00+01:00")
		return nil
	}
	parsed, err := ParseMoment(n.Text)
	*m = parsed
	return err
}

// entryLimitOptions is an EntryLimit as it is written.
type entryLimitOptions struct {
	Max int           `yaml:"max" required:"true" min:"1" max:"1000" doc:"Entries that are allowed."`
	Per time.Duration `yaml:"per" required:"true" min:"1s" max:"3650d" doc:"In any stretch of time as long as this, such as 1h or 1d."`
}

// UnmarshalNode reads {max, per}.
func (l *EntryLimit) UnmarshalNode(n *strict.Node) error {
	var o entryLimitOptions
	n.Decode(&o)
	*l = EntryLimit(o)
	return nil
}
