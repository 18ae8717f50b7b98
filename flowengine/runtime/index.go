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

// Indexes over all persons are kept per shard, in the commit of what they list:
// who has a tag, who is in a segment, of whom a date returns on a day, and who
// there is at all. A list over all shards is read shard by shard, in the order of
// persons' ids, with the last id as its cursor.

// sourcePrefix is what the keys begin with of persons whom a source lists.
func sourcePrefix(b []byte, s flowengine.Shard, x flowengine.Source) []byte {
	b = append(append(append(appendPrefix(b, s, kindIndex), byte(x.Kind)), x.Name...), 0)
	if x.Kind == flowengine.ByDay {
		b = binary.BigEndian.AppendUint16(b, x.Day)
	}
	return b
}

func sourceKey(b []byte, x flowengine.Source, id flowengine.PersonID) []byte {
	return append(sourcePrefix(b, id.Shard(), x), id[2:]...)
}

func rollKey(id flowengine.PersonID) []byte {
	return append(appendPrefix(nil, id.Shard(), kindRoll), id[2:]...)
}

// listed reads a person out of a key of an index, below a prefix.
func listed(s flowengine.Shard, prefix, key []byte) (id flowengine.PersonID, ok bool) {
	if len(key) != len(prefix)+len(id)-2 { // a longer name that begins alike
		return id, false
	}
	binary.BigEndian.PutUint16(id[:2], uint16(s))
	copy(id[2:], key[len(prefix):])
	return id, true
}

// index writes what a step says of the indexes and segments of a person. look is
// when segments were to be looked at before the step.
func (tx *txn) index(m *member, r *flowengine.Result, look time.Time) {
	id, w := m.person.ID, &tx.batch.writes
	for _, x := range r.Indexed {
		w.Put(sourceKey(tx.ex.scratch[:0], x, id), nil)
		if x.Kind == flowengine.BySegment {
			tx.count(segmentCount(x.Name), 1)
		}
	}
	for _, x := range r.Unindexed {
		w.Delete(sourceKey(tx.ex.scratch[:0], x, id))
		if x.Kind == flowengine.BySegment {
			tx.count(segmentCount(x.Name), -1)
		}
	}
	if !r.SegmentsChanged {
		return
	}
	tx.ex.record = appendPlace(tx.ex.record[:0], &m.person)
	w.Put(personKey(tx.ex.scratch[:0], kindPlace, id), tx.ex.record)
	if look.Equal(m.person.Look) {
		return
	}
	if !look.IsZero() {
		tx.ex.timers.remove(id.Shard(), lookKey(id, look), w)
	}
	if !m.person.Look.IsZero() {
		value := []byte{kindPlace}
		tx.schedule(tx.ex.timers, id.Shard(), value, &dueEntry{key: lookKey(id, m.person.Look), value: value})
	}
}

// enrol enters a person into the list of all persons, and counts the person once.
func (tx *txn) enrol(id flowengine.PersonID) {
	key := rollKey(id)
	if !tx.ex.rt.indexed.Load() { // the job that makes the index must not count the person again
		if tx.has(key) {
			return
		}
		tx.put(key, nil, time.Time{})
	} else {
		tx.batch.writes.Put(key, nil)
	}
	tx.count(countPersons, 1)
}

// unlist takes a person who is erased out of all indexes.
func (tx *txn) unlist(m *member) error {
	if err := tx.place(m); err != nil {
		return err
	}
	id, w := m.person.ID, &tx.batch.writes
	for _, x := range m.person.Sources() {
		w.Delete(sourceKey(tx.ex.scratch[:0], x, id))
		if x.Kind == flowengine.BySegment {
			tx.count(segmentCount(x.Name), -1)
		}
	}
	if key := rollKey(id); tx.ex.rt.indexed.Load() || tx.has(key) {
		tx.delete(key)
		tx.count(countPersons, -1)
	}
	if !m.person.Look.IsZero() {
		tx.ex.timers.remove(id.Shard(), lookKey(id, m.person.Look), w)
	}
	w.Delete(personKey(tx.ex.scratch[:0], kindPlace, id))
	return nil
}

// relist enters a person of a store that had no indexes into them.
func (tx *txn) relist(m *member) {
	tx.enrol(m.person.ID)
	for _, x := range m.person.Sources() {
		if x.Kind != flowengine.BySegment { // there were none
			tx.batch.writes.Put(sourceKey(tx.ex.scratch[:0], x, m.person.ID), nil)
		}
	}
}

