package runtime

import (
	"context"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Who names a person: by id, or else by an address that leads to the person.
type Who struct {
	ID      flowengine.PersonID
	Address flowengine.Address
	// Create makes a person of the address when it leads to nobody.
	Create bool
}

// ParseWho reads what people write to name a person: an id, an e-mail address
// or a phone number.
func ParseWho(ref string) Who {
	if id, err := flowengine.ParsePersonID(ref); err == nil {
		return Who{ID: id}
	}
	return Who{Address: flowengine.ParseAddress(ref)}
}

func (w Who) shard() flowengine.Shard {
	if w.ID.IsZero() {
		return w.Address.Shard()
	}
	return w.ID.Shard()
}

func (w Who) String() string {
	if w.ID.IsZero() {
		return w.Address.Value
	}
	return w.ID.String()
}

// Acted tells what a cause led to.
type Acted struct {
	Person  flowengine.PersonID
	Outcome string // see flowengine.Result
	Refused string
}

// Act lets a cause happen to a person, and returns when all that follows from it
// is durable. It returns ErrNotFound when nobody is meant.
func (rt *Runtime) Act(ctx context.Context, who Who, c flowengine.Cause) (acted Acted, err error) {
	if !rt.fires() {
		return acted, ErrStopping
	}
	err = rt.on(ctx, who, "act", func(tx *txn, m *member) error {
		r := tx.step(m, c)
		acted = Acted{m.person.ID, r.Outcome, r.Refused}
		return nil
	})
	return acted, err
}

// find looks a person up. One of another executor's is returned by id alone.
func (tx *txn) find(who Who) (*member, error) {
	if who.ID.IsZero() {
		m, err := tx.personAt(who.Address)
		if err != nil {
			return nil, err
		}
		if !m.exists && tx.ex.owns(m.person.ID.Shard()) && !who.Create {
			return nil, storage.ErrNotFound
		}
		return m, nil
	}
	m, err := tx.member(who.ID)
	if err != nil {
		return nil, err
	}
	if m.moved {
		m, err = tx.resolve(m)
		if err != nil || !tx.ex.owns(m.person.ID.Shard()) {
			return m, err
		}
	}
	if !m.exists {
		err = storage.ErrNotFound
	}
	return m, err
}

// keep stores what a step says of the person's events and addresses.
func (tx *txn) keep(m *member, r *flowengine.Result) {
	id := m.person.ID
	for i := range r.Happened {
		e := &r.Happened[i]
		tx.ex.logSeq++
		tx.ex.record = flowengine.AppendHappened(tx.ex.record[:0], e)
		key := happenedKey(tx.ex.scratch[:0], id, e.At, tx.ex.logSeq)
		tx.batch.writes.PutUntil(key, tx.ex.record, e.At.Add(tx.ex.rt.options.Events))
		m.note(key, e)
	}
}
