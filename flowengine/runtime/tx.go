package runtime

import (
	"fmt"
	"slices"
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
	// claimed: the addresses that a step adds lead to the person already.
	claimed bool
	// handedOn: another task answers done.
	handedOn bool
	// changing is the person whose state in memory a panic leaves half changed.
	changing flowengine.PersonID
}

// dueAdd is an entry that its queue has to hear of once it is durable.
type dueAdd struct {
	queue *dueQueue
	shard flowengine.Shard
	entry *dueEntry
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
func (tx *txn) schedule(q *dueQueue, s flowengine.Shard, value []byte, e *dueEntry) {
	q.put(s, e.key, value, &tx.batch.writes)
	tx.batch.due = append(tx.batch.due, dueAdd{q, s, e})
}

// member loads a person of one of the executor's shards.
func (tx *txn) member(id flowengine.PersonID) (*member, error) {
	if m, ok := tx.ex.people.get(id); ok {
		return m, nil
	}
	m := &member{person: flowengine.Person{ID: id}}
	key := personKey(tx.ex.scratch[:0], kindPerson, id)
	value, err := tx.ex.rt.store.Get(key, tx.ex.value)
	switch {
	case isNotFound(err):
	case err != nil:
		return nil, err
	default:
		tx.ex.value = value
		var ok bool
		if m.leads, ok = readSignpost(value); ok {
			m.moved = isGrave(value)
			break
		}
		if err := m.decode(value, func() ([]byte, error) {
			return tx.ex.rt.store.Get(personKey(nil, kindPassages, id), nil)
		}); err != nil {
			return nil, err
		}
	}
	tx.ex.people.put(id, m)
	return m, nil
}

// personAt finds the person whom an address leads to. One who is not known yet
// is made (rule R8), in memory: step stores the person with the first step.
//
// A person made from an address has the id that follows from it, and is found
// there. Of any other address a signpost stands there; or, where that person has
// given the address away, a record of the address names its person.
func (tx *txn) personAt(a flowengine.Address) (*member, error) {
	if id, known := tx.ex.contacts.get(a); known {
		return tx.namedBy(a, id)
	}
	m, err := tx.member(flowengine.NewPersonID(a, 0))
	if err != nil {
		return nil, err
	}
	switch {
	case m.moved: // who lived here was merged; the address has a record of its own
	case !m.leads.IsZero():
		return tx.namedBy(a, m.leads)
	case !m.exists:
		return tx.newPerson(a)
	case m.person.HasAddress(a):
		tx.ex.contacts.put(a, m.person.ID)
		return m, nil
	}
	value, err := tx.get(addressKey(a))
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

// lead lets an address lead to a person.
func (tx *txn) lead(a flowengine.Address, id flowengine.PersonID) error {
	tx.ex.contacts.put(a, id)
	own := flowengine.NewPersonID(a, 0)
	if own == id {
		return nil
	}
	m, err := tx.member(own)
	if err != nil {
		return err
	}
	if m.exists || m.moved { // somebody else lives there, or did
		tx.put(addressKey(a), id[:], time.Time{})
		return nil
	}
	m.leads = id
	tx.batch.writes.Put(personKey(tx.ex.scratch[:0], kindPerson, own), signpost(id))
	return nil
}

// mislead lets an address lead to nobody any more.
func (tx *txn) mislead(a flowengine.Address) error {
	tx.ex.contacts.drop(a)
	m, err := tx.member(flowengine.NewPersonID(a, 0))
	if err != nil {
		return err
	}
	if !m.leads.IsZero() && !m.moved {
		m.leads = flowengine.PersonID{}
		tx.batch.writes.Delete(personKey(tx.ex.scratch[:0], kindPerson, m.person.ID))
	}
	tx.delete(addressKey(a))
	return nil
}

// namedBy loads the person to whom an address leads. One of another executor's
// is returned by id alone; in place of one who was erased there is a new one.
func (tx *txn) namedBy(a flowengine.Address, id flowengine.PersonID) (*member, error) {
	if !tx.ex.owns(id.Shard()) {
		return &member{person: flowengine.Person{ID: id}}, nil
	}
	m, err := tx.member(id)
	if err != nil {
		return nil, err
	}
	if m.moved {
		m, err = tx.resolve(m)
		if err != nil || !tx.ex.owns(m.person.ID.Shard()) {
			return m, err
		}
		if m.exists && !slices.Contains(m.person.Merged, id) {
			return nil, errMerging
		}
	}
	if !m.exists {
		return tx.newPerson(a)
	}
	return m, nil
}

// newPerson makes a person for an address. The id is the address's first one
// that nobody bears.
func (tx *txn) newPerson(a flowengine.Address) (*member, error) {
	for n := uint64(0); ; n++ {
		m, err := tx.member(flowengine.NewPersonID(a, n))
		if err != nil {
			return nil, err
		}
		if !m.exists && !m.moved {
			m.first, m.leads = a, flowengine.PersonID{}
			m.person.Created = tx.now
			m.person.Addresses = []flowengine.Address{a}
			return m, nil
		}
	}
}

// create stores a person made by newPerson.
func (tx *txn) create(m *member) {
	m.exists, m.placed, m.leads = true, true, flowengine.PersonID{}
	tx.enrol(m.person.ID)
	if err := tx.lead(m.first, m.person.ID); err != nil { // unreachable: newPerson has read the same record
		tx.ex.rt.log.Error("an address could not be made to lead to its person", "person", m.person.ID.String(), "error", err)
	}
	tx.ex.rt.metrics.persons.Inc()
}

// step lets a cause act on a person and writes all that follows (rule X1).
func (tx *txn) step(m *member, c flowengine.Cause) *flowengine.Result {
	id := m.person.ID
	tx.changing = id
	set := tx.ex.rt.set.Load()
	if len(set.Segments()) > 0 || isClassify(c) {
		if err := tx.place(m); err != nil { // what can't be read must not be written over
			panic(fmt.Sprintf("segments of person %s: %v", id, err))
		}
	}
	look := m.person.Look
	m.person.New = !m.exists
	r := set.StepIn(&tx.ex.stepWork, &m.person, &m.passages, tx.ex.eventsOf(m), c, tx.now)
	m.person.New = false
	if !m.exists {
		tx.create(m)
		r.PersonChanged = true
	}
	w := &tx.batch.writes
	if r.PersonChanged || r.PassagesChanged {
		tx.write(m, r)
	}
	tx.index(m, r, look)
	shard := id.Shard()
	for _, d := range r.Cancelled {
		tx.ex.timers.remove(shard, runTimerKey(nil, id, d), w)
	}
	for _, d := range r.Timers {
		tx.schedule(tx.ex.timers, shard, nil, &dueEntry{key: runTimerKey(nil, id, d)})
	}
	for _, k := range r.Left {
		w.Delete(activeKey(tx.ex.scratch[:0], id, k))
	}
	for _, k := range r.Entered {
		w.Put(activeKey(tx.ex.scratch[:0], id, k), nil)
	}
	for i := range r.Sends {
		tx.emit(shard, &r.Sends[i])
		tx.keepLinks(&r.Sends[i])
	}
	if len(r.Calls) > 0 || r.CallsChanged {
		tx.holdCalls(m, r)
	}
	tx.keep(m, r)
	for _, a := range r.AddressesAdded {
		if tx.claimed {
			break
		}
		if err := tx.alias(a, id); err != nil { // unreachable: what we encode, we decode
			tx.ex.rt.log.Error("an address could not be made to lead to its person", "person", id.String(), "error", err)
		}
	}
	for _, b := range r.Broadcasts {
		if err := tx.relay(&relay{Target: metaShard, Kind: relayAsk, Body: []byte(b)}); err != nil { // unreachable: it has nothing to decode
			tx.ex.rt.log.Error("a broadcast could not be asked for", "broadcast", b, "error", err)
		}
	}
	tx.history(id, r.Log)
	if set := tx.ex.rt.hooks.Load(); set != nil {
		tx.tellHooks(set, shard, id, c, r.Log)
	}
	tx.changing = flowengine.PersonID{}
	return r
}

func isClassify(c flowengine.Cause) bool { _, yes := c.(*flowengine.Classify); return yes }

// embedMost is the size up to which a profile is stored in one record with what
// flows remember of the person: most steps change the latter, and many both.
const embedMost = 1024

// passagesField is the field of a profile's record that holds the passages.
const passagesField = flowengine.FirstOtherField

// write stores a person who was changed.
func (tx *txn) write(m *member, r *flowengine.Result) {
	id, w := m.person.ID, &tx.batch.writes
	b := flowengine.AppendPerson(tx.ex.record[:0], &m.person)
	apart := len(b) > embedMost
	if !apart {
		b = record.AppendNested(b, passagesField, func(b []byte) []byte { return flowengine.AppendPassages(b, &m.passages) })
	}
	tx.ex.record = b
	if !apart || r.PersonChanged || !m.apart {
		w.Put(personKey(tx.ex.scratch[:0], kindPerson, id), b)
	}
	switch {
	case apart && (r.PassagesChanged || !m.apart):
		tx.ex.record = flowengine.AppendPassages(tx.ex.record[:0], &m.passages)
		w.Put(personKey(tx.ex.scratch[:0], kindPassages, id), tx.ex.record)
	case !apart && m.apart:
		w.Delete(personKey(tx.ex.scratch[:0], kindPassages, id))
	}
	m.apart = apart
}

// decode reads a person from the record of the profile; passages gives the
// record of those that are kept apart.
func (m *member) decode(profile []byte, passages func() ([]byte, error)) error {
	m.exists, m.apart = true, true
	err := flowengine.DecodePerson(profile, &m.person, func(f record.Field) error {
		if f.Num != passagesField {
			return nil
		}
		m.apart = false
		return flowengine.DecodePassages(f.Bytes, &m.passages)
	})
	if err == nil && m.apart {
		var value []byte
		if value, err = passages(); err == nil {
			err = flowengine.DecodePassages(value, &m.passages)
		} else if isNotFound(err) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("person %s: %w", m.person.ID, err)
	}
	return nil
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
			t := tx.ex.tally(tx.batch, e.Flow, tx.now)
			t.Count(e)
			if e.Kind == flowengine.Engaged || e.Kind == flowengine.Departed {
				t.use(tx.now)
			}
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
	profile, passages := tx.written(personKey(nil, kindPerson, id)), tx.written(personKey(nil, kindPassages, id))
	if profile == nil && passages == nil && tx.written(personKey(nil, kindPlace, id)) == nil {
		return
	}
	if profile == nil {
		profile, _ = tx.ex.rt.store.Get(personKey(nil, kindPerson, id), nil)
	}
	err := m.decode(profile, func() ([]byte, error) {
		if passages != nil {
			return passages, nil
		}
		return tx.ex.rt.store.Get(personKey(nil, kindPassages, id), nil)
	})
	place := tx.written(personKey(nil, kindPlace, id))
	if err == nil && place != nil {
		err, m.placed = decodePlace(place, &m.person), true
	}
	if err == nil && profile != nil {
		tx.ex.people.put(id, m)
	}
}

// written finds the last value of a key in the batches that are not durable yet.
func (tx *txn) written(key []byte) (value []byte) {
	for op := range tx.ex.unsynced(key) {
		if len(op.Key) == len(key) {
			value = append([]byte(nil), op.Value...)
		}
	}
	return value
}