// lookKey is the key, in the timers, of when to look at a person's segments.
func lookKey(id flowengine.PersonID, at time.Time) []byte {
	return dueKey(nil, id.Shard(), kindTimer, at, id[2:])
}

// lookAt looks at a person's segments, because the time has come.
func (tx *txn) lookAt(e *dueEntry) error {
	var id flowengine.PersonID
	if len(e.key) == len(lookKey(id, time.Time{})) {
		copy(id[:2], e.key)
		copy(id[2:], e.key[3+8:])
		m, err := tx.member(id)
		if err == nil {
			err = tx.place(m)
		}
		if err != nil {
			return err
		}
		if m.exists && m.person.Look.Equal(dueTime(e.key)) {
			tx.step(m, &flowengine.Look{})
		}
	}
	tx.ex.timers.remove(shardOf(e.key), e.key, &tx.batch.writes)
	return nil
}

// appendPlace is the stored form of the segments a person is in.
func appendPlace(b []byte, p *flowengine.Person) []byte {
	for _, id := range p.Segments {
		b = record.AppendString(b, 1, id)
	}
	return record.AppendTime(b, 2, p.Look)
}

func decodePlace(b []byte, p *flowengine.Person) error {
	p.Segments, p.Look = nil, time.Time{}
	return record.Decode(b, "segments of a person", func(f record.Field) error {
		switch f.Num {
		case 1:
			p.Segments = append(p.Segments, string(f.Bytes))
		case 2:
			p.Look = f.Time()
		}
		return nil
	})
}

// place reads which segments a person in memory is in.
func (tx *txn) place(m *member) error {
	if m.placed || !m.exists {
		return nil
	}
	value, err := tx.ex.rt.store.Get(personKey(tx.ex.scratch[:0], kindPlace, m.person.ID), nil)
	if err == nil {
		err = decodePlace(value, &m.person)
	} else if isNotFound(err) {
		err = nil
	}
	m.placed = err == nil
	return err
}

// The numbers that are counted, of all shards together.
const countPersons = "p"

func segmentCount(id string) string { return "s" + id }

func countKey(b []byte, s flowengine.Shard, name string) []byte {
	return append(appendPrefix(b, s, kindCount), name...)
}

// count adds to a number. As with tallies, all shards of an executor count in its
// first one, and the sum over all shards is what counts: one may be negative.
func (tx *txn) count(name string, by int64) {
	ex := tx.ex
	n, known := ex.counts[name]
	if !known {
		value, err := ex.rt.store.Get(countKey(nil, ex.shards[0], name), nil)
		switch {
		case err == nil && len(value) == 8:
			n = int64(binary.BigEndian.Uint64(value))
		case !isNotFound(err): // what can't be read must not be counted over
			panic(fmt.Sprintf("count %q: %d bytes, %v", name, len(value), err))
		}
	}
	ex.counts[name] = n + by
	tx.batch.counted[name] = true
}

// writeCounts puts the numbers that the batch changed into it.
func (ex *executor) writeCounts(b *batch) {
	for name := range b.counted {
		value := binary.BigEndian.AppendUint64(nil, uint64(ex.counts[name]))
		b.writes.Put(countKey(nil, ex.shards[0], name), value)
	}
}

// counted sums a number over all shards.
func counted(store storage.Reader, name string) (uint64, error) {
	sum := int64(0)
	for s := range flowengine.Shard(flowengine.Shards) {
		value, err := store.Get(countKey(nil, s, name), nil)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if len(value) != 8 {
			return 0, fmt.Errorf("%w: count %q holds %d bytes", record.ErrDamaged, name, len(value))
		}
		sum += int64(binary.BigEndian.Uint64(value))
	}
	return uint64(max(sum, 0)), nil
}

// Persons is how many persons there are; of a store that was made before there
// were indexes, how many of them have been counted so far.
func (rt *Runtime) Persons() (uint64, error) { return counted(rt.store, countPersons) }

// sourcePage lists at most some of the persons whom sources list in a shard, and where
// the next page begins; nil when there is none. Somebody may be listed twice. A
// place that belongs to other sources begins anew.
func (rt *Runtime) sourcePage(s flowengine.Shard, sources []flowengine.Source, from []byte, most int) (people []flowengine.PersonID, next []byte, err error) {
	mark := sourcesMark(sources)
	i, key := readSourcePlace(mark, from)
	for ; i < len(sources); i, key = i+1, nil {
		prefix := sourcePrefix(nil, s, sources[i])
		err = rt.store.Scan(prefix, key, func(k, _ []byte) bool {
			if len(people) == most {
				next = append(append(mark, byte(i)), k...)
				return false
			}
			if id, ok := listed(s, prefix, k); ok {
				people = append(people, id)
			}
			return true
		})
		if err != nil || next != nil {
			return people, next, err
		}
	}
	return people, nil, nil
}

