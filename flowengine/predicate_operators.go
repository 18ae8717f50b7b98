package flowengine

import (
	"math"
	"slices"
	"strings"

	"trunkline/keyword"
)

// family is a kind of value with its own set of operators. Types that compare
// alike share one; phone numbers and e-mail addresses are texts with more to ask.
type family uint8

const (
	noFamily family = iota
	textFamily
	numberFamily
	booleanFamily
	dateFamily
	dateTimeFamily
	phoneFamily
	emailFamily
	listFamily
	contactFamily
)

// familyOf is the family of an attribute.
func familyOf(attribute string, t Type) family {
	switch {
	case attribute == attrPhone:
		return phoneFamily
	case attribute == attrEmail:
		return emailFamily
	}
	switch t {
	case Text:
		return textFamily
	case Whole, Decimal:
		return numberFamily
	case Boolean:
		return booleanFamily
	case Date:
		return dateFamily
	case DateTime:
		return dateTimeFamily
	case List:
		return listFamily
	}
	return noFamily
}

// has says whether values of a type are of the family as they are.
func (f family) has(t Type) bool {
	switch f {
	case textFamily, phoneFamily, emailFamily:
		return t == Text
	case numberFamily:
		return t == Whole || t == Decimal
	case booleanFamily:
		return t == Boolean
	case dateFamily, dateTimeFamily, contactFamily:
		return t == Date || t == DateTime
	case listFamily:
		return t == List
	}
	return false
}

// of makes a value of the family, when v has such a form.
func (f family) of(v Value) (Value, bool) {
	if f.has(v.Type) {
		return v, true
	}
	types := [2]Type{}
	switch f {
	case textFamily, phoneFamily, emailFamily:
		return TextValue(v.String()), true
	case numberFamily:
		types[0] = Decimal
	case booleanFamily:
		types[0] = Boolean
	case dateFamily, dateTimeFamily, contactFamily:
		types = [2]Type{Date, DateTime}
	}
	if v.Type != Text { // a number is no date, nor the other way round
		return Value{}, false
	}
	for _, t := range types {
		if t == Unset {
			continue
		}
		if of, err := coerceText(v.Str, t); err == nil && of.Type != Unset {
			return of, true
		}
	}
	return Value{}, false
}

// operand says what an operator compares with.
type operand uint8

const (
	nothing   operand = iota
	constant          // one constant
	pair              // a list of two
	several           // a list
	oneOrMore         // a constant or a list
	stretch           // a number of days
)

// operator is one way to look at values of a family.
type operator struct {
	name    string
	operand operand
	make    func(c *leafCompiler) test // nil result: an error was reported
	negate  bool
	missing bool // what it says of a missing value
	clock   bool // its truth changes with the day
	dated   bool // it knows anniversaries
	folds   bool // it knows capital letters
}

func isSet(*leafCompiler) test { return func(Value, *View) bool { return true } }

var (
	isEmpty    = operator{name: "is_empty", make: isSet, negate: true, missing: true}
	isNotEmpty = operator{name: "is_not_empty", make: isSet}
)

// operators are those of each family, in the order of the reference.
var operators = map[family][]operator{
	textFamily: {
		{name: "is", operand: constant, make: textIs, folds: true},
		{name: "is_not", operand: constant, make: textIs, folds: true, negate: true, missing: true},
		{name: "contains", operand: constant, make: textContains, folds: true},
		{name: "starts_with", operand: constant, make: textStarts, folds: true},
		{name: "ends_with", operand: constant, make: textEnds, folds: true},
		isEmpty, isNotEmpty,
		{name: "matches", operand: constant, make: textMatches, folds: true},
		{name: "in", operand: several, make: textIn, folds: true},
	},
	numberFamily: {
		{name: "is", operand: constant, make: numberTest(equal)},
		{name: "is_not", operand: constant, make: numberTest(equal), negate: true, missing: true},
		{name: "lt", operand: constant, make: numberTest(less)},
		{name: "lte", operand: constant, make: numberTest(lessOrEqual)},
		{name: "gte", operand: constant, make: numberTest(greaterOrEqual)},
		{name: "gt", operand: constant, make: numberTest(greater)},
		{name: "between", operand: pair, make: numberBetween},
		isEmpty, isNotEmpty,
	},
	booleanFamily: {
		{name: "is", operand: constant, make: booleanIs},
		{name: "is_not", operand: constant, make: booleanIs, negate: true, missing: true},
	},
	dateFamily:     dateOperators,
	dateTimeFamily: dateOperators,
	phoneFamily: {
		{name: "is", operand: constant, make: phoneIs},
		{name: "is_not", operand: constant, make: phoneIs, negate: true, missing: true},
		{name: "starts_with", operand: constant, make: phoneStarts},
		{name: "country_is", operand: oneOrMore, make: phoneCountry},
		isEmpty, isNotEmpty,
	},
	emailFamily: {
		{name: "is", operand: constant, make: textIs},
		{name: "is_not", operand: constant, make: textIs, negate: true, missing: true},
		{name: "domain_is", operand: constant, make: emailDomain},
		{name: "contains", operand: constant, make: textContains},
		isEmpty, isNotEmpty,
	},
	listFamily: {
		{name: "has", operand: constant, make: listHas, folds: true},
		{name: "contains", operand: constant, make: listHas, folds: true},
		{name: "has_any", operand: several, make: listHasAny, folds: true},
		{name: "has_all", operand: several, make: listHasAll, folds: true},
		isEmpty, isNotEmpty,
	},
	contactFamily: slices.DeleteFunc(slices.Clone(dateOperators), func(o operator) bool {
		return strings.HasPrefix(o.name, "will_be_") || o.name == "is" || o.name == "is_not" || o.name == "is_today"
	}),
}

