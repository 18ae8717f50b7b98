package simulate

import "fmt"

// options are what a flow file says of an element or entry point.
type options map[string]any

// elementKind is how flows of the simulation use a type of element. Adding a
// type is adding a line to elementKinds; a test fails while one is missing.
type elementKind struct {
	name  string
	ports []string
	// write fills in the options besides `on`. Of branches it says all but where
	// they lead.
	write func(g *generator, o options)
}

var elementKinds = []elementKind{
	{"send_sms", []string{"sent", "failed", "not_sent", "render_error"}, (*generator).message},
	{"call_api", []string{"success", "failure"}, func(_ *generator, o options) { o["url"], o["json"] = "https://api.example.com/", options{"a": 1} }},
	{"failover", []string{"delivered", "failed"}, (*generator).failover},
	{"evaluate_inbound_message", []string{"timeout", "no_match"}, (*generator).answer},
	{"wait_for_event", []string{"happened", "timeout"}, func(g *generator, o options) { o["event"] = pick(g.rng, events); g.timeout(o) }},
	{"wait_for_date", []string{"done", "passed"}, func(g *generator, o options) {
		o["date"], o["at"] = g.now.AddDate(0, 0, g.rng.IntN(10)).Format("2006-01-02"), pick(g.rng, timesOfDay)
	}},
	{"pause", []string{"done"}, (*generator).pause},
	{"update_person", []string{"done", "invalid"}, func(g *generator, o options) {
		o["set"] = pick(g.rng, []options{{"shoeSize": 40 + g.rng.IntN(6)}, {"shoeSize": nil}, {"firstName": "Ana"}, {"shoeSize": "${inbound.number}"}})
	}},
	{"update_variable", []string{"done", "invalid"}, func(g *generator, o options) { o["set"] = options{"n": g.rng.IntN(3)} }},
	{"add_to_do_not_contact", []string{"done"}, nothing},
	{"remove_from_do_not_contact", []string{"done"}, nothing},
	{"segment", []string{"else"}, func(g *generator, o options) {
		o["branches"] = []options{{"when": g.condition()}, {"when": g.condition()}}
	}},
	{"wait_for_change", []string{"met", "timeout"}, func(g *generator, o options) { o["condition"] = g.condition(); g.timeout(o) }},
	{"add_tag", []string{"done"}, func(g *generator, o options) { o["tag"] = pick(g.rng, tags) }},
	{"remove_tag", []string{"done"}, func(g *generator, o options) { o["tag"] = pick(g.rng, tags) }},
	{"split_audience", nil, (*generator).split},
	{"notify", []string{"done"}, func(_ *generator, o options) {
		o["to"], o["text"] = []string{"https://team.example.com/"}, "somebody came by"
	}},
	{"transfer_to_flow", []string{"done", "refused"}, func(_ *generator, o options) { o["flow"] = "flow-0" }},
	{"start_broadcast", []string{"done", "refused"}, func(g *generator, o options) { o["broadcast"] = pick(g.rng, prepared) }},
	{"exit", nil, nothing},
}

// notSimulated are the types that do not take part, and why.
var notSimulated = map[string]string{
	"inbound_call":   noCalls,
	"send_email":     "nobody in these worlds has a mail address; it sends through the same outbox as send_sms",
	"start_call":     noCalls,
	"send_voice":     noCalls,
	"answer":         noCalls,
	"play":           noCalls,
	"say":            noCalls,
	"collect":        noCalls,
	"menu":           noCalls,
	"record":         noCalls,
	"forward_call":   noCalls,
	"detect_machine": noCalls,
	"hang_up":        noCalls,
	"go_to":          "it must lead somewhere, and ports of the simulation need not",
}

// noCalls is why what needs a call takes no part: the scripts of flowengine, the
// laws of package ivr and the restarts of the runtime's tests play calls.
const noCalls = "nobody holds calls"

// triggerKinds is the same for entry points.
var triggerKinds = []struct {
	name  string
	write func(g *generator, o options)
}{
	{"inbound_message", (*generator).keyword},
	{"people_event", (*generator).event},
	{"audience", func(g *generator, o options) {
		o["condition"] = g.condition()
		if o["update"] = "never"; g.one(2) || g.flow.settings["indefinite"] == true {
			o["update"] = "real_time"
		}
	}},
	{"profile_change", func(g *generator, o options) {
		o["condition"] = g.condition()
		if g.one(3) {
			o["condition"] = options{"attr": "birthDate", "op": "is_today"}
		}
	}},
	{"flow_api", nothing},
}

