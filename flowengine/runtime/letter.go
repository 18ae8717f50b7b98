package runtime

import (
	"fmt"
	"strings"
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

// Letter is the record of a message of which one is kept: because its channel does, or
// because no flow sent it, so that no history tells of it. It says what became of it, and
// of each attempt.
type Letter struct {
	ID       string
	Channel  string
	From, To string
	Subject  string
	Queued   time.Time // of a message that no flow sent
	Done     time.Time // zero: it is still in the outbox
	Attempts []Attempt
	Parts    uint8     // that a peer took
	State    string    // of the delivery report; likewise
	Reported time.Time // when that came

	row uint16 // of a message that no flow sent: the shard of its row, and 1
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
	if o.Untried || o.Trail == nil && !m.outside() {
		return
	}
	var a Attempt
	if o.Trail != nil {
		a = *o.Trail
	} else {
		a.Host = o.Carrier
	}
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
	letQueued
	letParts
	letState
	letReported
	letRow
)

func letterKey(s flowengine.Shard, id string) []byte {
	return append(appendPrefix(nil, s, kindLetter), id...)
}

// keepLetter writes the record of a message that has come to its end.
func (tx *txn) keepLetter(m *Message) error {
	l := letterOf(m)
	l.Done = tx.now
	if m.outside() {
		return tx.noteLetter(letterPlace(m.Channel, m.To), l)
	}
	if len(m.Tried) == 0 {
		return nil
	}
	tx.ex.record = l.append(tx.ex.record[:0])
	tx.batch.writes.PutUntil(letterKey(shardOf(m.entry.key), m.ID), tx.ex.record, tx.now.Add(tx.ex.rt.options.History))
	return nil
}

func letterOf(m *Message) *Letter {
	l := &Letter{ID: m.ID, Channel: m.Channel, From: m.From, To: m.To, Attempts: m.Tried, Parts: m.Sent}
	if m.Mail != nil {
		l.Subject = m.Mail.Subject
	}
	return l
}

// outside says that nobody whom we know got the message from a flow.
func (m *Message) outside() bool { return m.Origin.Person.IsZero() && m.toSomebody() }

// toSomebody says whether the row is a message, rather than work of ours.
func (m *Message) toSomebody() bool {
	return m.Relay == nil && m.Deferred == nil && m.Receipt == nil && m.Channel != HookChannel && m.Channel != NotifyChannel && m.Channel != flowengine.ChannelHTTP
}

// letterPlace is the address in whose shard the record of a message is kept that no
// flow sent: there it is found when whoever has the address is erased.
func letterPlace(channel, to string) flowengine.Address {
	if channel == channelEmail {
		return flowengine.Address{Kind: flowengine.Email, Value: strings.ToLower(to)}
	}
	return reportAddress(to)
}

// expectLetter notes that a message which no flow sends is on its way, with a row in
// shard s.
func (tx *txn) expectLetter(m *Message, s flowengine.Shard) error {
	if !m.outside() {
		return nil
	}
	l := letterOf(m)
	l.Queued, l.row = tx.now, uint16(s)+1
	return tx.noteLetter(letterPlace(m.Channel, m.To), l)
}

// noteLetter adds to what is kept of a message that no flow sent.
func (tx *txn) noteLetter(at flowengine.Address, l *Letter) error {
	body := record.AppendUint(nil, 1, uint64(at.Kind))
	body = record.AppendString(body, 2, at.Value)
	body = record.AppendString(body, 3, l.ID)
	return tx.relay(&relay{Target: at.Shard(), Kind: relayLetter, Body: record.AppendNested(body, 4, l.append)})
}

func (tx *txn) receiveLetter(body []byte) error {
	var at flowengine.Address
	l := new(Letter)
	err := record.Decode(body, "record of a message", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			at.Kind = flowengine.AddressKind(f.Uint)
		case 2:
			at.Value = string(f.Bytes)
		case 3:
			l.ID = string(f.Bytes)
		case 4:
			err = l.decode(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	key := letterKey(at.Shard(), l.ID)
	known, err := tx.get(key)
	if err == nil { // what comes later goes over it, field by field
		all := &Letter{ID: l.ID}
		if err := all.decode(known); err != nil {
			return err
		}
		if len(l.Attempts) > 0 {
			all.Attempts = nil
		}
		if err := all.decode(l.append(nil)); err != nil {
			return err
		}
		l = all
	} else if !isNotFound(err) {
		return err
	}
	until := tx.now.Add(tx.ex.rt.options.History)
	tx.put(key, l.append(nil), until)
	tx.put(letterOfKey(at, l.ID), nil, until)
	return nil
}

// letterOfKey lists a message that no flow sent with its recipient's address.
func letterOfKey(a flowengine.Address, id string) []byte {
	b := append(append(appendPrefix(nil, a.Shard(), kindLetterOf), byte(a.Kind)), a.Value...)
	return append(append(b, 0), id...)
}

// forgetLetters deletes the records of messages to an address that no flow sent.
func (tx *txn) forgetLetters(a flowengine.Address) error {
	prefix := letterOfKey(a, "")
	keys, err := tx.keysBelow(prefix)
	for _, key := range keys {
		tx.delete(key)
		tx.delete(letterKey(a.Shard(), string(key[len(prefix):])))
	}
	return err
}

// forgetLettersOf deletes the records of messages that flows sent to a person.
func (tx *txn) forgetLettersOf(id flowengine.PersonID) error {
	keys, err := tx.keysBelow(letterKey(id.Shard(), id.String()+"/"))
	for _, key := range keys {
		tx.delete(key)
	}
	return err
}

func (l *Letter) append(b []byte) []byte {
	b = record.AppendString(b, letChannel, l.Channel)
	b = record.AppendString(b, letFrom, l.From)
	b = record.AppendString(b, letTo, l.To)
	b = record.AppendString(b, letSubject, l.Subject)
	b = record.AppendTime(b, letQueued, l.Queued)
	b = record.AppendTime(b, letDone, l.Done)
	for i := range l.Attempts {
		b = record.AppendNested(b, letAttempt, l.Attempts[i].append)
	}
	b = record.AppendUint(b, letParts, uint64(l.Parts))
	b = record.AppendString(b, letState, l.State)
	b = record.AppendTime(b, letReported, l.Reported)
	return record.AppendUint(b, letRow, uint64(l.row))
}

func (l *Letter) decode(b []byte) error {
	return record.Decode(b, "record of message "+l.ID, func(f record.Field) (err error) {
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
		case letQueued:
			l.Queued = f.Time()
		case letParts:
			l.Parts = uint8(f.Uint)
		case letState:
			l.State = string(f.Bytes)
		case letReported:
			l.Reported = f.Time()
		case letRow:
			l.row = uint16(f.Uint)
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
		l := &Letter{ID: id}
		return l, l.decode(value)
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
