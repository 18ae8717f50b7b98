package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// clock is a clock that a test sets.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }
func (w *world) attend()                 { w.rt.lifecycle(context.Background()) }
func days(n int) time.Duration           { return time.Duration(n) * 24 * time.Hour }
func (w *world) flow(id string) FlowStatus {
	w.t.Helper()
	all, err := w.rt.Flows()
	w.must(err)
	for _, f := range all {
		if f.ID == id {
			return f
		}
	}
	w.t.Fatalf("no flow %q", id)
	return FlowStatus{}
}

// versions gives what `flow versions` tells, as "1 drains 3".
func (w *world) versions(id string) string {
	w.t.Helper()
	all, err := w.rt.Versions(id)
	w.must(err)
	var lines []string
	for _, v := range all {
		lines = append(lines, fmt.Sprintf("%d %s %d", v.Ordinal, v.State, v.Inside))
	}
	return strings.Join(lines, ", ")
}

// waiting is a flow in which people wait at a or at b.
const waiting = `
flow: waiting
entries:
  - {id: a, type: inbound_message, number: "38591000001", keywords: [a], next: a}
  - {id: b, type: inbound_message, number: "38591000001", keywords: [b], next: b}
elements:
  a: {type: pause, for: 1h, on: {done: old}}
  b: {type: pause, for: 1h, on: {done: old}}
  old: {type: add_tag, tag: old}
`

// waiting2 has no b and no old; who waits at a goes on in it.
const waiting2 = `
flow: waiting
entries: [{id: a, type: inbound_message, number: "38591000001", keywords: [a], next: a}]
elements:
  a: {type: pause, for: 5h, on: {done: fresh}}
  fresh: {type: add_tag, tag: fresh}
settings: {on_publish: migrate}
`

// S9: editing a flow and removing an element of it with 100,000 people in flight keeps
// account of every one: who waits at an element that is still there goes over, the
// others finish on their version, nobody is lost and nobody is counted twice
// (M5), also when the daemon ends in the midst of it.
func TestManyInFlight(t *testing.T) {
	people := 100_000
	if underRace || testing.Short() {
		people = 4_000
	}
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, waiting)
		w.enter(people)
		expect(t, "versions", w.versions("waiting"), fmt.Sprintf("1 current %d", people))
		_, err := w.publish(waiting2)
		w.must(err)
		w.must(w.stop()) // at once
		w = start(t, store, Options{}, waiting2)
		time.Sleep(2 * time.Minute)
		expect(t, "versions", w.versions("waiting"), fmt.Sprintf("1 draining %d, 2 current %d", people/2, people/2))
		expect(t, "inside", int(w.flow("waiting").Inside), people)
		w.must(w.inbound(w.arrival("38599", "a"))) // newcomers take the newest
		time.Sleep(time.Hour + 2*time.Minute)      // X4: the pauses that had begun stay as they were
		expect(t, "inside", int(w.flow("waiting").Inside), 1)
		time.Sleep(5 * time.Hour)
		f := w.flow("waiting")
		expect(t, "inside", int(f.Inside), 0)
		expect(t, "entered", int(f.Counts.Entered), people+1)
		expect(t, "completed", int(f.Counts.Exited["completed"]), people+1)
		expect(t, "retired", fmt.Sprint(f.Retired), "[b old]")
		for element, want := range map[string]int{"a": people/2 + 1, "b": people / 2, "old": people / 2, "fresh": people/2 + 1} {
			c := w.counts("waiting", element)
			expect(t, element+" total", int(c.Total), want)
			expect(t, element+" unique", int(c.Unique), want)
		}
		expect(t, "versions", w.versions("waiting"), "1 retired 0, 2 current 0")
		expect(t, "loaded", len(w.rt.set.Load().Flow("waiting").Versions), 1)
		left := 0
		for s := range flowengine.Shard(flowengine.Shards) {
			w.must(store.Scan(appendPrefix(nil, s, kindActive), nil, func(_, _ []byte) bool { left++; return true }))
		}
		expect(t, "left in the index", left, 0)
		if people < 10_000 { // the recount reads every history
			w.recount()
		}
	})
}

// enter lets n people into waiting, every other one at b.
func (w *world) enter(n int) {
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range n {
		wg.Add(1)
		w.rt.Inbound(w.arrival(fmt.Sprintf("3859%06d", i), string("ab"[i%2])), func(err error) {
			if err != nil {
				failed.Add(1)
			}
			wg.Done()
		})
		if i%1000 == 999 {
			wg.Wait()
		}
	}
	wg.Wait()
	expect(w.t, "failed entries", failed.Load(), 0)
}

