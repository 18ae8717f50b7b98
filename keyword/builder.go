package keyword

import (
	"fmt"
	"maps"
	"slices"
)

// maxPatterns bounds the keywords of one entry.
const maxPatterns = 10_000

// Channel is the way by which messages come, such as "sms".
type Channel string

// Entry is an entry point of a flow that wants messages.
type Entry struct {
	Flow     string // id; with ID unique in the table
	ID       string
	Number   string // ours; "" is every number of the channel
	Channel  Channel
	Patterns []Pattern
	Priority int   // higher goes first (rule R3)
	Launched int64 // milliseconds since 1970; earlier goes first (rule R3)
	Index    int   // the caller's own; comes back in Consumer
}

// Builder collects what a Table routes to. The zero Builder is ready for use.
// The order of calls has no influence on the table.
type Builder struct {
	reserved   map[address]map[string]reservedWord
	entries    []*Entry
	known      map[[2]string]bool // flow and id of entries
	collisions []Conflict         // among reserved words
}

// address is one of our numbers on a channel.
type address struct {
	number  string
	channel Channel
}

// Reserve sets words of a number aside (rule K8). The error names words that
// cannot be used; the others are reserved all the same.
func (b *Builder) Reserve(number string, channel Channel, words Reserved) error {
	at := address{Number(number), channel}
	if b.reserved == nil {
		b.reserved = map[address]map[string]reservedWord{}
	}
	if b.reserved[at] == nil {
		b.reserved[at] = map[string]reservedWord{}
	}
	err := words.prepare(b.reserved[at], func(text string, first, second reservedWord) {
		b.collisions = append(b.collisions, Conflict{
			Number: at.number, Channel: channel, Keyword: text, Mode: Whole, First: Claim{Word: first.kind}, Second: Claim{Word: second.kind},
		})
	})
	if err != nil {
		return fmt.Errorf("%s number %q: %w", channel, number, err)
	}
	return nil
}

// Add takes an entry into the table.
func (b *Builder) Add(e Entry) error {
	key := [2]string{e.Flow, e.ID}
	switch {
	case e.Channel == "":
		return fmt.Errorf("the entry has no channel; name one")
	case len(e.Patterns) == 0:
		return fmt.Errorf("the entry has no keywords; name at least one, or any")
	case len(e.Patterns) > maxPatterns:
		return fmt.Errorf("the entry has %d keywords; spread them over entries with at most %d", len(e.Patterns), maxPatterns)
	case slices.ContainsFunc(e.Patterns, func(p Pattern) bool { return !p.valid() }):
		return fmt.Errorf("the entry has an empty keyword; remove it")
	case b.known[key]:
		return fmt.Errorf("flow %q has an entry %q already; give it another id", e.Flow, e.ID)
	}
	if b.known == nil {
		b.known = map[[2]string]bool{}
	}
	b.known[key] = true
	if e.Number != "" {
		e.Number = Number(e.Number)
		if e.Number == "" {
			return fmt.Errorf("the entry's number has no digit; correct it, or leave it out for every number")
		}
	}
	e.Patterns = slices.Clone(e.Patterns)
	b.entries = append(b.entries, &e)
	return nil
}

// Build makes the table, and lists what in it competes for the same messages.
func (b *Builder) Build() (*Table, []Conflict) {
	t := &Table{routes: map[address]*route{}}
	for at, words := range b.reserved {
		t.route(at).reserved = maps.Clone(words)
	}
	for _, e := range b.entries {
		r := t.route(address{e.Number, e.Channel})
		for i := range e.Patterns {
			r.add(candidate{entry: e, pattern: &e.Patterns[i]})
		}
	}
	conflicts := slices.Clone(b.collisions)
	for at, r := range t.routes {
		conflicts = r.finish(at, conflicts)
	}
	slices.SortFunc(conflicts, compareConflict)
	return t, slices.Compact(conflicts)
}

func (t *Table) route(at address) *route {
	r := t.routes[at]
	if r == nil {
		r = &route{}
		t.routes[at] = r
	}
	return r
}

func (r *route) add(c candidate) {
	x := &r.plain
	if c.pattern.fold {
		x = &r.folded
	}
	switch c.pattern.mode {
	case Any:
		r.any = append(r.any, c)
	case Whole:
		x.whole = put(x.whole, c)
	case FirstWord:
		x.first = put(x.first, c)
		x.tokens = max(x.tokens, c.pattern.tokens)
	}
}

func put(m map[string][]candidate, c candidate) map[string][]candidate {
	if m == nil {
		m = map[string][]candidate{}
	}
	m[c.pattern.text] = append(m[c.pattern.text], c)
	return m
}

// finish orders every group of candidates and looks for conflicts in it.
func (r *route) finish(at address, conflicts []Conflict) []Conflict {
	for _, m := range [...]map[string][]candidate{r.plain.whole, r.plain.first, r.folded.whole, r.folded.first} {
		for text, group := range m {
			m[text] = settle(group)
			conflicts = rivals(at, m[text], conflicts)
		}
	}
	r.any = settle(r.any)
	conflicts = rivals(at, r.any, conflicts)
	for text, w := range r.reserved {
		conflicts = shadowed(at, w.kind, r.plain.whole[text], conflicts)
	}
	return conflicts
}

// settle puts the best candidate first and leaves one of each entry.
func settle(group []candidate) []candidate {
	slices.SortFunc(group, compareCandidate)
	return slices.CompactFunc(group, func(a, b candidate) bool { return a.entry == b.entry })
}
