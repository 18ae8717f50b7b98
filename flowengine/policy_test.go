package flowengine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trunkline/configs/strict"
)

// testPolicy reads a policy as trunkline.yaml has it.
func testPolicy(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := readPolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readPolicy(text string) (*Policy, error) {
	p := new(Policy)
	doc := strict.Parse("policy.yaml", []byte(text), strict.Options{})
	doc.Decode(p)
	p.Check(func(path []any, message string) { doc.ErrorAt(path, "%s", message) })
	return p, doc.Err()
}

func TestPolicyErrors(t *testing.T) {
	for text, want := range map[string]string{
		`caps: [{channel: sms, max: 3}]`:                                             `policy.yaml:1:8: "per" is missing: say in which stretch`,
		`caps: [{channel: sms, max: 3, per: 30d, window: month}]`:                    "a month is as long as the calendar says",
		`caps: [{channel: sms, max: 3, per: 3d, window: calendar}]`:                  "a calendar has days (1d) and weeks (1w)",
		`caps: [{channel: smoke, max: 3, per: 1d}]`:                                  "sms",
		`caps: [{channel: sms, max: 0, per: 1d}]`:                                    "1",
		`quiet_hours: {from: "21:00"}`:                                               "go together",
		`quiet_hours: {}`:                                                            "say `from` and `to`, or `days`",
		`quiet_hours: {from: "21:00", to: "21:00"}`:                                  "are the same",
		`quiet_hours: {from: "09:00", to: "08:30"}`:                                  "less than an hour",
		`quiet_hours: {from: "12:00", to: "14:00", days: [sun]}`:                     "over midnight",
		`quiet_hours: {days: [sum]}`:                                                 `did you mean "sun"?`,
		`quiet_hours: {off: true, days: [sun]}`:                                      "either",
		`control_group: 100`:                                                         "nobody would enter",
		`control_group: 5%`:                                                          "percentage",
		`quiet_hours: {from: "21:00", to: "08:00"}` + "\n" + `controlgroup: 5`:       `did you mean "control_group"`,
		`quiet_hours: {days: [mon, tue, wed, thu, fri, sat]}` + "\n" + `caps: [{}]`:  `caps[0]: "channel"`,
		`quiet_hours: {from: "21:00", to: "08:00", days: [sun]}` + "\n" + `caps: {}`: "list",
		`caps: [{channel: sms, max: 3, per: 1d, policy: drop}]`:                      "skip",
		`caps: [{channel: sms, max: 3, per: 10m}]`:                                   "1h",
	} {
		if _, err := readPolicy(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant …%s…", text, err, want)
		}
	}
}

// X12: whatever comes in whatever order, no stretch of time has more messages
// than a cap allows, and a free place is not refused to a message.
func TestCapsHold(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zagreb")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := Cap{Channel: channelSMS, Max: rapid.IntRange(1, 4).Draw(t, "max"), Per: 24 * time.Hour, Category: categoryAll,
			Window: rapid.SampledFrom([]string{capRolling, capCalendar, capMonth}).Draw(t, "window")}
		var times []time.Time
		for range rapid.IntRange(0, 30).Draw(t, "messages") {
			wanted := testNow.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "hour")) * time.Hour)
			if c.Window == capMonth {
				wanted = testNow.Add(4 * wanted.Sub(testNow))
			}
			free := c.free(times, wanted, zone)
			if free.Before(wanted) {
				t.Fatalf("%s is before %s", free, wanted)
			}
			if free.After(wanted) && worst(&c, append(slices.Clone(times), wanted), zone) <= c.Max {
				t.Fatalf("a place at %s was refused", wanted)
			}
			times = append(times, free)
			slices.SortFunc(times, time.Time.Compare)
		}
		if n := worst(&c, times, zone); n > c.Max {
			t.Fatalf("%d messages in one stretch of %s, at most %d are allowed: %v", n, c.Per, c.Max, times)
		}
	})
}

