package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/experiment"
	"trunkline/storage/memory"
)

// contest is a flow whose split looks for a winner; people who take the second
// branch have a tag b.
func contest(winner string) string {
	return `
flow: contest
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [vip], next: ab}]
elements:
  ab: {type: split_audience, branches: [{share: 50, next: a}, {share: 50, next: b}], winner: ` + winner + `}
  a: {type: add_tag, tag: a}
  b: {type: add_tag, tag: b}
goals: [{id: bought, event: Bought}]
`
}

// visitors lets n people enter, from a number on, and those with the tag b buy.
func (w *world) visitors(from, n int, buy bool) (inB int) {
	for i := from; i < from+n; i++ {
		phone := fmt.Sprintf("3859%05d", i)
		w.must(w.inbound(w.arrival(phone, "vip")))
		if !w.person(phone).Person.HasTag(flowengine.NewTag("b")) {
			continue
		}
		inB++
		if buy {
			who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: phone}}
			_, err := w.rt.Act(context.Background(), who, &flowengine.Happened{Name: "Bought", At: time.Now()})
			w.must(err)
		}
	}
	return inB
}

func (w *world) experiment() Experiment {
	w.t.Helper()
	all, err := w.rt.Experiments("contest")
	w.must(err)
	if len(all) != 1 {
		w.t.Fatalf("%d experiments", len(all))
	}
	return all[0]
}

// P6: the branch that proves to be better takes everybody who comes later, also
// after a restart; until then the split draws.
func TestWinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flow := contest("{goal: bought, window: 3d, min_visitors: 50}")
		store := memory.New()
		w := start(t, store, Options{}, flow)
		w.visitors(0, 60, true)
		time.Sleep(2 * time.Minute)
		expect(t, "too early", w.experiment().Reason, string(experiment.TooFew))
		inB := w.visitors(60, 140, true)
		if inB == 0 || inB == 140 {
			t.Fatalf("%d of 140 in the second branch: the split does not draw", inB)
		}
		time.Sleep(2 * time.Minute)
		x := w.experiment()
		expect(t, "reason", x.Reason, string(experiment.Significant))
		expect(t, "winner", x.Winner, "branch_2")
		expect(t, "conversions of the winner", x.Branches[1].Rate, 1)
		expect(t, "visitors in all", x.Branches[0].Reached+x.Branches[1].Reached, 200)
		expect(t, "everybody takes it", w.visitors(200, 50, false), 50)
		w.must(w.stop())
		w = start(t, store, Options{}, flow)
		expect(t, "after a restart", w.visitors(250, 50, false), 50)

		ctx := context.Background()
		w.must(w.rt.ChooseWinner(ctx, "contest", "ab", "a"))
		expect(t, "by hand", w.visitors(300, 30, false), 0)
		expect(t, "by hand", w.experiment().Reason, chosenByHand)
		w.must(w.rt.ChooseWinner(ctx, "contest", "ab", "none"))
		if n := w.visitors(330, 60, false); n == 0 || n == 60 {
			t.Errorf("%d of 60 in the second branch: the split does not draw again", n)
		}
		for _, c := range [][4]string{
			{"nobody", "ab", "a", `no flow "nobody"`}, {"contest", "a", "a", "its splits are: ab"}, {"contest", "ab", "c", "branch_1 to branch_2"},
		} {
			if err := w.rt.ChooseWinner(ctx, c[0], c[1], c[2]); err == nil || !strings.Contains(err.Error(), c[3]) {
				t.Errorf("%v: %v", c, err)
			}
		}
		w.must(w.stop())
		w.recount()
	})
}

// P6: without a significant difference the window's end decides as the flow says.
func TestWinnerFallback(t *testing.T) {
	for _, c := range []struct{ fallback, reason, winner string }{
		{"mix", string(experiment.EndedMix), ""},
		{"best", string(experiment.EndedBest), "branch_1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, memory.New(), Options{}, contest("{window: 1h, min_visitors: 5, fallback: "+c.fallback+"}"))
			w.visitors(0, 40, false)
			time.Sleep(30 * time.Minute)
			expect(t, "in the window", w.experiment().Reason, string(experiment.Undecided))
			time.Sleep(45 * time.Minute)
			expect(t, "after the window", w.experiment().Reason, c.reason)
			expect(t, "winner", w.experiment().Winner, c.winner)
		})
	}
}

// P6: a winner belongs to the split in which it won; a split that is written
// otherwise draws.
func TestWinnerOfAnotherPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flow := contest("{goal: bought}")
		w := start(t, memory.New(), Options{}, flow)
		w.must(w.rt.ChooseWinner(context.Background(), "contest", "ab", "branch_2"))
		expect(t, "chosen", w.visitors(0, 40, false), 40)
		if _, err := w.publish(strings.NewReplacer("share: 50, next: a", "share: 60, next: a", "share: 50, next: b", "share: 40, next: b").Replace(flow)); err != nil {
			t.Fatal(err)
		}
		if n := w.visitors(40, 60, false); n == 0 || n == 60 {
			t.Errorf("%d of 60 in the second branch", n)
		}
	})
}

func TestExperimentRoundTrip(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	for _, x := range []experimentRecord{
		{element: "ab", plan: 1 << 63, started: at, winner: experiment.None},
		{element: "ab", plan: 7, started: at, decided: at.Add(time.Hour), winner: 0, reason: "significant"},
		{element: "ab", plan: 7, decided: at, winner: 19, reason: chosenByHand},
	} {
		r, err := decodeFlowRecord("f", (&flowRecord{id: "f", experiments: []experimentRecord{x}}).encode())
		if err != nil || len(r.experiments) != 1 {
			t.Fatal(r, err)
		}
		expect(t, "record", r.experiments[0], x)
	}
}
