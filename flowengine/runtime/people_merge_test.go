package runtime

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// shop has a goal, a limit, and asks by text.
const shop = `
flow: shop
entries:
  - {id: api, type: flow_api, next: ask}
  - {id: text, type: inbound_message, number: "38591000001", keywords: [buy], next: ask}
elements:
  ask:  {type: send_sms, from: "38591000001", text: "Size?", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 24h, branches: [{match: any, next: save}], on: {timeout: bye}}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: bye}}
  bye:  {type: exit}
settings: {entry_limits: [{max: 2, per: 1d}]}
goals: [{id: bought, event: Bought, window: 7d}]
`

func emailOf(n int) flowengine.Address {
	return flowengine.Address{Kind: flowengine.Email, Value: fmt.Sprintf("p%d@example.com", n)}
}

func (w *world) profile(a flowengine.Address) *Profile {
	w.t.Helper()
	p, err := w.rt.Profile(w.t.Context(), Who{Address: a}, 1000)
	w.must(err)
	return p
}

// A2: contacts of several persons make them one. The oldest survives with all
// that both had, conversations go on, and limits, goals and counters know one
// person (E4, G3, M2, M5, M6).
func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := range 8 { // of each other's shards and executors
			store := memory.New()
			w := start(t, store, Options{}, shop)
			oldest := w.amend(Who{Address: externalOf(n), Create: true}, &flowengine.Change{
				Set: []flowengine.Attr{{Name: "firstName", Value: flowengine.TextValue("Ana")}}, AddTags: []flowengine.Tag{flowengine.NewTag("crm")}, Block: []flowengine.AddressKind{flowengine.Email},
			})
			time.Sleep(time.Second)
			for range 2 { // once through and once inside
				w.must(w.inbound(w.arrival(phoneOf(n).Value, "buy")))
				time.Sleep(time.Minute)
				if n := len(w.profile(phoneOf(n)).Passages.Runs); n != 1 {
					t.Fatalf("%d runs", n)
				}
				if w.profile(phoneOf(n)).Passages.Membership("shop").Entries == 1 {
					w.must(w.inbound(w.arrival(phoneOf(n).Value, "41")))
				}
			}
			w.amend(Who{Address: phoneOf(n)}, &flowengine.Change{
				Set:     []flowengine.Attr{{Name: "firstName", Value: flowengine.TextValue("Anna")}, {Name: "city", Value: flowengine.TextValue("Split")}},
				AddTags: []flowengine.Tag{flowengine.NewTag("texts")}, AddAddresses: []flowengine.Address{emailOf(n)},
			})
			younger := w.profile(phoneOf(n)).Person.ID
			_, err := w.rt.Happen(t.Context(), Who{ID: younger}, &flowengine.Happened{ID: "1", Name: "Bought", At: time.Now()})
			w.must(err)
			id, err := w.rt.Accept(t.Context(), &Operation{Flow: "shop", Entry: "api", Participants: []Participant{{Addresses: []flowengine.Address{externalOf(n), phoneOf(n)}}}}, nil)
			w.must(err)
			time.Sleep(time.Second)
			o := w.operation(id)
			expect(t, "participant inside already", o.Participants[0].Reason, flowengine.RefusedInFlow) // E2
			for _, a := range []flowengine.Address{externalOf(n), phoneOf(n), emailOf(n)} {
				expect(t, "survivor by "+a.Value, w.profile(a).Person.ID, oldest)
			}
			p := w.profile(phoneOf(n))
			expect(t, "survivor's attribute", p.Person.Attrs.Get("firstName").Str, "Ana")
			expect(t, "added attribute", p.Person.Attrs.Get("city").Str, "Split")
			expect(t, "tags", fmt.Sprint(p.Person.HasTag(flowengine.NewTag("crm")), p.Person.HasTag(flowengine.NewTag("texts"))), "true true")
			expect(t, "do not contact", p.Person.Blocked(flowengine.Email), true)
			expect(t, "addresses", len(p.Person.Addresses), 3)
			expect(t, "by the old id", w.personBy(younger).Person.ID, oldest)
			events, _, err := w.rt.Events(oldest, Mark{}, 10)
			w.must(err)
			expect(t, "events", len(events), 1)
			happened, err := w.rt.Happen(t.Context(), Who{ID: oldest}, &flowengine.Happened{ID: "1", Name: "Bought", At: time.Now()})
			w.must(err)
			expect(t, "an event of before", happened.Outcome, OutcomeRepeated)
			w.must(w.inbound(w.arrival(phoneOf(n).Value, "43"))) // the conversation goes on
			synctest.Wait()
			expect(t, "answer", w.profile(phoneOf(n)).Person.Attrs.Get("shoeSize").Num, 43)
			w.must(w.inbound(w.arrival(phoneOf(n).Value, "buy"))) // E4: twice a day, merged or not
			synctest.Wait()
			expect(t, "runs beyond the limit", len(w.profile(phoneOf(n)).Passages.Runs), 0)
			w.onlyPersons(oldest)
			w.recount()
			w.must(w.stop())
		}
	})
}