// S4: an indefinite flow finishes when no element has run for 90 days, for anybody,
// in any version; a restart does not forget when that was.
func TestIdle(t *testing.T) {
	const flow = `
flow: evergreen
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: a}]
elements: {a: {type: add_tag, tag: %s}}
settings: {indefinite: true}
`
	c, store := newClock(), memory.New()
	first, second := fmt.Sprintf(flow, "x"), fmt.Sprintf(flow, "y")
	w := start(t, store, Options{Now: c.now}, first)
	state := func(want flowengine.State) {
		t.Helper()
		w.attend()
		expect(t, "state", w.flow("evergreen").State, want)
	}
	restart := func(flow string) {
		t.Helper()
		w.must(w.stop())
		w = start(t, store, Options{Now: c.now}, flow)
	}
	c.advance(days(89))
	state(flowengine.Active)
	w.must(w.inbound(w.arrival("385911", "hello"))) // it is used
	_, err := w.publish(second)
	w.must(err)
	c.advance(days(89))
	state(flowengine.Active)
	restart(second)
	state(flowengine.Active)
	c.advance(days(1) - time.Minute)
	state(flowengine.Active)
	c.advance(time.Minute) // 90 days after the only element that ran, in version 1
	restart(second)
	state(flowengine.Finished)
	w.must(w.rt.StartFlow(t.Context(), "evergreen"))
	c.advance(days(90) - time.Minute)
	state(flowengine.Active)
	c.advance(time.Minute) // never used since it was launched again
	state(flowengine.Finished)
}

// S1, S2: a flow that starts later is scheduled, and launched when its time has
// come; a draft waits for an operator, and is one version however often it is edited.
func TestScheduledAndDraft(t *testing.T) {
	const later = "flow: later\nentries: [{id: e, type: inbound_message, number: \"38591000001\", keywords: [later], next: a}]\nelements: {a: {type: add_tag, tag: x}}\nsettings: {start_at: 2026-01-03 12:00}\n"
	const draft = "flow: draft\nentries: [{id: e, type: inbound_message, number: \"38591000001\", keywords: [draft], next: a}]\nelements: {a: {type: %s}}\nsettings: {launch: manual}\n"
	c, store := newClock(), memory.New()
	pause, exit := fmt.Sprintf(draft, "pause, for: 1h"), fmt.Sprintf(draft, "exit")
	w := start(t, store, Options{Now: c.now}, later, pause)
	state := func(id string, want flowengine.State) {
		t.Helper()
		w.attend()
		expect(t, id, w.flow(id).State, want)
	}
	entered := func(id string, want int) {
		t.Helper()
		w.must(w.inbound(w.arrival("385911", id)))
		expect(t, id+" entered", int(w.flow(id).Counts.Entered), want)
	}
	state("later", flowengine.Scheduled)
	state("draft", flowengine.Draft)
	entered("later", 0)
	entered("draft", 0)
	_, err := w.publish(later, exit) // nobody has been in it: an element may become another
	w.must(err)
	expect(t, "versions", w.versions("draft"), "1 draft 0")
	w.must(w.stop())
	w = start(t, store, Options{Now: c.now}, later, exit)
	state("draft", flowengine.Draft)
	c.advance(days(2))
	entered("later", 1) // not a moment too late
	state("later", flowengine.Active)
	expect(t, "launched", w.flow("later").Launched, time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC))
	w.must(w.rt.StartFlow(t.Context(), "draft"))
	state("draft", flowengine.Active)
	entered("draft", 1)
	c.advance(days(90)) // S3
	state("later", flowengine.Finished)
}

// S3, S7: at its end a flow drains for 30 days at most, or lets everybody go.
func TestEnd(t *testing.T) {
	const flow = `
flow: ending
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: a}]
elements: {a: {type: pause, for: 300d}}
settings: {on_end: %s}
`
	for onEnd, drains := range map[string]bool{"drain": true, "exit": false} {
		t.Run(onEnd, func(t *testing.T) {
			c := newClock()
			w := start(t, memory.New(), Options{Now: c.now}, fmt.Sprintf(flow, onEnd))
			w.must(w.inbound(w.arrival("385911", "x")))
			c.advance(days(90) - time.Millisecond)
			w.attend()
			expect(t, "state", w.flow("ending").State, flowengine.Active)
			c.advance(time.Millisecond)
			w.attend()
			if drains {
				expect(t, "state", w.flow("ending").State, flowengine.Finishing)
				expect(t, "inside", w.flow("ending").Inside, 1)
				c.advance(days(30))
				w.attend()
			}
			f := w.flow("ending")
			expect(t, "state", f.State, flowengine.Finished)
			expect(t, "inside", f.Inside, 0)
			expect(t, "taken out", f.Counts.Exited["flow_ended"], 1)
			w.recount()
		})
	}
}

