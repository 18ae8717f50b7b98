package keyword

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func build(t testing.TB, entries ...Entry) *Table {
	t.Helper()
	var b Builder
	for _, e := range entries {
		if err := b.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	table, _ := b.Build()
	return table
}

// entry makes an entry of a flow for a list of keywords; "*" is any, and a
// keyword with "…" at its end first_word.
func entry(t testing.TB, flow, number, keywords string) Entry {
	e := Entry{Flow: flow, ID: "e", Number: number, Channel: "sms"}
	for _, word := range strings.Split(keywords, "|") {
		first, isFirst := strings.CutSuffix(word, "…")
		switch {
		case word == "*":
			e.Patterns = append(e.Patterns, AnyPattern())
		case isFirst:
			e.Patterns = append(e.Patterns, mustPattern(t, first, FirstWord, false))
		default:
			e.Patterns = append(e.Patterns, mustPattern(t, word, Whole, false))
		}
	}
	return e
}

func (e Entry) priority(n int) Entry   { e.Priority = n; return e }
func (e Entry) launched(n int64) Entry { e.Launched = n; return e }
func (e Entry) id(id string) Entry     { e.ID = id; return e }

// order lists the flows that are offered a message, best first.
func order(t testing.TB, entries []Entry, number, text string) string {
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Index = i
	}
	m := Prepare(text)
	found := build(t, entries...).Lookup(number, "sms", m)
	var flows []string
	c := Decide(found, m, nil, 0)
	for ok := c.Kind == ByEntry; ok; c, ok = found.After(c) {
		flows = append(flows, entries[c.Index].Flow)
	}
	return strings.Join(flows, " ")
}

// R1, R3, R4: who is offered a message, one tie-break at a time. Each row is
// tried in both orders of configuration.
func TestOrderOfEntries(t *testing.T) {
	for _, tc := range []struct {
		rule    string
		entries []Entry
		text    string
		want    string
	}{
		{"R1 keyword before any", []Entry{entry(t, "any", "1", "*").priority(9), entry(t, "key", "", "a…")}, "a b", "key any"},
		{"R3 whole before first_word", []Entry{entry(t, "first", "1", "a b…").priority(9), entry(t, "whole", "", "a b")}, "a b", "whole first"},
		{"R3 longest", []Entry{entry(t, "short", "1", "a…").priority(9), entry(t, "long", "", "a b…")}, "a b c", "long short"},
		{"R3 longest whole, with signs", []Entry{entry(t, "bare", "1", "1").priority(9), entry(t, "sign", "", "#1")}, "#1", "sign bare"},
		{"R3 number before channel", []Entry{entry(t, "wide", "", "a").priority(9), entry(t, "local", "1", "a")}, "a", "local wide"},
		{"R3 priority", []Entry{entry(t, "low", "1", "a").launched(1), entry(t, "high", "1", "a").priority(1).launched(2)}, "a", "high low"},
		{"R3 earliest launch", []Entry{entry(t, "a", "1", "a").launched(2), entry(t, "b", "1", "a").launched(1)}, "a", "b a"},
		{"R3 flow id", []Entry{entry(t, "b", "1", "a"), entry(t, "a", "1", "a")}, "a", "a b"},
		{"R3 any, by number", []Entry{entry(t, "wide", "", "*").priority(9), entry(t, "local", "1", "*")}, "x", "local wide"},
		{"R4 each entry once", []Entry{entry(t, "two", "1", "a|a…|a b…|*"), entry(t, "one", "1", "a…")}, "a b", "two one"},
		{"other numbers", []Entry{entry(t, "other", "2", "a"), entry(t, "wide", "", "*")}, "a", "wide"},
		{"nobody", []Entry{entry(t, "other", "1", "b"), entry(t, "another", "2", "*")}, "a", ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			for range 2 {
				if got := order(t, tc.entries, "1", tc.text); got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				slices.Reverse(tc.entries)
			}
		})
	}
}

// R3: the entries of one flow go by id.
func TestOrderWithinFlow(t *testing.T) {
	m := Prepare("a")
	a, b := entry(t, "f", "1", "a").id("a"), entry(t, "f", "1", "a").id("b")
	a.Index, b.Index = 7, 8
	if c := Decide(build(t, b, a).Lookup("1", "sms", m), m, nil, 0); c.Index != 7 {
		t.Errorf("got %+v", c)
	}
}

