package runtime

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
)

// CallRecord is the record of one leg of a call.
//
// A leg that was answered is kept from then on as an open record, so that a crash
// loses none of them. While there are open ones, each executor notes every few
// seconds that it lives: of a leg that a crash ended it is proven that it stood
// until then, and no longer, so that nothing beyond is billed.
type CallRecord struct {
	Call     string // id; with Leg unique
	Leg      uint16
	Origin   flowengine.Origin // of which flow; zero: of none
	Outbound bool
	Trunk    string
	From, To string // in international digits, as dialled

	// Setup is when the leg began; the others are zero where it did not come so
	// far. Ended of a record that is not Final is until when the leg stood for certain.
	Setup, Alerting, Answered, Ended time.Time
	Final                            bool

	Status uint16 // last SIP status of the set-up
	Cause  uint8  // Q.850
	By     string // who ended it: caller, callee, us
	Detail string // why, when it was us

	Codec  string
	MOS    uint16 // in hundredths; 0: not known
	Lost   uint16 // packets of 10,000
	Jitter time.Duration

	// What it cost, and the time for which it did (rule C3). They are known once it is Final.
	flowengine.Charge
	Billed time.Duration

	// Trace is by what the leg is hung up after a crash; of one that is not Final.
	Trace string

	boot, executor uint32 // who kept it open
	key            []byte // of a final one that was read: where it is
}

// DetailLost is the Detail of legs that a crash ended.
const DetailLost = "lost"

// ID is the id of the leg.
func (r *CallRecord) ID() string { return fmt.Sprintf("%s/%d", r.Call, r.Leg) }

// Duration is how long the leg was connected.
func (r *CallRecord) Duration() time.Duration {
	if r.Answered.IsZero() {
		return 0
	}
	return max(0, r.Ended.Sub(r.Answered))
}

// shard is where the record is kept: with the person, if there is one.
func (r *CallRecord) shard() flowengine.Shard {
	if !r.Origin.Person.IsZero() {
		return r.Origin.Person.Shard()
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Call))
	return flowengine.Shard(h.Sum32() % flowengine.Shards)
}

// Times of call records.
const (
	aliveEvery = 5 * time.Second // how exactly the end of a leg is known that a crash ended
	lostShare  = 256             // legs that are closed in one task after a crash
)

// KeepCall keeps a record of a leg in place of the one of before. done is called
// exactly once, with nil when it is durable. It is taken while the runtime drains
// too: calls end then.
func (rt *Runtime) KeepCall(r *CallRecord, done func(error)) {
	rt.owner(r.shard()).submit(task{name: "call_record", done: done, run: func(tx *txn) error { return tx.keepCall(r) }})
}

// CallRow is the row of the tariffs by which a call to a number would be charged.
func (rt *Runtime) CallRow(to string, at time.Time) (tariff.Row, bool) {
	return rt.set.Load().LegRow(to, at)
}

func openCallKey(r *CallRecord) []byte {
	return append(appendPrefix(nil, r.shard(), kindOpenCall), r.ID()...)
}

func (tx *txn) keepCall(r *CallRecord) error {
	key := openCallKey(r)
	_, err := tx.get(key)
	open := err == nil
	if err != nil && !isNotFound(err) {
		return err
	}
	if r.Final {
		if open {
			tx.delete(key)
			tx.ex.openCalls.Add(-1)
		}
		return tx.closeCall(r)
	}
	if r.Answered.IsZero() { // nothing is owed for it yet
		return nil
	}
	if !open {
		tx.ex.openCalls.Add(1)
	}
	r.boot, r.executor = tx.ex.rt.boot, uint32(tx.ex.index)
	tx.put(key, r.append(nil), time.Time{})
	return nil
}

// closeCall prices a leg that is over, keeps its record, and lets the flow that
// it was for know of the price (rules C3, C4).
func (tx *txn) closeCall(r *CallRecord) error {
	r.Trace = ""
	r.Charge, r.Billed = tx.ex.rt.set.Load().LegCharge(r.Outbound, r.To, r.Answered, r.Ended)
	tx.ex.callAt = max(tx.ex.callAt, tx.now.UnixMilli()) // readers follow the keys: none may come behind them
	key := binary.BigEndian.AppendUint64(appendPrefix(nil, r.shard(), kindCall), uint64(tx.ex.callAt))
	tx.batch.writes.PutUntil(append(key, r.ID()...), r.append(nil), tx.now.Add(tx.ex.rt.options.Calls))
	tx.ex.rt.metrics.call(r)
	if r.Origin.Flow == "" || r.Origin.Person.IsZero() || r.Charge == (flowengine.Charge{}) {
		return nil
	}
	return tx.tellLeg(&flowengine.LegEnded{ID: r.ID(), Origin: r.Origin, Charge: r.Charge}, r.Origin.Person, time.Time{})
}

