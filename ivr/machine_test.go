package ivr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stage plays a call on a machine: what happens is written as short lines, and
// so is what the machine wants.
type stage struct {
	t      *testing.T
	m      *Machine
	plays  map[string]uint32 // by leg: the latest prompt
	timers []uint32          // running ones, oldest first
}

func newStage(t *testing.T) *stage { return &stage{t: t, m: new(Machine), plays: map[string]uint32{}} }

// do lets something happen and tells what the machine wants then.
//
//	answered [leg] | ringing leg | early leg | failed leg why [code] | ended leg [at] | connected leg at
//	key KEYS | legkey leg KEY | played [leg] | broken CODE | timer [n] | recorded ID LENGTH | silent | unrecorded CODE
//	detected PORT | greeted
func (s *stage) do(line string) string {
	s.t.Helper()
	f := strings.Fields(line)
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	leg := func(i int) Leg {
		n, _ := strconv.Atoi(arg(i))
		return Leg(n)
	}
	length := func(i int) time.Duration {
		d, _ := time.ParseDuration(arg(i))
		return d
	}
	var out []string
	give := func(e Event) { out = append(out, s.say(s.m.Handle(e))...) }
	switch f[0] {
	case "answered":
		give(Answered{leg(1)})
	case "ringing":
		give(Ringing{leg(1)})
	case "early":
		give(EarlyMedia{leg(1)})
	case "failed":
		give(Failed{leg(1), Port(arg(2)), arg(3)})
	case "ended":
		give(Ended{Leg: leg(1), At: length(2)})
	case "connected":
		give(Connected{leg(1), length(2)})
	case "key":
		for _, k := range []byte(arg(1)) {
			give(Key{Caller, k})
		}
	case "legkey":
		give(Key{leg(1), arg(2)[0]})
	case "played":
		give(Played{s.plays[strconv.Itoa(int(leg(1)))]})
	case "broken":
		give(PlayFailed{s.plays["0"], arg(1)})
	case "timer":
		i := int(leg(1))
		if i >= len(s.timers) {
			s.t.Fatalf("%s: no such timer runs", line)
		}
		n := s.timers[i]
		s.timers = slices.Delete(s.timers, i, i+1)
		give(TimerFired{n})
	case "recorded":
		give(Recorded{arg(1), length(2)})
	case "silent":
		give(Recorded{})
	case "unrecorded":
		give(RecordFailed{arg(1)})
	case "detected":
		give(Detected{Port(arg(1))})
	case "greeted":
		give(GreetingEnded{})
	default:
		s.t.Fatalf("unknown line %q", line)
	}
	return strings.Join(out, ", ")
}

// say writes commands down.
func (s *stage) say(commands []Command) (out []string) {
	for _, c := range commands {
		out = append(out, s.word(c))
	}
	return out
}

func (s *stage) word(c Command) string {
	switch c := c.(type) {
	case Answer:
		return "answer"
	case Call:
		return fmt.Sprintf("call %d %s", c.Leg, c.To)
	case HangUp:
		return strings.TrimSpace(fmt.Sprintf("hang up %d %s", c.Leg, c.Cause))
	case Play:
		s.plays[strconv.Itoa(int(c.Leg))] = c.Play
		word := "play "
		if c.Forever {
			word = "repeat "
		}
		if c.Leg != Caller {
			word = fmt.Sprintf("whisper %d ", c.Leg)
		}
		return word + c.Prompt.Sounds[0].Text
	case StopPlay:
		return fmt.Sprintf("silence %d", c.Leg)
	case Ring:
		if c.Early {
			return fmt.Sprintf("early %d", c.Leg)
		}
		return "ring"
	case StartTimer:
		s.timers = append(s.timers, c.Timer)
		return "wait " + c.After.String()
	case StopTimer:
		i := slices.Index(s.timers, c.Timer)
		if i < 0 {
			s.t.Errorf("timer %d was stopped and did not run", c.Timer)
			return ""
		}
		s.timers = slices.Delete(s.timers, i, i+1)
		return "no wait"
	case StartRecording:
		return fmt.Sprintf("record %s", c.Max)
	case StopRecording:
		return "stop recording"
	case Bridge:
		return fmt.Sprintf("bridge %d", c.Leg)
	case StartDetection:
		return "listen"
	case StopDetection:
		return "stop listening"
	case Finish:
		s.timers = nil
		return "= " + c.Outcome.words()
	}
	return fmt.Sprintf("%T", c)
}

