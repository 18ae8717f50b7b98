package runtime

import (
	"encoding/binary"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/keyword"
)

// Fate is how an attempt to send a message ended.
type Fate uint8

// The fates.
const (
	FateAccepted Fate = iota // a peer took every part
	FateRetry                // temporary: try again after Outcome.After
	FateRejected             // permanent: the peer, or a rule, refused it
	FateExpired              // validity ended before a peer took it
	FateInDoubt              // written to the peer, the answer never came (rule X2)
)

var fateNames = [...]string{"accepted", "retry", "rejected", "expired", "in_doubt"}

// String gives the word used in metrics and history.
func (f Fate) String() string { return fateNames[f] }

// Outcome is the result of one attempt.
type Outcome struct {
	Fate    Fate
	Carrier string
	// Keys are, per accepted part, the normalised message id under which its
	// delivery report will be looked for; "" where there is none.
	Keys  []string
	Parts uint8  // parts accepted over all attempts
	Ref   uint16 // concatenation reference in use
	Code  string // the peer's own name for the status
	After time.Duration
	Vars  flowengine.Attrs // what the peer answered
}

// Sender sends the messages of one channel. Send must not block; it calls done
// exactly once, from any goroutine.
type Sender interface {
	Send(m *Message, done func(Outcome))
	// Units is the number of parts that m is charged as (rule M3).
	Units(m *Message) uint8
}

// sent is what a sender has to say about a row.
type sent struct {
	m *Message
	o Outcome
}

// Pauses between attempts.
const (
	retryFirst = time.Second
	retryMost  = 5 * time.Minute
)

// enqueue puts a message into the outbox of a shard. It is sent, when it is
// due, after the batch is durable; what is due at the same moment goes in the
// order in which it was put there. It returns the row's key.
func (tx *txn) enqueue(s flowengine.Shard, m *Message, due time.Time) []byte {
	tx.ex.rowSeq++
	key := dueKey(make([]byte, 0, 16), s, kindOutbox, due, nil)
	key = binary.BigEndian.AppendUint32(key, tx.ex.rowSeq)
	tx.schedule(tx.ex.outbox, s, key, m.append(nil))
	return key
}

// dispatch gives a due row of the outbox to its channel.
func (ex *executor) dispatch(e *dueEntry, now time.Time) {
	m, err := decodeMessage(e.value)
	if err != nil {
		ex.rt.log.Error("a row of the outbox can't be read and is dropped", "error", err)
		ex.execute(task{name: "damaged", run: func(tx *txn) error {
			tx.ex.outbox.remove(shardOf(e.key), e.key, &tx.batch.writes)
			return nil
		}})
		return
	}
	m.entry = e
	left := dueOf(e.key) < ex.started && m.Attempt == 0 // it may have been with a peer when the daemon ended
	switch {
	case m.Relay != nil:
		ex.handOver(m)
	case m.Deferred != nil:
		ex.execute(task{name: "deferred", run: func(tx *txn) error { return tx.takeEffect(m, e) }})
	case m.Marketing && m.Claimed: // rule X2: assumed sent
		ex.rt.metrics.inDoubt.WithLabelValues("assumed_sent").Inc()
		ex.settle(sent{m, Outcome{Fate: FateAccepted, Parts: ex.units(m), Code: "in_doubt"}})
	case ex.broadcastState(m) == flowengine.Paused:
		ex.execute(task{name: "hold", run: func(tx *txn) error { tx.hold(m, e); return nil }})
	case ex.broadcastState(m) == flowengine.Cancelled:
		ex.execute(task{name: "withdraw", run: func(tx *txn) error {
			tx.ex.outbox.remove(shardOf(e.key), e.key, &tx.batch.writes)
			return tx.takeBack(m)
		}})
	case !m.Expires.IsZero() && !now.Before(m.Expires):
		ex.settle(sent{m, Outcome{Fate: FateExpired, Parts: m.Sent}})
	case m.Marketing:
		ex.sending++ // the place with the sender is taken from now on
		ex.execute(task{name: "claim", run: func(tx *txn) error {
			m.Claimed = true
			tx.batch.writes.Put(e.key, m.append(nil))
			tx.batch.settled = append(tx.batch.settled, func() { ex.send(m) })
			return nil
		}})
	default:
		if left {
			ex.rt.metrics.inDoubt.WithLabelValues("sent_again").Inc()
		}
		ex.sending++
		ex.send(m)
	}
}

// send hands a message to its channel's sender.
func (ex *executor) send(m *Message) {
	sender := ex.rt.sender(m.Channel)
	if sender == nil {
		ex.results <- sent{m, Outcome{Fate: FateRejected, Code: "no_channel"}}
		return
	}
	sender.Send(m, func(o Outcome) { ex.results <- sent{m, o} })
}