// tellLeg tells the flows of a person what a leg cost. The person may have been
// merged into the one at whom it is told.
func (tx *txn) tellLeg(c *flowengine.LegEnded, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, c.Origin.Person, until, c, func(at flowengine.PersonID, until time.Time) *relay {
		b := record.AppendBytes(nil, 1, at[:])
		b = record.AppendTime(b, 2, until)
		b = record.AppendString(b, 3, c.ID)
		b = record.AppendNested(b, 4, func(b []byte) []byte { return flowengine.AppendOrigin(b, &c.Origin) })
		b = record.AppendNested(b, 5, func(b []byte) []byte { return flowengine.AppendCharge(b, &c.Charge) })
		return &relay{Target: at.Shard(), Kind: relayLeg, Body: b}
	})
}

func (tx *txn) receiveLeg(body []byte) error {
	c := new(flowengine.LegEnded)
	var at flowengine.PersonID
	var until time.Time
	err := record.Decode(body, "price of a call", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(at[:], f.Bytes)
		case 2:
			until = f.Time()
		case 3:
			c.ID = string(f.Bytes)
		case 4:
			err = flowengine.DecodeOrigin(f.Bytes, &c.Origin)
		case 5:
			err = record.Decode(f.Bytes, "price", func(f record.Field) error { return flowengine.DecodeCharge(f, &c.Charge) })
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.tellLeg(c, at, until)
}

// alive is until when the open legs of an executor stood for certain.
type alive struct {
	boot uint32
	at   time.Time
}

func aliveKey(executor uint32) []byte {
	return binary.BigEndian.AppendUint32(appendPrefix(nil, metaShard, kindAlive), executor)
}

// loadAlive reads what executors of former starts have noted.
func (rt *Runtime) loadAlive() error {
	rt.alive = map[uint32]alive{}
	prefix := appendPrefix(nil, metaShard, kindAlive)
	return rt.store.Scan(prefix, nil, func(key, value []byte) bool {
		if len(key) == len(prefix)+4 && len(value) == 12 {
			at := time.UnixMilli(int64(binary.BigEndian.Uint64(value[4:]))).UTC()
			rt.alive[binary.BigEndian.Uint32(key[len(prefix):])] = alive{binary.BigEndian.Uint32(value), at}
		}
		return true
	})
}

// noteAlive lets every executor with open legs note that it lives. The note waits
// its turn behind the records that came before it: a leg that has ended by then
// is closed by then.
func (rt *Runtime) noteAlive() {
	for _, ex := range rt.executors {
		if ex.openCalls.Load() == 0 {
			continue
		}
		ex.submit(task{name: "alive", run: func(tx *txn) error {
			value := binary.BigEndian.AppendUint32(nil, rt.boot)
			tx.batch.writes.Put(aliveKey(uint32(ex.index)), binary.BigEndian.AppendUint64(value, uint64(tx.now.UnixMilli())))
			return nil
		}})
	}
}

// closeLostCalls closes the legs that stood when the process ended that they were
// calls of.
func (rt *Runtime) closeLostCalls() {
	for _, ex := range rt.executors {
		ex.closeLostCalls()
	}
}

func (ex *executor) closeLostCalls() {
	var lost []orphan
	ex.submit(task{
		name: "lost_call_records",
		run: func(tx *txn) (err error) {
			lost, err = tx.closeLostCalls()
			return err
		},
		done: func(err error) {
			if err != nil {
				return
			}
			if c := ex.rt.caller; c != nil {
				for _, o := range lost {
					c.Bury(o.trunk, o.trace)
				}
			}
			if len(lost) >= lostShare {
				ex.closeLostCalls()
			}
		},
	})
}

// orphan is a leg that for its peer stands until somebody hangs up.
type orphan struct{ trunk, trace string }

func (tx *txn) closeLostCalls() (orphans []orphan, err error) {
	var lost []*CallRecord
	for _, s := range tx.ex.shards {
		var damaged error
		err := tx.ex.rt.store.Scan(appendPrefix(nil, s, kindOpenCall), nil, func(key, value []byte) bool {
			r, err := decodeCallRecord(value)
			switch {
			case err != nil:
				damaged = err
			case r.boot != tx.ex.rt.boot && tx.has(key): // what is not there is being closed
				lost = append(lost, r)
			}
			return len(lost) < lostShare
		})
		if err != nil {
			return nil, err
		}
		if damaged != nil { // it stays; the others are closed all the same
			tx.ex.rt.log.Error("the record of a call that stood at the last end can't be read", "error", damaged)
		}
		if len(lost) >= lostShare {
			break
		}
	}
	for _, r := range lost {
		if last := tx.ex.rt.alive[r.executor]; last.boot == r.boot && last.at.After(r.Ended) {
			r.Ended = last.at
		}
		r.Final, r.By, r.Detail = true, "us", DetailLost
		orphans = append(orphans, orphan{r.Trunk, r.Trace})
		tx.delete(openCallKey(r))
		if err := tx.closeCall(r); err != nil {
			return nil, err
		}
	}
	if len(lost) > 0 {
		tx.ex.rt.log.Warn("calls were cut off by the end of the last process; their records are closed", "legs", len(lost))
	}
	return orphans, nil
}
