package runtime

import (
	"errors"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

const receiptChars = 20 // characters of a message that its receipt repeats (SMPP 3.4 Appendix B)

// arrive takes an inbound message, or a part of one. It runs in the shard of the
// sender's address.
func (tx *txn) arrive(a *Arrival, done func(error)) error {
	if a.DeliverAt.After(tx.now) {
		return tx.postpone(a)
	}
	if a.Part != nil && a.Part.Total > 1 {
		return tx.gather(a, done)
	}
	if a.Part != nil {
		text, err := tx.ex.rt.options.Assemble([]*Part{a.Part})
		if err != nil {
			return err
		}
		a.Text = text
	}
	return tx.consume(a, done, false)
}

// consume gives a complete message to its one consumer (rules R1–R8). One that
// was kept here, wholly or in part, was acknowledged before: on its way to
// another executor it must not be lost.
func (tx *txn) consume(a *Arrival, done func(error), kept bool) error {
	m, err := tx.personAt(a.From)
	if kept && errors.Is(err, errMerging) {
		tx.hearLater(a)
		return nil
	}
	if err != nil {
		return err
	}
	if owner := tx.ex.rt.owner(m.person.ID.Shard()); owner != tx.ex {
		if kept {
			return tx.relay(&relay{Target: m.person.ID.Shard(), Kind: relayArrival, Body: appendArrival(m.person.ID, a)})
		}
		tx.handOn(owner, task{name: "inbound", done: done, run: func(tx *txn) error {
			return tx.hearAs(m.person.ID, a)
		}})
		return nil
	}
	tx.hear(m, a)
	return nil
}

// hearAs lets a person of this executor hear a message that came by an address
// in another one's shard.
func (tx *txn) hearAs(id flowengine.PersonID, a *Arrival) error {
	m, err := tx.member(id)
	switch {
	case err != nil:
		return err
	case m.moved:
		return errMerging
	case !m.exists:
		return tx.gone(a.From, id)
	}
	tx.hear(m, a)
	return nil
}

func appendArrival(id flowengine.PersonID, a *Arrival) []byte {
	return record.AppendNested(record.AppendBytes(nil, 1, id[:]), 2, a.append)
}

// hearLater lets a message that was acknowledged wait for a merger to end.
func (tx *txn) hearLater(a *Arrival) {
	tx.post(&relay{Target: a.From.Shard(), Kind: relayArrival, Body: appendArrival(flowengine.PersonID{}, a)}, tx.now.Add(notYet))
}

// receiveArrival is consume in the shard of the person.
func (tx *txn) receiveArrival(body []byte) error {
	var id flowengine.PersonID
	var a Arrival
	err := record.Decode(body, "arrival", func(f record.Field) error {
		switch f.Num {
		case 1:
			copy(id[:], f.Bytes)
		case 2:
			return a.decode(f.Bytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if id.IsZero() {
		return tx.consume(&a, nil, true)
	}
	m, err := tx.member(id)
	if err != nil {
		return err
	}
	if m.moved {
		tx.hearLater(&a)
		return nil
	}
	if !m.exists { // erased on the way: nobody is there to ask for it again
		return nil
	}
	tx.hear(m, &a)
	return nil
}

// hear is the step that an inbound message makes.
func (tx *txn) hear(m *member, a *Arrival) {
	if a.ID == "" {
		a.ID = fmt.Sprintf("%d.%d", tx.now.UnixMilli(), tx.ex.logSeq)
	}
	at := a.At
	if at.IsZero() {
		at = tx.now
	}
	r := tx.step(m, &flowengine.Inbound{ID: a.ID, Channel: a.Channel, Carrier: a.Carrier, From: a.From, To: a.To, Text: a.Text, Subject: a.Subject, Mail: a.Mail, Key: a.Key, At: at.UTC().Truncate(time.Millisecond)})
	tx.ex.rt.metrics.inbound.WithLabelValues(a.Channel, r.Outcome).Inc()
	tx.oweReceipt(a, a.ID, StateDelivered)
}

// handOn passes the work to the owner of another shard, who answers done.
func (tx *txn) handOn(owner *executor, t task) {
	tx.handedOn = true
	owner.submit(t)
}

// oweReceipt puts the delivery report that the sender's carrier asked for into
// the outbox.
func (tx *txn) oweReceipt(a *Arrival, id string, state string) {
	if !a.ReportWanted || a.ID == "" {
		return
	}
	text := []rune(a.Text)
	text = text[:min(len(text), receiptChars)]
	tx.enqueue(a.From.Shard(), &Message{
		Send: flowengine.Send{
			ID: "receipt/" + id, Channel: a.Channel, From: a.ReportTo, To: a.ReportFrom,
			Expires: tx.now.Add(tx.ex.rt.options.ReceiptValidity),
		},
		Receipt: &Receipt{ID: id, State: state, Submitted: a.At, Done: tx.now, Text: string(text)},
		Carrier: a.Carrier,
	}, tx.now)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// deferAgain is how long a postponed part waits when there are too many parts.
const deferAgain = time.Minute

// postpone keeps a message until its sender's schedule (SMPP 3.4 §5.2.15).
func (tx *txn) postpone(a *Arrival) error {
	at := a.DeliverAt
	row := &Message{Send: flowengine.Send{ID: a.ID, Channel: a.Channel, From: a.From.Value, To: a.To}, Deferred: a, Carrier: a.Carrier}
	key := tx.enqueue(a.From.Shard(), row, at)
	tx.put(deferredKey(a.Carrier, a.From, a.ID), key, at.Add(24*time.Hour))
	return nil
}

// takeEffect lets a postponed message arrive.
func (tx *txn) takeEffect(m *Message, e *dueEntry) error {
	a := m.Deferred
	tx.ex.outbox.remove(shardOf(e.key), e.key, &tx.batch.writes)
	tx.delete(deferredKey(a.Carrier, a.From, a.ID))
	a.DeliverAt, a.At = time.Time{}, tx.now
	if a.Part == nil {
		return tx.consume(a, nil, true)
	}
	err := tx.arrive(a, nil)
	if errors.Is(err, ErrOverload) { // it was acknowledged long ago and can't be refused
		tx.enqueue(a.From.Shard(), m, tx.now.Add(deferAgain))
	}
	return err
}

// postponed finds a message that waits for its schedule. It returns
// storage.ErrNotFound when there is none, or none any more.
func (tx *txn) postponed(carrier string, from flowengine.Address, id string) (key []byte, m *Message, err error) {
	key, err = tx.get(deferredKey(carrier, from, id))
	if err != nil {
		return nil, nil, err
	}
	value := tx.written(key)
	if value == nil {
		if value, err = tx.ex.rt.store.Get(key, nil); err != nil {
			return nil, nil, err
		}
	}
	m, err = decodeMessage(value)
	if err == nil && m.Deferred == nil {
		err = fmt.Errorf("%w: a postponed message without content", record.ErrDamaged)
	}
	return key, m, err
}

// unschedule withdraws a postponed message (SMPP 3.4 §4.9).
func (tx *txn) unschedule(carrier string, from flowengine.Address, id string) error {
	key, m, err := tx.postponed(carrier, from, id)
	if err != nil {
		return err
	}
	tx.ex.outbox.remove(shardOf(key), key, &tx.batch.writes)
	tx.delete(deferredKey(carrier, from, id))
	m.Deferred.At = tx.now
	tx.oweReceipt(m.Deferred, id, StateDeleted)
	return nil
}

// reschedule changes text or time of a postponed message (SMPP 3.4 §4.10).
func (tx *txn) reschedule(carrier string, from flowengine.Address, id, text string, at time.Time) error {
	key, m, err := tx.postponed(carrier, from, id)
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = dueTime(key)
	}
	tx.ex.outbox.remove(shardOf(key), key, &tx.batch.writes)
	m.Deferred.Text, m.Deferred.Part = text, nil
	key = tx.enqueue(from.Shard(), m, at)
	tx.put(deferredKey(carrier, from, id), key, at.Add(24*time.Hour))
	return nil
}
