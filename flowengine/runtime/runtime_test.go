package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

const shoeSize = `
flow: shoe-size
entries:
  - {id: e1, type: inbound_message, number: "38591000001", keywords: [start], match: first_word, next: ask}
elements:
  ask:  {type: send_sms, from: "38591000001", text: "Shoe size?", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 1h, branches: [{match: any, next: save}], on: {timeout: late}}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: thank}}
  thank: {type: send_sms, from: "38591000001", text: "Size {{ person.shoeSize }}, thank you"}
  late: {type: send_sms, from: "38591000001", text: "Too late"}
`

const number = "38591000001"

// world is a runtime on a store, with a sender that a test drives.
type world struct {
	t     *testing.T
	store storage.Store
	rt    *Runtime
	stop  func() error

	mu       sync.Mutex
	sent     []*Message
	answer   func(m *Message) (Outcome, bool) // false: the carrier stays silent
	accepted int
	hooks    []Hook // of what is published next
	policy   *flowengine.Policy
	block    chan struct{} // nil: answers come at once; else when it is closed
	sender   Sender        // nil: the world itself
}

func (w *world) Send(m *Message, done func(Outcome)) {
	w.mu.Lock()
	w.sent = append(w.sent, m)
	w.accepted++
	o, ok := Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1, Keys: []string{fmt.Sprint(w.accepted)}}, true
	if w.answer != nil {
		o, ok = w.answer(m)
	}
	block := w.block
	w.mu.Unlock()
	switch {
	case !ok:
	case block == nil:
		go done(o)
	default:
		go func() { <-block; done(o) }()
	}
}

func (w *world) Units(*Message) uint8 { return 1 }

func (w *world) texts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, m := range w.sent {
		all = append(all, m.Text)
	}
	return all
}

func start(t *testing.T, store storage.Store, o Options, flows ...string) *world {
	t.Helper()
	return startWith(t, store, o, func(*world) {}, flows...)
}

// startWith is start for a test that prepares the world before anything goes on.
func startWith(t *testing.T, store storage.Store, o Options, prepare func(*world), flows ...string) *world {
	t.Helper()
	w := launch(t, store, o, prepare)
	if _, err := w.publish(flows...); err != nil {
		t.Fatal(err)
	}
	return w
}

// launch starts a runtime that knows no flows yet.
func launch(t *testing.T, store storage.Store, o Options, prepare func(*world)) *world {
	t.Helper()
	w := &world{t: t, store: store}
	w.sender = w
	prepare(w)
	o.Executors = 2
	o.Log = slog.New(slog.DiscardHandler)
	if o.Assemble == nil {
		o.Assemble = func(parts []*Part) (string, error) {
			var b strings.Builder
			for _, p := range parts {
				if p == nil {
					b.WriteString("…")
					continue
				}
				b.Write(p.Payload)
			}
			return b.String(), nil
		}
	}
	rt, err := New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	w.rt = rt
	rt.Register("sms", w.sender)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = w.stop() })
	go func() { ended <- rt.Run(ctx) }()
	return w
}

func (w *world) publish(flows ...string) (*Published, error) {
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole})
	if err != nil {
		w.t.Fatal(err)
	}
	p := Publication{
		Schema: schema, Numbers: []*flowengine.Number{{Value: number, Channel: "sms", DuplicateWindow: 2 * time.Second}, {Value: voiceNumber, Channel: VoiceChannel}},
		Links: flowengine.Links{Base: "https://l.example", TTL: linkTTL}, Hooks: w.hooks, Policy: w.policy,
		Mailing: flowengine.Mailing{Identities: []flowengine.Identity{{ID: "shop", Address: "news@shop.example"}}},
	}
	for i, f := range flows {
		v, err := flowengine.ParseFlow(fmt.Sprintf("flow%d.yaml", i), []byte(f), schema, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		p.Flows = append(p.Flows, v)
	}
	return w.rt.Publish(context.Background(), p)
}

func (w *world) arrival(from, text string) *Arrival {
	return &Arrival{ID: "in-" + from + "-" + text, Channel: "sms", Carrier: "in", From: flowengine.Address{Kind: flowengine.Phone, Value: from}, To: number, Text: text, At: time.Now()}
}

