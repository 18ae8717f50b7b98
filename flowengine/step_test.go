package flowengine

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawFlow makes a flow of random elements that lead anywhere.
func drawFlow(t *rapid.T, id string, schema *Schema) *Flow {
	n := rapid.IntRange(1, 8).Draw(t, "elements")
	target := func() string {
		i := rapid.IntRange(0, n).Draw(t, "target")
		if i == n {
			return ""
		}
		return "e" + strconv.Itoa(i)
	}
	keyword := func() Keywords {
		if rapid.Bool().Draw(t, "any") {
			return Keywords{Any: true}
		}
		return Keywords{Words: []string{rapid.SampledFrom(words).Draw(t, "word")}}
	}
	d := &definition{Flow: id, Elements: map[string]*elementNode{}, Settings: Settings{Reenter: true, Timezone: "UTC", AllowSimultaneous: rapid.Bool().Draw(t, "simultaneous")}}
	for i := range n {
		node := &elementNode{On: map[string]string{}}
		switch rapid.IntRange(0, 9).Draw(t, "type") {
		case 0:
			node.Type, node.Element = "send_sms", &SendSMS{TextMessage{Text: "Hi {{ person.shoeSize }}", SendOptions: SendOptions{Validity: time.Hour}}}
		case 1:
			e := &EvaluateInboundMessage{Channel: "sms", Timeout: time.Hour}
			for range rapid.IntRange(1, 3).Draw(t, "branches") {
				e.Branches = append(e.Branches, AnswerBranch{Match: keyword(), Mode: "whole", Next: target()})
			}
			node.Type, node.Element = "evaluate_inbound_message", e
		case 2:
			node.Type, node.Element = "pause", &Pause{For: time.Minute}
		case 3:
			node.Type, node.Element = "update_person", &UpdatePerson{Set: map[string]Setting{"shoeSize": {Source: "inbound.number"}}}
		case 4:
			node.Type, node.Element = "add_tag", &AddTag{Tag: "x"}
		case 5:
			node.Type, node.Element = "remove_tag", &RemoveTag{Tag: "X"}
		case 6:
			node.Type, node.Element = "split_audience", &SplitAudience{Branches: []SplitBranch{{3334, target()}, {3333, target()}, {3333, target()}}}
		case 8:
			text := func() FailoverChannel {
				return FailoverChannel{send: "sms", message: &TextMessage{Text: "Hi", SendOptions: SendOptions{Validity: time.Hour}}}
			}
			node.Type, node.Element = "failover", &Failover{Channels: []FailoverChannel{text(), text()}}
		case 9:
			node.Type, node.Element = "wait_for_event", &WaitForEvent{EventFilter: EventFilter{Event: "Bought"}, Timeout: time.Hour}
		case 7:
			node.Type, node.Element = "exit", &Exit{}
		}
		for _, port := range node.Element.Ports() {
			if to := target(); to != "" {
				node.On[port] = to
			}
		}
		d.Elements["e"+strconv.Itoa(i)] = node
	}
	d.Entries = []*entryNode{{"inbound_message", &InboundMessage{EntryOptions: EntryOptions{ID: "in", Next: "e0"}, Channel: "sms", Keywords: keyword(), Match: "whole"}}}
	b := &builder{definition: d, schema: schema, report: func(path []any, warning bool, message string) {
		if !warning {
			t.Fatalf("%v: %s", path, message)
		}
	}}
	v := b.build()
	v.Ordinal = 1
	return &Flow{ID: id, State: Active, Launched: testNow, Newest: v, Versions: []*Version{v}}
}

var words = []string{"start", "stop it", "42", "čekaj", "yes"}