func (w *world) personBy(id flowengine.PersonID) *Profile {
	w.t.Helper()
	p, err := w.rt.Profile(w.t.Context(), Who{ID: id}, 100)
	w.must(err)
	return p
}

// onlyPersons checks who is there, and that nothing lies under another id.
func (w *world) onlyPersons(want ...flowengine.PersonID) {
	w.t.Helper()
	synctest.Wait()
	page, _, err := w.rt.People(flowengine.PersonID{}, 100_000, nil)
	w.must(err)
	var got []flowengine.PersonID
	for i := range page {
		got = append(got, page[i].ID)
	}
	slices.SortFunc(want, func(a, b flowengine.PersonID) int { return slices.Compare(a[:], b[:]) })
	slices.SortFunc(got, func(a, b flowengine.PersonID) int { return slices.Compare(a[:], b[:]) })
	if !slices.Equal(got, want) {
		w.t.Errorf("persons %v, want %v", got, want)
	}
	w.must(w.store.Scan(nil, nil, func(key, _ []byte) bool {
		if len(key) > kindAt && key[2] == areaPeople && slices.Contains(moving[:], key[kindAt]) {
			id := flowengine.PersonID(append(slices.Clone(key[:2]), key[3:kindAt]...))
			if !slices.Contains(want, id) {
				w.t.Errorf("a record of kind %c is left of %s", key[kindAt], id)
			}
		}
		return true
	}))
}

// M2, M5, M6, G3: whom two counted for once each counts once when they are one.
func TestMergeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shop)
		for n := range 6 {
			for _, m := range []int{2 * n, 2*n + 1} {
				w.must(w.inbound(w.arrival(phoneOf(m).Value, "buy")))
				time.Sleep(time.Second)
				w.must(w.inbound(w.arrival(phoneOf(m).Value, "42")))
				_, err := w.rt.Happen(t.Context(), Who{Address: phoneOf(m)}, &flowengine.Happened{Name: "Bought", At: time.Now()})
				w.must(err)
			}
		}
		expect(t, "unique", w.counts("shop", "ask").Unique, 12)
		for n := range 6 {
			_, err := w.rt.Merge(t.Context(), []flowengine.PersonID{w.profile(phoneOf(2 * n)).Person.ID, w.profile(phoneOf(2*n + 1)).Person.ID})
			w.must(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.recount()
		expect(t, "total", w.counts("shop", "ask").Total, 12)
		expect(t, "unique", w.counts("shop", "ask").Unique, 6)
		sums, err := ReadTallies(w.store)
		w.must(err)
		expect(t, "recipients", sums["shop"].Recipients, 6)
		mark, _ := w.rt.GoalMark("shop", "bought")
		expect(t, "goal", *sums["shop"].Goals[GoalKey{"bought", "", mark}], GoalCounts{Reached: 6, Converted: 6, Events: 12})
	})
}

// U1, A2: a click on a link that was sent to a person before the merger is the
// survivor's, and whoever clicked as two persons counts once. Erasing the survivor
// forgets the links.
func TestMergeClicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := range 4 {
			w := start(t, memory.New(), Options{}, offer)
			var tokens []flowengine.LinkToken
			var people []flowengine.PersonID
			for _, a := range []flowengine.Address{phoneOf(2 * n), phoneOf(2*n + 1), phoneOf(100 + n)} {
				w.must(w.inbound(w.arrival(a.Value, "shop")))
				synctest.Wait()
				tokens = append(tokens, w.token())
				people = append(people, w.profile(a).Person.ID)
				time.Sleep(time.Millisecond)
			}
			w.must(w.click(tokens[0], false))
			w.must(w.click(tokens[1], false))
			survivor, err := w.rt.Merge(t.Context(), people)
			w.must(err)
			expect(t, "survivor", survivor, people[0])
			w.must(w.click(tokens[1], false))
			w.must(w.click(tokens[2], false))
			time.Sleep(time.Second)
			synctest.Wait()
			c := w.counts("offer", "send")
			expect(t, "clicks", c.Clicks, 4)
			expect(t, "persons who clicked", c.Clickers, 1)
			p := w.profile(phoneOf(100 + n))
			expect(t, "tagged by the click", p.Person.HasTag(flowengine.NewTag("curious")), true)
			expect(t, "runs", len(p.Passages.Runs), 0)
			w.onlyPersons(survivor)
			w.recount()
			_, err = w.rt.Erase(t.Context(), Who{ID: survivor})
			w.must(err)
			synctest.Wait()
			for _, token := range tokens {
				if _, err := w.rt.Link(token); !errors.Is(err, ErrNotFound) {
					t.Errorf("a link of an erased person: %v", err)
				}
			}
			w.must(w.stop())
		}
	})
}

