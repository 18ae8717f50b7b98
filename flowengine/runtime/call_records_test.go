package runtime

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/tariff"
	"trunkline/storage/memory"
)

const voiceRows = `channel,direction,prefix,currency,price,setup,min_s,increment_s,valid_from
sms,outbound,385,EUR,0.07,,,,1999-01-01
voice,outbound,385,EUR,0.60,0.01,30,10,1999-01-01
voice,inbound,385800,EUR,0.06,,,60,1999-01-01
`

func (w *world) keepCall(r *CallRecord) {
	w.t.Helper()
	done := make(chan error, 1)
	w.rt.KeepCall(r, func(err error) { done <- err })
	w.must(<-done)
}

// calls reads all records of legs that are over.
func (w *world) calls() (all []*CallRecord) {
	w.t.Helper()
	w.must(w.rt.EachCall(time.Time{}, time.Time{}, func(r *CallRecord) bool { all = append(all, r); return true }))
	return all
}

// callers makes a person in flow priced, and gives the origin of calls for it.
func (w *world) callOrigin(phone string) flowengine.Origin {
	w.t.Helper()
	w.must(w.inbound(w.arrival(phone, "go")))
	synctest.Wait()
	return flowengine.Origin{Person: w.person(phone).Person.ID, Flow: "priced", Version: 1, Element: "two", Number: 1}
}

func euro(t *testing.T) tariff.Currency {
	t.Helper()
	c, err := tariff.ParseCurrency("EUR")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// C3: a leg is billed from its answer to its end, with the least time, the
// increment and the setup fee of its row; not at all when it was not answered;
// its price stands in the flow's analytics, once, and agrees with the history (M5).
func TestLegsAreBilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, priced)
		w.publishTariff(voiceRows, priced)
		origin := w.callOrigin("385911")
		for i, c := range []struct {
			outbound bool
			to       string
			answered bool
			talk     time.Duration
			cost     tariff.Money // millionths
			billed   time.Duration
			unknown  bool
		}{
			{true, "385911", true, 41 * time.Second, 510_000, 50 * time.Second, false},
			{true, "385911", true, time.Second, 310_000, 30 * time.Second, false},
			{true, "385911", false, 0, 0, 0, false},
			{true, "44123", true, time.Minute, 0, 0, true},
			{true, "44123", false, 0, 0, 0, false},
			{false, "38591", true, time.Minute, 0, 0, false}, // no tariff for what comes in: nobody charges
			{false, "3858001", true, 61 * time.Second, 120_000, 2 * time.Minute, false},
		} {
			r := &CallRecord{Call: "c", Leg: uint16(i), Origin: origin, Outbound: c.outbound, From: "385911", To: c.to, Setup: w.rt.now()}
			if c.answered {
				r.Answered, r.Ended = w.rt.now(), w.rt.now()
				w.keepCall(r)
				open, err := w.rt.OpenCalls()
				w.must(err)
				expect(t, "open", len(open), 1)
			}
			time.Sleep(c.talk)
			r.Ended, r.Final = w.rt.now(), true
			w.keepCall(r)
			got := w.calls()[i]
			if got.Cost != c.cost || got.Billed != c.billed || got.CostUnknown != c.unknown || got.Duration() != c.talk {
				t.Errorf("%+v: cost %v, billed %v, unknown %v", c, got.Cost, got.Billed, got.CostUnknown)
			}
		}
		open, err := w.rt.OpenCalls()
		w.must(err)
		expect(t, "open", len(open), 0)
		check := func() {
			t.Helper()
			expect(t, "two", costText(w.flowStatus("priced").Counts.CostOf("two")), "[1.01 EUR], 1 unknown") // 0.07 for the SMS
			w.recount()
		}
		check()
		w.must(w.stop())
		w = start(t, store, Options{}, priced)
		check()
		expect(t, "records", len(w.calls()), 7)
	})
}

