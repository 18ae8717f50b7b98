package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Errors with which a write to a profile is refused.
var (
	// ErrTaken: an address leads to another person.
	ErrTaken = errors.New("the contact is another person's")
	// ErrTooLarge: the profile would outgrow what is kept of one person.
	ErrTooLarge = errors.New("too much would be known of the person")
)

// identify finds the id of a person, who is made of the address when who says so.
func (rt *Runtime) identify(ctx context.Context, who Who) (id flowengine.PersonID, err error) {
	err = rt.on(ctx, who, "identify", func(tx *txn, m *member) error {
		id = m.person.ID
		if !m.exists { // made of the address
			tx.step(m, &flowengine.Change{})
		}
		return nil
	})
	return id, err
}

// on does work on a person in the person's shard, and returns when what it wrote
// is durable. A person who is to be made exists only in memory, until a step.
func (rt *Runtime) on(ctx context.Context, who Who, name string, work func(*txn, *member) error) error {
	var elsewhere flowengine.PersonID
	err := rt.awaitMerger(ctx, rt.owner(who.shard()), name, func(tx *txn) error {
		m, err := tx.find(who)
		if err != nil {
			return err
		}
		if !tx.ex.owns(m.person.ID.Shard()) {
			elsewhere = m.person.ID
			return nil
		}
		return work(tx, m)
	})
	for err == nil && !elsewhere.IsZero() { // once, and once more for each merger
		id := elsewhere
		elsewhere = flowengine.PersonID{}
		err = rt.do(ctx, rt.owner(id.Shard()), name, func(tx *txn) error {
			m, err := tx.member(id)
			if err != nil {
				return err
			}
			m, err = tx.resolve(m)
			switch {
			case err != nil:
				return err
			case !tx.ex.owns(m.person.ID.Shard()):
				elsewhere = m.person.ID
				return nil
			case !m.exists && !who.ID.IsZero():
				return storage.ErrNotFound
			case !m.exists:
				return tx.gone(who.Address, m.person.ID)
			}
			return work(tx, m)
		})
	}
	return unknown(err, who)
}

// awaitMerger is do for work that waits while an address is that of a person on
// the way to another one.
func (rt *Runtime) awaitMerger(ctx context.Context, ex *executor, name string, run func(*txn) error) error {
	for {
		err := rt.do(ctx, ex, name, run)
		if !errors.Is(err, errMerging) {
			return err
		}
		select {
		case <-time.After(notYet):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func unknown(err error, who Who) error {
	if isNotFound(err) {
		return fmt.Errorf("%w: nobody is known as %q", ErrNotFound, who)
	}
	return err
}

// Lookup finds who addresses lead to: each person once, in the order of the
// addresses.
func (rt *Runtime) Lookup(ctx context.Context, addresses []flowengine.Address) (people []flowengine.PersonID, err error) {
	seen := map[flowengine.PersonID]bool{}
	for _, a := range addresses {
		id, err := rt.identify(ctx, Who{Address: a})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			people = append(people, id)
		}
	}
	return people, nil
}

// Amend writes to a profile, and returns when that and all that follows from it
// is durable. New addresses are claimed first: ErrTaken tells that one of them is
// another person's.
func (rt *Runtime) Amend(ctx context.Context, who Who, c *flowengine.Change) (Acted, error) {
	if !rt.fires() {
		return Acted{}, ErrStopping
	}
	id, err := rt.identify(ctx, who)
	if err != nil {
		return Acted{}, err
	}
	for _, a := range c.AddAddresses {
		err := rt.awaitMerger(ctx, rt.owner(a.Shard()), "claim", func(tx *txn) error {
			free, err := tx.claim(a, id)
			if err == nil && !free {
				err = fmt.Errorf("%w: %s", ErrTaken, a.Kind)
			}
			return err
		})
		if errors.Is(err, ErrTaken) { // by whom was merged into this one a moment ago?
			if taker, lookErr := rt.identify(ctx, Who{Address: a}); lookErr == nil && taker == id {
				err = nil
			}
		}
		if err != nil {
			return Acted{Person: id}, err
		}
	}
	err = rt.on(ctx, Who{ID: id}, "amend", func(tx *txn, m *member) error {
		if err := roomFor(m, c, nil); err != nil {
			return err
		}
		tx.step(m, c)
		for _, a := range c.DropAddresses {
			if err := tx.unalias(a, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = rt.release(ctx, c.DropAddresses, id)
	}
	return Acted{Person: id}, err
}

// eventMemory is how long the id of a People event is remembered.
const eventMemory = 7 * 24 * time.Hour

// OutcomeRepeated is the outcome of a People event whose id the person had already.
const OutcomeRepeated = "repeated"

// Happen lets a People event take effect, once for each id, and returns when all
// that follows from it is durable.
func (rt *Runtime) Happen(ctx context.Context, who Who, e *flowengine.Happened) (acted Acted, err error) {
	if !rt.fires() {
		return acted, ErrStopping
	}
	err = rt.on(ctx, who, "event", func(tx *txn, m *member) error {
		id := m.person.ID
		acted = Acted{Person: id}
		var seen []byte
		if e.ID != "" {
			seen = append(append(personKey(nil, kindSeen, id), 'e'), e.ID...)
			if m.exists && tx.has(seen) {
				acted.Outcome = OutcomeRepeated
				return nil
			}
		}
		if err := roomFor(m, nil, e.Props); err != nil {
			return err
		}
		r := tx.step(m, e)
		acted.Outcome, acted.Refused = r.Outcome, r.Refused
		if seen != nil {
			tx.put(seen, nil, tx.now.Add(eventMemory))
		}
		return nil
	})
	return acted, err
}
