package flowengine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// Predicate compiles a condition of an element or entry point; what is wrong
// with it is reported below path.
func (c *Checker) Predicate(p *Predicate, path ...any) {
	p.Check(c.Schema, c.ErrorfAt, path...)
}

// Check compiles the condition and reports everything that is wrong with it, at
// paths that begin with at. A condition with an error is false of everybody.
func (p *Predicate) Check(schema *Schema, report func(path []any, format string, args ...any), at ...any) {
	p.root, p.uses = nil, Uses{}
	if p.form == nil { // not written, or reported when it was read
		return
	}
	c := &predicateCompiler{schema: schema, uses: &p.uses, report: func(path []any, format string, args ...any) {
		report(slices.Concat(at, path), format, args...)
	}}
	n, ok := c.node(p, nil, 1)
	if c.leaves > maxPredicateLeaves {
		c.report(nil, "the condition has %d comparisons; at most %d are allowed", c.leaves, maxPredicateLeaves)
		ok = false
	}
	if ok {
		p.root = &n
	}
}

// predicateCompiler makes nodes of what is written.
type predicateCompiler struct {
	schema *Schema
	uses   *Uses
	report func(path []any, format string, args ...any)
	leaves int
	where  bool // inside of an event's `where`
}

// node compiles one condition; ok is false when an error was reported.
func (c *predicateCompiler) node(p *Predicate, at []any, depth int) (n node, ok bool) {
	if depth > maxPredicateDepth {
		c.report(at, "conditions are nested deeper than %d levels", maxPredicateDepth)
		return n, false
	}
	switch form := p.form.(type) {
	case *allForm:
		return c.group(allNode, form.All, append(at, "all"), depth)
	case *anyForm:
		return c.group(anyNode, form.Any, append(at, "any"), depth)
	case *notForm:
		kid, ok := c.node(&form.Not, append(at, "not"), depth+1)
		return node{kind: notNode, kids: []node{kid}}, ok
	case nil: // reported when it was read
		return n, false
	}
	c.leaves++
	if _, isProp := p.form.(*propForm); c.where && !isProp {
		c.report(at, "`where` looks at properties of the event: {prop: …}, joined by all, any and not")
		return n, false
	}
	return c.leaf(p.form, at, depth)
}

func (c *predicateCompiler) group(kind nodeKind, kids []Predicate, at []any, depth int) (node, bool) {
	n, ok := node{kind: kind, kids: make([]node, len(kids))}, true
	for i := range kids {
		kid, good := c.node(&kids[i], append(slices.Clone(at), i), depth+1)
		n.kids[i], ok = kid, ok && good
	}
	return n, ok
}

func (c *predicateCompiler) leaf(form any, at []any, depth int) (n node, ok bool) {
	switch form := form.(type) {
	case *attrForm:
		return c.attribute(form, at)
	case *varForm:
		use(&c.uses.Vars, form.Var)
		return c.value(varNode, form.Var, fmt.Sprintf("variable %q", form.Var), noFamily, Unset, &form.comparison, at)
	case *propForm:
		if !c.where {
			use(&c.uses.Props, form.Prop)
		}
		return c.value(propNode, form.Prop, fmt.Sprintf("property %q", form.Prop), noFamily, Unset, &form.comparison, at)
	case *contactForm:
		use(&c.uses.Contacts, form.Contact)
		compared := &comparison{Op: form.Op, Value: form.Value}
		return c.value(contactNode, form.Contact, fmt.Sprintf("contact %q", form.Contact), contactFamily, DateTime, compared, at)
	case *tagForm:
		n = node{kind: hasAnyNode, tags: []Tag{c.tag(form.Tag)}}
		if form.Op == "has_not" {
			n = node{kind: notNode, kids: []node{n}}
		}
		return n, true
	case *tagsForm:
		return c.tagSet(form), true
	case *segmentForm:
		return c.segment(form, at)
	case *eventForm:
		return c.event(form, at, depth)
	case *messageForm:
		use(&c.uses.Messages, form.Message)
		return node{kind: messageNode, message: messageLeaf{form.Message, form.Op}}, true
	case *exprForm:
		return c.expression(form, at)
	}
	return n, false
}

func (c *predicateCompiler) attribute(form *attrForm, at []any) (node, bool) {
	t := c.schema.Type(form.Attr)
	if t == Unset {
		c.report(append(at, "attr"), "%v", c.schema.unknown(form.Attr))
		return node{}, false
	}
	use(&c.uses.Attributes, form.Attr)
	kind := attributeNode
	if builtin[form.Attr] != Unset {
		kind = builtinNode
	}
	return c.value(kind, form.Attr, fmt.Sprintf("attribute %q", form.Attr), familyOf(form.Attr, t), t, &form.comparison, at)
}

func (c *predicateCompiler) tag(name string) Tag {
	t := NewTag(name)
	use(&c.uses.Tags, t.Fold)
	return t
}

