package runtime

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/storage"
)

// erasePage is how many records of a person one task deletes.
const erasePage = 2000

// personal lists the kinds of records whose keys begin with a person.
var personal = [...]byte{kindLog, kindHappened, kindMark, kindSeen, kindLinkOf}

// Erase forgets a person: profile, addresses, passages, timers, history, events,
// messages that were not sent yet, and who the person was in the reports of
// operations. Counters stay. It returns who was erased.
func (rt *Runtime) Erase(ctx context.Context, who Who) (id flowengine.PersonID, err error) {
	if !rt.fires() {
		return id, ErrStopping
	}
	who.Create = false
	if id, err = rt.identify(ctx, who); err != nil {
		return id, err
	}
	for _, kind := range personal {
		for more := true; more; {
			err := rt.do(ctx, rt.owner(id.Shard()), "erase", func(tx *txn) (err error) {
				more, err = tx.erasePage(id, kind, erasePage)
				return err
			})
			if err != nil {
				return id, err
			}
		}
	}
	var addresses []flowengine.Address
	err = rt.do(ctx, rt.owner(id.Shard()), "erase", func(tx *txn) (err error) {
		addresses, err = tx.erase(id)
		return err
	})
	if err != nil {
		return id, unknown(err, who)
	}
	return id, rt.release(ctx, addresses, id)
}

// release waits until addresses lead to a person no more. The relays that see to
// it, whatever happens, are durable already.
func (rt *Runtime) release(ctx context.Context, addresses []flowengine.Address, id flowengine.PersonID) error {
	for _, a := range addresses {
		if err := rt.do(ctx, rt.owner(a.Shard()), "release", func(tx *txn) error { return tx.unalias(a, id) }); err != nil {
			return err
		}
	}
	return nil
}

