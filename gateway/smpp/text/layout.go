package text

import (
	"math"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// charset is how characters are written and what they cost.
type charset uint8

const (
	septets     charset = iota // 1 or 2 units of 7 bits
	latin1                     // 1 unit of 8 bits
	ascii                      // 7 bits: the message centre turns them into septets
	utf8Septets                // UTF-8 of what the message centre can turn into septets
	utf8Wide                   // UTF-8 of what it must turn into UCS-2
	ucs2                       // 1 or 2 units of 16 bits
)

// userData is the octets of one short message on the air (3GPP TS 23.040
// §9.2.3.16).
const userData = 140

// layout is one way to carry a text: a coding with its tables, and how much of it
// fits into a part.
type layout struct {
	charset
	ascii      *[128]uint8 // units of the ASCII characters, 0 for one that the layout lacks
	coding     byte
	packed     bool
	lock       *table
	shift      *table
	elements   [6]byte // national language elements of the header
	elementLen int
	concat     int // octets that are free for the element that marks a part
	marked     int // octets of it that we write ourselves
	one, many  int // units in a message of one part, and in each of several
}

// measure is what a text takes in a layout.
type measure struct {
	units, parts int
}

// Units of the ASCII characters.
var (
	septetUnits = asciiUnits(&layout{charset: septets, lock: lockingTables[Default], shift: singleTables[Default]})
	ascii7Units = asciiUnits(&layout{charset: ascii, lock: lockingTables[Default], shift: singleTables[Default]})
	singleUnits = asciiUnits(&layout{charset: ucs2})
)

func asciiUnits(l *layout) *[128]uint8 {
	units := new([128]uint8)
	for r := range units {
		units[r] = uint8(l.costOf(rune(r)))
	}
	return units
}

// carrierLayout is data_coding 0 of the carrier.
func carrierLayout(o Options) layout {
	l := layout{
		ascii: septetUnits, coding: codingDefault, packed: o.Alphabet == GSM7Packed,
		lock: lockingTables[Default], shift: singleTables[Default],
	}
	switch o.Alphabet {
	case Latin1:
		l.charset, l.ascii = latin1, singleUnits
	case ASCII:
		l.charset, l.ascii = ascii, ascii7Units
	case UTF8:
		l.charset = utf8Septets
	}
	return l.limited(o.Method)
}

// wideLayout is the one that holds every character.
func wideLayout(o Options) layout {
	l := layout{charset: ucs2, ascii: singleUnits, coding: codingUCS2}
	if o.Alphabet == UTF8 {
		l.charset, l.coding = utf8Wide, codingDefault
	}
	return l.limited(o.Method)
}

func nationalLayout(o Options, language Language, lock, shift bool) layout {
	l := layout{
		coding: codingDefault, packed: o.Alphabet == GSM7Packed,
		lock: lockingTables[Default], shift: singleTables[Default],
	}
	if shift {
		l.shift = single(language)
		l.addElement(elementSingle, language)
	}
	if lock {
		l.lock = locking(language)
		l.addElement(elementLocking, language)
	}
	l.ascii = asciiUnits(&l)
	return l.limited(o.Method)
}

func (l *layout) addElement(id byte, language Language) {
	l.elementLen += copy(l.elements[l.elementLen:], []byte{id, 1, byte(language)})
}

// limited sets what fits into a part.
func (l layout) limited(m Method) layout {
	if m == Payload {
		l.one, l.many = math.MaxInt, math.MaxInt
		return l
	}
	l.concat, l.marked = concatOctets(m)
	l.one, l.many = l.fit(userData-headerLen(l.elementLen)), l.fit(userData-headerLen(l.elementLen+l.concat))
	return l
}

// header returns the length of the header that we write.
func (l *layout) header(several bool) int {
	if several {
		return headerLen(l.elementLen + l.marked)
	}
	return headerLen(l.elementLen)
}

// headerLen adds the length octet to elements, if there are any.
func headerLen(elements int) int {
	if elements == 0 {
		return 0
	}
	return elements + 1
}

// fit returns the units that fit into so many octets on the air.
func (l *layout) fit(octets int) int {
	switch l.charset {
	case septets, ascii, utf8Septets:
		return octets * 8 / 7
	case latin1:
		return octets
	}
	return octets / 2
}

// octets bounds the user data of all parts from above; size is the length of the
// text in UTF-8.
func (l *layout) octets(m measure, size int) int {
	switch l.charset {
	case utf8Septets, utf8Wide:
		return size
	case ucs2:
		return 2 * m.units
	}
	if l.packed {
		return (7*m.units+7)/8 + 2*m.parts
	}
	return m.units
}

// cost returns the units of r; 0 if the layout lacks it.
func (l *layout) cost(r rune) int {
	if r < utf8.RuneSelf {
		return int(l.ascii[r])
	}
	return l.costOf(r)
}

func (l *layout) costOf(r rune) int {
	switch l.charset {
	case septets:
		return l.septetCost(r)
	case latin1:
		return holds(r <= 0xff)
	case ascii:
		if r == '`' { // the one printable character that GSM 7-bit lacks
			return 1
		}
		return min(l.septetCost(r), 2*holds(r < utf8.RuneSelf)) // 0 where either has none
	case utf8Septets:
		if n := l.septetCost(r); n > 0 {
			return max(n, utf8.RuneLen(r)) // short_message holds 254 octets: no more than 160 here
		}
		return 0
	}
	if r >= 0x10000 {
		return 2
	}
	return 1
}

func (l *layout) septetCost(r rune) int {
	switch {
	case l.lock.septet(r) != absent:
		return 1
	case l.shift.septet(r) != absent:
		return 2
	}
	return 0
}

func holds(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

// measure returns what s takes; ok is false when the layout cannot carry it.
func (l *layout) measure(s string) (m measure, ok bool) {
	for _, r := range s {
		n := l.cost(r)
		if n == 0 {
			return measure{}, false
		}
		m.units += n
	}
	m.parts = 1
	if m.units <= l.one {
		return m, l.ends(s, m.units, false)
	}
	rest := m.units
	for ; rest > l.many; m.parts++ {
		n, used := l.cut(s, l.many)
		s, rest = s[n:], rest-used
	}
	return m, l.ends(s, rest, true)
}

// ends reports that the last part s, of so many units, will not lose its last
// character where septets are packed.
func (l *layout) ends(s string, units int, several bool) bool {
	if !l.packed || s == "" {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(s)
	return !looksFilled(units, fillBits(l.header(several)), l.lastSeptet(r))
}

// lastSeptet returns the septet with which r ends.
func (l *layout) lastSeptet(r rune) byte {
	if c := l.lock.septet(r); c != absent {
		return c
	}
	return l.shift.septet(r)
}

// cut returns how many octets of s go into a part of limit units, and the
// units that they take. Where septets are packed, a cut that would need a
// filler in the middle of the message moves forward.
func (l *layout) cut(s string, limit int) (octets, units int) {
	safe, safeUnits, fill := 0, 0, fillBits(l.header(true))
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		n := l.cost(r)
		if units+n > limit {
			if l.packed {
				return safe, safeUnits
			}
			return i, units
		}
		i, units = i+size, units+n
		if l.packed && !needsFiller(units, fill) && !looksFilled(units, fill, l.lastSeptet(r)) {
			safe, safeUnits = i, units
		}
	}
	return len(s), units
}

// slack returns the units that may stay free in all parts but the last without
// a further part, beyond those that do because a character does not fit.
func (l *layout) slack(m measure) int {
	if m.parts == 1 || l.packed || l.charset != ucs2 && l.charset != utf8Wide && l.elementLen == 0 {
		return 0 // the default alphabet has no combining marks
	}
	return m.parts*l.many - m.units - (m.parts - 1)
}

// wholeCharacter moves a cut at n forward, out of a sequence that is shown as
// one character, if that leaves no more than slack units free.
func (l *layout) wholeCharacter(s string, n, slack int) (octets, units int) {
	for at := n; at > 0 && at < len(s); {
		next, _ := utf8.DecodeRuneInString(s[at:])
		before, size := utf8.DecodeLastRuneInString(s[:at])
		if !joins(before, next) {
			return at, units
		}
		at -= size
		units += l.cost(before)
		if units > slack {
			break
		}
	}
	return n, 0
}

const zeroWidthJoiner = 0x200d

// joins reports that next is shown as one with the character before it.
func joins(before, next rune) bool {
	const emojiModifiers, lastEmojiModifier = 0x1f3fb, 0x1f3ff
	return before == zeroWidthJoiner || next == zeroWidthJoiner ||
		next >= emojiModifiers && next <= lastEmojiModifier ||
		unicode.Is(unicode.M, next)
}

func (l *layout) write(dst []byte, s string, fill int) []byte {
	switch l.charset {
	case septets:
		return l.writeSeptets(dst, s, fill)
	case latin1:
		for _, r := range s {
			dst = append(dst, byte(r))
		}
		return dst
	case ucs2:
		return writeUCS2(dst, s)
	}
	return append(dst, s...)
}

func (l *layout) writeSeptets(dst []byte, s string, fill int) []byte {
	if l.packed && s != "" {
		return l.writePacked(dst, s, fill)
	}
	for _, r := range s {
		if c := l.lock.septet(r); c != absent {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, escape, l.shift.septet(r))
	}
	return dst
}

func (l *layout) writePacked(dst []byte, s string, fill int) []byte {
	p := packer{dst: dst, free: fill}
	for _, r := range s {
		if c := l.lock.septet(r); c != absent {
			p.put(c)
			continue
		}
		p.put(escape)
		p.put(l.shift.septet(r))
	}
	return p.finish()
}

func writeUCS2(dst []byte, s string) []byte {
	for _, r := range s {
		if r >= 0x10000 {
			high, low := utf16.EncodeRune(r)
			dst = append(dst, byte(high>>8), byte(high), byte(low>>8), byte(low))
			continue
		}
		dst = append(dst, byte(r>>8), byte(r))
	}
	return dst
}