// A leg that a crash ended is closed at the last moment at which it stood for
// certain, and is billed until then; one that was over is billed once.
func TestLegsThatACrashEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, priced)
		w.publishTariff(voiceRows, priced)
		origin := w.callOrigin("385911")
		const legs = 600 // more than are closed at a time
		for i := range legs {
			r := &CallRecord{Call: fmt.Sprint("call", i), Origin: origin, Outbound: true, To: "385911", Setup: w.rt.now(), Answered: w.rt.now(), Ended: w.rt.now()}
			if i%2 == 1 {
				r.Origin = flowengine.Origin{} // of no person: all shards have some
			}
			w.keepCall(r)
		}
		over := &CallRecord{Call: "over", Outbound: true, To: "385911", Answered: w.rt.now(), Ended: w.rt.now().Add(time.Second)}
		w.keepCall(over)
		over.Final = true
		w.keepCall(over)
		answered := w.rt.now()
		time.Sleep(43 * time.Second) // at 40 s the executors noted that they live
		w.must(w.stop())             // nothing says that the calls are over
		time.Sleep(time.Hour)

		w = launch(t, store, Options{}, func(*world) {})
		w.publishTariff(voiceRows, priced)
		synctest.Wait()
		records := w.calls()
		expect(t, "records", len(records), legs+1)
		lost := 0
		for _, r := range records {
			if r.Call == "over" {
				expect(t, "duration", r.Duration(), time.Second)
				continue
			}
			lost++
			if r.Ended.After(answered.Add(43*time.Second)) || r.Ended.Before(answered.Add(35*time.Second)) || r.Detail != DetailLost {
				t.Fatalf("answered %v, ended %v, %s", r.Answered, r.Ended, r.Detail)
			}
			expect(t, "billed", r.Billed, 40*time.Second)
		}
		expect(t, "lost", lost, legs)
		open, err := w.rt.OpenCalls()
		w.must(err)
		expect(t, "open", len(open), 0)
		expect(t, "two", costText(w.flowStatus("priced").Counts.CostOf("two")), "[123.07 EUR], 0 unknown") // 300 × 0.41
		w.recount()
		w.must(w.stop())
		w = launch(t, store, Options{}, func(*world) {})
		w.publishTariff(voiceRows, priced)
		synctest.Wait()
		expect(t, "records after another start", len(w.calls()), legs+1)
	})
}

// A reader that follows the keys of each shard sees every record once, whatever
// comes while it reads.
func TestFollowingCallRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, priced)
		seen, cursors := map[string]int{}, map[flowengine.Shard][]byte{}
		n := 0
		for range 5 {
			for range 200 {
				n++
				w.keepCall(&CallRecord{Call: fmt.Sprint(n), Final: true, Ended: w.rt.now()})
				time.Sleep(time.Millisecond)
			}
			for s := range flowengine.Shard(flowengine.Shards) {
				for {
					records, last, err := w.rt.CallsAfter(s, cursors[s], 3)
					w.must(err)
					if cursors[s] = last; len(records) == 0 {
						break
					}
					for _, r := range records {
						seen[r.Call]++
					}
				}
			}
		}
		for i := 1; i <= n; i++ {
			if seen[fmt.Sprint(i)] != 1 {
				t.Errorf("%d was seen %d times", i, seen[fmt.Sprint(i)])
			}
		}
		order := w.calls()
		for i := range order {
			if order[i].Call != fmt.Sprint(i+1) {
				t.Fatalf("record %d is of call %s", i, order[i].Call)
			}
		}
		middle := order[500].Ended
		count := 0
		w.must(w.rt.EachCall(middle, middle.Add(100*time.Millisecond), func(*CallRecord) bool { count++; return true }))
		if count < 90 || count > 101 {
			t.Errorf("%d records within 100 ms", count)
		}
	})
}

func TestCallRecordRoundTrip(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	r := &CallRecord{
		Call: "c", Leg: 3, Origin: flowengine.Origin{Flow: "f", Version: 2, Element: "e", Number: 4, Seq: 5}, Outbound: true, Trunk: "t",
		From: "1", To: "2", Setup: at, Alerting: at.Add(1e9), Answered: at.Add(2e9), Ended: at.Add(3e9), Final: true, Status: 200, Cause: 16,
		By: "us", Detail: "cut_off", Codec: "PCMA", MOS: 432, Lost: 12, Jitter: 3 * time.Millisecond,
		Charge: flowengine.Charge{Cost: 7, Currency: euro(t)}, Billed: time.Minute, Trace: "how", boot: 8, executor: 1,
	}
	got, err := decodeCallRecord(r.append(nil))
	if err != nil || fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", *r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
}
