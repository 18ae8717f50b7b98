package keyword

import "testing"

// R1: each rank against the next.
func TestRanks(t *testing.T) {
	exact, anything := []Pattern{mustPattern(t, "a", Whole, false)}, []Pattern{AnyPattern()}
	other := []Pattern{mustPattern(t, "zzz", Whole, false)}
	for _, tc := range []struct {
		name    string
		waits   []Wait
		entries []Entry
		stop    string
		want    Kind
		branch  int
	}{
		{"1 before 2", []Wait{{Branches: exact}}, nil, "a", ByReserved, -1},
		{"2 before 3", []Wait{{Branches: exact, Priority: -9}}, []Entry{entry(t, "f", "1", "a").priority(9)}, "", ByWait, 0},
		{"2 first_word before 3 whole", []Wait{{Branches: []Pattern{mustPattern(t, "a", FirstWord, false)}}}, []Entry{entry(t, "f", "1", "a")}, "", ByWait, 0},
		{"3 before 4", []Wait{{Branches: anything, Priority: 9}}, []Entry{entry(t, "f", "", "a…")}, "", ByEntry, -1},
		{"4 before 5", []Wait{{Branches: anything}}, []Entry{entry(t, "f", "1", "*").priority(9)}, "", ByWait, 0},
		{"5 before 6", []Wait{{Branches: other, NoMatch: true}}, []Entry{entry(t, "f", "", "*")}, "", ByEntry, -1},
		{"6 before 7", []Wait{{Branches: other, NoMatch: true}}, []Entry{entry(t, "f", "1", "b")}, "", ByNoMatch, -1},
		{"7", []Wait{{Branches: other}}, []Entry{entry(t, "f", "1", "b")}, "", Unrouted, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b Builder
			for _, e := range tc.entries {
				if err := b.Add(e); err != nil {
					t.Fatal(err)
				}
			}
			if tc.stop != "" {
				if err := b.Reserve("1", "sms", Reserved{Stop: []string{tc.stop}}); err != nil {
					t.Fatal(err)
				}
			}
			table, _ := b.Build()
			m := Prepare("A!")
			c := Decide(table.Lookup("1", "sms", m), m, tc.waits, 0)
			if c.Kind != tc.want || c.Branch != tc.branch {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// R3, R6: which of several waits gets the message; the others keep waiting.
func TestOrderOfWaits(t *testing.T) {
	p := func(word string, mode Mode) []Pattern { return []Pattern{mustPattern(t, word, mode, false)} }
	anything := []Pattern{AnyPattern()}
	for _, tc := range []struct {
		rule string
		want Wait
		lost Wait
	}{
		{"R1 keyword before any", Wait{Branches: p("a", FirstWord)}, Wait{Branches: anything, Priority: 9, Ordinal: 9}},
		{"R1 any before no_match", Wait{Branches: anything}, Wait{Branches: p("z", Whole), NoMatch: true, Priority: 9, Ordinal: 9}},
		{"R3 whole before first_word", Wait{Branches: p("a b", Whole)}, Wait{Branches: p("a b", FirstWord), Priority: 9, Ordinal: 9}},
		{"R3 longest", Wait{Branches: p("a b", FirstWord)}, Wait{Branches: p("a", FirstWord), Priority: 9, Ordinal: 9}},
		{"R3 priority", Wait{Branches: anything, Priority: 1}, Wait{Branches: anything, Ordinal: 9}},
		{"R3 newest", Wait{Branches: anything, Ordinal: 2, Flow: "b"}, Wait{Branches: anything, Ordinal: 1, Flow: "a"}},
		{"R3 newest, though a clock went back", Wait{Branches: anything, Ordinal: 2, Since: 50}, Wait{Branches: anything, Ordinal: 1, Since: 60}},
		{"R3 flow id", Wait{Branches: anything, Flow: "a"}, Wait{Branches: anything, Flow: "b"}},
		{"R3 newest no_match", Wait{Branches: p("z", Whole), NoMatch: true, Ordinal: 2}, Wait{Branches: p("z", Whole), NoMatch: true, Ordinal: 1}},
		{"R6 began at that moment", Wait{Branches: anything, Since: 100}, Wait{Branches: p("a b", Whole), Since: 101, Priority: 9}},
		{"R6 no_match as well", Wait{Branches: anything, Since: 99}, Wait{Branches: p("z", Whole), NoMatch: true, Since: 101}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			m := Prepare("a b")
			if c := Decide(Result{}, m, []Wait{tc.want, tc.lost}, 100); c.Wait != 0 {
				t.Errorf("got %+v", c)
			}
			if c := Decide(Result{}, m, []Wait{tc.lost, tc.want}, 100); c.Wait != 1 {
				t.Errorf("in the other order: got %+v", c)
			}
		})
	}
	if c := Decide(Result{}, Prepare("a"), []Wait{{Branches: anything, NoMatch: true, Since: 101}}, 100); c.Kind != Unrouted { // R6
		t.Errorf("a later wait consumes: %+v", c)
	}
}

// R1, X6: branches from top to bottom, but keywords before any.
func TestOrderOfBranches(t *testing.T) {
	w := []Wait{{NoMatch: true, Branches: []Pattern{
		AnyPattern(), mustPattern(t, "a", FirstWord, false), mustPattern(t, "a b", Whole, false), AnyPattern(),
	}}}
	for text, want := range map[string]int{"a b": 1, "c": 0, "": 0} {
		if c := Decide(Result{}, Prepare(text), w, 0); c.Kind != ByWait || c.Branch != want {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
