package simulation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/keyword"
)

// Stage is what a play takes place on.
type Stage struct {
	Flow    *flowengine.Version
	Schema  *flowengine.Schema
	Numbers []*flowengine.Number
	// Others are flows that run beside it, such as one that it transfers people to.
	Others []*flowengine.Version
	Policy *flowengine.Policy // nil: nothing is capped, no hour is quiet, nobody is held out
	// Mailing says as whom mail is sent; when it names nobody, somebody is made up.
	Mailing flowengine.Mailing
	// Seed makes other people of the same phone numbers: splits send them other
	// ways. With 0 they are those whom a daemon would make.
	Seed uint64
	// Parts counts the parts of a text, as the carrier would; nil: always 1.
	Parts func(text string) int
}

// Turn is one cause with all that follows from it at once.
type Turn struct {
	At       time.Time
	Person   string // phone number
	Cause    string // in words
	Outcome  string // of a message or a start; see flowengine.Result
	Refused  string
	Happened []flowengine.Event
	Sends    []flowengine.Send // in the order of the Queued events
	Calls    []string          // what then goes on on the call, in words
	Waits    []time.Time       // deadlines that were set

	onCall bool // something happened on a call, of which the flow has not heard
}

// Play is what became of a script.
type Play struct {
	Begin, End time.Time
	Turns      []Turn
	People     []Player // in the order in which they appeared
	Unanswered int      // messages that nobody accepted or refused
}

// Player is a person, and what flows remember.
type Player struct {
	Person   flowengine.Person
	Passages flowengine.Passages

	phone  string
	events []flowengine.Happened
	latest flowengine.Send
}

// Phone is the number by which scripts call the person.
func (p *Player) Phone() string { return p.phone }

const defaultPhone = "385911234567"

// linkBase is what short links begin with in plays.
const linkBase = "https://l.example"

// Run plays the script. The error names the step that cannot be played; what was
// played before it is in the Play.
func Run(s *Script, stage Stage) (*Play, error) {
	d := &director{script: s, stage: stage, play: new(Play)}
	if err := d.open(); err != nil {
		return d.play, err
	}
	for i := range s.Steps {
		if err := d.step(&s.Steps[i]); err != nil {
			return d.close(), fmt.Errorf("steps[%d]: %w", i, err)
		}
	}
	return d.close(), nil
}

// director is the state of a play.
type director struct {
	script *Script
	stage  Stage
	set    *flowengine.Set
	number string
	now    time.Time
	play   *Play
	people []*Player
	agenda []due
	unsent []due // messages without an answer, oldest first; with auto: none
	daily  []*routine
	lines  []*line
	nth    int
}

// due is something that is going to happen to somebody.
type due struct {
	at     time.Time
	player *Player
	timer  *flowengine.Deadline
	send   *flowengine.Send
	line   *lineEvent
}

// routine is an entry point that is looked at once a day.
type routine struct {
	entry string
	at    flowengine.Moment
	next  time.Time
}

// mailing is as whom mail is sent: as it is configured, or under the names that the
// flow gives.
func (d *director) mailing() flowengine.Mailing {
	if d.stage.Mailing.Enabled() {
		return d.stage.Mailing
	}
	m := flowengine.Mailing{Identities: []flowengine.Identity{{Address: "sender@example.com"}}}
	for _, use := range d.stage.Flow.Mailing() {
		m.Identities = append(m.Identities, flowengine.Identity{ID: use.Identity, Address: "sender@example.com"})
	}
	return m
}

func (d *director) open() error {
	v := d.stage.Flow
	d.now = d.beginning()
	d.play.Begin = d.now
	var flows []*flowengine.Flow
	for _, v := range append([]*flowengine.Version{v}, d.stage.Others...) {
		if slices.ContainsFunc(flows, func(f *flowengine.Flow) bool { return f.ID == v.Flow }) {
			return fmt.Errorf("there are two flows %q", v.Flow)
		}
		v.Ordinal = max(v.Ordinal, 1)
		flows = append(flows, &flowengine.Flow{ID: v.Flow, State: flowengine.Active, Launched: d.now, Newest: v, Versions: []*flowengine.Version{v}})
	}
	var err error
	if d.set, _, err = flowengine.NewSet(d.stage.Schema, d.stage.Numbers, flows); err != nil {
		return err
	}
	d.set.WithPolicy(d.stage.Policy).WithMailing(d.mailing()).WithLinks(flowengine.Links{Base: linkBase, TTL: flowengine.DefaultLinkTTL, Secret: []byte("simulation")})
	d.number = d.usualNumber()
	for _, e := range v.Entries {
		if t, ok := e.Trigger.(*flowengine.ProfileChange); ok {
			if at, daily := t.Daily(); daily {
				d.daily = append(d.daily, &routine{e.ID, at, at.After(d.now, v.Settings.Zone())})
			}
		}
	}
	for i := range d.script.People {
		if err := d.cast(&d.script.People[i]); err != nil {
			return fmt.Errorf("people[%d]: %w", i, err)
		}
	}
	return nil
}

