package runtime

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

// deaf is an endpoint that a test drives.
type deaf struct {
	mu     sync.Mutex
	told   []*Message
	answer func(m *Message) Outcome
}

func (d *deaf) Send(m *Message, done func(Outcome)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, m)
	o := Outcome{Fate: FateAccepted, Parts: 1}
	if d.answer != nil {
		o = d.answer(m)
	}
	go done(o)
}

func (*deaf) Units(*Message) uint8 { return 1 }

// types lists what was told, in order of the webhooks' ids.
func (d *deaf) types(t *testing.T) (types []string) {
	for _, m := range d.told {
		var p struct {
			Type string
			Data hookData
		}
		if err := json.Unmarshal([]byte(m.Text), &p); err != nil {
			t.Fatalf("%s: %v", m.Text, err)
		}
		types = append(types, p.Type)
	}
	slices.Sort(types)
	return types
}

// startHooked starts a world whose endpoint wants some events.
func startHooked(t *testing.T, store *memory.Store, d *deaf, hooks ...Hook) *world {
	w := start(t, store, Options{})
	w.rt.Register(HookChannel, d)
	w.hooks = hooks
	_, err := w.publish(offer)
	w.must(err)
	return w
}

func everything(string) bool { return true }

// What happens to messages, runs and goals is told to who wants to hear of it.
func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(deaf)
		w := startHooked(t, memory.New(), d,
			Hook{Name: "all", Wants: everything},
			Hook{Name: "other-flow", Wants: everything, Flows: []string{"another"}},
			Hook{Name: "clicks", Wants: func(e string) bool { return e == "link.clicked" }, Flows: []string{"offer"}})
		w.must(w.inbound(w.arrival("385911234567", "shop")))
		synctest.Wait()
		w.must(w.report("385911234567", "1", StateDelivered))
		w.must(w.click(w.token(), false))
		w.must(w.rt.Send(t.Context(), &Message{Send: flowengine.Send{ID: "api/1", Channel: "sms", From: number, To: "385919", Text: "hi", Expires: time.Now().Add(time.Hour)}}))
		synctest.Wait()
		want := "link.clicked link.clicked message.accepted message.accepted message.delivered message.received run.entered run.exited"
		if got := strings.Join(d.types(t), " "); got != want {
			t.Errorf("got %s", got)
		}
		ids := map[string]bool{}
		for _, m := range d.told {
			ids[m.ID] = true
			if strings.Contains(m.Text, `"message.delivered"`) && !strings.Contains(m.Text, `"data":{"campaign":"spring"}`) {
				t.Errorf("the message's data is not told: %s", m.Text)
			}
			if strings.Contains(m.ID, ".") {
				t.Errorf("id %s", m.ID)
			}
		}
		expect(t, "different ids", len(ids), len(d.told))
		w.recount()
	})
}

// What cannot be told is tried for three days, kept, replayed under the same id,
// and forgotten with its person or after two weeks.
func TestDeadHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{answer: func(m *Message) Outcome {
			if m.Attempt == 0 { // the circuit is open: not an attempt
				return Outcome{Fate: FateRetry, After: time.Hour, Untried: true}
			}
			return Outcome{Fate: FateRejected, Code: "status 500"}
		}}
		store := memory.New()
		w := startHooked(t, store, d, Hook{Name: "crm", Wants: func(e string) bool { return e == "run.entered" }})
		w.must(w.inbound(w.arrival("385911234567", "shop")))
		time.Sleep(hookTime - time.Hour)
		synctest.Wait()
		if _, total, _ := w.rt.DeadHooks(DeadFilter{}, 10); total != 0 || len(d.told) < 70 || d.told[len(d.told)-1].Attempt != 0 {
			t.Fatalf("%d dead, told %d times", total, len(d.told))
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		dead, total, err := w.rt.DeadHooks(DeadFilter{Endpoint: "crm"}, 10)
		w.must(err)
		if total != 1 || dead[0].ID != d.told[0].ID || dead[0].Reason != "expired" || dead[0].Payload != d.told[0].Text {
			t.Fatalf("%+v", dead)
		}
		w.must(w.stop())

		d = new(deaf)
		w = startHooked(t, store, d)
		if _, err := w.rt.ReplayHooks(t.Context(), DeadFilter{ID: "evt_0"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		n, err := w.rt.ReplayHooks(t.Context(), DeadFilter{ID: dead[0].ID})
		w.must(err)
		synctest.Wait()
		if n != 1 || len(d.told) != 1 || d.told[0].ID != dead[0].ID || d.told[0].Text != dead[0].Payload {
			t.Errorf("%d replayed, %d told", n, len(d.told))
		}
		_, total, _ = w.rt.DeadHooks(DeadFilter{}, 10)
		expect(t, "dead after the replay", total, 0)

		d.answer = func(*Message) Outcome { return Outcome{Fate: FateRejected, Code: "gone"} }
		w.hooks = []Hook{{Name: "crm", Wants: everything}}
		_, err = w.publish(offer)
		w.must(err)
		for _, phone := range []string{"385911", "385912"} {
			w.must(w.inbound(w.arrival(phone, "shop")))
		}
		synctest.Wait()
		_, before, _ := w.rt.DeadHooks(DeadFilter{}, 10)
		_, err = w.rt.Erase(t.Context(), ParseWho("385911"))
		w.must(err)
		synctest.Wait()
		all, after, _ := w.rt.DeadHooks(DeadFilter{}, 10)
		if before != 6 || after != 3 || strings.Contains(all[0].Payload, "385911\"") {
			t.Errorf("%d, then %d", before, after)
		}
		person := w.person("385912").Person.ID
		w.must(w.rt.do(t.Context(), w.rt.owner(person.Shard()), "sweep", func(tx *txn) error {
			tx.now = tx.now.Add(deadMemory + time.Minute)
			return tx.sweepDead(person.Shard())
		}))
		_, total, _ = w.rt.DeadHooks(DeadFilter{}, 10)
		expect(t, "dead after two weeks", total, 0)

		for _, ex := range w.rt.executors { // there is no room for more
			expect(t, "counted", ex.dead.Load(), 0)
			ex.dead.Store(deadMost)
		}
		w.must(w.inbound(w.arrival("385913", "shop")))
		synctest.Wait()
		_, total, _ = w.rt.DeadHooks(DeadFilter{}, 10)
		expect(t, "kept beyond the bound", total, 0)
	})
}
