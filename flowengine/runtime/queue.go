package runtime

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
)

// The outbox as operators see it: messages that wait for their channel, and what can be
// done about them.

// QueueFilter says which messages are meant; what is empty does not matter.
type QueueFilter struct {
	Channel string
	ID      string
	Domain  string // of the recipient of a mail; of others: the beginning of the number
	Held    bool   // only those that are held
}

func (f *QueueFilter) fits(m *Message) bool {
	switch {
	case !m.toSomebody():
		return false
	case f.Channel != "" && f.Channel != m.Channel, f.ID != "" && f.ID != m.ID, f.Held && !m.Held:
		return false
	case f.Domain == "":
		return true
	case m.Channel == channelEmail:
		return strings.EqualFold(f.Domain, mailDomain(m.To))
	}
	return strings.HasPrefix(m.To, f.Domain)
}

func mailDomain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// QueueRow is a message in the outbox.
type QueueRow struct {
	ID       string
	Channel  string
	From, To string
	Subject  string // of a mail
	Due      time.Time
	Expires  time.Time
	Attempts int
	Held     bool
	Tried    []Attempt
}

// QueueGroup sums the messages to one destination up.
type QueueGroup struct {
	Channel     string
	Destination string // the domain of mails; of others all are one
	Rows, Held  int
	Next        time.Time // the first is due
	Last        Attempt   // the latest of all attempts
}

// destinationsTold bounds the destinations that are told apart; the rest is one.
const destinationsTold = 10_000

// Queue lists messages of the outbox by their time, limit at most, counts all, and sums
// them up by destination, the largest first.
func (rt *Runtime) Queue(ctx context.Context, f QueueFilter, limit int) (rows []QueueRow, groups []QueueGroup, total int, err error) {
	sums := map[[2]string]*QueueGroup{}
	for s := range flowengine.Shard(flowengine.Shards) {
		if err := ctx.Err(); err != nil {
			return nil, nil, 0, err
		}
		err := rt.store.Scan(appendPrefix(nil, s, kindOutbox), nil, func(key, value []byte) bool {
			m, damaged := decodeMessage(bytes.Clone(value)) // whoever sends it reports damage
			if damaged != nil || !f.fits(m) {
				return true
			}
			total++
			sumUp(sums, m, dueTime(key))
			if len(rows) < limit {
				rows = append(rows, queueRow(m, dueTime(key)))
			}
			return true
		})
		if err != nil {
			return nil, nil, 0, err
		}
	}
	slices.SortFunc(rows, func(a, b QueueRow) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
	for _, g := range sums {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b QueueGroup) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Destination, b.Destination))
	})
	return rows, groups, total, nil
}

func queueRow(m *Message, due time.Time) QueueRow {
	r := QueueRow{ID: m.ID, Channel: m.Channel, From: m.From, To: m.To, Due: due, Expires: m.Expires, Attempts: int(m.Attempt), Held: m.Held, Tried: m.Tried}
	if m.Mail != nil {
		r.Subject = m.Mail.Subject
	}
	return r
}

func sumUp(sums map[[2]string]*QueueGroup, m *Message, due time.Time) {
	k := [2]string{m.Channel, ""}
	if m.Channel == channelEmail {
		k[1] = mailDomain(m.To)
	}
	if sums[k] == nil && len(sums) >= destinationsTold {
		k[1] = "others"
	}
	g := sums[k]
	if g == nil {
		g = &QueueGroup{Channel: k[0], Destination: k[1], Next: due}
		sums[k] = g
	}
	g.Rows++
	if m.Held {
		g.Held++
	}
	if due.Before(g.Next) {
		g.Next = due
	}
	if n := len(m.Tried); n > 0 && m.Tried[n-1].At.After(g.Last.At) {
		g.Last = m.Tried[n-1]
	}
}

// QueueAction is what an operator does about messages.
type QueueAction string

// The actions.
const (
	QueueRetry QueueAction = "retry" // they are due now, also those that are held
	QueueDrop  QueueAction = "drop"  // they are not sent, and who waits for them hears so
	QueueHold  QueueAction = "hold"  // they wait until they are retried, or their validity ends
)

// codeDropped is the code of a message that an operator took out of the outbox.
const codeDropped = "dropped"

// queuePage bounds the rows that one task looks at.
const queuePage = 512

// ActOnQueue does something about all messages that fit, and tells about how many; sending counts
// those that were with their channel already. ErrNotFound: none fits.
func (rt *Runtime) ActOnQueue(ctx context.Context, f QueueFilter, a QueueAction) (done, sending int, err error) {
	fit := 0
	for s := range flowengine.Shard(flowengine.Shards) {
		from := appendPrefix(nil, s, kindOutbox)
		for from != nil {
			err := rt.do(ctx, rt.owner(s), "queue", func(tx *txn) (err error) {
				var p acted
				p, from, err = tx.actPage(s, from, &f, a)
				fit, done, sending = fit+p.fit, done+p.done, sending+p.sending
				return err
			})
			if err != nil {
				return done, sending, err
			}
		}
	}
	if fit == 0 {
		return 0, 0, fmt.Errorf("%w: no message in the outbox fits", ErrNotFound)
	}
	return done, sending, nil
}

// acted counts messages that fit, those about which something was done, and those that
// were with their channel.
type acted struct{ fit, done, sending int }

// actPage acts on the messages of one page of a shard's outbox. next is where the
// following page begins; nil: there is none.
func (tx *txn) actPage(s flowengine.Shard, from []byte, f *QueueFilter, a QueueAction) (p acted, next []byte, err error) {
	type found struct {
		key []byte
		m   *Message
	}
	var page []found
	prefix := appendPrefix(nil, s, kindOutbox)
	leaving, looked := tx.ex.leaving(prefix), 0
	err = tx.ex.rt.store.Scan(prefix, from, func(key, value []byte) bool {
		if looked++; looked > queuePage {
			next = bytes.Clone(key)
			return false
		}
		if m, damaged := decodeMessage(bytes.Clone(value)); damaged == nil && !leaving[string(key)] && f.fits(m) {
			page = append(page, found{bytes.Clone(key), m})
		}
		return true
	})
	if err != nil {
		return p, nil, err
	}
	p.fit = len(page)
	for _, x := range page {
		e := tx.ex.outbox.shards[s].known[string(x.key)]
		if e != nil && e.taken {
			p.sending++
			continue
		}
		if e == nil {
			e = &dueEntry{key: x.key}
		}
		x.m.entry = e
		changed, err := tx.act(s, x.m, a)
		if err != nil {
			return p, nil, err
		}
		if changed {
			p.done++
		}
	}
	return p, next, nil
}

// act does something about one message; false: it is so already.
func (tx *txn) act(s flowengine.Shard, m *Message, a QueueAction) (bool, error) {
	due := tx.now
	switch {
	case a == QueueDrop:
		return true, tx.settle(m, Outcome{Fate: FateRejected, Code: codeDropped})
	case a == QueueHold && m.Held, a == QueueRetry && !m.Held && !dueTime(m.entry.key).After(tx.now):
		return false, nil
	case a == QueueHold:
		if due = m.Expires; due.IsZero() {
			due = tx.now.Add(holdMost)
		}
		m.Held = true
	default:
		m.Held = false
	}
	tx.ex.outbox.remove(s, m.entry.key, &tx.batch.writes)
	tx.enqueue(s, m, due)
	return true, nil
}

// holdMost is how long a message is held that has no validity.
const holdMost = 5 * 24 * time.Hour