// inbound gives a message to the runtime and waits for its acknowledgement.
func (w *world) inbound(a *Arrival) error {
	done := make(chan error, 1)
	w.rt.Inbound(a, func(err error) { done <- err })
	return <-done
}

func (w *world) report(to, key, state string) error {
	done := make(chan error, 1)
	w.rt.Report(&Delivery{Carrier: "out", Keys: []string{key}, To: to, Other: number, State: state, Final: state != StateEnroute, At: time.Now()}, func(err error) { done <- err })
	return <-done
}

func (w *world) person(ref string) *Profile {
	w.t.Helper()
	p, err := w.rt.Person(context.Background(), ref, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) counts(flow, element string) Counts {
	w.t.Helper()
	sums, err := ReadTallies(w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	if sums[flow] == nil {
		return Counts{}
	}
	return sums[flow].ByElement()[element]
}

// recount checks rule M5.
func (w *world) recount() {
	w.t.Helper()
	counted, err := Recount(w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	stored, err := ReadTallies(w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	if d := Differences(counted, stored); d != nil {
		w.t.Error(d)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func expect[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A keyword becomes a conversation, and all of it is there after a restart.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "START")))
		synctest.Wait()
		if got := w.texts(); !slices.Equal(got, []string{"Shoe size?"}) {
			t.Fatalf("sent %q", got)
		}
		w.must(w.report("385911", "1", StateDelivered))
		w.must(w.stop())

		w = start(t, store, Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "I have 43")))
		synctest.Wait()
		if got := w.texts(); !slices.Equal(got, []string{"Size 43, thank you"}) {
			t.Fatalf("sent %q", got)
		}
		p := w.person("+385911")
		expect(t, "shoe size", p.Person.Attrs.Get("shoeSize").String(), "43")
		expect(t, "runs", len(p.Passages.Runs), 0)
		expect(t, "engagements", w.counts("shoe-size", "ask").Total, 1)    // M1
		expect(t, "unique", w.counts("shoe-size", "ask").Unique, 1)        // M2
		expect(t, "messages sent", w.counts("shoe-size", "ask").Sent, 1)   // M3
		expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 1)  //
		expect(t, "messages sent", w.counts("shoe-size", "thank").Sent, 1) // M3
		expect(t, "versions", w.rt.flows.records["shoe-size"].newest().ordinal, 1)
		w.recount()
	})
}

// The timeout of a wait fires, also when the daemon was down at its time (X5).
func TestTimerFires(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("down=%t", down), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				w := start(t, store, Options{}, shoeSize)
				w.must(w.inbound(w.arrival("385911", "start")))
				synctest.Wait()
				if down {
					w.must(w.stop())
				}
				time.Sleep(time.Hour + time.Second)
				if down {
					w = start(t, store, Options{}, shoeSize)
				}
				time.Sleep(time.Second)
				texts := w.texts()
				expect(t, "last text", texts[len(texts)-1], "Too late")
				w.recount()
			})
		})
	}
}

// Timers of many people fire in the order of their due times (X5).
func TestTimersFireInOrder(t *testing.T) {
	const flow = `
flow: late
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: p}]
elements:
  p: {type: pause, for: 1h, on: {done: s}}
  s: {type: send_sms, from: "38591000001", text: "{{ inbound.text }}"}
`
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, flow)
		const people = 2000
		for i := range people {
			w.must(w.inbound(w.arrival(fmt.Sprintf("3859%05d", i), fmt.Sprintf("%05d", i))))
			time.Sleep(10 * time.Millisecond)
		}
		w.must(w.stop())
		time.Sleep(2 * time.Hour)
		w = start(t, store, Options{}, flow)
		time.Sleep(time.Minute)
		w.must(w.stop())
		expect(t, "messages", len(w.sent), people)
		// Each executor fires in order; together they are a merge of two orders.
		last := map[int]string{}
		for _, m := range w.sent {
			ex := int(m.Origin.Person.Shard()) % 2
			if m.Text < last[ex] {
				t.Fatalf("%s came after %s", m.Text, last[ex])
			}
			last[ex] = m.Text
		}
		w.recount()
	})
}