func (d *director) beginning() time.Time {
	settings := &d.stage.Flow.Settings
	usual := time.Date(2026, 1, 5, 9, 0, 0, 0, settings.Zone())
	switch {
	case !d.script.Begin.IsZero():
		return d.script.Begin.After(usual.Add(-time.Minute), settings.Zone()).UTC()
	case settings.Start().After(usual):
		return settings.Start().UTC()
	}
	return usual.UTC()
}

// usualNumber is the number that people write to when the script does not say.
func (d *director) usualNumber() string {
	if d.script.Number != "" {
		return keyword.Number(d.script.Number)
	}
	for _, e := range d.stage.Flow.Entries {
		if t, ok := e.Trigger.(*flowengine.InboundMessage); ok && t.Number != "" {
			return keyword.Number(t.Number)
		}
	}
	if len(d.stage.Numbers) > 0 {
		return d.stage.Numbers[0].Value
	}
	return "100"
}

// cast makes a person with what is known from the beginning.
func (d *director) cast(p *Persona) error {
	player := d.player(p.Phone)
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		v, err := d.stage.Schema.Coerce(name, p.Attributes[name].value)
		if err != nil {
			return err
		}
		player.Person.Attrs.Set(name, v)
	}
	for _, tag := range p.Tags {
		player.Person.AddTag(flowengine.NewTag(tag))
	}
	return nil
}

// player finds a person by phone number, or makes one.
func (d *director) player(phone string) *Player {
	phone = keyword.Number(phone)
	for _, p := range d.people {
		if p.phone == phone {
			return p
		}
	}
	a := flowengine.Address{Kind: flowengine.Phone, Value: phone}
	p := &Player{phone: phone, Person: flowengine.Person{ID: flowengine.NewPersonID(a, d.stage.Seed), Created: d.now, Addresses: []flowengine.Address{a}}}
	d.people = append(d.people, p)
	return p
}

func (d *director) meant(s *Step) *Player {
	switch {
	case s.Person != "":
		return d.player(s.Person)
	case len(d.people) > 0:
		return d.people[0]
	}
	return d.player(defaultPhone)
}

func (d *director) step(s *Step) error {
	target := d.now.Add(s.Wait)
	if s.At.given {
		if target = d.play.Begin.Add(s.At.since); target.Before(d.now) {
			return fmt.Errorf("it is +%s already; time does not go back", d.now.Sub(d.play.Begin))
		}
	}
	if target.Sub(d.play.Begin) > maxSpan {
		return errors.New("a play lasts three years at most")
	}
	if err := d.pass(target); err != nil {
		return err
	}
	if err := d.act(s); err != nil {
		return err
	}
	return d.pass(d.now) // what the carrier answers at once
}

// act lets what a step says happen.
func (d *director) act(s *Step) error {
	p := d.meant(s)
	switch {
	case s.In != nil:
		d.nth++
		to := d.number
		if s.To != "" {
			to = keyword.Number(s.To)
		}
		in := &flowengine.Inbound{ID: "m" + strconv.Itoa(d.nth), Channel: "sms", Carrier: "simulated", From: p.Person.Addresses[0], To: to, Text: *s.In, At: d.now}
		if _, _, mail := keyword.CutMailbox(to); mail {
			in.Channel, in.Subject = "email", s.Subject
			in.From = flowengine.Address{Kind: flowengine.Email, Value: p.Person.Addresses[0].Value + "@simulated.invalid"}
		}
		return d.cause(p, in, fmt.Sprintf("writes %q to %s", *s.In, to))
	case s.Event != "":
		e := &flowengine.Happened{Name: s.Event, At: d.now}
		words, err := variables(&e.Props, s.Properties)
		if err != nil {
			return err
		}
		return d.cause(p, e, strings.TrimSpace("has the event "+s.Event+" "+words))
	case s.Start != "":
		return d.start(p, s)
	case s.Accept != nil:
		return d.answer(p, s)
	case s.Report != "":
		m := &p.latest
		if m.ID == "" {
			return fmt.Errorf("nothing was sent to %s yet that could be reported", p.phone)
		}
		delivered := s.Report == "delivered"
		return d.cause(p, &flowengine.Report{ID: m.ID, Origin: m.Origin, Carrier: "simulated", State: s.Report, Delivered: delivered, Final: true}, "the carrier reports: "+s.Report)
	case s.Click > 0:
		return d.click(p, s.Click)
	case s.Change != nil:
		return d.change(p, s.Change)
	case s.onCall():
		return d.call(p, s)
	}
	return nil
}

