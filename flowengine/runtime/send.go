package runtime

import (
	"bytes"
	"encoding/binary"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/ivr"
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
	// Untried: a retry that is due to us, not to the peer, counts as no attempt.
	Untried bool
	Vars    flowengine.Attrs // what the peer answered
	Call    *ivr.Outcome     // of a call
	// Dead: the peer says that the address takes no messages, and never will.
	Dead bool
	// Domain is the sending domain that an accepted message counts for; empty: nobody counts.
	Domain string
	// Trail tells how the attempt went, where the channel keeps a record of its messages.
	Trail *Attempt
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
	tx.ex.record = m.append(tx.ex.record[:0])
	e := &dueEntry{key: key}
	if m.Relay == nil && m.Deferred == nil {
		e.row = m // nobody changes it before it is sent
	} else {
		e.value = bytes.Clone(tx.ex.record)
	}
	tx.schedule(tx.ex.outbox, s, tx.ex.record, e)
	return key
}

// message is the row of the outbox that an entry stands for.
func (e *dueEntry) message() (m *Message, err error) {
	if m = e.row; m == nil {
		if m, err = decodeMessage(e.value); err != nil {
			return nil, err
		}
	}
	m.entry = e
	return m, nil
}

// dispatch gives a due row of the outbox to its channel.
func (ex *executor) dispatch(e *dueEntry, now time.Time) {
	m, err := e.message()
	if err != nil {
		ex.rt.log.Error("a row of the outbox can't be read and is dropped", "error", err)
		ex.execute(task{name: "damaged", run: func(tx *txn) error {
			tx.ex.outbox.remove(shardOf(e.key), e.key, &tx.batch.writes)
			return nil
		}})
		return
	}
	left := dueOf(e.key) < ex.started && m.Attempt == 0 // it may have been with a peer when the daemon ended
	switch {
	case m.Relay != nil:
		ex.handOver(m)
	case m.Deferred != nil:
		ex.execute(task{name: "deferred", run: func(tx *txn) error { return tx.takeEffect(m, e) }})
	case ex.suppressed(m):
		ex.settle(sent{m, Outcome{Fate: FateRejected, Code: codeSuppressed, Trail: new(Attempt)}})
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
	case m.Pacing.Paced() && m.Attempt == 0 && !ex.ready(m, now):
	case ex.unwanted(m):
		ex.settle(sent{m, Outcome{Fate: FateRejected, Parts: m.Sent, Code: "unwanted"}})
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
	m.tried(&o, tx.now)
	if err := tx.noteOutcome(m, &o); err != nil {
		return err
	}
	switch {
	case o.Fate == FateRetry && !tx.orphaned(m):
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
	if m.Channel == HookChannel {
		tx.settleHook(m, o)
		return nil
	}
	if o.Fate == FateAccepted {
		if err := tx.mailTaken(m); err != nil {
			return err
		}
	}
	if err := tx.keepLetter(m); err != nil {
		return err
	}
	owed, err := tx.tellFlows(m, o)
	if err != nil {
		return err
	}
	return tx.expectReports(m, o.Carrier, owed)
}

// noteOutcome keeps what an outcome says beyond its message: that an address is dead, and
// that a domain has sent one more.
func (tx *txn) noteOutcome(m *Message, o *Outcome) error {
	if o.Dead {
		if err := tx.suppressDead(m, o.Code); err != nil {
			return err
		}
	}
	if o.Domain != "" {
		return tx.countSent(o.Domain)
	}
	return nil
}

// tellFlows lets the flows of the person know what became of a message, and
// tells what is to be paid for it once it is delivered.
func (tx *txn) tellFlows(m *Message, o Outcome) (owed flowengine.Charge, err error) {
	if m.Origin.Person.IsZero() { // sent by an operator, not by a flow
		tx.tellResult(m, o)
		return owed, nil
	}
	result := &flowengine.SendResult{ID: m.ID, Origin: m.Origin, Channel: m.Channel, To: m.To, Carrier: o.Carrier, Parts: m.Sent, Accepted: o.Fate == FateAccepted, Code: o.Code, Vars: o.Vars, Data: m.Data, Call: o.Call}
	if !result.Accepted {
		result.Reason = o.Fate.String()
		if o.Call != nil {
			result.Reason = string(o.Call.Port)
		}
	}
	// Whoever hears of it, here or, after a merger, elsewhere: the price is that of now.
	return tx.ex.rt.set.Load().Owed(result, tx.now), tx.tellOutcome(result, m.Origin.Person, time.Time{})
}

// tellOutcome lets the flows of a person know what became of a message. The person
// may have been merged into the one at whom it is told.
func (tx *txn) tellOutcome(r *flowengine.SendResult, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, r.Origin.Person, until, r, func(at flowengine.PersonID, until time.Time) *relay {
		body := record.AppendBytes(nil, resAt, at[:])
		return &relay{Target: at.Shard(), Kind: relayResult, Body: appendResult(record.AppendTime(body, resUntil, until), r)}
	})
}

const (
	resAt = iota + 1
	resUntil
	resID
	resOrigin
	resChannel
	resTo
	resCarrier
	resParts
	resAccepted
	resReason
	resCode
	resVars
	resData
	resCall
)

func appendResult(b []byte, r *flowengine.SendResult) []byte {
	b = record.AppendString(b, resID, r.ID)
	b = record.AppendNested(b, resOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &r.Origin) })
	b = record.AppendString(b, resChannel, r.Channel)
	b = record.AppendString(b, resTo, r.To)
	b = record.AppendString(b, resCarrier, r.Carrier)
	b = record.AppendUint(b, resParts, uint64(r.Parts))
	b = record.AppendBool(b, resAccepted, r.Accepted)
	b = record.AppendString(b, resReason, r.Reason)
	b = record.AppendString(b, resCode, r.Code)
	b = record.AppendNested(b, resVars, func(b []byte) []byte {
		return flowengine.AppendPerson(b, &flowengine.Person{Attrs: r.Vars})
	})
	b = flowengine.AppendData(b, resData, r.Data)
	return appendCallOutcome(b, resCall, r.Call)
}

