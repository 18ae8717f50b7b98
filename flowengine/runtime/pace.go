package runtime

import (
	"context"
	"encoding/binary"
	"maps"
	"sync"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// pacer gives turns to the messages of elements that have a speed (rule X13). It
// is one for all executors; docs/decisions/0004 says why it works like this.
//
// A turn is a moment on the clock of the message's lane. No two messages have the
// same, they are apart by the lane's gap, and they are given in the order in which
// they are asked for. The lane's clock goes after the world's: when messages could
// not go out at their turns, because the daemon was down or its senders were busy,
// the lag grows by the delay. So what is late is sent late, and never in a bunch.
//
// What the pacer knows of a lane is written with the batch of those who have
// turns. A turn whose batch was lost is free again, for its message was lost too.
type pacer struct {
	mu    sync.Mutex
	lanes map[string]lane
}

// lane is one queue, in Unix ns and ns.
type lane struct {
	next int64 // the first free turn, by the clock of the lane
	lag  int64 // of that clock; it never shrinks
	last int64 // when a message last went; not stored
	// openings are when those come back who wait for a window to open: by its
	// opening, the first moment that nobody has. Not stored.
	openings map[int64]int64
}

// openingsAhead bounds how many openings of a window are asked for one moment.
const openingsAhead = 100

// turnLate is how late a message may be without those behind it having to wait
// longer: so much a busy machine takes now and then.
const turnLate = 200 * time.Millisecond

// laneKey names a lane; it begins with its flow.
func laneKey(o *flowengine.Origin, n uint8) string {
	b := append(append(make([]byte, 0, 96), o.Flow...), 0)
	b = append(append(b, o.Element...), 0)
	return string(append(b, n))
}

func paceKey(s flowengine.Shard, lane string) []byte {
	return append(appendPrefix(nil, s, kindPace), lane...)
}

// take gives the first free turn of a lane, and says when that is, if the time
// suits. A turn that does not suit stays free for another message.
func (p *pacer) take(key string, gap time.Duration, now time.Time, suits func(time.Time) bool) (turn int64, at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	turn = max(l.next, now.UnixNano()-l.lag)
	if at = l.time(turn); !suits(at) {
		return 0, at, false
	}
	l.next = turn + int64(gap)
	p.lanes[key] = l
	return turn, at, true
}

// comeBack says when a message asks again that waits for its window to open: one
// after the other, so that their order stays.
func (p *pacer) comeBack(key string, pacing *flowengine.Pacing, opening time.Time, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l.openings == nil {
		l.openings = map[int64]int64{}
	}
	maps.DeleteFunc(l.openings, func(_, until int64) bool { return until < now.UnixNano() })
	for range openingsAhead {
		free := max(l.openings[opening.UnixNano()], opening.UnixNano())
		at := time.Unix(0, free).UTC()
		again := pacing.Opening(at)
		if !again.After(at) {
			l.openings[opening.UnixNano()] = free + int64(pacing.Gap)
			p.lanes[key] = l
			return at.Truncate(time.Millisecond)
		}
		opening = again
	}
	return opening
}

// come says when the turn of a message is that is due: not after now, and it may
// go. A turn that is over is now, or behind the message that went last; later ones
// move with it, and changed tells so.
func (p *pacer) come(key string, turn int64, gap time.Duration, now time.Time) (at time.Time, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if at = l.time(turn); at.After(now) {
		return at, false
	}
	first := now
	if after := time.Unix(0, l.last).Add(gap); after.Sub(now) > turnLate { // one with a later turn went before
		first = after.UTC()
	}
	if late := first.Sub(at); late > turnLate {
		l.lag += int64(late)
		at, changed = first, true
	}
	if !at.After(now) {
		l.last = now.UnixNano()
	}
	p.lanes[key] = l
	return at, changed
}

// catchUp lets the clocks of lanes go after the world's by as much as the daemon
// was down: the message with the first turn is the next to go. Nothing has been
// dispatched yet.
func (tx *txn) catchUp() error {
	for _, s := range tx.ex.shards {
		err := tx.ex.rt.store.Scan(appendPrefix(nil, s, kindOutbox), tx.ex.outbox.shards[s].cursor, func(key, value []byte) bool {
			if dueOf(key) > tx.now.UnixMilli() {
				return false
			}
			m, err := decodeMessage(value)
			if err != nil || m.Turn == 0 || m.Attempt > 0 || m.Claimed {
				return true // a damaged row is dropped, and told, when it is dispatched
			}
			tx.ex.rt.pacer.overdue(laneKey(&m.Origin, m.Pacing.Lane), m.Turn, tx.now)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// time is when a turn is; messages are due by the millisecond.
func (l lane) time(turn int64) time.Time {
	return time.Unix(0, turn+l.lag).UTC().Truncate(time.Millisecond)
}

// overdue lets a turn that is over be no sooner than now.
func (p *pacer) overdue(key string, turn int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	l.lag = max(l.lag, now.UnixNano()-turn)
	p.lanes[key] = l
}

func (p *pacer) lane(key string) lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[key]
}

// forget makes all turns of a flow free again.
func (p *pacer) forget(flow string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.lanes {
		if len(key) > len(flow) && key[:len(flow)] == flow && key[len(flow)] == 0 {
			delete(p.lanes, key)
		}
	}
}

// load reads how far turns had been taken when the daemon ended. Each executor
// has written what it knew.
func (p *pacer) load(store storage.Reader) error {
	p.lanes = map[string]lane{}
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := appendPrefix(nil, s, kindPace)
		err := store.Scan(prefix, nil, func(key, value []byte) bool {
			if len(value) == 16 {
				k := string(key[len(prefix):])
				l := p.lanes[k]
				l.next = max(l.next, int64(binary.BigEndian.Uint64(value)))
				l.lag = max(l.lag, int64(binary.BigEndian.Uint64(value[8:])))
				p.lanes[k] = l
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// emit puts a message of a flow into the outbox.
func (tx *txn) emit(s flowengine.Shard, send *flowengine.Send) {
	m := &Message{Send: *send}
	due := tx.now
	switch {
	case send.NotBefore.After(due): // its turn is taken when it may go out
		due = send.NotBefore
	case send.Pacing.Paced():
		due = tx.pace(m)
	}
	tx.enqueue(s, m, due)
}

// pace takes a turn for a message and tells when it is due. When the turn is
// outside of the message's window, it is to ask again at the next opening.
func (tx *txn) pace(m *Message) (due time.Time) {
	p := &m.Pacing
	key := laneKey(&m.Origin, p.Lane)
	turn, at, ok := tx.ex.rt.pacer.take(key, p.Gap, tx.now, func(t time.Time) bool { return !p.Opening(t).After(t) })
	if !ok {
		m.Turn = 0
		return tx.ex.rt.pacer.comeBack(key, p, p.Opening(at), tx.now)
	}
	tx.keepPace(key)
	m.Turn, m.Expires = turn, at.Add(p.Validity) // validity begins with the turn
	return at
}

// ready says whether a paced message may go out now. If not, it waits on.
func (ex *executor) ready(m *Message, now time.Time) bool {
	if m.Turn == 0 {
		ex.waitOn(m, func(tx *txn) time.Time { return tx.pace(m) })
		return false
	}
	key := laneKey(&m.Origin, m.Pacing.Lane)
	at, changed := ex.rt.pacer.come(key, m.Turn, m.Pacing.Gap, now)
	if changed {
		ex.execute(task{name: "pace", run: func(tx *txn) error { tx.keepPace(key); return nil }})
	}
	switch opening := m.Pacing.Opening(at); {
	case opening.After(at): // the turn has moved out of the window, and is lost
		ex.waitOn(m, func(tx *txn) time.Time {
			m.Turn = 0
			return tx.ex.rt.pacer.comeBack(key, &m.Pacing, opening, tx.now)
		})
	case at.After(now):
		ex.waitOn(m, func(*txn) time.Time { return at })
	default:
		m.Expires = at.Add(m.Pacing.Validity)
		return true
	}
	return false
}

// waitOn puts a message that is due back, for another time.
func (ex *executor) waitOn(m *Message, until func(*txn) time.Time) {
	ex.execute(task{name: "pace", run: func(tx *txn) error {
		s := shardOf(m.entry.key)
		tx.ex.outbox.remove(s, m.entry.key, &tx.batch.writes)
		tx.enqueue(s, m, until(tx))
		return nil
	}})
}

// keepPace has the batch write what the pacer knows of a lane.
func (tx *txn) keepPace(key string) {
	if tx.batch.lanes == nil {
		tx.batch.lanes = map[string]bool{}
	}
	tx.batch.lanes[key] = true
}

// writeLanes puts the lanes into the batch in which it has taken turns. As with
// counters, all shards of an executor have theirs in its first one.
func (ex *executor) writeLanes(b *batch) {
	for key := range b.lanes {
		l := ex.rt.pacer.lane(key)
		value := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(l.next)), uint64(l.lag))
		b.writes.Put(paceKey(ex.shards[0], key), value)
	}
}

// forgetPace makes all turns of flows free that are over.
func (rt *Runtime) forgetPace(ctx context.Context, flows ...string) error {
	for _, ex := range rt.executors {
		err := rt.do(ctx, ex, "withdraw", func(tx *txn) error {
			for _, flow := range flows {
				if err := tx.forgetPace(flow); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetPace makes all turns of a flow free in an executor's shards.
func (tx *txn) forgetPace(flow string) error {
	tx.ex.rt.pacer.forget(flow)
	for _, s := range tx.ex.shards {
		var keys [][]byte
		err := tx.ex.rt.store.Scan(paceKey(s, flow+"\x00"), nil, func(key, _ []byte) bool {
			keys = append(keys, append([]byte(nil), key...))
			return true
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			tx.batch.writes.Delete(key)
		}
	}
	return nil
}
