package text

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxParts is the highest number that a part can have.
const maxParts = 255

// Segment appends to dst the parts that carry s and returns the extended
// slice. It takes the smallest coding that holds every character: the
// carrier's data_coding 0, then the national tables of o.Languages when they
// need no more parts than UCS-2, else UCS-2. Nothing is ever replaced.
//
// A part takes at most the 140 octets of the air interface with its header: 160
// septets or 70 UCS-2 units alone. As one of several that leaves 153 or 67
// with UDH8 and SAR, and 152 or 66 with UDH16, whose header is an octet longer
// (3GPP TS 23.040 §9.2.3.24). Latin-1 has 140 octets alone, 134 or 133 of
// several. The message centre turns ASCII and UTF-8 into septets or UCS-2, so
// they are cut where those would be. Escaped characters and surrogate pairs are not
// split; neither is a character from its combining marks when that needs no
// further part.
//
// Runs of invalid UTF-8 go out as U+FFFD. The error is [ErrTooLong].
func Segment(dst []Part, s string, ref uint16, o Options) ([]Part, error) {
	s = valid(s)
	l, m := choose(s, o)
	size := m.parts*l.header(m.parts > 1) + l.octets(m, len(s))
	if m.parts > maxParts || o.Method == Payload && size > maxOctets {
		return dst, ErrTooLong
	}
	c := cutter{
		layout: l, method: o.Method, ref: ref, total: m.parts, slack: l.slack(m),
		buf: make([]byte, 0, size),
	}
	if o.Method == UDH8 {
		c.ref = ref & 0xff
	}
	dst = slices.Grow(dst, m.parts)
	for seq := 1; seq <= m.parts; seq++ {
		n := len(s)
		if seq < m.parts {
			n = c.next(s)
		}
		dst = append(dst, c.part(s[:n], seq))
		s = s[n:]
	}
	return dst, nil
}

// Count returns the number of parts that [Segment] makes of s, also when they
// are too many. It does not allocate.
func Count(s string, o Options) int {
	_, m := choose(valid(s), o)
	return m.parts
}

func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// choose returns the layout for s and what it takes.
func choose(s string, o Options) (layout, measure) {
	l := carrierLayout(o)
	if m, ok := l.measure(s); ok {
		return l, m
	}
	l = wideLayout(o)
	best, _ := l.measure(s)
	if o.Alphabet == Latin1 || o.Alphabet == ASCII || o.Alphabet == UTF8 {
		return l, best
	}
	found := false
	for _, language := range o.Languages {
		for _, shifts := range [...]struct{ lock, single bool }{{false, true}, {true, false}, {true, true}} {
			if shifts.lock && !hasLocking(language) || shifts.single && !hasSingle(language) {
				continue
			}
			n := nationalLayout(o, language, shifts.lock, shifts.single)
			m, ok := n.measure(s)
			if ok && (m.parts < best.parts || m.parts == best.parts && !found) {
				l, best, found = n, m, true
			}
		}
	}
	return l, best
}

// cutter writes the parts of one message into one buffer.
type cutter struct {
	layout
	method Method
	ref    uint16
	total  int
	slack  int // units that may stay free without a further part
	buf    []byte
}

// next returns the octets of s that go into the next part, which is not the
// last one.
func (c *cutter) next(s string) int {
	n, _ := c.cut(s, c.many)
	whole, units := c.wholeCharacter(s, n, c.slack)
	c.slack -= units
	return whole
}

// part writes s as the part seq.
func (c *cutter) part(s string, seq int) Part {
	p := Part{Coding: c.coding, Ref: c.ref, Total: uint8(c.total), Seq: uint8(seq)}
	start := len(c.buf)
	c.buf = append(c.buf, 0) // length octet of the header
	c.buf = append(c.buf, c.elements[:c.elementLen]...)
	if c.total > 1 {
		c.buf = appendConcat(c.buf, c.method, c.ref, p.Total, p.Seq)
	}
	header := len(c.buf) - start
	if header == 1 {
		header, c.buf = 0, c.buf[:start]
	} else {
		c.buf[start] = byte(header - 1)
		p.Header = c.buf[start:len(c.buf):len(c.buf)]
	}
	start = len(c.buf)
	c.buf = c.write(c.buf, s, fillBits(header))
	p.Data = c.buf[start:len(c.buf):len(c.buf)]
	return p
}
