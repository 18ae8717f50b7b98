package keyword

import (
	"strings"
	"testing"
)

func mustPattern(t testing.TB, word string, mode Mode, fold bool) Pattern {
	t.Helper()
	p, err := NewPattern(word, mode, fold)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// K2–K6: whether a message is a keyword, asked of a pattern and of a table.
func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		rule, keyword string
		mode          Mode
		fold          bool
		message       string
		want          bool
	}{
		{"K2 case", "start", Whole, false, "START", true},
		{"K2 space", "start now", Whole, false, " Start \n NOW ", true},
		{"K2 full width", "start", Whole, false, "ｓｔａｒｔ", true},
		{"K2 sharp s", "straße", Whole, false, "STRASSE", true},
		{"K2 decomposed", "počni", Whole, false, "poc\u030cni", true},
		{"K2 Hebrew in marks", "שלום", Whole, false, "\u200fשלום\u200f", true},
		{"K2 emoji with selector", "❤", Whole, false, "❤\ufe0f", true},
		{"K2 emoji joined", "👩\u200d👧", Whole, false, "👩\u200d👧", true},
		{"K3 both ends", "start", Whole, false, "«Start!»", true},
		{"K3 spaces between", "start", Whole, false, "- start -", true},
		{"K3 emoji after", "start", Whole, false, "start 👍🏽", true},
		{"K3 emoji with selector after", "start", Whole, false, "start ❤\ufe0f", true},
		{"K3 Arabic question mark", "كم", Whole, false, "كم؟", true},
		{"K3 Spanish", "hola", Whole, false, "¡Hola!", true},
		{"K3 not inside", "start", Whole, false, "st-art", false},
		{"K3 keyword keeps its begin", "#1", Whole, false, "#1", true},
		{"K3 keyword keeps its begin, the end is stripped", "#1", Whole, false, "#1!", true},
		{"K3 keyword needs its begin", "#1", Whole, false, "1", false},
		{"K3 keyword needs exactly its begin", "#1", Whole, false, "##1", false},
		{"K3 without its begin", "1", Whole, false, "#1", true},
		{"K3 keyword keeps its end", "c++", Whole, false, "C++", true},
		{"K3 keyword keeps its end, the begin is stripped", "c++", Whole, false, "(c++", true},
		{"K3 keyword needs its end", "c++", Whole, false, "c", false},
		{"K3 only signs", ":)", Whole, false, ":)", true},
		{"K3 only signs, others", ":)", Whole, false, ":))", false},
		{"K3 emoji", "👍", Whole, false, "👍\ufe0f", true},
		{"K3 message only", "start!", Whole, false, "start", false},
		{"K4 diacritics count", "počni", Whole, false, "pocni", false},
		{"K4 folded keyword", "počni", Whole, true, "POCNI", true},
		{"K4 folded message", "pocni", Whole, true, "poćni!", true},
		{"K4 stroke", "dosta", Whole, true, "đosta", true},
		{"K4 Hebrew points", "שלום", Whole, true, "שָׁלוֹם", true},
		{"K4 Arabic vowels", "مرحبا", Whole, true, "مَرْحَبًا", true},
		{"K4 per keyword", "مرحبا", Whole, false, "مَرْحَبًا", false},
		{"K5 whole", "start", Whole, false, "start now", false},
		{"K5 first word", "start", FirstWord, false, "Start now", true},
		{"K5 first word alone", "start", FirstWord, false, "start", true},
		{"K5 first word is a word", "start", FirstWord, false, "starting now", false},
		{"K5 not the second", "start", FirstWord, false, "please start", false},
		{"K5 token prefix", "stop it", FirstWord, false, "STOP  it now", true},
		{"K5 token prefix needs all", "stop it", FirstWord, false, "stop", false},
		{"K5 token prefix in words", "stop it", FirstWord, false, "stop item", false},
		{"K5 K3 begin", "start", FirstWord, false, "- start now", true},
		{"K5 K3 end of the word", "start", FirstWord, false, "Start, please", true},
		{"K5 K3 not over words", "start", FirstWord, false, "start.now", false},
		{"K5 K3 keyword keeps its begin", "#1", FirstWord, false, "#1, please", true},
		{"K5 K3 keyword keeps its end", "c++", FirstWord, false, "c++ please", true},
		{"K5 K3 keyword needs its end", "c++", FirstWord, false, "c+ please", false},
		{"K5 K4", "počni", FirstWord, true, "Pocni, molim", true},
		{"K6 empty", "start", Whole, false, "", false},
		{"K6 only signs", "start", FirstWord, false, "?!", false},
		{"K6 only invisible", "start", Whole, false, "\u200b\u200d", false},
		{"K6 only marks, folded", "a", FirstWord, true, "\u0301", false},
		{"bound: the first word of a long text", "start", FirstWord, false, "start " + strings.Repeat("x ", maxMessage), true},
		{"bound: half a word is none", "start", FirstWord, false, strings.Repeat("x", maxMessage), false},
		{"bound: space around", "start", Whole, false, strings.Repeat(" \u200b", maxMessage) + "start" + strings.Repeat("\t", maxMessage), true},
		{"bound: what is cut off counts", "start", Whole, false, "start " + strings.Repeat("x", maxMessage), false},
		{"bound: a long text is no keyword", "start", Whole, false, "start" + strings.Repeat("!", maxMessage), false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			p, m := mustPattern(t, tc.keyword, tc.mode, tc.fold), Prepare(tc.message)
			if got := m.matches(&p); got != tc.want {
				t.Errorf("pattern %q, message %q: %t", tc.keyword, tc.message, got)
			}
			found := build(t, Entry{Flow: "f", ID: "e", Channel: "sms", Patterns: []Pattern{p}}).Lookup("1", "sms", m)
			if got := Decide(found, m, nil, 0).Kind == ByEntry; got != tc.want {
				t.Errorf("table with %q, message %q: %t", tc.keyword, tc.message, got)
			}
		})
	}
}

