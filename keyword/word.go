package keyword

import (
	"errors"
	"fmt"
)

// Word is a kind of reserved word (rule K8). Of two kinds with the same word,
// the lower one counts.
type Word uint8

// The kinds of reserved words.
const (
	Stop  Word = 1 // opt out
	Start Word = 2 // opt in
	Help  Word = 3
)

// String gives the word used in configuration.
func (w Word) String() string {
	switch w {
	case Stop:
		return "stop"
	case Start:
		return "start"
	case Help:
		return "help"
	}
	return fmt.Sprintf("word %d", uint8(w))
}

// Reserved are the words of a number that are handled before any flow, by kind.
// Each has to be the whole message. Diacritics count.
type Reserved struct {
	Stop  []string
	Start []string
	Help  []string
}

// reservedWord is what a normal text is reserved for.
type reservedWord struct {
	kind Word
	word string // as configured
}

// prepare adds the words to m, by their normal text, and calls collide for a
// word of two kinds. Words that cannot be used are left out and reported.
func (r *Reserved) prepare(m map[string]reservedWord, collide func(text string, first, second reservedWord)) error {
	var errs []error
	for kind, words := range [...][]string{Stop: r.Stop, Start: r.Start, Help: r.Help} {
		for _, w := range words {
			p, err := NewPattern(w, Whole, false)
			if err != nil {
				errs = append(errs, fmt.Errorf("reserved %s word: %w", Word(kind), err))
				continue
			}
			next := reservedWord{Word(kind), w}
			old, taken := m[p.text]
			if !taken {
				m[p.text] = next
				continue
			}
			if next.before(old) {
				old, next = next, old
				m[p.text] = old
			}
			if old.kind != next.kind {
				collide(p.text, old, next)
			}
		}
	}
	return errors.Join(errs...)
}

func (w reservedWord) before(other reservedWord) bool {
	return w.kind < other.kind || w.kind == other.kind && w.word < other.word
}
