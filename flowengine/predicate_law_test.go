package flowengine

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var drawnLeaves = []string{
	`{attr: shoeSize, op: gt, value: 2}`, `{attr: shoeSize, op: is_empty}`, `{attr: name, op: is, value: a}`, `{attr: name, op: is_not, value: a}`,
	`{attr: vip, op: is, value: true}`, `{tag: a}`, `{tag: b, op: has_not}`, `{attr: birthDate, op: is_today}`, `{attr: birthDate, op: will_be_within, value: 100}`,
}

func drawView(t *rapid.T, tb testing.TB) *View {
	attrs := map[string]any{}
	if rapid.Bool().Draw(t, "has shoe size") {
		attrs["shoeSize"] = rapid.IntRange(0, 4).Draw(t, "shoe size")
	}
	if rapid.Bool().Draw(t, "has name") {
		attrs["name"] = rapid.SampledFrom([]string{"a", "A", "b"}).Draw(t, "name")
	}
	if rapid.Bool().Draw(t, "has vip") {
		attrs["vip"] = rapid.Bool().Draw(t, "vip")
	}
	if rapid.Bool().Draw(t, "has birth date") {
		attrs["birthDate"] = drawDay(t, "birth date")
	}
	attrs["tags"] = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "tags")
	return &View{Person: personWith(tb, attrs), Now: drawDay(t, "now").Add(12 * time.Hour)}
}

func drawDay(t *rapid.T, label string) time.Time {
	return time.Date(2000, 1, 1+rapid.IntRange(0, 40_000).Draw(t, label), 0, 0, 0, 0, time.UTC)
}

func drawCondition(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "form") == 0 {
		return rapid.SampledFrom(drawnLeaves).Draw(t, "leaf")
	}
	a, b := drawCondition(t, depth-1), drawCondition(t, depth-1)
	return rapid.SampledFrom([]string{
		"{not: " + a + "}", "{all: [" + a + ", " + b + "]}", "{any: [" + a + ", " + b + "]}",
	}).Draw(t, "group")
}

// not, all and any are those of logic, whatever is missing.
func TestPredicateLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawCondition(rt, 2), drawCondition(rt, 2)
		v := drawView(rt, t)
		holds := func(format string, args ...any) bool { return mustPredicate(t, fmt.Sprintf(format, args...)).Eval(v) }
		x, y := holds("%s", a), holds("%s", b)
		for law, got := range map[string]bool{
			"not":         holds("{not: %s}", a) == !x,
			"all":         holds("{all: [%s, %s]}", a, b) == (x && y),
			"any":         holds("{any: [%s, %s]}", a, b) == (x || y),
			"alone":       holds("{all: [%s]}", a) == x && holds("{any: [%s]}", a) == x,
			"de Morgan":   holds("{not: {all: [%s, %s]}}", a, b) == holds("{any: [{not: %s}, {not: %s}]}", a, b),
			"commutative": holds("{any: [%s, %s]}", a, b) == holds("{any: [%s, %s]}", b, a),
		} {
			if !got {
				rt.Fatalf("%s does not hold of %s and %s", law, a, b)
			}
		}
	})
}

// Of a value that is there, is_not is the opposite of is, and exactly one of lt,
// is and gt is true; of a missing one, only is_not is true.
func TestPredicateComplement(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := drawView(rt, t)
		want := rapid.IntRange(0, 4).Draw(rt, "value")
		holds := func(op string) bool {
			return mustPredicate(t, fmt.Sprintf("{attr: shoeSize, op: %s, value: %d}", op, want)).Eval(v)
		}
		is, isNot, lt, gt, lte, gte := holds("is"), holds("is_not"), holds("lt"), holds("gt"), holds("lte"), holds("gte")
		if v.Person.Attrs.Get("shoeSize").Type == Unset {
			if is || !isNot || lt || gt || lte || gte {
				rt.Fatal("a missing value compares")
			}
			return
		}
		count := 0
		for _, yes := range []bool{is, lt, gt} {
			if yes {
				count++
			}
		}
		if is == isNot || count != 1 || lte != (lt || is) || gte != (gt || is) {
			rt.Fatalf("is %v, is_not %v, lt %v, gt %v, lte %v, gte %v", is, isNot, lt, gt, lte, gte)
		}
	})
}

// Every day is today, was, or will be; each of the last two within or beyond N days.
func TestPredicateRelativeLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := View{Person: personWith(t, map[string]any{"birthDate": drawDay(rt, "date")}), Now: drawDay(rt, "now")}
		anniversary := rapid.Bool().Draw(rt, "anniversary")
		leap := ""
		if anniversary {
			leap = rapid.SampledFrom([]string{"", ", leap: mar1"}).Draw(rt, "leap")
		}
		n := rapid.IntRange(0, maxAnniversaryDays).Draw(rt, "n")
		holds := func(op string, n int) bool {
			value := ", value: " + strconv.Itoa(n)
			if n < 0 {
				value = ""
			}
			return mustPredicate(t, fmt.Sprintf("{attr: birthDate, op: %s%s, anniversary: %v%s}", op, value, anniversary, leap)).Eval(&v)
		}
		if holds("is_today", -1) != holds("will_be_in", 0) || holds("is_today", -1) != holds("was", 0) {
			rt.Fatal("today is not in 0 days")
		}
		if holds("will_be_in", n) && !holds("will_be_within", n) || holds("was", n) && !holds("was_within", n) {
			rt.Fatal("N days away is not within N days")
		}
		if holds("will_be_within", n) && holds("will_be_more_than", n) || holds("was_within", n) && holds("was_more_than", n) {
			rt.Fatal("within N days and beyond")
		}
		if anniversary && (holds("will_be_within", n) == holds("will_be_more_than", n) || !holds("will_be_within", maxAnniversaryDays) || !holds("was_within", maxAnniversaryDays)) {
			rt.Fatal("an anniversary does not return")
		}
	})
}

// Folding is what x/text says, however the text is written; texts fold to the
// same bytes again.
func TestFolder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		var f, g folder
		once := string(f.prepare(s, false))
		if twice := string(g.prepare(once, false)); twice != once {
			t.Fatalf("%q: %q, then %q", s, once, twice)
		}
	})
	for _, same := range [][2]string{{"STRASSE", "straße"}, {"ŠIBENIK", "šibenik"}, {"\u0041\u030A", "å"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}, {"K", "\u212A"}, {"ᎠᏰ", "ꭰᏸ"}} {
		var f, g folder
		if a, b := string(f.prepare(same[0], false)), string(g.prepare(same[1], false)); a != b {
			t.Errorf("%q and %q: %q, %q", same[0], same[1], a, b)
		}
	}
}
