package runtime

import (
	"encoding/binary"
	"fmt"
	"time"

	"trunkline/flowengine/record"
	"trunkline/storage"
)

// Bounds on unfinished messages, per executor.
const (
	groupsMost     = 16 << 10 // messages
	groupsOfSender = 64       // of them, from one sender
	partBytesMost  = 64 << 20 // octets of their parts, in memory
	bytesOfSender  = 1 << 20  // of them, from one sender
)

// group is the parts of one message that have come so far.
type group struct {
	key     []byte // prefix of its parts' keys
	first   Arrival
	parts   map[uint8]*Part
	timeout []byte // key of its deadline among the timers
}

// partsTimer is what stands in the timers for a message whose parts are awaited.
// It is read only.
var partsTimer = []byte{kindFragments}

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
	key := groupKey(a)
	g := tx.ex.groups[string(key)]
	switch {
	case g != nil && g.parts[p.Seq] != nil: // a repeated part changes nothing
		tx.oweReceipt(a, a.ID, StateDelivered)
		return nil
	case g != nil && len(g.parts)+1 == int(p.Total):
		tx.ex.keepPart(g, a)
		return tx.assemble(g, a, done)
	}
	if err := tx.ex.mayKeep(a, g == nil); err != nil {
		return err
	}
	if g == nil {
		g = tx.newGroup(key, a)
	}
	tx.ex.keepPart(g, a)
	tx.batch.writes.Put(append(g.key, p.Seq), a.append(nil))
	tx.oweReceipt(a, a.ID, StateDelivered)
	return nil
}

func (tx *txn) newGroup(key []byte, a *Arrival) *group {
	g := &group{key: key, first: *a, parts: map[uint8]*Part{}}
	g.timeout = dueKey(nil, a.From.Shard(), kindTimer, tx.now.Add(tx.ex.rt.options.Reassembly), key[3:])
	tx.ex.groups[string(key)] = g
	tx.ex.countGroup(g, 1)
	tx.schedule(tx.ex.timers, a.From.Shard(), partsTimer, &dueEntry{key: g.timeout, value: partsTimer})
	return g
}

// share is what one source has of the unfinished messages.
type share struct{ groups, bytes int }

// sources are who shares the room: everybody, the carrier, and the sender at the
// carrier.
func sources(a *Arrival) [3]string {
	return [...]string{"", a.Carrier, a.Carrier + "\x00" + a.From.Value}
}

// limits is how much of it each of the sources may have. Whoever sends first
// parts only, be it one sender or all of a carrier, must not take the room from
// the others.
var limits = [...]share{{groupsMost, partBytesMost}, {groupsMost / 2, partBytesMost / 2}, {groupsOfSender, bytesOfSender}}

// mayKeep tells whether there is room for one more part.
func (ex *executor) mayKeep(a *Arrival, first bool) error {
	for i, source := range sources(a) {
		s := ex.shares[source]
		if first && s.groups >= limits[i].groups || s.bytes+a.Part.size() > limits[i].bytes {
			return fmt.Errorf("%w: %d unfinished messages with %d octets", ErrOverload, s.groups, s.bytes)
		}
	}
	return nil
}

// keepPart adds a part to its group.
func (ex *executor) keepPart(g *group, a *Arrival) {
	g.parts[a.Part.Seq] = a.Part
	ex.countShare(g, 0, a.Part.size())
}

func (ex *executor) countGroup(g *group, n int) { ex.countShare(g, n, 0) }

func (ex *executor) countShare(g *group, groups, bytes int) {
	for _, source := range sources(&g.first) {
		s := ex.shares[source]
		s.groups += groups
		s.bytes += bytes
		if s == (share{}) {
			delete(ex.shares, source)
		} else {
			ex.shares[source] = s
		}
	}
}

// size is roughly what a part takes in memory.
func (p *Part) size() int { return 128 + len(p.Header) + len(p.Payload) }

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
	return tx.consume(&whole, done, true)
}

// dissolve forgets a group.
func (tx *txn) dissolve(g *group) {
	for seq, p := range g.parts {
		tx.batch.writes.Delete(append(g.key, seq))
		tx.ex.countShare(g, 0, -p.size())
	}
	tx.ex.countGroup(g, -1)
	tx.ex.timers.remove(g.first.From.Shard(), g.timeout, &tx.batch.writes)
	delete(tx.ex.groups, string(g.key))
}

// partsTimedOut gives up waiting for the rest of a message.
func (tx *txn) partsTimedOut(e *dueEntry) error {
	key := append(append([]byte{}, e.key[:2]...), kindFragments)
	key = append(key, e.key[11:]...)
	g := tx.ex.groups[string(key)]
	if g == nil || string(g.timeout) != string(e.key) { // of a group that is no more
		tx.ex.timers.remove(shardOf(e.key), e.key, &tx.batch.writes)
		return nil
	}
	if !tx.ex.rt.options.DeliverIncomplete {
		tx.ex.rt.metrics.parts.WithLabelValues("incomplete").Inc()
		tx.dissolve(g)
		return nil
	}
	first := g.first
	first.ReportWanted = false // every part that came has its report
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
				ex.countGroup(g, 1)
			}
			ex.keepPart(g, &a)
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
	return ex.endLostGroups()
}

// endLostGroups gives those groups up whose deadline was not found: the clock
// was turned back, or parts are to wait less long than before.
func (ex *executor) endLostGroups() error {
	var lost storage.Batch
	var found []*group
	for _, g := range ex.groups {
		if g.timeout == nil {
			g.timeout = dueKey(nil, shardOf(g.key), kindTimer, time.UnixMilli(ex.started), g.key[3:])
			ex.timers.put(shardOf(g.key), g.timeout, partsTimer, &lost)
			found = append(found, g)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if err := ex.rt.store.Apply(&lost); err != nil {
		return err
	}
	for _, g := range found {
		ex.timers.add(shardOf(g.key), &dueEntry{key: g.timeout, value: partsTimer})
	}
	return nil
}
