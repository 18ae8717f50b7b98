package keyword

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The reference is written from the rules, without any table: it asks every
// keyword of every entry and sorts those that match.

// claim is one keyword of one entry or wait, or a no_match, that wants a message.
type claim struct {
	rank    int // of rule R1
	mode    Mode
	length  int
	wide    bool
	prio    int
	newest  uint64 // of waits
	launch  int64  // of entries
	flow    string
	id      string
	text    string
	fold    bool
	word    string
	outcome Consumer
}

func compareClaims(a, b claim) int {
	return cmp.Or(
		cmp.Compare(a.rank, b.rank), // R1
		cmp.Compare(a.mode, b.mode), // R3, in its order
		-cmp.Compare(a.length, b.length),
		strings.Compare(fmt.Sprint(a.wide), fmt.Sprint(b.wide)),
		-cmp.Compare(a.prio, b.prio),
		-cmp.Compare(a.newest, b.newest),
		cmp.Compare(a.launch, b.launch),
		cmp.Compare(a.flow, b.flow),
		cmp.Compare(a.id, b.id),
		cmp.Compare(a.text, b.text),
		strings.Compare(fmt.Sprint(a.fold), fmt.Sprint(b.fold)),
		cmp.Compare(a.word, b.word),
	)
}

// refMatches is rules K2–K6.
func refMatches(p Pattern, message string) bool {
	if p.mode == Any {
		return true
	}
	keyword, text := normal(p.word), normal(message)
	if p.fold {
		keyword, text = foldDiacritics(keyword), foldDiacritics(text)
	}
	first, _ := utf8.DecodeRuneInString(keyword)
	last, _ := utf8.DecodeLastRuneInString(keyword)
	for text != "" && !isAffix(first) {
		r, n := utf8.DecodeRuneInString(text)
		if !affix(r) {
			break
		}
		text = text[n:]
	}
	if p.mode == FirstWord {
		words := strings.Split(text, " ")
		text = strings.Join(words[:min(len(words), len(strings.Split(keyword, " ")))], " ")
	}
	for text != "" && !isAffix(last) {
		r, n := utf8.DecodeLastRuneInString(text)
		if !affix(r) {
			break
		}
		text = text[:len(text)-n]
	}
	return text != "" && text == keyword
}

// configuration is everything that decides about one message.
type configuration struct {
	entries  []Entry
	reserved []reservation
	waits    []Wait
	number   string
	channel  Channel
	text     string
	at       int64
}

type reservation struct {
	number  string
	channel Channel
	words   Reserved
}

// refClaims lists who wants the message, best first.
func refClaims(c *configuration) (claims []claim) {
	for _, r := range c.reserved {
		if r.number != c.number || r.channel != c.channel {
			continue
		}
		for kind, words := range [][]string{Stop: r.words.Stop, Start: r.words.Start, Help: r.words.Help} {
			for _, w := range words {
				p, err := NewPattern(w, Whole, false)
				if err == nil && refMatches(p, c.text) {
					o := unrouted()
					o.Kind, o.Word, o.Keyword = ByReserved, Word(kind), w
					// Among words of the same length, the kind decides.
					claims = append(claims, claim{rank: 1, length: p.length, launch: int64(kind), word: w, outcome: o})
				}
			}
		}
	}
	for i, w := range c.waits {
		if c.at >= w.Since {
			claims = append(claims, refWait(i, w, c.text)...)
		}
	}
	for _, e := range c.entries {
		if e.Channel != c.channel || e.Number != "" && e.Number != c.number {
			continue
		}
		for _, p := range e.Patterns {
			if !refMatches(p, c.text) {
				continue
			}
			o := unrouted()
			o.Kind, o.Index, o.Keyword = ByEntry, e.Index, p.word
			k := refClaim(p, 3, 5, e.Flow, e.Priority, o)
			k.wide, k.launch, k.id = e.Number == "", e.Launched, e.ID
			claims = append(claims, k)
		}
	}
	slices.SortStableFunc(claims, compareClaims)
	return claims
}

