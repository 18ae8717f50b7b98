package flowengine

import (
	"fmt"
	"strings"
	"testing"
)

// told is a graph as lines of text.
func told(g *Graph) string {
	var b strings.Builder
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "%s %s\n", n.Kind, strings.TrimSpace(n.ID+" "+n.Type+" "+strings.Join(n.Lines, " / ")))
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "%s → %s %s\n", e.From, e.To, e.Label)
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

// TestGraph: what leads where, and what is said of it.
func TestGraph(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{
			name: "usual ways that end the run are drawn, others are not",
			file: `
flow: f
entries: [{id: e, type: inbound_message, number: "100", keywords: [start, go], match: first_word, next: ask}]
elements:
  ask: {type: send_sms, text: "Size?", on: {sent: wait}}
  wait:
    type: evaluate_inbound_message
    timeout: 90m
    branches: [{match: "no"}, {match: any, next: ask}]
  bye: {type: exit}`,
			want: `
entry entry:e inbound_message start, go … to 100
send element:ask send_sms “Size?”
wait element:wait evaluate_inbound_message
end end:wait
end element:bye exit
entry:e → element:ask
element:ask → element:wait sent
element:wait → end:wait no
element:wait → element:ask any message
element:wait → end:wait after 1h30m`,
		},
		{
			name: "shares and conditions",
			file: `
flow: f
entries:
  - {id: ev, type: people_event, all_of: [{event: Bought, where: "event.total > 5"}, {event: Paid}], within: 2d, next: half}
  - {id: ch, type: profile_change, condition: {not: {attr: shoeSize, op: is_empty}}, next: half}
  - {id: all, type: audience, condition: {any: [{tags: [a, b], op: has_any}, {all: [{tag: c}, {attr: firstName, op: is, value: Ana}]}]}, next: half}
elements:
  half: {type: split_audience, assign: per_entry, branches: [{share: 33.34, next: cases}, {share: 66.66, next: nap}]}
  nap: {type: pause, until: "09:00", on: {done: cases}}
  cases:
    type: segment
    branches:
      - {when: {attr: shoeSize, op: between, value: [40, 44]}, next: mark}
      - {when: {event: Visited, op: happened, within: 7d, count: {op: gte, value: 3}, where: {prop: page, op: is, value: shoes}}, next: note}
      - {when: {var: n, op: lt, value: 2}, next: day}
      - {when: {contact: sms, op: is_empty}, next: day}
      - {when: {expr: "person.shoeSize > 3"}, next: cases2}
    on: {else: note}
  cases2: {type: wait_for_change, condition: {tag: vip, op: has_not}, timeout: 1d, on: {met: mark}}
  mark: {type: add_tag, tag: vip}
  note: {type: update_variable, set: {n: "${vars.n + 1}", x: null, y: 2}, on: {done: hang}}
  hang: {type: wait_for_event, event: Came, on: {timeout: mark}}
  day: {type: wait_for_date, date: "${person.birthDate}", before: 2d, at: "09:00", on: {done: block}}
  block: {type: add_to_do_not_contact}`,
			want: `
entry entry:ev people_event Bought where event.total > 5 and Paid within 2d
entry entry:ch profile_change not (shoeSize is empty)
entry entry:all audience has any of tags a, b or (has tag c and firstName = Ana)
branch element:half split_audience drawn anew at every entry
branch element:cases segment
wait element:nap pause until 09:00
change element:note update_variable n = vars.n + 1 / x = nothing / y = 2
change element:mark add_tag vip
end end:mark
wait element:day wait_for_date 2d before ${person.birthDate} at 09:00
wait element:cases2 wait_for_change has not tag vip
end end:cases2
wait element:hang wait_for_event Came
end end:hang
change element:block add_to_do_not_contact sms
end end:block
entry:ev → element:half
entry:ch → element:half
entry:all → element:half
element:half → element:cases 33.34 %
element:half → element:nap 66.66 %
element:cases → element:mark shoeSize between 40, 44
element:cases → element:note Visited happened ≥ 3 times within 7d where event.page = shoes
element:cases → element:day vars.n < 2
element:cases → element:day last sms is empty
element:cases → element:cases2 person.shoeSize > 3
element:cases → element:note else
element:nap → element:cases done
element:note → element:hang done
element:mark → end:mark done
element:day → element:block done
element:cases2 → element:mark met
element:cases2 → end:cases2 after 1d
element:hang → end:hang happened
element:hang → element:mark timeout
element:block → end:block done`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, err := ParseFlow("f.yaml", []byte(c.file), testSchema(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(v.Graph()); got != strings.TrimPrefix(c.want, "\n")+"\n" {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
		})
	}
}
