package runtime

import (
	"context"
	"fmt"
	"slices"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
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
			jobs = append(jobs, &job{
				id: fmt.Sprintf("goal/%s/%s/mark-%08x", f.ID, g.ID, g.Mark()), kind: jobGoal, flow: f.ID, what: g.ID,
			})
		}
	}
	return rt.startOnce(ctx, jobs)
}

// goalRecord is the stored form of what a goal was last.
type goalRecord struct {
	id       string
	mark     uint32 // of revision 0: what is configured
	revision uint32
	gone     bool // no longer configured
}

// flowGoals is the field of a flow's record that holds its goals.
const flowGoals = 21

// revise gives goals their revisions: one that is new, has changed or came back
// has the next one. It returns what to store, or nil when that is the same.
func (r *flowRecord) revise(goals []flowengine.Goal) []goalRecord {
	next := slices.Clone(r.goals)
	for i := range next {
		next[i].gone = !slices.ContainsFunc(goals, func(g flowengine.Goal) bool { return g.ID == next[i].id })
	}
	for i := range goals {
		g := &goals[i]
		g.Revise(0)
		at := slices.IndexFunc(next, func(k goalRecord) bool { return k.id == g.ID })
		if at < 0 {
			at, next = len(next), append(next, goalRecord{id: g.ID})
		}
		k := &next[at]
		if came := at >= len(r.goals) || r.goals[at].gone; came || k.mark != g.Mark() {
			k.mark = g.Mark()
			k.revision++
		}
		g.Revise(k.revision)
	}
	if slices.Equal(next, r.goals) {
		return nil
	}
	return next
}

func appendGoals(b []byte, goals []goalRecord) []byte {
	for i := range goals {
		b = record.AppendNested(b, flowGoals, func(b []byte) []byte {
			b = record.AppendString(b, 1, goals[i].id)
			b = record.AppendUint(b, 2, uint64(goals[i].mark))
			b = record.AppendUint(b, 3, uint64(goals[i].revision))
			return record.AppendBool(b, 4, goals[i].gone)
		})
	}
	return b
}

func (r *flowRecord) decodeGoal(b []byte) error {
	var k goalRecord
	err := record.Decode(b, "goal", func(f record.Field) error {
		switch f.Num {
		case 1:
			k.id = string(f.Bytes)
		case 2:
			k.mark = uint32(f.Uint)
		case 3:
			k.revision = uint32(f.Uint)
		case 4:
			k.gone = f.Bool()
		}
		return nil
	})
	r.goals = append(r.goals, k)
	return err
}

// GoalMark tells which counters of a goal are those of the goal as it is now;
// there is false when its flow has no such goal any more.
func (rt *Runtime) GoalMark(flow, goal string) (mark uint32, there bool) {
	f := rt.set.Load().Flow(flow)
	if f == nil || f.Newest == nil {
		return 0, false
	}
	for i := range f.Newest.Goals {
		if g := &f.Newest.Goals[i]; g.ID == goal {
			return g.Mark(), true
		}
	}
	return 0, false
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