func refWait(i int, w Wait, text string) []claim {
	o := unrouted()
	o.Wait = i
	for _, exact := range []bool{true, false} {
		for j, p := range w.Branches {
			if (p.mode != Any) == exact && refMatches(p, text) {
				o.Kind, o.Branch, o.Keyword = ByWait, j, p.word
				k := refClaim(p, 2, 4, w.Flow, w.Priority, o)
				k.newest = w.Ordinal
				return []claim{k}
			}
		}
	}
	if !w.NoMatch {
		return nil
	}
	o.Kind = ByNoMatch
	return []claim{{rank: 6, prio: w.Priority, newest: w.Ordinal, flow: w.Flow, outcome: o}}
}

func refClaim(p Pattern, exact, any int, flow string, priority int, o Consumer) claim {
	k := claim{rank: exact, mode: p.mode, flow: flow, prio: priority, word: p.word, fold: p.fold, outcome: o}
	if p.mode == Any {
		k.rank = any
		return k
	}
	k.text = normal(p.word)
	if p.fold {
		k.text = foldDiacritics(k.text)
	}
	k.length = utf8.RuneCountInString(k.text)
	return k
}

// refOffers is the consumer, and then the entries that come after it when each
// refuses.
func refOffers(c *configuration) []Consumer {
	claims := refClaims(c)
	if len(claims) == 0 {
		return []Consumer{unrouted()}
	}
	offers := []Consumer{claims[0].outcome}
	if claims[0].outcome.Kind != ByEntry {
		return offers
	}
	for _, k := range claims[1:] {
		o := k.outcome
		if o.Kind == ByEntry && !slices.ContainsFunc(offers, func(x Consumer) bool { return x.Index == o.Index }) {
			offers = append(offers, o)
		}
	}
	return offers
}

// offers is the same, asked of the package. It also gives what the table warns of.
func offers(t require, c *configuration) ([]Consumer, []Conflict) {
	var b Builder
	for _, e := range c.entries {
		if err := b.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range c.reserved {
		if err := b.Reserve(r.number, r.channel, r.words); err != nil {
			t.Fatal(err)
		}
	}
	table, conflicts := b.Build()
	m := Prepare(c.text)
	found := table.Lookup(c.number, c.channel, m)
	var all []Consumer
	consumer := Decide(found, m, c.waits, c.at)
	for ok := true; ok; consumer, ok = found.After(consumer) {
		plain := consumer
		plain.chosen = candidate{}
		all = append(all, plain)
	}
	return all, conflicts
}

type require interface{ Fatal(...any) }

var (
	drawnWords = []string{
		"a", "A", "b", "a b", "a b c", "ab", "#a", "a!", "#1", "1", ":)", "!", "č", "c", "c\u030c", "Ć b", "שלום", "שָׁלוֹם", "كم", "❤", "❤\ufe0f", "👩\u200d👧", "đ", "-", "- a", "a - b",
	}
	drawnBits = append([]string{" ", "  ", "!", "?", "#", "-", "\n", "\u200f", "\ufe0f", "\u0301", ".", "", "؟", "👍"}, drawnWords...)
)

func drawPatterns(t *rapid.T, label string) []Pattern {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Pattern {
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		if kind == 0 {
			return AnyPattern()
		}
		p, err := NewPattern(rapid.SampledFrom(drawnWords).Draw(t, "word"), Mode(kind%2), kind > 5)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}), 1, 4).Draw(t, label)
}

func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(drawnBits), 0, 6).Draw(t, "text"), "")
}

