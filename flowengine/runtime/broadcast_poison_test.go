package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

// poison is what is wrong with a recipient. One in a hundred has something.
type poison uint8

const (
	healthy   poison = iota
	nameless         // the text cannot be rendered
	badNumber        // the carrier refuses the number
	optedOut         // do not contact
	damaged          // the stored record can't be read
)

func poisonOf(i int) poison {
	if i%100 != 7 {
		return healthy
	}
	return poison(1 + i/100%4)
}

func crowdPhone(i int) string { return fmt.Sprintf("38591%07d", i) }

// crowdStore is a store with n persons, tagged crowd.
func crowdStore(t testing.TB, store storage.Store, n int) {
	t.Helper()
	var b storage.Batch
	for i := range n {
		a := flowengine.Address{Kind: flowengine.Phone, Value: crowdPhone(i)}
		p := flowengine.Person{ID: flowengine.NewPersonID(a, 0), Created: time.UnixMilli(1), Addresses: []flowengine.Address{a}}
		p.AddTag(flowengine.NewTag("crowd"))
		what := poisonOf(i)
		if what != nameless {
			p.Attrs.Set("firstName", flowengine.TextValue(fmt.Sprint("P", i)))
		}
		if what == optedOut {
			p.DoNotContact = []flowengine.AddressKind{flowengine.Phone}
		}
		value := flowengine.AppendPerson(nil, &p)
		if what == damaged {
			value = []byte{0x0a, 0xff}
		}
		b.Put(personKey(nil, kindPerson, p.ID), value)
		b.Put(rollKey(p.ID), nil)
		for _, x := range p.Sources() {
			b.Put(sourceKey(nil, x, p.ID), nil)
		}
		if b.Len() >= 1000 || i == n-1 {
			if err := store.Apply(&b); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
}

// ledger is a carrier that notes what it took.
type ledger struct {
	mu    sync.Mutex
	taken map[string]int // by recipient
	wrong []string       // texts that belong to somebody else
	limit int            // answers no more than that; 0: all
}

func (l *ledger) Units(*Message) uint8 { return 1 }

func (l *ledger) Send(m *Message, done func(Outcome)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var i int
	_, _ = fmt.Sscanf(m.To, "38591%d", &i)
	if poisonOf(i) == badNumber {
		go done(Outcome{Fate: FateRejected, Carrier: "out", Code: "ESME_RINVDSTADR"})
		return
	}
	if l.limit > 0 && len(l.taken) >= l.limit { // the daemon will end before this is answered
		return
	}
	l.taken[m.To]++
	if m.Text != fmt.Sprintf("Hi P%d", i) {
		l.wrong = append(l.wrong, m.To+": "+m.Text)
	}
	go done(Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1})
}

// B1: one recipient with whom something is wrong keeps nobody else from getting
// the message, and makes nobody get it twice; and all are accounted for, also
// when the daemon ends in the midst of it.
func TestPoisonedRecipients(t *testing.T) {
	n := 100_000
	if testing.Short() || underRace {
		n = 4_000
	}
	store := memory.New()
	crowdStore(t, store, n)
	book := &ledger{taken: map[string]int{}, limit: n / 3}
	w := startWith(t, store, Options{}, func(w *world) { w.sender = book }, collecting)
	w.started("broadcast: all\nrecipients: {tags: crowd}\nmessage: {type: send_sms, from: Shop, text: \"Hi {{ person.firstName }}\"}\n")
	waitFor(t, "a third was sent", func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.taken) >= n/3
	})
	w.must(w.stop())
	book.mu.Lock()
	book.limit = 0
	book.mu.Unlock()

	w = startWith(t, store, Options{}, func(w *world) { w.sender = book }, collecting)
	waitFor(t, "the broadcast is over", func() bool { return w.status("all").State == BroadcastFinished })
	w.must(w.stop())

	var lost, unsure int
	want := map[poison]uint64{}
	for i := range n {
		what := poisonOf(i)
		want[what]++
		got := book.taken[crowdPhone(i)]
		switch {
		case what != healthy && got > 0:
			t.Fatalf("recipient %d, with whom %d is wrong, got the message", i, what)
		case what == healthy && got > 1:
			t.Fatalf("recipient %d got it %d times", i, got)
		case what == healthy && got == 0:
			lost++
		}
	}
	// What was with the carrier when the daemon ended is assumed sent (rule X2).
	if unsure = 2 * 2048; lost > unsure {
		t.Errorf("%d did not get it; at most %d were with the carrier when the daemon ended", lost, unsure)
	}
	if len(book.wrong) > 0 {
		t.Errorf("texts of others: %v", book.wrong[:1])
	}
	s := w.status("all")
	c := s.Counts.ByElement()[flowengine.BroadcastElement]
	expect(t, "entered", s.Counts.Entered, uint64(n)-want[damaged])
	expect(t, "left", s.Counts.Exited["completed"], uint64(n)-want[damaged])
	expect(t, "total engagements", c.Total, uint64(n)-want[damaged])
	expect(t, "unique users", c.Unique, uint64(n)-want[damaged])
	// A refusal that was on its way when the daemon ended is not known.
	if c.Sent < want[healthy] || c.Sent+c.Failed != want[healthy]+want[badNumber] {
		t.Errorf("%d messages sent and %d failed, of %d to healthy and %d to wrong numbers", c.Sent, c.Failed, want[healthy], want[badNumber])
	}
	expect(t, "recipients", s.Counts.Recipients, c.Sent)
	w.recount()
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A step that panics is passed over; the page goes on.
func TestJobPassesOverWhatPanics(t *testing.T) {
	store := memory.New()
	crowdStore(t, store, 300)
	w := start(t, store, Options{}, collecting)
	ctx := context.Background()
	j := &job{id: "test"}
	passed := 0
	for _, ex := range w.rt.executors {
		w.must(w.rt.do(ctx, ex, "test", func(tx *txn) error {
			for i := range 300 {
				id := flowengine.NewPersonID(flowengine.Address{Kind: flowengine.Phone, Value: crowdPhone(i)}, 0)
				if !ex.owns(id.Shard()) {
					continue
				}
				if err := tx.alone(j, id, func() error {
					tx.changing = id
					if strings.HasSuffix(crowdPhone(i), "3") {
						panic("poison")
					}
					passed++
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	expect(t, "passed", passed, 270)
	w.must(w.rt.Health())
}
