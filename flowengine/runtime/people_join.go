package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
)

// Conflict says what becomes of contacts that are those of several persons (rule A2).
type Conflict uint8

// The ways to deal with a conflict.
const (
	ConflictDefault Conflict = iota // as people.on_conflict says
	ConflictMerge                   // the persons become one
	ConflictReject                  // an error
)

// ConflictNamed reads the word of configuration and API: merge or reject; empty
// is the default.
func ConflictNamed(name string) (Conflict, error) {
	switch name {
	case "":
		return ConflictDefault, nil
	case "merge":
		return ConflictMerge, nil
	case "reject":
		return ConflictReject, nil
	}
	return 0, fmt.Errorf("%q is neither merge nor reject", name)
}

func (rt *Runtime) rejects(c Conflict) bool {
	return c == ConflictReject || c == ConflictDefault && rt.rejectConflicts.Load()
}

// ErrConflict refuses contacts of several persons, who shall not be merged.
var ErrConflict = errors.New("the contacts are those of several persons")

// mergeAgain is how often Merge looks whether the persons are one.
const mergeAgain = 2 * time.Millisecond

// Merge makes one person of several, and returns the oldest of them, who
// survives, when all has arrived there that is needed for the next cause. Their
// history may still be on the way. What was begun goes on after a restart.
func (rt *Runtime) Merge(ctx context.Context, people []flowengine.PersonID) (survivor flowengine.PersonID, err error) {
	if !rt.fires() {
		return survivor, ErrStopping
	}
	var all measure
	var kept []flowengine.PersonID
	for _, id := range people {
		err := rt.on(ctx, Who{ID: id}, "merge", func(_ *txn, m *member) error {
			if !slices.Contains(kept, m.person.ID) {
				kept = append(kept, m.person.ID)
				all.add(m)
			}
			return nil
		})
		if err != nil {
			return survivor, err
		}
	}
	if len(kept) == 0 {
		return survivor, fmt.Errorf("%w: no person is named", ErrNotFound)
	}
	if err := all.err(); err != nil || len(kept) == 1 {
		return kept[0], err
	}
	err = rt.do(ctx, rt.owner(kept[0].Shard()), "merge", func(tx *txn) error {
		return tx.merge(&merger{People: kept})
	})
	for err == nil {
		var one bool
		if survivor, one, err = rt.merged(ctx, kept); err != nil || one {
			return survivor, err
		}
		select {
		case <-time.After(mergeAgain):
		case <-ctx.Done():
			return survivor, ctx.Err()
		}
	}
	return survivor, err
}

// merged tells whether persons are one already, with all their addresses.
func (rt *Runtime) merged(ctx context.Context, people []flowengine.PersonID) (survivor flowengine.PersonID, one bool, err error) {
	one = true
	var addresses []flowengine.Address
	for i, id := range people {
		err = rt.on(ctx, Who{ID: id}, "merge", func(_ *txn, m *member) error {
			if i == 0 {
				survivor = m.person.ID
				addresses = slices.Clone(m.person.Addresses)
			}
			one = one && survivor == m.person.ID && (id == survivor || slices.Contains(m.person.Merged, id))
			return nil
		})
		if err != nil || !one {
			return survivor, false, err
		}
	}
	found, err := rt.Lookup(ctx, addresses)
	return survivor, len(found) == 1, err
}

// Upsert writes to the person to whom the addresses that a change adds lead. One
// who is not known is made of the first of them; several become one (rule A2).
func (rt *Runtime) Upsert(ctx context.Context, c *flowengine.Change, on Conflict) (id flowengine.PersonID, made bool, err error) {
	known, err := rt.Lookup(ctx, c.AddAddresses)
	if err != nil {
		return id, false, err
	}
	who := Who{Address: c.AddAddresses[0], Create: true}
	switch {
	case len(known) == 0:
	case len(known) == 1:
		who = Who{ID: known[0]}
	case rt.rejects(on):
		return id, false, fmt.Errorf("%w: %s and %s", ErrConflict, known[0], known[1])
	default:
		if who.ID, err = rt.Merge(ctx, known); err != nil {
			return id, false, err
		}
	}
	acted, err := rt.Amend(ctx, who, c)
	return acted.Person, len(known) == 0, err
}
