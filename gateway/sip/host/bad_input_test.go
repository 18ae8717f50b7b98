package host

import (
	"testing"
	"time"

	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip"
	"trunkline/ivr"
)

// The other side answers in the moment in which the caller hangs up: whoever is first,
// both legs end, each is on record once, and nothing stays reserved.
func TestAnswerCrossesHangUp(t *testing.T) {
	const rounds = 12
	w := newWorld(t, Forwarding{DayMoney: []Amount{{100_000_000, "EUR"}}})
	for i := range rounds {
		w.core.mu.Lock()
		w.core.tasks = []ivr.Task{{Kind: ivr.KindAnswer}, forwardTo("385922")}
		w.core.mu.Unlock()
		l := w.phone.dial("38591000003")
		get(t, "the answer", l.answered)
		get(t, "the outcome of the answer", w.core.outcomes)
		b := get(t, "the call at the other phone", w.phone.legs)
		b.Ring()
		if i%2 == 0 {
			b.Answer(b.local())
			time.Sleep(time.Duration(i/2) * 500 * time.Microsecond)
			l.Hangup(0)
		} else {
			l.Hangup(0)
			time.Sleep(time.Duration(i/2) * 500 * time.Microsecond)
			b.Answer(b.local())
		}
		get(t, "the end of the caller's leg", l.over)
		get(t, "the end of the other leg", b.over)
		if o := get(t, "the outcome", w.core.outcomes); !o.Over {
			t.Errorf("round %d: %+v", i, o)
		}
		legs := map[uint16]int{}
		for range 2 {
			r := get(t, "a record", w.core.records)
			if legs[r.Leg]++; r.Outbound && r.Answered.IsZero() != (r.Status != 200) {
				t.Errorf("round %d: %+v", i, r)
			}
		}
		if legs[0] != 1 || len(legs) != 2 {
			t.Errorf("round %d: records of %v", i, legs)
		}
		eventually(t, "the call is gone", func() bool { return w.host.Calls() == 0 })
	}
	select {
	case r := <-w.core.records:
		t.Errorf("one more record: %+v", r)
	default:
	}
	if legs := w.host.legs.Load(); legs != 0 {
		t.Errorf("%d legs are left", legs)
	}
}

// A caller from whom no sound comes is hung up on after a while, and the record says why.
func TestOneWayAudio(t *testing.T) {
	w := newWorldThatWaits(t, time.Second, Forwarding{}, ivr.Task{Kind: ivr.KindCollect, Collect: &ivr.Collect{Min: 1, Max: 1, First: time.Minute, Between: time.Minute}})
	over := make(chan sip.Cause, 1)
	l := w.phone.line() // its session never learns where to send
	_, err := w.phone.edge.Dial(sip.Dial{Trunk: "gateway", Called: "38591000003", Caller: "385911", Local: sdp.Local{Media: l.local().Media}}, func(e sip.Event) {
		if e, yes := e.(sip.Ended); yes {
			over <- e.Cause
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := get(t, "the end", over); c.By != sip.Peer || !c.Answer {
		t.Errorf("%v", c)
	}
	if o := get(t, "the outcome", w.core.outcomes); o.Port != ivr.PortHungUp || !o.Over {
		t.Errorf("%+v", o)
	}
	if r := get(t, "the record", w.core.records); r.Detail != "no_media" || r.By != "us" || r.Answered.IsZero() {
		t.Errorf("%+v", r)
	}
}

// The engine that speaks is away: the element fails, and the call goes on.
func TestSpeechIsAway(t *testing.T) {
	w := newWorld(t, Forwarding{}, ivr.Task{Kind: ivr.KindPlay, Prompt: &ivr.Prompt{Sounds: []ivr.Sound{{Text: "Hello"}}}}, ivr.Task{Kind: ivr.KindHangUp})
	l := w.phone.dial("38591000003")
	if o := get(t, "the outcome", w.core.outcomes); o.Port != ivr.PortFailed || o.Over || o.Code == "" {
		t.Errorf("%+v", o)
	}
	get(t, "the hang-up", w.core.outcomes)
	if c := get(t, "the end", l.over); !c.Answer {
		t.Errorf("%v", c)
	}
	get(t, "the record", w.core.records)
}
