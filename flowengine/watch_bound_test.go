package flowengine

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// E10: whose truth a change of a number turns is among those who are asked, and of
// many who compare it with something else nobody is.
func TestBounds(t *testing.T) {
	schema := testSchema(t)
	compile := func(condition string) *Predicate {
		t.Helper()
		s, err := ParseSegment("s.yaml", []byte("segment: s\ncondition: "+condition+"\n"), schema)
		if err != nil {
			t.Fatal(err)
		}
		return &s.Condition
	}
	w := newWatchers[int]()
	for i := range 200 {
		w.watch(i, compile(fmt.Sprintf("{attr: shoeSize, op: %s, value: %d}", []string{"gte", "gt", "lt", "lte"}[i%4], i)))
	}
	asked := func(old, new Value) int { return len(w.concerned([]changed{{attrKey("shoeSize"), old, new}}, false)) }
	for _, c := range []struct {
		old, new Value
		want     int
	}{
		{WholeValue(1000), WholeValue(2000), 0}, {WholeValue(42), WholeValue(43), 2}, {WholeValue(43), WholeValue(42), 2},
		{WholeValue(-5), WholeValue(9), 10}, {Value{}, WholeValue(3), 200}, {WholeValue(3), Value{}, 200}, {TextValue("x"), WholeValue(3), 200},
	} {
		if got := asked(c.old, c.new); got != c.want {
			t.Errorf("from %v to %v: %d are asked, not %d", c.old, c.new, got, c.want)
		}
	}

	leaf := rapid.Custom(func(rt *rapid.T) string {
		n := rapid.IntRange(-3, 3)
		if rapid.IntRange(0, 5).Draw(rt, "form") == 0 {
			low := n.Draw(rt, "low")
			return fmt.Sprintf("{attr: shoeSize, op: between, value: [%d, %d]}", low, low+rapid.IntRange(0, 2).Draw(rt, "span"))
		}
		op := rapid.SampledFrom([]string{"is", "is_not", "lt", "lte", "gte", "gt"}).Draw(rt, "op")
		return fmt.Sprintf("{attr: shoeSize, op: %s, value: %d}", op, n.Draw(rt, "n"))
	})
	rapid.Check(t, func(rt *rapid.T) {
		condition := leaf.Draw(rt, "leaf")
		switch rapid.IntRange(0, 4).Draw(rt, "shape") {
		case 1:
			condition = fmt.Sprintf("{all: [%s, %s]}", condition, leaf.Draw(rt, "other"))
		case 2:
			condition = fmt.Sprintf("{any: [%s, {not: %s}]}", condition, leaf.Draw(rt, "other"))
		case 3:
			condition = fmt.Sprintf("{any: [%s, {tag: vip}]}", condition)
		case 4:
			condition = fmt.Sprintf("{any: [%s, {expr: \"person.shoeSize == 2\"}]}", condition)
		}
		p := compile(condition)
		w := newWatchers[int]()
		w.watch(1, p)
		value := rapid.Custom(func(rt *rapid.T) Value {
			if rapid.IntRange(0, 5).Draw(rt, "kind") == 0 {
				return Value{}
			}
			return WholeValue(int64(rapid.IntRange(-4, 4).Draw(rt, "value")))
		})
		was, is := value.Draw(rt, "old"), value.Draw(rt, "new")
		holds := func(v Value) bool {
			who := new(Person)
			who.Attrs.Set("shoeSize", v)
			return p.Eval(&View{Person: who, Now: testNow})
		}
		found := slices.Contains(w.concerned([]changed{{attrKey("shoeSize"), was, is}}, true), 1)
		if holds(was) != holds(is) && !found {
			rt.Fatalf("%s turns from %v to %v, and nobody asks it", condition, was, is)
		}
	})
}