// click follows a short link of the person's latest message. What has expired leads
// nowhere, and who follows it is not counted (rule U1).
func (d *director) click(p *Player, n int) error {
	m := &p.latest
	if n > len(m.Links) {
		return fmt.Errorf("the latest message to %s has %d short links; `shorten_urls: true` makes them", p.phone, len(m.Links))
	}
	l := &m.Links[n-1]
	switch {
	case !d.now.Before(l.Expires):
		return fmt.Errorf("the link to %s has expired", l.URL)
	case !l.Tracked:
		return fmt.Errorf("clicks of the link to %s are not tracked: `track_clicks: false`", l.URL)
	}
	return d.cause(p, &flowengine.Click{Link: l.Token, Message: m.ID, Origin: m.Origin, URL: l.URL, Data: m.Data, At: d.now}, "follows the link to "+l.URL)
}

// start lets a person in through an entry point that is named.
func (d *director) start(p *Player, s *Step) error {
	flow := d.stage.Flow
	var ids []string
	for _, e := range flow.Entries {
		ids = append(ids, e.ID)
		if e.ID != s.Start {
			continue
		}
		if _, ok := e.Trigger.(*flowengine.Audience); ok {
			return d.cause(p, &flowengine.Muster{Flow: flow.Flow, Entry: e.ID}, "is looked at for the audience "+e.ID)
		}
		c := &flowengine.Start{Flow: flow.Flow, Entry: e.ID}
		words, err := variables(&c.Vars, s.Vars)
		if err != nil {
			return err
		}
		return d.cause(p, c, strings.TrimSpace("is let in through "+e.ID+" "+words))
	}
	return fmt.Errorf("the flow has no entry point %q; it has %s", s.Start, strings.Join(ids, ", "))
}

// answer is what a carrier says to the person's oldest message without an answer.
func (d *director) answer(p *Player, s *Step) error {
	i := slices.IndexFunc(d.unsent, func(u due) bool { return u.player == p })
	if i < 0 {
		hint := ""
		if d.script.Auto {
			hint = "; with `auto: true`, which is the default, all are accepted by themselves"
		}
		return fmt.Errorf("every message to %s has its answer%s", p.phone, hint)
	}
	u := d.unsent[i]
	d.unsent = slices.Delete(d.unsent, i, i+1)
	r := d.result(u.send, *s.Accept)
	if !r.Accepted {
		r.Reason = s.Reason
		return d.cause(p, r, peer(u.send)+" refuses the message: "+s.Reason)
	}
	words, err := variables(&r.Vars, s.Vars)
	if err != nil {
		return err
	}
	return d.cause(p, r, strings.TrimSpace(accepts(u.send)+" "+words))
}

func (d *director) result(s *flowengine.Send, accepted bool) *flowengine.SendResult {
	r := &flowengine.SendResult{ID: s.ID, Origin: s.Origin, Carrier: "simulated", Accepted: accepted}
	if accepted {
		r.Parts = 1
		if d.stage.Parts != nil && s.Channel != flowengine.ChannelHTTP {
			r.Parts = uint8(min(max(d.stage.Parts(s.Text), 1), 255))
		}
	}
	return r
}

func peer(s *flowengine.Send) string {
	if s.Channel == flowengine.ChannelHTTP {
		return "the API"
	}
	return "the carrier"
}

func accepts(s *flowengine.Send) string {
	if s.Channel == flowengine.ChannelHTTP {
		return "the API answers"
	}
	return "the carrier takes the message"
}

func (d *director) change(p *Player, c *Change) error {
	change := &flowengine.Change{Source: "simulation"}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		v, err := d.stage.Schema.Coerce(name, c.Set[name].value)
		if err != nil {
			return err
		}
		change.Set = append(change.Set, flowengine.Attr{Name: name, Value: v})
		words = append(words, name+"="+v.String())
	}
	for _, tag := range c.Tags {
		words = append(words, tag)
		if name, ok := strings.CutPrefix(tag, "-"); ok {
			change.RemoveTags = append(change.RemoveTags, flowengine.NewTag(name))
		} else {
			change.AddTags = append(change.AddTags, flowengine.NewTag(strings.TrimPrefix(tag, "+")))
		}
	}
	return d.cause(p, change, "is changed: "+strings.Join(words, ", "))
}

// variables reads named constants by what they look like, and says them in words.
func variables(into *flowengine.Attrs, given map[string]Constant) (string, error) {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		v, err := infer(given[name].value)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		into.Set(name, v)
		words = append(words, name+"="+v.String())
	}
	return strings.Join(words, " "), nil
}

func infer(x any) (flowengine.Value, error) {
	switch x.(type) {
	case bool:
		return flowengine.Coerce(x, flowengine.Boolean)
	case int, int64:
		return flowengine.Coerce(x, flowengine.Whole)
	case float64:
		return flowengine.Coerce(x, flowengine.Decimal)
	case []any:
		return flowengine.Coerce(x, flowengine.List)
	}
	return flowengine.Coerce(x, flowengine.Text)
}
