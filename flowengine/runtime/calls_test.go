package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/ivr"
	"trunkline/storage"
	"trunkline/storage/memory"
)

const voiceNumber = "38510"

const hotline = `
flow: hotline
entries: [{id: in, type: inbound_call, number: "38510", next: hello}]
elements:
  hello: {type: say, text: Hello, on: {done: ask, hung_up: gone}}
  ask: {type: menu, branches: [{key: "1", next: bye}], on: {hung_up: gone}}
  bye: {type: hang_up, on: {done: served}}
  served: {type: add_tag, tag: served}
  gone: {type: add_tag, tag: gone}
`

const remind = `
flow: remind
entries: [{id: api, type: flow_api, next: ring}]
elements:
  ring: {type: start_call, from: "38510", retries: 2, retry_period: 10m, on: {answered: greet, busy: gave_up, no_answer: gave_up}}
  greet: {type: say, text: Hello}
  gave_up: {type: add_tag, tag: unreached}
`

// desk holds calls by the will of a test. What comes to it is noted in order.
type desk struct {
	mu      sync.Mutex
	tasks   []flowengine.CallTask
	started []*Message
	dones   []func(CallStart)
	notes   []string
}

func (d *desk) Do(t flowengine.CallTask) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tasks = append(d.tasks, t)
	d.notes = append(d.notes, string(t.Task.Kind))
}

func (d *desk) Start(m *Message, _ ivr.Task, done func(CallStart)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started, d.dones = append(d.started, m), append(d.dones, done)
	d.notes = append(d.notes, "start")
}

func (d *desk) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
}

// noted is what came so far.
func (d *desk) noted() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprint(d.notes)
}

func (d *desk) last() flowengine.CallTask {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tasks[len(d.tasks)-1]
}

// answer ends the latest attempt to call.
func (d *desk) answer(s CallStart) {
	d.mu.Lock()
	done := d.dones[len(d.dones)-1]
	d.mu.Unlock()
	done(s)
}

// Bury notes which legs of a former process are hung up.
func (d *desk) Bury(trunk, trace string) { d.note("hung up " + trunk + " " + trace) }

// operator is a world with a desk.
type operator struct {
	*world
	desk *desk
}

func operate(t *testing.T, store storage.Store, flows ...string) *operator {
	o := &operator{desk: new(desk)}
	o.world = launch(t, store, Options{}, func(*world) {})
	o.rt.RegisterCaller(o.desk) // before anything is published, nothing goes on
	if _, err := o.publish(flows...); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *operator) call(id, from, to string) (flowengine.Origin, error) {
	type answer struct {
		run flowengine.Origin
		err error
	}
	got := make(chan answer, 1)
	o.rt.Call(&IncomingCall{ID: id, From: flowengine.Address{Kind: flowengine.Phone, Value: from}, To: to, At: time.Now()}, func(run flowengine.Origin, err error) {
		o.desk.note("taken")
		got <- answer{run, err}
	})
	a := <-got
	synctest.Wait()
	return a.run, a.err
}

// outcome answers the latest task.
func (o *operator) outcome(of flowengine.CallTask, out ivr.Outcome) {
	o.t.Helper()
	done := make(chan error, 1)
	o.rt.CallOutcome(&flowengine.CallOutcome{Call: of.Call, Origin: of.Origin, Outcome: out}, func(err error) { done <- err })
	o.must(<-done)
	synctest.Wait()
}

func (o *operator) enter(phone string) {
	o.t.Helper()
	p := o.person(phone)
	o.must(o.rt.do(context.Background(), o.rt.owner(p.Person.ID.Shard()), "test", func(tx *txn) error {
		m, err := tx.member(p.Person.ID)
		if err == nil {
			tx.step(m, &flowengine.Start{Flow: "remind", Entry: "api"})
		}
		return err
	}))
	synctest.Wait()
}

// S6 X1: a call goes to the flow that takes those to its number; its tasks go out
// when what led to them is durable, one after the other.
func TestACallGoesThroughItsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operate(t, memory.New(), hotline)
		if _, err := o.call("c0", "385911", "38599"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a wrong number: %v", err)
		}
		run, err := o.call("c1", "385911", voiceNumber)
		o.must(err)
		expect(t, "flow", run.Flow, "hotline")
		expect(t, "notes", o.desk.noted(), "[taken taken play]")
		first := o.desk.last()
		o.outcome(first, ivr.Outcome{Port: ivr.PortDone})
		o.outcome(first, ivr.Outcome{Port: ivr.PortDone}) // once more: it changes nothing
		expect(t, "notes", o.desk.noted(), "[taken taken play collect]")
		if _, err := o.call("c2", "385911", voiceNumber); !errors.Is(err, ErrRefused) { // E2
			t.Errorf("a second call: %v", err)
		}
		o.outcome(o.desk.last(), ivr.Outcome{Port: ivr.PortDone, Digits: "1"})
		expect(t, "notes", o.desk.noted(), "[taken taken play collect taken hang_up]")
		expect(t, "served", o.tagged("385911", "served"), true)
		o.recount()
		o.must(o.stop())
	})
}

