package runtime

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine"
	"trunkline/flowengine/tariff"
	"trunkline/storage/memory"
)

const priced = `
flow: priced
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: one}]
elements:
  one: {type: send_sms, from: "38591000001", text: "one", on: {sent: two}}
  two: {type: send_sms, from: "38591000001", text: "two"}
`

// The clock of a test begins in 2000.
const tariffRows = `channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from
sms,outbound,385,EUR,0.07,,,,1999-01-01
sms,outbound,385,EUR,0.08,,,,2000-01-03
sms,outbound,1,USD,0.0079,,,,1999-01-01
`

func (w *world) publishTariff(rows, flow string) {
	w.t.Helper()
	schema, err := flowengine.NewSchema()
	w.must(err)
	v, err := flowengine.ParseFlow("flow.yaml", []byte(flow), schema, nil)
	w.must(err)
	table, err := tariff.Parse(tariff.File{Name: "tariff.csv", Data: []byte(rows)})
	w.must(err)
	_, err = w.rt.Publish(context.Background(), Publication{
		Schema: schema, Numbers: []*flowengine.Number{{Value: number, Channel: "sms"}}, Flows: []*flowengine.Version{v}, Tariffs: table,
	})
	w.must(err)
}

func (w *world) flowStatus(id string) *FlowStatus {
	w.t.Helper()
	all, err := w.rt.Flows()
	w.must(err)
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	w.t.Fatalf("there is no flow %s", id)
	return nil
}

func costText(c Cost) string { return fmt.Sprintf("%v, %d unknown", c.Amounts, c.Unknown) }

// C1, C2, C4, M5, M6: what messages cost is summed by element and currency, what is
// not known is counted apart, and all of it is there after a restart and a recount.
func TestCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, priced)
		w.publishTariff(tariffRows, priced)
		w.answer = func(m *Message) (Outcome, bool) {
			parts := uint8(1)
			if m.Origin.Element == "two" {
				parts = 2
			}
			if m.To == "38599" && m.Origin.Element == "two" { // a part goes, the other is refused
				return Outcome{Fate: FateRejected, Carrier: "out", Parts: 1, Keys: []string{"x"}}, true
			}
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: parts}, true
		}
		for _, from := range []string{"385911", "385912", "38599", "1212", "44123"} {
			w.must(w.inbound(w.arrival(from, "go")))
		}
		w.must(w.inbound(w.arrival("385911", "again"))) // no recipient a second time
		synctest.Wait()

		check := func() {
			t.Helper()
			f := w.flowStatus("priced")
			expect(t, "recipients", f.Counts.Recipients, 5)
			expect(t, "all", costText(f.Counts.Cost(nil)), "[0.77 EUR 0.0237 USD], 3 unknown")
			expect(t, "one", costText(f.Counts.CostOf("one")), "[0.28 EUR 0.0079 USD], 1 unknown")
			expect(t, "two", costText(f.Counts.CostOf("two")), "[0.49 EUR 0.0158 USD], 2 unknown")
			w.recount()
		}
		check()
		p := w.person("385911")
		charges := 0
		for _, h := range p.History {
			for _, e := range h.Events {
				if e.Kind == flowengine.Accepted && e.Priced() {
					charges++
				}
			}
		}
		expect(t, "charges in the history", charges, 4)
		w.must(w.stop())
		w = start(t, store, Options{}, priced) // without a tariff: what was paid stays paid
		check()
		w.must(w.inbound(w.arrival("1212", "later")))
		synctest.Wait()
		expect(t, "unknown without a tariff", w.flowStatus("priced").Counts.Cost(nil).Unknown, 5)
		expect(t, "recipients", w.flowStatus("priced").Counts.Recipients, 5)
		w.recount()
	})
}

