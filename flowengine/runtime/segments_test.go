package runtime

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// reload publishes segments, given as YAML, and flows.
func (w *world) reload(segments []string, flows ...string) {
	w.t.Helper()
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole}, flowengine.Attribute{Name: "lastVisit", Type: flowengine.DateTime})
	w.must(err)
	p := Publication{Numbers: []*flowengine.Number{{Value: number, Channel: "sms"}}}
	var ids []string
	for _, text := range segments {
		s, err := flowengine.ParseSegment("segment.yaml", []byte(text), schema)
		w.must(err)
		p.Segments, ids = append(p.Segments, s), append(ids, s.ID)
	}
	p.Schema = schema.WithSegments(ids...)
	for i, f := range flows {
		v, err := flowengine.ParseFlow(fmt.Sprintf("flow%d.yaml", i), []byte(f), p.Schema, nil)
		w.must(err)
		p.Flows = append(p.Flows, v)
	}
	_, err = w.rt.Publish(w.t.Context(), p)
	w.must(err)
}

// everybody reads all persons, with their segments.
func (w *world) everybody() (all []*Profile) {
	w.t.Helper()
	var after flowengine.PersonID
	for {
		page, next, err := w.rt.People(after, 100, nil)
		w.must(err)
		for i := range page {
			p, err := w.rt.Profile(w.t.Context(), Who{ID: page[i].ID}, 0)
			w.must(err)
			all = append(all, p)
		}
		if next.IsZero() {
			return all
		}
		after = next
	}
}

