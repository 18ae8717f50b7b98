package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// Bounds of what a body holds. A list of five million zeros has ten megabytes, and
// takes minutes and a gigabyte to be found wrong.
const (
	maxItems  = 10_000  // of one list or object, as many as any operation takes
	maxValues = 300_000 // in all
	maxNested = 100     // lists and objects within each other
)

// body is that of a request as it is read. It notes when the caller breaks off, and
// ends where more comes than is taken.
type body struct {
	io.ReadCloser
	of    *exchange
	shape shape
	rows  bool // of a file of people: it is not kept, and its rows have their own bounds
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case b.of.refused != nil || b.rows:
	case !b.take(n):
		b.of.refused = newProblem(http.StatusServiceUnavailable, "too many large requests are being worked on").again(time.Second)
	case !b.shape.fits(p[:n]):
		b.of.refused = newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf(
			"the body holds more than %d values in one list or object, more than %d in all, or is nested deeper than %d levels", maxItems, maxValues, maxNested))
	}
	if b.of.refused != nil {
		return 0, b.of.refused
	}
	b.of.brokenOff = b.of.brokenOff || err != nil && err != io.EOF
	return n, err
}

// take takes octets from the bound of all bodies. Those that come before the caller
// is known are not kept by anybody.
func (b *body) take(n int) bool {
	if b.of.more == nil {
		return true
	}
	if !b.of.more(n) {
		return false
	}
	b.of.octets += n
	return true
}

// shape counts the values of JSON that comes piece by piece. Of what is no JSON it
// makes nothing that matters: that is refused later.
type shape struct {
	quoted, escaped bool
	values          int
	open            []int // items of the lists and objects that are open
}

func (s *shape) fits(piece []byte) bool {
	for _, c := range piece {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '[' || c == '{':
			s.values++
			s.open = append(s.open, 0)
		case c == ']' || c == '}':
			s.open = s.open[:max(0, len(s.open)-1)]
		case c == ',':
			s.values++
			if n := len(s.open); n > 0 {
				s.open[n-1]++
				if s.open[n-1] >= maxItems {
					return false
				}
			}
		}
		if s.values > maxValues || len(s.open) > maxNested {
			return false
		}
	}
	return true
}
