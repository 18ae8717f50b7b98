package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

// broadcast makes a draft.
func (w *world) broadcast(text string) {
	w.t.Helper()
	b, err := flowengine.ParseBroadcast("broadcast.yaml", []byte(text), w.rt.Schema(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.rt.CreateBroadcast(context.Background(), b, "ana"); err != nil {
		w.t.Fatal(err)
	}
}

// started is a broadcast that was made and started.
func (w *world) started(text string) {
	w.t.Helper()
	w.broadcast(text)
	id, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "broadcast: "), "\n")
	if _, err := w.rt.StartBroadcast(context.Background(), id); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) status(id string) BroadcastStatus {
	w.t.Helper()
	s, err := w.rt.Broadcast(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// recipients are the numbers that were sent to, sorted.
func (w *world) recipients() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, m := range w.sent {
		all = append(all, m.To)
	}
	slices.Sort(all)
	return all
}

func (w *world) tag(phone string, tags ...string) {
	w.t.Helper()
	change := &flowengine.Change{Source: "api"}
	for _, tag := range tags {
		change.AddTags = append(change.AddTags, flowengine.NewTag(tag))
	}
	who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: phone}, Create: true}
	if _, err := w.rt.Act(context.Background(), who, change); err != nil {
		w.t.Fatal(err)
	}
}

// B1: whoever is named by tag, by number and by id gets one message; who is left
// out gets none; who is not known yet becomes a person. Its counters, its cost
// and its report are those of a flow, also when it is over and not loaded.
func TestBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		w.tag("385911", "vip")
		w.tag("385912", "vip", "served")
		w.tag("385913")
		id := w.person("385911").Person.ID
		w.started("broadcast: sale\nrecipients: {tags: vip, persons: [\"385911\", \"+385 914\", \"385912\", \"" + id.String() + "\"]}\nexclude_tag: served\nmessage: {type: send_sms, from: Shop, text: Sale!}\n")
		time.Sleep(10 * time.Second)
		if got := w.recipients(); !slices.Equal(got, []string{"385911", "385914"}) {
			t.Errorf("sent to %v", got)
		}
		s := w.status("sale")
		expect(t, "state", s.State, BroadcastFinished)
		expect(t, "entered", s.Counts.Entered, 2)
		expect(t, "inside", s.Inside, 0)
		expect(t, "recipients", s.Counts.Recipients, 2)
		expect(t, "sent", s.Counts.ByElement()[flowengine.BroadcastElement].Sent, 2)
		if w.rt.set.Load().Flow("broadcast/sale") != nil {
			t.Error("a broadcast that is over is still loaded")
		}
		days, err := w.rt.Days("broadcast/sale", time.Time{}, time.Time{})
		w.must(err)
		expect(t, "days of the report", len(days), 1)
		w.must(w.report(w.sent[0].To, "1", StateDelivered)) // after it was over
		w.must(w.stop())
		w = start(t, store, Options{}, collecting)
		expect(t, "state after a restart", w.status("sale").State, BroadcastFinished)
		expect(t, "delivered", w.counts("broadcast/sale", flowengine.BroadcastElement).Delivered, 1)
		b, err := flowengine.ParseBroadcast("a", []byte("broadcast: sale\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi}\n"), w.rt.Schema(), nil)
		w.must(err)
		if _, err := w.rt.CreateBroadcast(context.Background(), b, "ana"); !errors.Is(err, ErrBroadcast) {
			t.Errorf("the id was used again: %v", err)
		}
		w.recount()
	})
}

// B1: who made a broadcast that needs approval cannot approve it, and nothing
// goes out before somebody else has; then it keeps its time.
func TestBroadcastApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, collecting)
		ctx := context.Background()
		w.broadcast("broadcast: sale\nrecipients: {persons: [\"385911\"]}\nmessage: {type: send_sms, from: Shop, text: Sale!}\nstart_at: 2000-01-01 12:00\napproval: required\n")
		s, err := w.rt.StartBroadcast(ctx, "sale")
		w.must(err)
		expect(t, "state", s.State, BroadcastAwaiting)
		if _, err := w.rt.StartBroadcast(ctx, "sale"); !errors.Is(err, ErrBroadcast) {
			t.Errorf("started without approval: %v", err)
		}
		if _, err := w.rt.ApproveBroadcast(ctx, "sale", "ana"); !errors.Is(err, ErrBroadcast) {
			t.Errorf("approved by its creator: %v", err)
		}
		s, err = w.rt.ApproveBroadcast(ctx, "sale", "boris")
		w.must(err)
		expect(t, "state", s.State, BroadcastScheduled)
		if _, err := w.rt.AddRecipients(ctx, "sale", []string{"385912"}); !errors.Is(err, ErrBroadcast) {
			t.Errorf("changed after it was approved: %v", err)
		}
		time.Sleep(12*time.Hour - time.Second)
		expect(t, "sent before its time", len(w.recipients()), 0)
		time.Sleep(10 * time.Second)
		expect(t, "sent at its time", len(w.recipients()), 1)
		expect(t, "approver", w.status("sale").Approver, "boris")
	})
}

// A schedule is kept over a restart.
func TestBroadcastIsScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, collecting)
		w.started("broadcast: sale\nrecipients: {persons: [\"385911\"]}\nmessage: {type: send_sms, from: Shop, text: Sale!}\nstart_at: 2000-01-01 12:00\n")
		w.must(w.stop())
		w = start(t, store, Options{}, collecting)
		time.Sleep(11 * time.Hour)
		expect(t, "sent before its time", len(w.recipients()), 0)
		time.Sleep(2 * time.Hour)
		expect(t, "sent after its time", len(w.recipients()), 1)
	})
}