// R7: the same message again within the window is acknowledged and dropped.
func TestDuplicateInbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		expect(t, "messages", len(w.texts()), 1)
		expect(t, "entered", w.counts("shoe-size", "ask").Total, 1)
	})
}

// E7: of many triggers at once exactly one enters.
func TestOneEntryOfManyTriggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { _ = w.inbound(w.arrival("385911", fmt.Sprintf("start %d", i))) })
		}
		wg.Wait()
		synctest.Wait()
		expect(t, "entries", w.person("385911").Passages.Flows[0].Entries, 1)
	})
}

// X2: a message whose answer a stop lost is sent again, once more, with the same id.
func TestSentAgainAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		w.answer = func(*Message) (Outcome, bool) { return Outcome{}, false }
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		expect(t, "messages before", len(w.sent), 1)
		first := w.sent[0].ID
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		synctest.Wait()
		expect(t, "messages after", len(w.sent), 1)
		expect(t, "id", w.sent[0].ID, first)
		w.recount()
	})
}

// X2: a marketing message whose answer was lost is assumed sent.
func TestMarketingIsNotSentAgain(t *testing.T) {
	flow := strings.Replace(shoeSize, `elements:`, "settings: {category: marketing}\nelements:", 1)
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, flow)
		w.answer = func(*Message) (Outcome, bool) { return Outcome{}, false }
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		expect(t, "messages before", len(w.sent), 1)
		w.must(w.stop())
		w = start(t, store, Options{}, flow)
		synctest.Wait()
		expect(t, "messages after", len(w.sent), 0)
		expect(t, "counted as sent", w.counts("shoe-size", "ask").Sent, 1)
		expect(t, "waits at", w.person("385911").Passages.Runs[0].Element, "wait")
	})
}

// F2, X11: a temporary failure is tried again on the same channel within the
// validity, then it is expired.
func TestRetriesUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.answer = func(*Message) (Outcome, bool) {
			return Outcome{Fate: FateRetry, Code: "ESME_RTHROTTLED"}, true
		}
		w.must(w.inbound(w.arrival("385911", "start")))
		time.Sleep(49 * time.Hour)
		if n := len(w.sent); n < 100 || n > 1000 {
			t.Errorf("%d attempts in 48 hours", n)
		}
		expect(t, "failed", w.counts("shoe-size", "ask").Failed, 1)
		expect(t, "runs", len(w.person("385911").Passages.Runs), 0)
		w.recount()
	})
}

// A report that comes before the answer of the carrier finds its message later.
func TestEarlyReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		release := make(chan struct{})
		var done func(Outcome)
		w.rt.Register("sms", senderFunc(func(_ *Message, d func(Outcome)) { done = d; close(release) }))
		w.must(w.inbound(w.arrival("385911", "start")))
		<-release
		w.must(w.report("385911", "77", StateDelivered))
		expect(t, "delivered before", w.counts("shoe-size", "ask").Delivered, 0)
		done(Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1, Keys: []string{"77"}})
		synctest.Wait()
		expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 1)
		w.must(w.report("385911", "77", StateDelivered)) // a duplicate changes nothing
		expect(t, "delivered after a duplicate", w.counts("shoe-size", "ask").Delivered, 1)
		w.recount()
	})
}

type senderFunc func(*Message, func(Outcome))

func (f senderFunc) Send(m *Message, done func(Outcome)) { f(m, done) }
func (f senderFunc) Units(*Message) uint8                { return 1 }

// A message of three parts is delivered when all parts are, whatever their
// order; its peer may swap the addresses of the report.
func TestReportsOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.answer = func(*Message) (Outcome, bool) {
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 3, Keys: []string{"a", "b", "c"}}, true
		}
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		for i, key := range []string{"c", "a", "b"} {
			expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 0)
			if i == 1 {
				done := make(chan error, 1)
				w.rt.Report(&Delivery{Carrier: "out", Keys: []string{"zz", key}, To: number, Other: "385911", State: StateDelivered, Final: true, At: time.Now()}, func(err error) { done <- err })
				w.must(<-done)
				continue
			}
			w.must(w.report("385911", key, StateDelivered))
		}
		expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 1)
		expect(t, "sent", w.counts("shoe-size", "ask").Sent, 3)
	})
}

