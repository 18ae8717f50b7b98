package keyword

import (
	"cmp"
	"slices"
	"strings"
)

// Table routes messages to entries. A lookup costs the same however many
// entries there are: it is a few accesses to hash tables, as many as the first
// words of the message can be keywords. A Table is immutable and safe for
// concurrent use.
type Table struct {
	routes map[address]*route
}

// route is what one number, or every number of a channel, routes to. Groups of
// candidates are ordered, best first.
type route struct {
	reserved map[string]reservedWord // by normal text
	plain    index
	folded   index // by text without diacritics (rule K4)
	any      []candidate
}

// index finds candidates by what their keyword is compared as.
type index struct {
	whole  map[string][]candidate
	first  map[string][]candidate
	tokens int // the most words that a keyword in first has
}

// candidate is one keyword of one entry.
type candidate struct {
	entry   *Entry
	pattern *Pattern
}

// compareCandidate puts first who gets a message that both match (rules R1,
// R3). It is a strict order: flow and id tell entries apart.
func compareCandidate(a, b candidate) int {
	return cmp.Or(
		compareMatch(a.pattern, b.pattern),
		compareBool(a.entry.Number == "", b.entry.Number == ""),
		cmp.Compare(b.entry.Priority, a.entry.Priority),
		cmp.Compare(a.entry.Launched, b.entry.Launched),
		cmp.Compare(a.entry.Flow, b.entry.Flow),
		cmp.Compare(a.entry.ID, b.entry.ID),
		comparePattern(a.pattern, b.pattern),
	)
}

// Result is what a Table has for a message.
type Result struct {
	local    *route // of the number; nil: none
	wide     *route // of the channel; nil: none
	message  Message
	reserved reservedWord
	best     candidate // entry nil: none
}

// Lookup finds what a message to one of our numbers, as Number writes it, is
// for.
func (t *Table) Lookup(number string, channel Channel, m Message) Result {
	r := Result{message: m, wide: t.routes[address{"", channel}]}
	if number != "" {
		r.local = t.routes[address{number, channel}]
	}
	if r.local != nil && len(r.local.reserved) > 0 {
		r.reserved = m.plain.reserved(r.local.reserved)
	}
	r.best = r.next(candidate{})
	return r
}

// After gives the next best entry for the message after one that refused it,
// and false when there is none (rule R4). An entry with several keywords that
// match is given once.
func (r *Result) After(c Consumer) (Consumer, bool) {
	if c.Kind != ByEntry || c.chosen.entry == nil {
		return unrouted(), false
	}
	for next := c.chosen; ; {
		next = r.next(next)
		if next.entry == nil {
			return unrouted(), false
		}
		if !r.offered(next) {
			return byEntry(next), true
		}
	}
}

// offered tells whether the entry had the message already, for the sake of a
// keyword that matches better.
func (r *Result) offered(c candidate) bool {
	for i := range c.entry.Patterns {
		p := &c.entry.Patterns[i]
		if comparePattern(p, c.pattern) < 0 && r.message.matches(p) {
			return true
		}
	}
	return false
}

// next finds the best candidate that comes after another; after the zero
// candidate, the best of all.
func (r *Result) next(after candidate) candidate {
	s := search{after: after}
	for _, route := range [...]*route{r.local, r.wide} {
		if route == nil {
			continue
		}
		s.index(&route.plain, &r.message.plain)
		s.index(&route.folded, &r.message.folded)
		s.group(route.any)
	}
	return s.best
}

// search keeps the best candidate seen that comes after another.
type search struct {
	after, best candidate
}

func (s *search) group(ordered []candidate) {
	if s.after.entry != nil {
		i, found := slices.BinarySearchFunc(ordered, s.after, compareCandidate)
		if found {
			i++
		}
		ordered = ordered[i:]
	}
	if len(ordered) > 0 && (s.best.entry == nil || compareCandidate(ordered[0], s.best) < 0) {
		s.best = ordered[0]
	}
}

// index looks up everything that the message can be a match of. A keyword with
// punctuation at an end is equal to a text only where that end is not stripped,
// and any other keyword only where it is or has none; so equality is rule K3.
func (s *search) index(x *index, f *form) {
	if len(x.whole) > 0 && !f.cut {
		s.whole(x, f)
	}
	if len(x.first) > 0 {
		s.first(x, f)
	}
}

func (s *search) whole(x *index, f *form) {
	begins, b := f.begins()
	ends, e := f.ends()
	for _, from := range begins[:b] {
		for _, to := range ends[:e] {
			if from < to {
				s.group(x.whole[f.text[from:to]])
			}
		}
	}
}

func (s *search) first(x *index, f *form) {
	begins, n := f.begins()
	for _, from := range begins[:n] {
		text := f.text[from:]
		word := 0 // where the last word of the prefix begins
		for range x.tokens {
			if word >= len(text) {
				break
			}
			end := len(text)
			if i := strings.IndexByte(text[word:], ' '); i >= 0 {
				end = word + i
			}
			s.group(x.first[text[:end]])
			if bare := strings.TrimRightFunc(text[word:end], affix); bare != "" && len(bare) < end-word {
				s.group(x.first[text[:word+len(bare)]])
			}
			word = end + 1
		}
	}
}

// reserved finds the reserved word that the message is. When different ends
// make different words of it, the longest counts (rule R3).
func (f *form) reserved(words map[string]reservedWord) reservedWord {
	if f.cut {
		return reservedWord{}
	}
	begins, b := f.begins()
	ends, e := f.ends()
	var best reservedWord
	longest := 0
	for _, from := range begins[:b] {
		for _, to := range ends[:e] {
			if to-from <= longest {
				continue
			}
			if w, ok := words[f.text[from:to]]; ok {
				best, longest = w, to-from
			}
		}
	}
	return best
}
