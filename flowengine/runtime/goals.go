package runtime

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"

	"trunkline/flowengine"
	"trunkline/storage"
)

// goalJobs begins to count back for goals that are new or have changed (rule G2).
// What a goal counts is part of the job's id, so each state of it is counted once.
func (rt *Runtime) goalJobs(ctx context.Context) error {
	var jobs []*job
	for _, f := range rt.set.Load().Flows() {
		if f.Newest == nil {
			continue
		}
		for i := range f.Newest.Goals {
			g := &f.Newest.Goals[i]
			h := fnv.New64a()
			fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d\x00%s", g.ID, g.Event, g.Where, g.Window, g.Anchor)
			jobs = append(jobs, &job{
				id: fmt.Sprintf("goal/%s/%s/%s", f.ID, g.ID, hex.EncodeToString(h.Sum(nil))), kind: jobGoal, flow: f.ID, what: g.ID,
			})
		}
	}
	return rt.startOnce(ctx, jobs)
}

// countBack lets a goal see what happened to a person before it was there.
func (tx *txn) countBack(m *member, flow, goal string) error {
	history, err := readHistory(tx.ex.rt.store, m.person.ID, historyMost)
	if err != nil {
		return err
	}
	moments := make([]flowengine.Moments, len(history))
	for i, h := range history {
		moments[i] = flowengine.Moments{At: h.At, Events: h.Events}
	}
	if !m.recalled {
		if err := tx.ex.recall(m); err != nil {
			return err
		}
	}
	events := make([]flowengine.Happened, len(m.events))
	for i := range m.events {
		events[i] = m.events[i].event
	}
	tx.step(m, &flowengine.CountBack{Flow: flow, Goal: goal, History: moments, Events: events})
	return nil
}

// historyMost bounds how much of a person's history a goal is counted back over.
const historyMost = 10_000

// readEvents reads the People events of a person, oldest first.
func readEvents(store storage.Reader, id flowengine.PersonID) (all []remembered, err error) {
	var damaged error
	err = store.Scan(personKey(nil, kindHappened, id), nil, func(key, value []byte) bool {
		r := remembered{key: string(key)}
		damaged = flowengine.DecodeHappened(value, &r.event)
		all = append(all, r)
		return damaged == nil
	})
	return all, firstError(err, damaged)
}
