package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"trunkline/flowengine"
)

// Bounds of an import.
const (
	// MaxImport is the most persons of one call of Import.
	MaxImport = 4096

	importPart   = 128 // persons or addresses that are worked off before others get their turn
	importRounds = 3   // after which what still changes meanwhile goes one by one
)

// ImportStatus is what became of one person of an import.
type ImportStatus uint8

// The fates of an imported person.
const (
	Unchanged ImportStatus = iota
	Created
	Updated
	NotImported
)

// Imported tells what became of one person of an import.
type Imported struct {
	Person flowengine.PersonID
	Status ImportStatus
	Err    error // of NotImported
}

// Import is Upsert for many persons: all that is asked of an executor's shards is
// asked at once, so that many persons share a commit. Later ones of the list see
// what earlier ones wrote. It returns when all is durable; err tells that nobody
// knows how far it got, and to try the whole list again changes nothing twice.
func (rt *Runtime) Import(ctx context.Context, all []*flowengine.Change, on Conflict) (out []Imported, err error) {
	if !rt.fires() {
		return nil, ErrStopping
	}
	if len(all) > MaxImport {
		return nil, fmt.Errorf("%w: %d persons at once, of at most %d", ErrTooLarge, len(all), MaxImport)
	}
	select { // one at a time, so that the executors' caches hold what they have to
	case rt.importing <- struct{}{}:
		defer func() { <-rt.importing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	im := &imports{rt: rt, on: on, out: make([]Imported, len(all))}
	im.people = make([]importing, len(all))
	left := make([]int, len(all))
	for i := range all {
		im.people[i].change = all[i]
		left[i] = i
	}
	for round := 0; len(left) > 0; round++ {
		now, later := im.disjoint(left)
		again, err := im.round(ctx, now)
		if err != nil {
			return nil, err
		}
		if round >= importRounds {
			for _, i := range again {
				if err := im.alone(ctx, i); err != nil {
					return nil, err
				}
			}
			again = nil
		}
		left = append(again, later...)
		slices.Sort(left)
	}
	return im.out, nil
}

// imports is one call of Import.
type imports struct {
	rt     *Runtime
	on     Conflict
	people []importing
	out    []Imported
}

// importing is one person of an import on the way.
type importing struct {
	change *flowengine.Change
	found  []flowengine.PersonID // whom each address leads to; zero: nobody
	made   flowengine.PersonID   // who is made of the first address if nobody is found
	who    flowengine.PersonID
	taken  atomic.Bool // an address became somebody else's meanwhile
}

// disjoint splits persons into those who have no address of an earlier one, and
// the rest, who have to wait.
func (im *imports) disjoint(list []int) (now, later []int) {
	seen := make(map[flowengine.Address]struct{}, 2*len(list))
	for _, i := range list {
		waits := false
		for _, a := range im.people[i].change.AddAddresses {
			if _, taken := seen[a]; taken {
				waits = true
			}
			seen[a] = struct{}{}
		}
		if waits {
			later = append(later, i)
		} else {
			now = append(now, i)
		}
	}
	return now, later
}

// round takes persons who have no address in common as far as they come. Those
// whom something else changed meanwhile come again.
func (im *imports) round(ctx context.Context, list []int) (again []int, err error) {
	if err := im.lookUp(ctx, list); err != nil {
		return nil, err
	}
	var ready []int
	for _, i := range list {
		p := &im.people[i]
		p.taken.Store(false)
		known := slices.DeleteFunc(slices.Clone(p.found), flowengine.PersonID.IsZero)
		slices.SortFunc(known, func(a, b flowengine.PersonID) int { return slices.Compare(a[:], b[:]) })
		switch known = slices.Compact(known); len(known) {
		case 0:
			p.who = p.made
		case 1:
			p.who = known[0]
		default:
			if err := im.alone(ctx, i); err != nil {
				return nil, err
			}
			continue
		}
		ready = append(ready, i)
	}
	if err := im.claim(ctx, ready); err != nil {
		return nil, err
	}
	if err := im.write(ctx, ready); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ready, func(i int) bool { return !im.people[i].taken.Load() }), nil
}

// alone imports one person in the way of a single request.
func (im *imports) alone(ctx context.Context, i int) error {
	id, made, err := im.rt.Upsert(ctx, im.people[i].change, im.on)
	out := &im.out[i]
	*out = Imported{Person: id, Status: Updated}
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrTooLarge), errors.Is(err, ErrTaken):
		*out = Imported{Status: NotImported, Err: err}
	case made:
		out.Status = Created
	}
	if out.Err != nil {
		return nil
	}
	return err
}

// place is an address of a person of an import.
type place struct{ person, address int }

