package runtime

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

func imported(n int, city string) *flowengine.Change {
	return &flowengine.Change{
		Source: "import", Set: []flowengine.Attr{{Name: "city", Value: flowengine.TextValue(city)}},
		AddAddresses: []flowengine.Address{phoneOf(n), emailOf(n), externalOf(n)},
	}
}

// A2, A3: rows make persons, update them or merge them; later rows see earlier
// ones, and one that is refused stops no other.
func TestImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, invited)
		var rows []*flowengine.Change
		const n = 1000
		for i := range n {
			rows = append(rows, imported(i, "Split"))
		}
		w.imports(rows, map[ImportStatus]int{Created: n})
		w.imports(rows, map[ImportStatus]int{Unchanged: n}) // tried again
		synctest.Wait()
		for _, a := range []flowengine.Address{phoneOf(7), emailOf(7), externalOf(7)} {
			p := w.profile(a)
			expect(t, "addresses", len(p.Person.Addresses), 3)
			expect(t, "city", p.Person.Attrs.Get("city").Str, "Split")
		}
		crowded := imported(5, "Pula")
		for i := range flowengine.MaxOfKind {
			crowded.AddAddresses = append(crowded.AddAddresses, phoneOf(10_000+i))
		}
		w.imports([]*flowengine.Change{
			imported(1, "Zadar"), crowded, imported(1, "Zagreb"),
			{AddAddresses: []flowengine.Address{phoneOf(2), emailOf(3)}}, // two persons
			{AddAddresses: []flowengine.Address{phoneOf(n), externalOf(4)}},
			{AddAddresses: []flowengine.Address{phoneOf(n + 1)}}, {AddAddresses: []flowengine.Address{phoneOf(n + 1), emailOf(n + 1)}},
		}, map[ImportStatus]int{Created: 1, Updated: 5, NotImported: 1})
		time.Sleep(time.Second)
		expect(t, "the later row", w.profile(phoneOf(1)).Person.Attrs.Get("city").Str, "Zagreb")
		expect(t, "the refused row", w.profile(phoneOf(5)).Person.Attrs.Get("city").Str, "Split")
		expect(t, "merged", w.profile(phoneOf(2)).Person.ID, w.profile(externalOf(3)).Person.ID)
		expect(t, "a new phone number", w.profile(phoneOf(n)).Person.ID, w.profile(emailOf(4)).Person.ID)
		page, _, err := w.rt.People(flowengine.PersonID{}, 10*n, nil)
		w.must(err)
		expect(t, "persons", len(page), n-1+1)
		out, err := w.rt.Import(t.Context(), []*flowengine.Change{{AddAddresses: []flowengine.Address{phoneOf(6), emailOf(7)}}}, ConflictReject)
		w.must(err)
		expect(t, "of two persons", out[0].Status, NotImported)
	})
}

func (w *world) imports(rows []*flowengine.Change, want map[ImportStatus]int) {
	w.t.Helper()
	out, err := w.rt.Import(w.t.Context(), rows, ConflictMerge)
	w.must(err)
	got := map[ImportStatus]int{}
	for i := range out {
		got[out[i].Status]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("imported %v, want %v", got, want)
	}
}

// An import that was cut off at any moment is complete when it is tried again,
// whatever else wrote to the same people meanwhile.
func TestImportSurvivesCrashes(t *testing.T) {
	const n = 300
	synctest.Test(t, func(t *testing.T) {
		store := &camera{Store: memory.New()}
		w := start(t, store, Options{}, invited)
		var rows []*flowengine.Change
		for i := range n {
			rows = append(rows, imported(i, "Split"))
		}
		store.begin()
		var g sync.WaitGroup
		g.Go(func() {
			for i := range n {
				_ = w.inbound(w.arrival(phoneOf(i).Value, "hello"))
			}
		})
		_, err := w.rt.Import(t.Context(), rows, ConflictMerge)
		w.must(err)
		g.Wait()
		w.must(w.stop())
		pictures := store.pictures()
		for at := 0; at < len(pictures); at += 1 + len(pictures)/15 {
			w := start(t, pictures[at], Options{}, invited)
			for i := range 20 {
				if err := w.inbound(w.arrival(phoneOf(i).Value, "hello again")); err != nil {
					t.Error(err)
				}
			}
			_, err := w.rt.Import(context.Background(), rows, ConflictMerge)
			w.must(err)
			time.Sleep(time.Second)
			synctest.Wait()
			for i := range n {
				p := w.profile(phoneOf(i))
				if len(p.Person.Addresses) != 3 || w.profile(emailOf(i)).Person.ID != p.Person.ID || w.profile(externalOf(i)).Person.ID != p.Person.ID {
					t.Fatalf("after batch %d: person %d has %v", at, i, p.Person.Addresses)
				}
			}
			page, _, err := w.rt.People(flowengine.PersonID{}, 10*n, nil)
			w.must(err)
			expect(t, "persons", len(page), n)
			w.must(w.stop())
		}
	})
}

// Erasing forgets delivery reports too: those that are expected, and those that
// came before their message.
func TestEraseReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, invited)
		for i := range 5 {
			w.must(w.inbound(w.arrival(phoneOf(i).Value, "start")))
		}
		time.Sleep(time.Second)
		for i := range 5 {
			w.must(w.report(phoneOf(i).Value, fmt.Sprint("early ", i), StateDelivered))
		}
		synctest.Wait()
		for i := range 4 {
			_, err := w.rt.Erase(t.Context(), Who{Address: phoneOf(i)})
			w.must(err)
		}
		synctest.Wait()
		left := map[byte]int{}
		w.must(store.Scan(nil, nil, func(key, _ []byte) bool {
			if shardOf(key) != metaShard {
				left[key[2]]++
			}
			return true
		}))
		expect(t, "expected reports", left[kindMessage], 1)
		expect(t, "early reports", left[kindEarly], 1)
	})
}
