package flowengine

import (
	"strings"
	"testing"
	"time"
)

func TestExpressionValue(t *testing.T) {
	schema := testSchema(t)
	for _, tc := range []struct {
		source string
		want   any
	}{
		{"inbound.number", 42.5},
		{"inbound.text", "size 42,5 on 24.12.2026"},
		{"inbound.keyword", "size"},
		{"inbound.date", time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)},
		{"person.shoeSize", int64(42)},
		{"person.phone", "385911234567"},
		{`upper(person.firstName) + "!"`, "ANA!"},
		{"person.shoeSize + 1 > 42", true},
		{`"Gold" in person.tags`, true},
		{"vars.code", "X1"},
		{"person.email", nil},
		{`person.email ?? "none"`, "none"},
		{"now.Hour()", 12}, // Zagreb
		// A missing value: false, but for != (semantics of conditions).
		{"person.lastVisit > now", false},
		{"person.lastVisit < now", false},
		{`person.email contains "@"`, false},
		{`not (person.email contains "@")`, true},
		{`person.email != "a@b"`, true},
		{`person.email == "a@b"`, false},
		{"person.vip == true", false},
		{"person.vip", nil},
		{"not person.vip", true},
		{"person.vip or person.shoeSize == 42", true},
		{"person.vip and true", false},
		{"person.vip ? 1 : 2", 2},
		{"person.email == nil", true},
		{"person.email != nil", false},
		{`vars.other == "x"`, false},
	} {
		e, err := CompileExpression(tc.source, schema, false)
		if err != nil {
			t.Errorf("%s: %v", tc.source, err)
			continue
		}
		got, err := e.Value(testPassage())
		if at, ok := got.(time.Time); ok && at.Equal(tc.want.(time.Time)) {
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("%s: got %v (%T), %v; want %v", tc.source, got, got, err, tc.want)
		}
	}
}

func TestExpressionErrors(t *testing.T) {
	schema := testSchema(t)
	for source, want := range map[string]string{
		"":                                "empty",
		"person.shoeSzie > 1":             `did you mean "shoeSize"?`,
		"persn.shoeSize > 1":              `did you mean "person"?`,
		"person.firstName > 1":            "mismatched types",
		"inbound.nummer":                  `did you mean "number"?`,
		"now()":                           "",
		"person.shoeSize +":               "column",
		strings.Repeat("1 + ", 150) + "1": "nodes",
		strings.Repeat(" ", maxExpression+1) + "1": "longer",
	} {
		if _, err := CompileExpression(source, schema, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", shorten(source), err)
		}
	}
	if _, err := CompileCondition("person.shoeSize", schema); err == nil {
		t.Error("a number passed for a condition")
	}
}

// What an expression computes is bounded: there is no way to loop within a loop,
// and what it builds has a limit.
func TestExpressionBounds(t *testing.T) {
	schema := testSchema(t)
	for _, source := range []string{"1..1000", "any(person.tags, any(person.tags, true))", "let a = person.tags; count(a, count(a, true) > 0)"} {
		if _, err := CompileExpression(source, schema, false); err == nil {
			t.Errorf("%s compiled", source)
		}
	}
	if _, err := CompileExpression(`any(person.tags, # startsWith "G")`, schema, true); err != nil {
		t.Error(err)
	}
	e, err := CompileExpression("repeat('x', 10000000)", schema, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Value(testPassage()); err == nil {
		t.Error("ten megabytes were built")
	}
}

func TestNumbersAndDatesInText(t *testing.T) {
	for text, want := range map[string][2]string{
		"42":                   {"42", ""},
		"my size is 42,5!":     {"42.5", ""},
		"-3.25 or 7":           {"-3.25", ""},
		"none":                 {"", ""},
		"born 31.12.1990":      {"31.12", "1990-12-31"},
		"1990-2-3":             {"1990", "1990-02-03"},
		"30/2/1990":            {"30", ""},
		"99999999999999999999": {"", ""},
	} {
		if got := firstNumber(text).String(); got != want[0] {
			t.Errorf("%q: number %q, want %q", text, got, want[0])
		}
		if got := firstDate(text).String(); got != want[1] {
			t.Errorf("%q: date %q, want %q", text, got, want[1])
		}
	}
}

func BenchmarkCondition(b *testing.B) {
	c, err := CompileCondition("person.shoeSize > 40 and inbound.text contains 'size'", testSchema(b))
	if err != nil {
		b.Fatal(err)
	}
	x := testPassage()
	b.ReportAllocs()
	for b.Loop() {
		if yes, err := c.True(x); !yes || err != nil {
			b.Fatal(yes, err)
		}
	}
}
