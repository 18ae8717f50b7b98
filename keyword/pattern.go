package keyword

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a keyword after normalisation.
const (
	maxKeyword = 160 // characters: one short message
	maxTokens  = 16  // words of a first_word keyword
)

// Mode is how a keyword is compared with a message (rule K5). Lower modes go
// first (rules R1, R3).
type Mode uint8

// The modes.
const (
	Whole     Mode = 0 // the message is the keyword
	FirstWord Mode = 1 // the message begins with the words of the keyword
	Any       Mode = 2 // every message, also an empty one
)

// String gives the word used in flow files.
func (m Mode) String() string {
	switch m {
	case Whole:
		return "whole"
	case FirstWord:
		return "first_word"
	case Any:
		return "any"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Pattern is a keyword prepared for matching. It is immutable. The zero Pattern
// matches nothing.
type Pattern struct {
	word   string // as configured
	text   string // what is compared: normal, and folded if fold
	length int    // of text in characters (rule R3)
	tokens int    // words in text
	mode   Mode
	fold   bool // diacritics do not count (rule K4)
	opens  bool // begins with punctuation or a symbol, which K3 then leaves alone
	closes bool // ends with one
}

// AnyPattern matches every message.
func AnyPattern() Pattern { return Pattern{mode: Any} }

// NewPattern prepares a keyword. mode is Whole or FirstWord; fold lets c
// match č and ć.
func NewPattern(word string, mode Mode, fold bool) (Pattern, error) {
	if mode != Whole && mode != FirstWord {
		return Pattern{}, fmt.Errorf("keyword %q: mode %s takes no keyword; use whole or first_word", clip(word, maxKeyword), mode)
	}
	// Bounds the work: normalising comes before counting characters.
	if len(word) > maxMessage {
		return Pattern{}, fmt.Errorf("keyword %q… has %d octets; shorten it to at most %d characters", clip(word, 40), len(word), maxKeyword)
	}
	p := Pattern{word: word, text: normal(word), mode: mode, fold: fold}
	if fold {
		p.text = foldDiacritics(p.text)
	}
	p.length = utf8.RuneCountInString(p.text)
	p.tokens = strings.Count(p.text, " ") + 1
	switch {
	case p.text == "":
		return Pattern{}, fmt.Errorf("keyword %q has no character that counts; write at least one letter, digit or sign, or use any", word)
	case p.length > maxKeyword:
		return Pattern{}, fmt.Errorf("keyword %q… has %d characters; shorten it to at most %d", clip(word, 40), p.length, maxKeyword)
	case mode == FirstWord && p.tokens > maxTokens:
		return Pattern{}, fmt.Errorf("keyword %q… has %d words; the mode first_word takes at most %d", clip(word, 40), p.tokens, maxTokens)
	}
	first, _ := utf8.DecodeRuneInString(p.text)
	last, _ := utf8.DecodeLastRuneInString(p.text)
	p.opens, p.closes = isAffix(first), isAffix(last)
	return p, nil
}

// Word is the keyword as configured; "" for any.
func (p *Pattern) Word() string { return p.word }

// valid tells whether p came from a constructor.
func (p *Pattern) valid() bool { return p.mode == Any || p.text != "" }

// exact tells whether the pattern asks for a keyword (rule R1).
func (p *Pattern) exact() bool { return p.mode != Any }

// compareMatch puts the closer match first: a keyword before any (rule R1),
// whole before first_word, then the longest (rule R3).
func compareMatch(a, b *Pattern) int {
	return cmp.Or(cmp.Compare(a.mode, b.mode), cmp.Compare(b.length, a.length))
}

// comparePattern makes compareMatch a strict order among different patterns.
func comparePattern(a, b *Pattern) int {
	return cmp.Or(compareMatch(a, b), cmp.Compare(a.text, b.text), compareBool(a.fold, b.fold), cmp.Compare(a.word, b.word))
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
