package runtime

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

// notice hands over what somebody says of a mail.
func (w *world) notice(reference, state string) {
	w.t.Helper()
	done := make(chan error, 1)
	w.rt.Report(&Delivery{
		Channel: channelEmail, Carrier: "smtp", Keys: []string{reference}, State: state, Final: state == StateUndeliverable || state == StateDelivered, At: time.Now(),
	}, func(err error) { done <- err })
	w.must(<-done)
}

// mailTo sends a mail to a person under a reference.
func (w *world) mailTo(p *Profile, reference string) {
	w.t.Helper()
	w.rt.Register(channelEmail, senderFunc(func(_ *Message, done func(Outcome)) {
		done(Outcome{Fate: FateAccepted, Carrier: "mx", Parts: 1, Keys: []string{reference}})
	}))
	w.must(w.rt.Send(context.Background(), &Message{Send: flowengine.Send{
		ID: "mail-" + reference, Channel: channelEmail, From: "shop@example.com", To: "ana@b.example", Origin: flowengine.Origin{Person: p.Person.ID},
	}}))
	synctest.Wait()
}

func (w *world) happened(ref string) (all []string) {
	w.t.Helper()
	for _, h := range w.person(ref).History {
		for _, e := range h.Events {
			if e.Kind == flowengine.Reported {
				all = append(all, e.Detail)
			}
		}
	}
	return all
}

// A notice about a mail finds it by its reference, whoever sends it and whatever
// recipient it names; a reference that we never gave finds nothing.
func TestMailReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		p := w.person("385911")
		for _, reference := range []string{"aref", "7ref", "zref", "mref"} { // of different shards
			w.mailTo(p, reference)
		}
		w.notice("xref", StateUndeliverable)
		w.notice("aref", StateEnroute)
		expect(t, "reported", len(w.happened("385911")), 0)
		for _, reference := range []string{"aref", "7ref", "zref", "mref", "aref"} {
			w.notice(reference, StateUndeliverable)
			synctest.Wait()
		}
		if got := w.happened("385911"); !slices.Equal(got, slices.Repeat([]string{StateUndeliverable}, 4)) {
			t.Errorf("reported: %q", got)
		}
	})
}

// A mail that its server took may come back, once, and be called spam, once: then the
// person gets no more mail. Both are People events.
func TestMailAftermath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		w.mailTo(w.person("385911"), "aref")
		for _, state := range []string{StateDelivered, StateDelivered, StateComplained, StateUndeliverable, StateUndeliverable, StateDelivered, StateComplained} {
			w.notice("aref", state)
			synctest.Wait()
		}
		if got := w.happened("385911"); !slices.Equal(got, []string{StateDelivered, StateUndeliverable}) {
			t.Errorf("reported: %q", got)
		}
		var observed []string
		p := w.person("385911")
		for _, h := range p.History {
			for _, e := range h.Events {
				if e.Kind == flowengine.Observed {
					observed = append(observed, e.Detail)
				}
			}
		}
		if !slices.Equal(observed, []string{flowengine.EventEmailComplained, flowengine.EventEmailBounced}) {
			t.Errorf("observed: %q", observed)
		}
		if !p.Person.Blocked(flowengine.Email) || p.Person.Blocked(flowengine.Phone) {
			t.Errorf("do not contact: %v", p.Person.DoNotContact)
		}
		w.recount()
	})
}

// What is expected of a mail is read as it was written.
func TestExpectedRoundTrip(t *testing.T) {
	x := &expected{ID: "m", Part: 1, Parts: 1, Done: true, Failed: true, Mail: true, Complained: true, To: "a@b.example", Origin: flowengine.Origin{Flow: "f", Element: "e", Number: 2}}
	got, err := decodeExpected(x.append(nil))
	if err != nil || !reflect.DeepEqual(got, x) {
		t.Errorf("%+v, %v", got, err)
	}
}
