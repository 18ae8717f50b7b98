package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"trunkline/flowengine"
)

// MessageStatus is all that is known of one message: from the outbox, from its record
// where one is kept, and from the history of the person who got it.
type MessageStatus struct {
	Letter
	Person  flowengine.PersonID // zero: nobody whom we know
	Flow    string              // empty: no flow sent it
	Version uint32
	Number  uint32 // of the person's entry
	Element string
	// State is queued, held, sending, accepted, what a delivery report says, or why it was
	// not sent: rejected, expired.
	State string
	// Due and Expires are those of a message in the outbox.
	Due, Expires time.Time
	Units        uint32 // that a peer took (rule M3)
	flowengine.Charge
	History []Happening // the latest of what happened about it, oldest first
}

// messageHistory bounds what is told of a message.
const messageHistory = 200

// Message finds a message by its id. ErrNotFound: nothing is known of it, or not any more.
func (rt *Runtime) Message(ctx context.Context, id string) (*MessageStatus, error) {
	m := &MessageStatus{Letter: Letter{ID: id}}
	o, last, ofPerson := flowengine.ParseMessageID(id)
	known, err := rt.messageRecord(m, o, ofPerson)
	if err != nil {
		return nil, err
	}
	if ofPerson {
		m.Person, m.Flow, m.Number, m.Element = o.Person, o.Flow, o.Number, o.Element
		told, err := rt.messageTold(ctx, m, o, last)
		if err != nil {
			return nil, err
		}
		known = known || told
	}
	if known, err = rt.messageRow(ctx, m, o, known); err != nil {
		return nil, err
	}
	if !known {
		return nil, fmt.Errorf("%w: nothing is known of a message %q: it was never there, or is forgotten", ErrNotFound, id)
	}
	return m, nil
}

// messageRecord reads the record of a message.
func (rt *Runtime) messageRecord(m *MessageStatus, o flowengine.Origin, ofPerson bool) (known bool, err error) {
	l := &m.Letter
	if ofPerson {
		value, err := rt.store.Get(letterKey(o.Person.Shard(), l.ID), nil)
		if isNotFound(err) {
			return false, nil
		}
		if err = firstError(err, l.decode(value)); err != nil {
			return false, err
		}
	} else if l, err = rt.Letter(l.ID); errors.Is(err, ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	m.Letter = *l
	if !ofPerson { // else the history tells it
		m.Units = uint32(l.Parts)
	}
	switch n := len(l.Attempts); {
	case l.State != "":
		m.State = l.State
	case n > 0:
		m.State = l.Attempts[n-1].Fate.String()
	default:
		m.State = stateSending
	}
	return true, nil
}

// stateSending is that of a message of which nothing more is known than that it is on its way.
const stateSending = "sending"

// messageTold reads what the history of the person tells of a message.
func (rt *Runtime) messageTold(ctx context.Context, m *MessageStatus, o flowengine.Origin, last string) (known bool, err error) {
	p, err := rt.Profile(ctx, Who{ID: o.Person}, 0)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	here := p.Passages.OriginOf(o, p.Person.ID)
	m.Person, m.Number = here.Person, here.Number
	prefix := personKey(nil, kindLog, here.Person)
	var events []flowengine.Event
	var damaged error
	err = rt.store.Scan(prefix, nil, func(key, value []byte) bool {
		if events, damaged = flowengine.DecodeEvents(value, events[:0]); damaged != nil {
			return false
		}
		h := Happening{At: time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(prefix):]))).UTC()}
		for i := range events {
			if e := &events[i]; isAbout(e, &here, m.ID, last) {
				h.Events = append(h.Events, *e)
				m.tell(e)
			}
		}
		if len(h.Events) > 0 {
			m.History = append(m.History, h)
			if n := len(m.History); n > messageHistory {
				m.History = append(m.History[:1], m.History[n-messageHistory+1:]...)
			}
		}
		return ctx.Err() == nil
	})
	return len(m.History) > 0, firstError(err, damaged, ctx.Err())
}

// isAbout says whether an event is about the message with an id, which o sent.
func isAbout(e *flowengine.Event, o *flowengine.Origin, id, last string) bool {
	if o.Flow == "" { // an answer outside of flows
		return e.Flow == "" && e.MessageID(o.Person) == id
	}
	return e.Message == last && e.Flow == o.Flow && e.Number == o.Number && e.Element == o.Element
}

// tell adds what an event says.
func (m *MessageStatus) tell(e *flowengine.Event) {
	m.Version = e.Version
	switch e.Kind {
	case flowengine.Queued:
		m.State = stateSending
	case flowengine.Accepted:
		m.State = FateAccepted.String()
	case flowengine.Failed, flowengine.Reported:
		m.State = e.Detail
	default:
		return
	}
	m.Units += e.Units
	if e.Priced() || e.CostUnknown { // one tells it: when it was taken, or delivered
		m.Charge = e.Charge
	}
}

// messageRow looks for a message in the outbox: in the shard where its row is, if that is
// known. A message that is over has none.
func (rt *Runtime) messageRow(ctx context.Context, m *MessageStatus, o flowengine.Origin, known bool) (bool, error) {
	if !m.Done.IsZero() || known && m.State != stateSending && len(m.Attempts) == 0 {
		return known, nil
	}
	first, end := flowengine.Shard(0), flowengine.Shard(flowengine.Shards)
	switch {
	case !o.Person.IsZero():
		first, end = o.Person.Shard(), o.Person.Shard()+1
	case m.row > 0:
		first, end = flowengine.Shard(m.row-1), flowengine.Shard(m.row)
	}
	for s := first; s < end && ctx.Err() == nil; s++ {
		for _, prefix := range [...][]byte{appendPrefix(nil, s, kindOutbox), appendPrefix(nil, s, kindHeld)} {
			found := false
			err := rt.store.Scan(prefix, nil, func(key, value []byte) bool {
				row, damaged := decodeMessage(bytes.Clone(value)) // whoever sends it reports damage
				if damaged != nil || row.ID != m.ID || !row.toSomebody() {
					return ctx.Err() == nil
				}
				found = true
				m.wait(row, key)
				return false
			})
			if found || err != nil {
				return true, err
			}
		}
	}
	return known, ctx.Err()
}

// wait adds what the row of a message says that waits for its channel.
func (m *MessageStatus) wait(row *Message, key []byte) {
	l := letterOf(row)
	l.Queued, l.row = m.Queued, m.row
	m.Letter, m.Expires = *l, row.Expires
	if key[2] == kindOutbox {
		m.Due = dueTime(key)
	}
	if m.State = "queued"; row.Held || key[2] == kindHeld {
		m.State = "held"
	}
}
