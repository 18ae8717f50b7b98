package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

const collecting = `
flow: collecting
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [vip], next: tag}]
elements:
  tag: {type: add_tag, tag: vip, on: {done: ab}}
  ab: {type: split_audience, branches: [{share: 50, next: x}, {share: 50, next: y}]}
  x: {type: exit}
  y: {type: exit}
`

// crowd lets n people be known, every other one as vip.
func (w *world) crowd(n int) {
	for i := range n {
		text := "vip"
		if i%2 == 1 {
			text = "hello"
		}
		w.must(w.inbound(w.arrival(fmt.Sprintf("3859%05d", i), text))) // R8: unknown senders become persons
	}
}

// E9, R8: the audience of a flow that is launched enters, each once, also when the
// daemon ends in the midst of it.
func TestAudience(t *testing.T) {
	const offer = `
flow: offer
entries: [{id: e, type: audience, condition: {tag: vip, op: has}, next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "for you"}}
`
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		const people = 1000
		w.crowd(people)
		if _, err := w.publish(collecting, offer); err != nil {
			t.Fatal(err)
		}
		w.must(w.stop()) // at once
		for range 3 {
			w = start(t, store, Options{}, collecting, offer)
			time.Sleep(2 * time.Minute)
			w.must(w.stop())
		}
		expect(t, "engaged", w.counts("offer", "s").Total, people/2)
		expect(t, "unique", w.counts("offer", "s").Unique, people/2)
		jobs, err := w.rt.storedJobs()
		w.must(err)
		expect(t, "jobs left", len(jobs), 0)
		w.recount()
	})
}

// E10: a condition on dates is looked at once a day, at its time of day.
func TestDaily(t *testing.T) {
	const birthday = `
flow: birthday
entries: [{id: e, type: profile_change, condition: {attr: birthDate, op: is_today}, at: "09:00", next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "Happy birthday"}}
settings: {timezone: UTC, indefinite: true}
`
	synctest.Test(t, func(t *testing.T) { // it is midnight, 1 January 2000
		w := start(t, memory.New(), Options{}, birthday)
		ctx := context.Background()
		for i := range 4 {
			who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("38591%d", i)}, Create: true}
			day, err := flowengine.Coerce(fmt.Sprintf("1980-01-%02d", i+2), flowengine.Date)
			w.must(err)
			_, err = w.rt.Act(ctx, who, &flowengine.Change{Source: "api", Set: []flowengine.Attr{{Name: "birthDate", Value: day}}})
			w.must(err)
		}
		for day := range 5 {
			time.Sleep(8 * time.Hour)
			expect(t, "greeted before nine", len(w.texts()), max(0, day-1))
			time.Sleep(2 * time.Hour)
			expect(t, "greeted after nine", len(w.texts()), min(day, 4))
			time.Sleep(14 * time.Hour)
		}
	})
}

// G2: a goal that is added later counts what happened before, as if it had been
// there, and a recount agrees.
func TestGoalIsCountedBack(t *testing.T) {
	const goal = "goals: [{id: bought, event: Bought, window: 1d}]\n"
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		ctx := context.Background()
		const people = 200
		buy := func(i int) {
			who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("3859%05d", i)}}
			_, err := w.rt.Act(ctx, who, &flowengine.Happened{Name: "Bought", At: time.Now()})
			w.must(err)
		}
		w.crowd(people)
		for i := 0; i < people; i += 4 { // half of those who entered
			buy(i)
		}
		time.Sleep(25 * time.Hour)
		buy(2) // too late
		before := GoalCounts{}
		if _, err := w.publish(collecting + goal); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		sums, err := ReadTallies(store)
		w.must(err)
		expect(t, "overall", *sums["collecting"].Goals[GoalKey{"bought", "", w.mark("collecting", "bought")}], GoalCounts{Reached: people / 2, Converted: people / 4, Events: people / 4})
		for _, branch := range []string{"ab/branch_1", "ab/branch_2"} {
			before.add(*sums["collecting"].Goals[GoalKey{"bought", branch, w.mark("collecting", "bought")}])
		}
		expect(t, "branches together", before, GoalCounts{Reached: people / 2, Converted: people / 4, Events: people / 4})
		// It made no new version, and counts on.
		expect(t, "version", w.rt.set.Load().Flow("collecting").Newest.Ordinal, 1)
		w.must(w.inbound(w.arrival("385999", "vip")))
		_, err = w.rt.Act(ctx, Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: "385999"}}, &flowengine.Happened{Name: "Bought", At: time.Now()})
		w.must(err)
		w.must(w.stop())
		sums, err = ReadTallies(store)
		w.must(err)
		expect(t, "overall later", *sums["collecting"].Goals[GoalKey{"bought", "", w.mark("collecting", "bought")}], GoalCounts{Reached: people/2 + 1, Converted: people/4 + 1, Events: people/4 + 1})
		w.recount()
	})
}

