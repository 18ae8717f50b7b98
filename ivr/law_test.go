package ivr

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// host carries out what a machine wants, as any host might: it answers late, in
// any order, or with failures; but it does answer.
type host struct {
	t      *rapid.T
	m      *Machine
	now    time.Duration
	owed   []Event // that must follow commands that were carried out
	timers map[uint32]bool
	legs   map[Leg]bool // dialled and not over
	gone   bool         // the caller
	done   []Outcome
	got    strings.Builder // digits that were collected
}

func (h *host) carryOut(commands []Command) {
	for _, c := range commands {
		h.carry(c)
	}
}

func (h *host) carry(c Command) {
	if h.gone {
		switch c := c.(type) {
		case Finish:
		case HangUp:
			if c.Leg == Caller {
				h.t.Fatal("hangs up on a caller who is gone")
			}
		default:
			h.t.Fatalf("wants %T of a call that is over", c)
		}
	}
	switch c := c.(type) {
	case Answer:
		h.owe(Answered{Caller}, Failed{Caller, PortFailed, "no_ack"})
	case Call:
		if h.legs[c.Leg] {
			h.t.Fatalf("leg %d is dialled twice", c.Leg)
		}
		h.legs[c.Leg] = true
		h.owe(Answered{c.Leg}, Failed{c.Leg, PortBusy, "sip_486"}, Failed{c.Leg, PortNoAnswer, ""}, nil)
	case HangUp:
		h.drop(c.Leg)
		if c.Leg == Caller {
			h.gone = true
		}
	case Play:
		if c.Prompt.Loop > MaxLoop || len(c.Prompt.Sounds) > MaxSounds {
			h.t.Fatal("a prompt is out of bounds")
		}
		if !c.Forever {
			h.owe(Played{c.Play}, PlayFailed{c.Play, "no_engine"})
		}
	case StartTimer:
		h.timers[c.Timer] = true
	case StopTimer:
		delete(h.timers, c.Timer)
	case StartRecording:
		if c.Max > MaxRecord || c.Max <= 0 {
			h.t.Fatal("a recording has no bound")
		}
		h.owe(Recorded{"r", time.Second}, Recorded{}, RecordFailed{"disk_full"})
	case Bridge:
		h.owe(Connected{c.Leg, h.now})
		if c.Leg != Caller {
			h.owe(Ended{Leg: c.Leg, At: h.now + time.Second})
		}
	case StartDetection:
		h.owe(Detected{PortHuman}, Detected{PortMachine}, Detected{PortFax}, nil)
	case Finish:
		h.finish(c.Outcome)
	}
}

func (h *host) finish(o Outcome) {
	h.done = append(h.done, o)
	clear(h.timers)
	if len(o.Digits) > MaxDigits {
		h.t.Fatal("too many digits")
	}
	if o.Port == PortDone {
		h.got.WriteString(o.Digits)
	}
	if o.Over {
		h.gone = true
	}
	for leg, up := range h.legs {
		if leg != Caller && up {
			h.t.Fatalf("leg %d is left behind", leg)
		}
	}
}

// owe lets one of some events happen later; nil: nothing does.
func (h *host) owe(one ...Event) {
	if e := rapid.SampledFrom(one).Draw(h.t, "follows"); e != nil {
		h.owed = append(h.owed, e)
	}
}

// drop ends a leg: what else it owed does not come.
func (h *host) drop(leg Leg) {
	h.legs[leg] = false
	h.owed = slices.DeleteFunc(h.owed, func(e Event) bool {
		switch e := e.(type) {
		case Answered:
			return e.Leg == leg
		case Failed:
			return e.Leg == leg
		case Connected:
			return e.Leg == leg
		case Ended:
			return e.Leg == leg
		}
		return false
	})
	if leg != Caller {
		h.owed = append(h.owed, Ended{Leg: leg, At: h.now})
	}
}

func (h *host) happen(e Event) {
	switch e := e.(type) {
	case Failed:
		h.legs[e.Leg] = false
	case Ended:
		h.legs[e.Leg] = false
		if e.Leg == Caller {
			h.gone = true
		}
	}
	h.carryOut(h.m.Handle(e))
}

func drawPrompt(t *rapid.T) *Prompt {
	if rapid.Bool().Draw(t, "no prompt") {
		return nil
	}
	return &Prompt{Sounds: slices.Repeat([]Sound{{Text: "a"}}, rapid.IntRange(1, 30).Draw(t, "sounds")), Loop: rapid.IntRange(-1, 20).Draw(t, "loop"), Barge: rapid.Bool().Draw(t, "barge")}
}