// K1: parts in any order, repeated and over a restart, make one message.
func TestPartsAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		part := func(seq uint8, text string) *Arrival {
			a := w.arrival("385911", "")
			a.Part = &Part{Ref: 7, Total: 3, Seq: seq, Payload: []byte(text)}
			return a
		}
		w.must(w.inbound(part(3, "RT")))
		w.must(w.inbound(part(1, "S")))
		w.must(w.inbound(part(3, "RT")))
		expect(t, "entered before", w.counts("shoe-size", "ask").Total, 0)
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		w.must(w.inbound(part(2, "TA")))
		synctest.Wait()
		expect(t, "entered", w.counts("shoe-size", "ask").Total, 1)
		left := 0
		_ = store.Scan(nil, nil, func(key, _ []byte) bool {
			if shardOf(key) != metaShard && key[2] == kindFragments {
				left++
			}
			return true
		})
		expect(t, "parts left", left, 0)
	})
}

// Missing parts: after a while what came is dropped, or delivered.
func TestMissingParts(t *testing.T) {
	for _, deliver := range []bool{false, true} {
		t.Run(fmt.Sprintf("deliver=%t", deliver), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, memory.New(), Options{DeliverIncomplete: deliver}, shoeSize)
				a := w.arrival("385911", "")
				a.Part = &Part{Ref: 7, Total: 2, Seq: 1, Payload: []byte("start ")}
				w.must(w.inbound(a))
				time.Sleep(6 * time.Minute)
				want := 0
				if deliver {
					want = 1
				}
				expect(t, "messages", len(w.texts()), want)
				groups := 0
				ex := w.rt.owner(a.From.Shard())
				w.must(w.rt.do(context.Background(), ex, "look", func(*txn) error { groups = len(ex.groups); return nil }))
				expect(t, "groups", groups, 0)
			})
		})
	}
}

// Scheduled delivery: a message waits, can be asked for, changed and withdrawn.
func TestScheduledDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		ctx := context.Background()
		later := func(from, id string) flowengine.Address {
			a := w.arrival(from, "start")
			a.ID, a.DeliverAt = id, time.Now().Add(time.Hour)
			w.must(w.inbound(a))
			return a.From
		}
		kept, gone, moved := later("385911", "m1"), later("385912", "m2"), later("385913", "m3")
		if _, err := w.rt.Query(ctx, "in", kept, "m1"); err != nil {
			t.Error(err)
		}
		w.must(w.rt.Cancel(ctx, "in", gone, "m2"))
		if err := w.rt.Cancel(ctx, "in", gone, "m2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("cancelled twice: %v", err)
		}
		w.must(w.rt.Replace(ctx, "in", moved, "m3", "start again", time.Now().Add(3*time.Hour)))
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		expect(t, "before", len(w.texts()), 0)
		time.Sleep(2 * time.Hour)
		expect(t, "after two hours", w.counts("shoe-size", "ask").Total, 1)
		if _, err := w.rt.Query(ctx, "in", kept, "m1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("still scheduled: %v", err)
		}
		time.Sleep(2 * time.Hour)
		expect(t, "after four hours", w.counts("shoe-size", "ask").Total, 2)
	})
}

// A carrier that asked for a delivery report gets one over its own binds.
func TestReceiptIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		a := w.arrival("385911", "start")
		a.ReportWanted, a.ReportFrom, a.ReportTo = true, "385911", number
		w.must(w.inbound(a))
		synctest.Wait()
		i := slices.IndexFunc(w.sent, func(m *Message) bool { return m.Receipt != nil })
		if i < 0 {
			t.Fatal("no receipt")
		}
		m := w.sent[i]
		expect(t, "carrier", m.Carrier, "in")
		expect(t, "id", m.Receipt.ID, a.ID)
		expect(t, "to", m.To, "385911")
	})
}