func (w *world) mark(flow, goal string) uint32 {
	mark, there := w.rt.GoalMark(flow, goal)
	expect(w.t, "the goal is there", there, true)
	return mark
}

// G2: a goal whose event, filter, window or anchor is changed counts anew, also
// for those whom it had counted; what it counted before is kept apart.
func TestChangedGoalCountsAnew(t *testing.T) {
	const (
		day     = "goals: [{id: bought, event: Bought, window: 1d}]\n"
		renamed = "goals: [{id: bought, name: Sales, event: Bought, window: 1d}]\n"
		hour    = "goals: [{id: bought, event: Bought, window: 1h}]\n"
		dear    = "goals: [{id: bought, event: Bought, where: event.price > 10, window: 1d}]\n"
		other   = "goals: [{id: bought, event: Returned, window: 1d}]\n"
		late    = "goals: [{id: bought, event: Bought, window: 1d, anchor: x}]\n"
	)
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting+day)
		w.crowd(8) // of whom 0, 2, 4 and 6 enter
		happen := func(i int, name string, price int64) {
			who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("3859%05d", i)}}
			e := &flowengine.Happened{Name: name, At: time.Now(), Props: flowengine.Attrs{{Name: "price", Value: flowengine.WholeValue(price)}}}
			_, err := w.rt.Act(t.Context(), who, e)
			w.must(err)
		}
		happen(0, "Bought", 20)
		happen(2, "Returned", 20)
		time.Sleep(2 * time.Hour)
		happen(4, "Bought", 5)
		counts := func() GoalCounts {
			time.Sleep(2 * time.Minute)
			sums, err := ReadTallies(store)
			w.must(err)
			if c := sums["collecting"].Goals[GoalKey{"bought", "", w.mark("collecting", "bought")}]; c != nil {
				return *c
			}
			return GoalCounts{}
		}
		first := w.mark("collecting", "bought")
		expect(t, "at first", counts(), GoalCounts{Reached: 4, Converted: 2, Events: 2})
		for _, change := range []struct {
			name, goal string
			want       GoalCounts
		}{
			{"name", renamed, GoalCounts{Reached: 4, Converted: 2, Events: 2}},
			{"window", hour, GoalCounts{Reached: 4, Converted: 1, Events: 1}},
			{"filter", dear, GoalCounts{Reached: 4, Converted: 1, Events: 1}},
			{"event", other, GoalCounts{Reached: 4, Converted: 1, Events: 1}},
		} {
			_, err := w.publish(collecting + change.goal)
			w.must(err)
			expect(t, change.name+" changed", counts(), change.want)
		}
		_, err := w.publish(collecting + late)
		w.must(err)
		c := counts()
		expect(t, "anchor changed: converted of reached", c.Converted <= c.Reached && c.Reached < 5, true)
		sums, err := ReadTallies(store)
		w.must(err)
		expect(t, "what was counted before", *sums["collecting"].Goals[GoalKey{"bought", "", first}], GoalCounts{Reached: 4, Converted: 2, Events: 2})
		// It counts on, for those who had counted before.
		_, err = w.publish(collecting + hour)
		w.must(err)
		before := counts()
		expect(t, "changed back", before, GoalCounts{Reached: 4, Converted: 1, Events: 1})
		w.must(w.inbound(w.arrival("385999", "vip")))
		_, err = w.rt.Act(t.Context(), Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: "385999"}}, &flowengine.Happened{Name: "Bought", At: time.Now()})
		w.must(err)
		w.must(w.stop())
		expect(t, "counts on", counts(), GoalCounts{before.Reached + 1, before.Converted + 1, before.Events + 1})
		w.recount()
	})
}