func drawTask(t *rapid.T) Task {
	task := Task{Kind: rapid.SampledFrom([]Kind{KindAnswer, KindPlay, KindCollect, KindCollect, KindRecord, KindForward, KindDetect, KindHangUp, "", KindStartCall}).Draw(t, "kind"), Prompt: drawPrompt(t)}
	switch task.Kind {
	case KindCollect:
		task.Collect = &Collect{
			Min: rapid.IntRange(-1, 70).Draw(t, "min"), Max: rapid.IntRange(-1, 70).Draw(t, "max"), First: time.Second, Between: time.Second,
			Finish: rapid.SampledFrom([]string{"", "#", "*"}).Draw(t, "finish"), Retries: rapid.IntRange(-1, 20).Draw(t, "retries"), Invalid: drawPrompt(t),
			Choices: rapid.SliceOfN(rapid.StringMatching("[0-9*#]{1,3}"), 0, 30).Draw(t, "choices"),
		}
	case KindRecord:
		task.Record = &Record{Max: time.Duration(rapid.IntRange(-1, 100).Draw(t, "max")) * time.Minute, Finish: "#"}
	case KindForward:
		task.Forward = &Forward{
			Targets: rapid.SliceOfN(rapid.Just("1"), 0, 12).Draw(t, "targets"), Parallel: rapid.Bool().Draw(t, "parallel"), Timeout: time.Second,
			Ringback: rapid.SampledFrom([]Ringback{RingbackTone, RingbackMusic, RingbackEarly, RingbackNone}).Draw(t, "ringback"), Music: drawPrompt(t), Whisper: drawPrompt(t),
			Confirm: rapid.SampledFrom([]string{"", "1"}).Draw(t, "confirm"), Hangup: rapid.Bool().Draw(t, "hangup"), MaxTalk: time.Duration(rapid.IntRange(0, 1).Draw(t, "talk")) * time.Minute,
		}
	case KindDetect:
		task.Detect = &Detect{Timeout: time.Second, Greeting: time.Duration(rapid.IntRange(0, 100).Draw(t, "greeting")) * time.Second}
	}
	return task
}

// Whatever happens on a call: every task ends, and once; nothing is wanted of a
// caller who is gone; no digit counts twice, or out of its turn; no leg and no
// prompt is beyond its bounds.
func TestLaws(t *testing.T) {
	for range 10 { // calls are long and what may go wrong is rare
		rapid.Check(t, law)
	}
}

func law(t *rapid.T) {
	h := &host{t: t, m: new(Machine), timers: map[uint32]bool{}, legs: map[Leg]bool{}}
	var pressed strings.Builder
	for range rapid.IntRange(1, 6).Draw(t, "tasks") {
		task := drawTask(t)
		if task.Kind == KindStartCall && h.m.Answered() {
			continue
		}
		before := len(h.done)
		h.carryOut(h.m.Begin(task))
		steps := 0
		for ; len(h.done) == before; steps++ {
			if steps > 2000 {
				t.Fatalf("%s does not end", task.Kind)
			}
			h.now += time.Second
			switch choice := rapid.IntRange(0, 20).Draw(t, "happens"); {
			case choice == 0:
				h.happen(Ended{Leg: Caller, At: h.now})
			case choice < 8:
				k := rapid.SampledFrom([]byte("0123456789*#")).Draw(t, "key")
				pressed.WriteByte(k)
				h.happen(Key{Caller, k})
			case choice == 8:
				h.happen(Key{Leg(rapid.IntRange(1, 3).Draw(t, "leg")), '1'})
			case choice == 9: // what nobody waits for
				h.happen(rapid.SampledFrom([]Event{TimerFired{9999}, Played{9999}, GreetingEnded{}, EarlyMedia{1}, Ringing{1}, Recorded{}, Answered{77}, Connected{77, 0}}).Draw(t, "stray"))
			case len(h.owed) > 0:
				i := rapid.IntRange(0, len(h.owed)-1).Draw(t, "which")
				e := h.owed[i]
				h.owed = slices.Delete(h.owed, i, i+1)
				h.happen(e)
			case len(h.timers) > 0:
				running := make([]uint32, 0, len(h.timers))
				for n := range h.timers {
					running = append(running, n)
				}
				n := slices.Min(running)
				delete(h.timers, n)
				h.happen(TimerFired{n})
			case steps > 100:
				t.Fatalf("%s waits for nothing", task.Kind)
			}
		}
		if len(h.done) != before+1 {
			t.Fatalf("%d outcomes of one task", len(h.done)-before)
		}
	}
	rest := pressed.String()
	for _, k := range []byte(h.got.String()) {
		i := strings.IndexByte(rest, k)
		if i < 0 {
			t.Fatalf("%q were collected of %q", h.got.String(), pressed.String())
		}
		rest = rest[i+1:]
	}
}