var dateOperators = []operator{
	{name: "is", operand: constant, make: momentTest(equal), dated: true},
	{name: "is_not", operand: constant, make: momentTest(equal), dated: true, negate: true, missing: true},
	{name: "before", operand: constant, make: momentTest(less), dated: true},
	{name: "until", operand: constant, make: momentTest(lessOrEqual), dated: true},
	{name: "since", operand: constant, make: momentTest(greaterOrEqual), dated: true},
	{name: "after", operand: constant, make: momentTest(greater), dated: true},
	isEmpty, isNotEmpty,
	{name: "is_today", make: relativeTest(isToday), dated: true, clock: true},
	{name: "will_be_in", operand: stretch, make: relativeTest(willBeIn), dated: true, clock: true},
	{name: "will_be_within", operand: stretch, make: relativeTest(willBeWithin), dated: true, clock: true},
	{name: "will_be_more_than", operand: stretch, make: relativeTest(willBeMoreThan), dated: true, clock: true},
	{name: "was", operand: stretch, make: relativeTest(was), dated: true, clock: true},
	{name: "was_within", operand: stretch, make: relativeTest(wasWithin), dated: true, clock: true},
	{name: "was_more_than", operand: stretch, make: relativeTest(wasMoreThan), dated: true, clock: true},
	{name: "was_today", make: relativeTest(wasToday), dated: true, clock: true},
}

func operatorNamed(list []operator, name string) *operator {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

func namesOf(list []operator) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].name
	}
	return names
}

// untyped are the families in which an operator of a value without a declared
// type is looked for, in this order.
var untyped = []family{textFamily, numberFamily, dateTimeFamily, phoneFamily, emailFamily, listFamily, booleanFamily}

// operatorNames lists the operators of all conditions, for the schema.
func operatorNames() []any {
	var names []any
	add := func(name string) {
		if !slices.Contains(names, any(name)) {
			names = append(names, name)
		}
	}
	for _, f := range untyped {
		for _, name := range namesOf(operators[f]) {
			add(name)
		}
	}
	for _, name := range []string{
		"has_not", "happened", "not_happened",
		messageDelivered, messageNotDelivered, messageClicked, messageNotClicked, messageAccepted, messageFailed, messageOpened, messageNotOpened,
	} {
		add(name)
	}
	return names
}

// relation is how one value has to stand to another.
type relation uint8

const (
	equal relation = iota
	less
	lessOrEqual
	greaterOrEqual
	greater
)

// holds takes the outcome of a comparison, as of cmp.Compare.
func (r relation) holds(c int) bool {
	switch r {
	case equal:
		return c == 0
	case less:
		return c < 0
	case lessOrEqual:
		return c <= 0
	case greaterOrEqual:
		return c >= 0
	}
	return c > 0
}

func numberTest(r relation) func(*leafCompiler) test {
	return func(c *leafCompiler) test {
		want, ok := c.number(&c.value)
		if !ok {
			return nil
		}
		c.bounds = []Value{want}
		return func(v Value, _ *View) bool { return r.holds(compareNumbers(v, want)) }
	}
}