func (tx *txn) receiveResult(body []byte) error {
	r := new(flowengine.SendResult)
	var at flowengine.PersonID
	var until time.Time
	err := record.Decode(body, "result of a message", func(f record.Field) (err error) {
		switch f.Num {
		case resAt:
			copy(at[:], f.Bytes)
		case resUntil:
			until = f.Time()
		case resID:
			r.ID = string(f.Bytes)
		case resOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &r.Origin)
		case resChannel:
			r.Channel = string(f.Bytes)
		case resTo:
			r.To = string(f.Bytes)
		case resCarrier:
			r.Carrier = string(f.Bytes)
		case resParts:
			r.Parts = uint8(f.Uint)
		case resAccepted:
			r.Accepted = f.Bool()
		case resReason:
			r.Reason = string(f.Bytes)
		case resCode:
			r.Code = string(f.Bytes)
		case resVars:
			var vars flowengine.Person
			err = flowengine.DecodePerson(f.Bytes, &vars, nil)
			r.Vars = vars.Attrs
		case resData:
			err = flowengine.DecodeData(f.Bytes, &r.Data)
		case resCall:
			r.Call, err = decodeCallOutcome(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = tx.tellOutcome(r, at, until)
	return err
}

// tellResult tells those who want to hear of it what became of a message that
// no flow sent.
func (tx *txn) tellResult(m *Message, o Outcome) {
	set := tx.ex.rt.hooks.Load()
	if set == nil || m.Channel == NotifyChannel {
		return
	}
	e := flowengine.Event{Kind: flowengine.Accepted, Units: uint32(m.Sent)}
	if o.Fate != FateAccepted {
		e.Kind, e.Detail = flowengine.Failed, o.Fate.String()
	}
	r := &flowengine.SendResult{ID: m.ID, Channel: m.Channel, To: m.To, Carrier: o.Carrier, Code: o.Code, Data: m.Data}
	tx.tellHooks(set, shardOf(m.entry.key), flowengine.PersonID{}, r, []flowengine.Event{e})
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
	if m.Attempt < 255 && !o.Untried {
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
// come, where reports look: see [reportPlace].
func (tx *txn) expectReports(m *Message, carrier string, owed flowengine.Charge) error {
	for i, key := range m.Keys {
		if key == "" {
			continue
		}
		to, carrier := reportPlace(m.Channel, m.To, carrier, key)
		x := &expected{ID: m.ID, Origin: m.Origin, Data: m.Data, Part: uint8(i + 1), Parts: uint8(len(m.Keys)), Owed: owed, Mail: m.Channel == channelEmail}
		if x.Mail {
			x.To = m.To
		}
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

// channelEmail is the channel of mails.
const channelEmail = "email"

// reportPlace is where the report about a message finds it: with the address of the
// recipient, since ids of carriers are not unique. That of a mail is ours and is, and
// a notice about it may come from anywhere and name another recipient: the mail may
// have been forwarded. So its reference stands in the place of both.
func reportPlace(channel, to, carrier, key string) (place flowengine.Address, under string) {
	if channel == channelEmail {
		return flowengine.Address{Kind: flowengine.Phone, Value: key}, channel
	}
	return reportAddress(to), carrier
}

// reportAddress is the address in whose shard a report looks for its message.
func reportAddress(value string) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Phone, Value: keyword.Number(value)}
}
