package keyword

import (
	"cmp"
	"fmt"
)

// Kind says who consumes a message.
type Kind uint8

// The kinds of consumers, in the order of rule R1.
const (
	Unrouted   Kind = 0 // nobody
	ByReserved Kind = 1 // a reserved word
	ByWait     Kind = 2 // a branch of a wait
	ByEntry    Kind = 3 // an entry point
	ByNoMatch  Kind = 4 // a wait that takes what nobody else wants
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Unrouted:
		return "unrouted"
	case ByReserved:
		return "reserved"
	case ByWait:
		return "wait"
	case ByEntry:
		return "entry"
	case ByNoMatch:
		return "no_match"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Consumer is who consumes a message. Which fields count depends on Kind; those
// that do not are -1 or empty.
type Consumer struct {
	Kind    Kind
	Word    Word   // ByReserved
	Wait    int    // ByWait, ByNoMatch: index of the wait
	Branch  int    // ByWait: index in its Branches; ByNoMatch: -1
	Index   int    // ByEntry: Entry.Index
	Keyword string // that matched, as configured; "" for any

	chosen candidate // ByEntry
}

// Rank orders consumers as rule R1 does; a lower one goes first. It serves a message
// that has several texts, each of which can be a keyword.
func (c Consumer) Rank() int {
	exact := c.Keyword != ""
	switch {
	case c.Kind == ByReserved:
		return 1
	case c.Kind == ByWait && exact:
		return 2
	case c.Kind == ByEntry && exact:
		return 3
	case c.Kind == ByWait:
		return 4
	case c.Kind == ByEntry:
		return 5
	case c.Kind == ByNoMatch:
		return 6
	}
	return 7
}

// Wait is a person's wait for a message on the number and channel in question.
type Wait struct {
	Branches []Pattern // tried from top to bottom, keywords before any (rules R1, X6)
	NoMatch  bool      // takes what nobody else wants (rule R1, rank 6)
	Since    int64     // when it began, milliseconds since 1970 (rule R6)
	Ordinal  uint64    // of the person's waits; the newest is the highest
	Flow     string
	Priority int // higher goes first (rule R3)
}

// Decide finds the one consumer of a message among what the table found and the
// waits of its sender (rules R1, R2). receivedAt is when the gateway received
// the message, in milliseconds since 1970; a wait that began later does not
// consume it (rule R6).
func Decide(found Result, m Message, waits []Wait, receivedAt int64) Consumer {
	if found.reserved.kind != 0 {
		c := unrouted()
		c.Kind, c.Word, c.Keyword = ByReserved, found.reserved.kind, found.reserved.word
		return c
	}
	answer := bestAnswer(m, waits, receivedAt)
	entry := found.best
	switch {
	case answer.matched() && answer.pattern.exact():
		return answer.consumer()
	case entry.entry != nil && entry.pattern.exact():
		return byEntry(entry)
	case answer.matched():
		return answer.consumer()
	case entry.entry != nil:
		return byEntry(entry)
	case answer.wait != nil:
		return answer.consumer()
	}
	return unrouted()
}

// answer is how one wait would consume the message.
type answer struct {
	wait    *Wait    // nil: no wait wants it
	at      int      // index of the wait
	branch  int      // -1: no branch, only no_match
	pattern *Pattern // nil: the same
}

func (a *answer) matched() bool { return a.pattern != nil }

func (a *answer) consumer() Consumer {
	c := unrouted()
	c.Kind, c.Wait = ByNoMatch, a.at
	if a.matched() {
		c.Kind, c.Branch, c.Keyword = ByWait, a.branch, a.pattern.word
	}
	return c
}

// bestAnswer picks the wait that goes first.
func bestAnswer(m Message, waits []Wait, receivedAt int64) (best answer) {
	for i := range waits {
		w := &waits[i]
		if receivedAt < w.Since {
			continue
		}
		a := answer{wait: w, at: i, branch: -1}
		if b := w.branch(&m); b >= 0 {
			a.branch, a.pattern = b, &w.Branches[b]
		} else if !w.NoMatch {
			continue
		}
		if best.wait == nil || compareAnswer(&a, &best) < 0 {
			best = a
		}
	}
	return best
}

// branch finds the first branch with a keyword that matches, or else the first
// any; -1: none.
func (w *Wait) branch(m *Message) int {
	first := -1
	for i := range w.Branches {
		p := &w.Branches[i]
		switch {
		case p.exact() && m.matches(p):
			return i
		case !p.exact() && first < 0:
			first = i
		}
	}
	return first
}

// compareAnswer puts first which of two waits gets the message (rules R1, R3).
func compareAnswer(a, b *answer) int {
	match := compareBool(!a.matched(), !b.matched())
	if match == 0 && a.matched() {
		match = compareMatch(a.pattern, b.pattern)
	}
	return cmp.Or(
		match,
		cmp.Compare(b.wait.Priority, a.wait.Priority),
		cmp.Compare(b.wait.Ordinal, a.wait.Ordinal),
		cmp.Compare(b.wait.Since, a.wait.Since),
		cmp.Compare(a.wait.Flow, b.wait.Flow),
	)
}

func unrouted() Consumer { return Consumer{Wait: -1, Branch: -1, Index: -1} }

func byEntry(c candidate) Consumer {
	consumer := unrouted()
	consumer.Kind, consumer.Index, consumer.Keyword, consumer.chosen = ByEntry, c.entry.Index, c.pattern.word, c
	return consumer
}
