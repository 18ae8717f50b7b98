package runtime

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Audit reads a whole store and lists where its records contradict each other.
// There is nothing to list in any state that a batch has left, as long as no
// history is older than Options.History and nobody was erased or merged. each, which may
// be nil, sees everybody with the whole history, and lists what it finds.
func Audit(store storage.Reader, each func(*Profile) []string) (problems []string, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		found, err := auditShard(store, s, each)
		if err != nil {
			return nil, fmt.Errorf("auditing shard %d: %w", s, err)
		}
		problems = append(problems, found...)
	}
	counted, err := Recount(store)
	if err != nil {
		return nil, err
	}
	stored, err := ReadTallies(store)
	if err != nil {
		return nil, err
	}
	return append(problems, Differences(counted, stored)...), nil
}

// shardAudit is what the queues and indexes of a shard say. What a person
// accounts for is taken out; what is left is without a person.
type shardAudit struct {
	timers map[string]bool
	active map[string]bool
	rows   map[sending]int // messages in the outbox, or held while their broadcast is paused
	shard  flowengine.Shard
	key    []byte // buffer
}

// sending names what an element sent in one run.
type sending struct {
	person  flowengine.PersonID
	flow    string
	number  uint32
	element string
}

func auditShard(store storage.Reader, s flowengine.Shard, each func(*Profile) []string) (problems []string, err error) {
	a := &shardAudit{timers: map[string]bool{}, active: map[string]bool{}, rows: map[sending]int{}, shard: s}
	found, err := a.readQueues(store)
	if err != nil {
		return nil, err
	}
	problems = append(problems, found...)
	err = scanProfiles(store, s, func(p *Profile) {
		problems = append(problems, a.account(p)...)
		if each != nil {
			problems = append(problems, each(p)...)
		}
	})
	for key := range a.timers {
		id, t, _ := parseRunTimer([]byte(key))
		problems = append(problems, fmt.Sprintf("person %s: a timer of flow %q, entry %d, seq %d, for %s belongs to no wait", id, t.Flow, t.Number, t.Seq, dueTime([]byte(key)).Format(time.RFC3339Nano)))
	}
	for key := range a.active {
		problems = append(problems, fmt.Sprintf("the index says that somebody is in a flow who is not: %q", key))
	}
	for k, n := range a.rows {
		value, _ := store.Get(personKey(a.key[:0], kindPerson, k.person), nil)
		if _, merged := readSignpost(value); merged {
			continue // the history is the survivor's
		}
		problems = append(problems, fmt.Sprintf("person %s: %d messages of %s/%s, entry %d, are in the outbox, and the history does not know of them", k.person, n, k.flow, k.element, k.number))
	}
	return problems, err
}

