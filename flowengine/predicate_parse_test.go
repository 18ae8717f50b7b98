package flowengine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"trunkline/configs/strict"
)

func TestPredicateErrors(t *testing.T) {
	schema := predicateSchemaOf(t)
	for _, tc := range []struct{ source, want string }{
		// What is looked at.
		{`[]`, `1:1: a list is found where a condition is expected (write it as {attr: city, op: is, value: Zagreb})`},
		{`{}`, `1:1: the condition does not say what it looks at (the first key is attr, tag, tags, segment, var, event, prop, message, contact, all, any, not or expr)`},
		{`{atr: name, op: is, value: x}`, `1:1: the condition does not say what it looks at (did you mean "attr"?)`},
		{`{attr: name, tag: vip, op: is, value: x}`, `1:1: a condition looks at one thing, not at attr and tag (join several by {all: […]} or {any: […]})`},
		{`{attr: nmae, op: is, value: x}`, `1:8: there is no attribute "nmae" (did you mean "name"?)`},
		{`{attr: name, opp: is, value: x}`, `1:14: unknown key "opp" (did you mean "op"?)`},
		{`{tag: vip, value: x}`, `1:12: unknown key "value" (the keys are tag, op)`},
		{`{event: "my event"}`, `1:9: "my event" is not the name of an event: a letter and at most 63 more letters, digits, _ and - are expected`},
		{`{contact: smss, op: was_today}`, `1:11: contact: "smss" is none of sms, email, voice, push, chat (did you mean "sms"?)`},
		{`{message: m, op: seen}`, `1:18: op: "seen" is none of delivered, not_delivered, opened, not_opened, clicked, not_clicked, accepted, failed`},
		{`{tags: [], op: has_any}`, `1:2: tags: 0 items are too few (between 1 and 100 items)`},

		// Operators of the type.
		{`{attr: shoeSize, op: contains, value: 4}`, `1:22: attribute "shoeSize" (whole_number) has no operator "contains"; it has is, is_not, lt, lte, gte, gt, between, is_empty, is_not_empty`},
		{`{attr: name, op: start_with, value: a}`, `1:18: attribute "name" (text) has no operator "start_with" (did you mean "starts_with"?)`},
		{`{attr: vip, op: is_empty}`, `1:17: attribute "vip" (boolean) has no operator "is_empty"; it has is, is_not`},
		{`{attr: phone, op: lt, value: 1}`, `1:19: attribute "phone" (phone number) has no operator "lt"; it has is, is_not, starts_with, country_is, is_empty, is_not_empty`},
		{`{attr: email, op: starts_with, value: a}`, `1:19: attribute "email" (e-mail address) has no operator "starts_with"; it has is, is_not, domain_is, contains, is_empty, is_not_empty`},
		{`{attr: colours, op: is, value: a}`, `1:21: attribute "colours" (list) has no operator "is"; it has has, contains, has_any, has_all, is_empty, is_not_empty`},
		{`{contact: sms, op: will_be_in, value: 1}`, `1:20: contact "sms" (time of contact) has no operator "will_be_in"; it has before, until, since, after, is_empty, is_not_empty, was, was_within, was_more_than, was_today`},
		{`{var: x, op: greater, value: 1}`, `1:14: variable "x" has no operator "greater"`},
		{`{prop: x, op: betwen, value: [1, 2]}`, `1:15: property "x" has no operator "betwen" (did you mean "between"?)`},

		// What is compared with.
		{`{attr: name, op: is}`, `1:1: operator "is" needs a ` + "`value`"},
		{`{attr: name, op: is_empty, value: x}`, `1:35: operator "is_empty" compares with nothing: leave ` + "`value` out"},
		{`{attr: name, op: is, value: [a]}`, `1:22: operator "is" takes one value, not a list`},
		{`{attr: name, op: in, value: a}`, `1:29: operator "in" takes a list of values: [a, b]`},
		{`{attr: shoeSize, op: between, value: [1]}`, `1:31: operator "between" takes two values: [1, 5]`},
		{`{attr: shoeSize, op: between, value: [5, 1]}`, `1:31: nothing is between 5 and 1: the lower number comes first`},
		{`{attr: shoeSize, op: between, value: [1, big]}`, `1:42: "big" is not a whole_number: digits without a point are expected`},
		{`{attr: shoeSize, op: gt, value: 42.5}`, `1:33: "42.5" is not a whole_number: it is not whole`},
		{`{attr: shoeSize, op: gt, value: ""}`, `1:33: the value is empty; is_empty and is_not_empty ask for what is missing`},
		{`{attr: balance, op: gt, value: 0.0000001}`, `1:32: "0.0000001" is not a decimal: at most six decimal places are kept`},
		{`{attr: vip, op: is, value: yes}`, `1:28: "yes" is not a boolean: true or false is expected`},
		{`{attr: expiry, op: before, value: 31.12.2026}`, `1:35: "31.12.2026" is not a date: a day as YYYY-MM-DD is expected`},
		{`{attr: expiry, op: before, value: "2026-12-31T00:00:00Z"}`, `1:35: "2026-12-31T00:00:00Z" is not a date: a day as YYYY-MM-DD is expected`},
		{`{attr: lastVisit, op: before, value: tomorrow}`, `1:38: "tomorrow" is neither a day nor a time: 2026-12-24, 2026-12-24 09:00 or 2026-12-24T09:00:00+01:00 is expected`},
		{`{attr: lastVisit, op: before, value: "09:00"}`, `1:38: "09:00" is neither a day nor a time: 2026-12-24, 2026-12-24 09:00 or 2026-12-24T09:00:00+01:00 is expected`},
		{`{attr: expiry, op: is, anniversary: true, value: "02-30"}`, `1:50: "02-30" is not a day: 1990-12-31 or 12-31 is expected`},
		{`{attr: expiry, op: will_be_in, value: soon}`, `1:39: "soon" is not a number of days: 7 or 7d is expected`},
		{`{attr: expiry, op: was_within, value: 36h}`, `1:39: "36h" is not a number of days: whole days are counted here, such as 7d`},
		{`{attr: lastVisit, op: was, value: 36h}`, `1:35: "36h" is not a number of days: whole days are counted here, such as 7d`},
		{`{attr: expiry, op: was, value: -1}`, `1:32: -1 days are out of range: between 0 and 36525`},
		{`{attr: expiry, op: was, value: 40000d}`, `1:32: 40000d days are out of range: between 0 and 36525`},
		{`{attr: birthDate, op: was_more_than, value: 6570}`, `1:45: no anniversary is 6570 days away; with ` + "`anniversary: false` the date itself is meant"},
		{`{attr: name, op: matches, value: "("}`, `1:34: "(" is not a regular expression (RE2): missing closing ): ` + "`(`"},
		{`{attr: name, op: matches, value: "` + strings.Repeat("a", maxPattern+1) + `"}`, `1:34: the regular expression is longer than 500 bytes`},
		{`{attr: city, op: is, value: ` + strings.Repeat("a", 51) + `}`, `1:29: "` + strings.Repeat("a", 40) + `…" is not a text: it is longer than 50 characters`},
		{`{attr: phone, op: is, value: bank}`, `1:30: "bank" is not a phone number: write it with its country code, such as +38591…`},
		{`{attr: phone, op: country_is, value: [HR, Croatia]}`, `1:43: "Croatia" is not a country: two letters are expected, such as HR (ISO 3166-1)`},
		{`{attr: email, op: domain_is, value: a@b.c}`, `1:37: "a@b.c" is not a domain: write what follows the @, such as example.com`},
		{`{attr: name, op: is, value: {a: 1}}`, `1:22: value: a map of keys is found where a text, a number, true, false or a list of them is expected`},
		{`{attr: name, op: in, value: []}`, `1:22: value: there are between 1 and 100 values in a list, not 0`},
		{`{attr: name, op: in, value: [[a]]}`, `1:30: value[0]: a list is found where a text, a number, true or false is expected`},

		// Options that mean nothing there.
		{`{attr: shoeSize, op: is, value: 1, case: sensitive}`, `1:42: operator "is" does not compare letters: leave ` + "`case` out"},
		{`{attr: name, op: is, value: a, case: upper}`, `1:38: case: "upper" is none of insensitive, sensitive`},
		{`{attr: name, op: is, value: a, anniversary: true}`, `1:45: operator "is" does not compare dates: leave ` + "`anniversary` out"},
		{`{attr: expiry, op: is_today, leap: mar1}`, `1:36: ` + "`leap` is about anniversaries relative to today: leave it out"},

		// Events.
		{`{event: E, within: 91d}`, `1:20: within: "91d" is too much (between 1s and 90d)`},
		{`{event: E, where: {tag: vip}}`, `1:12: ` + "`where` looks at properties of the event: {prop: …}, joined by all, any and not"},
		{`{event: E, where: {prop: x, op: gtt, value: 1}}`, `1:33: property "x" has no operator "gtt" (did you mean "gte"?)`},
		{`{event: E, op: not_happened, count: {op: is, value: 1}}`, `1:30: not_happened has no count: write ` + "`count: {op: lt, value: …}` without it"},
		{`{event: E, count: {op: is, value: -1}}`, `1:35: "-1" is not a count: a number between 0 and 1000000 is expected`},
		{`{event: E, count: {op: is, value: [1, 2]}}`, `1:28: one number is expected`},
		{`{event: E, count: {op: between, value: 1}}`, `1:40: between takes two numbers: [1, 5]`},
		{`{event: E, count: {op: between, value: [2, 1]}}`, `1:33: nothing is between 2 and 1: the lower number comes first`},
		{`{event: E, count: {op: gte, value: many}}`, `1:36: "many" is not a whole_number: digits without a point are expected`},

		// Inside of others, all at once.
		{`{all: [{attr: nmae, op: is_empty}, {not: {any: [{tag: ok}, {attr: vip, op: is, value: 3}]}}]}`,
			`1:15: there is no attribute "nmae" (did you mean "name"?)` + "\n" + `1:87: "3" is not a boolean: it is a number`},
		{`{all: []}`, `1:2: all: 0 items are too few (between 1 and 50 items)`},
		{`{expr: "person.nmae == 1"}`, `1:8: column 8: unknown field nmae (did you mean "name"?)`},
		{strings.Repeat("{not: ", maxPredicateDepth) + "{tag: x}" + strings.Repeat("}", maxPredicateDepth), `1:44: conditions are nested deeper than 8 levels`},
		{`{any: [{any: [` + strings.Repeat("{tag: x},", 26) + `]}, {any: [` + strings.Repeat("{tag: x},", 25) + `]}]}`, `1:1: the condition has 51 comparisons; at most 50 are allowed`},
	} {
		_, err := ParsePredicate("", []byte(tc.source), schema)
		got := "no error"
		if err != nil {
			got = strings.ReplaceAll(strings.TrimPrefix(err.Error(), ":"), "\n:", "\n")
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", shorten(tc.source), got, tc.want)
		}
	}
}

