package flowengine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/configs/strict"
)

func broadcastSchema(t *testing.T) *Schema {
	t.Helper()
	schema, err := NewSchema(Attribute{Name: "shoeSize", Type: Whole})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// B1: what is wrong with a broadcast is told with its place.
func TestBroadcastMistakes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nobody", "broadcast: a\nrecipients: {}\nmessage: {type: send_sms, text: Hi}\n", "a.yaml:2:1: nobody would get it"},
		{"no element that sends", "broadcast: a\nrecipients: {all: true}\nmessage: {type: pause}\n", `a.yaml:3:17: type: there is no message type "pause"; the types are send_sms, send_email, failover`},
		{"ports", "broadcast: a\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi, on: {sent: x}}\n", `a.yaml:3:37: message: unknown key "on"`},
		{"text", "broadcast: a\nrecipients: {all: true}\nmessage: {type: send_sms, text: \"{{ person.shoSize }}\"}\n", "a.yaml:3:33:"},
		{"person", "broadcast: a\nrecipients: {persons: [\"385911\", \"phone:\"]}\nmessage: {type: send_sms, text: Hi}\n", `a.yaml:2:34: "phone:" names nobody`},
		{"condition", "broadcast: a\nrecipients: {condition: {var: x, op: is, value: 1}}\nmessage: {type: send_sms, text: Hi}\n", "a.yaml:2:14: the condition can only look at the person"},
		{"zone", "broadcast: a\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi}\ntimezone: Zagreb\n", `a.yaml:4:11: "Zagreb" is not a time zone`},
		{"start", "broadcast: a\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi}\nstart_at: \"09:00\"\n", "a.yaml:4:11: a date is expected"},
		{"id", "broadcast: A b\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi}\n", "a.yaml:1:12:"},
		{"failover", "broadcast: a\nrecipients: {all: true}\nmessage: {type: failover, channels: [{text: Hi}, {text: \"{{ x }}\"}]}\n", "a.yaml:3:57:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseBroadcast("a.yaml", []byte(c.text), broadcastSchema(t), nil)
			var errs strict.Errors
			if !errors.As(err, &errs) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// B1: the stored definition makes the same broadcast again.
func TestBroadcastIsReadAgain(t *testing.T) {
	const text = `
broadcast: sale
recipients: {tags: vip, persons: ["385911"]}
exclude_tag: [served, gone]
message: {type: send_sms, from: Shop, text: "Hi", window: {from: "09:00", to: "20:00"}}
start_at: 2026-12-24 09:00
timezone: Europe/Zagreb
approval: required
`
	b, err := ParseBroadcast("a.yaml", []byte(text), broadcastSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseBroadcast("a.json", b.Version.Canonical, broadcastSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Version.Hash != b.Version.Hash || again.ID != "sale" || !again.Approval || !again.Selects || !slices.Equal(again.Persons, b.Persons) {
		t.Errorf("%+v", again)
	}
	if want := time.Date(2026, 12, 24, 8, 0, 0, 0, time.UTC); !again.StartAt.Equal(want) {
		t.Errorf("starts at %v, not %v", again.StartAt, want)
	}
}

// B1: whoever one of the keys names gets it once, and nobody who is left out.
func TestBroadcastChooses(t *testing.T) {
	const text = `
broadcast: sale
recipients: {tags: [vip, gold], condition: {attr: shoeSize, op: gte, value: 44}}
exclude_tag: served
message: {type: send_sms, from: Shop, text: "Hi"}
`
	b, err := ParseBroadcast("a.yaml", []byte(text), broadcastSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	f := &Flow{ID: b.Version.Flow, State: Active, Launched: now, Newest: b.Version, Versions: []*Version{b.Version}}
	set, _, err := NewSet(broadcastSchema(t), nil, []*Flow{f})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		tags  []string
		size  int64
		named bool
		sends int
	}{
		{"neither", nil, 40, false, 0},
		{"tag", []string{"VIP"}, 0, false, 1},
		{"both tags and the condition", []string{"vip", "gold"}, 45, false, 1},
		{"condition", nil, 44, false, 1},
		{"named", nil, 0, true, 1},
		{"left out", []string{"vip", "served"}, 45, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &Person{ID: NewPersonID(Address{Phone, "385911"}, 0), Addresses: []Address{{Phone, "385911"}}}
			for _, tag := range c.tags {
				p.AddTag(NewTag(tag))
			}
			if c.size > 0 {
				p.Attrs.Set("shoeSize", WholeValue(c.size))
			}
			ps := new(Passages)
			sends := 0
			for range 2 { // a page that is gone through again
				sends += len(set.Step(p, ps, &Muster{Flow: f.ID, Entry: BroadcastEntry, Named: c.named}, now).Sends)
			}
			if sends != c.sends {
				t.Errorf("%d sends, not %d", sends, c.sends)
			}
			if got := len(ps.Runs); got != c.sends {
				t.Errorf("%d runs wait for the carrier, not %d", got, c.sends)
			}
		})
	}
}

// What is remembered of broadcasts that are over goes with the next one.
func TestBroadcastsAreForgotten(t *testing.T) {
	b, err := ParseBroadcast("a.yaml", []byte("broadcast: two\nrecipients: {all: true}\nmessage: {type: send_sms, from: Shop, text: Hi}\n"), broadcastSchema(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	set, _, err := NewSet(broadcastSchema(t), nil, []*Flow{{ID: b.Version.Flow, State: Active, Launched: now, Newest: b.Version, Versions: []*Version{b.Version}}})
	if err != nil {
		t.Fatal(err)
	}
	p := &Person{ID: NewPersonID(Address{Phone, "385911"}, 0), Addresses: []Address{{Phone, "385911"}}}
	ps := new(Passages)
	for _, flow := range []string{"broadcast/one", "offer", "zero"} {
		ps.Membership(flow).Entries = 1
	}
	set.Step(p, ps, &Muster{Flow: b.Version.Flow, Entry: BroadcastEntry}, now)
	var got []string
	for _, m := range ps.Flows {
		got = append(got, m.Flow)
	}
	if want := []string{"broadcast/two", "offer", "zero"}; !slices.Equal(got, want) {
		t.Errorf("remembers %v, not %v", got, want)
	}
}

func FuzzParseBroadcast(f *testing.F) {
	f.Add("broadcast: a\nrecipients: {all: true}\nmessage: {type: send_sms, text: Hi}\n")
	f.Add("broadcast: a\nrecipients: {tags: x, persons: ['1'], lists: [a.txt]}\nexclude_tag: [y]\nmessage: {type: failover, channels: [{text: Hi}, {text: Ho}]}\nstart_at: 2026-12-24 09:00\n")
	schema, err := NewSchema()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBroadcast("a.yaml", []byte(text), schema, nil)
		if err != nil {
			return
		}
		again, err := ParseBroadcast("a.json", b.Version.Canonical, schema, nil)
		if err != nil || again.Version.Hash != b.Version.Hash {
			t.Fatalf("%v\n%s\n%s", err, text, b.Version.Canonical)
		}
	})
}