// Whatever flows there are and whatever happens: the step function does not
// panic, computes the same twice, says what it changed, keeps its promises about
// limits (X3), and its history adds up (M1, M2, M5).
func TestStepProperties(t *testing.T) {
	schema := testSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		flows := []*Flow{drawFlow(t, "a", schema), drawFlow(t, "b", schema)}
		set, _, err := NewSet(schema, []*Number{{Value: "100", Channel: "sms"}}, flows)
		if err != nil {
			t.Fatal(err)
		}
		from := Address{Phone, "385911"}
		person, passages := Person{ID: NewPersonID(from, 0), Addresses: []Address{from}}, Passages{}
		now := testNow
		var timers []Deadline
		var sends []Send
		total, unique, firsts, left := map[string]int{}, map[string]bool{}, map[string]int{}, map[string]int{}
		for range rapid.IntRange(1, 25).Draw(t, "causes") {
			var c Cause
			switch kind := rapid.IntRange(0, 5).Draw(t, "cause"); {
			case kind == 0 && len(timers) > 0:
				d := timers[rapid.IntRange(0, len(timers)-1).Draw(t, "timer")]
				if d.Due.After(now) {
					now = d.Due
				}
				c = &Timer{Flow: d.Flow, Number: d.Number, Seq: d.Seq}
			case kind == 1 && len(sends) > 0:
				s := sends[rapid.IntRange(0, len(sends)-1).Draw(t, "send")]
				c = &SendResult{ID: s.ID, Origin: s.Origin, Accepted: rapid.Bool().Draw(t, "accepted"), Parts: 1}
			case kind == 3 && len(sends) > 0:
				s := sends[rapid.IntRange(0, len(sends)-1).Draw(t, "send")]
				c = &Report{ID: s.ID, Origin: s.Origin, Final: true, Delivered: rapid.Bool().Draw(t, "delivered")}
			case kind == 4:
				c = &Happened{Name: "Bought", At: now}
			case kind == 2 && rapid.IntRange(0, 9).Draw(t, "eject") == 0:
				c = &Eject{Flow: "a", Reason: "stopped"}
			default:
				c = &Inbound{ID: "m", Channel: "sms", From: from, To: "100", Text: rapid.SampledFrom(words).Draw(t, "text"), At: now}
			}
			before := AppendPassages(AppendPerson(nil, &person), &passages)
			twin, twinPassages := Person{ID: person.ID}, Passages{}
			if err := DecodePerson(AppendPerson(nil, &person), &twin, nil); err != nil {
				t.Fatal(err)
			}
			if err := DecodePassages(AppendPassages(nil, &passages), &twinPassages); err != nil {
				t.Fatal(err)
			}
			again := set.Step(&twin, &twinPassages, c, now)
			r := set.Step(&person, &passages, c, now)
			after := AppendPassages(AppendPerson(nil, &person), &passages)
			if fmt.Sprint(r) != fmt.Sprint(again) || !bytes.Equal(after, AppendPassages(AppendPerson(nil, &twin), &twinPassages)) {
				t.Fatal("the same cause had another effect the second time")
			}
			if !r.PersonChanged && !r.PassagesChanged && !bytes.Equal(before, after) {
				t.Fatal("something changed and nobody says so")
			}
			ids := map[string]bool{}
			engaged := map[RunKey]int{}
			for _, s := range r.Sends {
				if ids[s.ID] { // X2: ids are unique
					t.Fatalf("two messages are called %s", s.ID)
				}
				ids[s.ID] = true
			}
			for _, e := range r.Log {
				place := e.Flow + "/" + e.Element
				switch e.Kind {
				case Engaged:
					total[place]++
					unique[place] = true
					if e.First {
						firsts[place]++
					}
					engaged[RunKey{e.Flow, e.Version, e.Number}]++
				case Departed:
					left[place]++
				}
			}
			for run, n := range engaged {
				if n > maxStepsPerSprint {
					t.Fatalf("%v executed %d elements in one sprint", run, n)
				}
			}
			timers, sends = append(timers, r.Timers...), append(sends, r.Sends...)
			now = now.Add(time.Second)
		}
		for place, n := range total {
			if !unique[place] || firsts[place] != 1 { // M2: one person is new once
				t.Fatalf("%s: %d first visits of one person", place, firsts[place])
			}
			flow := flows[place[0]-'a']
			if flow.Newest.Node(place[2:]).Type == "split_audience" && left[place] != n { // M5
				t.Fatalf("%s: %d arrived and %d left by a branch", place, n, left[place])
			}
		}
	})
}