// found reads all pages of a query.
func (w *world) found(q Query, limit int) (ids []flowengine.PersonID) {
	w.t.Helper()
	var after flowengine.PersonID
	for {
		page, next, err := w.rt.Find(w.t.Context(), q, after, limit)
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

// past is what the store remembers of a person.
type past struct {
	w  *world
	id flowengine.PersonID
	p  *flowengine.Passages
}

func (p past) Events(name string) (all []flowengine.Happened) {
	events, _, err := p.w.rt.Events(p.id, Mark{}, 1000)
	p.w.must(err)
	for _, e := range events {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

func (p past) Message(string) flowengine.MessageSeen { return flowengine.MessageSeen{} }

func (p past) LastContact(channel string) time.Time {
	for _, c := range p.p.Contacts {
		if c.Channel == channel {
			return c.At
		}
	}
	return time.Time{}
}

// indexesAgree compares every index with what asking everybody says. Snapshots
// are compared when they were just computed.
func (w *world) indexesAgree(snapshots bool) {
	w.t.Helper()
	people := w.everybody()
	n, err := w.rt.Persons()
	w.must(err)
	expect(w.t, "persons", n, uint64(len(people)))
	tags := map[string][]flowengine.PersonID{"": nil, "none": nil}
	for _, p := range people {
		for _, t := range p.Person.Tags {
			tags[t.Fold] = append(tags[t.Fold], p.Person.ID)
		}
	}
	for tag, want := range tags {
		expect(w.t, "tag "+tag, fmt.Sprint(w.found(Query{Tags: []flowengine.Tag{{Fold: tag}}}, 3)), fmt.Sprint(want))
	}
	for _, s := range w.rt.set.Load().Segments() {
		var want []flowengine.PersonID
		for _, p := range people {
			in := p.Person.In(s.ID)
			if (s.RealTime() || snapshots) && s.Holds(&p.Person, past{w, p.Person.ID, &p.Passages}, w.rt.now()) != in {
				w.t.Errorf("segment %s at %s: in it %t: %+v", s.ID, w.rt.now(), in, p.Person)
			}
			if in {
				want = append(want, p.Person.ID)
			}
		}
		expect(w.t, "segment "+s.ID, fmt.Sprint(w.found(Query{Segments: []string{s.ID}}, 3)), fmt.Sprint(want))
		status, err := w.rt.SegmentOf(s.ID)
		w.must(err)
		expect(w.t, "members of "+s.ID, status.Members, uint64(len(want)))
	}
	w.indexKeys(people)
}

// indexKeys says that no index has a key too many or too few.
func (w *world) indexKeys(people []*Profile) {
	w.t.Helper()
	want := map[string]bool{}
	for _, p := range people {
		want[string(rollKey(p.Person.ID))] = true
		for _, x := range p.Person.Sources() {
			want[string(sourceKey(nil, x, p.Person.ID))] = true
		}
	}
	got := map[string]bool{}
	for s := range flowengine.Shard(flowengine.Shards) {
		for _, kind := range []byte{kindIndex, kindRoll} {
			w.must(w.store.Scan(appendPrefix(nil, s, kind), nil, func(key, _ []byte) bool { got[string(key)] = true; return true }))
		}
	}
	if !maps.Equal(got, want) {
		w.t.Errorf("the indexes have %d keys, not %d", len(got), len(want))
	}
}

var definitions = []string{
	"segment: vip\ncondition: {tag: vip}",
	"segment: vip\ncondition: {any: [{tag: vip}, {tag: gold}]}", // the same, changed
	"segment: city\ncondition: {attr: city, op: in, value: [Split, Zagreb]}",
	"segment: big\ncondition: {all: [{attr: shoeSize, op: gt, value: 44}, {not: {tag: vip}}]}",
	"segment: nobody\ncondition: {all: [{attr: city, op: is, value: Rome}, {attr: city, op: is, value: Split}]}",
	"segment: empty\ncondition: {attr: city, op: is_empty}",
	"segment: birthday\ntimezone: Europe/Zagreb\ncondition: {attr: birthDate, op: will_be_within, value: 2}",
	"segment: lately\ncondition: {attr: lastVisit, op: was_within, value: 36h}",
	"segment: buyers\ncondition: {event: Bought, within: 2d}",
	"segment: twice\ncondition: {event: Bought, count: {op: gte, value: 2}}",
	"segment: croats\ncondition: {attr: phone, op: country_is, value: HR}",
	"segment: frozen\nupdate: snapshot\ncondition: {all: [{tag: gold}, {attr: shoeSize, op: lt, value: 45}]}",
	"segment: iced\nupdate: snapshot\ncondition: {attr: shoeSize, op: lt, value: 43}",
}

// segmentsOf picks some definitions, of each segment at most one.
func segmentsOf(r *rand.Rand) (picked []string) {
	taken := map[string]bool{}
	for _, i := range r.Perm(len(definitions)) {
		name, _, _ := strings.Cut(definitions[i], "\n")
		if !taken[name] && r.IntN(3) > 0 {
			taken[name] = true
			picked = append(picked, definitions[i])
		}
	}
	return picked
}

// happenings changes people at random.
func (w *world) happenings(r *rand.Rand, n int) {
	w.t.Helper()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range n {
		kind := flowengine.Phone
		value := fmt.Sprintf("38591%03d", r.IntN(40))
		if r.IntN(3) == 0 {
			kind, value = flowengine.External, fmt.Sprintf("x-%d", r.IntN(10))
		}
		who := Who{Address: flowengine.Address{Kind: kind, Value: value}, Create: true}
		set := func(name string, v flowengine.Value) *flowengine.Change {
			if r.IntN(5) == 0 {
				v = flowengine.Value{}
			}
			return &flowengine.Change{Source: "api", Set: []flowengine.Attr{{Name: name, Value: v}}}
		}
		soon := time.Now().Add(time.Duration(r.Int64N(int64(6*24*time.Hour))) - 3*24*time.Hour).Truncate(time.Millisecond)
		var c flowengine.Cause
		switch r.IntN(9) {
		case 0:
			c = set("city", flowengine.TextValue(pick("Split", "ZAGREB", "Rome")))
		case 1:
			c = set("shoeSize", flowengine.WholeValue(int64(40+r.IntN(8))))
		case 2:
			c = set("birthDate", flowengine.DateValue(soon.AddDate(-r.IntN(40), 0, 0)))
		case 3:
			c = set("lastVisit", flowengine.DateTimeValue(soon))
		case 4:
			c = &flowengine.Happened{Name: pick("Bought", "Left"), At: soon}
		case 5, 6:
			c = &flowengine.Change{Source: "api", AddTags: []flowengine.Tag{flowengine.NewTag(pick("vip", "Gold", "red"))}}
		case 7:
			c = &flowengine.Change{Source: "api", RemoveTags: []flowengine.Tag{flowengine.NewTag(pick("vip", "gold", "red"))}}
		default:
			if r.IntN(3) > 0 {
				continue
			}
			if _, err := w.rt.Erase(w.t.Context(), who); err != nil && !strings.Contains(err.Error(), "nobody") {
				w.t.Fatal(err)
			}
			continue
		}
		_, err := w.rt.Act(w.t.Context(), who, c)
		w.must(err)
	}
}

// However people change, time passes, the daemon restarts and segments come,
// change and go: each index lists exactly those whom asking everybody finds.
func TestIndexesAgreeWithEverybody(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				store := memory.New()
				w := start(t, store, Options{})
				segments := segmentsOf(r)
				for range 8 {
					w.happenings(r, 60)
					switch r.IntN(4) {
					case 0:
						segments = segmentsOf(r)
						w.reload(segments)
						w.happenings(r, 20) // while it is computed
					case 1: // restart in the midst of whatever is computed
						w.reload(segments)
						w.must(w.stop())
						w = launch(t, store, Options{}, func(*world) {})
						w.reload(segments)
					case 2:
						time.Sleep(time.Duration(r.Int64N(int64(8 * time.Hour))))
					default:
						w.reload(segments)
						for _, s := range w.rt.set.Load().Segments() {
							w.must(w.rt.RecomputeSegment(t.Context(), s.ID))
						}
						time.Sleep(3 * time.Minute)
						synctest.Wait()
						w.indexesAgree(true)
					}
					time.Sleep(3 * time.Minute)
					synctest.Wait()
					w.indexesAgree(false)
				}
				jobs, err := w.rt.storedJobs()
				w.must(err)
				expect(t, "jobs left", len(jobs), 0)
			})
		})
	}
}