// The consumer carries the keyword as it is configured.
func TestKeywordAsConfigured(t *testing.T) {
	table := build(t, entry(t, "f", "1", "ŠTO JE"), entry(t, "g", "1", "*"))
	for text, want := range map[string]string{"što je?": "ŠTO JE", "što": ""} {
		m := Prepare(text)
		if c := Decide(table.Lookup("1", "sms", m), m, nil, 0); c.Kind != ByEntry || c.Keyword != want {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

// K7: the table compares numbers in their normal form, and keeps channels apart.
func TestNumbersAndChannels(t *testing.T) {
	chat := entry(t, "chat", "Shop", "a")
	chat.Channel = "chat"
	table := build(t, entry(t, "phone", "+385 91 000", "a"), chat)
	m := Prepare("a")
	for _, tc := range []struct {
		number  string
		channel Channel
		want    Kind
	}{
		{Number("+38591000"), "sms", ByEntry}, {"38591000", "chat", Unrouted}, {Number("SHOP"), "chat", ByEntry}, {"", "sms", Unrouted},
	} {
		if c := Decide(table.Lookup(tc.number, tc.channel, m), m, nil, 0); c.Kind != tc.want {
			t.Errorf("%s %s: %+v", tc.channel, tc.number, c)
		}
	}
}

// R3: what no message can tell apart is named, on both sides.
func TestConflicts(t *testing.T) {
	folded := entry(t, "folded", "1", "*")
	folded.Patterns = []Pattern{mustPattern(t, "poc\u030cni", Whole, true)}
	folded2 := entry(t, "folded2", "1", "*")
	folded2.Patterns = []Pattern{mustPattern(t, "POCNI", Whole, true)}
	for _, tc := range []struct {
		name    string
		entries []Entry
		want    []string
	}{
		{"same keyword", []Entry{entry(t, "b", "1", "START"), entry(t, "a", "1", "start|x")},
			[]string{`flow "a" entry "e" and flow "b" entry "e" both want keyword "start" (whole) on sms number 1 with priority 0: the first always gets it; change the keyword or the priority of one`}},
		{"any of a channel", []Entry{entry(t, "b", "", "*").launched(1), entry(t, "a", "", "*").launched(2)},
			[]string{`flow "b" entry "e" and flow "a" entry "e" both want any message on every sms number with priority 0: the first always gets it; change the keyword or the priority of one`}},
		{"each with the winner", []Entry{entry(t, "a", "1", "x…"), entry(t, "b", "1", "x…"), entry(t, "c", "1", "x…"), entry(t, "d", "1", "x…").priority(1)},
			[]string{`flow "a" entry "e" and flow "b" entry "e" both want keyword "x" (first_word)`, `flow "a" entry "e" and flow "c" entry "e"`}},
		{"folded alike", []Entry{folded, folded2}, []string{`flow "folded" entry "e" and flow "folded2" entry "e" both want keyword "pocni" (whole)`}},
		{"other priority", []Entry{entry(t, "a", "1", "x"), entry(t, "b", "1", "x").priority(1)}, nil},
		{"other number", []Entry{entry(t, "a", "1", "x"), entry(t, "b", "2", "x"), entry(t, "c", "", "x")}, nil},
		{"other mode", []Entry{entry(t, "a", "1", "x"), entry(t, "b", "1", "x…"), entry(t, "c", "1", "*")}, nil},
		{"folded or not", []Entry{folded, entry(t, "b", "1", "pocni")}, nil},
		{"twice in one entry", []Entry{entry(t, "a", "1", "x|X|x!|*|*")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b Builder
			for _, e := range tc.entries {
				if err := b.Add(e); err != nil {
					t.Fatal(err)
				}
			}
			_, conflicts := b.Build()
			checkConflicts(t, conflicts, tc.want)
		})
	}
}

// checkConflicts compares the beginnings of what conflicts say.
func checkConflicts(t *testing.T, conflicts []Conflict, want []string) {
	t.Helper()
	ok := len(conflicts) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(conflicts[i].String(), want[i])
	}
	if !ok {
		t.Errorf("got %v, want %q", conflicts, want)
	}
}

// K8, R1: reserved words are of one number, and go before all else.
func TestReserved(t *testing.T) {
	var b Builder
	if err := b.Reserve("+1 00", "sms", Reserved{Stop: []string{"STOP", "Stop all", "#0"}, Start: []string{"join"}, Help: []string{"HELP", "0"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(entry(t, "f", "", "*|stop")); err != nil {
		t.Fatal(err)
	}
	table, _ := b.Build()
	for _, tc := range []struct {
		number, text string
		want         Kind
		word         Word
		keyword      string
	}{
		{"100", " stop. ", ByReserved, Stop, "STOP"},
		{"100", "STOP ALL", ByReserved, Stop, "Stop all"},
		{"100", "Join!", ByReserved, Start, "join"},
		{"100", "help?", ByReserved, Help, "HELP"},
		{"100", "#0", ByReserved, Stop, "#0"}, // R3: the longest
		{"100", "0#", ByReserved, Help, "0"},
		{"100", "stop it", ByEntry, 0, ""},
		{"100", "", ByEntry, 0, ""},
		{"100", "stop " + strings.Repeat("x", maxMessage), ByEntry, 0, ""},
		{"200", "stop", ByEntry, 0, "stop"},
	} {
		m := Prepare(tc.text)
		found := table.Lookup(tc.number, "sms", m)
		waits := []Wait{{Branches: []Pattern{mustPattern(t, "stop", Whole, false)}}}
		if tc.want == ByEntry {
			waits = nil
		}
		c := Decide(found, m, waits, 0)
		if c.Kind != tc.want || c.Word != tc.word || c.Keyword != tc.keyword {
			t.Errorf("%s %q: %+v", tc.number, clip(tc.text, 20), c)
		}
		if _, ok := found.After(c); ok && c.Kind == ByReserved {
			t.Errorf("%q: something comes after a reserved word", tc.text)
		}
	}
}

// K8: of two kinds with the same word the lower counts, in any order, and that
// is a conflict; so is a keyword that is reserved.
func TestReservedConflicts(t *testing.T) {
	words := []Reserved{{Start: []string{"Stop"}, Help: []string{"stop", "info"}}, {Stop: []string{"stop!", "STOP", "stop"}}}
	for range 2 {
		var b Builder
		for _, w := range words {
			if err := b.Reserve("1", "sms", w); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Add(entry(t, "f", "1", "info|info…|stop it")); err != nil {
			t.Fatal(err)
		}
		table, conflicts := b.Build()
		m := Prepare("stop")
		if c := Decide(table.Lookup("1", "sms", m), m, nil, 0); c.Word != Stop || c.Keyword != "STOP" {
			t.Errorf("got %+v", c)
		}
		var first string
		for _, c := range conflicts {
			if c.Second.Word == 0 {
				first = c.String()
			} else if c.First.Word >= c.Second.Word {
				t.Errorf("the wrong one wins in %v", c)
			}
		}
		if want := `flow "f" entry "e" never gets keyword "info" (whole) on sms number 1, which is reserved there as a help word`; !strings.HasPrefix(first, want) {
			t.Errorf("got %q, want %q", first, want)
		}
		slices.Reverse(words)
	}
	c := Conflict{Number: "1", Channel: "sms", Keyword: "x", First: Claim{Word: Stop}, Second: Claim{Word: Help}}
	if got := c.String(); !strings.HasPrefix(got, `keyword "x" (whole) is reserved both as a stop word and as a help word on sms number 1`) {
		t.Error(got)
	}
}

// A reserved word that cannot be used is reported; the others count.
func TestReserveRefuses(t *testing.T) {
	var b Builder
	err := b.Reserve("1", "sms", Reserved{Stop: []string{" ", "stop"}})
	if err == nil || !strings.Contains(err.Error(), `sms number "1": reserved stop word: keyword " "`) {
		t.Error(err)
	}
	table, _ := b.Build()
	m := Prepare("stop")
	if c := Decide(table.Lookup("1", "sms", m), m, nil, 0); c.Word != Stop {
		t.Errorf("got %+v", c)
	}
}

func TestAddRefuses(t *testing.T) {
	good := entry(t, "f", "1", "a")
	var b Builder
	if err := b.Add(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Entry){
		"already":          func(*Entry) {},
		"no channel":       func(e *Entry) { e.Channel = "" },
		"no keywords":      func(e *Entry) { e.Patterns = nil },
		"10001 keywords":   func(e *Entry) { e.Patterns = make([]Pattern, maxPatterns+1) },
		"an empty keyword": func(e *Entry) { e.Patterns = make([]Pattern, 1) },
		"has no digit":     func(e *Entry) { e.ID, e.Number = "other", "+" },
	} {
		e := good
		change(&e)
		if err := b.Add(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want … %s …", err, want)
		}
	}
}

// A table stays as it is when its builder and its entries go on.
func TestTableIsImmutable(t *testing.T) {
	e := entry(t, "f", "1", "a")
	var b Builder
	if err := b.Add(e); err != nil {
		t.Fatal(err)
	}
	table, _ := b.Build()
	e.Patterns[0] = mustPattern(t, "b", Whole, false)
	if err := b.Add(entry(t, "g", "1", "c")); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve("1", "sms", Reserved{Stop: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	newer, _ := b.Build()
	for text, want := range map[string][2]Kind{"a": {ByEntry, ByReserved}, "b": {}, "c": {Unrouted, ByEntry}} {
		m := Prepare(text)
		for i, table := range []*Table{table, newer} {
			if c := Decide(table.Lookup("1", "sms", m), m, nil, 0); c.Kind != want[i] {
				t.Errorf("%q in table %d: %v", text, i, c.Kind)
			}
		}
	}
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(Stop, Start, Help, Word(0), Whole, FirstWord, Any, Mode(9), Unrouted, ByReserved, ByWait, ByEntry, ByNoMatch, Kind(9))
	if want := "stop start help word 0 whole first_word any mode 9 unrouted reserved wait entry no_match kind 9"; got != want {
		t.Errorf("got %q", got)
	}
}
