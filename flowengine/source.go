package flowengine

import (
	"slices"
	"time"
)

// Source names the part of an index that lists some persons: those with a tag,
// those in a segment, those of whom a date returns on a day of the year.
type Source struct {
	Kind SourceKind
	Name string // folded tag, id of the segment, name of the attribute
	Day  uint16 // month times 100 plus day, of dates, in UTC
}

// SourceKind is a kind of index. The numbers are stored.
type SourceKind uint8

// The kinds of indexes.
const (
	ByTag     SourceKind = 1
	BySegment SourceKind = 2
	ByDay     SourceKind = 3
)

// Sources lists every part of an index that the person is in, in a fixed order.
func (p *Person) Sources() []Source {
	now := profile{attrs: p.Attrs, tags: p.Tags, segments: p.Segments}
	return now.sources(nil)
}

// sources appends the parts of indexes that a person with the profile is in,
// ordered by kind and name.
func (f *profile) sources(all []Source) []Source {
	for i := range f.tags {
		all = append(all, Source{ByTag, f.tags[i].Fold, 0})
	}
	for _, id := range f.segments {
		all = append(all, Source{BySegment, id, 0})
	}
	for i := range f.attrs {
		if day, yes := f.attrs[i].Value.returns(); yes {
			all = append(all, Source{ByDay, f.attrs[i].Name, day})
		}
	}
	return all
}

// returns is the day of the year of a date.
func (v Value) returns() (day uint16, yes bool) {
	switch v.Type {
	case Date:
		return uint16(monthDay(v.Num)), true
	case DateTime:
		return uint16(monthDay(dayOf(time.UnixMilli(v.Num).UTC()))), true
	}
	return 0, false
}

// indexed notes in which indexes the step has put the person, and out of which.
func (st *step) indexed() {
	now := profile{attrs: st.person.Attrs, tags: st.person.Tags, segments: st.person.Segments}
	if same(now.attrs, st.begin.attrs) && same(now.tags, st.begin.tags) && same(now.segments, st.begin.segments) {
		return
	}
	before, after := st.begin.sources(nil), now.sources(nil)
	for _, s := range after {
		if !slices.Contains(before, s) {
			st.result.Indexed = append(st.result.Indexed, s)
		}
	}
	for _, s := range before {
		if !slices.Contains(after, s) {
			st.result.Unindexed = append(st.result.Unindexed, s)
		}
	}
}

// same says that two slices are the same one: what a profile lends is not
// changed in place.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// maxSources bounds the parts of indexes that a condition is answered from.
const maxSources = 64

// Sources lists parts of indexes that together have everybody for whom the
// condition holds at the moment, and possibly others. Without ok, nothing less
// than everybody has to be asked.
func (p *Predicate) Sources(now time.Time, zone *time.Location) (all []Source, ok bool) {
	if p.root == nil {
		return nil, false
	}
	all, ok = p.root.sources(&View{Now: now, Zone: zone})
	return all, ok && len(all) <= maxSources
}

// Sources lists parts of indexes that together have everybody whom the entry point
// takes at the moment of all who are there. Without ok, everybody has to be asked.
func (e *Entry) Sources(now time.Time, zone *time.Location) (all []Source, ok bool) {
	switch t := e.Trigger.(type) {
	case *Audience:
		return t.Condition.Sources(now, zone)
	case *ProfileChange:
		return t.Condition.Sources(now, zone)
	case *recipients:
		if t.definition.Recipients.All {
			return nil, false
		}
		for i := range t.include {
			some, ok := t.include[i].Sources(now, zone)
			if !ok {
				return nil, false
			}
			all = append(all, some...)
		}
		return all, len(all) <= maxSources
	}
	return nil, false
}

func (n *node) sources(v *View) (all []Source, ok bool) {
	switch n.kind {
	case allNode: // the kid with the fewest
		for i := range n.kids {
			if kid, good := n.kids[i].sources(v); good && (!ok || len(kid) < len(all)) {
				all, ok = kid, true
			}
		}
		return all, ok
	case anyNode:
		for i := range n.kids {
			kid, good := n.kids[i].sources(v)
			if !good {
				return nil, false
			}
			all = append(all, kid...)
		}
		return all, true
	case hasAnyNode:
		for _, t := range n.tags {
			all = append(all, Source{ByTag, t.Fold, 0})
		}
		return all, true
	case hasAllNode:
		return []Source{{ByTag, n.tags[0].Fold, 0}}, true
	case segmentNode:
		for _, id := range n.segments {
			all = append(all, Source{BySegment, id, 0})
		}
		return all, true
	case attributeNode:
		return n.value.sources(v)
	}
	return nil, false
}

// sources lists the days of the year on which a date has to be for a comparison
// with now to hold. The index goes by UTC: of dates with a time, the days before
// and after may be meant as well.
func (l *valueLeaf) sources(v *View) (all []Source, ok bool) {
	if l.turn == nil || l.turn.precise > 0 {
		return nil, false
	}
	first, last, ok := l.turn.span(v.today())
	if !ok || last-first > maxSources/2 {
		return nil, false
	}
	if l.family == dateTimeFamily {
		first, last = first-1, last+1
	}
	days := map[int64]bool{}
	for d := first; d <= last; d++ {
		on := monthDay(d)
		days[on] = true
		if on == 228 || on == 301 { // of common years, for 29 February
			days[229] = true
		}
	}
	for d := range days {
		all = append(all, Source{ByDay, l.name, uint16(d)})
	}
	slices.SortFunc(all, func(a, b Source) int { return int(a.Day) - int(b.Day) })
	return all, true
}

// span is the stretch of days in which a date, or its anniversary, has to be.
func (t *turn) span(today int64) (first, last int64, ok bool) {
	switch t.relative {
	case isToday, wasToday:
		return today, today, true
	case willBeIn:
		return today + t.days, today + t.days, true
	case willBeWithin:
		return today, today + t.days, true
	case was:
		return today - t.days, today - t.days, true
	case wasWithin:
		return today - t.days, today, true
	}
	return 0, 0, false
}
