package tariff

import "time"

// Price is what a message or a call costs, with the row it comes from: later
// changes of the tariff don't touch it (rule C4).
type Price struct {
	Total Amount `json:"total"`
	Units int64  `json:"units"` // parts of a message, billed seconds of a call
	Row   Row    `json:"row"`
}

// maxUnits bounds the parts of a message; a call may have as many seconds. With
// maxPrice it keeps every price within Money.
const maxUnits = 1 << 20

// Message prices a message of some parts (rule C2): price × parts. It is not
// known without a row, for calls, and for fewer than 0 or over a million parts.
func (t *Table) Message(channel, direction, to string, parts int, at time.Time) (_ Price, known bool) {
	if channel == Voice || parts < 0 || parts > maxUnits {
		return Price{}, false
	}
	row, ok := t.Lookup(channel, direction, to, at)
	if !ok {
		return Price{}, false
	}
	total, err := row.Price.Times(int64(parts))
	return Price{Amount{total, row.Currency}, int64(parts), row}, err == nil
}

// Call prices one leg of a call by its time from answer to end (rule C3):
// nothing when it was not answered, else billed seconds × price / 60 + setup.
// The product is exact, the quotient is rounded half up to a millionth. It is
// not known without a row and for calls of more than 12 days.
func (t *Table) Call(direction, to string, answered bool, duration time.Duration, at time.Time) (_ Price, known bool) {
	row, ok := t.Lookup(Voice, direction, to, at)
	switch {
	case !ok:
		return Price{}, false
	case !answered:
		return Price{Total: Amount{0, row.Currency}, Row: row}, true
	}
	seconds := row.billed(duration)
	if seconds > maxUnits {
		return Price{}, false
	}
	total, ok := row.Price.timesPer(seconds, 60)
	if !ok {
		return Price{}, false
	}
	total, err := total.Add(row.Setup)
	return Price{Amount{total, row.Currency}, seconds, row}, err == nil
}

// billed is how many seconds of a call are charged: the duration rounded up to
// whole increments, at least the minimum.
func (r *Row) billed(d time.Duration) int64 {
	step := max(r.Increment, time.Second)
	steps := max(d, 0) / step
	if steps*step < d {
		steps++
	}
	return max(int64(steps)*int64(step/time.Second), int64(r.Minimum/time.Second))
}
