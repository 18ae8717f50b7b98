package runtime

import (
	"encoding/binary"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Bounds on unfinished messages.
const (
	groupsMost   = 16 << 10 // groups of parts per executor
	receiptChars = 20       // characters of a message that its receipt repeats (SMPP 3.4 Appendix B)
)

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
	return tx.consume(a, done)
}

// consume gives a complete message to its one consumer (rules R1–R8).
func (tx *txn) consume(a *Arrival, done func(error)) error {
	m, err := tx.personAt(a.From)
	if err != nil {
		return err
	}
	if owner := tx.ex.rt.owner(m.person.ID.Shard()); owner != tx.ex {
		tx.handOn(owner, task{name: "inbound", done: done, run: func(tx *txn) error {
			m, err := tx.member(m.person.ID)
			if err != nil {
				return err
			}
			if !m.exists {
				return tx.gone(a.From, m.person.ID)
			}
			tx.hear(m, a)
			return nil
		}})
		return nil
	}
	tx.hear(m, a)
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
	r := tx.step(m, &flowengine.Inbound{ID: a.ID, Channel: a.Channel, Carrier: a.Carrier, From: a.From, To: a.To, Text: a.Text, At: at.UTC().Truncate(time.Millisecond)})
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

// group is the parts of one message that have come so far.
type group struct {
	key     []byte // prefix of its parts' keys
	first   Arrival
	parts   map[uint8]*Part
	timeout []byte // key of its deadline among the timers
}

// groupKey is the prefix of the keys of a message's parts: those with the same
// sender, receiver, carrier, reference and number of parts belong together
// (3GPP TS 23.040 §9.2.3.24.1).
func groupKey(a *Arrival) []byte {
	b := appendPrefix(nil, a.From.Shard(), kindFragments)
	for _, s := range [...]string{a.Carrier, a.From.Value, a.To} {
		b = append(append(b, s...), 0)
	}
	b = binary.BigEndian.AppendUint16(b, a.Part.Ref)
	return append(b, a.Part.Total)
}

// gather keeps a part, and hands the message on when it was the last one.
func (tx *txn) gather(a *Arrival, done func(error)) error {
	p := a.Part
	if p.Seq == 0 || p.Seq > p.Total {
		return fmt.Errorf("part %d of %d does not exist", p.Seq, p.Total)
	}
	g, err := tx.group(a)
	if err != nil {
		return err
	}
	if g.parts[p.Seq] == nil { // a repeated part changes nothing
		g.parts[p.Seq] = p
	}
	if len(g.parts) < int(p.Total) {
		tx.batch.writes.Put(append(g.key, p.Seq), a.append(nil))
		tx.oweReceipt(a, a.ID, StateDelivered)
		return nil
	}
	return tx.assemble(g, a, done)
}

// group finds the parts of the message that a belongs to.
func (tx *txn) group(a *Arrival) (*group, error) {
	key := groupKey(a)
	if g := tx.ex.groups[string(key)]; g != nil {
		return g, nil
	}
	if len(tx.ex.groups) >= groupsMost {
		return nil, fmt.Errorf("%w: %d unfinished messages", ErrOverload, len(tx.ex.groups))
	}
	due := tx.now.Add(tx.ex.rt.options.Reassembly)
	g := &group{key: key, first: *a, parts: map[uint8]*Part{}}
	g.timeout = dueKey(nil, a.From.Shard(), kindTimer, due, key[3:])
	tx.ex.groups[string(key)] = g
	tx.schedule(tx.ex.timers, a.From.Shard(), g.timeout, []byte{kindFragments})
	return g, nil
}

// assemble makes a text of a group's parts, forgets them, and lets the message
// take its way. last is the part that came last.
func (tx *txn) assemble(g *group, last *Arrival, done func(error)) error {
	total := int(g.first.Part.Total)
	parts := make([]*Part, total)
	for seq, p := range g.parts {
		parts[seq-1] = p
	}
	text, err := tx.ex.rt.options.Assemble(parts)
	tx.dissolve(g)
	if err != nil {
		tx.ex.rt.metrics.parts.WithLabelValues("damaged").Inc()
		tx.ex.rt.log.Warn("the parts of a message make no text", "carrier", g.first.Carrier, "error", err)
		return nil // it was taken: asking the peer to send it again would not help
	}
	tx.ex.rt.metrics.parts.WithLabelValues("joined").Inc()
	whole := *last
	whole.Part, whole.Text = nil, text
	return tx.consume(&whole, done)
}

// dissolve forgets a group.
func (tx *txn) dissolve(g *group) {
	for seq := range g.parts {
		tx.batch.writes.Delete(append(g.key, seq))
	}
	tx.ex.timers.remove(g.first.From.Shard(), g.timeout, &tx.batch.writes)
	delete(tx.ex.groups, string(g.key))
}

// partsTimedOut gives up waiting for the rest of a message.
func (tx *txn) partsTimedOut(e *dueEntry) error {
	key := append(append([]byte{}, e.key[:2]...), kindFragments)
	key = append(key, e.key[11:]...)
	g := tx.ex.groups[string(key)]
	if g == nil || len(g.parts) == 0 {
		tx.ex.timers.remove(shardOf(e.key), e.key, &tx.batch.writes)
		return nil
	}
	if !tx.ex.rt.options.DeliverIncomplete {
		tx.ex.rt.metrics.parts.WithLabelValues("incomplete").Inc()
		tx.dissolve(g)
		return nil
	}
	first := g.first
	return tx.assemble(g, &first, nil)
}

// loadGroups reads the unfinished messages of the executor's shards after a start.
func (ex *executor) loadGroups() error {
	for _, s := range ex.shards {
		var damaged error
		err := ex.rt.store.Scan(appendPrefix(nil, s, kindFragments), nil, func(key, value []byte) bool {
			var a Arrival
			if damaged = a.decode(value); damaged == nil && a.Part == nil {
				damaged = fmt.Errorf("%w: a part without content", record.ErrDamaged)
			}
			if damaged != nil {
				return false
			}
			k := groupKey(&a)
			g := ex.groups[string(k)]
			if g == nil {
				g = &group{key: k, first: a, parts: map[uint8]*Part{}}
				ex.groups[string(k)] = g
			}
			g.parts[a.Part.Seq] = a.Part
			return true
		})
		if err = firstError(err, damaged); err != nil {
			return err
		}
		err = ex.rt.store.Scan(appendPrefix(nil, s, kindTimer), ex.timers.shards[s].cursor, func(key, value []byte) bool {
			if len(value) == 1 && value[0] == kindFragments {
				k := append(append(append([]byte{}, key[:2]...), kindFragments), key[11:]...)
				if g := ex.groups[string(k)]; g != nil {
					g.timeout = append([]byte(nil), key...)
				}
			}
			// Deadlines of parts are soon; those of runs may be many and far.
			return dueOf(key) <= ex.started+ex.rt.options.Reassembly.Milliseconds()
		})
		if err != nil {
			return err
		}
	}
	for k, g := range ex.groups {
		if g.timeout == nil { // cannot be, unless the clock was turned back: give it up at once
			g.timeout = dueKey(nil, shardOf([]byte(k)), kindTimer, time.UnixMilli(ex.started), g.key[3:])
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

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
	return tx.arrive(a, nil)
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
