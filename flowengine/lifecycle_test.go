package flowengine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// versionOf parses a flow as the newest version of itself.
func versionOf(t testing.TB, text string) *Version {
	t.Helper()
	v, err := ParseFlow("f.yaml", []byte(text), testSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Ordinal = 1
	return v
}

func flowOf(v *Version, s State) *Flow {
	return &Flow{ID: v.Flow, State: s, Launched: testNow, Newest: v, Versions: []*Version{v}}
}

const passing = `
flow: %s
entries: [{id: e, type: flow_api, next: x}]
elements:
  x: {type: transfer_to_flow, flow: %s, on: {done: %s}}
  p: {type: pause, for: 1h, on: {done: x}}
settings: {allow_simultaneous: true}
`

// X3: flows that transfer to each other come to an end, without a wait by the loop
// guard, and with one by the number of runs that a person may have.
func TestTransfersEnd(t *testing.T) {
	for _, tt := range []struct {
		name, next string
		most       int
	}{{"at once", "", 0}, {"each going on", "p", maxRuns}} {
		t.Run(tt.name, func(t *testing.T) {
			line := func(id, to string) string {
				text := fmt.Sprintf(passing, id, to, tt.next)
				return strings.Replace(text, ", on: {done: }", "", 1)
			}
			a, b := versionOf(t, line("ping", "pong")), versionOf(t, line("pong", "ping"))
			set, _, err := NewSet(testSchema(t), nil, []*Flow{flowOf(a, Active), flowOf(b, Active)})
			if err != nil {
				t.Fatal(err)
			}
			p := &Person{ID: NewPersonID(Address{Phone, "3851"}, 0)}
			ps, now := new(Passages), testNow
			var due []Deadline
			r := set.Step(p, ps, &Start{Flow: "ping", Entry: "e"}, now)
			for range 500 {
				if len(ps.Runs) > maxRuns {
					t.Fatalf("%d runs", len(ps.Runs))
				}
				if due = append(due, r.Timers...); len(due) == 0 {
					break
				}
				d := due[0]
				due = due[1:]
				now = d.Due
				r = set.Step(p, ps, &Timer{Flow: d.Flow, Number: d.Number, Seq: d.Seq}, now)
			}
			if len(ps.Runs) > tt.most {
				t.Errorf("%d runs are left, want at most %d", len(ps.Runs), tt.most)
			}
		})
	}
}

const calls = `
flow: %s
entries: [{id: e, type: inbound_call, number: "+385 1 1000", next: x}]
elements: {x: {type: exit}}
settings: {launch: %s}
`

// S6: the calls to a number go to one flow, and who launches a second one is told
// which.
func TestOneFlowPerVoiceNumber(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second State
		refused       bool
	}{
		{"both active", Active, Active, true},
		{"the holder is paused", Paused, Active, true},
		{"the second will be active", Active, Scheduled, true},
		{"the holder was stopped", Cancelled, Active, false},
		{"the holder takes no more calls", Finishing, Active, false},
		{"the second is a draft", Active, Draft, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			holder, second := flowOf(versionOf(t, fmt.Sprintf(calls, "z-first", "auto")), tt.first), flowOf(versionOf(t, fmt.Sprintf(calls, "a-second", "auto")), tt.second)
			second.Launched = holder.Launched.Add(time.Hour)
			_, _, err := NewSet(testSchema(t), nil, []*Flow{second, holder})
			switch {
			case !tt.refused && err != nil:
				t.Error(err)
			case tt.refused && (err == nil || !strings.Contains(err.Error(), `"a-second"`) || !strings.Contains(err.Error(), `taken by flow "z-first", which is `+tt.first.String())):
				t.Errorf("got %v", err)
			}
		})
	}
}

// An id stands for the element in metrics: one of another type must have another.
func TestRetyped(t *testing.T) {
	v := versionOf(t, fmt.Sprintf(passing, "a", "b", "p"))
	if found := v.Retyped(map[string]string{"x": "transfer_to_flow", "gone": "exit"}); found != nil {
		t.Errorf("got %v", found)
	}
	found := v.Retyped(map[string]string{"p": "exit"})
	if len(found) != 1 || !strings.HasPrefix(found[0].Error(), `f.yaml:6:13: element "p" was of type exit in an earlier version`) {
		t.Errorf("got %v", found)
	}
}

// A transfer leads to a flow and an entry point that exist.
func TestCheckTransfers(t *testing.T) {
	const other = "flow: care\nentries: [{id: in, type: flow_api, next: x}]\nelements: {x: {type: exit}}\n"
	const sales = "flow: sales\nentries: [{id: in, type: flow_api, next: x}]\nelements:\n  x: {type: transfer_to_flow, flow: %s}\n"
	for to, want := range map[string]string{
		"care":            "",
		"care, entry: in": "",
		"caer":            `f.yaml:4:13: element "x": there is no flow "caer" (did you mean "care"?)`,
		"care, entry: on": `f.yaml:4:13: element "x": flow "care" has no entry point "on"; it has in`,
	} {
		found := CheckTransfers([]*Version{versionOf(t, other), versionOf(t, fmt.Sprintf(sales, to))})
		if got := strings.TrimSpace(found.Error()); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
	}
}