// K6: any takes what no keyword can.
func TestAnyMatchesEverything(t *testing.T) {
	any := AnyPattern()
	for _, text := range []string{"", " ", "?", "\xff", "start", strings.Repeat("x", 2*maxMessage)} {
		if m := Prepare(text); !m.matches(&any) {
			t.Errorf("any does not match %q", clip(text, 20))
		}
	}
	var zero Pattern
	if m := Prepare(""); m.matches(&zero) {
		t.Error("the zero pattern matches")
	}
}

// K5: what cannot be a keyword.
func TestNewPatternRefuses(t *testing.T) {
	for _, tc := range []struct {
		word, want string
		mode       Mode
		fold       bool
	}{
		{"", "no character that counts", Whole, false},
		{" \u200d\t", "no character that counts", FirstWord, false},
		{"\u0301", "no character that counts", Whole, true},
		{strings.Repeat("x", maxKeyword+1), "has 161 characters", Whole, false},
		{strings.Repeat("x", maxMessage+1), "has 4097 octets", Whole, false},
		{strings.Repeat("x ", maxTokens+1), "has 17 words", FirstWord, false},
		{"x", "takes no keyword", Any, false},
	} {
		if _, err := NewPattern(tc.word, tc.mode, tc.fold); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want … %s …", clip(tc.word, 20), err, tc.want)
		}
	}
	mustPattern(t, strings.Repeat("č", maxKeyword), Whole, false)
	mustPattern(t, strings.Repeat("x ", maxTokens), FirstWord, true)
	mustPattern(t, strings.Repeat("x ", maxTokens+1), Whole, false)
}

// The longest keyword fits into what is looked at of a message, also in the
// script with the most octets and with marks that compose.
func TestLongestKeywordFits(t *testing.T) {
	word := strings.Repeat("𝐀\u030a\u0301", maxKeyword) // compose to ǻ
	p, m := mustPattern(t, word, Whole, false), Prepare("«"+word+"»")
	if !m.matches(&p) {
		t.Error("it does not match")
	}
}

func TestPrepareDoesNotAllocate(t *testing.T) {
	for _, text := range []string{"start", "start now!", ""} {
		if n := testing.AllocsPerRun(100, func() { _ = Prepare(text) }); n != 0 {
			t.Errorf("Prepare(%q) allocates %v times", text, n)
		}
	}
}

// However it is asked, of a pattern or of a table, the answer is the same; and
// a keyword matches itself.
func FuzzMatch(f *testing.F) {
	f.Add("start", "Start!", false, false)
	f.Add("#1", "«#1» x", true, false)
	f.Add("stop it", "stop  it, now", true, true)
	f.Add("č", "c\u030c", false, true)
	f.Fuzz(func(t *testing.T, word, text string, first, fold bool) {
		mode := Whole
		if first {
			mode = FirstWord
		}
		p, err := NewPattern(word, mode, fold)
		if err != nil {
			return
		}
		m, itself := Prepare(text), Prepare(word)
		if !itself.matches(&p) {
			t.Fatalf("keyword %+q does not match itself", word)
		}
		found := build(t, Entry{Flow: "f", ID: "e", Channel: "sms", Patterns: []Pattern{p}}).Lookup("1", "sms", m)
		if pattern, table := m.matches(&p), found.best.entry != nil; pattern != table {
			t.Fatalf("keyword %+q, message %+q: pattern %t, table %t", word, text, pattern, table)
		}
	})
}
