package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// DeadHook is an event of which an endpoint could not be told.
type DeadHook struct {
	ID       string // of the webhook
	Endpoint string
	At       time.Time // when it was given up
	Attempts uint8
	Reason   string
	Payload  string

	origin flowengine.Origin
}

func deadKey(s flowengine.Shard, at time.Time, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(dueKey(make([]byte, 0, 16), s, kindDead, at, nil), seq)
}

const (
	deadID = iota + 1
	deadEndpoint
	deadAt
	deadAttempts
	deadReason
	deadPayload
	deadOrigin
)

func (d *DeadHook) append(b []byte) []byte {
	b = record.AppendString(b, deadID, d.ID)
	b = record.AppendString(b, deadEndpoint, d.Endpoint)
	b = record.AppendTime(b, deadAt, d.At)
	b = record.AppendUint(b, deadAttempts, uint64(d.Attempts))
	b = record.AppendString(b, deadReason, d.Reason)
	b = record.AppendString(b, deadPayload, d.Payload)
	return record.AppendNested(b, deadOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &d.origin) })
}

func decodeDead(b []byte) (*DeadHook, error) {
	d := new(DeadHook)
	return d, record.Decode(b, "undelivered webhook", func(f record.Field) (err error) {
		switch f.Num {
		case deadID:
			d.ID = string(f.Bytes)
		case deadEndpoint:
			d.Endpoint = string(f.Bytes)
		case deadAt:
			d.At = f.Time()
		case deadAttempts:
			d.Attempts = uint8(f.Uint)
		case deadReason:
			d.Reason = string(f.Bytes)
		case deadPayload:
			d.Payload = string(f.Bytes)
		case deadOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &d.origin)
		}
		return err
	})
}

// DeadFilter says which undelivered webhooks are meant; what is empty does not matter.
type DeadFilter struct{ Endpoint, ID string }

func (f DeadFilter) fits(d *DeadHook) bool {
	return (f.Endpoint == "" || f.Endpoint == d.Endpoint) && (f.ID == "" || f.ID == d.ID)
}

// DeadHooks lists what endpoints could not be told, limit at most, and counts all.
func (rt *Runtime) DeadHooks(f DeadFilter, limit int) (all []DeadHook, total int, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		var damaged error
		err := rt.store.Scan(appendPrefix(nil, s, kindDead), nil, func(_, value []byte) bool {
			var d *DeadHook
			if d, damaged = decodeDead(value); damaged != nil {
				return false
			}
			if f.fits(d) {
				if total++; len(all) < limit {
					all = append(all, *d)
				}
			}
			return true
		})
		if err = firstError(err, damaged); err != nil {
			return nil, 0, err
		}
	}
	return all, total, nil
}

// ReplayHooks delivers again what could not be delivered, with the same ids,
// and tells how many that are. ErrNotFound: none fits.
func (rt *Runtime) ReplayHooks(ctx context.Context, f DeadFilter) (n int, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		var from []byte
		for more := true; more; {
			replayed := 0
			err := rt.do(ctx, rt.owner(s), "replay", func(tx *txn) (err error) {
				replayed, from, err = tx.replayPage(s, from, f)
				return err
			})
			if err != nil {
				return n, err
			}
			n += replayed
			more = from != nil
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: no undelivered webhook fits; `trunkline webhook dead` lists all", ErrNotFound)
	}
	return n, nil
}

// replayPage looks at one page of a shard's dead and puts those that fit back
// into the outbox. next is where the following page begins; nil: there is none.
func (tx *txn) replayPage(s flowengine.Shard, from []byte, f DeadFilter) (n int, next []byte, err error) {
	type found struct {
		key []byte
		d   *DeadHook
	}
	var page []found
	var damaged error
	looked := 0
	err = tx.ex.rt.store.Scan(appendPrefix(nil, s, kindDead), from, func(key, value []byte) bool {
		if looked++; looked > deadPage {
			next = append([]byte(nil), key...)
			return false
		}
		var d *DeadHook
		if d, damaged = decodeDead(value); damaged == nil && f.fits(d) {
			page = append(page, found{append([]byte(nil), key...), d})
		}
		return damaged == nil
	})
	if err = firstError(err, damaged); err != nil {
		return 0, nil, err
	}
	for _, x := range page {
		if tx.exhume(x.key) {
			n++
			tx.enqueue(s, &Message{Send: flowengine.Send{
				ID: x.d.ID, Origin: x.d.origin, Channel: HookChannel, To: x.d.Endpoint, Text: x.d.Payload, Expires: tx.now.Add(hookTime),
			}}, tx.now)
		}
	}
	return n, next, nil
}
