package runtime

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// The history and the events of a person who was merged go to the survivor page
// by page. Counters are corrected with the page that is rewritten, so that they
// equal a recount (rule M5) as far back as history is kept.

// moving lists the kinds of records that go to the survivor. The index of links
// stays where the links are, in the shard of whom they were sent to.
var moving = [...]byte{kindLog, kindHappened, kindMark, kindSeen}

// Bounds of a page.
const (
	movePage  = 256
	moveBytes = 128 << 10
)

// succeed begins to move what is kept of a person under the person's id.
func (tx *txn) succeed(survivor, from flowengine.PersonID, s *flowengine.Succession) {
	body := record.AppendBytes(nil, 1, from[:])
	body = record.AppendBytes(body, 2, survivor[:])
	body = record.AppendNested(body, 3, func(b []byte) []byte { return flowengine.AppendSuccession(b, s) })
	tx.post(&relay{Target: from.Shard(), Kind: relayMoveOut, Body: body}, tx.now)
}

// receiveMoveOut sends the next page of a merged person's records to the
// survivor. The succession stays with the signpost: records of somebody who was
// merged into this person earlier may still come.
func (tx *txn) receiveMoveOut(body []byte) error {
	var from, survivor flowengine.PersonID
	s := new(flowengine.Succession)
	err := record.Decode(body, "succession", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(from[:], f.Bytes)
		case 2:
			copy(survivor[:], f.Bytes)
		case 3:
			s, err = flowengine.DecodeSuccession(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	if m, err := tx.member(from); err != nil || !m.moved { // erased meanwhile, with all records
		return err
	}
	key := personKey(nil, kindSuccession, from)
	first := !tx.has(key)
	if first {
		tx.put(key, bytes.Clone(body), time.Time{})
	}
	page, err := tx.movePage(from)
	if err != nil || len(page) == 0 && !first {
		return err
	}
	// Once more after this batch: it may bring records, which the store does not show yet.
	tx.post(&relay{Target: from.Shard(), Kind: relayMoveOut, Body: body}, tx.now)
	if len(page) == 0 {
		return nil
	}
	out := record.AppendBytes(nil, 1, survivor[:])
	for _, r := range page {
		tx.delete(append(personKey(nil, r.kind, from), r.rest...))
		if r.kind == kindLog {
			if err := tx.rewrite(&r, s); err != nil {
				return err
			}
		}
		out = record.AppendNested(out, 2, r.append)
	}
	tx.post(&relay{Target: survivor.Shard(), Kind: relayMoveIn, Body: out}, tx.now)
	return nil
}

// moved is a record of a person on its way to another one: its kind, what stands
// in its key behind the kind, and its value.
type moved struct {
	kind        byte
	rest, value []byte
}

// movePage reads some of the durable records that stand under a person's id.
func (tx *txn) movePage(from flowengine.PersonID) (page []moved, err error) {
	size, full := 0, false
	for _, kind := range moving {
		prefix := personKey(nil, kind, from)
		err = tx.ex.rt.store.Scan(prefix, nil, func(key, value []byte) bool {
			if len(page) == movePage || size > moveBytes {
				full = true
				return false
			}
			if !tx.deleted(key) {
				page = append(page, moved{kind, bytes.Clone(key[len(prefix):]), bytes.Clone(value)})
				size += len(key) + len(value)
			}
			return true
		})
		if err != nil || full {
			return page, err
		}
	}
	return page, nil
}

// deleted tells whether a record was deleted that may still be in the store.
func (tx *txn) deleted(key []byte) bool {
	v, known := tx.ex.recent.get(string(key))
	return known && v == nil
}

// rewrite gives a stretch of history its form for the survivor, and corrects the
// counters of the day on which it was counted. A counter of this executor alone
// may fall below zero and wrap, when others counted the events: sums are right.
func (tx *txn) rewrite(r *moved, s *flowengine.Succession) error {
	if len(r.rest) < 8 {
		return nil
	}
	events, err := flowengine.DecodeEvents(r.value, nil)
	if err != nil {
		return err
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(r.rest))).UTC()
	kept := s.Rewrite(events)
	if slices.Equal(events, kept) {
		return nil
	}
	r.value = flowengine.AppendEvents(nil, kept)
	for i := range events {
		if e := &events[i]; e.Flow != "" {
			tx.ex.tally(tx.batch, e.Flow, at).uncount(e)
		}
	}
	for i := range kept {
		if e := &kept[i]; e.Flow != "" {
			tx.ex.tally(tx.batch, e.Flow, at).Count(e)
		}
	}
	return nil
}

func (r *moved) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(r.kind))
	b = record.AppendBytes(b, 2, r.rest)
	return record.AppendBytes(b, 3, r.value)
}

// receiveMoveIn puts records of a merged person under the survivor's id.
func (tx *txn) receiveMoveIn(body []byte) error {
	var survivor flowengine.PersonID
	var page []moved
	err := record.Decode(body, "moved records", func(f record.Field) error {
		switch f.Num {
		case 1:
			copy(survivor[:], f.Bytes)
		case 2:
			var r moved
			err := record.Decode(f.Bytes, "moved record", func(f record.Field) error {
				switch f.Num {
				case 1:
					r.kind = byte(f.Uint)
				case 2:
					r.rest = bytes.Clone(f.Bytes)
				case 3:
					r.value = bytes.Clone(f.Bytes)
				}
				return nil
			})
			page = append(page, r)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	m, err := tx.member(survivor)
	if err != nil {
		return err
	}
	if !m.exists && !m.moved { // erased meanwhile
		return tx.discard(page)
	}
	for i := range page {
		if err := tx.inherit(m, &page[i]); err != nil {
			return err
		}
	}
	if m.moved { // merged again: on, if the rest has gone on already
		if again, err := tx.get(personKey(nil, kindSuccession, survivor)); err == nil {
			tx.post(&relay{Target: survivor.Shard(), Kind: relayMoveOut, Body: bytes.Clone(again)}, tx.now)
		}
	}
	return nil
}

// inherit stores one record under the survivor's id. What has a place in time
// gets a new sequence number: both persons may have had the same one.
func (tx *txn) inherit(m *member, r *moved) error {
	id := m.person.ID
	switch r.kind {
	case kindLog, kindHappened:
		if len(r.rest) < 8 {
			return nil
		}
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(r.rest))).UTC()
		tx.ex.logSeq++
		if r.kind == kindLog {
			tx.batch.writes.PutUntil(logKey(nil, id, at, tx.ex.logSeq), r.value, at.Add(tx.ex.rt.options.History))
			return nil
		}
		var e flowengine.Happened
		if err := flowengine.DecodeHappened(r.value, &e); err != nil {
			return err
		}
		key := happenedKey(nil, id, at, tx.ex.logSeq)
		tx.batch.writes.PutUntil(key, r.value, at.Add(tx.ex.rt.options.Events))
		if m.exists {
			m.note(key, &e)
		}
	case kindMark:
		tx.put(append(personKey(nil, r.kind, id), r.rest...), r.value, tx.now.Add(operationTime))
	default:
		tx.put(append(personKey(nil, r.kind, id), r.rest...), r.value, tx.now.Add(eventMemory))
	}
	return nil
}

// discard forgets records of a person whose survivor was erased.
func (tx *txn) discard(page []moved) error {
	for i := range page {
		if page[i].kind == kindMark {
			if err := tx.forgetMark(page[i].rest); err != nil {
				return err
			}
		}
	}
	return nil
}
