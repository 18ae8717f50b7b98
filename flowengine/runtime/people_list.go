package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

// Profile reads all that is known of a person. history bounds how much of what
// happened is returned, the latest.
func (rt *Runtime) Profile(ctx context.Context, who Who, history int) (*Profile, error) {
	who.Create = false
	p := new(Profile)
	err := rt.on(ctx, who, "person", func(tx *txn, m *member) error {
		if err := tx.place(m); err != nil {
			return err
		}
		p.Person.Segments, p.Person.Look = slices.Clone(m.person.Segments), m.person.Look
		// The person in memory changes with every step: take a copy by way of the
		// stored form.
		p.Person.ID = m.person.ID
		return firstError(
			flowengine.DecodePerson(flowengine.AppendPerson(nil, &m.person), &p.Person, nil),
			flowengine.DecodePassages(flowengine.AppendPassages(nil, &m.passages), &p.Passages))
	})
	if err != nil {
		return nil, err
	}
	if history > 0 {
		p.History, err = readHistory(rt.store, p.Person.ID, history)
	}
	return p, err
}

// scanMost bounds the profiles that one page of People looks at.
const scanMost = 5000

// People lists persons in the order of their ids, beginning after the given one;
// the zero id means from the start. A page ends after limit persons that match,
// or when it has looked at enough; next is where the next page goes on, and the
// zero id when there is none.
func (rt *Runtime) People(after flowengine.PersonID, limit int, match func(*flowengine.Person) bool) (page []flowengine.Person, next flowengine.PersonID, err error) {
	looked := 0
	var last flowengine.PersonID
	for s := after.Shard(); s < flowengine.Shards; s++ {
		prefix := appendPrefix(nil, s, areaPeople)
		var from []byte
		if !after.IsZero() && s == after.Shard() {
			from = successor(personKey(nil, kindPerson, after))
		}
		var damaged error
		more := true
		err := rt.store.Scan(prefix, from, func(key, value []byte) bool {
			id, yes := isProfile(key)
			if _, elsewhere := readSignpost(value); !yes || elsewhere {
				return true
			}
			p := flowengine.Person{ID: id}
			if damaged = flowengine.DecodePerson(value, &p, nil); damaged != nil {
				return false
			}
			if match == nil || match(&p) {
				page = append(page, p)
			}
			looked++
			last = p.ID
			more = len(page) < limit && looked < scanMost
			return more
		})
		if err = firstError(err, damaged); err != nil {
			return nil, next, err
		}
		if !more {
			return page, last, nil
		}
	}
	return page, flowengine.PersonID{}, nil
}

// Mark is a place in a person's history or events.
type Mark [12]byte

// History reads what happened to a person, oldest first, beginning after a mark;
// the zero mark means from the start. next goes on there; it is zero at the end.
func (rt *Runtime) History(id flowengine.PersonID, after Mark, limit int) (page []Happening, next Mark, err error) {
	next, err = readPage(rt.store, personKey(nil, kindLog, id), after, limit, func(at time.Time, value []byte) error {
		h := Happening{At: at}
		h.Events, err = flowengine.DecodeEvents(value, nil)
		page = append(page, h)
		return err
	})
	return page, next, err
}

// Events reads a person's People events, likewise.
func (rt *Runtime) Events(id flowengine.PersonID, after Mark, limit int) (page []flowengine.Happened, next Mark, err error) {
	next, err = readPage(rt.store, personKey(nil, kindHappened, id), after, limit, func(_ time.Time, value []byte) error {
		var e flowengine.Happened
		err := flowengine.DecodeHappened(value, &e)
		page = append(page, e)
		return err
	})
	return page, next, err
}

// readPage reads records whose keys are a prefix, a time and a sequence.
func readPage(store storage.Reader, prefix []byte, after Mark, limit int, each func(at time.Time, value []byte) error) (next Mark, err error) {
	var from []byte
	if after != (Mark{}) {
		from = successor(append(bytes.Clone(prefix), after[:]...))
	}
	var damaged error
	n, more := 0, false
	var last Mark
	err = store.Scan(prefix, from, func(key, value []byte) bool {
		if n == limit {
			more = true
			return false
		}
		if len(key) != len(prefix)+len(last) {
			damaged = fmt.Errorf("%w: a key of %d bytes in a person's history", record.ErrDamaged, len(key))
			return false
		}
		copy(last[:], key[len(prefix):])
		damaged = each(time.UnixMilli(int64(binary.BigEndian.Uint64(last[:]))).UTC(), value)
		n++
		return damaged == nil
	})
	if err = firstError(err, damaged); err != nil || !more {
		return Mark{}, err
	}
	return last, nil
}

// Schema is what the running configuration says of people's attributes.
func (rt *Runtime) Schema() *flowengine.Schema { return rt.set.Load().Schema }
