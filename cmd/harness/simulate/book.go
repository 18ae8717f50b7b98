package simulate

import (
	"time"

	"trunkline/flowengine/runtime"
)

// book is what the outside knows: what it brought and what it heard of that.
type book struct {
	outstanding int // inputs that were not answered in this life
	texts       ledger
	events      ledger
	requests    []*request
	closed      map[string][]interval // when nobody may have entered a flow
}

// interval is from one answer to the next request that may end it; the zero end
// is not yet.
type interval struct{ from, to time.Time }

func newBook() book { return book{closed: map[string][]interval{}} }

// lost says that answers which have not come never will.
func (b *book) lost() {
	b.outstanding = 0
	b.texts.lost()
	b.events.lost()
}

// ledger counts inputs of a kind, to be compared with how many have acted.
type ledger struct {
	open    int  // not answered
	acted   int  // acknowledged
	later   int  // acknowledged, and may act later
	unknown int  // the answer was lost: they acted, or never will
	vague   bool // some of unknown may act later
}

func (l *ledger) lost() { l.unknown, l.open = l.unknown+l.open, 0 }

// begin notes an input. Where one has come that acts later, sums are less exact.
func (l *ledger) begin(later bool) {
	l.open++
	l.vague = l.vague || later
}

// answer notes an answer.
func (l *ledger) answer(err error, later bool) {
	l.open--
	switch {
	case err != nil:
	case later:
		l.later++
	default:
		l.acted++
	}
}

// compare says whether found inputs can have acted. settled: what acts later has.
func (l *ledger) compare(w *world, what string, found int, settled bool) {
	least, most := l.acted, l.acted+l.later+l.unknown+l.open
	if settled {
		least += l.later
	}
	if found < least || found > most {
		w.wrong("%d %s have acted; those that were acknowledged are %d, and %d more may have", found, what, least, most-least)
	}
	if l.open == 0 && l.later == 0 && !l.vague { // now it is known what became of the lost ones
		l.acted, l.unknown = found, 0
	}
}

// request is a request for participants, repeated until it was answered.
type request struct {
	operation runtime.Operation
	once      runtime.Once
	id        runtime.OperationID // zero: not answered
	at        time.Time
	closed    bool
	accepted  int // of those closed
	unknown   int // participants of whom it will never be known
}

// shut notes that nobody may enter a flow from now on.
func (b *book) shut(flow string, now time.Time) {
	if all := b.closed[flow]; len(all) > 0 && all[len(all)-1].to.IsZero() {
		return
	}
	b.closed[flow] = append(b.closed[flow], interval{from: now})
}

// open notes that from now on somebody may.
func (b *book) open(flow string, now time.Time) {
	if all := b.closed[flow]; len(all) > 0 && all[len(all)-1].to.IsZero() {
		all[len(all)-1].to = now
	}
}

// shutAt says whether nobody may have entered at t.
func (b *book) shutAt(flow string, t time.Time) bool {
	for _, i := range b.closed[flow] {
		if t.After(i.from) && (i.to.IsZero() || t.Before(i.to)) {
			return true
		}
	}
	return false
}

// answered makes the answer to an input of this life.
func (w *world) answered(note func(error)) func(error) {
	life, called := w.lives, false
	return func(err error) {
		switch {
		case life != w.lives:
			return
		case called:
			w.wrong("an input was answered twice")
		default:
			w.book.outstanding--
			note(err)
		}
		called = true
	}
}
