package keyword

import "strings"

// maxMessage bounds how much of a message is looked at, in octets. It leaves
// room for the longest keyword in any script, with marks; what is longer than
// that is no keyword as a whole, only its first words can be one.
const maxMessage = 4096

// Message is a text prepared for matching, once for all patterns. It is
// immutable.
type Message struct {
	plain  form
	folded form // without diacritics (rule K4)
}

// form is one normal text of a message. The rule about punctuation (K3) depends
// on the keyword, so both ends are kept twice: text[open:end] is what remains
// between leading and trailing punctuation. When there is nothing else, open is
// len(text) and end is 0.
type form struct {
	text string
	open int
	end  int
	cut  bool // the message goes on after text
}

// Prepare normalises a text (rules K2–K4). Parts are joined before (rule K1).
func Prepare(text string) Message {
	cut := false
	if len(text) > maxMessage {
		text, cut = shorten(text)
	}
	text = normal(text)
	if cut { // the last word may be half of one
		text = text[:max(strings.LastIndexByte(text, ' '), 0)]
	}
	m := Message{plain: newForm(text, cut)}
	m.folded = m.plain
	if folded := foldDiacritics(text); folded != text {
		m.folded = newForm(folded, cut)
	}
	return m
}

// shorten drops what does not count at the ends, then whatever is too much.
func shorten(text string) (string, bool) {
	text = strings.TrimFunc(text, func(r rune) bool { r = visible(r); return r == ' ' || r < 0 })
	short := clip(text, maxMessage)
	return short, len(short) < len(text)
}

func newForm(text string, cut bool) form {
	return form{
		text: text, cut: cut,
		open: len(text) - len(strings.TrimLeftFunc(text, affix)),
		end:  len(strings.TrimRightFunc(text, affix)),
	}
}

// matches tells whether the message is what the pattern asks for (rules K3–K6).
func (m *Message) matches(p *Pattern) bool {
	f := &m.plain
	if p.fold {
		f = &m.folded
	}
	switch {
	case p.mode == Any:
		return true
	case p.text == "":
		return false
	case p.mode == Whole:
		return f.isWhole(p)
	}
	return f.beginsWith(p)
}

func (f *form) isWhole(p *Pattern) bool {
	from, to := f.open, f.end
	if p.opens {
		from = 0
	}
	if p.closes {
		to = len(f.text)
	}
	return !f.cut && from < to && f.text[from:to] == p.text
}

// beginsWith compares the first words, as many as the keyword has. Punctuation
// is stripped from the ends of these words, not of the whole message: "Start,
// please" begins with start.
func (f *form) beginsWith(p *Pattern) bool {
	from := f.open
	if p.opens {
		from = 0
	}
	rest, ok := strings.CutPrefix(f.text[from:], p.text)
	if !ok {
		return false
	}
	rest, _, _ = strings.Cut(rest, " ")
	return rest == "" || !p.closes && strings.TrimLeftFunc(rest, affix) == ""
}

// begins lists where a keyword can begin: n is 1 when there is nothing to strip.
func (f *form) begins() (at [2]int, n int) {
	if f.open == 0 {
		return at, 1
	}
	return [2]int{0, f.open}, 2
}

// ends lists where a whole keyword can end.
func (f *form) ends() (at [2]int, n int) {
	if f.end == len(f.text) {
		return [2]int{f.end}, 1
	}
	return [2]int{len(f.text), f.end}, 2
}