func (o Outcome) words() string {
	w := string(o.Port)
	for _, part := range []string{o.Digits, o.Recording, o.Target, o.Code} {
		if part != "" {
			w += " " + part
		}
	}
	if o.Talk > 0 {
		w += " " + o.Talk.String()
	}
	if o.Over {
		w += " over"
	}
	return w
}

func says(text string, barge bool) *Prompt {
	return &Prompt{Sounds: []Sound{{Text: text}}, Barge: barge}
}

func pin() Task {
	return Task{Kind: KindCollect, Prompt: says("pin", true), Collect: &Collect{
		Min: 4, Max: 4, First: 5 * time.Second, Between: 2 * time.Second, Finish: "#", Retries: 1,
		Invalid: says("wrong", true), Timeout: says("hello?", true),
	}}
}

func menu(choices ...string) Task {
	return Task{Kind: KindCollect, Prompt: says("menu", true), Collect: &Collect{
		First: 5 * time.Second, Between: 2 * time.Second, Choices: choices, Retries: 1,
	}}
}

func voicemail() Task {
	return Task{Kind: KindRecord, Prompt: says("speak", true), Record: &Record{Beep: true, Max: time.Minute, Silence: 3 * time.Second, Finish: "#"}}
}

func forwardTo(parallel bool, targets ...string) Task {
	return Task{Kind: KindForward, Forward: &Forward{Targets: targets, Parallel: parallel, Timeout: 20 * time.Second}}
}

func confirmed(t Task) Task {
	t.Forward.Whisper, t.Forward.Confirm, t.Forward.ConfirmTimeout = says("for you", false), "1", 5*time.Second
	return t
}

func startCall(prompt *Prompt, detect *Detect) Task {
	return Task{Kind: KindStartCall, Prompt: prompt, Dial: &Dial{To: "385911", Timeout: 30 * time.Second, Detect: detect}}
}

