package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Recipients who are named one by one are rows in the shards of their addresses,
// so each of them is there once.

func namedPrefix(s flowengine.Shard, flow string) []byte {
	return append(append(appendPrefix(nil, s, kindNamed), flow...), 0)
}

// byID stands in the key of a recipient in place of the kind of an address.
const byID = 0

func namedKey(flow string, who Who) []byte {
	b := namedPrefix(who.shard(), flow)
	if !who.ID.IsZero() {
		return append(append(b, byID), who.ID[:]...)
	}
	return append(append(b, byte(who.Address.Kind)), who.Address.Value...)
}

func parseNamed(prefix, key []byte) (who Who, err error) {
	rest := key[len(prefix):]
	switch {
	case len(rest) > 1 && rest[0] != byID:
		who.Address = flowengine.Address{Kind: flowengine.AddressKind(rest[0]), Value: string(rest[1:])}
		who.Create = who.Address.Kind != flowengine.External
	case len(rest) == 1+len(who.ID):
		copy(who.ID[:], rest[1:])
	default:
		err = fmt.Errorf("%w: the key of a recipient has %d bytes", record.ErrDamaged, len(key))
	}
	return who, err
}

// namedMost is how many recipients one task notes.
const namedMost = 1000

// nameRecipients notes recipients of a broadcast, and counts those that are new.
func (rt *Runtime) nameRecipients(ctx context.Context, id string, refs []string) (added uint64, err error) {
	flow := flowengine.BroadcastFlow(id)
	keys := make(map[*executor][][]byte, len(rt.executors))
	for i, ref := range refs {
		who := ParseWho(ref)
		if who.ID.IsZero() && who.Address.Value == "" {
			return 0, fmt.Errorf("%w: recipient %d, %q, is neither a phone number nor an e-mail address nor an id", ErrRecipient, i+1, ref)
		}
		ex := rt.owner(who.shard())
		keys[ex] = append(keys[ex], namedKey(flow, who))
	}
	for _, ex := range rt.executors { // in order, which can be repeated
		for all := keys[ex]; len(all) > 0; {
			page := all[:min(namedMost, len(all))]
			all = all[len(page):]
			fresh := uint64(0)
			err := rt.do(ctx, ex, "recipients", func(tx *txn) error {
				for _, key := range page {
					if !tx.has(key) {
						fresh++
						tx.put(key, nil, time.Time{})
					}
				}
				return nil
			})
			if err != nil {
				return 0, err
			}
			added += fresh
		}
	}
	return added, nil
}

