package runtime

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

const mailing = `
flow: mailing
entries: [{id: e, type: people_event, event: Joined, next: send}]
elements:
  send:
    type: send_email
    subject: Hello
    html: '<a href="https://shop.example/a">a</a> <a href="https://shop.example/b">b</a>'
    data: {campaign: spring}
    on: {sent: wait}
  wait: {type: wait_for_event, event: email_clicked, timeout: 24h, on: {happened: tag}}
  tag: {type: add_tag, tag: curious}
settings: {category: marketing}
`

// mailed is a world in which a person got the mail of a flow, and the tokens of the
// mail and of its two links.
func mailed(t *testing.T, store *memory.Store) (w *world, whole flowengine.LinkToken, links []flowengine.LinkToken) {
	t.Helper()
	w = start(t, store, Options{}, mailing)
	var last *Message
	w.rt.Register(channelEmail, senderFunc(func(m *Message, done func(Outcome)) {
		last = m
		done(Outcome{Fate: FateAccepted, Carrier: "mx", Parts: 1, Keys: []string{"reference"}})
	}))
	w.joined("ana@example.org")
	if last == nil {
		t.Fatal("no mail was sent")
	}
	for _, l := range last.Links {
		if l.Whole {
			whole = l.Token
		} else {
			links = append(links, l.Token)
		}
	}
	if len(links) != 2 || whole == 0 {
		t.Fatalf("%+v", last.Links)
	}
	return w, whole, links
}

func (w *world) joined(address string) {
	w.t.Helper()
	_, err := w.rt.Happen(context.Background(), Who{Address: flowengine.Address{Kind: flowengine.Email, Value: address}, Create: true}, &flowengine.Happened{Name: "Joined", At: time.Now()})
	w.must(err)
	synctest.Wait()
}

func (w *world) open(token flowengine.LinkToken, machine bool) error {
	done := make(chan error, 1)
	w.rt.Open(token, machine, func(err error) { done <- err })
	return <-done
}

func (w *world) choose(token flowengine.LinkToken, mail, doNotTrack *bool) error {
	done := make(chan error, 1)
	w.rt.Choose(token, mail, doNotTrack, func(err error) { done <- err })
	return <-done
}

// Opens and clicks of persons and of programs count apart, agree with the history (M5)
// and outlive a restart; who unsubscribes gets nothing more; forged tokens do nothing.
func TestMailTracking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w, whole, links := mailed(t, store)
		w.must(w.open(whole, false)) // at once: nobody reads that fast
		time.Sleep(time.Minute)
		w.must(w.open(whole, true))
		w.must(w.open(whole, false))
		w.must(w.open(whole, false))
		w.must(w.click(links[0], true))
		w.must(w.click(links[1], false))
		synctest.Wait()
		w.must(w.stop())

		w = start(t, store, Options{}, mailing)
		c := w.counts("mailing", "send")
		expect(t, "delivered", c.Delivered, 1)
		expect(t, "opens", c.Opens, 2)
		expect(t, "persons who opened", c.Openers, 1)
		expect(t, "opens by machines", c.MachineOpens, 2)
		expect(t, "clicks", c.Clicks, 1)
		expect(t, "clicks by machines", c.MachineClicks, 1)
		l, err := w.rt.Mail(whole)
		w.must(err)
		expect(t, "opens of the mail", l.Clicks, 2)
		expect(t, "tracked links", l.Of, 2)
		p := w.person("ana@example.org")
		expect(t, "tags", len(p.Person.Tags), 1)

		for name, err := range map[string]error{
			"open": w.open(whole+flowengine.Shards, false), "choose": w.choose(whole+flowengine.Shards, new(bool), nil), "open of a link": w.open(links[0], false),
			"choice by a link": w.choose(links[0], new(bool), nil), "click of a mail": w.click(whole, false),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s with a forged token: %v", name, err)
			}
		}
		no, yes := false, true
		w.must(w.choose(whole, &no, &yes))
		w.must(w.choose(whole, &no, nil)) // replayed
		w.must(w.open(whole, false))
		synctest.Wait()
		c = w.counts("mailing", "send")
		expect(t, "unsubscribed", c.Unsubscribes, 1)
		expect(t, "opens of one who is not tracked", c.Opens, 2)
		p = w.person("ana@example.org")
		expect(t, "do not contact", p.Person.Blocked(flowengine.Email), true)
		w.recount()

		time.Sleep(linkTTL + time.Hour) // its links have expired, its pages have not
		w.must(w.choose(whole, &yes, nil))
		synctest.Wait()
		expect(t, "subscribed again", w.person("ana@example.org").Person.Blocked(flowengine.Email), false)
		_, err = w.rt.Erase(t.Context(), ParseWho("ana@example.org"))
		w.must(err)
		if _, err := w.rt.Mail(whole); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the person was erased: %v", err)
		}
		w.must(w.stop())
	})
}

// Who follows all links of a mail within seconds is a program; who follows one is a
// person, who is told so when those seconds are over, and after a restart too.
func TestScanners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, links := mailed(t, memory.New())
		for _, l := range links {
			time.Sleep(time.Second)
			w.must(w.click(l, false))
			w.must(w.click(l, false))
		}
		time.Sleep(2 * scanTime)
		synctest.Wait()
		c := w.counts("mailing", "send")
		expect(t, "clicks", c.Clicks, 0)
		expect(t, "clicks by machines", c.MachineClicks, 2)
		w.must(w.click(links[0], false)) // later it is a person
		synctest.Wait()
		expect(t, "clicks", w.counts("mailing", "send").Clicks, 1)
		w.recount()
		w.must(w.stop())
	})
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w, _, links := mailed(t, store)
		time.Sleep(3 * time.Second)
		w.must(w.click(links[1], false))
		synctest.Wait()
		expect(t, "clicks at once", w.counts("mailing", "send").Clicks, 0)
		w.must(w.stop())
		w = start(t, store, Options{}, mailing)
		time.Sleep(2 * scanTime)
		synctest.Wait()
		expect(t, "clicks", w.counts("mailing", "send").Clicks, 1)
		expect(t, "clicks by machines", w.counts("mailing", "send").MachineClicks, 0)
		w.must(w.stop())
	})
}

// What was done with a mail is the same after its way to another shard.
func TestMailCauses(t *testing.T) {
	no := false
	o := flowengine.Origin{Person: flowengine.PersonID{1}, Flow: "f", Element: "e", Version: 2, Number: 3, Seq: 4}
	at := time.UnixMilli(1_767_225_600_123).UTC()
	for _, c := range []flowengine.Cause{
		&flowengine.Opening{Message: "m", Origin: o, At: at}, &flowengine.Scan{Origin: o, Click: true}, &flowengine.Scan{Origin: o},
		&flowengine.Choice{Message: "m", Origin: o, At: at, Mail: &no}, &flowengine.Choice{Message: "m", Origin: o, At: at, DoNotTrack: &no},
	} {
		got, _, _, err := decodeMailCause(appendMailCause(nil, c))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, c)
		}
	}
	l := &Link{Link: flowengine.Link{Token: 7, Expires: at, Mail: true, Whole: true, Of: 3}, Message: "m", Taken: at, Quick: []flowengine.LinkToken{1, 1 << 60}}
	got, err := decodeLink(7, l.append(nil))
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, l)
	}
	if _, err := decodeLink(7, []byte(strings.Repeat("\x80", 11))); err == nil {
		t.Error("a damaged record is read")
	}
}