// lookUp finds whom the addresses lead to.
func (im *imports) lookUp(ctx context.Context, list []int) error {
	var places []place
	for _, i := range list {
		p := &im.people[i]
		p.found = make([]flowengine.PersonID, len(p.change.AddAddresses))
		for j := range p.change.AddAddresses {
			places = append(places, place{i, j})
		}
	}
	return im.each(ctx, "import_lookup", places, func(tx *txn, at place) error {
		p := &im.people[at.person]
		m, err := tx.personAt(p.change.AddAddresses[at.address])
		if errors.Is(err, errMerging) {
			p.taken.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
		if m.exists || !tx.ex.owns(m.person.ID.Shard()) {
			p.found[at.address] = m.person.ID
		} else if at.address == 0 {
			p.made = m.person.ID
		}
		return nil
	})
}

// claim lets addresses that lead to nobody lead to their person.
func (im *imports) claim(ctx context.Context, list []int) error {
	var places []place
	for _, i := range list {
		p := &im.people[i]
		for j := range p.change.AddAddresses {
			if p.found[j].IsZero() && (j > 0 || p.who != p.made) {
				places = append(places, place{i, j})
			}
		}
	}
	return im.each(ctx, "import_claim", places, func(tx *txn, at place) error {
		p := &im.people[at.person]
		free, err := tx.claim(p.change.AddAddresses[at.address], p.who)
		if errors.Is(err, errMerging) {
			free, err = false, nil
		}
		if !free {
			p.taken.Store(true)
		}
		return err
	})
}

// each lets work happen at addresses, in the shards that keep them.
func (im *imports) each(ctx context.Context, name string, places []place, work func(*txn, place) error) error {
	return fanOut(ctx, im.rt, name, places,
		func(at place) flowengine.Shard {
			return im.people[at.person].change.AddAddresses[at.address].Shard()
		}, work)
}

// write writes the profiles. The addresses of a person were claimed before.
func (im *imports) write(ctx context.Context, list []int) error {
	return fanOut(ctx, im.rt, "import", list,
		func(i int) flowengine.Shard { return im.people[i].who.Shard() },
		func(tx *txn, i int) error {
			p := &im.people[i]
			if p.taken.Load() {
				return nil
			}
			m, err := im.target(tx, p)
			if err != nil || m == nil {
				p.taken.Store(true)
				return err
			}
			im.out[i] = tx.imported(m, p.change)
			return nil
		})
}

// target is whom a row is written to; nil when that has changed meanwhile.
func (im *imports) target(tx *txn, p *importing) (m *member, err error) {
	if p.who == p.made {
		m, err = tx.personAt(p.change.AddAddresses[0])
		if errors.Is(err, errMerging) {
			return nil, nil //nolint:nilnil // it comes again
		}
	} else {
		m, err = tx.member(p.who)
	}
	if err != nil || m.person.ID != p.who || m.moved || !m.exists && p.who != p.made {
		return nil, err
	}
	return m, nil
}

// imported writes to one profile. The relays that would let the addresses lead to
// the person are not needed: they do.
func (tx *txn) imported(m *member, c *flowengine.Change) Imported {
	id := m.person.ID
	if err := roomFor(m, c, nil); err != nil {
		return Imported{Person: id, Status: NotImported, Err: err}
	}
	status := Updated
	if !m.exists {
		status = Created
	}
	tx.claimed = true
	r, ok := tx.attempt(id, c)
	tx.claimed = false
	switch {
	case !ok:
		return Imported{Person: id, Status: NotImported, Err: errors.New("the profile could not be written; the log of the daemon says why")}
	case !r.PersonChanged:
		status = Unchanged
	}
	return Imported{Person: id, Status: status}
}

// fanOut does work on items in the shards where they belong, some of them in each
// task, and returns when all of it is durable.
func fanOut[T any](ctx context.Context, rt *Runtime, name string, items []T, shard func(T) flowengine.Shard, work func(*txn, T) error) error {
	byOwner := make([][]T, len(rt.executors))
	for _, item := range items {
		at := rt.owner(shard(item)).index
		byOwner[at] = append(byOwner[at], item)
	}
	parts := 0
	done := make(chan error, len(items)+1)
	for at, own := range byOwner {
		for part := range slices.Chunk(own, importPart) {
			t := task{name: name, done: func(err error) { done <- err }, run: func(tx *txn) error {
				for _, item := range part {
					if err := work(tx, item); err != nil {
						return err
					}
				}
				return nil
			}}
			select {
			case rt.executors[at].queue <- t:
				parts++
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	var failed error
	for range parts {
		failed = firstError(failed, rt.await(ctx, done))
	}
	return failed
}

// Remembered answers a request that was answered before without doing it again,
// for a day (see Once).
func (rt *Runtime) Remembered(ctx context.Context, once *Once, do func() ([]byte, error)) (answer []byte, err error) {
	ex := rt.owner(once.shard())
	err = rt.do(ctx, ex, "once", func(tx *txn) (err error) {
		answer, err = tx.answer(once)
		return err
	})
	if err != nil || answer != nil {
		return answer, err
	}
	if answer, err = do(); err != nil {
		return nil, err
	}
	return answer, rt.do(ctx, ex, "once", func(tx *txn) error {
		tx.remember(once, answer)
		return nil
	})
}
