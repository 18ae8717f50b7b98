package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Errors with which a request for participants is refused.
var (
	// ErrNotActive: the flow takes nobody in.
	ErrNotActive = errors.New("the flow is not active")
	// ErrReused: the idempotency key came with another request before.
	ErrReused = errors.New("the idempotency key was used for another request")
)

// Bounds of an operation.
const (
	// MaxParticipants is the most persons that one request brings (rule A1).
	MaxParticipants = 1000

	chunkBytes    = 256 << 10           // of participants in one record
	operationTime = 30 * 24 * time.Hour // how long an operation can be asked for (rule A1)
	onceTime      = 24 * time.Hour      // how long an idempotency key is remembered (rule A1)
	stretch       = 64                  // participants that are worked off before others get their turn
)

// OperationID names an accepted request for participants. Its first two bytes
// are the shard that keeps it.
type OperationID [16]byte

// String gives the 26 characters that stand for the id.
func (id OperationID) String() string { return flowengine.PersonID(id).String() }

// ParseOperationID reads what String wrote.
func ParseOperationID(s string) (OperationID, error) {
	id, err := flowengine.ParsePersonID(s)
	if err != nil {
		return OperationID{}, fmt.Errorf("%q is not an operation id: 26 letters and digits are expected", s)
	}
	return OperationID(id), nil
}

func (id OperationID) shard() flowengine.Shard { return flowengine.PersonID(id).Shard() }

// newOperationID makes an id in the shard that remembers the idempotency key, or
// in any when there is none.
func (rt *Runtime) newOperationID(once *Once) (id OperationID, err error) {
	if _, err = io.ReadFull(rt.options.Random, id[:]); err != nil {
		return id, fmt.Errorf("making an id: %w", err)
	}
	s := flowengine.Shard(id[0]) % flowengine.Shards
	if once != nil {
		s = once.shard()
	}
	binary.BigEndian.PutUint16(id[:2], uint16(s))
	return id, nil
}

// Operation is a request to let persons into a flow (rule A1).
type Operation struct {
	Flow, Entry  string
	Notify       string // address to be told when all is done; may be empty
	Callback     string // what the requester wants to hear again
	Participants []Participant
	// OnConflict says what becomes of a participant whose contacts are those of
	// several persons.
	OnConflict Conflict
}

// Once makes a request act once: Key is the digest of the idempotency key and of
// who gave it, Request the digest of the request.
type Once struct{ Key, Request [32]byte }

func (o *Once) shard() flowengine.Shard { return flowengine.Shard(o.Key[0]) % flowengine.Shards }

// EntryPoint tells whether persons can be brought to an entry point of a flow
// now: ErrNotFound and ErrNotActive say why not.
func (rt *Runtime) EntryPoint(flow, entry string) error {
	f := rt.set.Load().Flow(flow)
	if f == nil {
		return fmt.Errorf("%w: there is no flow %q", ErrNotFound, flow)
	}
	if f.Newest != nil {
		for _, e := range f.Newest.Entries {
			if _, ok := e.Trigger.(*flowengine.FlowAPI); ok && e.ID == entry {
				if f.Live(rt.now()) {
					return nil
				}
				return fmt.Errorf("%w: flow %q is %s", ErrNotActive, flow, f.State)
			}
		}
		return fmt.Errorf("%w: flow %q has no entry point %q of type flow_api", ErrNotFound, flow, entry)
	}
	return fmt.Errorf("%w: flow %q is no longer configured", ErrNotActive, flow)
}

