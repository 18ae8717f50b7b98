package simulation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/flowengine"
)

const flow = `
flow: f
entries:
  - {id: in, type: inbound_message, number: "100", keywords: go, next: ask}
  - {id: api, type: flow_api, next: order}
  - {id: bought, type: people_event, event: Bought, next: half}
  - {id: all, type: audience, condition: {tag: vip}, next: mark}
  - {id: birthday, type: profile_change, condition: {attr: birthDate, op: is_today}, next: mark}
elements:
  ask: {type: send_sms, text: "Size?", on: {sent: wait, failed: mark}}
  wait: {type: evaluate_inbound_message, timeout: 24h, branches: [{match: any, next: save}], on: {timeout: mark}}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}}
  order: {type: call_api, url: "https://api.example.org/", on: {success: tell}}
  tell: {type: send_sms, from: "100", text: "{{ vars.state }}", window: {from: "10:00", to: "18:00"}}
  half: {type: split_audience, branches: [{share: 50, next: mark}, {share: 50}]}
  mark: {type: add_tag, tag: seen}
`

func stage(t testing.TB) Stage {
	t.Helper()
	schema, err := flowengine.NewSchema(flowengine.Attribute{Name: "shoeSize", Type: flowengine.Whole})
	if err != nil {
		t.Fatal(err)
	}
	v, err := flowengine.ParseFlow("f.yaml", []byte(flow), schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Stage{Flow: v, Schema: schema}
}

// told is a play in lines, without what is the same for all.
func told(p *Play) string {
	var b strings.Builder
	for _, t := range p.Turns {
		fmt.Fprintf(&b, "+%s %s: %s\n", t.At.Sub(p.Begin), t.Person, t.Cause)
		for _, e := range t.Happened {
			if slices.Contains([]flowengine.EventKind{flowengine.Entered, flowengine.Exited, flowengine.Refused, flowengine.Engaged}, e.Kind) {
				fmt.Fprintf(&b, "  %s\n", strings.TrimSpace(map[flowengine.EventKind]string{
					flowengine.Entered: "entered", flowengine.Exited: "left", flowengine.Refused: "refused", flowengine.Engaged: "reached " + e.Element,
				}[e.Kind]+" "+e.Detail))
			}
		}
		for _, s := range t.Sends {
			fmt.Fprintf(&b, "  %s %s\n", s.Channel, s.Text[:min(len(s.Text), 10)])
		}
	}
	for i := range p.People {
		one := &p.People[i]
		fmt.Fprintf(&b, "%s:", one.Phone())
		for _, a := range one.Person.Attrs {
			fmt.Fprintf(&b, " %s=%s", a.Name, a.Value)
		}
		for _, tag := range one.Person.Tags {
			b.WriteString(" +" + tag.Name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestPlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, script, want string }{
		{
			name:   "an answer, and a timeout",
			script: `steps: [{in: go}, {wait: 1h}, {in: "42"}, {person: "2", in: go}, {at: +26h}]`,
			want: `
+0s 385911234567: writes "go" to 100
  entered in
  reached ask
  sms Size?
+0s 385911234567: the carrier takes the message
  reached wait
+1h0m0s 385911234567: writes "42" to 100
  reached save
  left completed
+1h0m0s 2: writes "go" to 100
  entered in
  reached ask
  sms Size?
+1h0m0s 2: the carrier takes the message
  reached wait
+25h0m0s 2: the time is up at wait
  reached mark
  left completed
385911234567: shoeSize=42
2: +seen`,
		},
		{
			name:   "the carrier refuses, and reports",
			script: `{auto: false, steps: [{in: go}, {wait: 1m, accept: false, reason: no_route}, {report: undeliverable}]}`,
			want: `
+0s 385911234567: writes "go" to 100
  entered in
  reached ask
  sms Size?
+1m0s 385911234567: the carrier refuses the message: no_route
  reached mark
  left completed
+1m0s 385911234567: the carrier reports: undeliverable
385911234567: +seen`,
		},
		{
			name:   "an API answers, and a message waits for its window",
			script: `{auto: false, people: [{phone: "1"}], steps: [{start: api}, {accept: true, vars: {state: sent, n: 3}}, {accept: true}]}`,
			want: `
+0s 1: is let in through api
  entered api
  reached order
  http {"method":
+0s 1: the API answers n=3 state=sent
  reached tell
  left completed
  sms sent
+0s 1: the carrier takes the message
1:`,
		},
		{
			name:   "the carrier gets what waits for its window when that opens",
			script: `steps: [{start: api, vars: {state: x}}, {wait: 2h}]`,
			want: `
+0s 385911234567: is let in through api state=x
  entered api
  reached order
  http {"method":
+0s 385911234567: the API answers
  reached tell
  left completed
  sms x
+1h0m0s 385911234567: the carrier takes the message
385911234567:`,
		},
		{
			name: "an audience, a change and a birthday",
			script: `
people: [{phone: "1", attributes: {birthDate: 1990-01-07}}, {phone: "2", tags: [vip]}]
steps: [{start: all}, {person: "2", start: all}, {change: {set: {shoeSize: 43}, tags: [+new]}}, {change: {tags: [-new]}}, {wait: 3d}]`,
			want: `
+0s 1: is looked at for the audience all
+0s 2: is looked at for the audience all
  entered all
  reached mark
  left completed
+0s 1: is changed: shoeSize=43, +new
+0s 1: is changed: -new
+48h0m0s 1: a new day: the condition of birthday is looked at
  entered birthday
  reached mark
  left completed
1: birthDate=1990-01-07 shoeSize=43 +seen
2: +seen +vip`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse("script.yaml", []byte(c.script))
			if err != nil {
				t.Fatal(err)
			}
			p, err := Run(s, stage(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := told(p); got != strings.TrimPrefix(c.want, "\n")+"\n" {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
			again, err := Run(s, stage(t))
			if err != nil || told(again) != told(p) {
				t.Errorf("played twice, it differs (%v)", err)
			}
		})
	}
}

// TestSeed: with another seed splits send the same numbers other ways.
func TestSeed(t *testing.T) {
	t.Parallel()
	s, err := Parse("script.yaml", []byte(`steps: [{event: Bought, properties: {total: 12.5, gift: true}}]`))
	if err != nil {
		t.Fatal(err)
	}
	ways := map[bool]int{}
	for seed := range uint64(20) {
		st := stage(t)
		st.Seed = seed
		p, err := Run(s, st)
		if err != nil {
			t.Fatal(err)
		}
		ways[len(p.People[0].Person.Tags) > 0]++
	}
	if ways[true] == 0 || ways[false] == 0 {
		t.Errorf("all went the same way: %v", ways)
	}
}

// TestParts: what a carrier takes is counted as it would count.
func TestParts(t *testing.T) {
	t.Parallel()
	s, _ := Parse("script.yaml", []byte(`steps: [{in: go}]`))
	st := stage(t)
	st.Parts = func(string) int { return 3 }
	p, err := Run(s, st)
	if err != nil || len(p.Turns) != 2 || p.Turns[1].Happened[0].Units != 3 || !p.End.Equal(p.Begin) {
		t.Errorf("%v %+v", err, p.Turns)
	}
}

// TestBeginning: the play begins when it is told, in the flow's time zone.
func TestBeginning(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		``:                                     "2026-01-05T09:00:00Z",
		`begin: 2026-12-24 18:00, `:            "2026-12-24T18:00:00Z",
		`begin: "2026-12-24T18:00:00+01:00", `: "2026-12-24T17:00:00Z",
	} {
		s, err := Parse("script.yaml", []byte("{"+given+"steps: [{wait: 1s}]}"))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := Run(s, stage(t)); err != nil || p.Begin.Format(time.RFC3339) != want {
			t.Errorf("%q begins %v, not %s (%v)", given, p.Begin, want, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		`steps: [{}]`:                  `script.yaml:1:9: the step says nothing: in, event, start, accept, report, click, change, call, press, speak, hang_up, callee, wait or at is expected`,
		`steps: [{in: a, event: B}]`:   `script.yaml:1:9: a step says one thing, not in and event; make steps of them`,
		`steps: [{wait: 1h, at: +1h}]`: `script.yaml:1:9: say either at or wait`,
		`steps: [{at: 1h}]`:            `script.yaml:1:14: at: "1h" is not a stretch of time since the beginning (write it as +0s, +90m or +1d)`,
		`steps: [{inn: a}]`:            `script.yaml:1:10: steps[0]: unknown key "inn" (did you mean "in"?)`,
		`people: [{phone: "a@b.c"}]
steps: [{in: a}]`: `script.yaml:1:18: "a@b.c" is not a phone number`,
		`steps: [{in: a}, {wait: 1h}, {at: +0s}]`:                              `steps[2]: it is +1h0m0s already; time does not go back`,
		`steps: [{accept: true}]`:                                              "steps[0]: every message to 385911234567 has its answer; with `auto: true`, which is the default, all are accepted by themselves",
		`steps: [{report: delivered}]`:                                         `steps[0]: nothing was sent to 385911234567 yet that could be reported`,
		`steps: [{start: x}]`:                                                  `steps[0]: the flow has no entry point "x"; it has in, api, bought, all, birthday`,
		`steps: [{change: {set: {shoeSize: big}}}]`:                            `steps[0]: "big" is not a whole_number`,
		`{people: [{phone: "1", attributes: {shoSize: 1}}], steps: [{in: a}]}`: `people[0]: there is no attribute "shoSize" (did you mean "shoeSize"?)`,
	} {
		s, err := Parse("script.yaml", []byte(script))
		if err == nil {
			_, err = Run(s, stage(t))
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", script, err, want)
		}
	}
}

// FuzzPlay: no script makes the player panic or play for ever.
func FuzzPlay(f *testing.F) {
	for _, s := range []string{
		`steps: [{in: go}, {wait: 1h}, {in: "42"}]`, `{auto: false, steps: [{start: api}, {accept: true, vars: {n: [a, b]}}]}`,
		`steps: [{change: {set: {shoeSize: null}, tags: [+a, -b]}}, {at: +3d}]`, `{begin: "09:00", number: "+1 2", steps: [{report: expired}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		s, err := Parse("script.yaml", []byte(script))
		if err != nil {
			return
		}
		p, err := Run(s, stage(t))
		if err == nil && p.End.Before(p.Begin) {
			t.Errorf("it ended before it began")
		}
	})
}

// X12, P5: a play keeps to the configuration's policy.
func TestPlayKeepsToThePolicy(t *testing.T) {
	schema, err := flowengine.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	v, err := flowengine.ParseFlow("f.yaml", []byte(`
flow: f
entries: [{id: e, type: flow_api, next: a}]
elements:
  a: {type: send_sms, from: "100", text: "a", on: {sent: b}}
  b: {type: send_sms, from: "100", text: "b", on: {sent: c}}
  c: {type: exit}
settings: {category: marketing}
`), schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("s.yaml", []byte("steps: [{start: e}, {wait: 2d}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		policy flowengine.Policy
		want   string
	}{
		{flowengine.Policy{Caps: []flowengine.Cap{{Channel: "sms", Max: 1, Per: 24 * time.Hour, Window: "rolling", Policy: "hold", Category: "marketing"}}}, `+0s 385911234567: is let in through e
  entered e
  reached a
  sms a
+0s 385911234567: the carrier takes the message
  reached b
+24h0m0s 385911234567: the time is up at b
  sms b
+24h0m0s 385911234567: the carrier takes the message
  reached c
  left completed
385911234567:
`},
		{flowengine.Policy{ControlGroup: 9999}, `+0s 385911234567: is let in through e
  refused control_group
385911234567:
`},
	} {
		p, err := Run(s, Stage{Flow: v, Schema: schema, Policy: &c.policy})
		if err != nil {
			t.Fatal(err)
		}
		if got := told(p); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// U1: a script says who follows which link, and a flow may lead over to another one.
func TestPlayClicksAndTransfers(t *testing.T) {
	st := stage(t)
	read := func(text string) *flowengine.Version {
		v, err := flowengine.ParseFlow("f.yaml", []byte(text), st.Schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	st.Flow = read(`
flow: offer
entries: [{id: api, type: flow_api, next: send}]
elements:
  send: {type: send_sms, from: "100", text: "https://shop.example/a https://shop.example/b", shorten_urls: true, on: {sent: wait}}
  wait: {type: wait_for_event, event: link_clicked, where: 'event.url == "https://shop.example/b"', timeout: 1d, on: {happened: over}}
  over: {type: transfer_to_flow, flow: care, entry: api}
`)
	st.Others = []*flowengine.Version{read("flow: care\nentries: [{id: api, type: flow_api, next: t}]\nelements: {t: {type: add_tag, tag: care}}\n")}
	play := func(steps string) (string, error) {
		s, err := Parse("s.yaml", []byte("steps: "+steps))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Run(s, st)
		return told(p), err
	}
	text, err := play(`[{start: api}, {click: 1}, {wait: 1h, click: 2}]`)
	if err != nil || !strings.HasSuffix(text, ": +care\n") || !strings.Contains(text, "follows the link to https://shop.example/b") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, _ = play(`[{start: api}, {click: 1}]`); strings.Contains(text, "+care") {
		t.Errorf("the other link:\n%s", text)
	}
	if _, err = play(`[{start: api}, {click: 3}]`); err == nil || !strings.Contains(err.Error(), "has 2 short links") {
		t.Errorf("a link that is not there: %v", err)
	}
	st.Others = append(st.Others, st.Others[0])
	if _, err = play(`[{start: api}]`); err == nil || !strings.Contains(err.Error(), `two flows "care"`) {
		t.Errorf("a flow twice: %v", err)
	}
}
