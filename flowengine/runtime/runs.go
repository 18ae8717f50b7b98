package runtime

import (
	"context"
	"encoding/binary"

	"trunkline/flowengine"
)

// Standing is where a person is in a flow.
type Standing struct {
	Person flowengine.PersonID
	Run    flowengine.Run
}

// RunPlace is a place in the list of a flow's runs.
type RunPlace struct {
	Person          flowengine.PersonID
	Version, Number uint32
}

// Runs lists who is inside of a flow, or of one of its versions; version 0
// stands for all. The list is ordered by shard, version and person. It begins
// after a place; the zero place means from the start, and next is zero at the end.
func (rt *Runtime) Runs(ctx context.Context, flow string, version uint32, after RunPlace, limit int) (page []Standing, next RunPlace, err error) {
	if err := rt.knows(flow); err != nil {
		return nil, next, err
	}
	var places []RunPlace
	for s := after.Person.Shard(); s < flowengine.Shards && len(places) <= limit; s++ {
		var from []byte
		if !after.Person.IsZero() && s == after.Person.Shard() && (version == 0 || version == after.Version) {
			from = successor(activeKey(nil, after.Person, flowengine.RunKey{Flow: flow, Version: after.Version, Number: after.Number}))
		}
		prefix := activePrefix(nil, s, flow, version)
		head := len(activePrefix(nil, s, flow, 0))
		err := rt.store.Scan(prefix, from, func(key, _ []byte) bool {
			id, ok := activePerson(s, key)
			if ok {
				places = append(places, RunPlace{id, binary.BigEndian.Uint32(key[head:]), binary.BigEndian.Uint32(key[len(key)-4:])})
			}
			return len(places) <= limit
		})
		if err != nil {
			return nil, next, err
		}
	}
	if len(places) > limit {
		places = places[:limit]
		next = places[limit-1]
	}
	for _, p := range places {
		profile, err := rt.Profile(ctx, Who{ID: p.Person}, 0)
		if isNotFound(err) { // erased meanwhile
			continue
		}
		if err != nil {
			return nil, next, err
		}
		if run := profile.Passages.Run(flow, p.Number); run != nil { // it may have ended meanwhile
			page = append(page, Standing{p.Person, *run})
		}
	}
	return page, next, nil
}
