package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

func (w *world) amend(who Who, c *flowengine.Change) flowengine.PersonID {
	w.t.Helper()
	c.Source = "api"
	acted, err := w.rt.Amend(context.Background(), who, c)
	w.must(err)
	return acted.Person
}

// Erasing leaves nothing of the person, wherever it was kept, but the counters.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, invited)
		w.answer = func(*Message) (Outcome, bool) { return Outcome{Fate: FateRetry, After: time.Hour}, true }
		operation := w.accept(nil, guests(10)...)
		time.Sleep(time.Second)
		for i := range 10 {
			who := Who{Address: phoneOf(i)}
			w.amend(who, &flowengine.Change{AddAddresses: []flowengine.Address{{Kind: flowengine.Email, Value: fmt.Sprintf("guest%d@example.com", i)}}, AddTags: []flowengine.Tag{flowengine.NewTag("vip")}})
			_, err := w.rt.Happen(t.Context(), who, &flowengine.Happened{ID: "1", Name: "bought", At: time.Now()})
			w.must(err)
		}
		before := w.counts("invited", "ask")
		for i := range 10 {
			id, err := w.rt.Erase(t.Context(), Who{Address: externalOf(i)})
			w.must(err)
			_, err = w.rt.Erase(t.Context(), Who{ID: id})
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("erasing nobody: %v", err)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.must(w.stop())
		for _, text := range []string{"3859100", "crm-", "@example.com", "vip", "bought"} {
			w.must(store.Scan(nil, nil, func(key, value []byte) bool {
				if bytes.Contains(key, []byte(text)) || bytes.Contains(value, []byte(text)) {
					if key[2] != kindVersion || shardOf(key) != metaShard {
						t.Errorf("%q is still in a record of kind %c", text, key[2])
					}
				}
				return true
			}))
		}
		for _, kind := range []byte{areaPeople, kindActive, kindTimer, kindOutbox, kindAddress} {
			for s := range flowengine.Shard(flowengine.Shards) {
				w.must(store.Scan(appendPrefix(nil, s, kind), nil, func(key, _ []byte) bool {
					t.Errorf("a record of kind %c is left: %q", kind, key)
					return true
				}))
			}
		}
		w = start(t, store, Options{}, invited)
		expect(t, "counters", w.counts("invited", "ask"), before)
		o := w.operation(operation)
		expect(t, "identifier", o.Participants[3].Identifier, flowengine.Address{})
		expect(t, "accepted", o.Accepted, 10)
		w.must(w.inbound(w.arrival(phoneOf(3).Value, "hello"))) // somebody new
		if got := len(w.person(phoneOf(3).Value).Person.Addresses); got != 1 {
			t.Errorf("the new person has %d addresses", got)
		}
	})
}

// A message from an address whose person is being erased makes a new person,
// whichever executor owns what.
func TestEraseWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		phones := []flowengine.Address{phoneOf(1), phoneOf(2), phoneOf(3), phoneOf(4), phoneOf(5), phoneOf(6)}
		w.accept(nil, Participant{Addresses: phones})
		time.Sleep(time.Second)
		synctest.Wait()
		erased := make(chan error, 1)
		go func() {
			_, err := w.rt.Erase(context.Background(), Who{Address: phones[0]})
			erased <- err
		}()
		for i := range 20 {
			for _, a := range phones {
				if err := w.inbound(w.arrival(a.Value, fmt.Sprint("hello ", i))); err != nil && !errors.Is(err, ErrOverload) {
					t.Errorf("%v", err)
				}
			}
		}
		w.must(<-erased)
		synctest.Wait()
		for _, a := range phones {
			w.must(w.inbound(w.arrival(a.Value, "again")))
			first := w.person(a.Value).Person
			if n := len(first.Addresses); n != 1 {
				t.Errorf("%s leads to a person with %d addresses", a.Value, n)
			}
			w.must(w.inbound(w.arrival(a.Value, "once more")))
			expect(t, "the person who writes again", w.person(a.Value).Person.ID, first.ID)
		}
	})
}