func numberBetween(c *leafCompiler) test {
	low, ok := c.number(&c.value.items[0], 0)
	high, alsoOK := c.number(&c.value.items[1], 1)
	if !ok || !alsoOK {
		return nil
	}
	if compareNumbers(low, high) > 0 {
		c.errorAt("value", "nothing is between %s and %s: the lower number comes first", low, high)
		return nil
	}
	c.bounds = []Value{low, high}
	return func(v Value, _ *View) bool { return compareNumbers(low, v) <= 0 && compareNumbers(v, high) <= 0 }
}

// compareNumbers is exact for any Whole and Decimal.
func compareNumbers(a, b Value) int {
	if a.Type != b.Type {
		if a.Type == Decimal {
			return -compareNumbers(b, a)
		}
		// a is whole. It is compared with what of b is whole, then with the rest.
		whole, rest := b.Num/scale, b.Num%scale
		switch {
		case a.Num < whole, a.Num == whole && rest > 0:
			return -1
		case a.Num > whole, rest < 0:
			return 1
		}
		return 0
	}
	switch {
	case a.Num < b.Num:
		return -1
	case a.Num > b.Num:
		return 1
	}
	return 0
}

func booleanIs(c *leafCompiler) test {
	want, ok := c.coerce(&c.value, Boolean)
	if !ok {
		return nil
	}
	return func(v Value, _ *View) bool { return v.Num == want.Num }
}

func phoneIs(c *leafCompiler) test {
	want, ok := c.phone()
	if !ok {
		return nil
	}
	return func(v Value, _ *View) bool { return v.Str == want }
}

func phoneStarts(c *leafCompiler) test {
	want, ok := c.phone()
	if !ok {
		return nil
	}
	return func(v Value, _ *View) bool { return strings.HasPrefix(v.Str, want) }
}

// phone is the operand as E.164 digits.
func (c *leafCompiler) phone() (string, bool) {
	v, ok := c.coerce(&c.value, Text)
	if !ok {
		return "", false
	}
	n := keyword.Number(v.Str)
	if n == "" || strings.Trim(n, "0123456789") != "" {
		c.errorAt("value", "%q is not a phone number: write it with its country code, such as +38591…", shorten(v.Str))
		return "", false
	}
	return n, true
}

func phoneCountry(c *leafCompiler) test {
	var want []string
	for i, l := range c.several() {
		code := strings.ToUpper(l.text)
		if !isCountry(code) {
			c.report(c.operandAt([]any{i}), "%q is not a country: two letters are expected, such as HR (ISO 3166-1)", shorten(l.text))
			return nil
		}
		want = append(want, code)
	}
	return func(v Value, _ *View) bool {
		country := countryOf(v.Str)
		return country != "" && slices.Contains(want, country)
	}
}

func emailDomain(c *leafCompiler) test {
	v, ok := c.coerce(&c.value, Text)
	if !ok {
		return nil
	}
	domain := strings.TrimPrefix(v.Str, "@")
	if domain == "" || strings.ContainsAny(domain, "@ \t") {
		c.errorAt("value", "%q is not a domain: write what follows the @, such as example.com", shorten(v.Str))
		return nil
	}
	m := newTextMatch(textEnding, "@"+domain, false)
	return m.test
}

func listHas(c *leafCompiler) test {
	v, ok := c.coerce(&c.value, Text)
	if !ok {
		return nil
	}
	m := newTextMatch(textEqual, v.Str, c.sensitive)
	return func(v Value, _ *View) bool { return m.anyOf(v) }
}

func listHasAny(c *leafCompiler) test {
	m, ok := c.textSet()
	if !ok {
		return nil
	}
	return func(v Value, _ *View) bool { return m.anyOf(v) }
}

func listHasAll(c *leafCompiler) test {
	var all []*textMatch
	for i := range c.value.items {
		v, ok := c.coerce(&c.value.items[i], Text, i)
		if !ok {
			return nil
		}
		all = append(all, newTextMatch(textEqual, v.Str, c.sensitive))
	}
	return func(v Value, _ *View) bool {
		for _, m := range all {
			if !m.anyOf(v) {
				return false
			}
		}
		return true
	}
}

// countOf is the test of how often something happened.
func countOf(op string, low, high int64) countTest {
	switch op {
	case "is":
		return countTest{low, low}
	case "lt":
		return countTest{0, low - 1}
	case "lte":
		return countTest{0, low}
	case "gt":
		return countTest{low + 1, math.MaxInt64}
	case "between":
		return countTest{low, high}
	}
	return countTest{low, math.MaxInt64} // gte
}
