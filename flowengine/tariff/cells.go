package tariff

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cells reads the fields of one row.
type cells struct {
	*parser
	reader *csv.Reader
	record []string // its texts live as long as the row is read
	at     [columnCount]int
	broken bool
}

// stage takes the row over unless something is wrong with it.
func (c *cells) stage() {
	channel, direction := c.word(colChannel, channels[:]), c.word(colDirection, directions[:])
	s := stagedRow{file: uint32(c.file)}
	if channel >= 0 {
		s.key = c.prefix(channels[channel])
	}
	s.price, s.setup = c.money(colPrice), c.optional(colSetup)
	var err error
	if s.currency, err = ParseCurrency(c.text(colCurrency)); err != nil {
		c.fail(colCurrency, err.Error(), "")
	}
	s.minimum, s.increment = c.seconds(colMinimum, 0, 0), c.seconds(colIncrement, 1, 1)
	s.validFrom = c.moment(colValidFrom)
	s.onDelivery = c.onDelivery(channel, direction)
	if channel >= 0 && channels[channel] != Voice && !c.broken {
		c.notOfMessages(&s.row)
	}
	if c.broken {
		return
	}
	line, column := c.reader.FieldPos(c.at[colPrefix])
	s.line, s.column = uint32(line), uint32(column)
	group := channel*len(directions) + direction
	c.staged[group] = append(c.staged[group], s)
	c.count++
}

func (c *cells) text(col int) string { return c.record[c.at[col]] }

func (c *cells) fail(col int, message, hint string) {
	c.broken = true
	line, column := c.reader.FieldPos(c.at[col])
	c.findings.add(finding{file: c.file, line: line, column: column, name: columns[col], text: c.text(col), message: message, hint: hint})
}

// word finds a cell in a list; -1 when it is not there.
func (c *cells) word(col int, allowed []string) int {
	i := slices.Index(allowed, c.text(col))
	if i < 0 {
		c.fail(col, fmt.Sprintf("%q is no %s", clip(c.text(col)), columns[col]), "one of "+strings.Join(allowed, ", ")+" is expected")
	}
	return i
}

// notOfMessages refuses what only calls have: it would be without effect.
func (c *cells) notOfMessages(r *row) {
	for _, cell := range []struct {
		col int
		set bool
	}{{colSetup, r.setup != 0}, {colMinimum, r.minimum != 0}, {colIncrement, r.increment > 1}} {
		if cell.set {
			c.fail(cell.col, columns[cell.col]+" is of calls alone", "leave it empty")
		}
	}
}

// onDelivery reads when a message is charged; an older file doesn't say.
func (c *cells) onDelivery(channel, direction int) bool {
	if c.at[colChargeOn] < 0 || c.text(colChargeOn) == "" {
		return false
	}
	later := c.word(colChargeOn, chargeOn[:]) == 1
	switch {
	case channel >= 0 && channels[channel] == Voice:
		c.fail(colChargeOn, "charge_on is of messages alone", "leave it empty")
	case later && direction >= 0 && directions[direction] == Inbound:
		c.fail(colChargeOn, "what comes in has no delivery report", "leave it empty")
	}
	return later
}

func (c *cells) money(col int) Money {
	m, err := ParseMoney(c.text(col))
	switch {
	case err != nil:
		c.fail(col, err.Error(), "")
	case m < 0 || m > maxPrice:
		c.fail(col, fmt.Sprintf("%s is not between 0 and %v", clip(c.text(col)), maxPrice), "")
	}
	return m
}

func (c *cells) optional(col int) Money {
	if c.text(col) == "" {
		return 0
	}
	return c.money(col)
}

// seconds reads a whole number of seconds, which is empty when it is left out.
func (c *cells) seconds(col int, least, empty uint32) uint32 {
	text := c.text(col)
	if text == "" {
		return empty
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < uint64(least) || n > maxSeconds {
		c.fail(col, fmt.Sprintf("%q is not a whole number of seconds between %d and %d", clip(text), least, maxSeconds), "")
	}
	return uint32(n)
}

// moment reads a date or an instant, in seconds since 1970.
func (c *cells) moment(col int) int64 {
	text := c.text(col)
	if text == c.validAt.text && text != "" {
		return c.validAt.moment
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil && t.Nanosecond() == 0 {
			c.validAt.text, c.validAt.moment = strings.Clone(text), t.Unix()
			return t.Unix()
		}
	}
	c.fail(col, fmt.Sprintf("%q is not a date", clip(text)), "2026-01-31 or 2026-01-31T09:00:00+01:00 is expected")
	return 0
}

// prefix reads the cell that says for whom the row is, and gives its key.
func (c *cells) prefix(channel string) uint64 {
	text := c.text(colPrefix)
	switch {
	case text == AnyAddress:
		return anyKey
	case channel == Push:
		c.fail(colPrefix, fmt.Sprintf("%q is no prefix of push", clip(text)), "its addresses have none: write *")
		return 0
	case channel == Email:
		return c.domain(text)
	}
	digits := strings.TrimPrefix(text, "+")
	switch {
	case !isDigits(digits):
		c.fail(colPrefix, fmt.Sprintf("%q is no prefix of %s", clip(text), channel), "the first digits of numbers in E.164, such as 38591, or * are expected")
	case len(digits) > maxDigits:
		c.fail(colPrefix, fmt.Sprintf("%q has more than %d digits", clip(text), maxDigits), "")
	case strings.HasPrefix(digits, "00"):
		c.fail(colPrefix, fmt.Sprintf("%q begins with 00", clip(text)), "write the country code without it")
	}
	if c.broken {
		return 0
	}
	key := anyKey
	for i := range len(digits) {
		key = key*10 + uint64(digits[i]-'0')
	}
	return key
}

func (c *cells) domain(text string) uint64 {
	if !isDomain(text) {
		c.fail(colPrefix, fmt.Sprintf("%q is no domain", clip(text)), "a name such as example.com (international ones as xn--…) or * is expected")
		return 0
	}
	lower := strings.ToLower(text)
	key, ok := c.domains[lower]
	if !ok {
		lower = strings.Clone(lower)
		key = firstDomain + uint64(len(c.names))
		c.domains[lower] = key
		c.names = append(c.names, lower)
	}
	return key
}

// isDomain tells whether s is a host name of RFC 1123 §2.1 without a last dot;
// underscores are let through, as names in use have them.
func isDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			switch b := label[i]; {
			case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
			default:
				return false
			}
		}
	}
	return true
}