func (c *predicateCompiler) tagSet(form *tagsForm) node {
	n := node{kind: hasAnyNode}
	if form.Op == "has_all" {
		n.kind = hasAllNode
	}
	for _, name := range form.Tags {
		n.tags = append(n.tags, c.tag(name))
	}
	return n
}

func (c *predicateCompiler) expression(form *exprForm, at []any) (node, bool) {
	computed, err := CompileCondition(form.Expr, c.schema)
	if err != nil {
		c.report(append(at, "expr"), "%v", err)
		return node{}, false
	}
	c.uses.expression(&computed.expression.reads)
	return node{kind: exprNode, computed: computed}, true
}

func (c *predicateCompiler) event(form *eventForm, at []any, depth int) (node, bool) {
	ok := eventName.MatchString(form.Event)
	if !ok {
		c.report(append(at, "event"), "%q is not the name of an event: a letter and at most 63 more letters, digits, _ and - are expected", form.Event)
	}
	use(&c.uses.Events, form.Event)
	leaf := &eventLeaf{name: form.Event, within: form.Within, count: countOf("gte", 1, 0)}
	if form.Within > 0 {
		c.uses.Clock = true
	}
	if form.Where != nil {
		c.where = true
		where, good := c.node(form.Where, append(at, "where"), depth+1)
		c.where = false
		leaf.where, ok = &where, ok && good
	}
	n := node{kind: eventNode, event: leaf}
	if form.Op == "not_happened" {
		if form.Count != nil {
			c.report(append(at, "count"), "not_happened has no count: write `count: {op: lt, value: …}` without it")
			return n, false
		}
		leaf.count = countOf("is", 0, 0)
	} else if form.Count != nil {
		test, good := c.count(form.Count, append(at, "count"))
		leaf.count, ok = test, ok && good
	}
	return n, ok
}

// maxCount bounds how often an event may be asked to have happened.
const maxCount = 1_000_000

func (c *predicateCompiler) count(form *countForm, at []any) (countTest, bool) {
	at = append(slices.Clone(at), "value")
	given, want := []literal{form.Value}, 1
	if form.Op == "between" {
		given, want = form.Value.items, 2
	}
	if len(given) != want || given[0].items != nil {
		c.report(at, "%s", map[int]string{1: "one number is expected", 2: "between takes two numbers: [1, 5]"}[want])
		return countTest{}, false
	}
	var numbers [2]int64
	for i := range given {
		v, err := given[i].to(Whole)
		if err == nil && (v.Type == Unset || v.Num < 0 || v.Num > maxCount) {
			err = fmt.Errorf("%q is not a count: a number between 0 and %d is expected", shorten(given[i].text), maxCount)
		}
		if err != nil {
			c.report(at, "%v", err)
			return countTest{}, false
		}
		numbers[i] = v.Num
	}
	if want == 2 && numbers[0] > numbers[1] {
		c.report(at, "nothing is between %d and %d: the lower number comes first", numbers[0], numbers[1])
		return countTest{}, false
	}
	return countOf(form.Op, numbers[0], numbers[1]), true
}

// value compiles the comparison of one value. Without a family, the operator
// and what it compares with say what kind of value is meant.
func (c *predicateCompiler) value(kind nodeKind, name, label string, f family, t Type, written *comparison, at []any) (node, bool) {
	typed := f != noFamily
	if !typed {
		f = impliedFamily(written)
	}
	op := operatorNamed(operators[f], written.Op)
	if op == nil {
		if typed {
			label = fmt.Sprintf("%s (%s)", label, f.kind(t))
		}
		c.report(append(at, "op"), "%s has no operator %q%s", label, shorten(written.Op), operatorHint(written.Op, f))
		return node{}, false
	}
	leaf := &leafCompiler{
		predicateCompiler: c, at: at, attribute: name, typ: t, op: op, value: written.Value,
		sensitive: written.Case == "sensitive", mar1: written.Leap == "mar1",
	}
	if kind != attributeNode {
		leaf.attribute = ""
	}
	if !leaf.options(written) || !leaf.operand() {
		return node{}, false
	}
	test := op.make(leaf)
	c.uses.Clock = c.uses.Clock || op.clock
	n := node{kind: kind, value: valueLeaf{name: name, family: f, typed: typed, missing: op.missing, negate: op.negate, test: test, turn: leaf.turn}}
	if test != nil {
		n.value.only, n.value.onlyType = leaf.only(f)
		n.value.bounds = leaf.bounds
	}
	return n, test != nil
}

// kind is what messages call a value of the family.
func (f family) kind(t Type) string {
	switch f {
	case phoneFamily:
		return "phone number"
	case emailFamily:
		return "e-mail address"
	case contactFamily:
		return "time of contact"
	}
	return t.String()
}