// S7: who stops a flow may give those inside some time, at most 30 days.
func TestStopWithDrain(t *testing.T) {
	c := newClock()
	w := start(t, memory.New(), Options{Now: c.now}, strings.ReplaceAll(waiting, "1h", "300d"))
	ctx := t.Context()
	w.enter(10)
	if err := w.rt.StopFlow(ctx, "waiting", days(31)); err == nil || !strings.Contains(err.Error(), "at most 30 days") {
		t.Errorf("31 days: %v", err)
	}
	w.must(w.rt.StopFlow(ctx, "waiting", days(7)))
	w.attend()
	expect(t, "state", w.flow("waiting").State, flowengine.Finishing)
	expect(t, "inside", w.flow("waiting").Inside, 10)
	c.advance(days(7))
	w.attend()
	expect(t, "state", w.flow("waiting").State, flowengine.Finished)
	expect(t, "inside", w.flow("waiting").Inside, 0)
	w.recount()
}

// E8, S7: one version can be stopped, at once or after a while. The newest can't:
// it takes people in.
func TestStopVersion(t *testing.T) {
	for _, drain := range []time.Duration{0, days(7)} {
		t.Run(drain.String(), func(t *testing.T) {
			c, store := newClock(), memory.New()
			first := strings.ReplaceAll(waiting, "1h", "300d")
			second := strings.ReplaceAll(first, "old", "new")
			w := start(t, store, Options{Now: c.now}, first)
			ctx := t.Context()
			w.enter(200)
			_, err := w.publish(second)
			w.must(err)
			w.must(w.inbound(w.arrival("385911", "a")))
			expect(t, "versions", w.versions("waiting"), "1 draining 200, 2 current 1")
			if err := w.rt.StopVersion(ctx, "waiting", 2, drain); err == nil || !strings.Contains(err.Error(), "is the newest") {
				t.Errorf("the newest: %v", err)
			}
			if err := w.rt.StopVersion(ctx, "waiting", 3, drain); !errors.Is(err, ErrNotFound) {
				t.Errorf("one that is not there: %v", err)
			}
			w.must(w.rt.StopVersion(ctx, "waiting", 1, drain))
			if drain > 0 {
				expect(t, "versions", w.versions("waiting"), "1 stopping 200, 2 current 1")
				w.must(w.stop())
				w = start(t, store, Options{Now: c.now}, second)
				c.advance(drain)
			}
			w.attend()
			expect(t, "versions", w.versions("waiting"), "1 retired 0, 2 current 1")
			expect(t, "taken out", w.flow("waiting").Counts.Exited["version_stopped"], 200)
			expect(t, "state", w.flow("waiting").State, flowengine.Active)
			expect(t, "loaded", len(w.rt.set.Load().Flow("waiting").Versions), 1)
			w.recount()
		})
	}
}

// S9: an element's id stays with its type for ever: what is stored of earlier versions
// tells, also of elements that were removed long ago.
func TestRetypedElementIsRefused(t *testing.T) {
	const flow = "flow: f\nentries: [{id: e, type: flow_api, next: a}]\nelements:\n  a: {type: exit}\n  %s: {type: %s}\n"
	store := memory.New()
	w := start(t, store, Options{}, fmt.Sprintf(flow, "b", "exit"))
	_, err := w.publish(fmt.Sprintf(flow, "c", "exit"))
	w.must(err)
	w.must(w.stop())
	forgetTypes(t, store, "f") // as it was stored before the types were kept
	w = start(t, store, Options{}, fmt.Sprintf(flow, "c", "exit"))
	_, err = w.publish(fmt.Sprintf(flow, "b", "pause, for: 1h"))
	var found strict.Errors
	if !errors.As(err, &found) || !strings.HasPrefix(found[0].Error(), `flow0.yaml:5:13: element "b" was of type exit`) {
		t.Errorf("got %v", err)
	}
	expect(t, "newest", w.flow("f").Newest, 2)
}

func forgetTypes(t *testing.T, store storage.Store, flow string) {
	t.Helper()
	value, err := store.Get(flowKey(flow), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeFlowRecord(flow, value)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "types", len(r.types), 3)
	r.types = nil
	var b storage.Batch
	b.Put(flowKey(flow), r.encode())
	if err := store.Apply(&b); err != nil {
		t.Fatal(err)
	}
}

