package runtime

import (
	"errors"
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// A relay is work for another shard. Within an executor it is done in the same
// batch; for the shard of another executor it is a durable row of the outbox,
// which is handed over as often as it takes and acts once.
type relay struct {
	Target flowengine.Shard
	Kind   relayKind
	Body   []byte
}

type relayKind uint8

// The kinds of relays. The numbers are stored.
const (
	relayReport relayKind = 1 // tell a person's flows of a delivery report
	relayExpect relayKind = 2 // note under which id a delivery report will come
	relayAlias  relayKind = 3 // let an address lead to a person

	relayUnalias   relayKind = 4 // let an address lead to a person no more
	relayOperation relayKind = 5 // work off the next stretch of an operation
	relayAdmission relayKind = 6 // bring a participant further on the way into a flow
	relayVerdict   relayKind = 7 // note what became of a participant
	relayForget    relayKind = 8 // forget who a participant was
	relayArrival   relayKind = 9 // let a person hear a message that was kept in another shard

	relayMerge        relayKind = 20 // look at the next of the persons who shall be one
	relayAbsorb       relayKind = 21 // take over a person who dissolved
	relayMoveOut      relayKind = 22 // hand the next records of a merged person on
	relayMoveIn       relayKind = 23 // take records of a merged person
	relayResult       relayKind = 24 // tell a person's flows what became of a message
	relayForgetMerged relayKind = 25 // forget that a person was there who was merged
	relayClick        relayKind = 26 // tell a person's flows of a click
	relayLeg          relayKind = 35 // tell a person's flows what a leg of a call cost
	relayMail         relayKind = 27 // tell a person's flows what was done with a mail
	relayJudge        relayKind = 28 // decide whether a person or a program followed a link
	relayMuster       relayKind = 30 // let a recipient whom a broadcast names into it
	relayAsk          relayKind = 31 // note that a broadcast shall be started
	relayCall         relayKind = 50 // tell a person's flows what became of a call
	relaySuppress     relayKind = 60 // put an address on the suppression list
	relayLetter       relayKind = 61 // add to what is kept of a message that no flow sent
)

// Pauses and memory of relays.
const (
	relayAgain  = 50 * time.Millisecond // after the other executor's queue was full
	relayMemory = 24 * time.Hour        // how long a relay that acted is remembered
)

// relay does work in another shard, now or as soon as its owner takes it.
func (tx *txn) relay(r *relay) error {
	if tx.ex.owns(r.Target) {
		return tx.receive(r)
	}
	tx.post(r, tx.now)
	return nil
}

// post makes a relay due, durably, also to a shard of this executor: it acts in
// a task of its own.
func (tx *txn) post(r *relay, due time.Time) {
	id := fmt.Sprintf("relay/%d.%d.%d", tx.ex.rt.boot, tx.ex.index, tx.ex.rowSeq+1)
	tx.enqueue(tx.ex.shards[0], &Message{Send: flowengine.Send{ID: id}, Relay: r}, due)
}

// handOver gives a relay to the owner of its target.
func (ex *executor) handOver(m *Message) {
	ex.sending++
	ex.rt.owner(m.Relay.Target).submit(task{
		name: "relay",
		run: func(tx *txn) error {
			seen := append(appendPrefix(nil, m.Relay.Target, kindSeen), m.ID...)
			if tx.has(seen) {
				return nil
			}
			err := tx.receive(m.Relay)
			if err != nil && !errors.Is(err, record.ErrDamaged) { // tried again; what is damaged never gets better
				return err
			}
			tx.put(seen, nil, tx.now.Add(relayMemory))
			return err
		},
		done: func(err error) {
			o := Outcome{Fate: FateAccepted}
			if err != nil {
				o = Outcome{Fate: FateRetry, Code: err.Error()} // later and later: what panics would else panic for ever
			}
			if errors.Is(err, ErrOverload) {
				o.After = relayAgain
			}
			ex.results <- sent{m, o}
		},
	})
}

// receive does the work of a relay in its target's shard.
func (tx *txn) receive(r *relay) error {
	switch r.Kind {
	case relayReport:
		return tx.receiveReport(r.Body)
	case relayExpect:
		return tx.receiveExpected(r.Body)
	case relayAlias:
		return tx.receiveAlias(r.Body)
	case relayUnalias:
		return tx.receiveUnalias(r.Body)
	case relayOperation:
		return tx.workOff(r.Body)
	case relayAdmission:
		return tx.receiveAdmission(r.Body)
	case relayVerdict:
		return tx.receiveVerdict(r.Body)
	case relayForget:
		return tx.receiveForget(r.Body)
	case relayArrival:
		return tx.receiveArrival(r.Body)
	case relayMerge:
		return tx.receiveMerge(r.Body)
	case relayAbsorb:
		return tx.receiveAbsorb(r.Body)
	case relayMoveOut:
		return tx.receiveMoveOut(r.Body)
	case relayMoveIn:
		return tx.receiveMoveIn(r.Body)
	case relayResult:
		return tx.receiveResult(r.Body)
	case relayForgetMerged:
		return tx.receiveForgetMerged(r.Body)
	case relayClick:
		return tx.receiveClick(r.Body)
	case relayMail:
		return tx.receiveMail(r.Body)
	case relayJudge:
		return tx.receiveJudge(r.Body)
	case relayMuster:
		return tx.receiveMuster(r.Body)
	case relayLeg:
		return tx.receiveLeg(r.Body)
	case relayAsk:
		return tx.receiveAsk(r.Body)
	case relayCall:
		return tx.receiveCall(r.Body)
	case relaySuppress:
		return tx.receiveSuppression(r.Body)
	case relayLetter:
		return tx.receiveLetter(r.Body)
	}
	return fmt.Errorf("%w: a relay of kind %d", record.ErrDamaged, r.Kind)
}

func (r *relay) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(r.Target))
	b = record.AppendUint(b, 2, uint64(r.Kind))
	return record.AppendBytes(b, 3, r.Body)
}