// C1, C4: a message is charged by the row that is valid when the carrier takes it,
// also when the state of a flow was changed in between; days add up to the total.
func TestCostsByDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, priced)
		w.publishTariff(tariffRows, priced)
		first := w.rt.now()
		w.must(w.inbound(w.arrival("385911", "go")))
		synctest.Wait()
		w.must(w.rt.StopFlow(context.Background(), "priced", time.Hour))
		w.must(w.rt.StartFlow(context.Background(), "priced"))
		time.Sleep(49 * time.Hour)
		w.must(w.inbound(w.arrival("385911", "again")))
		w.must(w.inbound(w.arrival("385912", "go")))
		synctest.Wait()

		days, err := w.rt.Days("priced", time.Time{}, time.Time{})
		w.must(err)
		if len(days) != 2 {
			t.Fatalf("%d days", len(days))
		}
		for i, want := range []struct {
			day, cost          string
			recipients, unique uint64
		}{
			{"2000-01-01", "[0.14 EUR], 0 unknown", 1, 1},
			{"2000-01-03", "[0.32 EUR], 0 unknown", 1, 1},
		} {
			d := days[i]
			expect(t, "day", d.Day.Format(time.DateOnly), want.day)
			expect(t, want.day+": cost", costText(d.Counts.Cost(nil)), want.cost)
			expect(t, want.day+": recipients", d.Counts.Recipients, want.recipients)
			expect(t, want.day+": unique", d.Counts.ByElement()["one"].Unique, want.unique)
		}
		expect(t, "total", costText(w.flowStatus("priced").Counts.Cost(nil)), "[0.46 EUR], 0 unknown")
		w.recount()

		for name, c := range map[string]struct {
			from, to time.Time
			want     int
		}{
			"from the day after": {first.AddDate(0, 0, 1), time.Time{}, 1},
			"to the day after":   {time.Time{}, first.AddDate(0, 0, 1), 1},
			"the day itself":     {first, first, 1},
			"between":            {first.AddDate(0, 0, 1), first.AddDate(0, 0, 1), 0},
		} {
			days, err := w.rt.Days("", c.from, c.to)
			w.must(err)
			expect(t, name, len(days), c.want)
		}
		if _, err := w.rt.Days("prised", time.Time{}, time.Time{}); err == nil || !strings.Contains(err.Error(), "the flows are: priced") {
			t.Errorf("an unknown flow: %v", err)
		}
	})
}

// M5: counters come back as they were stored, and the order of additions doesn't
// matter, even where a sum is too large to be told.
func TestTallyOfCosts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []flowengine.Event
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			e := flowengine.Event{
				Kind: rapid.SampledFrom([]flowengine.EventKind{flowengine.Accepted, flowengine.Failed}).Draw(t, "kind"), Flow: "f",
				Version: rapid.Uint32Range(1, 2).Draw(t, "version"), Element: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "element"),
				Units: rapid.Uint32Range(1, 3).Draw(t, "units"), First: rapid.Bool().Draw(t, "first"),
			}
			if e.CostUnknown = rapid.Bool().Draw(t, "unknown"); !e.CostUnknown {
				e.Cost = tariff.Money(rapid.SampledFrom([]int64{0, 1, 70_000, math.MaxInt64 / 2, math.MaxInt64}).Draw(t, "cost"))
				e.Currency = tariff.Currency([]byte(rapid.SampledFrom([]string{"EUR", "USD"}).Draw(t, "currency")))
			}
			events = append(events, e)
		}
		forth, back, halves := NewTally(), NewTally(), NewTally()
		half := NewTally()
		for i := range events {
			forth.Count(&events[i])
			back.Count(&events[len(events)-1-i])
			if i%2 == 0 {
				half.Count(&events[i])
			} else {
				halves.Count(&events[i])
			}
		}
		halves.Add(half)
		stored, err := decodeTally(forth.append(nil))
		if err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string]*Tally{"counted backwards": back, "added up": halves, "stored": stored} {
			if !forth.Equal(other) {
				t.Fatalf("%s: %v, not %v", name, other, forth)
			}
		}
		if len(events) > 0 {
			stored.Costs[CostKey{ElementKey{"a", 1}, tariff.Currency{'G', 'B', 'P'}}] = 0
			if forth.Equal(stored) {
				t.Fatal("a price of nothing and no price are the same")
			}
		}
	})
}