// operatorHint says which operators there are.
func operatorHint(op string, f family) string {
	names := namesOf(operators[f])
	if f == noFamily { // all families were looked at
		for _, one := range untyped {
			names = append(names, namesOf(operators[one])...)
		}
	}
	if hint := didYouMean(op, names); hint != "" || f == noFamily {
		return hint
	}
	return "; it has " + strings.Join(names, ", ")
}

// impliedFamily is what kind of value a comparison without a declared type is
// about: is and is_not go by what is compared with, all others are told by name.
func impliedFamily(written *comparison) family {
	if written.Op == "is" || written.Op == "is_not" {
		switch written.Value.kind {
		case strict.Number:
			return numberFamily
		case strict.Bool:
			return booleanFamily
		}
		if isMoment(written.Value.text) {
			return dateTimeFamily
		}
		return textFamily
	}
	for _, f := range untyped {
		if operatorNamed(operators[f], written.Op) != nil {
			return f
		}
	}
	return noFamily
}

// isMoment says whether a text is a day or a point in time.
func isMoment(text string) bool {
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return true
	}
	m, err := ParseMoment(text)
	return err == nil && m.form != timeOfDay
}

// leafCompiler makes the test of one comparison.
type leafCompiler struct {
	*predicateCompiler
	at          []any
	attribute   string // whose limits hold; "" when it is no attribute
	typ         Type   // declared; Unset when nobody says
	op          *operator
	value       literal
	sensitive   bool
	anniversary bool
	mar1        bool
	turn        *turn   // set by comparisons with now
	bounds      []Value // set by comparisons with numbers
}

// errorAt reports an error about one key of the comparison.
func (c *leafCompiler) errorAt(key, format string, args ...any) {
	c.report(append(slices.Clone(c.at), key), format, args...)
}

// operandAt is the path of the operand, or of an item when it is a list.
func (c *leafCompiler) operandAt(item []any) []any {
	if c.value.kind != strict.List {
		item = nil
	}
	return slices.Concat(c.at, []any{"value"}, item)
}

// options checks the keys that only some operators know.
func (c *leafCompiler) options(written *comparison) bool {
	ok := true
	if written.Case != "" && !c.op.folds {
		c.errorAt("case", "operator %q does not compare letters: leave `case` out", c.op.name)
		ok = false
	}
	if written.Anniversary != nil && !c.op.dated {
		c.errorAt("anniversary", "operator %q does not compare dates: leave `anniversary` out", c.op.name)
		ok = false
	}
	c.anniversary = c.attribute == attrBirthDate && c.op.clock // E11
	if written.Anniversary != nil {
		c.anniversary = *written.Anniversary
	}
	if written.Leap != "" && (!c.anniversary || !c.op.clock) {
		c.errorAt("leap", "`leap` is about anniversaries relative to today: leave it out")
		ok = false
	}
	return ok
}

// operand checks that there is what the operator compares with.
func (c *leafCompiler) operand() bool {
	given, items := c.value.kind, len(c.value.items)
	wrong := ""
	switch c.op.operand {
	case nothing:
		if given != strict.Broken {
			c.errorAt("value", "operator %q compares with nothing: leave `value` out", c.op.name)
			return false
		}
		return true
	case constant, stretch:
		if given == strict.List {
			wrong = "operator %q takes one value, not a list"
		}
	case pair:
		if given != strict.List || items != 2 {
			wrong = "operator %q takes two values: [1, 5]"
		}
	case several:
		if given != strict.List {
			wrong = "operator %q takes a list of values: [a, b]"
		}
	}
	if given == strict.Broken {
		wrong = "operator %q needs a `value`"
	}
	if wrong != "" {
		c.errorAt("value", wrong, c.op.name)
	}
	return wrong == ""
}

// several is the operand as a list.
func (c *leafCompiler) several() []literal {
	if c.value.kind == strict.List {
		return c.value.items
	}
	return []literal{c.value}
}

// coerce makes a value of a type from an operand; index is its place in a list.
func (c *leafCompiler) coerce(l *literal, t Type, index ...any) (Value, bool) {
	v, err := l.to(t)
	if err == nil && v.Type == Unset {
		err = errors.New("the value is empty; is_empty and is_not_empty ask for what is missing")
	}
	if err != nil {
		c.report(c.operandAt(index), "%v", err)
		return Value{}, false
	}
	return v, true
}

// fitting is coerce within the limits of the attribute: beyond them, nothing
// could be equal.
func (c *leafCompiler) fitting(l *literal, t Type, index ...any) (Value, bool) {
	v, ok := c.coerce(l, t, index...)
	if !ok || c.attribute == "" {
		return v, ok
	}
	v, err := standards[c.attribute].within(v)
	if err != nil {
		c.report(c.operandAt(index), "%v", err)
		return Value{}, false
	}
	return v, true
}

// number is an operand as a Whole or Decimal, as the attribute is one or the other.
func (c *leafCompiler) number(l *literal, index ...any) (Value, bool) {
	t := c.typ
	if t == Unset {
		t = Decimal
	}
	return c.coerce(l, t, index...)
}