// A4: the runs end, their timers go, and what was not sent is not sent.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, invited)
		w.answer = func(*Message) (Outcome, bool) { return Outcome{Fate: FateRetry, After: time.Hour}, true }
		w.accept(nil, guests(2)...)
		time.Sleep(time.Second)
		synctest.Wait()
		sent := len(w.texts())
		out, err := w.rt.Remove(t.Context(), Who{Address: externalOf(0)}, "invited", 0, "api")
		w.must(err)
		expect(t, "runs", out.Runs, 1)
		expect(t, "withdrawn", out.Withdrawn, 1)
		_, err = w.rt.Remove(t.Context(), Who{Address: externalOf(0)}, "invited", 0, "api")
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("removing again: %v", err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		expect(t, "attempts after it", len(w.texts()), sent+2) // the other guest's only
		p, err := w.rt.Profile(t.Context(), Who{Address: phoneOf(0)}, 100)
		w.must(err)
		reason := ""
		for _, h := range p.History {
			for _, e := range h.Events {
				if e.Kind == flowengine.Exited {
					reason = e.Detail
				}
			}
		}
		expect(t, "exit reason", reason, "api")
		expect(t, "failed", w.counts("invited", "ask").Failed, 1)
		w.recount()
	})
}

// Addresses lead to one person; dropped ones are free again.
func TestAmend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		first := w.amend(Who{Address: phoneOf(1), Create: true}, &flowengine.Change{AddAddresses: []flowengine.Address{externalOf(1)}})
		second := w.amend(Who{Address: phoneOf(2), Create: true}, &flowengine.Change{})
		_, err := w.rt.Amend(t.Context(), Who{ID: second}, &flowengine.Change{AddAddresses: []flowengine.Address{externalOf(1)}})
		if !errors.Is(err, ErrTaken) {
			t.Fatalf("taking another's id: %v", err)
		}
		people, err := w.rt.Lookup(t.Context(), []flowengine.Address{externalOf(1), phoneOf(2), phoneOf(1), phoneOf(9)})
		w.must(err)
		expect(t, "people", fmt.Sprint(people), fmt.Sprint([]flowengine.PersonID{first, second}))
		w.amend(Who{ID: first}, &flowengine.Change{DropAddresses: []flowengine.Address{externalOf(1)}})
		synctest.Wait()
		w.amend(Who{ID: second}, &flowengine.Change{AddAddresses: []flowengine.Address{externalOf(1)}})
		p, err := w.rt.Profile(t.Context(), Who{Address: externalOf(1)}, 0)
		w.must(err)
		expect(t, "owner", p.Person.ID, second)
		_, err = w.rt.Amend(t.Context(), Who{Address: phoneOf(9)}, &flowengine.Change{})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("amending nobody: %v", err)
		}
		_, err = w.rt.Amend(t.Context(), Who{ID: first}, &flowengine.Change{Set: heavy(t, 300)})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("too much: %v", err)
		}
	})
}

// An event with an id happens once to a person.
func TestHappenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, invited)
		e := &flowengine.Happened{ID: "e-1", Name: "bought", At: time.Now()}
		who := Who{Address: externalOf(1), Create: true}
		for range 3 {
			_, err := w.rt.Happen(t.Context(), who, e)
			w.must(err)
		}
		_, err := w.rt.Happen(t.Context(), Who{Address: externalOf(2)}, e)
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		synctest.Wait()
		p, err := w.rt.Profile(t.Context(), who, 10)
		w.must(err)
		events, _, err := w.rt.Events(p.Person.ID, Mark{}, 10)
		w.must(err)
		expect(t, "events", len(events), 1)
	})
}

// Pages show everything once.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		w.accept(nil, guests(53)...)
		time.Sleep(time.Second)
		synctest.Wait()
		seen := map[flowengine.PersonID]bool{}
		var after flowengine.PersonID
		for pages := 0; ; pages++ {
			page, next, err := w.rt.People(after, 10, nil)
			w.must(err)
			for _, p := range page {
				seen[p.ID] = true
			}
			if next.IsZero() {
				break
			}
			if after = next; pages > 10 {
				t.Fatal("no end")
			}
		}
		expect(t, "people", len(seen), 53)
		id := w.amend(Who{Address: phoneOf(0)}, &flowengine.Change{})
		n := 0
		var mark Mark
		for {
			page, next, err := w.rt.History(id, mark, 1)
			w.must(err)
			n += len(page)
			if next == (Mark{}) {
				break
			}
			mark = next
		}
		p := w.person(phoneOf(0).Value)
		expect(t, "history", n, len(p.History))
	})
}