// A store that was made before there were indexes gets them, page by page; people
// come, change and go meanwhile.
func TestOldStoreIsIndexed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 7))
		store := memory.New()
		w := start(t, store, Options{})
		w.happenings(r, 400)
		w.must(w.stop())
		age(t, store)
		w = start(t, store, Options{})
		w.happenings(r, 50) // the job may have begun
		w.must(w.stop())
		w = start(t, store, Options{})
		w.reload([]string{definitions[0], definitions[2]})
		w.happenings(r, 50)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		expect(t, "indexed", w.rt.indexed.Load(), true)
		w.indexesAgree(true)
		w.must(w.stop())
		w = start(t, store, Options{})
		expect(t, "indexed after a restart", w.rt.indexed.Load(), true)
	})
}

// age makes a store what an older release would have left.
func age(t *testing.T, store storage.Store) {
	t.Helper()
	var b storage.Batch
	for s := range flowengine.Shard(flowengine.Shards) {
		for _, kind := range []byte{kindIndex, kindRoll, kindCount} {
			if err := store.Scan(appendPrefix(nil, s, kind), nil, func(key, _ []byte) bool { b.Delete(bytes.Clone(key)); return true }); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Delete(indexedKey())
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
}

// E9: the audience of a segment is read from its index, and enters once; who
// comes into the segment later enters when the audience is one in real time.
func TestAudienceOfSegment(t *testing.T) {
	const vip = "segment: vip\ncondition: {tag: vip}"
	const once = `
flow: once
entries: [{id: e, type: audience, condition: {segment: vip}, next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "once"}}
`
	const always = `
flow: always
entries: [{id: e, type: audience, update: real_time, condition: {segment: {in: [vip]}}, next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "always"}}
`
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		w.crowd(600)
		w.reload([]string{vip}, collecting, once, always) // the segment is computed first
		w.must(w.stop())
		w = launch(t, store, Options{}, func(*world) {})
		w.reload([]string{vip}, collecting, once, always)
		time.Sleep(3 * time.Minute)
		w.must(w.inbound(w.arrival("385999", "vip")))
		time.Sleep(time.Minute)
		w.must(w.stop())
		expect(t, "once", w.counts("once", "s").Unique, 300)
		expect(t, "always", w.counts("always", "s").Unique, 301)
		expect(t, "always, in all", w.counts("always", "s").Total, 301)
		w.recount()
	})
}

