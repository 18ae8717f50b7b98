package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// invited is a flow that a request lets people into; they stay until a timeout.
const invited = `
flow: invited
entries:
  - {id: api, type: flow_api, next: ask}
  - {id: text, type: inbound_message, number: "38591000001", keywords: [start], next: ask}
elements:
  ask:  {type: send_sms, from: "38591000001", text: "Hello {{ vars.name | default: 'you' }}", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 24h, branches: [{match: any, next: bye}], on: {timeout: bye}}
  bye:  {type: exit}
`

func phoneOf(n int) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("3859100%05d", n)}
}

func externalOf(n int) flowengine.Address {
	return flowengine.Address{Kind: flowengine.External, Value: fmt.Sprintf("crm-%d", n)}
}

// guests are participants with a phone number and an external id each; their
// records are in shards of both executors.
func guests(n int) []Participant {
	all := make([]Participant, n)
	for i := range all {
		all[i].Addresses = []flowengine.Address{phoneOf(i), externalOf(i)}
		all[i].Attrs.Set("shoeSize", flowengine.WholeValue(int64(i)))
		all[i].Vars.Set("name", flowengine.TextValue(fmt.Sprint("guest ", i)))
	}
	return all
}

func (w *world) accept(once *Once, participants ...Participant) OperationID {
	w.t.Helper()
	id, err := w.rt.Accept(context.Background(), &Operation{Flow: "invited", Entry: "api", Callback: "c", Participants: participants}, once)
	w.must(err)
	return id
}

func (w *world) operation(id OperationID) *OperationReport {
	w.t.Helper()
	synctest.Wait()
	o, err := w.rt.Operation(id)
	w.must(err)
	return o
}

// A1: everybody enters, with attributes and variables, and can be reached by each
// contact.
func TestParticipantsEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		id := w.accept(nil, guests(MaxParticipants)...)
		time.Sleep(time.Second)
		o := w.operation(id)
		expect(t, "accepted", o.Accepted, MaxParticipants)
		expect(t, "callback", o.Callback, "c")
		expect(t, "identifier", o.Participants[7].Identifier, phoneOf(7))
		expect(t, "engaged", w.counts("invited", "ask").Total, MaxParticipants)
		for _, a := range []flowengine.Address{phoneOf(7), externalOf(7)} {
			p, err := w.rt.Profile(t.Context(), Who{Address: a}, 0)
			w.must(err)
			expect(t, "person", p.Person.ID, o.Participants[7].Person)
			expect(t, "attribute", p.Person.Attrs.Get("shoeSize").Num, 7)
			expect(t, "addresses", len(p.Person.Addresses), 2)
			expect(t, "runs", len(p.Passages.Runs), 1)
		}
		w.recount()
	})
}

// A1: the answer is final. Whenever the daemon ends after it, everybody enters
// once. The stores are those that a crash after each batch leaves behind.
func TestParticipantsSurviveCrashes(t *testing.T) { // E7
	const n = 150
	synctest.Test(t, func(t *testing.T) {
		store := &camera{Store: memory.New()}
		w := start(t, store, Options{}, invited)
		id := w.accept(nil, guests(n)...)
		store.begin()
		time.Sleep(time.Second)
		expect(t, "accepted", w.operation(id).Accepted, n)
		w.must(w.stop())
		pictures := store.pictures()
		if len(pictures) < 5 {
			t.Fatalf("only %d batches", len(pictures))
		}
		for i := 0; i < len(pictures); i += 1 + len(pictures)/12 {
			w := start(t, pictures[i], Options{}, invited)
			time.Sleep(time.Second)
			o := w.operation(id)
			if o.Accepted != n || w.counts("invited", "ask").Unique != n || w.counts("invited", "ask").Total != n {
				t.Errorf("after batch %d: %d accepted, %+v", i, o.Accepted, w.counts("invited", "ask"))
			}
			w.recount()
			w.must(w.stop())
		}
	})
}

// camera keeps the state after each batch.
type camera struct {
	*memory.Store
	mu  sync.Mutex
	on  bool
	all []*memory.Store
}

func (c *camera) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on, c.all = true, []*memory.Store{c.Clone()}
}

func (c *camera) pictures() []*memory.Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

func (c *camera) Apply(b *storage.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.Store.Apply(b)
	if c.on {
		c.all = append(c.all, c.Clone())
	}
	return err
}

