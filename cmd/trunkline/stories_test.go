package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/httpapi"
	"trunkline/gateway/smpp/pdu"
)

// What Trunkline is bought for, with the real daemon: a carrier, a shop's system
// that posts to the API, and an operator who reloads (E4, E10, E11, E12, G2, X7, A1).
func TestStories(t *testing.T) {
	t.Parallel()
	key, hash := httpapi.NewKey()
	s := newSite(t, map[string]string{
		"trunkline.yaml": `data: data
admin: {listen: ""}
smpp: {listen: [{address: "127.0.0.1:0"}]}
storage: {reserve_mib: 16}
people: {attributes: [{name: shoeSize, type: whole_number}]}
numbers: [{number: "38591000001", duplicate_window: 0s}]
api:
  listen: "127.0.0.1:0"
  secret: sixteen letters or more
  keys: [{name: shop, hash: "` + hash + `", scopes: [admin]}]
`,
		"carriers/demo.yaml": small["carriers/demo.yaml"],
		"flows/shoe.yaml": `flow: shoe
entries: [{id: keyword, type: inbound_message, number: "38591000001", keywords: [start], next: ask}]
elements:
  ask: {type: send_sms, text: "Shoe size?", on: {sent: wait}}
  wait: {type: evaluate_inbound_message, timeout: 24h, branches: [{match: any, next: save}]}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: thanks, invalid: ask}}
  thanks: {type: send_sms, text: "Size {{ person.shoeSize }}, noted."}
`,
		"flows/birthday.yaml": `flow: birthday
entries: [{id: today, type: profile_change, condition: {attr: birthDate, op: is_today}, next: wish}]
elements: {wish: {type: send_sms, from: "38591000001", text: "Happy birthday, {{ person.firstName }}!"}}
settings: {indefinite: true}
`,
		"flows/cart.yaml": `flow: cart
entries: [{id: left, type: people_event, event: CartUpdated, next: wait}]
elements:
  wait: {type: wait_for_event, event: PurchaseFinished, timeout: 3s, on: {timeout: remind}}
  remind: {type: send_sms, from: "38591000001", text: "Your cart waits for you."}
`,
		"flows/welcome.yaml": `flow: welcome
entries: [{id: shop, type: flow_api, next: hi}]
elements: {hi: {type: send_sms, from: "38591000001", text: "Welcome, {{ vars.name }}!"}}
`,
		"flows/often.yaml": `flow: often
entries: [{id: ping, type: people_event, event: Ping, next: pong}]
elements: {pong: {type: exit}}
settings: {entry_limits: [{max: 1, per: 1h}, {max: 24, per: 1d}]}
`,
	})
	g := s.start()
	l := bindTo(t, g.smpp, "demo", "demo")
	heard := func() string {
		t.Helper()
		m := l.message(pdu.IDDeliverSM, "")
		return string(m.Dest.Addr) + ": " + string(m.ShortMessage)
	}
	hears := func(want string) {
		t.Helper()
		if got := heard(); got != want {
			t.Fatalf("%q came, not %q", got, want)
		}
	}
	const ana, boris, eva = "385911000001", "385911000002", "385911000003"
	writes := func(text string) {
		t.Helper()
		if f := l.request(pdu.IDSubmitSM, keywordFrom(ana, text)); f.Status != pdu.ESME_ROK {
			t.Fatalf("%q was answered with %s", text, f.Status)
		}
	}
	happens := func(phone, event string, properties ...string) {
		t.Helper()
		s.must(append([]string{"event", "send", "--create", "--person", phone, event}, properties...)...)
	}

	// The shoe size, asked again until it is one.
	writes("START")
	hears(ana + ": Shoe size?")
	writes("big")
	hears(ana + ": Shoe size?")
	writes("43")
	hears(ana + ": Size 43, noted.")
	if got := s.person(ana).Attributes["shoeSize"]; fmt.Sprint(got) != "43" {
		t.Errorf("the shoe size is %v", got)
	}
	asked := s.person(ana).History
	at := slices.IndexFunc(asked, func(h httpapi.Line) bool { return h.Message != "" })
	if out := s.must("message", "show", asked[at].Message); !strings.Contains(out, "shoe/ask, version 1, entry 1") || !strings.Contains(out, "the carrier took 1 part") {
		t.Errorf("message show: %s", out)
	}

	// Happy birthday.
	today := time.Now().UTC().Format("01-02")
	s.must("person", "set", ana, "firstName=Ana", "birthDate=1992-"+today)
	hears(ana + ": Happy birthday, Ana!")

	// A cart that is paid for, and one that is left behind.
	happens(boris, "CartUpdated", "total=20")
	happens(boris, "PurchaseFinished", "total=20")
	happens(ana, "CartUpdated", "total=10")
	hears(ana + ": Your cart waits for you.")
	if n := s.flow("cart").element("remind").Total; n != 1 {
		t.Errorf("%d were reminded", n)
	}

	// Welcome, by the Flow API.
	code, out := g.ask(key, "POST", "/v1/flows/welcome/entries/shop/participants", map[string]any{
		"participants": []any{map[string]any{"identifyBy": map[string]any{"type": "PHONE", "identifier": eva}, "variables": map[string]any{"name": "Eva"}}},
	})
	if code != 202 {
		t.Fatalf("the Flow API answered %d: %v", code, out)
	}
	hears(eva + ": Welcome, Eva!")

	// A goal that is set after the launch counts what happened before it was set.
	happens(eva, "PurchaseFinished", "total=30")
	s.edit("flows/welcome.yaml", "elements:", "goals: [{id: bought, event: PurchaseFinished}]\nelements:")
	s.must("reload")
	eventually(t, "the goal has counted back", func() bool {
		var days []reportView
		s.decode(s.must("report", "--flow", "welcome", "--json"), &days)
		return len(days) == 1 && slices.ContainsFunc(days[0].Goals, func(g reportGoal) bool { return g.Goal == "bought" && g.Reached == 1 && g.Converted == 1 })
	})

	// One entry an hour.
	happens(boris, "Ping")
	happens(boris, "Ping")
	if f := s.flow("often"); f.Entered != 1 || f.Refused["entry_limit"] != 1 {
		t.Errorf("often: entered %d, refused %v", f.Entered, f.Refused)
	}
	if !strings.Contains(s.must("report"), "remind") {
		t.Error("the report lacks the reminder")
	}
	g.stop()
}