// readQueues reads timers, outbox and the index of who is where.
func (a *shardAudit) readQueues(store storage.Reader) (problems []string, err error) {
	err = a.scanQueue(store, kindTimer, &problems, func(key, value []byte) error {
		if len(value) == 0 {
			a.timers[string(key)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	row := func(_, value []byte) error {
		m, err := decodeMessage(value)
		if err != nil || m.Relay != nil || m.Deferred != nil || m.Receipt != nil {
			return err
		}
		if ids[m.ID] {
			problems = append(problems, fmt.Sprintf("message %s is in the outbox twice", m.ID))
		}
		ids[m.ID] = true
		if o := &m.Origin; o.Flow != "" {
			a.rows[sending{o.Person, o.Flow, o.Number, o.Element}]++
		}
		return nil
	}
	if err := a.scanQueue(store, kindOutbox, &problems, row); err != nil {
		return nil, err
	}
	var damaged error
	err = store.Scan(appendPrefix(nil, a.shard, kindHeld), nil, func(key, value []byte) bool {
		damaged = row(key, value)
		return damaged == nil
	})
	if err = firstError(err, damaged); err != nil {
		return nil, err
	}
	err = store.Scan(appendPrefix(nil, a.shard, kindActive), nil, func(key, _ []byte) bool {
		a.active[string(key)] = true
		return true
	})
	return problems, err
}

// scanQueue goes through a due queue, and says when something is below its
// cursor, where nobody looks any more.
func (a *shardAudit) scanQueue(store storage.Reader, kind byte, problems *[]string, each func(key, value []byte) error) error {
	cursor, err := store.Get(cursorKey(a.key[:0], a.shard, kind), nil)
	if err != nil && !isNotFound(err) {
		return err
	}
	var damaged error
	err = store.Scan(appendPrefix(nil, a.shard, kind), nil, func(key, value []byte) bool {
		if bytes.Compare(key, cursor) < 0 {
			*problems = append(*problems, fmt.Sprintf("an entry of queue %c of shard %d, due %s, is below the queue's cursor", kind, a.shard, dueTime(key).Format(time.RFC3339Nano)))
		}
		damaged = each(key, value)
		return damaged == nil
	})
	return firstError(err, damaged)
}

// account takes out what a person accounts for.
func (a *shardAudit) account(p *Profile) (problems []string) {
	id := p.Person.ID
	for i := range p.Passages.Runs {
		run := &p.Passages.Runs[i]
		key := string(activeKey(a.key[:0], id, flowengine.RunKey{Flow: run.Flow, Version: run.Version, Number: run.Number}))
		if !a.active[key] {
			problems = append(problems, fmt.Sprintf("person %s is in flow %q, entry %d, and the index does not say so", id, run.Flow, run.Number))
		}
		delete(a.active, key)
		if run.Deadline.IsZero() {
			continue
		}
		key = string(runTimerKey(a.key[:0], id, flowengine.Deadline{Due: run.Deadline, Flow: run.Flow, Number: run.Number, Seq: run.Seq}))
		if !a.timers[key] {
			problems = append(problems, fmt.Sprintf("person %s waits in flow %q, entry %d, at %q until %s, and there is no timer", id, run.Flow, run.Number, run.Element, run.Deadline.Format(time.RFC3339Nano)))
		}
		delete(a.timers, key)
	}
	return append(problems, a.accountMessages(p)...)
}

// accountMessages finds messages that are neither in the outbox nor settled, and
// those that were settled twice.
func (a *shardAudit) accountMessages(p *Profile) (problems []string) {
	// Of a person who was merged with others, what happened in the same moment is in
	// any order, and rows name whom they were sent to.
	merged := len(p.Person.Merged) > 0
	open := map[sending]int{}
	var order []sending
	for _, h := range p.History {
		for i := range h.Events {
			e := &h.Events[i]
			if e.Flow == "" {
				continue
			}
			k := sending{p.Person.ID, e.Flow, e.Number, e.Element}
			switch e.Kind {
			case flowengine.Queued:
				if open[k] == 0 {
					order = append(order, k)
				}
				open[k]++
			case flowengine.Accepted, flowengine.Failed:
				if open[k]--; open[k] < 0 && !merged {
					problems = append(problems, fmt.Sprintf("person %s: more messages of %s/%s, entry %d, were settled than sent", k.person, k.flow, k.element, k.number))
				}
			}
		}
	}
	for _, k := range order {
		n, rows := open[k], a.rows[k]
		if n != rows && n >= 0 && !merged {
			problems = append(problems, fmt.Sprintf("person %s: %d messages of %s/%s, entry %d, are not settled, and %d are in the outbox", k.person, n, k.flow, k.element, k.number, rows))
		}
		delete(open, k)
		delete(a.rows, k)
	}
	return problems
}

// scanProfiles reads everybody in a shard, with the whole history.
func scanProfiles(store storage.Reader, s flowengine.Shard, each func(*Profile)) error {
	var p *Profile
	var damaged error
	flush := func() {
		if p != nil && damaged == nil {
			each(p)
		}
		p = nil
	}
	err := store.Scan(appendPrefix(nil, s, areaPeople), nil, func(key, value []byte) bool {
		if id, yes := isProfile(key); yes {
			flush()
			m := &member{person: flowengine.Person{ID: id}}
			if _, elsewhere := readSignpost(value); elsewhere {
				return true
			}
			damaged = m.decode(value, func() ([]byte, error) { return store.Get(personKey(nil, kindPassages, id), nil) })
			p = &Profile{Person: m.person, Passages: m.passages}
			return damaged == nil
		}
		if p != nil && len(key) > kindAt && key[kindAt] == kindLog && bytes.Equal(key[:kindAt], personKey(nil, kindLog, p.Person.ID)[:kindAt]) {
			h := Happening{At: time.UnixMilli(int64(binary.BigEndian.Uint64(key[kindAt+1:]))).UTC()}
			h.Events, damaged = flowengine.DecodeEvents(value, nil)
			p.History = append(p.History, h)
		}
		return damaged == nil
	})
	flush()
	return firstError(err, damaged)
}
