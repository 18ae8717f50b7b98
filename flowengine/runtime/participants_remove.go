package runtime

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// Removed tells what taking a person out of a flow did.
type Removed struct {
	Person flowengine.PersonID
	Runs   int // that ended
	// Withdrawn counts messages that will not be sent; Sending those that were
	// with their carrier already.
	Withdrawn, Sending int
}

// Remove takes a person out of a flow, or out of one version of it when that is not
// 0, with the messages of its runs that have not been sent (rule A4).
func (rt *Runtime) Remove(ctx context.Context, who Who, flow string, version uint32, reason string) (out Removed, err error) {
	if !rt.fires() {
		return out, ErrStopping
	}
	if rt.set.Load().Flow(flow) == nil {
		return out, fmt.Errorf("%w: there is no flow %q", ErrNotFound, flow)
	}
	who.Create = false
	out.Person, err = rt.identify(ctx, who)
	if err != nil {
		return out, err
	}
	var merged []flowengine.PersonID
	err = rt.do(ctx, rt.owner(out.Person.Shard()), "remove", func(tx *txn) error {
		m, err := tx.member(out.Person)
		if err != nil {
			return err
		}
		for i := range m.passages.Runs {
			if r := &m.passages.Runs[i]; r.Flow == flow && (version == 0 || r.Version == version) {
				out.Runs++
			}
		}
		if out.Runs == 0 && version != 0 {
			return fmt.Errorf("%w: the person is not in version %d of flow %q", ErrNotFound, version, flow)
		}
		if out.Runs == 0 {
			return fmt.Errorf("%w: the person is not in flow %q", ErrNotFound, flow)
		}
		active := func(row *Message) bool {
			run := m.passages.Run(flow, row.Origin.Number)
			return row.Origin.Flow == flow && run != nil && (version == 0 || run.Version == version)
		}
		rows, held, err := tx.withdraw(out.Person.Shard(), out.Person.String()+"/"+flow+"/", 0, active)
		if err != nil {
			return err
		}
		out.Withdrawn, out.Sending = len(rows), held
		merged = slices.Clone(m.person.Merged)
		tx.step(m, &flowengine.Eject{Flow: flow, Version: version, Reason: reason})
		for _, row := range rows {
			if err := tx.withdrawn(out.Person, row); err != nil {
				return err
			}
		}
		return nil
	})
	for _, id := range merged {
		if err == nil {
			err = rt.removeMerged(ctx, id, flow, &out)
		}
	}
	return out, err
}

// removeMerged withdraws what the runs of a person had sent to the outbox before
// the person was merged into the one who is removed.
func (rt *Runtime) removeMerged(ctx context.Context, id flowengine.PersonID, flow string, out *Removed) error {
	return rt.do(ctx, rt.owner(id.Shard()), "remove", func(tx *txn) error {
		rows, held, err := tx.withdraw(id.Shard(), id.String()+"/"+flow+"/", 0, func(*Message) bool { return true })
		if err != nil {
			return err
		}
		out.Withdrawn += len(rows)
		out.Sending += held
		for _, row := range rows {
			if err := tx.withdrawn(id, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// withdrawn counts a message as not sent. Nobody waits for it any more.
func (tx *txn) withdrawn(at flowengine.PersonID, row *Message) error {
	err := tx.tellOutcome(&flowengine.SendResult{
		ID: row.ID, Origin: row.Origin, Channel: row.Channel, To: row.To, Parts: row.Sent, Reason: "withdrawn", Data: row.Data,
	}, at, time.Time{})
	return err
}

// withdrawPage bounds the messages that one task withdraws.
const withdrawPage = 512

// withdrawAll takes the unsent messages of stopped flows out of the outbox, and
// gives the turns back that they waited for.
func (rt *Runtime) withdrawAll(ctx context.Context, flows ...string) error {
	of := func(row *Message) bool { return slices.Contains(flows, row.Origin.Flow) && !row.Origin.Person.IsZero() }
	for s := range flowengine.Shard(flowengine.Shards) {
		for more := true; more; {
			err := rt.do(ctx, rt.owner(s), "withdraw", func(tx *txn) error {
				rows, _, err := tx.withdraw(s, "", withdrawPage, of)
				if err != nil {
					return err
				}
				more = len(rows) == withdrawPage
				for _, row := range rows {
					if err := tx.withdrawn(row.Origin.Person, row); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return rt.forgetPace(ctx, flows...)
}

// withdraw takes the messages out of a shard's outbox that have not been given
// to a sender, whose id begins with prefix, and that match: at most so many, or
// with 0 all. held counts those that match but are with a sender already.
func (tx *txn) withdraw(s flowengine.Shard, prefix string, most int, match func(*Message) bool) (withdrawn []*Message, held int, err error) {
	q := tx.ex.outbox
	d := q.shards[s]
	rows := map[string][]byte{}
	err = tx.ex.rt.store.Scan(appendPrefix(nil, s, kindOutbox), d.cursor, func(key, value []byte) bool {
		rows[string(key)] = bytes.Clone(value)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	for op := range tx.ex.unsynced(appendPrefix(nil, s, kindOutbox)) {
		if op.Kind == storage.OpDelete {
			delete(rows, string(op.Key))
		} else {
			rows[string(op.Key)] = bytes.Clone(op.Value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if most > 0 && len(withdrawn) == most {
			break
		}
		m, err := decodeMessage(rows[key])
		if err != nil || !strings.HasPrefix(m.ID, prefix) || !match(m) {
			continue
		}
		if e := d.known[key]; e != nil && e.taken {
			held++
			continue
		}
		q.remove(s, []byte(key), &tx.batch.writes)
		withdrawn = append(withdrawn, m)
	}
	slices.SortFunc(withdrawn, func(a, b *Message) int { return strings.Compare(a.ID, b.ID) })
	return withdrawn, held, nil
}