func (ex *executor) units(m *Message) uint8 {
	if s := ex.rt.sender(m.Channel); s != nil {
		return s.Units(m)
	}
	return 1
}

// finished takes a result from a sender.
func (ex *executor) finished(r sent) {
	ex.sending--
	ex.settle(r)
}

// settle records what became of an attempt.
func (ex *executor) settle(r sent) {
	m, o := r.m, r.o
	if m.Relay == nil {
		ex.rt.metrics.sends.WithLabelValues(m.Channel, o.Fate.String()).Inc()
	}
	ex.execute(task{name: "send_result", run: func(tx *txn) error { return tx.settle(m, o) }})
}

// settle stores the outcome of an attempt, and tells the run that waits for it.
func (tx *txn) settle(m *Message, o Outcome) error {
	if o.Ref != 0 {
		m.Ref = o.Ref
	}
	m.Keys = append(m.Keys, o.Keys...)
	m.Sent = max(m.Sent, o.Parts)
	switch {
	case o.Fate == FateRetry:
		return tx.retry(m, o)
	case o.Fate == FateInDoubt && m.Marketing:
		tx.ex.rt.metrics.inDoubt.WithLabelValues("assumed_sent").Inc()
		o.Fate, o.Code, m.Sent = FateAccepted, "in_doubt", tx.ex.units(m)
	case o.Fate == FateInDoubt:
		tx.ex.rt.metrics.inDoubt.WithLabelValues("sent_again").Inc()
		return tx.retry(m, o)
	}
	tx.ex.outbox.remove(shardOf(m.entry.key), m.entry.key, &tx.batch.writes)
	if m.Receipt != nil || m.Relay != nil {
		return nil
	}
	if err := tx.expectReports(m, o.Carrier); err != nil {
		return err
	}
	if m.Origin.Person.IsZero() { // sent by an operator, not by a flow
		return nil
	}
	person, err := tx.member(m.Origin.Person)
	if err != nil || !person.exists {
		return err
	}
	result := &flowengine.SendResult{ID: m.ID, Origin: m.Origin, Channel: m.Channel, To: m.To, Carrier: o.Carrier, Parts: m.Sent, Accepted: o.Fate == FateAccepted, Code: o.Code, Vars: o.Vars}
	if !result.Accepted {
		result.Reason = o.Fate.String()
	}
	tx.step(person, result)
	return nil
}

// retry puts a message back for a later attempt, or gives it up when its
// validity ends before.
func (tx *txn) retry(m *Message, o Outcome) error {
	pause := o.After
	if pause <= 0 {
		pause = min(retryFirst<<min(m.Attempt, 16), retryMost)
	}
	due := tx.now.Add(pause)
	if !m.Expires.IsZero() && due.After(m.Expires) {
		if !tx.now.Before(m.Expires) {
			return tx.settle(m, Outcome{Fate: FateExpired, Carrier: o.Carrier, Code: o.Code})
		}
		due = m.Expires
	}
	s := shardOf(m.entry.key)
	tx.ex.outbox.remove(s, m.entry.key, &tx.batch.writes)
	if m.Attempt < 255 {
		m.Attempt++
	}
	m.Claimed = false
	if m.Sent > 0 { // the rest of its parts go where the first ones went
		m.Carrier = o.Carrier
	}
	tx.enqueue(s, m, due)
	return nil
}

// expectReports stores under which ids the delivery reports of a message will
// come, in the shard of the recipient's address, where reports look.
func (tx *txn) expectReports(m *Message, carrier string) error {
	to := reportAddress(m.To)
	for i, key := range m.Keys {
		if key == "" {
			continue
		}
		x := &expected{ID: m.ID, Origin: m.Origin, Part: uint8(i + 1), Parts: uint8(len(m.Keys))}
		var err error
		if tx.ex.owns(to.Shard()) {
			err = tx.expectReport(to, carrier, key, x)
		} else {
			body := record.AppendString(nil, 1, to.Value)
			body = record.AppendString(body, 2, carrier)
			body = record.AppendString(body, 3, key)
			err = tx.relay(&relay{Target: to.Shard(), Kind: relayExpect, Body: record.AppendNested(body, 4, x.append)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (tx *txn) receiveExpected(body []byte) error {
	to := flowengine.Address{Kind: flowengine.Phone}
	var carrier, key string
	x := new(expected)
	err := record.Decode(body, "expected report", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			to.Value = string(f.Bytes)
		case 2:
			carrier = string(f.Bytes)
		case 3:
			key = string(f.Bytes)
		case 4:
			x, err = decodeExpected(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.expectReport(to, carrier, key, x)
}

// reportAddress is the address in whose shard a report looks for its message.
func reportAddress(value string) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Phone, Value: keyword.Number(value)}
}