// S6: another flow for the number is refused, and so is another version.
func TestAFlowThatTakesCallsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operate(t, memory.New(), hotline)
		if _, err := o.publish(hotline, "flow: second"+hotline[len("\nflow: hotline"):]); err == nil {
			t.Error("a second flow took the number")
		}
		if _, err := o.publish(hotline + "  more: {type: exit}\n"); err == nil {
			t.Error("it was replaced while it is active")
		}
		_, err := o.call("c1", "385911", voiceNumber)
		o.must(err)
		o.must(o.rt.StopFlow(context.Background(), "hotline", 0))
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[taken play hang_up]")
		if _, err := o.call("c2", "385912", voiceNumber); !errors.Is(err, ErrRefused) {
			t.Errorf("a call to a flow that was stopped: %v", err)
		}
		if _, err := o.publish(hotline + "  more: {type: exit}\n"); err != nil {
			t.Error(err)
		}
		o.must(o.stop())
	})
}

// X1: what the store refuses has no effect on a call.
func TestNoTaskBeforeTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), left: 1 << 20, err: errors.New("the disk is gone")}
		o := operate(t, store, hotline)
		store.mu.Lock()
		store.left = 0
		store.mu.Unlock()
		if _, err := o.call("c1", "385911", voiceNumber); err == nil {
			t.Error("it was taken")
		}
		expect(t, "notes", o.desk.noted(), "[taken]")
		_ = o.stop()
	})
}

// A call dies with its process: its run goes on through hung_up, and its legs are
// hung up once.
func TestRestartEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		o := operate(t, store, hotline)
		for i := range 20 {
			id := fmt.Sprint("c", i)
			_, err := o.call(id, fmt.Sprint("38591", i), voiceNumber)
			o.must(err)
			o.keepCall(&CallRecord{Call: id, Trunk: "line", Answered: o.rt.now(), Ended: o.rt.now(), Trace: "trace of " + id})
		}
		o.must(o.stop())
		o = operate(t, store, hotline)
		synctest.Wait()
		for i := range 20 {
			expect(t, "hung up", strings.Count(o.desk.noted(), fmt.Sprintf("hung up line trace of c%d", i)) >= 1, true)
		}
		expect(t, "legs", strings.Count(o.desk.noted(), "hung up"), 20)
		for i := range 20 {
			p := o.person(fmt.Sprint("38591", i))
			expect(t, "gone", p.Person.HasTag(flowengine.NewTag("gone")), true)
			expect(t, "runs", len(p.Passages.Runs), 0)
		}
		left := 0
		for s := range flowengine.Shard(flowengine.Shards) {
			o.must(store.Scan(appendPrefix(nil, s, kindCalls), nil, func(_, _ []byte) bool { left++; return true }))
		}
		expect(t, "calls in the index", left, 0)
		o.recount()
		o.must(o.stop())
	})
}

// A caller who hangs up while nothing is asked of the call is missed by the next
// element that needs it.
func TestCallEndsBetweenElements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operate(t, memory.New(), `
flow: slow
entries: [{id: in, type: inbound_call, number: "38510", next: think}]
elements:
  think: {type: pause, for: 1m, on: {done: hello}}
  hello: {type: say, text: Hello, on: {hung_up: gone}}
  gone: {type: add_tag, tag: gone}
`)
		run, err := o.call("c1", "385911", voiceNumber)
		o.must(err)
		done := make(chan error, 1)
		o.rt.CallEnded("c1", run, func(err error) { done <- err })
		o.must(<-done)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[taken]")
		expect(t, "gone", o.tagged("385911", "gone"), true)
		o.must(o.stop())
	})
}

// M3: each attempt to call is a unit; who does not answer is called again, and
// the elements that follow the answer speak on that call.
func TestStartCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operate(t, memory.New(), remind, shoeSize)
		o.must(o.inbound(o.arrival("385911", "start"))) // makes the person
		o.enter("385911")
		expect(t, "notes", o.desk.noted(), "[start]")
		o.desk.answer(CallStart{Fate: FateRetry, After: time.Second}) // no line was free
		time.Sleep(2 * time.Second)
		o.desk.answer(CallStart{Fate: FateRejected, Began: true, Outcome: ivr.Outcome{Port: ivr.PortBusy, Over: true}})
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[start start start]")
		o.desk.answer(CallStart{Fate: FateAccepted, Began: true, Outcome: ivr.Outcome{Port: ivr.PortAnswered}})
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[start start start play]")
		expect(t, "call", o.desk.last().Call, o.desk.started[0].ID)
		o.outcome(o.desk.last(), ivr.Outcome{Port: ivr.PortDone})
		expect(t, "notes", o.desk.noted(), "[start start start play hang_up]")
		expect(t, "units", o.counts("remind", "ring").Sent, uint64(2))
		o.recount()
		o.must(o.stop())
	})
}

// Who is taken out of a flow is not called any more, and hung up on.
func TestStoppedFlowsCallNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operate(t, memory.New(), remind, shoeSize)
		o.must(o.inbound(o.arrival("385911", "start")))
		o.enter("385911")
		o.must(o.rt.StopFlow(context.Background(), "remind", 0))
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[start hang_up]")
		// It was answered in the same moment: nobody is there to speak.
		o.desk.answer(CallStart{Fate: FateAccepted, Began: true, Outcome: ivr.Outcome{Port: ivr.PortAnswered}})
		synctest.Wait()
		expect(t, "notes", o.desk.noted(), "[start hang_up hang_up]")
		o.must(o.stop())
	})
}

func (o *operator) tagged(phone, tag string) bool {
	o.t.Helper()
	p := o.person(phone)
	return p.Person.HasTag(flowengine.NewTag(tag))
}
