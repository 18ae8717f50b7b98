package runtime

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

const askedAgain = `
flow: asked
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [go], next: ask}]
elements:
  ask:  {type: send_sms, from: "38591000001", text: "Size?", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 1h, branches: [{match: any, next: ask}]}
`

func (w *world) message(id string) *MessageStatus {
	w.t.Helper()
	m, err := w.rt.Message(w.t.Context(), id)
	w.must(err)
	return m
}

// What became of a message is found by its id: of each that an element sent, too,
// and when its person was merged into another one.
func TestMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, askedAgain)
		phone := phoneOf(1)
		w.must(w.inbound(w.arrival(phone.Value, "go")))
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.answer = func(*Message) (Outcome, bool) {
			return Outcome{Fate: FateRetry, Carrier: "out", Code: "busy", After: time.Hour}, true
		}
		w.mu.Unlock()
		w.must(w.inbound(w.arrival(phone.Value, "big")))
		synctest.Wait()
		w.must(w.report(phone.Value, "1", StateDelivered))
		w.mu.Lock()
		first, second := w.sent[0].ID, w.sent[1].ID
		w.mu.Unlock()

		m := w.message(first)
		if m.State != StateDelivered || m.Flow != "asked" || m.Element != "ask" || m.Number != 1 || m.Version != 1 || m.Units != 1 || !m.CostUnknown || len(m.History) != 3 {
			t.Errorf("%+v", m)
		}
		for _, h := range m.History {
			if h.Events[0].MessageID(m.Person) != first {
				t.Errorf("%+v", h)
			}
		}
		m = w.message(second)
		if m.State != "queued" || m.To != phone.Value || m.Channel != "sms" || !m.Due.Equal(time.Now().Add(time.Hour)) || len(m.History) != 1 {
			t.Errorf("%+v", m)
		}
		for _, unknown := range []string{"", "/", "api/1", first + "1", strings.Replace(first, "/ask/", "/wait/", 1), phone.Value + "/x", m.Person.String() + "/x"} {
			if _, err := w.rt.Message(t.Context(), unknown); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", unknown, err)
			}
		}

		older := phoneOf(2)
		_, err := w.rt.Act(t.Context(), Who{Address: older, Create: true}, &flowengine.Change{Source: "api"})
		w.must(err)
		_, err = w.rt.Merge(t.Context(), []flowengine.PersonID{w.profile(phone).Person.ID, w.profile(older).Person.ID})
		w.must(err)
		time.Sleep(time.Minute)
		if m = w.message(first); m.State != StateDelivered || m.Person != w.profile(phone).Person.ID {
			t.Errorf("after the merger: %+v", m)
		}
	})
}

// A message that no flow sent is known by its record, which goes with its recipient.
func TestMessageOutsideOfFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, askedAgain)
		w.must(w.inbound(w.arrival("385919", "hello")))
		send := func(id string, once *Once) {
			t.Helper()
			_, err := w.rt.SendOnce(t.Context(), &Message{Send: flowengine.Send{ID: id, Channel: "sms", From: number, To: "385919", Text: "hi", Expires: time.Now().Add(time.Hour)}}, once)
			w.must(err)
			synctest.Wait()
		}
		var refuse atomic.Bool
		w.mu.Lock()
		w.answer = func(*Message) (Outcome, bool) {
			if refuse.Load() {
				return Outcome{Fate: FateRetry, Carrier: "out", Code: "busy", After: time.Minute}, true
			}
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 2, Keys: []string{"k1", "k2"}}, true
		}
		w.mu.Unlock()
		for i, once := range []*Once{nil, {Key: [32]byte{200}, Request: [32]byte{1}}} {
			id := []string{"api/1", "api/2"}[i]
			refuse.Store(true)
			send(id, once)
			m := w.message(id)
			if m.State != "queued" || len(m.Attempts) != 1 || m.Attempts[0].Code != "busy" || m.To != "385919" || !m.Queued.Equal(time.Now()) {
				t.Errorf("%+v", m)
			}
			refuse.Store(false)
			time.Sleep(2 * time.Minute)
			if m = w.message(id); m.State != "accepted" || len(m.Attempts) != 2 || m.Attempts[1].Host != "out" || m.Units != 2 || m.Done.IsZero() {
				t.Errorf("%+v", m)
			}
			w.must(w.report("385919", "k1", StateDelivered))
			w.must(w.report("385919", "k2", StateDelivered))
			synctest.Wait()
			if m = w.message(id); m.State != StateDelivered || m.Reported.IsZero() || len(m.Attempts) != 2 || m.From != number {
				t.Errorf("%+v", m)
			}
		}
		_, err := w.rt.Erase(t.Context(), Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: "385919"}})
		w.must(err)
		synctest.Wait()
		if _, err := w.rt.Message(t.Context(), "api/1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		w.must(w.stop())
		w.must(store.Scan(nil, nil, func(key, value []byte) bool {
			if bytes.Contains(append(key, value...), []byte("385919")) {
				t.Errorf("something is left of the recipient in a record of kind %c", key[2])
			}
			return true
		}))
	})
}
