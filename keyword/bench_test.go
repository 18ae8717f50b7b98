package keyword

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkPrepare(b *testing.B) {
	for name, text := range map[string]string{
		"normal": "start", "ascii": "  START my subscription, please! ", "croatian": "Počni odmah, molim!", "hebrew": "\u200fשָׁלוֹם לך",
		"emoji": "start ❤\ufe0f👩\u200d👧", "long": strings.Repeat("Long text ", 160), "longUnicode": strings.Repeat("Dugačak tekst ", 120),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Prepare(text)
			}
		})
	}
}

// BenchmarkLookup shows that the number of entries has no influence: all are on
// one number.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		entries := []Entry{entry(b, "any", "1", "*"), entry(b, "fallback", "", "*")}
		for i := len(entries); i < n; i++ {
			mode := Mode(i % 2)
			entries = append(entries, Entry{
				Flow: fmt.Sprint(i), ID: "e", Number: "1", Channel: "sms", Index: i,
				Patterns: []Pattern{mustPattern(b, fmt.Sprintf("word%d", i), mode, i%4 > 1)},
			})
		}
		table := build(b, entries...)
		for _, tc := range []struct{ name, text string }{{"keyword", "Word6!"}, {"first_word", "word7 and more"}, {"any", "something else"}} {
			m := Prepare(tc.text)
			b.Run(fmt.Sprintf("entries=%d/%s", n, tc.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if found := table.Lookup("1", "sms", m); Decide(found, m, nil, 0).Kind != ByEntry {
						b.Fatal("not found")
					}
				}
			})
		}
	}
}

func BenchmarkNumber(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Number("+385 (91) 000-001")
	}
}
