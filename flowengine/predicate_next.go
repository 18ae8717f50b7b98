package flowengine

import "time"

// Next is a moment after v.Now before which the truth of the condition stays
// the same unless something happens to the person; the zero time: for ever. An
// expression over `now` has no such moment: it is left out.
func (p *Predicate) Next(v *View) time.Time {
	if p.root == nil {
		return time.Time{}
	}
	return p.root.next(v)
}

func (n *node) next(v *View) (next time.Time) {
	switch n.kind {
	case allNode, anyNode:
		for i := range n.kids {
			kid := n.kids[i].next(v)
			if kid.IsZero() && n.kids[i].eval(v) == (n.kind == anyNode) { // this one decides, whatever becomes of the others
				return time.Time{}
			}
			next = earlier(next, kid)
		}
		return next
	case notNode:
		return n.kids[0].next(v)
	case attributeNode:
		return n.value.next(lookUp(v.Person.Attrs, n.value.name), v)
	case builtinNode:
		return n.value.next(v.Person.attribute(n.value.name), v)
	case contactNode:
		return n.value.next(v.lastContact(n.value.name), v)
	case eventNode:
		return n.event.next(v)
	}
	return time.Time{}
}

// earlier is the first of two moments, of which the zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// next is when an event leaves the stretch that is looked at, or comes to pass.
func (l *eventLeaf) next(v *View) (next time.Time) {
	if v.Past == nil {
		return next
	}
	events := v.Past.Events(l.name)
	for i := range events {
		at := events[i].At.Truncate(time.Millisecond) // now is a whole one
		if events[i].At.After(v.Now) {
			if at.Before(events[i].At) {
				at = at.Add(time.Millisecond)
			}
			next = earlier(next, at)
		} else if over := at.Add(l.within + time.Millisecond); l.within > 0 && over.After(v.Now) {
			next = earlier(next, over)
		}
	}
	return next
}

func (l *valueLeaf) next(v Value, at *View) time.Time {
	if l.turn == nil || v.Type == Unset {
		return time.Time{}
	}
	of, ok := l.family.of(v)
	if !ok {
		return time.Time{}
	}
	return l.turn.next(of, at)
}

// turn is a comparison with now, by what it turns around.
type turn struct {
	relative    relative
	days        int64
	precise     time.Duration
	anniversary bool
	mar1        bool
}

// next is the first moment after now at which the comparison may have another
// outcome: all of them turn on the day itself or its distance, or on the one after.
func (t *turn) next(v Value, at *View) time.Time {
	switch {
	case t.anniversary:
		_, month, day := civil(localDay(v, at))
		year, _, _ := civil(at.today())
		first := int64(0)
		for y := year - 2; y <= year+2; y++ {
			first = firstAfter(at.today(), first, t.around(anniversaryIn(y, month, day, t.mar1)))
		}
		return dayBegins(first, at)
	case t.precise > 0:
		span, of := t.precise.Milliseconds(), instantOf(v, at)
		first := firstAfter(at.Now.UnixMilli(), 0, []int64{of - span, of - span + 1, of, of + 1, of + span, of + span + 1})
		return milliTime(first)
	}
	next := dayBegins(firstAfter(at.today(), 0, t.around(localDay(v, at))), at)
	if v.Type == DateTime {
		next = earlier(next, milliTime(firstAfter(at.Now.UnixMilli(), 0, []int64{v.Num, v.Num + 1})))
	}
	return next
}

func (t *turn) around(day int64) []int64 {
	return []int64{day - t.days, day - t.days + 1, day, day + 1, day + t.days, day + t.days + 1}
}

// firstAfter is the smallest of candidates above now, or of them and first when
// that is one.
func firstAfter(now, first int64, candidates []int64) int64 {
	for _, c := range candidates {
		if c > now && (first <= now || c < first) {
			first = c
		}
	}
	return first
}

// dayBegins is when a day begins in the zone; it is after today, or there is none.
func dayBegins(day int64, at *View) time.Time {
	if day <= at.today() {
		return time.Time{}
	}
	y, m, d := civil(day)
	return localInstant(y, m, d, time.Time{}, at.zone())
}

func milliTime(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
