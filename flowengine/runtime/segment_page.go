package runtime

import (
	"bytes"
	"hash"
	"hash/fnv"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

func newHash() hash.Hash { return fnv.New32a() }

// Sizes of the pages of a segment's job. It lets nobody send, so that more persons
// fit into a task than of other jobs: each page waits for the disk once.
const (
	segmentPageMost = 512  // persons who are moved
	classifyMost    = 8192 // persons who are looked at
)

// segmentPage lists the persons of a shard, from a key on, of whom the store says
// something else than a segment's condition: most of a page stay out of the
// executor's way. It reads everything that is known of a person in one scan.
func (rt *Runtime) segmentPage(seg *flowengine.PeopleSegment, s flowengine.Shard, from []byte) (people []flowengine.PersonID, next []byte, err error) {
	at := reading{now: rt.now(), uses: seg.Condition.Uses()}
	if !bytes.HasPrefix(from, appendPrefix(nil, s, areaPeople)) {
		from = nil
	}
	looked := 0
	var damaged error
	err = rt.store.Scan(appendPrefix(nil, s, areaPeople), from, func(key, value []byte) bool {
		if len(key) <= kindAt {
			return true
		}
		if id, yes := isProfile(key); yes {
			if at.misplaced(seg) {
				people = append(people, at.person.ID)
			}
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
	if next == nil && at.misplaced(seg) {
		people = append(people, at.person.ID)
	}
	return people, next, firstError(err, damaged)
}

// reading is a person as a scan over the records of persons meets it.
type reading struct {
	now  time.Time
	uses *flowengine.Uses // what is read of what is known

	person   flowengine.Person
	passages flowengine.Passages
	events   []flowengine.Happened
	there    bool // there is a person, not a signpost
}

func (r *reading) begin(id flowengine.PersonID, profile []byte) error {
	r.person, r.passages, r.events = flowengine.Person{ID: id}, flowengine.Passages{}, r.events[:0]
	if _, elsewhere := readSignpost(profile); elsewhere {
		r.there = false
		return nil
	}
	r.there = true
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
