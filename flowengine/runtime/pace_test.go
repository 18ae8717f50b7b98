package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"trunkline/flowengine"
	"trunkline/storage/memory"
)

const pacedFlow = `
flow: paced
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [go], match: first_word, next: slow}]
elements:
  slow: {type: send_sms, from: "38591000001", text: "slow", validity: 1h, speed: {max: 6, per: 1m}, on: {sent: x}}
  x: {type: exit}
settings: {indefinite: true}
`

const otherFlow = `
flow: other
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [other], next: s}]
elements:
  s: {type: send_sms, from: "38591000001", text: "other"}
`

// clocked notes when each message is given to the carrier.
type clocked struct {
	mu sync.Mutex
	at []time.Time
	to []string
}

func (c *clocked) sent() (at []time.Time, to []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at), slices.Clone(c.to)
}

func (c *clocked) watch(w *world) {
	w.answer = func(m *Message) (Outcome, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if m.Origin.Element == "slow" {
			c.at, c.to = append(c.at, time.Now()), append(c.to, m.To)
		}
		return Outcome{Fate: FateAccepted, Carrier: "out", Parts: 1}, true
	}
}

func (c *clocked) check(t *testing.T, gap time.Duration, want []string) {
	t.Helper()
	at, to := c.sent()
	for i := 1; i < len(at); i++ {
		if d := at[i].Sub(at[i-1]); d < gap {
			t.Errorf("message %d came %s after the one before, the speed allows one each %s", i, d, gap)
		}
	}
	if !slices.Equal(to, want) {
		t.Errorf("sent to %v\n    want %v", to, want)
	}
}

func (w *world) crowdOf(n int, text string) (to []string) {
	w.t.Helper()
	for i := range n {
		from := fmt.Sprintf("38591%04d", i)
		w.must(w.inbound(w.arrival(from, text)))
		to = append(to, from)
		time.Sleep(time.Millisecond)
	}
	return to
}

// X13: an element's messages go out at its speed, over all executors, in the order
// in which persons came; others overtake them, though there is one sender's place.
func TestSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clocked
		w := startWith(t, memory.New(), Options{MaxSending: 1}, c.watch, pacedFlow, otherFlow)
		want := w.crowdOf(30, "go")
		w.must(w.inbound(w.arrival("385999", "other")))
		time.Sleep(time.Second)
		expect(t, "the first has gone, and the other", fmt.Sprint(w.texts()), "[slow other]")
		time.Sleep(time.Minute)
		at, _ := c.sent()
		expect(t, "in the first minute", len(at), 7) // one at 0 s, six in a minute
		time.Sleep(10 * time.Minute)
		c.check(t, 10*time.Second, want)
		expect(t, "expired", w.counts("paced", "slow").Failed, 0)
	})
}

// X13: a restart, however long, neither makes a bunch of what was due meanwhile nor
// changes the order; validity begins with the turn.
func TestSpeedSurvivesRestart(t *testing.T) {
	for _, down := range []time.Duration{time.Millisecond, 95 * time.Second, 3 * time.Hour} {
		t.Run(down.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				var c clocked
				w := startWith(t, store, Options{}, c.watch, pacedFlow)
				want := w.crowdOf(20, "go")
				time.Sleep(time.Minute)
				w.must(w.stop())
				time.Sleep(down)
				w = startWith(t, store, Options{}, c.watch, pacedFlow)
				w.must(w.inbound(w.arrival("385919999", "go")))
				time.Sleep(10 * time.Minute)
				c.check(t, 10*time.Second, append(want, "385919999"))
				w.must(w.stop())
				w.recount()
			})
		})
	}
}