// A2: on_conflict: reject, of the request or of all.
func TestMergeRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		a := w.amend(Who{Address: phoneOf(1), Create: true}, &flowengine.Change{})
		b := w.amend(Who{Address: externalOf(1), Create: true}, &flowengine.Change{})
		both := Participant{Addresses: []flowengine.Address{phoneOf(1), externalOf(1)}}
		reject := func(c Conflict) string {
			id, err := w.rt.Accept(t.Context(), &Operation{Flow: "invited", Entry: "api", Participants: []Participant{both}, OnConflict: c}, nil)
			w.must(err)
			time.Sleep(time.Second)
			return w.operation(id).Participants[0].Reason
		}
		expect(t, "of the request", reject(ConflictReject), RejectedContact)
		w.rt.rejectConflicts.Store(true)
		expect(t, "of all", reject(ConflictDefault), RejectedContact)
		w.onlyPersons(a, b)
		expect(t, "of the request against all", reject(ConflictMerge), "")
		w.onlyPersons(min2(a, b, w))
	})
}

func min2(a, b flowengine.PersonID, w *world) flowengine.PersonID {
	p := w.personBy(a).Person.ID
	expect(w.t, "one person", w.personBy(b).Person.ID, p)
	return p
}

// A2: a merger that would make more of a person than is kept changes nothing.
func TestMergeTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		var phones [2][]flowengine.Address
		var ids []flowengine.PersonID
		for i := range phones {
			for n := range 60 {
				phones[i] = append(phones[i], phoneOf(100*i+n))
			}
			ids = append(ids, w.amend(Who{Address: phones[i][0], Create: true}, &flowengine.Change{AddAddresses: phones[i]}))
		}
		_, err := w.rt.Merge(t.Context(), ids)
		if !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		w.onlyPersons(ids...)
		if err := w.rt.on(t.Context(), Who{ID: ids[0]}, "amend", func(_ *txn, m *member) error { return roomFor(m, &flowengine.Change{AddAddresses: phones[1]}, nil) }); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	})
}

// A2, E7: whenever the daemon ends, the merger is finished after the next start,
// and what was on its way to the persons finds them.
func TestMergeSurvivesCrashes(t *testing.T) {
	const n = 6
	synctest.Test(t, func(t *testing.T) {
		store := &camera{Store: memory.New()}
		w := start(t, store, Options{}, shop)
		for i := range n {
			w.amend(Who{Address: externalOf(i), Create: true}, &flowengine.Change{AddAddresses: []flowengine.Address{emailOf(i)}})
		}
		time.Sleep(time.Second)
		w.answer = func(*Message) (Outcome, bool) { return Outcome{Fate: FateRetry, After: time.Minute}, true } // in the outbox meanwhile
		for i := range n {
			w.must(w.inbound(w.arrival(phoneOf(i).Value, "buy")))
			w.must(w.inbound(w.arrival(phoneOf(i+n).Value, "buy")))
		}
		synctest.Wait()
		store.begin()
		op := &Operation{Flow: "shop", Entry: "api"}
		for i := range n {
			op.Participants = append(op.Participants, Participant{Addresses: []flowengine.Address{phoneOf(i + n), externalOf(i), phoneOf(i)}})
		}
		_, err := w.rt.Accept(t.Context(), op, nil)
		w.must(err)
		accepted := len(store.pictures())
		time.Sleep(time.Second)
		synctest.Wait()
		w.must(w.stop())
		pictures := store.pictures()
		if len(pictures)-accepted < 8 {
			t.Fatalf("only %d batches", len(pictures))
		}
		for at := accepted - 1; at < len(pictures); at++ {
			w := start(t, pictures[at], Options{}, shop)
			time.Sleep(5 * time.Minute) // messages go out, and are answered
			synctest.Wait()
			var persons []flowengine.PersonID
			for i := range n {
				p := w.profile(externalOf(i))
				persons = append(persons, p.Person.ID)
				for _, a := range []flowengine.Address{emailOf(i), phoneOf(i), phoneOf(i + n)} {
					expect(t, fmt.Sprintf("batch %d: %s", at, a.Value), w.profile(a).Person.ID, p.Person.ID)
				}
				expect(t, "addresses", len(p.Person.Addresses), 4)
				expect(t, "entries", p.Passages.Membership("shop").Entries, 2)
				expect(t, "runs", len(p.Passages.Runs), 1) // E2
				if len(p.Passages.Runs) == 1 {
					expect(t, "where", p.Passages.Runs[0].Element, "wait")
				}
			}
			w.onlyPersons(persons...)
			expect(t, "unique", w.counts("shop", "ask").Unique, n)
			expect(t, "sent", w.counts("shop", "ask").Sent, 2*n)
			w.recount()
			w.must(w.stop())
		}
	})
}