// sourcesMark begins the places of some sources. Other places begin with the
// number of a shard.
func sourcesMark(sources []flowengine.Source) []byte {
	b := []byte{'S'}
	h := newHash()
	for _, x := range sources {
		h.Write(sourcePrefix(nil, 0, x))
	}
	return h.Sum(b)
}

func readSourcePlace(mark, from []byte) (i int, key []byte) {
	if !bytes.HasPrefix(from, mark) || len(from) == len(mark) {
		return 0, nil
	}
	return int(from[len(mark)]), from[len(mark)+1:]
}

// Query asks for persons who have all of its tags and are in all of its segments.
type Query struct {
	Tags     []flowengine.Tag
	Segments []string
	// Match asks further; nil: nothing.
	Match func(*flowengine.Person) bool
}

// sources lists the parts of indexes that are all to list a person.
func (q *Query) sources() (all []flowengine.Source) {
	for _, id := range q.Segments {
		all = append(all, flowengine.Source{Kind: flowengine.BySegment, Name: id})
	}
	for _, t := range q.Tags {
		all = append(all, flowengine.Source{Kind: flowengine.ByTag, Name: t.Fold})
	}
	return all
}

// Find lists persons in the order of their ids, beginning after the given one;
// the zero id means from the start. A page ends after limit persons, or when
// enough were looked at; next is where the next page goes on, and the zero id
// when there is none. What is asked by tag or segment is read from the index.
func (rt *Runtime) Find(ctx context.Context, q Query, after flowengine.PersonID, limit int) (page []flowengine.Person, next flowengine.PersonID, err error) {
	sources := q.sources()
	if len(sources) == 0 {
		return rt.People(after, limit, q.Match)
	}
	if !rt.indexed.Load() && len(q.Segments) == 0 { // the index of tags is being made
		return rt.People(after, limit, func(p *flowengine.Person) bool {
			return !slices.ContainsFunc(q.Tags, func(t flowengine.Tag) bool { return !p.HasTag(t) }) && (q.Match == nil || q.Match(p))
		})
	}
	looked := 0
	for s := after.Shard(); s < flowengine.Shards; s++ {
		if err := ctx.Err(); err != nil {
			return nil, next, err
		}
		ids, err := rt.findIn(s, sources[0], after, limit+1-len(page))
		if err != nil {
			return nil, next, err
		}
		for len(ids) > 0 {
			for _, id := range ids {
				if len(page) == limit || looked == scanMost {
					return page, after, nil
				}
				p, yes, err := rt.found(id, sources[1:], q.Match)
				if err != nil {
					return nil, next, err
				}
				if yes {
					page = append(page, *p)
				}
				after = id
				looked++
			}
			if ids, err = rt.findIn(s, sources[0], after, limit+1-len(page)); err != nil {
				return nil, next, err
			}
		}
	}
	return page, flowengine.PersonID{}, nil
}

// findIn lists persons of a shard whom a source lists, after one of them.
func (rt *Runtime) findIn(s flowengine.Shard, x flowengine.Source, after flowengine.PersonID, most int) (ids []flowengine.PersonID, err error) {
	prefix := sourcePrefix(nil, s, x)
	var from []byte
	if !after.IsZero() && after.Shard() == s {
		from = successor(sourceKey(nil, x, after))
	}
	err = rt.store.Scan(prefix, from, func(key, _ []byte) bool {
		if id, ok := listed(s, prefix, key); ok {
			ids = append(ids, id)
		}
		return len(ids) < most
	})
	return ids, err
}

// found reads a person whom one source lists, when all others do too.
func (rt *Runtime) found(id flowengine.PersonID, others []flowengine.Source, match func(*flowengine.Person) bool) (p *flowengine.Person, yes bool, err error) {
	for _, x := range others {
		if _, err := rt.store.Get(sourceKey(nil, x, id), nil); err != nil {
			return nil, false, ignoreNotFound(err)
		}
	}
	value, err := rt.store.Get(personKey(nil, kindPerson, id), nil)
	if err != nil {
		return nil, false, ignoreNotFound(err) // erased a moment ago
	}
	p = &flowengine.Person{ID: id}
	if err := flowengine.DecodePerson(value, p, nil); err != nil {
		return nil, false, err
	}
	return p, match == nil || match(p), nil
}