func drawConfiguration(t *rapid.T) *configuration {
	numbers := rapid.SampledFrom([]string{"", "1", "2"})
	channels := rapid.SampledFrom([]Channel{"sms", "sms", "chat"})
	c := &configuration{number: numbers.Draw(t, "to"), channel: channels.Draw(t, "channel"), text: drawText(t), at: 10}
	for i := range rapid.IntRange(0, 8).Draw(t, "entries") {
		c.entries = append(c.entries, Entry{
			Flow: rapid.SampledFrom([]string{"f", "g", "h"}).Draw(t, "flow"), ID: fmt.Sprint(i),
			Number: numbers.Draw(t, "number"), Channel: channels.Draw(t, "channel"), Patterns: drawPatterns(t, "keywords"),
			Priority: rapid.IntRange(0, 1).Draw(t, "priority"), Launched: rapid.Int64Range(0, 1).Draw(t, "launched"), Index: i,
		})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "waits") {
		c.waits = append(c.waits, Wait{
			Branches: drawPatterns(t, "branches"), NoMatch: rapid.Bool().Draw(t, "no_match"), Since: rapid.Int64Range(9, 11).Draw(t, "since"),
			Ordinal: uint64(i), Flow: "f", Priority: rapid.IntRange(0, 1).Draw(t, "priority"),
		})
	}
	words := rapid.SliceOfN(rapid.SampledFrom(drawnWords), 0, 2)
	for range rapid.IntRange(0, 2).Draw(t, "reservations") {
		c.reserved = append(c.reserved, reservation{"1", "sms", Reserved{Stop: words.Draw(t, "stop"), Help: words.Draw(t, "help")}})
	}
	return c
}

// K2–K6, K8, R1–R4, R6: the table and the reference agree.
func TestAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfiguration(t)
		got, _ := offers(t, c)
		want := refOffers(c)
		if !slices.Equal(got, want) {
			t.Fatalf("message %+q: got %+v, want %+v", c.text, got, want)
		}
	})
}

// R1, R3: the order of configuration never changes who consumes, nor who would
// after a refusal, nor what is warned of.
func TestOrderOfConfigurationDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfiguration(t)
		want, warned := offers(t, c)
		shuffled := *c
		shuffled.entries = rapid.Permutation(c.entries).Draw(t, "entries in another order")
		for i, e := range shuffled.entries {
			shuffled.entries[i].Patterns = rapid.Permutation(e.Patterns).Draw(t, "keywords in another order")
		}
		shuffled.reserved = rapid.Permutation(c.reserved).Draw(t, "reserved words in another order")
		shuffled.waits = rapid.Permutation(c.waits).Draw(t, "waits in another order")
		got, warnings := offers(t, &shuffled)
		if i, j := got[0].Wait, want[0].Wait; i >= 0 && j >= 0 && shuffled.waits[i].Ordinal == c.waits[j].Ordinal {
			got[0].Wait = j // the same wait in another place
		}
		if !slices.Equal(got, want) {
			t.Fatalf("message %+q: got %+v, want %+v", c.text, got, want)
		}
		if !slices.Equal(warnings, warned) {
			t.Fatalf("warnings: got %v, want %v", warnings, warned)
		}
	})
}

// R1: a keyword that matches beats every any, whatever their numbers,
// priorities, launches and order.
func TestKeywordBeatsAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfiguration(t)
		c.reserved = nil
		all, _ := offers(t, c)
		exact := slices.ContainsFunc(c.entries, func(e Entry) bool {
			return e.Channel == c.channel && (e.Number == "" || e.Number == c.number) && wantsExactly(e.Patterns, c.text)
		}) || slices.ContainsFunc(c.waits, func(w Wait) bool { return w.Since <= c.at && wantsExactly(w.Branches, c.text) })
		if exact != (all[0].Keyword != "") {
			t.Fatalf("message %+q: a keyword matches: %t, consumer %+v", c.text, exact, all[0])
		}
	})
}

func wantsExactly(patterns []Pattern, text string) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.mode != Any && refMatches(p, text) })
}

// A match does not depend on how the same text is encoded (K2).
func TestMatchIgnoresWrapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfiguration(t)
		want, _ := offers(t, c)
		wrapped := *c
		wrapped.text = "\u200f\t " + strings.ToUpper(c.text) + " \u200b\n"
		if got, _ := offers(t, &wrapped); !slices.Equal(got, want) {
			t.Fatalf("message %+q: got %+v, want %+v", c.text, got, want)
		}
	})
}