// An element reports what is wrong with its condition at its own place.
func TestCheckerPredicate(t *testing.T) {
	doc := strict.Parse("", []byte(`{when: {any: [{attr: nmae, op: is_empty}]}}`), strict.Options{})
	var o struct {
		When Predicate `yaml:"when"`
	}
	doc.Decode(&o)
	var got []any
	c := &Checker{Schema: predicateSchemaOf(t), at: []any{"elements", "x"}, report: func(path []any, _ bool, message string) {
		got = append(path, message)
	}}
	c.Predicate(&o.When, "when")
	want := []any{"elements", "x", "when", "any", 0, "attr", `there is no attribute "nmae" (did you mean "name"?)`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if o.When.Eval(&View{Person: new(Person)}) {
		t.Error("a condition with an error holds")
	}
}

// The schema allows what ParsePredicate takes, and knows the keys.
func TestPredicateJSONSchema(t *testing.T) {
	schema := strict.Schema(Predicate{}, strict.SchemaOptions{})
	text, err := strict.SchemaText(schema)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("p.json", loaded); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("p.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(source string) error {
		doc := strict.Parse("", []byte(source), strict.Options{})
		canonical, err := strict.Canonical(doc)
		if err != nil {
			t.Fatal(source, err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(value)
	}
	for _, source := range append(seeds, leaves...) {
		if err := valid(source); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, source := range []string{`{}`, `{attr: x, tag: y}`, `{attr: x, op: iss}`, `{attr: x, value: {}}`, `{atr: x}`, `{any: []}`, `{all: [{}]}`} {
		if valid(source) == nil {
			t.Errorf("%s is valid", source)
		}
	}
}

var seeds = []string{
	`{attr: shoeSize, op: gte, value: 42}`, `{attr: birthDate, op: is_today, leap: mar1}`, `{attr: country, op: in, value: [HR, SI]}`,
	`{attr: name, op: matches, value: "^A"}`, `{attr: shoeSize, op: between, value: [1, 5]}`, `{attr: name, op: is, value: "x", case: sensitive}`,
	`{tag: vip, op: has_not}`, `{tags: [a, b], op: has_all}`, `{var: score, op: gt, value: 3}`, `{prop: total, op: gt, value: 0}`,
	`{event: PurchaseFinished, op: happened, within: 7d, where: {prop: total, op: gt, value: 0}, count: {op: gte, value: 2}}`,
	`{message: ask, op: not_clicked}`, `{contact: sms, op: was_within, value: 7d}`, `{expr: "person.shoeSize > 40"}`,
	`{all: [{tag: a}, {any: [{tag: b}, {not: {tag: c}}]}]}`, `{attr: lastVisit, op: before, value: "2026-05-04 10:00"}`,
	`{attr: colours, op: has_any, value: [red, 1, true]}`, `{attr: expiry, op: is, value: "02-29", anniversary: true}`,
}

// JSON is read as YAML is, and one condition serves many goroutines.
func TestPredicateJSON(t *testing.T) {
	source, err := json.Marshal(map[string]any{"all": []any{map[string]any{"attr": "shoeSize", "op": "gte", "value": 42}, map[string]any{"tag": "vip"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := mustPredicate(t, string(source))
	var group sync.WaitGroup
	for range 4 {
		v := leafView(t)
		group.Go(func() {
			for range 100 {
				if !p.Eval(v) {
					t.Error("does not hold")
				}
			}
		})
	}
	group.Wait()
}

func FuzzPredicate(f *testing.F) {
	for _, s := range append(seeds, leaves...) {
		f.Add(s)
	}
	f.Add(`{attr: name, op: is, value: 0x1F}`)
	f.Add(`{any: [{attr: balance, op: lt, value: -1e300}, {var: x, op: is, value: .inf}]}`)
	schema := predicateSchemaOf(f)
	history := &past{}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := ParsePredicate("p", []byte(source), schema)
		if err != nil {
			return
		}
		v := leafView(t)
		v.Past = history
		v.Vars = v.Person.Attrs
		v.Event = &Happened{Name: "E", Props: v.Person.Attrs}
		once := p.Eval(v)
		if again := p.Eval(v); again != once {
			t.Fatalf("%s: %v, then %v", source, once, again)
		}
		p.Eval(&View{Person: new(Person), Now: predicateNow})
		_ = fmt.Sprint(p.Uses())
	})
}