// A snapshot stays as it was computed until its time of day, or until it is asked for.
func TestSnapshot(t *testing.T) {
	const daily = "segment: daily\nupdate: snapshot\nat: \"03:00\"\ncondition: {tag: vip}"
	synctest.Test(t, func(t *testing.T) { // it is midnight
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		w.crowd(10)
		w.reload([]string{daily}, collecting)
		members := func() int { synctest.Wait(); return len(w.found(Query{Segments: []string{"daily"}}, 100)) }
		time.Sleep(time.Minute)
		expect(t, "when it is new", members(), 5)
		w.must(w.inbound(w.arrival("385999", "vip")))
		time.Sleep(2 * time.Hour)
		expect(t, "before three", members(), 5)
		time.Sleep(2 * time.Hour)
		expect(t, "after three", members(), 6)
		w.must(w.inbound(w.arrival("385998", "vip")))
		time.Sleep(10 * time.Hour)
		expect(t, "later", members(), 6)
		w.must(w.rt.RecomputeSegment(t.Context(), "daily"))
		time.Sleep(time.Minute)
		expect(t, "on request", members(), 7)
		status, err := w.rt.SegmentOf("daily")
		w.must(err)
		expect(t, "computing", status.Computing, false)
		expect(t, "computed", status.Computed.IsZero(), false)
		if err := w.rt.RecomputeSegment(t.Context(), "dayly"); err == nil || !strings.Contains(err.Error(), "daily") {
			t.Errorf("an unknown segment: %v", err)
		}
		// Back without it, nobody is left in it; and again with it.
		w.reload(nil, collecting)
		time.Sleep(time.Minute)
		expect(t, "removed", members(), 0)
		all, err := w.rt.Segments()
		w.must(err)
		expect(t, "segments", len(all), 0)
		w.reload([]string{daily}, collecting)
		time.Sleep(time.Minute)
		expect(t, "back", members(), 7)
		w.indexesAgree(true)
	})
}

// A daily condition on dates asks only those whose day it is.
func TestDailyAsksTheFew(t *testing.T) {
	const birthday = `
flow: birthday
entries: [{id: e, type: profile_change, condition: {all: [{attr: birthDate, op: is_today}, {tag: vip, op: has_not}]}, at: "09:00", next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "Happy birthday"}}
settings: {timezone: UTC, indefinite: true}
`
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, birthday)
		for i := range 200 {
			day, err := flowengine.Coerce(fmt.Sprintf("1980-%02d-%02d", 1+i%12, 1+i%28), flowengine.Date)
			w.must(err)
			_, err = w.rt.Act(t.Context(), Who{Address: phoneOf(i), Create: true}, &flowengine.Change{Source: "api", Set: []flowengine.Attr{{Name: "birthDate", Value: day}}})
			w.must(err)
		}
		asked := 0
		j := &job{kind: jobDaily, flow: "birthday", what: "e"}
		synctest.Wait()
		for s := range flowengine.Shard(flowengine.Shards) {
			people, next, err := (&txn{ex: w.rt.owner(s)}).page(j, s, nil)
			w.must(err)
			expect(t, "one page", len(next), 0)
			asked += len(people)
		}
		want := 0
		for i := range 200 {
			if 1+i%12 == 1 && 1+i%28 == 1 {
				want++
			}
		}
		expect(t, "asked", asked, want)
	})
}