// A2: whatever order persons are merged, written to and the daemon restarted in,
// an address leads to the person whom it was last told to be of, nothing is lost,
// and a recount agrees.
func TestMergeProperty(t *testing.T) {
	const people = 10
	rapid.Check(t, func(rt *rapid.T) {
		type act struct{ kind, a, b int }
		acts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
			return act{rapid.IntRange(0, 5).Draw(t, "kind"), rapid.IntRange(0, people-1).Draw(t, "a"), rapid.IntRange(0, people-1).Draw(t, "b")}
		}), 1, 25).Draw(rt, "acts")
		synctest.Test(t, func(t *testing.T) {
			store := storage.Store(memory.New())
			w := start(t, store, Options{}, shop)
			group := make([]int, people) // union of who was merged
			for i := range people {
				group[i] = i
				w.amend(Who{Address: phoneOf(i), Create: true}, &flowengine.Change{AddAddresses: []flowengine.Address{emailOf(i)}})
				time.Sleep(time.Millisecond)
			}
			events := 0
			for _, x := range acts {
				switch x.kind {
				case 0, 1: // merged by a request that nobody waits for
					_, err := w.rt.Accept(t.Context(), &Operation{Flow: "shop", Entry: "api", Participants: []Participant{{Addresses: []flowengine.Address{phoneOf(x.a), emailOf(x.b)}}}}, nil)
					w.must(err)
					from, to := group[x.a], group[x.b]
					for i := range group {
						if group[i] == from {
							group[i] = to
						}
					}
				case 2:
					if err := w.inbound(w.arrival(phoneOf(x.a).Value, "buy")); err != nil && !errors.Is(err, ErrOverload) {
						t.Error(err)
					}
				case 3:
					_, err := w.rt.Happen(t.Context(), Who{Address: emailOf(x.a)}, &flowengine.Happened{Name: "Bought", At: time.Now()})
					w.must(err)
					events++
				case 4:
					w.must(w.stop())
					w = start(t, store, Options{}, shop)
				case 5:
					time.Sleep(time.Duration(x.a) * 10 * time.Millisecond)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			survivors := map[int]flowengine.PersonID{}
			kept := 0
			for i := range people {
				p := w.profile(phoneOf(i))
				expect(t, "the e-mail address leads where the phone does", w.profile(emailOf(i)).Person.ID, p.Person.ID)
				if id, ok := survivors[group[i]]; ok {
					expect(t, "one person", p.Person.ID, id)
					continue
				}
				survivors[group[i]] = p.Person.ID
				members := 0
				for _, g := range group {
					if g == group[i] {
						members++
					}
				}
				expect(t, "addresses", len(p.Person.Addresses), 2*members)
				page, _, err := w.rt.Events(p.Person.ID, Mark{}, 1000)
				w.must(err)
				kept += len(page)
			}
			expect(t, "events", kept, events)
			var ids []flowengine.PersonID
			for _, id := range survivors {
				ids = append(ids, id)
			}
			w.onlyPersons(ids...)
			w.recount()
			w.must(w.stop())
			if t.Failed() {
				t.Logf("acts %+v", acts)
			}
		})
	})
}

// Erasing forgets those who were merged, too.
func TestEraseMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shop)
		for i := range 12 {
			w.must(w.inbound(w.arrival(phoneOf(i).Value, "buy")))
		}
		time.Sleep(time.Second)
		for i := range 6 {
			id, err := w.rt.Merge(t.Context(), []flowengine.PersonID{w.profile(phoneOf(i)).Person.ID, w.profile(phoneOf(i + 6)).Person.ID})
			w.must(err)
			_, err = w.rt.Erase(t.Context(), Who{ID: id})
			w.must(err)
		}
		time.Sleep(time.Hour)
		w.onlyPersons()
		w.must(store.Scan(nil, nil, func(key, _ []byte) bool {
			if key[2] == areaPeople && shardOf(key) != metaShard {
				t.Errorf("a record is left: %q", key)
			}
			return true
		}))
	})
}
