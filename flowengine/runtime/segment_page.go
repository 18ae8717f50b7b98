package runtime

import (
	"bytes"
	"hash"
	"hash/fnv"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

func newHash() hash.Hash { return fnv.New32a() }

// Sizes of the pages of a segment's job. It lets nobody send, so that more persons
// fit into a task than of other jobs.
const (
	segmentPageMost = 512  // persons who are moved
	classifyMost    = 8192 // persons who are looked at
)

// segmentPage lists the persons of a shard, from a key on, of whom the store says
// something else than a segment's condition: most of a page stay out of the
// executor's way. It reads everything that is known of a person in one scan, and
// lays those whom it lists ready in memory.
func (tx *txn) segmentPage(seg *flowengine.PeopleSegment, s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	rt := tx.ex.rt
	at := reading{now: rt.now(), uses: seg.Condition.Uses(), keep: true}
	if !bytes.HasPrefix(from, appendPrefix(nil, s, areaPeople)) {
		from = nil
	}
	looked := 0
	list := func() {
		if at.misplaced(seg) {
			people = append(people, at.person.ID)
			tx.adopt(&at)
		}
	}
	var damaged error
	err = rt.store.Scan(appendPrefix(nil, s, areaPeople), from, func(key, value []byte) bool {
		if len(key) <= kindAt {
			return true
		}
		if id, yes := isProfile(key); yes {
			list()
			if looked++; looked > classifyMost || len(people) == segmentPageMost {
				next = slices.Clone(key)
				return false
			}
			damaged = at.begin(id, value)
		} else {
			damaged = at.add(key, value)
		}
		return damaged == nil
	})
	if next == nil {
		list()
	}
	return people, next, firstError(err, damaged)
}

// adopt puts a person who was read into memory, unless the person is there already:
// what is in memory may be newer than the store.
func (tx *txn) adopt(r *reading) {
	id := r.person.ID
	if _, known := tx.ex.people.get(id); known || r.apart {
		return
	}
	m := &member{person: flowengine.Person{ID: id}, placed: true}
	if m.decode(r.profile, func() ([]byte, error) { return nil, storage.ErrNotFound }) != nil {
		return // whoever needs the person hears of it
	}
	m.person.Segments, m.person.Look = r.person.Segments, r.person.Look
	tx.ex.people.put(id, m)
}

// reading is a person as a scan over the records of persons meets it.
type reading struct {
	now  time.Time
	uses *flowengine.Uses // what is read of what is known

	person   flowengine.Person
	passages flowengine.Passages
	events   []flowengine.Happened
	there    bool // there is a person, not a signpost

	keep    bool   // keep the record of the profile
	profile []byte // that record
	apart   bool   // the passages have a record of their own
}

func (r *reading) begin(id flowengine.PersonID, profile []byte) error {
	r.person, r.passages, r.events = flowengine.Person{ID: id}, flowengine.Passages{}, r.events[:0]
	if _, elsewhere := readSignpost(profile); elsewhere {
		r.there = false
		return nil
	}
	r.there, r.apart = true, false
	if r.keep {
		r.profile = append(r.profile[:0], profile...)
	}
	return flowengine.DecodePerson(profile, &r.person, func(f record.Field) error {
		if f.Num == passagesField && len(r.uses.Contacts) > 0 {
			return flowengine.DecodePassages(f.Bytes, &r.passages)
		}
		return nil
	})
}

// add reads another record of the person.
func (r *reading) add(key, value []byte) error {
	if !r.there || !bytes.Equal(key[3:kindAt], r.person.ID[2:]) {
		return nil
	}
	switch key[kindAt] {
	case kindPassages:
		r.apart = true
		if len(r.uses.Contacts) > 0 {
			return flowengine.DecodePassages(value, &r.passages)
		}
	case kindPlace:
		return decodePlace(value, &r.person)
	case kindHappened:
		if len(r.uses.Events) == 0 {
			return nil
		}
		var e flowengine.Happened
		err := flowengine.DecodeHappened(value, &e)
		r.events = append(r.events, e)
		if n := len(r.events) - eventsMost; n > 0 {
			r.events = slices.Delete(r.events, 0, n)
		}
		return err
	}
	return nil
}

// misplaced says that the segment's condition says something else of the person
// than what is stored, or that the person has to be looked at earlier.
func (r *reading) misplaced(seg *flowengine.PeopleSegment) bool {
	if !r.there {
		return false
	}
	if seg.Holds(&r.person, r, r.now) != r.person.In(seg.ID) {
		return true
	}
	turns := seg.Turns(&r.person, r, r.now)
	return !turns.IsZero() && (r.person.Look.IsZero() || turns.Before(r.person.Look))
}

// Events implements flowengine.Past.
func (r *reading) Events(name string) (all []flowengine.Happened) {
	for i := range r.events {
		if r.events[i].Name == name {
			all = append(all, r.events[i])
		}
	}
	return all
}

// Message implements flowengine.Past: segments look at no messages.
func (r *reading) Message(string) flowengine.MessageSeen { return flowengine.MessageSeen{} }

// LastContact implements flowengine.Past.
func (r *reading) LastContact(channel string) time.Time {
	for _, c := range r.passages.Contacts {
		if c.Channel == channel {
			return c.At
		}
	}
	return time.Time{}
}