// A version stays with the people inside while new people get the new one, and
// over a restart.
func TestVersionsDrain(t *testing.T) {
	second := strings.Replace(shoeSize, "Size {{", "Now size {{", 1)
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		p, err := w.publish(second)
		w.must(err)
		if !slices.Equal(p.Changed, []string{"shoe-size v2"}) {
			t.Errorf("changed: %q", p.Changed)
		}
		w.must(w.inbound(w.arrival("385912", "start")))
		synctest.Wait()
		w.must(w.stop())
		w = start(t, store, Options{}, second)
		w.must(w.inbound(w.arrival("385911", "41")))
		w.must(w.inbound(w.arrival("385912", "42")))
		synctest.Wait()
		texts := w.texts()
		slices.Sort(texts)
		if !slices.Equal(texts, []string{"Now size 42, thank you", "Size 41, thank you"}) {
			t.Errorf("sent %q", texts)
		}
	})
}

// Stopping a flow takes everybody out, also when it was interrupted (S7, E8).
func TestStopFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		ctx := context.Background()
		const people = 300
		for i := range people {
			w.must(w.inbound(w.arrival(fmt.Sprintf("3859%05d", i), "start")))
		}
		w.must(w.rt.StopFlow(ctx, "shoe-size", 0))
		flows, err := w.rt.Flows()
		w.must(err)
		expect(t, "inside", flows[0].Inside, 0)
		expect(t, "stopped", flows[0].Counts.Exited["stopped"], people)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		expect(t, "refused or unrouted", w.counts("shoe-size", "ask").Total, people)
		w.must(w.rt.StartFlow(ctx, "shoe-size"))
		w.must(w.inbound(w.arrival("385912", "start")))
		synctest.Wait()
		expect(t, "after start", w.counts("shoe-size", "ask").Total, people+1)
		if err := w.rt.StopFlow(ctx, "shoesize", 0); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "shoe-size") {
			t.Errorf("an unknown flow: %v", err)
		}
		w.recount()
	})
}

// A flow whose file is gone drains, then is finished (S1).
func TestRemovedFlowDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		_, err := w.publish()
		w.must(err)
		w.must(w.inbound(w.arrival("385912", "start")))
		w.must(w.inbound(w.arrival("385911", "44")))
		time.Sleep(2 * time.Minute)
		texts := w.texts()
		expect(t, "last text", texts[len(texts)-1], "Size 44, thank you")
		expect(t, "entered", w.counts("shoe-size", "ask").Total, 1)
		flows, err := w.rt.Flows()
		w.must(err)
		expect(t, "state", flows[0].State, flowengine.Finished)
	})
}

// faulty fails its commits from the n-th on.
type faulty struct {
	storage.Store
	mu    sync.Mutex
	left  int
	err   error
	heals bool
}

func (f *faulty) Apply(b *storage.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left < 0 {
		if f.heals && f.left < -3 {
			f.left = 1 << 30
			return f.Store.Apply(b)
		}
		return f.err
	}
	return f.Store.Apply(b)
}

// A batch that fails acknowledges nothing, and nothing is acknowledged after it.
func TestFailedCommitAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), left: 3, err: errors.New("the disk is gone")}
		w := start(t, store, Options{}, shoeSize)
		acknowledged := 0
		for i := range 20 {
			if w.inbound(w.arrival(fmt.Sprintf("3859%05d", i), "start")) == nil {
				acknowledged++
			}
		}
		synctest.Wait()
		if acknowledged > 3 {
			t.Errorf("%d were acknowledged with 3 commits", acknowledged)
		}
		if w.rt.Health() == nil {
			t.Error("healthy without a disk")
		}
		entered := uint64(0)
		sums, _ := ReadTallies(store)
		if s := sums["shoe-size"]; s != nil {
			entered = s.Entered
		}
		expect(t, "entered", entered, uint64(acknowledged))
		if err := w.inbound(w.arrival("385911", "start")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// A full disk holds everything back, and everything goes on when there is room.
func TestFullDiskHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), left: 3, err: storage.ErrFull, heals: true}
		w := start(t, store, Options{}, shoeSize)
		sent, taken := 0, 0
		for w.rt.Health() == nil { // until the disk is full
			sent++
			w.rt.Inbound(w.arrival(fmt.Sprintf("3859%05d", sent), "start"), func(err error) {
				if err == nil {
					taken++
				}
			})
			synctest.Wait()
		}
		if err := w.inbound(w.arrival("385911", "start")); !errors.Is(err, ErrOverload) {
			t.Errorf("while the disk is full: %v", err)
		}
		time.Sleep(time.Minute) // there is room again
		synctest.Wait()
		expect(t, "taken", taken, sent)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		expect(t, "messages", len(w.texts()), sent+1)
		if err := w.rt.Health(); err != nil {
			t.Error(err)
		}
		w.recount()
	})
}