// C2, C4: what is charged on delivery costs what it cost when the carrier took it, once
// all of its parts are delivered, also when a report overtakes the carrier's answer
// and the person belongs to another executor than the address.
func TestCostsOnDelivery(t *testing.T) {
	const rows = "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from,charge_on\n" +
		"sms,outbound,385,EUR,0.07,,,,1999-01-01,delivered\nsms,outbound,385,EUR,0.5,,,,2000-01-02,delivered\n"
	const flow = `
flow: priced
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: one}]
elements:
  one: {type: send_sms, from: "38591000001", text: "one"}
`
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, flow)
		w.publishTariff(rows, flow)
		w.answer = func(m *Message) (Outcome, bool) {
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 2, Keys: []string{m.To + "a", m.To + "b"}}, true
		}
		spent := func() string { return costText(w.flowStatus("priced").Counts.Cost(nil)) }
		people := []string{"385911", "385912", "385913", "385914"}
		w.must(w.report(people[3], people[3]+"a", StateDelivered)) // before its message
		for _, from := range people {
			w.must(w.inbound(w.arrival(from, "go")))
		}
		time.Sleep(36 * time.Hour) // another price is valid now
		expect(t, "nothing delivered", spent(), "[], 0 unknown")
		for i, states := range [][2]string{{StateDelivered, StateDelivered}, {StateDelivered, StateUndeliverable}, {StateExpired, StateExpired}, {StateDelivered, StateDelivered}} {
			w.must(w.report(people[i], people[i]+"a", states[0]))
			w.must(w.report(people[i], people[i]+"b", states[1]))
			w.must(w.report(people[i], people[i]+"b", states[1])) // carriers repeat themselves
		}
		synctest.Wait()
		expect(t, "two of four delivered", spent(), "[0.28 EUR], 0 unknown")
		w.must(w.stop())
		w.recount()
	})
}

// C2: what is owed for a message is not lost when its person is merged into one of
// another executor before the carrier has taken it.
func TestCostsOnDeliveryAfterMerger(t *testing.T) {
	const rows = "channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from,charge_on\nsms,outbound,385,EUR,0.07,,,,1999-01-01,delivered\n"
	const flow = `
flow: priced
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: one}]
elements:
  one: {type: send_sms, from: "38591000001", text: "one"}
`
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{Executors: 2}, flow)
		w.publishTariff(rows, flow)
		const n = 8 // of both executors
		for i := range n {
			w.amend(Who{Address: externalOf(i), Create: true}, &flowengine.Change{})
		}
		time.Sleep(time.Second)
		w.mu.Lock()
		w.block = make(chan struct{})
		w.answer = func(m *Message) (Outcome, bool) {
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1, Keys: []string{m.To}}, true
		}
		w.mu.Unlock()
		for i := range n {
			w.must(w.inbound(w.arrival(phoneOf(i).Value, "go")))
		}
		synctest.Wait()
		for i := range n {
			_, err := w.rt.Merge(t.Context(), []flowengine.PersonID{w.profile(phoneOf(i)).Person.ID, w.profile(externalOf(i)).Person.ID})
			w.must(err)
		}
		time.Sleep(time.Minute)
		close(w.block)
		time.Sleep(time.Minute)
		for i := range n {
			w.must(w.report(phoneOf(i).Value, phoneOf(i).Value, StateDelivered))
		}
		time.Sleep(time.Minute)
		expect(t, "spent", costText(w.flowStatus("priced").Counts.Cost(nil)), "[0.56 EUR], 0 unknown")
		w.recount()
	})
}
