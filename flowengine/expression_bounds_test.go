package flowengine

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A few words of an expression must not take the memory of the daemon, whatever
// people have written to us.
func TestExpressionMemory(t *testing.T) {
	x := testPassage()
	x.Run.Vars.Set("a", TextValue(strings.Repeat("a", 4000)))
	for _, source := range []string{
		`replace(replace(vars.a, "", vars.a), "a", vars.a)`,
		`replace(vars.a, "a", vars.a, 1000000)`,
		`repeat(vars.a, 1000000)`,
		`repeat(person.firstName, 1000000)`,
		`join(split(repeat("a", 999), ""), vars.a)`,
		`toJSON(map(split(repeat("a", 999), ""), vars.a))`,
		strings.Repeat("vars.a + ", 20) + "vars.a",
		strings.Repeat("toJSON(", 60) + `"\""` + strings.Repeat(")", 60),
		strings.Repeat("toBase64(", 60) + `"a"` + strings.Repeat(")", 60),
		`map(split(vars.a, ""), split(vars.a, ""))`,
		`map(splitAfter(vars.a, "", 2000), vars.a)`,
	} {
		e, err := CompileExpression(source, testSchema(t), false)
		if err != nil {
			t.Errorf("%s: %v", shorten(source), err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = e.Value(x)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "the text is longer") && !strings.Contains(err.Error(), "more than 1000 pieces") {
			t.Errorf("%s: %v", shorten(source), err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s: it took %d MiB", shorten(source), took>>20)
		}
	}
}

// A value that is made of itself again and again would grow with every word.
func TestExpressionMakesNothingOfItself(t *testing.T) {
	for _, source := range []string{
		`reduce(split(inbound.text, ""), #acc + #acc, "aa")`,
		`let a = [1]; let b = [a, a]; let c = [b, b]; string([c, c])`,
		`any(person.tags, let x = #; x == "a")`,
	} {
		if _, err := CompileExpression(source, testSchema(t), false); err == nil || !strings.Contains(err.Error(), "no variables") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// What a person writes is no pattern: it could be of any length.
func TestExpressionPatternIsWrittenOut(t *testing.T) {
	for source, ok := range map[string]bool{
		`inbound.text matches "^[0-9]+$"`:                 true,
		`not (person.firstName matches '^A')`:             true,
		`any(person.tags, # matches "^vip")`:              true,
		`inbound.text matches vars.pattern`:               false,
		`inbound.text matches inbound.keyword`:            false,
		`inbound.text matches ("^" + person.firstName)`:   false,
		`inbound.text matches (vars.a ? "a" : vars.code)`: false,
	} {
		if _, err := CompileExpression(source, testSchema(t), true); (err == nil) != ok {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// The functions that are ours do what those of the language do.
func TestExpressionFunctions(t *testing.T) {
	for source, want := range map[string]any{
		`person.firstName + " " + vars.code`:        "Ana X1",
		`vars.missing == nil ? vars.code + "!" : 1`: "X1!",
		`vars.code + "-" + vars.code`:               "X1-X1",
		`replace("a-b-c", "-", "+")`:                "a+b+c",
		`replace("a-b-c", "-", "+", 1)`:             "a+b-c",
		`split("a b c", " ")`:                       []string{"a", "b", "c"},
		`split("a b c", " ", 2)`:                    []string{"a", "b c"},
		`splitAfter("a b", " ")`:                    []string{"a ", "b"},
		`len(split(inbound.text, " "))`:             4,
		`repeat("ab", 3)`:                           "ababab",
		`repeat("", 1000000)`:                       "",
		`join(person.tags, ", ")`:                   "Gold",
		`join(["a", "b"])`:                          "ab",
		`join(map(person.tags, upper(#)), "/")`:     "GOLD",
		`toBase64("hi")`:                            "aGk=",
		`toJSON("x")`:                               `"x"`,
		`person.shoeSize + 1`:                       int64(43),
		`sum([1, 2]) + 1`:                           4,
		`(now + duration("1h")).Hour()`:             13,
	} {
		e, err := CompileExpression(source, testSchema(t), false)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := e.Value(testPassage()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v (%T), %v; want %v", source, got, got, err, want)
		}
	}
}
