package runtime

import (
	"fmt"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// Attempt is one attempt to send a message, as its record tells it.
type Attempt struct {
	At    time.Time
	Fate  Fate
	Code  string
	Host  string // the peer
	TLS   string // how the connection was encrypted
	Reply string // what the peer said, or what went wrong
}

// Bounds of what a record keeps of a message's attempts.
const (
	attemptsKept = 12 // the first one and the latest
	replyKept    = 240
)

// Letter is the record of a message whose channel keeps one: what became of it, and each
// attempt.
type Letter struct {
	ID       string
	Channel  string
	From, To string
	Subject  string
	Done     time.Time // zero: it is still in the outbox
	Attempts []Attempt
}

const (
	attAt = iota + 1
	attFate
	attCode
	attHost
	attTLS
	attReply
)

func (a *Attempt) append(b []byte) []byte {
	b = record.AppendTime(b, attAt, a.At)
	b = record.AppendUint(b, attFate, uint64(a.Fate))
	b = record.AppendString(b, attCode, a.Code)
	b = record.AppendString(b, attHost, a.Host)
	b = record.AppendString(b, attTLS, a.TLS)
	return record.AppendString(b, attReply, a.Reply)
}

func decodeAttempt(b []byte) (a Attempt, err error) {
	return a, record.Decode(b, "attempt", func(f record.Field) error {
		switch f.Num {
		case attAt:
			a.At = f.Time()
		case attFate:
			if f.Uint >= uint64(len(fateNames)) {
				return fmt.Errorf("%w: fate %d", record.ErrDamaged, f.Uint)
			}
			a.Fate = Fate(f.Uint)
		case attCode:
			a.Code = string(f.Bytes)
		case attHost:
			a.Host = string(f.Bytes)
		case attTLS:
			a.TLS = string(f.Bytes)
		case attReply:
			a.Reply = string(f.Bytes)
		}
		return nil
	})
}

// tried notes an attempt on the row. What was not tried leaves no trace.
func (m *Message) tried(o *Outcome, now time.Time) {
	if o.Trail == nil || o.Untried {
		return
	}
	a := *o.Trail
	a.At, a.Fate, a.Code = now, o.Fate, o.Code
	if len(a.Reply) > replyKept {
		a.Reply = a.Reply[:replyKept]
	}
	if len(m.Tried) >= attemptsKept {
		m.Tried = append(m.Tried[:1:1], m.Tried[2:]...)
	}
	m.Tried = append(m.Tried[:len(m.Tried):len(m.Tried)], a)
}

const (
	letChannel = iota + 1
	letFrom
	letTo
	letSubject
	letDone
	letAttempt
)

func letterKey(s flowengine.Shard, id string) []byte {
	return append(appendPrefix(nil, s, kindLetter), id...)
}

// keepLetter writes the record of a message that has come to its end.
func (tx *txn) keepLetter(m *Message) {
	if len(m.Tried) == 0 {
		return
	}
	b := record.AppendString(tx.ex.record[:0], letChannel, m.Channel)
	b = record.AppendString(b, letFrom, m.From)
	b = record.AppendString(b, letTo, m.To)
	if m.Mail != nil {
		b = record.AppendString(b, letSubject, m.Mail.Subject)
	}
	b = record.AppendTime(b, letDone, tx.now)
	for i := range m.Tried {
		b = record.AppendNested(b, letAttempt, m.Tried[i].append)
	}
	tx.ex.record = b
	tx.batch.writes.PutUntil(letterKey(shardOf(m.entry.key), m.ID), b, tx.now.Add(tx.ex.rt.options.History))
}

func decodeLetter(id string, b []byte) (*Letter, error) {
	l := &Letter{ID: id}
	return l, record.Decode(b, "record of message "+id, func(f record.Field) (err error) {
		switch f.Num {
		case letChannel:
			l.Channel = string(f.Bytes)
		case letFrom:
			l.From = string(f.Bytes)
		case letTo:
			l.To = string(f.Bytes)
		case letSubject:
			l.Subject = string(f.Bytes)
		case letDone:
			l.Done = f.Time()
		case letAttempt:
			var a Attempt
			a, err = decodeAttempt(f.Bytes)
			l.Attempts = append(l.Attempts, a)
		}
		return err
	})
}

// Letter finds the record of a message. It is kept with the row, in whichever shard that
// was. ErrNotFound: there is none.
func (rt *Runtime) Letter(id string) (*Letter, error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		value, err := rt.store.Get(letterKey(s, id), nil)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return decodeLetter(id, value)
	}
	return nil, fmt.Errorf("%w: nothing is kept of a message %q", ErrNotFound, id)
}

// countSent counts a message that went out from a domain on this day, for plans of
// warming up. As with counters, all shards of an executor count in its first one.
func (tx *txn) countSent(domain string) error {
	key := sentKey(tx.ex.shards[0], domain, dayNumber(tx.now))
	n := uint64(0)
	value, err := tx.get(key)
	if err == nil {
		n, err = decodeSent(value)
	}
	if err != nil && !isNotFound(err) {
		return err
	}
	tx.put(key, record.AppendUint(nil, 1, n+1), tx.now.Add(sentKept))
	return nil
}

// sentKept is how long the count of a day is kept.
const sentKept = 3 * 24 * time.Hour

func sentKey(s flowengine.Shard, domain string, day int64) []byte {
	return append(appendPrefix(nil, s, kindSent), fmt.Sprintf("%d/%s", day, domain)...)
}

func decodeSent(b []byte) (n uint64, err error) {
	return n, record.Decode(b, "count of sent messages", func(f record.Field) error {
		if f.Num == 1 {
			n = f.Uint
		}
		return nil
	})
}

// dayNumber counts the days since 1970, in UTC.
func dayNumber(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// SentOn tells how many messages went out from a domain on a day since 1970.
func (rt *Runtime) SentOn(domain string, day int64) (n int) {
	for s := range flowengine.Shard(flowengine.Shards) {
		if value, err := rt.store.Get(sentKey(s, domain, day), nil); err == nil {
			if one, err := decodeSent(value); err == nil {
				n += int(one)
			}
		}
	}
	return n
}
