package runtime

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

func (w *world) searched(p *flowengine.Predicate, zone *time.Location, limit int) (ids []flowengine.PersonID) {
	w.t.Helper()
	var after flowengine.PersonID
	for {
		page, next, err := w.rt.Search(w.t.Context(), p, zone, after, limit)
		w.must(err)
		if len(page) > limit {
			w.t.Fatalf("a page of %d persons, not %d", len(page), limit)
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		if next.IsZero() {
			return ids
		}
		after = next
	}
}

// A search finds whom asking everybody finds, each once, whether from an index or
// by looking at all, in pages of any length.
func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		w := start(t, memory.New(), Options{})
		w.reload(definitions[1:4])
		w.happenings(r, 500)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		conditions := []string{
			`{segment: {in: [vip, city]}}`, `{any: [{tag: vip}, {tag: red}, {segment: big}]}`, `{all: [{tag: vip}, {attr: shoeSize, op: gte, value: 43}]}`, `{not: {tag: vip}}`, `{tags: [gold, red], op: has_all}`,
		}
		for _, d := range definitions {
			s, err := flowengine.ParseSegment("s", []byte(d), w.rt.Schema())
			w.must(err)
			w.agreesWith(&s.Condition, s.Zone())
		}
		for _, c := range conditions {
			p, err := flowengine.ParsePredicate("c", []byte(c), w.rt.Schema())
			w.must(err)
			w.agreesWith(p, time.UTC)
		}
		p, err := flowengine.ParsePredicate("c", []byte(`{var: x, op: is, value: 1}`), w.rt.Schema())
		w.must(err)
		if _, _, err := w.rt.Search(t.Context(), p, time.UTC, flowengine.PersonID{}, 10); !errors.Is(err, ErrCondition) {
			t.Errorf("a condition on a variable: %v", err)
		}
	})
}

func (w *world) agreesWith(p *flowengine.Predicate, zone *time.Location) {
	w.t.Helper()
	var want []flowengine.PersonID
	for _, m := range w.everybody() {
		if p.Eval(&flowengine.View{Person: &m.Person, Past: past{w, m.Person.ID, &m.Passages}, Now: w.rt.now(), Zone: zone}) {
			want = append(want, m.Person.ID)
		}
	}
	for _, limit := range []int{1, 3, 1000} {
		expect(w.t, p.Words(), fmt.Sprint(w.searched(p, zone, limit)), fmt.Sprint(want))
	}
}