const slowly = "broadcast: slow\nrecipients: {tags: vip}\nmessage: {type: send_sms, from: Shop, text: Sale!}\n"

// slow is a broadcast to n persons whose carrier takes no more than a number of
// messages at a time, and holds on to them until told.
func slow(t *testing.T, w *world, n int) (answer func()) {
	t.Helper()
	for i := range n {
		w.tag(fmt.Sprintf("3859%05d", i), "vip")
	}
	gate := make(chan struct{})
	w.block = gate
	w.started(slowly)
	time.Sleep(5 * time.Second)
	return func() { close(gate) }
}

// B1: while a broadcast is paused nothing goes out; then everybody gets it, once.
func TestBroadcastIsPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{MaxSending: 10}, collecting)
		ctx := context.Background()
		const n = 500
		answer := slow(t, w, n)
		with := len(w.recipients())
		_, err := w.rt.PauseBroadcast(ctx, "slow")
		w.must(err)
		answer()
		time.Sleep(time.Hour)
		expect(t, "sent while paused", len(w.recipients()), with)
		before := w.recipients()
		w.must(w.stop())
		w = start(t, store, Options{}, collecting)
		time.Sleep(time.Hour)
		expect(t, "sent while paused, after a restart", len(w.recipients()), 0)
		_, err = w.rt.ResumeBroadcast(ctx, "slow")
		w.must(err)
		time.Sleep(time.Minute)
		all := append(before, w.recipients()...)
		slices.Sort(all)
		expect(t, "sent", len(all), n)
		expect(t, "recipients", len(slices.Compact(all)), n)
		expect(t, "state", w.status("slow").State, BroadcastFinished)
		w.recount()
	})
}

// B1: of a broadcast that is cancelled nothing further goes out, paused or not,
// and everything is accounted for.
func TestBroadcastIsCancelled(t *testing.T) {
	for _, paused := range []bool{false, true} {
		t.Run(fmt.Sprintf("paused %t", paused), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, memory.New(), Options{MaxSending: 10}, collecting)
				ctx := context.Background()
				const n = 500
				answer := slow(t, w, n)
				with := len(w.recipients())
				if paused {
					_, err := w.rt.PauseBroadcast(ctx, "slow")
					w.must(err)
					time.Sleep(time.Minute)
				}
				_, err := w.rt.CancelBroadcast(ctx, "slow")
				w.must(err)
				answer()
				time.Sleep(time.Hour)
				expect(t, "sent", len(w.recipients()), with)
				s := w.status("slow")
				expect(t, "state", s.State, BroadcastCancelled)
				c := s.Counts.ByElement()[flowengine.BroadcastElement]
				expect(t, "taken", c.Sent, uint64(with))
				expect(t, "withdrawn", c.Failed, uint64(n-with))
				expect(t, "inside", s.Inside, 0)
				expect(t, "exits", s.Counts.Exited[exitCancelled]+s.Counts.Exited["completed"], n)
				if w.rt.set.Load().Flow("broadcast/slow") != nil {
					t.Error("a broadcast that is over is still loaded")
				}
				w.recount()
			})
		})
	}
}

// A broadcast that never began is cancelled with all its names.
func TestDraftIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, collecting)
		ctx := context.Background()
		w.broadcast("broadcast: sale\nrecipients: {lists: [a.txt]}\nmessage: {type: send_sms, from: Shop, text: Sale!}\n")
		added, err := w.rt.AddRecipients(ctx, "sale", []string{"385911", "385912", "+385911", "ana@example.com"})
		w.must(err)
		expect(t, "added", added, 3)
		_, err = w.rt.CancelBroadcast(ctx, "sale")
		w.must(err)
		time.Sleep(time.Minute)
		for s := range flowengine.Shard(flowengine.Shards) {
			w.must(w.store.Scan(namedPrefix(s, "broadcast/sale"), nil, func(key, _ []byte) bool {
				t.Errorf("the name %q is left", key)
				return true
			}))
		}
		if _, err := w.rt.StartBroadcast(ctx, "sale"); !errors.Is(err, ErrBroadcast) {
			t.Errorf("started after it was cancelled: %v", err)
		}
	})
}

// An element starts a broadcast that was prepared, once.
func TestElementStartsBroadcast(t *testing.T) {
	const flow = `
flow: trigger
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [go], next: b}]
elements:
  b: {type: start_broadcast, broadcast: sale, on: {done: yes, refused: no}}
  "yes": {type: add_tag, tag: started}
  "no": {type: add_tag, tag: refused}
`
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, flow)
		w.must(w.inbound(w.arrival("385921", "go"))) // there is none yet
		w.broadcast("broadcast: sale\nrecipients: {persons: [\"385911\"]}\nmessage: {type: send_sms, from: Shop, text: Sale!}\n")
		w.must(w.inbound(w.arrival("385922", "go")))
		time.Sleep(10 * time.Second)
		w.must(w.inbound(w.arrival("385923", "go")))
		time.Sleep(10 * time.Second)
		for phone, tag := range map[string]string{"385921": "refused", "385922": "started", "385923": "refused"} {
			if p := w.person(phone); !p.Person.HasTag(flowengine.NewTag(tag)) {
				t.Errorf("%s is not tagged %s: %v", phone, tag, p.Person.Tags)
			}
		}
		expect(t, "state", w.status("sale").State, BroadcastFinished)
		expect(t, "sent", len(w.recipients()), 1)
	})
}
