package flowengine

import (
	"strings"
	"testing"
)

func eventSchema(t *testing.T) *Schema {
	t.Helper()
	s, err := testSchema(t).WithEvents(EventType{"PurchaseFinished", []Attribute{{"total", Decimal}, {"item", Text}, {"gift", Boolean}, {"id", Whole}, {"firstName", Text}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Properties of an event that is declared have the types of its declaration.
func TestEventProperties(t *testing.T) {
	e := eventSchema(t).Event("PurchaseFinished")
	for _, c := range []struct{ name, json, want, wrong string }{
		{"total", `12.5`, "12.5", ""},
		{"total", `"12.50"`, "12.5", ""},
		{"item", `"a shoe"`, "a shoe", ""},
		{"gift", `true`, "true", ""},
		{"id", `7`, "7", ""}, // what persons have by themselves means nothing here
		{"firstName", `"` + strings.Repeat("x", 300) + `"`, strings.Repeat("x", 300), ""},
		{"total", `"much"`, "", "much"},
		{"gift", `"yes"`, "", "is not a"},
		{"item", `{}`, "", "not a list or an object"},
		{"totl", `1`, "", `the event "PurchaseFinished" has no property "totl" (did you mean "total"?)`},
	} {
		v, err := e.CoerceJSON(c.name, []byte(c.json))
		switch {
		case c.wrong == "" && (err != nil || v.String() != c.want):
			t.Errorf("%s %s: %v, %v", c.name, c.json, v, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s %s: %v, not %s", c.name, c.json, err, c.wrong)
		}
	}
	if eventSchema(t).Event("Other") != nil {
		t.Error("an event that nobody declared has a schema")
	}
}

func TestEventTypesThatAreWrong(t *testing.T) {
	for want, all := range map[string][]EventType{
		"a name is":                      {{Name: "1st"}},
		"one of ours":                    {{Name: EventLinkClicked}},
		"declared twice":                 {{Name: "A"}, {Name: "A"}},
		`property "x y"`:                 {{Name: "A", Properties: []Attribute{{"x y", Text}}}},
		`property "x" is declared twice`: {{Name: "A", Properties: []Attribute{{"x", Text}, {"x", Whole}}}},
		"has no type":                    {{Name: "A", Properties: []Attribute{{"x", Unset}}}},
	} {
		if _, err := testSchema(t).WithEvents(all...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, not %s", all, err, want)
		}
	}
}

// Conditions on an event that is declared know its properties; what is missing is as
// in conditions on persons.
func TestConditionsOnEvents(t *testing.T) {
	schema := eventSchema(t)
	const flow = `flow: f
entries: [{id: e, type: people_event, event: NAME, where: "WHERE", next: x}]
elements: {x: {type: exit}}
`
	check := func(name, where string) string {
		t.Helper()
		v, err := ParseFlow("f.yaml", []byte(strings.NewReplacer("NAME", name, "WHERE", where).Replace(flow)), schema, nil)
		if err != nil {
			return err.Error()
		}
		warnings := ""
		for _, w := range v.Warnings {
			warnings += w
		}
		return warnings
	}
	for _, c := range []struct{ name, where, want string }{
		{"PurchaseFinished", "event.total > 10 and event.item startsWith 'shoe'", ""},
		{"PurchaseFinished", "event.totl > 10", `unknown field totl (did you mean "total"?)`},
		{"PurchaseFinished", "event.item > 10", "f.yaml:2:"},
		{"PurchaseFinishd", "event.totl > 10", `"PurchaseFinishd" is not declared among people.events (did you mean "PurchaseFinished"?)`},
		{EventLinkClicked, "event.url == 'x'", ""},
	} {
		if got := check(c.name, c.where); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s where %s: %s", c.name, c.where, got)
		}
	}
	for where, want := range map[string]bool{
		"event.total > 10": false, "event.total != 10": true, "not event.gift": true, "event.item == 'x' or event.total == 5": true, "event.item == 'x'": false,
	} {
		c, err := CompileCondition(where, schema.about("PurchaseFinished"))
		if err != nil {
			t.Fatal(err)
		}
		five, err := Coerce("5", Decimal)
		if err != nil {
			t.Fatal(err)
		}
		for _, total := range []Value{five, WholeValue(5)} { // one that was stored before it was declared, too
			e := &Happened{Name: "PurchaseFinished"}
			if strings.Contains(where, "or") {
				e.Props.Set("total", total)
			}
			x := &Passage{Person: new(Person), Run: &Run{Event: e}, State: new(Passages)}
			if got, err := c.True(x); err != nil || got != want {
				t.Errorf("%s: %t, %v", where, got, err)
			}
		}
	}
}