func decodeRelay(b []byte) (*relay, error) {
	r := new(relay)
	return r, record.Decode(b, "relay", func(f record.Field) error {
		switch f.Num {
		case 1:
			if f.Uint >= flowengine.Shards && f.Uint != uint64(metaShard) {
				return fmt.Errorf("%w: shard %d", record.ErrDamaged, f.Uint)
			}
			r.Target = flowengine.Shard(f.Uint)
		case 2:
			r.Kind = relayKind(f.Uint)
		case 3:
			r.Body = append([]byte(nil), f.Bytes...)
		}
		return nil
	})
}

// alias lets an address of a person lead to the person.
func (tx *txn) alias(a flowengine.Address, id flowengine.PersonID) error {
	return tx.relay(&relay{Target: a.Shard(), Kind: relayAlias, Body: appendAlias(a, id)})
}

// appendAlias is what decodeAlias reads.
func appendAlias(a flowengine.Address, id flowengine.PersonID) []byte {
	body := record.AppendUint(nil, 1, uint64(a.Kind))
	body = record.AppendString(body, 2, a.Value)
	return record.AppendBytes(body, 3, id[:])
}

func (tx *txn) receiveAlias(body []byte) error {
	a, id, err := decodeAlias(body)
	if err != nil {
		return err
	}
	return tx.lead(a, id)
}

func decodeAlias(body []byte) (a flowengine.Address, id flowengine.PersonID, err error) {
	err = record.Decode(body, "alias", func(f record.Field) error {
		switch f.Num {
		case 1:
			a.Kind = flowengine.AddressKind(f.Uint)
		case 2:
			a.Value = string(f.Bytes)
		case 3:
			copy(id[:], f.Bytes)
		}
		return nil
	})
	return a, id, err
}