// A call as a list of lines: "event: what the machine wants". The first one is
// what it wants at the beginning; "begin" begins the next task.
var calls = []struct {
	name  string
	fresh bool // the call is not answered yet
	tasks []Task
	lines string
}{
	{"answer", true, []Task{{Kind: KindAnswer}}, `
		begin: answer
		answered: = done`},
	{"an element answers before it plays", true, []Task{{Kind: KindPlay, Prompt: says("hi", false)}}, `
		begin: answer
		answered: play hi
		played: = done`},
	{"early media", true, []Task{{Kind: KindPlay, Prompt: &Prompt{Sounds: []Sound{{Text: "hi"}}, Early: true}}, {Kind: KindHangUp, Cause: CauseBusy}}, `
		begin: play hi
		played: = done
		begin: hang up 0 busy, = done over`},
	{"the answer does not arrive", true, []Task{pin()}, `
		begin: answer
		failed 0 failed no_ack: = failed no_ack`},
	{"a prompt without barge-in swallows keys", false, []Task{{Kind: KindPlay, Prompt: says("terms", false)}, pin()}, `
		begin: play terms
		key 12: 
		played: = done
		begin: play pin`},
	{"a prompt with barge-in ends and hands the key on", false, []Task{{Kind: KindPlay, Prompt: says("hi", true)}, menu("1", "2")}, `
		begin: play hi
		key 2: silence 0, = done
		begin: = done 2`},
	{"type-ahead over two elements", false, []Task{{Kind: KindPlay, Prompt: says("hi", true)}, menu("1", "2"), pin()}, `
		begin: play hi
		key 21234: silence 0, = done
		begin: = done 2
		begin: = done 1234`},
	{"a prompt that can't be played", false, []Task{pin()}, `
		begin: play pin
		broken no_engine: = failed no_engine`},
	{"digits by length", false, []Task{pin()}, `
		begin: play pin
		key 1: silence 0, wait 2s
		key 2: no wait, wait 2s
		key 34: no wait, wait 2s, = done 1234`},
	{"digits by finish key", false, []Task{{Kind: KindCollect, Collect: &Collect{Min: 1, Max: 10, First: time.Second, Between: time.Second, Finish: "#"}}}, `
		begin: wait 1s
		key 77#: no wait, wait 1s, no wait, wait 1s, = done 77`},
	{"digits by silence", false, []Task{{Kind: KindCollect, Collect: &Collect{Min: 1, Max: 10, First: 5 * time.Second, Between: time.Second, Finish: "#"}}}, `
		begin: wait 5s
		key 7: no wait, wait 1s
		timer: = done 7`},
	{"no digits: asked again, then timeout", false, []Task{pin()}, `
		begin: play pin
		played: wait 5s
		timer: play hello?
		played: play pin
		played: wait 5s
		timer: = timeout`},
	{"too few digits: asked again, then invalid", false, []Task{pin()}, `
		begin: play pin
		key 12#: silence 0, wait 2s, no wait, wait 2s, no wait, play wrong
		played: play pin
		key 9: silence 0, wait 2s
		timer: = invalid 9`},
	{"a finish key that was not needed means nothing", false, []Task{pin(), menu("1", "#"), pin(), pin()}, `
		begin: play pin
		key 1234#: silence 0, wait 2s, no wait, wait 2s, no wait, wait 2s, = done 1234
		begin: = done #
		begin: play pin
		key 5678#: silence 0, wait 2s, no wait, wait 2s, no wait, wait 2s, = done 5678
		begin: wait 5s
		key 1234: no wait, wait 2s, no wait, wait 2s, no wait, wait 2s, = done 1234`},
	{"a menu with an ambiguous beginning", false, []Task{menu("1", "12")}, `
		begin: play menu
		played: wait 5s
		key 1: no wait, wait 2s
		timer: = done 1`},
	{"a menu without that choice", false, []Task{menu("1", "12")}, `
		begin: play menu
		key 7: silence 0, play menu
		key 12: silence 0, wait 2s, = done 12`},
	{"a voicemail ended by a key", false, []Task{voicemail()}, `
		begin: play speak
		played: record 1m0s
		key 1: 
		key #: stop recording
		recorded r1 7s: = recorded r1`},
	{"a voicemail by length, and silence", false, []Task{voicemail(), voicemail()}, `
		begin: play speak
		key 5: silence 0, record 1m0s
		recorded r1 60s: = recorded r1
		begin: play speak
		played: record 1m0s
		silent: = silent`},
	{"who hangs up after speaking has left a voicemail", false, []Task{voicemail()}, `
		begin: play speak
		played: record 1m0s
		recorded r1 7s: = recorded r1
		ended 0: `},
	{"no room for a recording", false, []Task{voicemail()}, `
		begin: play speak
		played: record 1m0s
		unrecorded disk_full: = failed disk_full`},
	{"detection", false, []Task{{Kind: KindDetect, Detect: &Detect{Timeout: 4 * time.Second}}, {Kind: KindDetect, Detect: &Detect{Timeout: 4 * time.Second, Greeting: time.Minute}}, {Kind: KindDetect, Detect: &Detect{Timeout: 4 * time.Second, Greeting: time.Minute}}, {Kind: KindDetect, Detect: &Detect{Timeout: 4 * time.Second}}, {Kind: KindDetect, Detect: &Detect{Timeout: 4 * time.Second}}}, `
		begin: listen, wait 4s
		detected human: no wait, stop listening, = human
		begin: listen, wait 4s
		detected machine: no wait, wait 1m0s
		greeted: no wait, stop listening, = machine
		begin: listen, wait 4s
		detected machine: no wait, wait 1m0s
		timer: stop listening, = machine
		begin: listen, wait 4s
		timer: stop listening, = unknown
		begin: listen, wait 4s
		detected fax: no wait, stop listening, = fax`},
	{"a call that we make is answered", true, []Task{startCall(nil, nil), pin()}, `
		begin: call 0 385911, wait 30s
		ringing 0: 
		answered: no wait, = answered
		begin: play pin`},
	{"a call that we make rings for too long", true, []Task{startCall(nil, nil)}, `
		begin: call 0 385911, wait 30s
		timer: hang up 0, = no_answer over`},
	{"a call that we make is refused", true, []Task{startCall(nil, nil)}, `
		begin: call 0 385911, wait 30s
		failed 0 busy sip_486: = busy sip_486 over`},
	{"a message that we say", true, []Task{startCall(says("news", false), nil)}, `
		begin: call 0 385911, wait 30s
		answered: no wait, play news
		played: hang up 0, = answered over`},
	{"a machine takes no message", true, []Task{startCall(says("news", false), &Detect{Timeout: time.Second})}, `
		begin: call 0 385911, wait 30s
		answered: no wait, listen, wait 1s
		detected machine: no wait, stop listening, hang up 0, = machine over`},
	{"a call is forwarded", true, []Task{forwardTo(false, "1", "2")}, `
		begin: ring, call 1 1, wait 20s
		ringing 1: 
		answered 1: no wait, answer
		answered: bridge 1
		connected 1 10s: 
		ended 1 70s: = answered 1 1m0s`},
	{"the next target, after one that is busy", false, []Task{forwardTo(false, "1", "2")}, `
		begin: ring, call 1 1, wait 20s
		failed 1 busy sip_486: no wait, call 2 2, wait 20s
		timer: hang up 2, silence 0, = no_answer`},
	{"all targets at once", false, []Task{forwardTo(true, "1", "2", "3")}, `
		begin: ring, call 1 1, call 2 2, call 3 3, wait 20s
		failed 2 failed sip_404: 
		answered 3: no wait, hang up 1, bridge 3
		answered 1: 
		connected 3 5s: 
		ended 0 8s: hang up 3, = answered 3 3s over`},
	{"nobody takes it", false, []Task{forwardTo(true, "1", "2")}, `
		begin: ring, call 1 1, call 2 2, wait 20s
		failed 1 failed sip_503: 
		failed 2 busy sip_486: no wait, silence 0, = busy sip_486`},
	{"whisper and confirm", false, []Task{confirmed(forwardTo(false, "1", "2"))}, `
		begin: ring, call 1 1, wait 20s
		answered 1: no wait, whisper 1 for you
		played 1: wait 5s
		legkey 1 7: 
		timer: hang up 1, call 2 2, wait 20s
		answered 2: no wait, whisper 2 for you
		legkey 2 1: silence 2, bridge 2
		connected 2 0s: 
		ended 2 4s: = answered 2 4s`},
	{"legs have numbers of their own", false, []Task{forwardTo(false, "1"), forwardTo(false, "2")}, `
		begin: ring, call 1 1, wait 20s
		timer: hang up 1, silence 0, = no_answer
		begin: ring, call 2 2, wait 20s
		ended 1: 
		failed 2 failed no_route: no wait, silence 0, = failed no_route`},
	{"hanging up takes the place of what runs", false, []Task{forwardTo(false, "1"), {Kind: KindHangUp}}, `
		begin: ring, call 1 1, wait 20s
		begin: hang up 1, silence 0, hang up 0, = done over
		ended 0: `},
}

