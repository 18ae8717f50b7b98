package runtime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

// outMail puts a mail that no flow sends into the outbox.
func (w *world) outMail(id, to string) {
	w.t.Helper()
	w.must(w.rt.Send(context.Background(), &Message{Send: flowengine.Send{
		ID: id, Channel: channelEmail, From: "shop@example.com", To: to, Expires: time.Now().Add(48 * time.Hour), Mail: &flowengine.Mail{Subject: "Hello"},
	}}))
	synctest.Wait()
}

// Operators see what waits and how it went, send it at once, hold it or drop it; what
// is over is remembered with each attempt, in the store.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		var mu sync.Mutex
		answers := map[string]Outcome{} // under mu
		sent := map[string]int{}        // under mu
		w.rt.Register(channelEmail, senderFunc(func(m *Message, done func(Outcome)) {
			mu.Lock()
			sent[m.ID]++
			o, ok := answers[m.ID]
			mu.Unlock()
			if !ok {
				o = Outcome{Fate: FateRetry, After: time.Hour, Code: "451 4.3.0", Trail: &Attempt{Host: "mx.b.example", Reply: fmt.Sprint("later ", m.Attempt)}}
			}
			done(o)
		}))
		for i := range 5 {
			w.outMail(fmt.Sprint("m", i), fmt.Sprintf("p%d@%c.example", i, "ab"[i%2]))
		}
		rows, groups, total, err := w.rt.Queue(t.Context(), QueueFilter{}, 2)
		w.must(err)
		if len(rows) != 2 || total != 5 || len(groups) != 2 || groups[0].Destination != "a.example" || groups[0].Rows != 3 || groups[0].Last.Reply != "later 0" {
			t.Fatalf("%+v %+v %d", rows, groups, total)
		}
		// Held ones wait; the others are tried again at once.
		act := func(f QueueFilter, a QueueAction, want int) {
			t.Helper()
			done, sending, err := w.rt.ActOnQueue(t.Context(), f, a)
			synctest.Wait()
			if err != nil || done != want || sending != 0 {
				t.Fatalf("%s: %d, %d, %v", a, done, sending, err)
			}
		}
		act(QueueFilter{ID: "m0"}, QueueHold, 1)
		act(QueueFilter{ID: "m0"}, QueueHold, 0)
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if sent["m0"] != 1 || sent["m1"] != 2 {
			t.Fatalf("sent %v", sent)
		}
		answers["m0"] = Outcome{Fate: FateAccepted, Parts: 1, Code: "250", Trail: &Attempt{Host: "mx.b.example", TLS: "TLS 1.3", Reply: "250 ok"}, Domain: "example.com"}
		act(QueueFilter{Domain: "A.example"}, QueueRetry, 3)
		if sent["m0"] != 2 || sent["m2"] != 3 {
			t.Fatalf("sent %v", sent)
		}
		act(QueueFilter{ID: "m1"}, QueueDrop, 1)
		if _, _, err := w.rt.ActOnQueue(t.Context(), QueueFilter{ID: "m1"}, QueueDrop); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		l, err := w.rt.Letter("m0")
		w.must(err)
		if len(l.Attempts) != 2 || l.Attempts[0].Code != "451 4.3.0" || l.Attempts[1].TLS != "TLS 1.3" || l.Attempts[1].Fate != FateAccepted || l.To != "p0@a.example" || l.Subject != "Hello" || l.Done.IsZero() {
			t.Errorf("%+v", l)
		}
		if l, err := w.rt.Letter("m1"); err != nil || len(l.Attempts) != 3 || l.Attempts[2].Code != codeDropped || l.Done.IsZero() {
			t.Errorf("dropped: %+v %v", l, err)
		}
		if l, err := w.rt.Letter("m2"); err != nil || !l.Done.IsZero() {
			t.Errorf("m2 is not over: %+v, %v", l, err)
		}
		if n := w.rt.SentOn("example.com", dayNumber(time.Now())); n != 1 {
			t.Errorf("%d went out today", n)
		}
		// A message is tried for a long time; its record stays small.
		for range 40 {
			time.Sleep(61 * time.Minute)
			synctest.Wait()
		}
		rows, _, _, err = w.rt.Queue(t.Context(), QueueFilter{ID: "m3"}, 2)
		w.must(err)
		if len(rows) != 1 || len(rows[0].Tried) != attemptsKept || rows[0].Tried[0].Reply != "later 0" || rows[0].Attempts < 30 {
			t.Errorf("%+v", rows)
		}
	})
}