// S6: who launches a second flow on a voice number is told who holds it, and a flow
// that takes calls gets no new version while it is active.
func TestVoiceNumber(t *testing.T) {
	const flow = "flow: %s\nentries: [{id: e, type: inbound_call, number: \"3851000\", next: a}]\nelements: {a: {type: %s}}\nsettings: {launch: %s}\n"
	first, second := fmt.Sprintf(flow, "first", "exit", "auto"), fmt.Sprintf(flow, "second", "exit", "manual")
	w := start(t, memory.New(), Options{}, first, second)
	ctx := t.Context()
	err := w.rt.StartFlow(ctx, "second")
	if err == nil || !strings.Contains(err.Error(), `taken by flow "first", which is active`) {
		t.Errorf("a second launch: %v", err)
	}
	expect(t, "second", w.flow("second").State, flowengine.Draft)
	changed := fmt.Sprintf(flow, "first", "pause, for: 1h", "auto")
	changed = strings.ReplaceAll(changed, "a:", "b:")
	changed = strings.ReplaceAll(changed, "next: a", "next: b")
	if _, err = w.publish(changed, second); err == nil || !strings.Contains(err.Error(), `flow "first" takes calls and is active`) {
		t.Errorf("a new version of an active one: %v", err)
	}
	w.must(w.rt.StopFlow(ctx, "first", 0))
	w.must(w.rt.StartFlow(ctx, "second"))
	_, err = w.publish(changed, second)
	w.must(err)
	if err := w.rt.StartFlow(ctx, "first"); err == nil || !strings.Contains(err.Error(), `taken by flow "second"`) {
		t.Errorf("the first once more: %v", err)
	}
}

// S5: a flow for a snapshot of people finishes when the last of them has left.
func TestSnapshotFinishes(t *testing.T) {
	const offer = `
flow: offer
entries: [{id: e, type: audience, condition: {tag: vip, op: has}, next: p}]
elements: {p: {type: pause, for: 1h}}
`
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, collecting)
		w.crowd(20)
		_, err := w.publish(collecting, offer)
		w.must(err)
		time.Sleep(30 * time.Minute)
		expect(t, "state", w.flow("offer").State, flowengine.Active)
		expect(t, "inside", w.flow("offer").Inside, 10)
		time.Sleep(33 * time.Minute)
		expect(t, "state", w.flow("offer").State, flowengine.Finished)
	})
}

// E8: why and when a run ended is kept.
func TestExitsAreKept(t *testing.T) {
	const flow = `
flow: f
entries:
  - {id: a, type: inbound_message, number: "38591000001", keywords: [end], next: end}
  - {id: b, type: inbound_message, number: "38591000001", keywords: [port], next: port}
  - {id: c, type: inbound_message, number: "38591000001", keywords: [loop], next: loop}
  - {id: d, type: inbound_message, number: "38591000001", keywords: [stay], next: stay}
elements:
  end: {type: exit}
  port: {type: add_tag, tag: x}
  loop: {type: add_tag, tag: x, on: {done: loop}}
  stay: {type: pause, for: 10d}
`
	c := newClock()
	w := start(t, memory.New(), Options{Now: c.now}, flow)
	ctx := t.Context()
	last := func(who string) string {
		t.Helper()
		c.advance(time.Second)
		p := w.person(who)
		for i := len(p.History) - 1; i >= 0; i-- {
			for _, e := range p.History[i].Events {
				if e.Kind == flowengine.Exited {
					expect(t, who+" left at", p.History[i].At, p.Passages.Membership("f").LastExit)
					expect(t, who+" left", p.History[i].At, c.now().Add(-time.Second))
					return e.Detail
				}
			}
		}
		return ""
	}
	for i, word := range []string{"end", "port", "loop"} {
		who := fmt.Sprintf("38590%d", i)
		w.must(w.inbound(w.arrival(who, word)))
		expect(t, word, last(who), map[string]string{"end": "completed", "port": "completed", "loop": "loop_guard"}[word])
	}
	w.must(w.inbound(w.arrival("385911", "stay")))
	c.advance(time.Minute)
	_, err := w.rt.Remove(ctx, ParseWho("385911"), "f", 0, "api")
	w.must(err)
	expect(t, "removed", last("385911"), "api")
	w.must(w.inbound(w.arrival("385912", "stay")))
	c.advance(time.Minute)
	w.must(w.rt.StopFlow(ctx, "f", 0))
	expect(t, "stopped", last("385912"), "stopped")
}
