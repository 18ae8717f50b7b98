package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
)

// ErrCondition is that a condition can't be asked of people who are searched.
var ErrCondition = errors.New("the condition can't be searched by")

// recordsMost bounds the records that one page of a search reads; a person may
// have thousands of events.
const recordsMost = 50_000

// Search lists persons for whom a condition holds, in the order of their ids,
// beginning after the given one; the zero id means from the start. Days begin and
// end in zone. A page ends after limit persons, or when enough were looked at;
// next is where the next page goes on, and the zero id when there is none. What the
// condition asks by tag, segment or day of the year is read from the indexes.
func (rt *Runtime) Search(ctx context.Context, p *flowengine.Predicate, zone *time.Location, after flowengine.PersonID, limit int) (page []flowengine.Person, next flowengine.PersonID, err error) {
	u := p.Uses()
	if u.Run() || u.Inbound {
		return nil, next, fmt.Errorf("%w: it is about people, and can look neither at variables, messages of a flow nor the event at hand", ErrCondition)
	}
	x := &search{rt: rt, condition: p, zone: zone, after: after, limit: limit, at: reading{now: rt.now(), uses: u}}
	walk := x.everybody
	if sources, ok := p.Sources(x.at.now, zone); ok && rt.indexed.Load() {
		walk = func(s flowengine.Shard) error { return x.listed(s, sources) }
	}
	for s := after.Shard(); s < flowengine.Shards; s++ {
		if err := firstError(ctx.Err(), walk(s)); err != nil {
			return nil, next, err
		}
		if x.full {
			return x.page, x.after, nil
		}
	}
	return x.page, next, nil
}

// search is one page of a search.
type search struct {
	rt        *Runtime
	condition *flowengine.Predicate
	zone      *time.Location
	limit     int

	after           flowengine.PersonID // the last one who was looked at
	at              reading
	page            []flowengine.Person
	looked, records int
	full            bool
}

// everybody goes through the persons of a shard.
func (x *search) everybody(s flowengine.Shard) error {
	var from []byte
	if !x.after.IsZero() && x.after.Shard() == s {
		from = append(personKey(nil, 0, x.after)[:kindAt], 0xFF) // behind all that is known of that person
	}
	var damaged error
	err := x.rt.store.Scan(appendPrefix(nil, s, areaPeople), from, func(key, value []byte) bool {
		if len(key) <= kindAt {
			return true
		}
		if id, yes := isProfile(key); yes {
			if x.look(); x.full {
				return false
			}
			damaged = x.at.begin(id, value)
		} else {
			damaged = x.at.add(key, value)
		}
		x.records++
		return damaged == nil
	})
	if !x.full {
		x.look()
	}
	return firstError(err, damaged)
}

// look asks the condition about the person who was read.
func (x *search) look() {
	r := &x.at
	if !r.there {
		return
	}
	r.there = false
	x.looked++
	x.after = r.person.ID
	if x.condition.Eval(&flowengine.View{Person: &r.person, Past: r, Now: r.now, Zone: x.zone}) {
		x.page = append(x.page, r.person)
	}
	x.full = len(x.page) == x.limit || x.looked == scanMost || x.records >= recordsMost
}

// listed goes through the persons of a shard whom one of the sources lists.
func (x *search) listed(s flowengine.Shard, sources []flowengine.Source) error {
	for {
		people, more, err := x.rt.union(s, sources, x.after, x.limit)
		if err != nil {
			return err
		}
		for _, id := range people {
			if err := x.one(id); err != nil || x.full {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// one reads all that is known of a person, and asks the condition.
func (x *search) one(id flowengine.PersonID) error {
	prefix := personKey(nil, 0, id)[:kindAt]
	var damaged error
	err := x.rt.store.Scan(prefix, nil, func(key, value []byte) bool {
		switch _, yes := isProfile(key); {
		case yes:
			damaged = x.at.begin(id, value)
		case len(key) > kindAt:
			damaged = x.at.add(key, value)
		}
		x.records++
		return damaged == nil
	})
	x.look()
	x.after = id // also of one who was erased meanwhile
	return firstError(err, damaged)
}

// union lists persons of a shard whom one of the sources lists, in the order of ids
// and after one of them, and tells whether there may be more.
func (rt *Runtime) union(s flowengine.Shard, sources []flowengine.Source, after flowengine.PersonID, most int) (people []flowengine.PersonID, more bool, err error) {
	var last flowengine.PersonID // up to whom all sources were read
	for _, source := range sources {
		some, err := rt.findIn(s, source, after, most)
		if err != nil {
			return nil, false, err
		}
		people = append(people, some...)
		if len(some) == most && (!more || compareIDs(some[most-1], last) < 0) {
			more, last = true, some[most-1]
		}
	}
	slices.SortFunc(people, compareIDs)
	people = slices.Compact(people)
	if more {
		people = slices.DeleteFunc(people, func(id flowengine.PersonID) bool { return compareIDs(id, last) > 0 })
	}
	return people, more, nil
}

func compareIDs(a, b flowengine.PersonID) int { return bytes.Compare(a[:], b[:]) }