// A held message ends with its validity.
func TestHeldExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.rt.Register(channelEmail, senderFunc(func(_ *Message, done func(Outcome)) {
			done(Outcome{Fate: FateRetry, After: time.Hour, Trail: &Attempt{Reply: "x"}})
		}))
		w.outMail("m", "a@b.example")
		if _, _, err := w.rt.ActOnQueue(t.Context(), QueueFilter{}, QueueHold); err != nil {
			t.Fatal(err)
		}
		time.Sleep(49 * time.Hour)
		synctest.Wait()
		if _, _, total, err := w.rt.Queue(t.Context(), QueueFilter{}, 1); err != nil || total != 0 {
			t.Errorf("%d wait, %v", total, err)
		}
		if l, err := w.rt.Letter("m"); err != nil || l.Done.IsZero() {
			t.Errorf("%+v %v", l, err)
		}
	})
}

// An address whose server says that it takes no mail, one whose owner complains, and one
// that an operator names get nothing more, whoever sends it and whatever the case of
// letters; it survives a restart, and ends when an operator says so.
func TestSuppression(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		sent := 0
		taking := func(w *world) {
			w.rt.Register(channelEmail, senderFunc(func(m *Message, done func(Outcome)) {
				sent++
				if m.To == "dead@b.example" {
					done(Outcome{Fate: FateRejected, Code: "550 5.1.1", Dead: true, Trail: &Attempt{Reply: "no such user"}})
					return
				}
				done(Outcome{Fate: FateAccepted, Parts: 1, Keys: []string{"ref-" + m.ID}})
			}))
		}
		taking(w)
		w.outMail("1", "dead@b.example")
		w.outMail("2", "angry@b.example")
		w.outMail("3", "gone@b.example")
		w.outMail("4", "fine@b.example")
		expect(t, "sent", sent, 4)
		w.notice("ref-2", StateComplained)
		done := make(chan error, 2)
		for reference, code := range map[string]string{"ref-3": "5.1.1", "ref-4": "5.2.2"} { // the second one is full, not gone
			w.rt.Report(&Delivery{Channel: channelEmail, Carrier: "smtp", Keys: []string{reference}, State: StateUndeliverable, Final: true, Code: code, At: time.Now()}, func(err error) { done <- err })
			w.must(<-done)
		}
		w.must(w.rt.Suppress(t.Context(), Suppression{Address: "Op@B.example", Reason: SuppressedOperator}))
		synctest.Wait()
		all, total, err := w.rt.Suppressions("", 10)
		w.must(err)
		reasons := map[string]string{}
		for _, s := range all {
			reasons[s.Address] = s.Reason + " " + s.Code
		}
		want := map[string]string{"dead@b.example": "hard_bounce 550 5.1.1", "angry@b.example": "complaint ", "gone@b.example": "hard_bounce 5.1.1", "Op@b.example": "operator "}
		if total != 4 || !reflect.DeepEqual(reasons, want) {
			t.Errorf("%v", reasons)
		}
		w.stop()
		w = start(t, store, Options{}, shoeSize)
		taking(w)
		for i, to := range []string{"Dead@B.example", "angry@b.example", "gone@b.example", "op@b.example"} {
			w.outMail(fmt.Sprint("again", i), to)
			if l, err := w.rt.Letter(fmt.Sprint("again", i)); err != nil || l.Attempts[0].Code != codeSuppressed {
				t.Errorf("%s: %+v %v", to, l, err)
			}
		}
		expect(t, "sent", sent, 4)
		w.must(w.rt.Unsuppress(t.Context(), "DEAD@b.example"))
		w.outMail("last", "fine@b.example")
		expect(t, "sent", sent, 5)
		if err := w.rt.Unsuppress(t.Context(), "dead@b.example"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}
