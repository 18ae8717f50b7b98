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

// P5, M5: goals of the control group are counted apart from those of who entered, also
// by a goal that is added later, and a recount agrees.
func TestControlGroupIsCounted(t *testing.T) {
	const flow = `
flow: offer
entries: [{id: e, type: people_event, event: Joined, next: x}]
elements: {x: {type: exit}}
settings: {category: marketing}
`
	const goal = "goals: [{id: bought, event: Bought, window: 1d}]\n"
	for _, later := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			first := flow + goal
			if later {
				first = flow
			}
			w := startWith(t, store, Options{}, func(w *world) { w.policy = &flowengine.Policy{ControlGroup: 2500} }, first)
			const people = 200
			for i := range people {
				who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("38591%d", i)}, Create: true}
				for _, event := range []string{"Joined", "Bought"} {
					_, err := w.rt.Act(context.Background(), who, &flowengine.Happened{Name: event, At: time.Now()})
					w.must(err)
				}
			}
			if _, err := w.publish(flow + goal); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			w.must(w.stop())
			sums, err := ReadTallies(store)
			w.must(err)
			held := sums["offer"].Refused[flowengine.RefusedControlGroup]
			if held < people/8 || held > people*3/8 {
				t.Errorf("%d of %d are held out, a quarter is expected", held, people)
			}
			in := people - held
			expect(t, "entered", sums["offer"].Entered, in)
			expect(t, "who entered", *sums["offer"].Goals[GoalKey{"bought", "", w.mark("offer", "bought")}], GoalCounts{Reached: in, Converted: in, Events: in})
			expect(t, "who was held out", *sums["offer"].Goals[GoalKey{"bought", flowengine.ControlBranch, w.mark("offer", "bought")}], GoalCounts{Reached: held, Converted: held, Events: held})
			w.recount()
		})
	}
}

// X12: caps hold in a running daemon, over a restart; a held message is sent when its
// time has come.
func TestCapOverRestart(t *testing.T) {
	const flow = `
flow: often
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: s}]
elements:
  s: {type: send_sms, from: "38591000001", text: "{{ inbound.text }}"}
settings: {category: marketing, allow_simultaneous: true}
`
	policy := &flowengine.Policy{Caps: []flowengine.Cap{{Channel: "sms", Max: 2, Per: 24 * time.Hour, Window: "rolling", Policy: "hold", Category: "marketing"}}}
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		begin := func(w *world) { w.policy = policy }
		w := startWith(t, store, Options{}, begin, flow)
		for _, text := range []string{"1", "2", "3"} {
			w.must(w.inbound(w.arrival("385911", text)))
		}
		time.Sleep(time.Hour)
		expect(t, "sent", fmt.Sprint(w.texts()), "[1 2]")
		w.must(w.stop())
		time.Sleep(22 * time.Hour)
		w = startWith(t, store, Options{}, begin, flow)
		w.must(w.inbound(w.arrival("385911", "4")))
		time.Sleep(50 * time.Minute)
		expect(t, "sent before a day was over", len(w.texts()), 0)
		time.Sleep(20 * time.Minute)
		expect(t, "sent", fmt.Sprint(w.texts()), "[3 4]")
		w.must(w.stop())
		w.recount()
	})
}