// forgetNamed removes all recipients of a broadcast who were named one by one.
func (rt *Runtime) forgetNamed(ctx context.Context, id string) error {
	for s := range flowengine.Shard(flowengine.Shards) {
		for more := true; more; {
			var keys [][]byte
			err := rt.store.Scan(namedPrefix(s, flowengine.BroadcastFlow(id)), nil, func(key, _ []byte) bool {
				keys = append(keys, bytes.Clone(key))
				return len(keys) < namedMost
			})
			if more = len(keys) == namedMost; err == nil && len(keys) > 0 {
				err = rt.do(ctx, rt.owner(s), "recipients", func(tx *txn) error {
					for _, key := range keys {
						tx.delete(key)
					}
					return nil
				})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// onTheWay says whether a recipient who was named is still being handed over to
// the executor who owns the person.
func (rt *Runtime) onTheWay(flow string) (yes bool, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		err = rt.store.Scan(appendPrefix(nil, s, kindOutbox), nil, func(_, value []byte) bool {
			m, damaged := decodeMessage(value)
			yes = damaged == nil && m.Relay != nil && m.Relay.Kind == relayMuster && mustersFor(m.Relay.Body, flow)
			return !yes
		})
		if yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

func mustersFor(body []byte, flow string) (yes bool) {
	err := record.Decode(body, "muster", func(f record.Field) error {
		yes = yes || f.Num == 1 && string(f.Bytes) == flow
		return nil
	})
	return err == nil && yes
}

// held tells whether the job has to wait, or is over. Other jobs than those of
// broadcasts never are.
func (j *job) held(tx *txn) error {
	if _, is := flowengine.BroadcastOf(j.flow); !is || j.kind == jobWithdraw {
		return nil
	}
	f := tx.ex.rt.set.Load().Flow(j.flow)
	switch {
	case f == nil || f.State == flowengine.Cancelled:
		return errJobOver
	case f.State == flowengine.Paused:
		return errJobHeld
	}
	return nil
}

// enterNamed lets a recipient in who was named, and forgets the name.
func (tx *txn) enterNamed(j *job, s flowengine.Shard, key []byte) error {
	who, err := parseNamed(namedPrefix(s, j.flow), key)
	if err != nil {
		return err
	}
	key = bytes.Clone(key)
	err = tx.alone(j, who.ID, func() error {
		m, err := tx.find(who)
		if err != nil {
			return err
		}
		return tx.muster(j, m)
	})
	if err != nil && !isNotFound(err) { // who is not there any more gets nothing
		return err
	}
	tx.delete(key)
	return nil
}

// muster lets a recipient in, here or at the executor who owns the person.
func (tx *txn) muster(j *job, m *member) error {
	if owner := m.person.ID.Shard(); !tx.ex.owns(owner) {
		body := record.AppendString(nil, 1, j.flow)
		body = record.AppendString(body, 2, j.what)
		return tx.relay(&relay{Target: owner, Kind: relayMuster, Body: record.AppendBytes(body, 3, m.person.ID[:])})
	}
	tx.step(m, &flowengine.Muster{Flow: j.flow, Entry: j.what, Named: true})
	return nil
}

func (tx *txn) receiveMuster(body []byte) error {
	j := new(job)
	var id flowengine.PersonID
	err := record.Decode(body, "muster", func(f record.Field) error {
		switch f.Num {
		case 1:
			j.flow = string(f.Bytes)
		case 2:
			j.what = string(f.Bytes)
		case 3:
			copy(id[:], f.Bytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := j.held(tx); err != nil {
		if errors.Is(err, errJobOver) {
			return nil
		}
		return err // it comes again
	}
	m, err := tx.member(id)
	if err == nil && m.exists {
		err = tx.muster(j, m)
	}
	return err
}

// Messages of a paused broadcast are moved out of the outbox when they are due,
// and back when it goes on.

func heldPrefix(s flowengine.Shard, flow string) []byte {
	return append(append(appendPrefix(nil, s, kindHeld), flow...), 0)
}

// broadcastState is the state of the broadcast that a message belongs to; Active
// for messages of others.
func (ex *executor) broadcastState(m *Message) flowengine.State {
	if _, is := flowengine.BroadcastOf(m.Origin.Flow); !is {
		return flowengine.Active
	}
	if f := ex.rt.set.Load().Flow(m.Origin.Flow); f != nil {
		return f.State
	}
	return flowengine.Cancelled
}

// hold keeps a message that is due until its broadcast goes on.
func (tx *txn) hold(m *Message, e *dueEntry) {
	s := shardOf(e.key)
	tx.ex.outbox.remove(s, e.key, &tx.batch.writes)
	tx.batch.writes.Put(append(heldPrefix(s, m.Origin.Flow), e.key[3:]...), m.append(nil))
}

// release puts a message back that was held; one whose person is gone, or was
// taken out of the broadcast, is not sent.
func (tx *txn) release(j *job, s flowengine.Shard, key, value []byte) error {
	tx.batch.writes.Delete(key)
	m, err := decodeMessage(value)
	if err != nil {
		tx.ex.rt.log.Error("a message that was held can't be read and is dropped", "job", j.id, "error", err)
		return nil
	}
	person, err := tx.member(m.Origin.Person)
	switch {
	case err != nil || !person.exists:
		return err
	case person.passages.Run(m.Origin.Flow, m.Origin.Number) == nil:
		return tx.withdrawn(m.Origin.Person, m)
	}
	tx.enqueue(s, m, tx.now)
	return nil
}

// withdrawer takes back what is left of a cancelled broadcast: names, messages
// that are held or due, and whoever still waits for what becomes of theirs.
func (tx *txn) withdrawer(j *job, s flowengine.Shard) func(key, value []byte) (bool, error) {
	settled := tx.ex.leaving(appendPrefix(nil, s, kindOutbox)) // the store still shows them
	return func(key, value []byte) (bool, error) {
		switch key[2] {
		case kindNamed:
			tx.delete(bytes.Clone(key))
			return true, nil
		case kindActive:
			id, ok := activePerson(s, key)
			if !ok {
				return false, nil
			}
			m, err := tx.member(id)
			if err == nil && m.exists {
				tx.step(m, &flowengine.Eject{Flow: j.flow, Reason: exitCancelled})
			}
			return true, err
		}
		m, err := decodeMessage(value)
		if err != nil || m.Origin.Flow != j.flow || settled[string(key)] {
			return false, nil //nolint:nilerr // whoever sends it reports that
		}
		if key[2] == kindHeld {
			tx.batch.writes.Delete(key)
		} else {
			if e := tx.ex.outbox.shards[s].known[string(key)]; e != nil && e.taken { // with a carrier
				return false, nil
			}
			tx.ex.outbox.remove(s, bytes.Clone(key), &tx.batch.writes)
		}
		return true, tx.takeBack(m)
	}
}

const exitCancelled = "cancelled"

// takeBack ends the run that waits for a message, and counts the message as not
// sent.
func (tx *txn) takeBack(m *Message) error {
	person, err := tx.member(m.Origin.Person)
	if err != nil || !person.exists {
		return err
	}
	tx.step(person, &flowengine.Eject{Flow: m.Origin.Flow, Reason: exitCancelled})
	return tx.withdrawn(m.Origin.Person, m)
}
