package receipt

import (
	"bytes"
	"strconv"
	"time"
)

// field is one of a receipt's fields.
type field int

const (
	fieldID field = iota
	fieldSub
	fieldDelivered
	fieldSubmit
	fieldDone
	fieldStat
	fieldErr
	fieldText
	fields
)

// name is what a field is called, in lower case and without the spaces, hyphens
// and underscores that some put in.
type name struct {
	letters string
	field   field
}

// names are the fields' names by their first letter; a longer name comes before
// its own beginning.
var names = [...][]name{
	'd' - 'a': {{"dlvrd", fieldDelivered}, {"donedate", fieldDone}},
	'e' - 'a': {{"error", fieldErr}, {"err", fieldErr}},
	'i' - 'a': {{"id", fieldID}},
	's' - 'a': {{"submitdate", fieldSubmit}, {"sub", fieldSub}, {"status", fieldStat}, {"state", fieldStat}, {"stat", fieldStat}},
	't' - 'a': {{"text", fieldText}},
}

// maxText bounds what is read of a receipt; the standard text has some 130
// octets.
const maxText = 4096

// Parse reads a receipt's text as peers really write it: fields in any order
// and case, some missing, with : or =, with or without anything between them.
// The first field of a name counts. Once the id or the status was read, text takes
// the rest, so that a message's own words are not taken for fields.
//
// It reports false when text is no receipt: when it has neither a status that
// is known, nor an id together with another field but text.
func Parse(text []byte) (Receipt, bool) {
	values := split(text[:min(len(text), maxText)])
	var r Receipt
	known := false
	r.ID = string(values[fieldID])
	r.Submitted = number(values[fieldSub])
	r.Delivered = number(values[fieldDelivered])
	r.Submit = date(values[fieldSubmit])
	r.Done = date(values[fieldDone])
	r.Err = string(values[fieldErr])
	r.Text = string(values[fieldText])
	if stat := values[fieldStat]; stat != nil {
		r.Stat = string(stat)
		r.State, known = StateOf(r.Stat)
	}
	return r, known || r.ID != "" && others(&values)
}

func others(values *[fields][]byte) bool {
	for f := fieldSub; f < fieldText; f++ {
		if len(values[f]) > 0 {
			return true
		}
	}
	return false
}

// split returns the value of each field, nil where there is none.
func split(text []byte) (values [fields][]byte) {
	current, start := fields, 0 // no field yet
	end := func(at int) {
		if current != fields && values[current] == nil {
			values[current] = trim(text[start:at])
		}
	}
	for i := 0; i < len(text); {
		f, n := key(text[i:])
		if n == 0 {
			i++
			continue
		}
		end(i)
		current, start = f, i+n
		i += n
		if f == fieldText && (values[fieldID] != nil || values[fieldStat] != nil) {
			break
		}
	}
	end(len(text))
	return values
}

// trim takes off what stands between fields; the result is not nil.
func trim(v []byte) []byte {
	v = bytes.Trim(v, " \t\r\n\x00,;|\"'")
	if v == nil {
		return []byte{}
	}
	return v
}

// key returns the field whose name b begins with and the octets up to its
// value; 0 when there is none.
func key(b []byte) (f field, n int) {
	letter := int(b[0]|0x20) - 'a'
	if letter < 0 || letter >= len(names) {
		return 0, 0
	}
	for _, name := range names[letter] {
		if n := match(b, name.letters); n > 0 {
			return name.field, n
		}
	}
	return 0, 0
}

// match returns the length of a name, blanks and a colon or equals sign at the
// beginning of b; 0 when b begins otherwise.
func match(b []byte, letters string) int {
	i := 0
	for j := 0; j < len(letters); j++ {
		for j > 0 && i < len(b) && isGap(b[i]) {
			i++
		}
		if i == len(b) || b[i]|0x20 != letters[j] {
			return 0
		}
		i++
	}
	for i < len(b) && b[i] == ' ' {
		i++
	}
	if i < len(b) && (b[i] == ':' || b[i] == '=') {
		return i + 1
	}
	return 0
}

func isGap(c byte) bool { return c == ' ' || c == '_' || c == '-' }

// number reads a count; what is none is 0.
func number(v []byte) int {
	n, err := strconv.ParseUint(string(v), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// date reads a date with or without separators; what is none is the zero time.
func date(v []byte) time.Time {
	var buf [17]byte
	d := buf[:0]
	for _, c := range v {
		if c >= '0' && c <= '9' {
			if len(d) == len(buf) {
				return time.Time{}
			}
			d = append(d, c-'0')
		} else if len(d) > 0 && (c == 'Z' || c == '+' || c == '.') {
			break // zone or fraction
		}
	}
	return dateOf(d)
}

// dateOf tells the forms of dates apart by their number of digits. Twelve are
// a short year with seconds or else a long year without: the latter has no month
// where the former expects one, for all years from 2013 on.
func dateOf(d []byte) (t time.Time) {
	ok := false
	switch len(d) {
	case 8: // YYYYMMDD
		t, _ = compose(d[:4], d[4:])
	case 10: // YYMMDDhhmm, or seconds since 1970
		if t, ok = compose(d[:2], d[2:]); !ok {
			t = unix(d)
		}
	case 12: // YYMMDDhhmmss, or YYYYMMDDhhmm
		if t, ok = compose(d[:2], d[2:]); !ok {
			t, _ = compose(d[:4], d[4:])
		}
	case 13: // milliseconds since 1970
		t = unix(d[:10])
	case 15: // YYMMDDhhmmsstnn, SMPP 3.4 §7.1.1
		t, _ = compose(d[:2], d[2:12])
	case 14, 17: // YYYYMMDDhhmmss, also with milliseconds
		t, _ = compose(d[:4], d[4:14])
	}
	return t
}

// compose makes a date of the digits of a year, of this century if it has two,
// and of what follows, two each: month, day, hour, minute, second.
func compose(year, rest []byte) (time.Time, bool) {
	y := int(value(year))
	if len(year) == 2 {
		y += 2000
	}
	parts := [5]int{}
	for i := 0; i+2 <= len(rest); i += 2 {
		parts[i/2] = int(value(rest[i : i+2]))
	}
	month, day, hour, minute, second := parts[0], parts[1], parts[2], parts[3], parts[4]
	t := time.Date(y, time.Month(month), day, hour, minute, second, 0, time.UTC)
	same := t.Month() == time.Month(month) && t.Day() == day && t.Hour() == hour && t.Minute() == minute && t.Second() == second
	if !same || y < 2000 { // out of range, which time.Date carries over; or long before SMPP
		return time.Time{}, false
	}
	return t, true
}

// unix reads seconds since 1970, of this century.
func unix(d []byte) time.Time {
	s := value(d)
	if s < 946684800 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

func value(digits []byte) (v int64) {
	for _, d := range digits {
		v = 10*v + int64(d)
	}
	return v
}