// X13, A4: who is taken out gets nothing, and a flow that is stopped leaves no queue
// behind.
func TestSpeedIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var c clocked
		w := startWith(t, store, Options{}, c.watch, pacedFlow)
		w.crowdOf(400, "go")
		who := Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: "385910003"}}
		gone, err := w.rt.Remove(context.Background(), who, "paced", 0, "api")
		w.must(err)
		expect(t, "withdrawn", gone.Withdrawn, 1)
		time.Sleep(time.Minute)
		_, to := c.sent()
		expect(t, "sent", len(to), 6)
		if slices.Contains(to, "385910003") {
			t.Error("a message was sent to a person who was taken out")
		}
		w.must(w.rt.StopFlow(context.Background(), "paced", 0))
		time.Sleep(2 * time.Hour)
		_, to = c.sent()
		expect(t, "sent after the stop", len(to), 6)
		expect(t, "withdrawn", w.counts("paced", "slow").Failed, 400-6)
		w.must(w.rt.StartFlow(context.Background(), "paced"))
		w.must(w.inbound(w.arrival("385910003", "go")))
		synctest.Wait()
		_, to = c.sent()
		expect(t, "sent at once after a new start", len(to), 7)
		w.must(w.stop())
		w.recount()
	})
}

// X11, X13: turns outside of a message's window are not for it; it asks again when
// the window opens.
func TestSpeedInWindow(t *testing.T) {
	const flow = `
flow: paced
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: any, next: slow}]
elements:
  slow: {type: send_sms, from: "38591000001", text: "slow", validity: 1h, speed: {max: 1, per: 1m}, window: {from: "00:00", to: "01:00"}, on: {sent: x}}
  x: {type: exit}
settings: {indefinite: true}
`
	synctest.Test(t, func(t *testing.T) { // it is midnight, 1 January 2000
		begin := time.Now().UTC()
		var c clocked
		w := startWith(t, memory.New(), Options{}, c.watch, flow)
		want := w.crowdOf(90, "x")
		time.Sleep(26 * time.Hour)
		byDay := map[int]int{}
		times, _ := c.sent()
		for _, at := range times {
			if at.UTC().Hour() != 0 {
				t.Errorf("sent at %s", at.UTC())
			}
			byDay[int(at.Sub(begin)/(24*time.Hour))]++
		}
		expect(t, "by day", fmt.Sprint(byDay), "map[0:60 1:30]")
		c.check(t, time.Minute, want)
	})
}

// X13: whatever stops and starts, no stretch of time has more messages than the
// speed allows, but for the little by which a busy machine may be late.
func TestSpeedLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gap := time.Duration(rapid.IntRange(1, 5).Draw(t, "gap")) * time.Second
		p := &pacer{lanes: map[string]lane{}}
		now := time.Unix(1_000_000, 0)
		var queue []int64 // turns of messages that wait, and when they are looked at
		var due, sent []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				turn, at, _ := p.take("l", gap, now, func(time.Time) bool { return true })
				queue, due = append(queue, turn), append(due, at)
			case 3, 4: // time passes; what is due goes, one after the other
				for end := now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond); len(queue) > 0 && !due[0].After(end); {
					if due[0].After(now) {
						now = due[0]
					}
					at, _ := p.come("l", queue[0], gap, now)
					if at.After(now) {
						due[0] = at
						continue
					}
					sent, queue, due = append(sent, now), queue[1:], due[1:]
				}
			case 5: // nothing goes for a while
				now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "down")) * time.Second)
			}
		}
		for i := 1; i < len(sent); i++ {
			if d := sent[i].Sub(sent[i-1]); d < gap-turnLate {
				t.Fatalf("%s between two messages; the speed allows one each %s", d, gap)
			}
		}
	})
}

// X13: a broadcast that is over leaves no queue behind.
func TestSpeedOfBroadcastIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{})
		for i := range 5 {
			w.tag(phoneOf(i).Value, "all")
		}
		w.started("broadcast: slow\nrecipients: {tags: [all]}\nmessage: {type: send_sms, from: \"38591000001\", text: x, speed: {max: 1, per: 1m}}\n")
		time.Sleep(2 * time.Minute)
		lanes := func() (n int) {
			for s := range flowengine.Shard(flowengine.Shards) {
				w.must(store.Scan(appendPrefix(nil, s, kindPace), nil, func(_, _ []byte) bool { n++; return true }))
			}
			return n
		}
		if lanes() == 0 {
			t.Error("no turns are kept while it runs")
		}
		time.Sleep(10 * time.Minute)
		expect(t, "state", w.status("slow").State, BroadcastFinished)
		expect(t, "lanes", lanes(), 0)
		expect(t, "in memory", len(w.rt.pacer.lanes), 0)
	})
}
