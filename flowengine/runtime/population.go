package runtime

import (
	"context"

	"github.com/cespare/xxhash/v2"

	"trunkline/flowengine"
)

// population knows, for one shard, which persons and which addresses may have a
// record, so that whoever writes for the first time is not looked up in the
// store: a look-up that finds nothing costs more there than one that does. It
// may say yes for nothing, never no for something. It is made in the background
// after the start; until then everything may have a record.
type population struct {
	hashes *hashSet
	// fresh are the records made while the shard is being read; nil before.
	fresh []uint64
}

// mayHave says whether a key may have a record.
func (p *population) mayHave(key []byte) bool {
	return p.hashes == nil || p.hashes.has(xxhash.Sum64(key))
}

// add notes that a key has a record from now on.
func (p *population) add(key []byte) {
	h := xxhash.Sum64(key)
	switch {
	case p.hashes != nil:
		p.hashes.add(h)
	case p.fresh != nil:
		p.fresh = append(p.fresh, h)
	}
}

// takeCensus makes the populations of all shards.
func (rt *Runtime) takeCensus(ctx context.Context) error {
	for _, ex := range rt.executors {
		for _, s := range ex.shards {
			p := ex.population[s]
			// What was written before is durable when this returns, and so is read
			// below; what is written from now on is noted.
			if err := rt.do(ctx, ex, "census", func(*txn) error { p.fresh = []uint64{}; return nil }); err != nil {
				return err
			}
			hashes := new(hashSet)
			for _, kind := range []byte{kindPerson, kindAddress} {
				err := rt.store.Scan(appendPrefix(nil, s, kind), nil, func(key, _ []byte) bool {
					hashes.add(xxhash.Sum64(key))
					return ctx.Err() == nil
				})
				if err != nil {
					return err
				}
			}
			err := rt.do(ctx, ex, "census", func(*txn) error {
				for _, h := range p.fresh {
					hashes.add(h)
				}
				p.hashes, p.fresh = hashes, nil
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// hashSet is a set of 64-bit hashes in one array: 8 bytes for each, at most
// twice that.
type hashSet struct {
	slots []uint64 // 0 is free; the hash 0 is kept as 1
	n     int
}

func (h *hashSet) has(x uint64) bool {
	if len(h.slots) == 0 {
		return false
	}
	x = max(x, 1)
	for i := x % uint64(len(h.slots)); h.slots[i] != 0; i = (i + 1) % uint64(len(h.slots)) {
		if h.slots[i] == x {
			return true
		}
	}
	return false
}

func (h *hashSet) add(x uint64) {
	if h.n*4 >= len(h.slots)*3 {
		old := h.slots
		h.slots, h.n = make([]uint64, max(64, 2*len(old))), 0
		for _, y := range old {
			if y != 0 {
				h.add(y)
			}
		}
	}
	x = max(x, 1)
	i := x % uint64(len(h.slots))
	for ; h.slots[i] != 0; i = (i + 1) % uint64(len(h.slots)) {
		if h.slots[i] == x {
			return
		}
	}
	h.slots[i] = x
	h.n++
}

// mayHavePerson says whether a person of one of the executor's shards may have a
// record.
func (ex *executor) mayHavePerson(id flowengine.PersonID) bool {
	return ex.population[id.Shard()].mayHave(personKey(ex.scratch[:0], kindPerson, id))
}