// One participant that is wrong does not stop the others, and each reason is told.
func TestParticipantsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once := invited + "settings: {reenter: false}\n"
		w := start(t, memory.New(), Options{}, once)
		w.rt.rejectConflicts.Store(true)
		w.operation(w.accept(nil, guests(3)...))
		time.Sleep(time.Second)
		_, err := w.rt.Remove(t.Context(), Who{Address: phoneOf(1)}, "invited", 0, "api")
		w.must(err)
		id := w.accept(nil,
			Participant{Addresses: []flowengine.Address{phoneOf(0)}},                // inside
			Participant{Addresses: []flowengine.Address{externalOf(1)}},             // was inside
			Participant{Addresses: []flowengine.Address{phoneOf(0), externalOf(2)}}, // two persons (A2)
			Participant{Rejected: RejectedAttribute, Detail: "hatSize"},             // A3
			Participant{}, // nobody
			Participant{Addresses: []flowengine.Address{phoneOf(0)}, Attrs: heavy(t, 70)},       // too large
			Participant{Addresses: []flowengine.Address{phoneOf(50)}},                           // fine
			Participant{Addresses: []flowengine.Address{phoneOf(50)}},                           // twice in one request
			Participant{Addresses: make([]flowengine.Address, MaxContacts+1)},                   // too many contacts
			Participant{Addresses: []flowengine.Address{phoneOf(60), phoneOf(61), phoneOf(62)}}, // fine
		)
		time.Sleep(time.Second)
		o := w.operation(id)
		want := []string{
			flowengine.RefusedReenter, flowengine.RefusedReenter, RejectedContact, RejectedAttribute, RejectedContact, RejectedAttribute,
			"", flowengine.RefusedReenter, RejectedContact, "",
		}
		for i, p := range o.Participants {
			if p.Reason != want[i] || p.Status != Accepted && p.Status != Rejected {
				t.Errorf("participant %d: %s %q (%s), want %q", i, p.Status, p.Reason, p.Detail, want[i])
			}
		}
	})
}

func heavy(t *testing.T, n int) (attrs flowengine.Attrs) {
	t.Helper()
	text := flowengine.TextValue(string(make([]byte, 1000)))
	for i := range n {
		attrs.Set(fmt.Sprint("a", i), text)
	}
	return attrs
}

// A1: the same key gets the same answer, and nobody enters twice for it.
func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		many := "settings: {allow_simultaneous: true}\n"
		w := start(t, store, Options{}, invited+many)
		key := &Once{Key: [32]byte{9, 1}, Request: [32]byte{1}}
		var all sync.Map
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { all.Store(w.accept(key, guests(5)...), true) })
		}
		group.Wait()
		time.Sleep(time.Second)
		w.must(w.stop())

		w = start(t, store, Options{}, invited+many)
		all.Store(w.accept(key, guests(5)...), true)
		time.Sleep(time.Second)
		n := 0
		all.Range(func(any, any) bool { n++; return true })
		expect(t, "different answers", n, 1)
		expect(t, "entries", w.counts("invited", "ask").Total, 5)
		_, err := w.rt.Accept(t.Context(), &Operation{Flow: "invited", Entry: "api", Participants: guests(1)}, &Once{Key: key.Key, Request: [32]byte{2}})
		if !errors.Is(err, ErrReused) {
			t.Errorf("another request with the key: %v", err)
		}
		store.Expire(time.Now().Add(onceTime))
		w.must(w.stop())
		w = start(t, store, Options{}, invited+many)
		w.accept(key, guests(5)...)
		time.Sleep(time.Second)
		expect(t, "entries a day later", w.counts("invited", "ask").Total, 10)
	})
}

// A3
func TestAcceptRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		for _, tt := range []struct {
			flow, entry string
			stopped     bool
			want        error
		}{
			{"nothing", "api", false, ErrNotFound},
			{"invited", "nothing", false, ErrNotFound},
			{"invited", "text", false, ErrNotFound},
			{"invited", "api", true, ErrNotActive},
		} {
			if tt.stopped {
				w.must(w.rt.StopFlow(t.Context(), tt.flow, 0))
			}
			_, err := w.rt.Accept(t.Context(), &Operation{Flow: tt.flow, Entry: tt.entry, Participants: guests(1)}, nil)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s/%s: %v, want %v", tt.flow, tt.entry, err, tt.want)
			}
		}
	})
}

// Many participants with the same new external id at the same time: one of them
// gets it. Who comes later is the same person, or is rejected when the number made
// another person meanwhile.
func TestContactIsClaimedOnce(t *testing.T) { // A2
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		var all []Participant
		for i := range 20 {
			all = append(all, Participant{Addresses: []flowengine.Address{phoneOf(i), externalOf(0)}})
		}
		id := w.accept(nil, all...)
		time.Sleep(time.Second)
		o := w.operation(id)
		expect(t, "accepted", o.Accepted, 1)
		p, err := w.rt.Profile(t.Context(), Who{Address: externalOf(0)}, 0)
		w.must(err)
		for _, r := range o.Participants {
			if r.Status == Accepted {
				expect(t, "owner", p.Person.ID, r.Person)
			} else if r.Reason != RejectedContact && r.Reason != flowengine.RefusedInFlow {
				t.Errorf("rejected for %s", r.Reason)
			}
		}
	})
}

// A requester that wants to be told is told once, when all is settled.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		w.rt.Register(NotifyChannel, w)
		id, err := w.rt.Accept(t.Context(), &Operation{Flow: "invited", Entry: "api", Notify: "https://crm.example/done", Participants: guests(100)}, nil)
		w.must(err)
		time.Sleep(time.Second)
		synctest.Wait()
		n := 0
		for _, m := range w.sent {
			if m.Channel == NotifyChannel {
				n++
				expect(t, "to", m.To, "https://crm.example/done")
				expect(t, "operation", m.Text, id.String())
			}
		}
		expect(t, "notifications", n, 1)
	})
}