// X3: a sprint and a run are bounded.
func TestStepLimits(t *testing.T) {
	schema := testSchema(t)
	two := func(id string, a, b *elementNode) *Flow {
		d := &definition{
			Flow: id, Settings: Settings{Reenter: true, Timezone: "UTC"}, Elements: map[string]*elementNode{"a": a, "b": b},
			Entries: []*entryNode{{"inbound_message", &InboundMessage{EntryOptions: EntryOptions{ID: "in", Next: "a"}, Channel: "sms", Keywords: Keywords{Words: []string{id}}, Match: "whole"}}},
		}
		v := (&builder{definition: d, schema: schema, report: func([]any, bool, string) {}}).build()
		return &Flow{ID: id, State: Active, Launched: testNow, Newest: v, Versions: []*Version{v}}
	}
	done := func(to string) map[string]string { return map[string]string{"done": to} }
	set, _, err := NewSet(schema, nil, []*Flow{
		two("spin", &elementNode{"add_tag", done("b"), &AddTag{Tag: "x"}}, &elementNode{"remove_tag", done("a"), &RemoveTag{Tag: "x"}}),
		two("slow", &elementNode{"add_tag", done("b"), &AddTag{Tag: "x"}}, &elementNode{"pause", done("a"), &Pause{For: time.Second}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	from := Address{Phone, "1"}
	person, passages := Person{ID: NewPersonID(from, 0), Addresses: []Address{from}}, Passages{}
	count := func(r *Result) (n int, reason string) {
		for _, e := range r.Log {
			switch e.Kind {
			case Engaged:
				n++
			case Exited:
				reason = e.Detail
			}
		}
		return n, reason
	}
	r := set.Step(&person, &passages, &Inbound{Channel: "sms", From: from, To: "9", Text: "spin", At: testNow}, testNow)
	if n, reason := count(r); n != maxStepsPerSprint || reason != exitLoopGuard || len(r.Entered) != 0 || len(r.Left) != 0 {
		t.Errorf("%d steps, exit %q, entered %v, left %v", n, reason, r.Entered, r.Left)
	}
	r = set.Step(&person, &passages, &Inbound{Channel: "sms", From: from, To: "9", Text: "slow", At: testNow}, testNow)
	total, reason := count(r)
	for reason == "" {
		d := r.Timers[0]
		r = set.Step(&person, &passages, &Timer{Flow: d.Flow, Number: d.Number, Seq: d.Seq}, d.Due)
		n, why := count(r)
		total, reason = total+n, why
	}
	if total != maxStepsPerRun || reason != exitLoopGuard {
		t.Errorf("%d steps, exit %q", total, reason)
	}
}

// S8: a time of day in the flow's zone, over both changes of the clock.
func TestMoment(t *testing.T) {
	zagreb, err := time.LoadLocation("Europe/Zagreb")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ moment, now, want string }{
		{"09:00", "2026-05-04T06:59:00Z", "2026-05-04T07:00:00Z"},
		{"09:00", "2026-05-04T07:00:00Z", "2026-05-05T07:00:00Z"},
		{"02:30", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"}, // skipped: the first minute after the gap
		{"02:30", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"}, // repeated: the first of the two
		{"02:30", "2026-10-25T00:31:00Z", "2026-10-26T01:30:00Z"},
		{"2026-12-24 09:00", "2026-05-04T07:00:00Z", "2026-12-24T08:00:00Z"},
		{"2026-12-24T09:00:00-05:00", "2026-05-04T07:00:00Z", "2026-12-24T14:00:00Z"},
	} {
		m, err := ParseMoment(tc.moment)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := time.Parse(time.RFC3339, tc.now)
		if got := m.After(now, zagreb).UTC().Format(time.RFC3339); got != tc.want {
			t.Errorf("%s after %s: got %s, want %s", tc.moment, tc.now, got, tc.want)
		}
	}
	if _, err := ParseMoment("tomorrow"); err == nil {
		t.Error("tomorrow is a moment")
	}
}