// Draining finishes what was begun and refuses what comes after.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		w.must(w.rt.Drain(context.Background()))
		if err := w.inbound(w.arrival("385912", "start")); !errors.Is(err, ErrStopping) {
			t.Errorf("while draining: %v", err)
		}
		w.must(w.stop())
		if err := w.inbound(w.arrival("385912", "start")); !errors.Is(err, ErrStopping) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// People events, changes and entries by name reach a person by any address, also
// one in the shard of another executor.
func TestActByAnyAddress(t *testing.T) {
	const flow = `
flow: cart
entries: [{id: e, type: people_event, event: CartUpdated, next: s}, {id: api, type: flow_api, next: s}]
elements: {s: {type: send_sms, from: "38591000001", text: "hello"}}
`
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, flow)
		ctx := context.Background()
		phone := flowengine.Address{Kind: flowengine.Phone, Value: "385911"}
		_, err := w.rt.Act(ctx, Who{Address: phone}, &flowengine.Happened{Name: "CartUpdated", At: time.Now()})
		if !errors.Is(err, ErrNotFound) {
			t.Fatal("nobody is known yet, but:", err)
		}
		first, err := w.rt.Act(ctx, Who{Address: phone, Create: true}, &flowengine.Happened{Name: "CartUpdated", At: time.Now()})
		w.must(err)
		var mails []flowengine.Address
		for i := range 20 {
			mails = append(mails, flowengine.Address{Kind: flowengine.Email, Value: fmt.Sprintf("a%d@example.org", i)})
		}
		_, err = w.rt.Act(ctx, Who{ID: first.Person}, &flowengine.Change{Source: "api", AddAddresses: mails})
		w.must(err)
		time.Sleep(time.Second)
		for range 2 { // also after a restart
			for _, a := range mails {
				acted, err := w.rt.Act(ctx, Who{Address: a}, &flowengine.Start{Flow: "cart", Entry: "api"})
				w.must(err)
				expect(t, "person", acted.Person, first.Person)
				expect(t, "outcome", acted.Outcome, flowengine.OutcomeEntry)
			}
			w.must(w.stop())
			w = start(t, store, Options{}, flow)
		}
		time.Sleep(time.Second)
		expect(t, "engaged", w.counts("cart", "s").Total, 41)
		w.recount()
	})
}

// A report that overtakes its response waits for its own message, although in
// another way of reading its id would be that of another one.
func TestEarlyReportOfAnotherBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.answer = func(m *Message) (Outcome, bool) {
			return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1, Keys: []string{m.To + "/16"}}, true
		}
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		w.must(w.report("385911", "385911/16", StateDelivered))
		synctest.Wait()
		expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 1)
		// The report of a second message, to somebody else of the same shard or not,
		// comes first and may be read as the first one's id.
		done := make(chan error, 1)
		w.rt.Report(&Delivery{Carrier: "out", Keys: []string{"385912/16", "385911/16"}, To: "385912", State: StateDelivered, Final: true, At: time.Now()}, func(err error) { done <- err })
		w.must(<-done)
		w.must(w.inbound(w.arrival("385912", "start")))
		synctest.Wait()
		expect(t, "delivered", w.counts("shoe-size", "ask").Delivered, 2)
	})
}
