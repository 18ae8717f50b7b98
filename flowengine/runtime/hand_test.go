package runtime

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// byHand is a runtime that the test drives; whoever waits lets everybody work.
func byHand(t *testing.T, store storage.Store, flow string) (*world, Hand) {
	t.Helper()
	w := &world{t: t, store: store}
	var h Hand // set before anybody waits
	work := func(ctx context.Context) error {
		for i := range h.Executors() {
			h.Collect(i)
			h.Commit(i)
			h.Apply(ctx, i)
			h.Release(i)
		}
		return ctx.Err()
	}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	rt, err := New(store, Options{Executors: 1, Now: func() time.Time { return now }, Await: work, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	w.rt, h = rt, rt.Hand()
	rt.Register("sms", w)
	_, err = w.publish(flow)
	w.must(err)
	for !h.Idle() {
		w.must(work(t.Context()))
	}
	return w, h
}

// X1: of what was not applied nothing is there, and of what was, everything, though
// nobody was told.
func TestHand(t *testing.T) {
	store := memory.New()
	w, h := byHand(t, store, shoeSize)
	answered := 0
	w.rt.Inbound(w.arrival("385911", "start"), func(err error) {
		w.must(err)
		answered++
	})
	inside := func(s *memory.Store) (n int) {
		problems, err := Audit(s, func(p *Profile) []string {
			n += len(p.Passages.Runs)
			return nil
		})
		w.must(err)
		for _, p := range problems {
			t.Error(p)
		}
		return n
	}
	h.Collect(0)
	h.Commit(0)
	expect(t, "inside before the commit", inside(store.Clone()), 0)
	expect(t, "something was to apply", h.Apply(t.Context(), 0), true)
	expect(t, "inside after it", inside(store.Clone()), 1)
	expect(t, "answers before the release", answered, 0)
	h.Release(0)
	expect(t, "answers", answered, 1)
	expect(t, "messages", len(w.texts()), 0)
	h.Collect(0) // the row is due
	expect(t, "messages", len(w.texts()), 1)
	if next := h.Next(); next.Before(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("the next deadline %s is past", next)
	}
}

// The audit sees what is missing, and what belongs to nothing.
func TestAudit(t *testing.T) {
	const waiting = `
flow: waiting
entries:
  - {id: e1, type: inbound_message, number: "38591000001", keywords: pause, next: p}
  - {id: e2, type: inbound_message, number: "38591000001", keywords: send, next: s}
elements:
  p: {type: pause, for: 1h}
  s: {type: send_sms, from: "38591000001", text: "Later", window: {from: "20:00", to: "22:00"}}
`
	store := memory.New()
	w, h := byHand(t, store, waiting)
	for i, text := range []string{"pause", "send"} {
		w.rt.Inbound(w.arrival(phoneOf(i).Value, text), w.must)
	}
	for !h.Idle() {
		w.must(w.rt.options.Await(t.Context()))
	}
	stranger := flowengine.NewPersonID(flowengine.Address{Kind: flowengine.Phone, Value: "1"}, 0)
	for _, c := range []struct {
		name  string
		kind  byte // of the records that are spoilt
		spoil func(b *storage.Batch, key, value []byte)
		want  string // "": no problem
	}{
		{"nothing", kindTimer, func(*storage.Batch, []byte, []byte) {}, ""},
		{"no timer", kindTimer, func(b *storage.Batch, key, _ []byte) { b.Delete(key) }, "there is no timer"},
		{"a timer of nobody", kindTimer, func(b *storage.Batch, key, _ []byte) {
			b.Put(runTimerKey(nil, stranger, flowengine.Deadline{Due: dueTime(key), Flow: "waiting", Number: 1}), nil)
		}, "belongs to no wait"},
		{"no message", kindOutbox, func(b *storage.Batch, key, _ []byte) { b.Delete(key) }, "1 messages of waiting/s, entry 1, are not settled, and 0 are in the outbox"},
		{"a message twice", kindOutbox, func(b *storage.Batch, key, value []byte) { b.Put(successor(key), value) }, "is in the outbox twice"},
		{"a cursor too far", kindOutbox, func(b *storage.Batch, key, _ []byte) { b.Put(cursorKey(nil, shardOf(key), kindOutbox), successor(key)) }, "is below the queue's cursor"},
		{"no index", kindActive, func(b *storage.Batch, key, _ []byte) { b.Delete(key) }, "the index does not say so"},
		{"an index of nobody", kindActive, func(b *storage.Batch, _, _ []byte) {
			b.Put(activeKey(nil, stranger, flowengine.RunKey{Flow: "waiting", Version: 1, Number: 1}), nil)
		}, "somebody is in a flow who is not"},
		{"no counters", kindTally, func(b *storage.Batch, key, _ []byte) { b.Delete(key) }, "the counters say entered 0"},
	} {
		spoilt := store.Clone()
		var b storage.Batch
		w.must(store.Scan(nil, nil, func(key, value []byte) bool {
			if key[2] == c.kind && shardOf(key) != metaShard {
				c.spoil(&b, key, value)
			}
			return true
		}))
		w.must(spoilt.Apply(&b))
		problems, err := Audit(spoilt, nil)
		w.must(err)
		found := strings.Join(problems, "; ")
		if (c.want == "") != (found == "") || !strings.Contains(found, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, found, c.want)
		}
	}
}