// EntryPoints lists the entry points of type flow_api of a flow's newest version.
func (rt *Runtime) EntryPoints(flow string) (ids []string) {
	f := rt.set.Load().Flow(flow)
	if f == nil || f.Newest == nil {
		return nil
	}
	for _, e := range f.Newest.Entries {
		if _, ok := e.Trigger.(*flowengine.FlowAPI); ok {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Accept takes a request for participants and returns when it is durable; the
// participants enter after that, each of them once, whatever happens to the
// daemon. With once, a repeated request gets the answer of the first.
func (rt *Runtime) Accept(ctx context.Context, op *Operation, once *Once) (OperationID, error) {
	if !rt.fires() {
		return OperationID{}, ErrStopping
	}
	id, err := rt.newOperationID(once)
	if err != nil {
		return OperationID{}, err
	}
	ex := rt.owner(id.shard())
	if once != nil { // a repetition writes nothing
		known, err := rt.answered(ctx, ex, once)
		if err != nil || known != (OperationID{}) {
			return known, err
		}
	}
	if err := rt.EntryPoint(op.Flow, op.Entry); err != nil {
		return OperationID{}, err
	}
	expires := rt.now().Add(operationTime)
	for first, body := range chunks(op.Participants) {
		err := rt.do(ctx, ex, "operation", func(tx *txn) error {
			tx.batch.writes.PutUntil(chunkKey(id, first), body, expires)
			return nil
		})
		if err != nil {
			return OperationID{}, err
		}
	}
	err = rt.do(ctx, ex, "operation", func(tx *txn) error {
		if known, err := tx.answer(once); err != nil || known != nil {
			copy(id[:], known) // a twin was faster; our chunks expire
			return err
		}
		head := operationRecord{
			Flow: op.Flow, Entry: op.Entry, Notify: op.Notify, Callback: op.Callback,
			Accepted: tx.now, Expires: expires, Total: len(op.Participants), Reject: rt.rejects(op.OnConflict),
		}
		tx.put(operationKey(id), head.append(nil), expires)
		tx.remember(once, id[:])
		return tx.goOn(id, 0)
	})
	if err != nil {
		return OperationID{}, err
	}
	return id, nil
}

func (rt *Runtime) answered(ctx context.Context, ex *executor, once *Once) (id OperationID, err error) {
	err = rt.do(ctx, ex, "once", func(tx *txn) error {
		known, err := tx.answer(once)
		copy(id[:], known)
		return err
	})
	return id, err
}

// answer is what an idempotency key was answered before, or nil.
func (tx *txn) answer(o *Once) ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	value, err := tx.get(onceKey(o))
	switch {
	case isNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case len(value) < len(o.Request):
		return nil, fmt.Errorf("%w: an idempotency record of %d bytes", record.ErrDamaged, len(value))
	case [32]byte(value[:32]) != o.Request:
		return nil, ErrReused
	}
	return value[32:], nil
}

func (tx *txn) remember(o *Once, answer []byte) {
	if o != nil {
		tx.put(onceKey(o), append(o.Request[:len(o.Request):len(o.Request)], answer...), tx.now.Add(onceTime))
	}
}

// SendOnce puts a message that no flow asked for into the outbox. A repetition
// with the same once does nothing and gets the id of the first message.
func (rt *Runtime) SendOnce(ctx context.Context, m *Message, once *Once) (id string, err error) {
	if once == nil {
		return m.ID, rt.Send(ctx, m)
	}
	s := once.shard()
	err = rt.do(ctx, rt.owner(s), "send", func(tx *txn) error {
		known, err := tx.answer(once)
		if err != nil || known != nil {
			id = string(known)
			return err
		}
		id = m.ID
		tx.remember(once, []byte(id))
		tx.enqueue(s, m, tx.now)
		return tx.expectLetter(m, s)
	})
	return id, err
}

// goOn makes the next stretch of an operation due. The row that stands for it is
// durable with the batch, so that a restart goes on where the work ended.
func (tx *txn) goOn(id OperationID, next int) error {
	r := &relay{Target: id.shard(), Kind: relayOperation, Body: record.AppendUint(record.AppendBytes(nil, 1, id[:]), 2, uint64(next))}
	row := fmt.Sprintf("operation/%s/%d", id, next)
	tx.enqueue(id.shard(), &Message{Send: flowengine.Send{ID: row}, Relay: r}, tx.now)
	return nil
}

// workOff lets a stretch of an operation's participants take their way.
func (tx *txn) workOff(body []byte) error {
	var id OperationID
	next := 0
	err := record.Decode(body, "operation step", func(f record.Field) error {
		switch f.Num {
		case 1:
			copy(id[:], f.Bytes)
		case 2:
			next = int(f.Uint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	head, progress, err := tx.operation(id)
	if isNotFound(err) || err == nil && next < progress.Next { // expired, or a repetition
		return nil
	}
	if err != nil {
		return err
	}
	first, waiting, err := tx.chunk(id, next)
	if err != nil {
		return err
	}
	for n := 0; next < first+len(waiting) && n < stretch && len(tx.batch.writes.Bytes()) < batchBytes; n++ {
		tx.begin(id, head, next, &waiting[next-first])
		next++
	}
	if next >= first+len(waiting) {
		tx.batch.writes.Delete(chunkKey(id, first))
	}
	if next < head.Total {
		return tx.goOn(id, next)
	}
	return nil
}

// begin lets one participant take its way. Whatever is wrong with it is its own
// result, so that it holds nobody else up.
func (tx *txn) begin(id OperationID, head *operationRecord, index int, p *Participant) {
	v := &verdict{Status: Pending}
	if len(p.Addresses) > 0 {
		v.Identifier = p.Addresses[0]
	}
	tx.put(verdictKey(id, index), v.append(nil), head.Expires)
	_, progress, err := tx.operation(id)
	if err == nil {
		progress.Next = index + 1
		tx.put(progressKey(id), progress.append(nil), head.Expires)
	}
	w := &admission{Operation: id, Index: index, Flow: head.Flow, Entry: head.Entry, Expires: head.Expires, Participant: *p, Reject: head.Reject}
	switch {
	case p.Rejected != "":
		err = tx.tell(w, Rejected, p.Rejected, p.Detail)
	case len(p.Addresses) == 0 || len(p.Addresses) > MaxContacts:
		err = tx.tell(w, Rejected, RejectedContact, fmt.Sprintf("a person needs 1 to %d contacts", MaxContacts))
	default:
		w.At = len(p.Addresses) - 1
		err = tx.admit(w)
	}
	if err != nil {
		tx.ex.rt.log.Error("a participant could not be let in", "operation", id.String(), "index", index, "error", err)
		_ = tx.tell(w, Rejected, RejectedError, "the store could not be read")
	}
}

// operation reads what is known of an operation.
func (tx *txn) operation(id OperationID) (*operationRecord, *progressRecord, error) {
	value, err := tx.get(operationKey(id))
	if err != nil {
		return nil, nil, err
	}
	head, err := decodeOperation(value)
	if err != nil {
		return nil, nil, err
	}
	value, err = tx.get(progressKey(id))
	if isNotFound(err) {
		return head, new(progressRecord), nil
	}
	if err != nil {
		return nil, nil, err
	}
	progress, err := decodeProgressRecord(value)
	return head, progress, err
}

// chunk reads the participants among whom is the one with that index.
func (tx *txn) chunk(id OperationID, index int) (first int, all []Participant, err error) {
	var damaged error
	err = tx.ex.rt.store.Scan(chunkPrefix(id), nil, func(key, value []byte) bool {
		first = indexOf(key)
		all, damaged = decodeParticipants(value)
		return damaged == nil && index >= first+len(all)
	})
	if err = firstError(err, damaged); err == nil && (index < first || index >= first+len(all)) {
		err = fmt.Errorf("%w: participant %d of operation %s is not there", record.ErrDamaged, index, id)
	}
	return first, all, err
}

// participantSettled notes what became of a participant. It runs in the operation's shard.
func (tx *txn) participantSettled(id OperationID, index int, v *verdict) error {
	value, err := tx.get(verdictKey(id, index))
	if isNotFound(err) { // expired
		return nil
	}
	if err != nil {
		return err
	}
	known, err := decodeVerdict(value)
	if err != nil || known.Status != Pending {
		return err
	}
	head, progress, err := tx.operation(id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	v.Identifier = known.Identifier
	tx.put(verdictKey(id, index), v.append(nil), head.Expires)
	if v.Status == Accepted {
		progress.Accepted++
	} else {
		progress.Rejected++
	}
	tx.put(progressKey(id), progress.append(nil), head.Expires)
	tx.ex.rt.metrics.participants.WithLabelValues(v.Status.String()).Inc()
	if head.Notify != "" && progress.Accepted+progress.Rejected == head.Total {
		tx.enqueue(id.shard(), &Message{Send: flowengine.Send{
			ID: "notify/" + id.String(), Channel: NotifyChannel, To: head.Notify, Text: id.String(), Expires: tx.now.Add(notifyTime),
		}}, tx.now)
	}
	return nil
}

// NotifyChannel is the channel of rows of the outbox that tell a requester that
// all participants are settled: To is the address, Text the operation's id.
const NotifyChannel = "notify"

// notifyTime is how long a requester is tried to be told.
const notifyTime = 24 * time.Hour