// X12: months of the calendar begin where the person is, whatever their length and the
// clock's changes.
func TestCapMonth(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Zagreb")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	c := &Cap{Channel: channelSMS, Max: 1, Window: capMonth}
	for _, tt := range []struct{ sent, wanted, free string }{
		{"2024-02-01 00:00", "2024-02-29 23:59", "2024-03-01 00:00"},
		{"2024-01-31 23:59", "2024-02-01 00:00", "2024-02-01 00:00"},
		{"2024-03-31 01:00", "2024-03-31 23:00", "2024-04-01 00:00"}, // 23 hours long
		{"2024-12-24 12:00", "2024-12-31 23:59", "2025-01-01 00:00"},
	} {
		if got := c.free([]time.Time{at(tt.sent)}, at(tt.wanted), zone); !got.Equal(at(tt.free)) {
			t.Errorf("after %s, at %s: %s, want %s", tt.sent, tt.wanted, got, tt.free)
		}
	}
}

// worst is the most messages that any stretch of time has.
func worst(c *Cap, times []time.Time, zone *time.Location) (most int) {
	for _, from := range times {
		end := from.Add(c.Per)
		if c.Window != capRolling {
			from, end = c.period(from, zone)
		}
		n := 0
		for _, t := range times {
			if !t.Before(from) && t.Before(end) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// X12: flows that compete, carriers that refuse, windows, clocks and restarts
// never let a person get more than the caps allow.
func TestCapsOverFlows(t *testing.T) {
	schema := testSchema(t)
	var flows []*Flow
	for i, window := range []string{"", ", window: {from: \"09:00\", to: \"12:00\"}", ""} {
		text := fmt.Sprintf(`
flow: f%d
entries: [{id: e, type: people_event, event: Go, next: s}]
elements:
  s: {type: send_sms, from: "100", text: "x", validity: 30h%s, on: {sent: p, failed: p, not_sent: p}}
  p: {type: pause, for: 3h, on: {done: again}}
  again: {type: send_sms, from: "100", text: "y"}
settings: {category: marketing, allow_simultaneous: true, priority: %d, timezone: Europe/Zagreb}
`, i, window, i)
		v, err := ParseFlow("f.yaml", []byte(text), schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		v.Ordinal = 1
		flows = append(flows, &Flow{ID: v.Flow, State: Active, Launched: testNow, Newest: v, Versions: []*Version{v}})
	}
	rapid.Check(t, func(t *rapid.T) {
		policy := &Policy{Caps: []Cap{
			{Channel: channelSMS, Max: rapid.IntRange(1, 3).Draw(t, "max"), Per: 24 * time.Hour, Window: "rolling", Category: categoryMarketing,
				Policy: rapid.SampledFrom([]string{capSkip, "hold"}).Draw(t, "policy")},
			{Channel: channelSMS, Max: 4, Per: 7 * 24 * time.Hour, Window: capCalendar, Category: categoryAll, Policy: capSkip},
			{Channel: channelSMS, Max: 9, Window: capMonth, Category: categoryAll, Policy: capSkip},
		}}
		set, _, err := NewSet(schema, nil, flows)
		if err != nil {
			t.Fatal(err)
		}
		set.WithPolicy(policy)
		a := Address{Phone, "385911"}
		h := &cappedHost{t: t, set: set, now: testNow, person: Person{ID: NewPersonID(a, 0), Addresses: []Address{a}}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				h.step(&Happened{Name: "Go", At: h.now})
			case 2:
				h.pass(time.Duration(rapid.IntRange(1, 40).Draw(t, "hours")) * time.Hour)
			case 3:
				h.answer(rapid.Bool().Draw(t, "accepted"))
			case 4:
				h.restart()
			}
			zone, _ := time.LoadLocation("Europe/Zagreb")
			for i := range policy.Caps {
				if n := worst(&policy.Caps[i], h.times(), zone); n > policy.Caps[i].Max {
					t.Fatalf("cap %d: %d messages: %v", i, n, h.times())
				}
			}
			if n := len(h.passages.Places); n > 32 {
				t.Fatalf("%d places are kept", n)
			}
		}
		h.pass(60 * 24 * time.Hour)
		if n := len(h.passages.Runs); n > len(h.waiting) {
			t.Fatalf("%d runs are stuck: %+v", n, h.passages.Runs)
		}
	})
}

// cappedHost is a host of one person.
type cappedHost struct {
	t        *rapid.T
	set      *Set
	now      time.Time
	person   Person
	passages Passages
	timers   []Deadline
	waiting  []Send      // without an answer
	taken    []time.Time // when those went out that were accepted
}

func (h *cappedHost) step(c Cause) {
	r := h.set.Step(&h.person, &h.passages, c, h.now)
	h.timers = slices.DeleteFunc(h.timers, func(d Deadline) bool { return slices.Contains(r.Cancelled, d) })
	h.timers = append(h.timers, r.Timers...)
	h.waiting = append(h.waiting, r.Sends...)
	for i := range r.Sends {
		if s := &h.waiting[len(h.waiting)-len(r.Sends)+i]; s.NotBefore.IsZero() {
			s.NotBefore = h.now
		}
	}
}

func (h *cappedHost) pass(d time.Duration) {
	for until := h.now.Add(d); ; {
		slices.SortStableFunc(h.timers, func(a, b Deadline) int { return a.Due.Compare(b.Due) })
		if len(h.timers) == 0 || h.timers[0].Due.After(until) {
			h.now = until
			return
		}
		d := h.timers[0]
		h.timers = h.timers[1:]
		h.now = d.Due
		h.step(&Timer{Flow: d.Flow, Number: d.Number, Seq: d.Seq})
	}
}

func (h *cappedHost) answer(accepted bool) {
	if len(h.waiting) == 0 {
		return
	}
	s := h.waiting[0]
	h.waiting = h.waiting[1:]
	r := &SendResult{ID: s.ID, Origin: s.Origin, Channel: s.Channel, To: s.To, Accepted: accepted}
	if accepted {
		r.Parts = 1
		h.taken = append(h.taken, s.NotBefore)
	}
	h.step(r)
}

func (h *cappedHost) restart() {
	var again Passages
	if err := DecodePassages(AppendPassages(nil, &h.passages), &again); err != nil {
		h.t.Fatal(err)
	}
	h.passages = again
}

func (h *cappedHost) times() []time.Time {
	all := slices.Clone(h.taken)
	for _, s := range h.waiting {
		all = append(all, s.NotBefore)
	}
	return all
}

// What a host keeps of the way in which a message waits for its turn comes back as it
// was, and gives the same openings.
func TestPacingRoundTrip(t *testing.T) {
	v, err := ParseFlow("f.yaml", []byte(`
flow: f
entries: [{id: e, type: flow_api, next: s}]
elements:
  s: {type: send_sms, from: "100", text: "x", speed: {max: 7, per: 1m}, window: {days: [mon, sat], from: "22:00", to: "01:30"}}
`), testSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := v.Node("s").Element.(*SendSMS)
	zone, _ := time.LoadLocation("America/New_York")
	rapid.Check(t, func(t *rapid.T) {
		window := e.Window
		if rapid.Bool().Draw(t, "always") {
			window = nil
		}
		want := e.Speed.pacing(rapid.IntRange(0, 9).Draw(t, "lane"), e.Validity, window, zone)
		var got Pacing
		if err := got.Decode(want.Append(nil)); err != nil {
			t.Fatal(err)
		}
		at := drawTime(t, "at")
		if got.Lane != want.Lane || got.Gap != time.Minute/7 || got.Validity != want.Validity || !got.Opening(at).Equal(want.Opening(at)) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if opening := got.Opening(at); opening.Before(at) || !got.Opening(opening).Equal(opening) {
			t.Fatalf("%s is no opening from %s on", opening, at)
		}
	})
}

func TestSpeedErrors(t *testing.T) {
	for speed, want := range map[string]string{
		`{max: 5, per: 2m}`: "say 1s, 1m, 1h or 1d",
		`{max: 0}`:          "max",
		`{per: 1s}`:         `"max" is missing`,
		`5`:                 "map",
	} {
		_, err := ParseFlow("f.yaml", []byte(`
flow: f
entries: [{id: e, type: flow_api, next: s}]
elements:
  s: {type: send_sms, from: "100", text: "x", speed: `+speed+`}
  c: {type: call_api, url: "https://example.org", speed: `+speed+`}
`), testSchema(t), nil)
		if err == nil || strings.Count(err.Error(), want) < 2 || !strings.Contains(err.Error(), "f.yaml:5:") || !strings.Contains(err.Error(), "f.yaml:6:") {
			t.Errorf("%s: got %v, want …%s… twice", speed, err, want)
		}
	}
}
