package httpapi

import (
	"fmt"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// The API and the command line speak these plain forms, not the engine's own
// types: scripts may rely on them.

// Person is a profile.
type Person struct {
	ID           string         `json:"id" doc:"Id of the person."`
	Created      time.Time      `json:"created" doc:"When the person became known."`
	Addresses    []Address      `json:"addresses" nullable:"false" doc:"Addresses; the first of a kind is the preferred one."`
	Attributes   map[string]any `json:"attributes" doc:"Attributes by name. A decimal is a string, which keeps its digits."`
	Tags         []string       `json:"tags" nullable:"false" doc:"Tags."`
	Segments     []string       `json:"segments,omitempty" doc:"Segments that the person is in; not in lists."`
	DoNotContact []string       `json:"do_not_contact" nullable:"false" doc:"Kinds of addresses over which nothing is sent."`
	Runs         []Run          `json:"runs" nullable:"false" doc:"Where the person is in flows."`
	History      []Line         `json:"history" nullable:"false" doc:"The latest of what happened, oldest first."`
}

// Address is one way to reach, or to find, a person.
type Address struct {
	Kind  string `json:"kind" doc:"Kind: phone, email, external, push or chat."`
	Value string `json:"value" doc:"The address."`
}

// Run is one passage of a person through a flow.
type Run struct {
	Flow     string     `json:"flow" doc:"Id of the flow."`
	Version  uint32     `json:"version" doc:"Version to which the run is pinned."`
	Number   uint32     `json:"number" doc:"Number of the person's entry."`
	Entry    string     `json:"entry" doc:"Entry point."`
	Entered  time.Time  `json:"entered" doc:"When the person entered."`
	Element  string     `json:"element" doc:"Where the person waits."`
	Since    time.Time  `json:"since" doc:"Since when."`
	Deadline *time.Time `json:"deadline,omitempty" doc:"Until when at the latest."`
}

// Line is one thing that happened to a person.
type Line struct {
	At   time.Time `json:"at" doc:"When."`
	What string    `json:"what" doc:"What happened, in words."`
	// Message is the id of the message that the line is about.
	Message string `json:"message,omitempty" doc:"Id of the message that it is about; GET /v1/messages/{id} tells more."`
}

// ViewPerson makes the plain form of a profile.
func ViewPerson(p *runtime.Profile) *Person {
	v := &Person{
		ID: p.Person.ID.String(), Created: p.Person.Created, Addresses: []Address{}, Attributes: map[string]any{},
		Tags: []string{}, DoNotContact: []string{}, Runs: []Run{}, History: viewHistory(p.History, p.Person.ID),
		Segments: p.Person.Segments,
	}
	for _, a := range p.Person.Addresses {
		v.Addresses = append(v.Addresses, viewAddress(a))
	}
	for _, a := range p.Person.Attrs {
		v.Attributes[a.Name] = viewValue(a.Value)
	}
	for _, t := range p.Person.Tags {
		v.Tags = append(v.Tags, t.Name)
	}
	for _, k := range p.Person.DoNotContact {
		v.DoNotContact = append(v.DoNotContact, k.String())
	}
	for i := range p.Passages.Runs {
		v.Runs = append(v.Runs, viewRun(&p.Passages.Runs[i]))
	}
	return v
}

func viewRun(r *flowengine.Run) Run {
	return Run{Flow: r.Flow, Version: r.Version, Number: r.Number, Entry: r.Entry, Entered: r.Entered, Element: r.Element, Since: r.Since, Deadline: moment(r.Deadline)}
}

func viewAddress(a flowengine.Address) Address { return Address{a.Kind.String(), a.Value} }

func viewHistory(all []runtime.Happening, of flowengine.PersonID) []Line {
	lines := []Line{}
	for _, h := range all {
		for i := range h.Events {
			lines = append(lines, Line{h.At, happening(&h.Events[i]), h.Events[i].MessageID(of)})
		}
	}
	return lines
}

// viewValue gives numbers and booleans as such, and everything else as text.
// A decimal is text: JSON numbers lose digits.
func viewValue(v flowengine.Value) any {
	switch v.Type {
	case flowengine.Whole:
		return v.Num
	case flowengine.Boolean:
		return v.Num != 0
	case flowengine.List:
		return v.List()
	}
	return v.String()
}

// happening is one line of history in words.
func happening(e *flowengine.Event) string {
	at := e.Flow
	if e.Element != "" {
		at += "/" + e.Element
	}
	switch e.Kind {
	case flowengine.Entered:
		return fmt.Sprintf("entered %s through %s", e.Flow, e.Detail)
	case flowengine.Exited:
		return fmt.Sprintf("left %s: %s", e.Flow, e.Detail)
	case flowengine.Refused:
		return fmt.Sprintf("was refused by %s: %s", e.Flow, e.Detail)
	case flowengine.Engaged:
		return "reached " + at
	case flowengine.Departed:
		return fmt.Sprintf("went on from %s through %q", at, e.Detail)
	case flowengine.Queued:
		return strings.TrimSpace("a message was queued " + at)
	case flowengine.Accepted:
		return fmt.Sprintf("the carrier took %d part(s) of %s%s", e.Units, at, viewCharge(e))
	case flowengine.Failed:
		text := fmt.Sprintf("a message of %s was not sent: %s", at, e.Detail)
		if e.Units > 0 {
			text += fmt.Sprintf(", after %d part(s)%s", e.Units, viewCharge(e))
		}
		return text
	case flowengine.Reported:
		return fmt.Sprintf("a message of %s was %s", at, e.Detail)
	case flowengine.NotSent:
		return fmt.Sprintf("%s sent nothing: %s", at, e.Detail)
	case flowengine.Received:
		return "wrote a message: " + e.Detail
	case flowengine.Updated:
		return strings.TrimSpace(fmt.Sprintf("%s changed %s", at, e.Detail))
	case flowengine.Clicked:
		return fmt.Sprintf("followed a link of %s: %s", at, e.Detail)
	case flowengine.Billed:
		return fmt.Sprintf("a call of %s is over%s", at, viewCharge(e))
	case flowengine.Opened:
		return "opened a mail of " + at
	case flowengine.Unsubscribed:
		return "wants no more mail, after one of " + at
	case flowengine.Complained:
		return "calls a mail of " + at + " spam"
	case flowengine.Scanned:
		return fmt.Sprintf("a program looked at a mail of %s (%s)", at, e.Detail)
	case flowengine.Migrated:
		return fmt.Sprintf("went over from %s to v%d, at %s", e.Detail, e.Version, at)
	case flowengine.Observed:
		return "event " + e.Detail
	}
	return strings.TrimSpace(at + " " + e.Detail)
}

// Flow is a flow with its counters.
type Flow struct {
	ID         string            `json:"id" doc:"Id of the flow."`
	Name       string            `json:"name" doc:"Name for people."`
	State      string            `json:"state" doc:"draft, scheduled, active, paused, finishing, finished or cancelled."`
	Removed    bool              `json:"removed,omitempty" doc:"It is no longer configured."`
	Launched   time.Time         `json:"launched,omitzero" doc:"When it was launched, or will be when it is scheduled; missing for a draft."`
	Version    uint32            `json:"version" doc:"Newest version."`
	Published  time.Time         `json:"published" doc:"When that was published."`
	Inside     uint64            `json:"inside" doc:"Persons inside."`
	Entered    uint64            `json:"entered" doc:"Entries."`
	Exited     map[string]uint64 `json:"exited" doc:"Exits by reason."`
	Refused    map[string]uint64 `json:"refused" doc:"Refused entries by reason."`
	Sent       uint64            `json:"messages_sent" doc:"Parts of messages that carriers accepted."`
	Recipients uint64            `json:"recipients" doc:"Persons to whom at least one message was submitted."`
	Cost       Cost              `json:"cost" doc:"What the messages cost."`
	Elements   []Element         `json:"elements" nullable:"false" doc:"Counters of the elements."`
	Entries    []Entry           `json:"entries,omitempty" doc:"Entry points of type flow_api."`
}

// Element is the counters of an element.
type Element struct {
	ID        string `json:"id" doc:"Id of the element."`
	Retired   bool   `json:"retired,omitempty" doc:"Only older versions have it."`
	Total     uint64 `json:"total_engagements" doc:"Arrivals."`
	Unique    uint64 `json:"unique_users_engaged" doc:"Persons who ever reached it."`
	Sent      uint64 `json:"messages_sent" doc:"Parts of messages that carriers accepted."`
	Delivered uint64 `json:"delivered" doc:"Messages that were delivered."`
	Failed    uint64 `json:"failed" doc:"Messages that were not sent or not delivered."`
	Clicks    uint64 `json:"clicks" doc:"How often short links of the messages were followed."`
	Clickers  uint64 `json:"unique_clickers" doc:"Persons who ever followed one."`
	Cost      Cost   `json:"cost" doc:"What the messages cost."`
	// Mail is there where something was done with e-mails.
	Mail *MailCounts `json:"mail,omitempty" doc:"What was done with its e-mails."`
}

// MailCounts are the counters of an element's e-mails.
type MailCounts struct {
	Opens         uint64  `json:"opens" doc:"How often mails were opened by persons."`
	Openers       uint64  `json:"unique_openers" doc:"Persons who ever opened one."`
	OpenRate      float64 `json:"open_rate" doc:"Openers of the mails that were delivered, from 0 to 1."`
	ClickRate     float64 `json:"click_rate" doc:"Likewise of those who followed a link."`
	Unsubscribes  uint64  `json:"unsubscribes" doc:"How often persons wanted no more mail."`
	Unsubscribers uint64  `json:"unique_unsubscribers" doc:"How many persons."`
	Complaints    uint64  `json:"complaints" doc:"How often a mail was called spam."`
	Complainers   uint64  `json:"unique_complainers" doc:"By how many persons."`
	MachineOpens  uint64  `json:"machine_opens" doc:"Opens by programs, which load pictures ahead or look for malware; they are not among the others."`
	MachineClicks uint64  `json:"machine_clicks" doc:"Links followed by programs; likewise."`
}

// viewElement makes the plain form of an element's counters.
func viewElement(id string, retired bool, c runtime.Counts, cost Cost) Element {
	return Element{id, retired, c.Total, c.Unique, c.Sent, c.Delivered, c.Failed, c.Clicks, c.Clickers, cost, ViewMail(&c)}
}

// ViewMail makes the plain form of the counters of e-mails; nil when there are none.
func ViewMail(c *runtime.Counts) *MailCounts {
	m := MailCounts{
		Opens: c.Opens, Openers: c.Openers, Unsubscribes: c.Unsubscribes, Unsubscribers: c.Unsubscribers, Complaints: c.Complaints, Complainers: c.Complainers,
		MachineOpens: c.MachineOpens, MachineClicks: c.MachineClicks,
	}
	if m == (MailCounts{}) {
		return nil
	}
	if c.Delivered > 0 {
		m.OpenRate, m.ClickRate = float64(c.Openers)/float64(c.Delivered), float64(c.Clickers)/float64(c.Delivered)
	}
	return &m
}

// Entry is an entry point of the Flow API.
type Entry struct {
	ID    string `json:"id" doc:"Id of the entry point."`
	Path  string `json:"path" doc:"Where participants are posted to."`
	Token string `json:"token,omitempty" doc:"The entry point's own token; none when the configuration has no secret."`
}

// ViewFlows makes the plain form of flows. token gives the tokens of entry
// points; it may be nil.
func ViewFlows(all []runtime.FlowStatus, entries func(flow string) []Entry) []Flow {
	views := []Flow{}
	for i := range all {
		f := &all[i]
		v := Flow{
			ID: f.ID, Name: f.Name, State: f.State.String(), Removed: f.Removed, Launched: f.Launched, Version: f.Newest, Published: f.Published,
			Inside: f.Inside, Entered: f.Counts.Entered, Exited: f.Counts.Exited, Refused: f.Counts.Refused, Elements: []Element{},
			Recipients: f.Counts.Recipients, Cost: ViewCost(f.Counts.Cost(nil)),
		}
		if entries != nil {
			v.Entries = entries(f.ID)
		}
		counts := f.Counts.ByElement()
		for _, c := range counts {
			v.Sent += c.Sent
		}
		add := func(ids []string, retired bool) {
			for _, id := range ids {
				c := counts[id]
				v.Elements = append(v.Elements, viewElement(id, retired, c, ViewCost(f.Counts.CostOf(id))))
			}
		}
		add(f.Elements, false)
		add(f.Retired, true)
		views = append(views, v)
	}
	return views
}

// Event is a People event of a person.
type Event struct {
	ID         string         `json:"id,omitempty" doc:"Id of the event."`
	Name       string         `json:"name" doc:"Name of the event."`
	At         time.Time      `json:"at" doc:"When it happened."`
	Properties map[string]any `json:"properties" doc:"Properties. A decimal is a string, which keeps its digits."`
}

func viewEvents(all []flowengine.Happened) []Event {
	views := []Event{}
	for i := range all {
		v := Event{ID: all[i].ID, Name: all[i].Name, At: all[i].At, Properties: map[string]any{}}
		for _, p := range all[i].Props {
			v.Properties[p.Name] = viewValue(p.Value)
		}
		views = append(views, v)
	}
	return views
}
