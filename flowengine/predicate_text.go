package flowengine

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// textRelation is how a text has to stand to another.
type textRelation uint8

const (
	textEqual textRelation = iota
	textContaining
	textStarting
	textEnding
	textAmong
)

// textMatch compares texts in normal form C; unless it is sensitive, by their
// case folding (Unicode 3.13, default caseless matching).
type textMatch struct {
	relation  textRelation
	sensitive bool
	want      []byte
	among     map[string]struct{}
}

func newTextMatch(r textRelation, want string, sensitive bool) *textMatch {
	m := &textMatch{relation: r, sensitive: sensitive}
	m.want = m.prepared(want)
	return m
}

func newTextSet(want []string, sensitive bool) *textMatch {
	m := &textMatch{relation: textAmong, sensitive: sensitive, among: make(map[string]struct{}, len(want))}
	for _, w := range want {
		m.among[string(m.prepared(w))] = struct{}{}
	}
	return m
}

func (m *textMatch) prepared(s string) []byte {
	var f folder
	return bytes.Clone(f.prepare(s, m.sensitive))
}

func (m *textMatch) test(v Value, _ *View) bool { return m.matches(v.Str) }

func (m *textMatch) matches(s string) bool {
	if m.relation == textEqual && !m.sensitive && isASCII(s) {
		return equalLowered(s, m.want)
	}
	f := folders.Get().(*folder)
	yes := m.compare(f.prepare(s, m.sensitive))
	folders.Put(f)
	return yes
}

func (m *textMatch) compare(b []byte) bool {
	switch m.relation {
	case textEqual:
		return bytes.Equal(b, m.want)
	case textContaining:
		return bytes.Contains(b, m.want)
	case textStarting:
		return bytes.HasPrefix(b, m.want)
	case textEnding:
		return bytes.HasSuffix(b, m.want)
	}
	_, found := m.among[string(b)]
	return found
}

// anyOf says whether an item of a list matches.
func (m *textMatch) anyOf(list Value) bool {
	for item, rest, ok := nextItem(list.Str); ok; item, rest, ok = nextItem(rest) {
		if m.matches(item) {
			return true
		}
	}
	return false
}

// folder holds what preparing a text needs, so that no text allocates.
type folder struct {
	caser cases.Caser
	made  bool
	a, b  []byte
}

var folders = sync.Pool{New: func() any { return new(folder) }}

// prepare gives the form of s in which it is compared; it is valid until the
// next call.
func (f *folder) prepare(s string, sensitive bool) []byte {
	switch ascii := isASCII(s); {
	case ascii && sensitive:
		f.a = append(f.a[:0], s...)
		return f.a
	case ascii:
		f.a = f.a[:0]
		for i := range len(s) {
			f.a = append(f.a, lower(s[i]))
		}
		return f.a
	}
	f.a = norm.NFC.AppendString(f.a[:0], s)
	if sensitive {
		return f.a
	}
	f.fold()
	if norm.NFC.IsNormal(f.b) {
		return f.b
	}
	f.a = norm.NFC.Append(f.a[:0], f.b...)
	return f.a
}

// fold writes the case folding of a into b.
func (f *folder) fold() {
	if !f.made {
		f.caser, f.made = cases.Fold(), true
	}
	lowerCherokee(f.a)
	const growth = 3 // a letter folds to three at most
	if need := growth*len(f.a) + 16; cap(f.b) < need {
		f.b = make([]byte, need)
	}
	f.b = f.b[:cap(f.b)]
	n, _, _ := f.caser.Transform(f.b, f.a, true)
	f.b = f.b[:n]
}

// lowerCherokee makes both cases of Cherokee letters, in place, the lower one.
// Unicode folds them to the upper one, but cases.Fold of x/text v0.44 swaps them.
func lowerCherokee(b []byte) {
	const lead = 0xE1 // first byte of U+1000 to U+1FFF in UTF-8
	for i := bytes.IndexByte(b, lead); i >= 0 && i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if '\u13a0' <= r && r <= '\u13f5' {
			utf8.EncodeRune(b[i:], unicode.ToLower(r)) // as long: three bytes
		}
		i += size
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func equalLowered(s string, lowered []byte) bool {
	if len(s) != len(lowered) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lowered[i] {
			return false
		}
	}
	return true
}

func textIs(c *leafCompiler) test       { return c.textTest(textEqual) }
func textContains(c *leafCompiler) test { return c.textTest(textContaining) }
func textStarts(c *leafCompiler) test   { return c.textTest(textStarting) }
func textEnds(c *leafCompiler) test     { return c.textTest(textEnding) }

func (c *leafCompiler) textTest(r textRelation) test {
	convert := c.coerce
	if r == textEqual {
		convert = c.fitting
	}
	v, ok := convert(&c.value, Text)
	if !ok {
		return nil
	}
	return newTextMatch(r, v.Str, c.sensitive).test
}

func textIn(c *leafCompiler) test {
	m, ok := c.textSet()
	if !ok {
		return nil
	}
	return m.test
}

// textSet takes the operand as a set of texts.
func (c *leafCompiler) textSet() (*textMatch, bool) {
	var want []string
	for i := range c.value.items {
		v, ok := c.fitting(&c.value.items[i], Text, i)
		if !ok {
			return nil, false
		}
		want = append(want, v.Str)
	}
	return newTextSet(want, c.sensitive), true
}

// textMatches takes the operand as a regular expression (RE2, so that its cost
// grows with the text alone). It sees texts in normal form C.
func textMatches(c *leafCompiler) test {
	v, ok := c.coerce(&c.value, Text)
	if !ok {
		return nil
	}
	if len(v.Str) > maxPattern {
		c.errorAt("value", "the regular expression is longer than %d bytes", maxPattern)
		return nil
	}
	flags := syntax.Perl
	if !c.sensitive {
		flags |= syntax.FoldCase
	}
	parsed, err := syntax.Parse(norm.NFC.String(v.Str), flags)
	if err != nil {
		c.errorAt("value", "%q is not a regular expression (RE2): %s", shorten(v.Str), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil
	}
	pattern, err := regexp.Compile(parsed.String())
	if err != nil {
		c.errorAt("value", "%q is not a regular expression (RE2): %v", shorten(v.Str), err)
		return nil
	}
	return func(v Value, _ *View) bool {
		s := v.Str
		if !isASCII(s) {
			s = norm.NFC.String(s) // the same string when it is normal
		}
		return pattern.MatchString(s)
	}
}
