package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
	"trunkline/storage/memory"
)

func (w *world) part(from string, ref uint16, total, seq uint8, text string) *Arrival {
	a := w.arrival(from, "")
	a.ID = fmt.Sprintf("in-%s-%d-%d", from, ref, seq)
	a.Part = &Part{Ref: ref, Total: total, Seq: seq, Payload: []byte(text)}
	return a
}

// Whoever sends first parts only takes no room from others, and has it back
// when the parts are given up.
func TestPartsOfOneSenderAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		for ref := range uint16(groupsOfSender) {
			w.must(w.inbound(w.part("385911", ref, 2, 1, "sta")))
		}
		if err := w.inbound(w.part("385911", groupsOfSender, 2, 1, "sta")); !errors.Is(err, ErrOverload) {
			t.Errorf("one more: %v", err)
		}
		w.must(w.inbound(w.part("385912", 1, 2, 1, "sta")))
		w.must(w.inbound(w.part("385911", 0, 2, 2, "rt"))) // what makes a message complete is taken
		w.must(w.inbound(w.part("385911", groupsOfSender, 2, 1, "sta")))
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		if err := w.inbound(w.part("385911", groupsOfSender+1, 2, 1, "sta")); !errors.Is(err, ErrOverload) {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(6 * time.Minute)
		for _, ex := range w.rt.executors {
			w.must(w.rt.do(context.Background(), ex, "look", func(tx *txn) error {
				expect(t, "groups", len(tx.ex.groups), 0)
				expect(t, "shares", len(tx.ex.shares), 0)
				return nil
			}))
		}
	})
}

// Parts may be as large as a PDU: their octets are bounded too.
func TestOctetsOfPartsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		large := string(make([]byte, 60_000))
		taken := 0
		for seq := range uint8(100) {
			err := w.inbound(w.part("385911", 1, 255, seq+1, large))
			if err != nil && !errors.Is(err, ErrOverload) {
				t.Fatal(err)
			}
			if err == nil {
				taken++
			}
		}
		expect(t, "parts taken", taken, bytesOfSender/(60_000+128))
	})
}

// A deadline that the clock left behind does not keep parts for ever.
func TestPartsAfterTheClockWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ahead := func() time.Time { return time.Now().Add(5 * time.Hour) }
		w := start(t, store, Options{Now: ahead}, shoeSize)
		w.must(w.inbound(w.part("385911", 7, 2, 1, "sta")))
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		time.Sleep(time.Second)
		a := w.part("385911", 7, 2, 2, "rt")
		w.must(w.inbound(a))
		w.must(w.inbound(w.part("385911", 7, 2, 1, "sta")))
		synctest.Wait()
		expect(t, "entered", w.counts("shoe-size", "ask").Total, 1)
		time.Sleep(6 * time.Hour) // the old deadline comes, and finds nothing
		ex := w.rt.owner(a.From.Shard())
		w.must(w.rt.do(context.Background(), ex, "look", func(tx *txn) error {
			expect(t, "groups", len(tx.ex.groups), 0)
			return nil
		}))
	})
}

// A message handed on without its missing parts has no second receipt.
func TestIncompleteMessageHasOneReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{DeliverIncomplete: true}, shoeSize)
		a := w.part("385911", 7, 2, 1, "start ")
		a.ReportWanted, a.ReportFrom, a.ReportTo = true, "385911", number
		w.must(w.inbound(a))
		time.Sleep(6 * time.Minute)
		w.mu.Lock()
		receipts := slices.DeleteFunc(slices.Clone(w.sent), func(m *Message) bool { return m.Receipt == nil })
		w.mu.Unlock()
		expect(t, "receipts", len(receipts), 1)
	})
}

// Reports that no message matches are bounded, and so are the lines about them.
func TestReportsOfNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		var log bytes.Buffer
		ex := w.rt.owner(reportAddress("385911").Shard())
		w.must(w.rt.do(context.Background(), ex, "log", func(tx *txn) error {
			w.rt.log = slog.New(slog.NewTextHandler(&log, nil))
			return nil
		}))
		for i := range earlyShare + 100 {
			w.must(w.report("385911", fmt.Sprint("unknown", i), StateDelivered))
		}
		w.must(w.rt.do(context.Background(), ex, "look", func(tx *txn) error {
			s := reportAddress("385911").Shard()
			expect(t, "kept", tx.ex.early[earlyKey{s, "out"}], earlyShare)
			expect(t, "room for another carrier", tx.ex.early.crowded(s, "other"), false)
			expect(t, "lines", strings.Count(log.String(), "\n"), 1)
			return nil
		}))
	})
}

// An early report that can't be read is dropped; those behind it are swept too.
func TestDamagedEarlyReportIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := reportAddress("385911").Shard()
		var b storage.Batch
		b.Put(messageKey(reportAddress("385911"), kindEarly, "out", "1"), []byte{0xff})
		if err := store.Apply(&b); err != nil {
			t.Fatal(err)
		}
		w := start(t, store, Options{}, shoeSize)
		w.must(w.report("385911", "2", StateDelivered))
		time.Sleep(w.rt.options.Early + time.Hour)
		w.must(w.rt.do(context.Background(), w.rt.owner(s), "sweep", func(tx *txn) error { return tx.sweepEarly(s) }))
		w.must(w.rt.do(context.Background(), w.rt.owner(s), "look", func(tx *txn) error {
			expect(t, "kept", tx.ex.early[earlyKey{s, ""}], 0)
			expect(t, "kept of the carrier", tx.ex.early[earlyKey{s, "out"}], 0)
			return nil
		}))
	})
}

// What was acknowledged before its person hears it, parts and scheduled
// messages, is a durable row on its way to the person's executor.
func TestKeptMessagesReachAnotherExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		first := flowengine.Address{Kind: flowengine.Phone, Value: "385911"}
		acted, err := w.rt.Act(context.Background(), Who{Address: first, Create: true}, &flowengine.Happened{Name: "seen", At: time.Now()})
		w.must(err)
		var other flowengine.Address
		for i := 0; other.Value == "" || w.rt.owner(other.Shard()) == w.rt.owner(acted.Person.Shard()); i++ {
			other = flowengine.Address{Kind: flowengine.Phone, Value: fmt.Sprintf("38592%d", i)}
		}
		_, err = w.rt.Act(context.Background(), Who{ID: acted.Person}, &flowengine.Change{Source: "api", AddAddresses: []flowengine.Address{other}})
		w.must(err)
		time.Sleep(time.Second)

		scheduled := w.arrival(other.Value, "start")
		scheduled.DeliverAt = time.Now().Add(time.Hour)
		w.must(w.inbound(scheduled))
		time.Sleep(90 * time.Minute)
		expect(t, "entered by a scheduled message", w.counts("shoe-size", "ask").Total, 1)

		w.must(w.inbound(w.part(other.Value, 7, 2, 1, "4")))
		w.must(w.inbound(w.part(other.Value, 7, 2, 2, "2")))
		time.Sleep(time.Second)
		p := w.person(acted.Person.String())
		if v := p.Person.Attrs.Get("shoeSize"); v.Num != 42 {
			t.Errorf("the answer in parts did not arrive: %+v", p.Person)
		}
	})
}
