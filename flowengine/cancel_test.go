package flowengine

import (
	"testing"
	"time"
)

// X1 X12: a message that a cap holds gets its place when the one before it was
// refused, in the same step. The timer of the short wait is not left behind.
func TestHeldInTheSameStepLeavesNoTimer(t *testing.T) {
	v, err := ParseFlow("f.yaml", []byte(`
flow: f
entries: [{id: e, type: people_event, event: Left, next: try}]
elements:
  try: {type: failover, until: accepted, channels: [{from: "1", text: hi, wait: 1h}, {from: "2", text: hi, wait: 1h}]}
settings: {category: marketing}
`), testSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Ordinal = 1
	set, _, err := NewSet(testSchema(t), nil, []*Flow{{ID: "f", State: Active, Newest: v, Versions: []*Version{v}}})
	if err != nil {
		t.Fatal(err)
	}
	set.WithPolicy(&Policy{Caps: []Cap{{Channel: "sms", Max: 1, Per: 24 * time.Hour, Window: "rolling", Policy: "hold", Category: "all"}}})
	a := Address{Phone, "385911"}
	person, passages := Person{ID: NewPersonID(a, 0), Addresses: []Address{a}}, Passages{}
	first := set.Step(&person, &passages, &Happened{ID: "1", Name: "Left", At: testNow}, testNow)
	if len(first.Sends) != 1 {
		t.Fatalf("%d messages", len(first.Sends))
	}
	s := &first.Sends[0]
	second := set.Step(&person, &passages, &SendResult{ID: s.ID, Origin: s.Origin, Channel: s.Channel, To: s.To, Code: "no"}, testNow.Add(time.Second))
	if len(second.Sends) != 1 {
		t.Fatalf("%d messages after the first was refused: %+v", len(second.Sends), passages.Runs)
	}
	run := passages.Run("f", 1)
	for _, d := range second.Timers {
		if d.Seq != run.Seq || !d.Due.Equal(run.Deadline) {
			t.Errorf("the timer %+v is of no wait: %+v", d, run)
		}
	}
}