// erase forgets what is left of a person in one batch, and returns the person's
// addresses. What is addressed to the person later finds nobody.
func (tx *txn) erase(id flowengine.PersonID) ([]flowengine.Address, error) {
	m, err := tx.member(id)
	if err != nil {
		return nil, err
	}
	if !m.exists {
		return nil, storage.ErrNotFound
	}
	for len(m.passages.Runs) > 0 {
		tx.step(m, &flowengine.Eject{Flow: m.passages.Runs[0].Flow, Reason: "deleted"})
	}
	addresses := m.person.Addresses
	for _, merged := range m.person.Merged {
		if err := tx.forgetMerged(merged); err != nil {
			return nil, err
		}
	}
	if _, _, err := tx.withdraw(id.Shard(), "", 0, func(row *Message) bool { return concerns(row, id, addresses) }); err != nil {
		return nil, err
	}
	for _, kind := range personal {
		if _, err := tx.erasePage(id, kind, 2*erasePage); err != nil {
			return nil, err
		}
	}
	if err := firstError(tx.forgetDead(id), tx.forgetLettersOf(id), tx.unlist(m)); err != nil {
		return nil, err
	}
	w := &tx.batch.writes
	w.Delete(personKey(tx.ex.scratch[:0], kindPerson, id))
	w.Delete(personKey(tx.ex.scratch[:0], kindPassages, id))
	tx.ex.people.put(id, &member{person: flowengine.Person{ID: id}})
	for _, a := range addresses {
		if err := tx.unalias(a, id); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// erasePage deletes the first records of a kind, and those that are not durable
// yet, and tells whether there may be more.
func (tx *txn) erasePage(id flowengine.PersonID, kind byte, most int) (more bool, err error) {
	prefix := personKey(nil, kind, id)
	var keys [][]byte
	err = tx.ex.rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
		keys = append(keys, bytes.Clone(key))
		return len(keys) < most
	})
	if err != nil {
		return false, err
	}
	more = len(keys) == most
	for op := range tx.ex.unsynced(prefix) {
		keys = append(keys, bytes.Clone(op.Key))
	}
	for _, key := range keys {
		tx.delete(key)
		if t, ok := linkOfToken(key); ok && kind == kindLinkOf {
			tx.delete(linkKey(t))
		}
		if kind == kindMark {
			if err := tx.forgetMark(key[len(prefix):]); err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// forgetMark lets an operation forget who a participant was, of whom that mark
// was kept: the operation's id, and the index.
func (tx *txn) forgetMark(mark []byte) error {
	if len(mark) != 18 {
		return nil
	}
	operation := OperationID(mark[:16])
	body := record.AppendUint(record.AppendBytes(nil, 1, operation[:]), 2, uint64(indexOf(mark)))
	return tx.relay(&relay{Target: operation.shard(), Kind: relayForget, Body: body})
}

// receiveForget removes who a participant was from what is kept of an operation.
func (tx *txn) receiveForget(body []byte) error {
	var id OperationID
	index := 0
	err := record.Decode(body, "forgotten participant", func(f record.Field) error {
		switch f.Num {
		case 1:
			copy(id[:], f.Bytes)
		case 2:
			index = int(f.Uint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	value, err := tx.get(verdictKey(id, index))
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := decodeVerdict(value)
	if err != nil {
		return err
	}
	head, _, err := tx.operation(id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	v.Identifier, v.Person = flowengine.Address{}, flowengine.PersonID{}
	tx.put(verdictKey(id, index), v.append(nil), head.Expires)
	return nil
}

// concerns tells whether a row of the outbox is to, from or about a person.
func concerns(row *Message, id flowengine.PersonID, addresses []flowengine.Address) bool {
	is := func(value string) bool {
		return value != "" && slices.ContainsFunc(addresses, func(a flowengine.Address) bool {
			return a.Value == value || a.Kind == flowengine.Phone && reportAddress(value) == a
		})
	}
	switch {
	case row.Relay != nil:
		return false
	case row.Deferred != nil:
		return slices.Contains(addresses, row.Deferred.From)
	}
	return row.Origin.Person == id || is(row.To)
}

// unalias makes an address lead to a person no more.
func (tx *txn) unalias(a flowengine.Address, id flowengine.PersonID) error {
	return tx.relay(&relay{Target: a.Shard(), Kind: relayUnalias, Body: appendAlias(a, id)})
}

// receiveUnalias also withdraws what nobody but the person was to get at the
// address, when the person is not in this shard.
func (tx *txn) receiveUnalias(body []byte) error {
	a, id, err := decodeAlias(body)
	if err != nil {
		return err
	}
	own, err := tx.member(flowengine.NewPersonID(a, 0))
	if err != nil {
		return err
	}
	value, err := tx.get(addressKey(a))
	if err != nil && !isNotFound(err) {
		return err
	}
	current, known := tx.ex.contacts.get(a)
	if own.leads == id && !own.moved || known && current == id || bytes.Equal(value, id[:]) { // else it is somebody else's by now
		if err := tx.mislead(a); err != nil {
			return err
		}
	}
	if _, _, err = tx.withdraw(a.Shard(), "", 0, func(row *Message) bool { return concerns(row, id, []flowengine.Address{a}) }); err != nil {
		return err
	}
	return firstError(tx.forgetReports(a), tx.forgetLetters(a))
}

// forgetReports deletes what is kept of delivery reports about messages to an
// address: those that are expected, and those that came before their message.
func (tx *txn) forgetReports(a flowengine.Address) error {
	if a.Kind != flowengine.Phone {
		return nil
	}
	for _, kind := range []byte{kindMessage, kindEarly} {
		carriers, err := tx.carriersOf(a.Shard(), kind)
		if err != nil {
			return err
		}
		for _, carrier := range carriers {
			keys, err := tx.keysBelow(messageKey(a, kind, carrier, ""))
			if err != nil {
				return err
			}
			for _, key := range keys {
				if kind == kindEarly && tx.has(key) {
					tx.ex.early.add(a.Shard(), carrier, -1)
				}
				tx.delete(key)
			}
		}
	}
	return nil
}

// carriersOf lists the carriers of which a shard has records of a kind whose keys
// begin with the carrier.
func (tx *txn) carriersOf(s flowengine.Shard, kind byte) (carriers []string, err error) {
	prefix := appendPrefix(nil, s, kind)
	from := bytes.Clone(prefix)
	for found := true; found; {
		found = false
		err := tx.ex.rt.store.Scan(prefix, from, func(key, _ []byte) bool {
			carrier, _, _ := bytes.Cut(key[len(prefix):], []byte{0})
			carriers = append(carriers, string(carrier))
			from = append(append(bytes.Clone(prefix), carrier...), 1) // behind all of this carrier
			found = true
			return false
		})
		if err != nil {
			return nil, err
		}
	}
	return carriers, nil
}

// keysBelow lists the keys with a prefix, also those that are not durable yet.
func (tx *txn) keysBelow(prefix []byte) (keys [][]byte, err error) {
	err = tx.ex.rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
		keys = append(keys, bytes.Clone(key))
		return true
	})
	for op := range tx.ex.unsynced(prefix) {
		keys = append(keys, bytes.Clone(op.Key))
	}
	return keys, err
}

// gone answers for a person who was erased although an address still leads to
// them: it stops leading there, and what came is asked for again.
func (tx *txn) gone(a flowengine.Address, id flowengine.PersonID) error {
	if err := tx.unalias(a, id); err != nil {
		return err
	}
	return fmt.Errorf("%w: the person was erased a moment ago; try again", ErrOverload)
}
