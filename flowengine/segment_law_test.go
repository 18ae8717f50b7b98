package flowengine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var segmentLeaves = slices.Concat(drawnLeaves, []string{
	`{attr: name, op: in, value: [a, B]}`, `{attr: shoeSize, op: is, value: 3}`, `{attr: vip, op: is, value: false}`, `{tags: [a, b], op: has_all}`,
	`{attr: birthDate, op: was_within, value: 3}`, `{attr: birthDate, op: is_today, anniversary: false}`, `{attr: birthDate, op: will_be_in, value: 2, leap: mar1}`,
	`{attr: birthDate, op: was, value: 400, anniversary: false}`, `{attr: lastVisit, op: was_within, value: 36h}`, `{attr: lastVisit, op: was_more_than, value: 2}`,
	`{attr: lastVisit, op: will_be_within, value: 1}`, `{attr: lastVisit, op: was_today}`, `{event: E}`, `{event: E, within: 2d}`,
	`{event: E, within: 30h, count: {op: gte, value: 2}}`, `{event: E, op: not_happened, within: 1d}`, `{attr: phone, op: country_is, value: HR}`,
})

func drawSegment(t *rapid.T, tb testing.TB, id string) *PeopleSegment {
	condition := rapid.SampledFrom(segmentLeaves).Draw(t, "leaf")
	for range rapid.IntRange(0, 2).Draw(t, "depth") {
		other := rapid.SampledFrom(segmentLeaves).Draw(t, "leaf")
		condition = fmt.Sprintf(rapid.SampledFrom([]string{"{all: [%s, %s]}", "{any: [%s, %s]}", "{not: {all: [%s, %s]}}"}).Draw(t, "group"), condition, other)
	}
	zone := rapid.SampledFrom([]string{"UTC", "Europe/Zagreb", "America/New_York"}).Draw(t, "zone")
	s, err := ParseSegment(id+".yaml", fmt.Appendf(nil, "segment: %s\ntimezone: %s\ncondition: %s\n", id, zone, condition), predicateSchemaOf(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// drawChange is something that happens to a person.
func drawChange(t *rapid.T, now time.Time) Cause {
	day := func() time.Time { return now.AddDate(0, 0, rapid.IntRange(-4, 4).Draw(t, "days")) }
	set := func(name string, v Value) Cause { return &Change{Source: "api", Set: []Attr{{name, v}}} }
	unset := rapid.IntRange(0, 4).Draw(t, "unset") == 0
	switch kind := rapid.IntRange(0, 8).Draw(t, "kind"); {
	case kind == 0 && unset:
		return &Change{Source: "api", DropAddresses: []Address{{Phone, "385911"}}}
	case kind == 0:
		return &Change{Source: "api", AddAddresses: []Address{{Phone, "385911"}}}
	case kind < 5 && unset:
		return set([]string{"name", "shoeSize", "birthDate", "lastVisit"}[kind-1], Value{})
	case kind == 1:
		return set("name", TextValue(rapid.SampledFrom([]string{"a", "A", "b", "c"}).Draw(t, "name")))
	case kind == 2:
		return set("shoeSize", WholeValue(rapid.Int64Range(1, 4).Draw(t, "size")))
	case kind == 3:
		return set("birthDate", DateValue(day().AddDate(-rapid.IntRange(0, 30).Draw(t, "years"), 0, 0)))
	case kind == 4:
		return set("lastVisit", DateTimeValue(day().Add(time.Duration(rapid.Int64Range(-1e13, 1e13).Draw(t, "ns"))).Truncate(time.Millisecond)))
	case kind == 5:
		return set("vip", BooleanValue(rapid.Bool().Draw(t, "vip")))
	case kind == 6:
		tags := []Tag{NewTag(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tag"))}
		if unset {
			return &Change{Source: "api", RemoveTags: tags}
		}
		return &Change{Source: "api", AddTags: tags}
	}
	return &Happened{Name: rapid.SampledFrom([]string{"E", "F"}).Draw(t, "event"), At: day().Truncate(time.Millisecond)}
}

// Whatever happens, and however time passes, a person is in exactly the segments
// whose condition holds; and whoever fits is found by the indexes.
func TestSegmentsFollow(t *testing.T) {
	schema := predicateSchemaOf(t)
	rapid.Check(t, func(rt *rapid.T) {
		var segments []*PeopleSegment
		for i := range rapid.IntRange(1, 5).Draw(rt, "segments") {
			segments = append(segments, drawSegment(rt, t, fmt.Sprintf("s%d", i)))
		}
		set, _, err := NewSet(schema, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		set.WithSegments(segments)
		now := drawDay(rt, "now").Add(time.Duration(rapid.IntRange(0, 86_400_000).Draw(rt, "time")) * time.Millisecond)
		p := &Person{ID: NewPersonID(Address{Email, "a@b"}, 0), Created: now, Addresses: []Address{{Email, "a@b"}}, New: true}
		ps := new(Passages)
		var events []Happened
		past := func(name string) (all []Happened) {
			for _, e := range events {
				if e.Name == name {
					all = append(all, e)
				}
			}
			return all
		}
		index := map[Source]bool{}
		do := func(c Cause) {
			r := set.StepWith(p, ps, past, c, now)
			p.New = false
			events = append(events, r.Happened...)
			for _, x := range r.Indexed {
				index[x] = true
			}
			for _, x := range r.Unindexed {
				delete(index, x)
			}
		}
		check := func() {
			v := &View{Person: p, Now: now, Past: &recollection{st: &step{set: set, events: past, result: new(Result), passages: ps}}}
			for _, s := range segments {
				v.Zone, v.dated = s.zone, false
				holds := s.Condition.Eval(v)
				if p.In(s.ID) != holds {
					rt.Fatalf("%s: in the segment %t, fits %t, at %s: %+v", s.ID, p.In(s.ID), holds, now, p)
				}
				if found, ok := s.Condition.Sources(now, s.zone); ok && holds && !slices.ContainsFunc(found, func(x Source) bool { return index[x] }) {
					rt.Fatalf("%s fits, but none of %v lists the person: %v", s.ID, found, index)
				}
			}
			if len(index) != len(p.Sources()) {
				rt.Fatalf("the index has %v, of %v", index, p.Sources())
			}
		}
		do(&Change{Source: "api"})
		check()
		for range rapid.IntRange(1, 20).Draw(rt, "changes") {
			do(drawChange(rt, now))
			check()
			until := now.Add(time.Duration(rapid.Int64Range(0, 3*86_400_000).Draw(rt, "pass")) * time.Millisecond)
			for looks := 0; !p.Look.IsZero() && !p.Look.After(until); looks++ {
				if !p.Look.After(now) || looks > 100 {
					rt.Fatalf("looks at %s for ever, at %s", p.Look, now)
				}
				now = p.Look
				do(new(Look))
				check()
			}
			now = until
			check()
		}
	})
}

// A conversation about nothing that segments look at costs no judgement.
func TestSegmentsAreJudgedOnlyWhenConcerned(t *testing.T) {
	schema := predicateSchemaOf(t)
	set, _, err := NewSet(schema, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var segments []*PeopleSegment
	for i := range 100 {
		s, err := ParseSegment("s.yaml", fmt.Appendf(nil, "segment: s%d\ncondition: {attr: name, op: is, value: n%d}\n", i, i), schema)
		if err != nil {
			t.Fatal(err)
		}
		segments = append(segments, s)
	}
	set.WithSegments(segments)
	concerned := func(name string, old, new Value) int {
		return len(set.segmentWatchers.concerned([]changed{{attrKey(name), old, new}}, true))
	}
	for _, c := range []struct {
		name     string
		old, new Value
		want     int
	}{
		{"shoeSize", Value{}, WholeValue(1), 0},
		{"name", Value{}, TextValue("nobody"), 0},
		{"name", Value{}, TextValue("N7"), 1},
		{"name", TextValue("n8"), TextValue("n7"), 2},
		{"name", WholeValue(7), Value{}, 100}, // of a type that it had before: who knows
	} {
		if got := concerned(c.name, c.old, c.new); got != c.want {
			t.Errorf("%s from %v to %v: %d segments are judged, not %d", c.name, c.old, c.new, got, c.want)
		}
	}
}

func TestSegmentErrors(t *testing.T) {
	schema := predicateSchemaOf(t).WithSegments("vip", "gold")
	for source, want := range map[string]string{
		"segment: a\ncondition: {attr: nam, op: is, value: x}":                               `2:19: there is no attribute "nam" (did you mean "name"?)`,
		"segment: a\ncondition: {segment: vip}":                                              `2:1: a segment cannot look at another one`,
		"segment: a\ncondition: {segment: vop}":                                              `2:22: there is no segment "vop" (did you mean "vip"?)`,
		"segment: a\ncondition: {var: x, op: is, value: 1}":                                  `a segment is about people`,
		"segment: a\ncondition: {expr: \"now.Year() > 2000\"}":                               `an expression over `,
		"segment: a\nat: \"03:00\"\ncondition: {tag: x}":                                     `a segment in real time is never computed anew`,
		"segment: a\nupdate: snapshot\nat: 2026-01-01 03:00\ncondition: {tag: x}":            `a time of day is expected`,
		"segment: a\ntimezone: Mars\ncondition: {tag: x}":                                    `"Mars" is not a time zone`,
		"segment: A b\ncondition: {tag: x}":                                                  `1:10`,
		"segment: a\ncondition: {segment: {in: [vip, golf]}}":                                `2:33: there is no segment "golf" (did you mean "gold"?)`,
		"segment: a\ncondition: {segment: {isnt: vip}}":                                      `either in or not_in is expected`,
		"segment: a\nupdate: snapshot\ncondition: {segment: {not_in: []}}":                   `between 1 and`,
		"segment: a\ncondition: {tag: x}\ncolour: red":                                       `colour`,
		"segment: a\nupdate: snapshot\ncondition: {expr: \"now.Year() > 2000\"}\ncolor: b\n": `color`,
	} {
		_, err := ParseSegment("s.yaml", []byte(source), schema)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nlacks %s", source, err, want)
		}
	}
}
