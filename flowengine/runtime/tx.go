package runtime

import (
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

// txn is one task's view of its executor's shards. What it reads is always the
// newest, durable or not; what it writes goes into the batch as a whole.
type txn struct {
	ex    *executor
	batch *batch
	now   time.Time
	// handedOn: another task answers done.
	handedOn bool
	// changing is the person whose state in memory a panic leaves half changed.
	changing flowengine.PersonID
}

// dueAdd is an entry that its queue has to hear of once it is durable.
type dueAdd struct {
	queue      *dueQueue
	shard      flowengine.Shard
	key, value []byte
}

// get reads a record that is not a person. It returns storage.ErrNotFound.
func (tx *txn) get(key []byte) ([]byte, error) {
	if v, ok := tx.ex.recent.get(string(key)); ok {
		if v == nil {
			return nil, storage.ErrNotFound
		}
		return v, nil
	}
	return tx.ex.rt.store.Get(key, nil)
}

func (tx *txn) has(key []byte) bool {
	_, err := tx.get(key)
	return err == nil
}

// put writes a record that is not a person; the zero expires keeps it for ever.
func (tx *txn) put(key, value []byte, expires time.Time) {
	if expires.IsZero() {
		tx.batch.writes.Put(key, value)
	} else {
		tx.batch.writes.PutUntil(key, value, expires)
	}
	if value == nil { // nil would mean that it was deleted
		value = []byte{}
	}
	tx.ex.recent.put(string(key), value)
}

func (tx *txn) delete(key []byte) {
	tx.batch.writes.Delete(key)
	tx.ex.recent.put(string(key), nil)
}

// schedule puts an entry into a due queue.
func (tx *txn) schedule(q *dueQueue, s flowengine.Shard, key, value []byte) {
	q.put(s, key, value, &tx.batch.writes)
	tx.batch.due = append(tx.batch.due, dueAdd{q, s, key, value})
}

// member loads a person of one of the executor's shards.
func (tx *txn) member(id flowengine.PersonID) (*member, error) {
	if m, ok := tx.ex.people.get(id); ok {
		return m, nil
	}
	m := &member{person: flowengine.Person{ID: id}}
	if !tx.ex.mayHavePerson(id) {
		tx.ex.people.put(id, m)
		return m, nil
	}
	key := personKey(tx.ex.scratch[:0], kindPerson, id)
	value, err := tx.ex.rt.store.Get(key, tx.ex.value)
	switch {
	case isNotFound(err):
	case err != nil:
		return nil, err
	default:
		tx.ex.value = value
		m.exists = true
		if err := flowengine.DecodePerson(value, &m.person); err != nil {
			return nil, fmt.Errorf("person %s: %w", id, err)
		}
		key = personKey(key[:0], kindPassages, id)
		value, err = tx.ex.rt.store.Get(key, tx.ex.value)
		if err == nil {
			tx.ex.value = value
			if err := flowengine.DecodePassages(value, &m.passages); err != nil {
				return nil, fmt.Errorf("person %s: %w", id, err)
			}
		} else if !isNotFound(err) {
			return nil, err
		}
	}
	tx.ex.people.put(id, m)
	return m, nil
}

// personAt finds the person whom an address leads to. One who is not known yet
// is made (rule R8), in memory: step stores the person with the first step.
//
// A person made from an address is found by the id that the address gives; all
// other addresses have a record that names their person.
func (tx *txn) personAt(a flowengine.Address) (*member, error) {
	if id, known := tx.ex.contacts.get(a); known {
		return tx.namedBy(a, id)
	}
	if id := flowengine.NewPersonID(a, 0); tx.ex.mayHavePerson(id) {
		m, err := tx.member(id)
		if err != nil {
			return nil, err
		}
		if m.exists && m.person.HasAddress(a) {
			tx.ex.contacts.put(a, id)
			return m, nil
		}
	}
	key := addressKey(tx.ex.scratch[:0], a)
	if !tx.ex.population[a.Shard()].mayHave(key) {
		return tx.newPerson(a)
	}
	value, err := tx.get(key)
	if isNotFound(err) {
		return tx.newPerson(a)
	}
	if err != nil {
		return nil, err
	}
	var id flowengine.PersonID
	if len(value) != len(id) {
		return nil, fmt.Errorf("%w: the address record of %s holds %d bytes", record.ErrDamaged, a.Kind, len(value))
	}
	copy(id[:], value)
	tx.ex.contacts.put(a, id)
	return tx.namedBy(a, id)
}

// namedBy loads the person to whom an address leads. One of another executor's
// is returned by id alone; in place of one who was erased there is a new one.
func (tx *txn) namedBy(a flowengine.Address, id flowengine.PersonID) (*member, error) {
	if !tx.ex.owns(id.Shard()) {
		return &member{person: flowengine.Person{ID: id}}, nil
	}
	m, err := tx.member(id)
	if err == nil && !m.exists {
		return tx.newPerson(a)
	}
	return m, err
}

// newPerson makes a person for an address. The id is the address's first one
// that nobody bears.
func (tx *txn) newPerson(a flowengine.Address) (*member, error) {
	for n := uint64(0); ; n++ {
		m, err := tx.member(flowengine.NewPersonID(a, n))
		if err != nil {
			return nil, err
		}
		if !m.exists {
			m.first = a
			m.person.Created = tx.now
			m.person.Addresses = []flowengine.Address{a}
			return m, nil
		}
	}
}

// create stores a person made by newPerson.
func (tx *txn) create(m *member) {
	a := m.first
	if m.person.ID != flowengine.NewPersonID(a, 0) { // the id does not follow from the address
		tx.lead(a, m.person.ID)
	}
	tx.ex.population[m.person.ID.Shard()].add(personKey(tx.ex.scratch[:0], kindPerson, m.person.ID))
	tx.ex.contacts.put(a, m.person.ID)
	m.exists = true
	tx.ex.rt.metrics.persons.Inc()
}

// step lets a cause act on a person and writes all that follows (rule X1).
func (tx *txn) step(m *member, c flowengine.Cause) *flowengine.Result {
	id := m.person.ID
	tx.changing = id
	r := tx.ex.rt.set.Load().StepWith(&m.person, &m.passages, tx.eventsOf(m), c, tx.now)
	if !m.exists {
		tx.create(m)
		r.PersonChanged = true
	}
	w := &tx.batch.writes
	if r.PersonChanged {
		tx.ex.record = flowengine.AppendPerson(tx.ex.record[:0], &m.person)
		w.Put(personKey(tx.ex.scratch[:0], kindPerson, id), tx.ex.record)
	}
	if r.PassagesChanged {
		tx.ex.record = flowengine.AppendPassages(tx.ex.record[:0], &m.passages)
		w.Put(personKey(tx.ex.scratch[:0], kindPassages, id), tx.ex.record)
	}
	shard := id.Shard()
	for _, d := range r.Cancelled {
		tx.ex.timers.remove(shard, runTimerKey(nil, id, d), w)
	}
	for _, d := range r.Timers {
		tx.schedule(tx.ex.timers, shard, runTimerKey(nil, id, d), nil)
	}
	for _, k := range r.Left {
		w.Delete(activeKey(tx.ex.scratch[:0], id, k))
	}
	for _, k := range r.Entered {
		w.Put(activeKey(tx.ex.scratch[:0], id, k), nil)
	}
	for i := range r.Sends {
		due := tx.now
		if r.Sends[i].NotBefore.After(due) {
			due = r.Sends[i].NotBefore
		}
		tx.enqueue(shard, &Message{Send: r.Sends[i]}, due)
	}
	tx.keep(m, r)
	for _, a := range r.AddressesAdded {
		if err := tx.alias(a, id); err != nil { // unreachable: what we encode, we decode
			tx.ex.rt.log.Error("an address could not be made to lead to its person", "person", id.String(), "error", err)
		}
	}
	tx.history(id, r.Log)
	tx.changing = flowengine.PersonID{}
	return r
}

// history stores what happened to a person, and counts it.
func (tx *txn) history(id flowengine.PersonID, events []flowengine.Event) {
	if len(events) == 0 {
		return
	}
	tx.ex.logSeq++
	tx.ex.record = flowengine.AppendEvents(tx.ex.record[:0], events)
	tx.batch.writes.PutUntil(logKey(tx.ex.scratch[:0], id, tx.now, tx.ex.logSeq), tx.ex.record, tx.now.Add(tx.ex.rt.options.History))
	for i := range events {
		if e := &events[i]; e.Flow != "" {
			tx.ex.tally(tx.batch, id.Shard(), e.Flow, tx.now).Count(e)
			tx.ex.rt.metrics.event(e)
		}
	}
}

// forget undoes in memory what a panic interrupted. The state of a person is
// read again from where it was last written: a batch that is not durable yet,
// or the store.
func (tx *txn) forget() {
	id := tx.changing
	if id == (flowengine.PersonID{}) {
		return
	}
	tx.ex.people.drop(id)
	m := &member{person: flowengine.Person{ID: id}}
	person, passages := tx.written(personKey(nil, kindPerson, id)), tx.written(personKey(nil, kindPassages, id))
	if person == nil && passages == nil {
		return
	}
	if person == nil {
		person, _ = tx.ex.rt.store.Get(personKey(nil, kindPerson, id), nil)
	}
	if passages == nil {
		passages, _ = tx.ex.rt.store.Get(personKey(nil, kindPassages, id), nil)
	}
	m.exists = person != nil
	if flowengine.DecodePerson(person, &m.person) == nil && flowengine.DecodePassages(passages, &m.passages) == nil {
		tx.ex.people.put(id, m)
	}
}

// written finds the last value of a key in the batches that are not durable yet.
func (tx *txn) written(key []byte) (value []byte) {
	for _, b := range []*batch{tx.ex.inflight, tx.batch} {
		if b == nil {
			continue
		}
		for op := range b.writes.Ops() {
			if string(op.Key) == string(key) {
				value = append([]byte(nil), op.Value...)
			}
		}
	}
	return value
}