// What persons and flows of the simulation talk about.
var (
	events     = []string{"Bought", "Visited", "Left"}
	tags       = []string{"vip", "gold", "lost"}
	keywords   = []string{"start", "info", "go", "yes", "no"}
	timesOfDay = []string{"02:30", "09:00", "23:59"} // the first is skipped once a year, and repeated
	zones      = []string{"UTC", "Europe/Zagreb", "America/New_York", "Australia/Lord_Howe"}
	prepared   = []string{"sale-1", "sale-2", "sale-3", "sale-4"} // broadcasts
	stretches  = []string{"1s", "30s", "5m", "1h", "26h", "7d"}
)

func nothing(*generator, options) {}

func (g *generator) message(o options) {
	o["text"], o["from"] = fmt.Sprintf("hello from %s", g.flow.id), pick(g.rng, numbers)
	if g.one(6) {
		o["text"] = "hello {{ person.firstName }}"
	}
	if g.one(4) {
		o["category"] = "marketing"
	}
	if g.one(6) {
		o["window"] = options{"from": "09:00", "to": "20:00"}
	}
	if g.one(6) {
		o["validity"] = pick(g.rng, []string{"1m", "1h"})
	}
}

func (g *generator) failover(o options) {
	channels := make([]options, 2+g.rng.IntN(2))
	for i := range channels {
		channels[i] = options{"wait": pick(g.rng, []string{"1m", "1h", "30h"})}
		g.message(channels[i])
	}
	o["channels"], o["until"] = channels, pick(g.rng, []string{"delivered", "accepted"})
}

func (g *generator) answer(o options) {
	branches := []options{{"match": g.words()}, {"match": g.words(), "mode": "first_word"}}
	if g.one(2) {
		branches = append(branches, options{"match": "any"})
	}
	o["branches"] = branches
	if g.one(2) {
		o["number"] = pick(g.rng, numbers)
	}
	g.timeout(o)
}

func (g *generator) words() []string {
	return []string{pick(g.rng, keywords), pick(g.rng, keywords) + " now"}
}

func (g *generator) timeout(o options) {
	if !g.one(4) {
		o["timeout"] = pick(g.rng, stretches)
	}
}

func (g *generator) pause(o options) {
	if g.one(3) {
		o["until"] = pick(g.rng, timesOfDay)
		return
	}
	o["for"] = pick(g.rng, stretches)
}

func (g *generator) split(o options) {
	o["branches"] = pick(g.rng, [][]options{
		{{"share": 50}, {"share": 50}},
		{{"share": 33.33}, {"share": 33.33}, {"share": 33.34}},
		{{"share": 0.01}, {"share": 99.99}},
	})
	if g.one(4) {
		o["assign"] = "per_entry"
	}
}

func (g *generator) condition() options {
	leaf := func() options {
		return pick(g.rng, []options{
			{"tag": pick(g.rng, tags), "op": "has"},
			{"tag": pick(g.rng, tags), "op": "has_not"},
			{"attr": "shoeSize", "op": "gte", "value": 40 + g.rng.IntN(6)},
			{"attr": "firstName", "op": "is_not_empty"},
			{"event": pick(g.rng, events), "op": "happened", "within": "1d"},
		})
	}
	if g.one(4) {
		return options{pick(g.rng, []string{"all", "any"}): []options{leaf(), leaf()}}
	}
	return leaf()
}

func (g *generator) keyword(o options) {
	o["keywords"], o["match"] = []string{pick(g.rng, keywords)}, pick(g.rng, []string{"whole", "first_word", "first_word"})
	if g.one(5) {
		o["keywords"] = "any"
		delete(o, "match")
	}
	if !g.one(3) {
		o["number"] = pick(g.rng, numbers)
	}
	if g.one(4) {
		o["fallthrough"] = true
	}
	if g.one(6) {
		o["interrupts"] = true
	}
	if g.one(6) {
		o["priority"] = g.rng.IntN(5)
	}
}

func (g *generator) event(o options) {
	several := func() []options {
		return []options{{"event": pick(g.rng, events)}, {"event": pick(g.rng, events)}}
	}
	switch g.rng.IntN(4) {
	case 0:
		o["all_of"], o["within"] = several(), "1h"
	case 1:
		o["sequence"], o["within"] = several(), "1h"
	default:
		o["event"] = pick(g.rng, events)
	}
}