func TestCalls(t *testing.T) {
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			s.m.answered = !c.fresh
			tasks := c.tasks
			for line := range strings.Lines(strings.TrimSpace(c.lines)) {
				event, want, _ := strings.Cut(strings.TrimSpace(line), ":")
				want = strings.TrimSpace(want)
				var got string
				if event == "begin" {
					got = strings.Join(s.say(s.m.Begin(tasks[0])), ", ")
					tasks = tasks[1:]
				} else {
					got = s.do(event)
				}
				if got != want {
					t.Fatalf("%s: the machine wants %q, not %q", event, got, want)
				}
			}
		})
	}
}

// TestCallerHangsUp lets the caller hang up in every state of every element.
// Nothing is asked for afterwards but to let go of the others.
func TestCallerHangsUp(t *testing.T) {
	for _, c := range calls {
		lines := strings.Split(strings.TrimSpace(c.lines), "\n")
		for n := range lines {
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) {
				s := newStage(t)
				s.m.answered = !c.fresh
				tasks := c.tasks
				for _, line := range lines[:n+1] {
					event, _, _ := strings.Cut(strings.TrimSpace(line), ":")
					if event == "begin" {
						s.say(s.m.Begin(tasks[0]))
						tasks = tasks[1:]
					} else {
						s.do(event)
					}
				}
				if s.m.Over() {
					return
				}
				busy := s.m.Busy()
				got := s.do("ended 0 100s")
				finished := strings.Contains(got, "= hung_up over") || strings.Contains(got, "= answered") && strings.Contains(got, " over")
				if busy != finished || s.m.Busy() || !s.m.Over() {
					t.Errorf("after %q it wants %q", lines[n], got)
				}
				for _, word := range strings.Split(got, ", ") {
					if word != "" && !strings.HasPrefix(word, "hang up ") && !strings.HasPrefix(word, "= ") || word == "hang up 0" {
						t.Errorf("it wants %q of a caller who is gone", word)
					}
				}
				if later := strings.Join(s.say(s.m.Begin(pin())), ", "); later != "= hung_up over" {
					t.Errorf("the next element wants %q", later)
				}
			})
		}
	}
}
