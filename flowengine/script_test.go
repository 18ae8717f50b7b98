package flowengine

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"trunkline/flowengine/tariff"
	"trunkline/keyword"
)

var update = flag.Bool("update", false, "rewrite the expected effects in testdata")

// TestScripts plays the scripts in testdata/flows. A script is a txtar archive:
// flow files, segments (.segment), at most one tariff file (.csv) and one policy
// (policy*.cfg), and a `timeline` of commands. Each command is followed by what it
// must bring about, in lines that begin with ">".
//
//	number N [key=value …]   declare a number: stop=, start=, help=, window=, default=
//	in FROM TO TEXT          a message from a person
//	late AGO FROM TO TEXT    a message that the gateway received some time ago
//	event FROM NAME [k=v …]  a People event
//	start FROM FLOW ENTRY [k=v …]  an entry by name, as by the Flow API
//	muster FROM FLOW ENTRY   the audience of a flow is gone through
//	day FROM FLOW ENTRY      a new day has begun
//	change FROM [attr=value | +tag | -tag …]  a change of the profile from outside
//	accept [parts=N] [k=v …] | reject REASON   the carrier's answer to the oldest unanswered message
//	report STATE             a final delivery report about the last message
//	wait DURATION            let time pass; deadlines that come are fired in order
//	stale                    fire the deadline that was cancelled last (X1)
//	publish FILE             make FILE the newest version of its flow, the tariff or the policy
//	state FLOW STATE         change a flow's state
//	migrate FLOW             move the person to the newest version
//	classify FROM SEGMENT [quiet]  a segment is computed
//	eject FLOW REASON        take the person out of a flow
//	set FROM ATTR VALUE      change an attribute
//	forget FROM              take all addresses from the person
//	block FROM | show FROM
//	call, press, leg, …      see callCommand
//	links BASE               shorten URLs from now on
//	open | scan [click]      the last person, or a program, opens the last e-mail
//	choose [mail=no] [track=no]  the last person decides on a page of it
//	click [N]                the last person follows the first, or N-th, link of the last message with links
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/flows/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, archive)
			for i := range archive.Files {
				f := &archive.Files[i]
				if f.Name != "timeline" {
					continue
				}
				got := w.play(string(f.Data))
				if *update {
					f.Data = []byte(got)
					if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
						t.Fatal(err)
					}
				} else if got != string(f.Data) {
					t.Errorf("got\n%s\nwant\n%s", got, f.Data)
				}
			}
		})
	}
}

// world is everything a script acts on.
type world struct {
	t        *testing.T
	files    map[string][]byte
	schema   *Schema
	numbers  []*Number
	flows    map[string]*Flow
	segments []*PeopleSegment
	tariffs  *tariff.Table // nil: the script says nothing of costs
	links    Links
	policy   *Policy
	set      *Set
	now      time.Time
	people   map[string]*inhabitant
	last     *inhabitant
	out      strings.Builder
	nth      int
	phones   []*phone
	phone    *phone // the last one
}

// inhabitant is a person with what a host keeps for it.
type inhabitant struct {
	person   Person
	passages Passages
	pending  []Deadline
	sent     []Send // not answered yet
	latest   Send
	linked   Send // the last one with links
	mailed   Send // the last e-mail
	events   []Happened
	owed     map[string]Charge // by message
	gone     Deadline
}

// past lists the person's events of a name.
func (h *inhabitant) past(name string) (all []Happened) {
	for _, e := range h.events {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

func newWorld(t *testing.T, archive *txtar.Archive) *world {
	w := &world{t: t, files: map[string][]byte{}, schema: testSchema(t), flows: map[string]*Flow{}, now: testNow, people: map[string]*inhabitant{}}
	var ids []string
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".segment") {
			s, err := ParseSegment(f.Name, f.Data, w.schema)
			if err != nil {
				t.Fatal(err)
			}
			w.segments, ids = append(w.segments, s), append(ids, s.ID)
		}
	}
	w.schema = w.schema.WithSegments(ids...)
	for _, f := range archive.Files {
		w.files[f.Name] = f.Data
		if (strings.HasSuffix(f.Name, ".yaml") || strings.HasSuffix(f.Name, ".csv") || strings.HasSuffix(f.Name, ".cfg")) && !strings.Contains(f.Name, "-v") {
			w.publish(f.Name)
		}
	}
	return w
}

func (w *world) publish(file string) {
	if strings.HasSuffix(file, ".csv") {
		var err error
		if w.tariffs, err = tariff.Parse(tariff.File{Name: file, Data: w.files[file]}); err != nil {
			w.t.Fatal(err)
		}
		w.set = nil
		return
	}
	if strings.HasSuffix(file, ".cfg") {
		w.policy = testPolicy(w.t, string(w.files[file]))
		w.set = nil
		return
	}
	v, err := ParseFlow(file, w.files[file], w.schema, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	f := w.flows[v.Flow]
	if f == nil {
		f = &Flow{ID: v.Flow, State: Active, Launched: w.now.Add(time.Duration(len(w.flows)) * time.Second)}
		w.flows[v.Flow] = f
	}
	v.Ordinal = uint32(len(f.Versions) + 1)
	f.Versions, f.Newest = append(f.Versions, v), v
	w.set = nil
}

func (w *world) play(timeline string) string {
	for line := range strings.Lines(timeline) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, ">") {
			continue
		}
		w.out.WriteString(line + "\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			w.command(line)
		}
	}
	return w.out.String()
}

func (w *world) who(address string) *inhabitant {
	h := w.people[address]
	if h == nil {
		var all []Address
		for _, one := range strings.Split(address, ",") { // the first stands for the person
			a := Address{Phone, one}
			if strings.Contains(one, "@") {
				a.Kind = Email
			}
			all = append(all, a)
		}
		h = &inhabitant{person: Person{ID: NewPersonID(all[0], 0), Created: w.now, Addresses: all}}
		w.people[address] = h
	}
	w.last = h
	return h
}

func (w *world) command(line string) {
	word, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	if w.set == nil && word != "number" {
		var err error
		var warnings []string
		flows := make([]*Flow, 0, len(w.flows))
		for _, f := range w.flows {
			flows = append(flows, f)
		}
		if w.set, warnings, err = NewSet(w.schema, w.numbers, flows); err != nil {
			w.t.Fatal(err)
		}
		w.set.WithTariffs(w.tariffs).WithPolicy(w.policy).WithLinks(w.links).WithMailing(scriptMailing).WithSegments(w.segments)
		for _, text := range warnings {
			w.say("warning: %s", text)
		}
	}
	switch word {
	case "number":
		n := &Number{Value: args[0], Channel: "sms", Replies: map[string]string{}}
		for _, a := range args[1:] {
			k, v, _ := strings.Cut(a, "=")
			switch k {
			case "stop":
				n.Reserved.Stop, n.Replies["stop"] = []string{v}, "bye"
			case "start":
				n.Reserved.Start = []string{v}
			case "help":
				n.Reserved.Help, n.Replies["help"] = []string{v}, "call us"
			case "window":
				n.DuplicateWindow, _ = time.ParseDuration(v)
			case "channel":
				n.Channel = v
			case "default":
				n.Default = v
			}
		}
		w.numbers = append(w.numbers, n)
	case "in", "late":
		at := w.now
		if word == "late" {
			ago, err := time.ParseDuration(args[0])
			if err != nil {
				w.t.Fatal(err)
			}
			at, args = at.Add(-ago), args[1:]
		}
		h := w.who(args[0])
		w.nth++
		_, text, _ := strings.Cut(rest, args[1])
		w.step(h, &Inbound{
			ID: "m" + strconv.Itoa(w.nth), Channel: "sms", From: Address{Phone, args[0]}, To: args[1],
			Text: strings.TrimPrefix(text, " "), At: at,
		})
	case "mail": // from to [key=id] subject | text, where / begins a line; the person is the last one that acted
		h := w.last
		w.nth++
		var key string
		rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(rest, args[0])), args[1]))
		if after, ok := strings.CutPrefix(rest, "key="); ok {
			key, rest, _ = strings.Cut(after, " ")
		}
		subject, text, _ := strings.Cut(rest, "|")
		to, _ := w.set.Mailbox(keyword.Number(args[1]))
		w.step(h, &Inbound{
			ID: "m" + strconv.Itoa(w.nth), Channel: "email", From: newAddress(Email, args[0]), To: to, Key: key,
			Subject: strings.TrimSpace(subject), Text: strings.ReplaceAll(strings.TrimSpace(text), "/", "\n"), At: w.now,
		})
	case "event":
		e := &Happened{Name: args[1], At: w.now}
		for _, a := range args[2:] {
			k, text, _ := strings.Cut(a, "=")
			v := TextValue(text)
			if n, err := Coerce(text, Decimal); err == nil {
				v = n
			}
			e.Props.Set(k, v)
		}
		w.step(w.who(args[0]), e)
	case "start":
		c := &Start{Flow: args[1], Entry: args[2]}
		for _, a := range args[3:] {
			k, v, _ := strings.Cut(a, "=")
			c.Vars.Set(k, TextValue(v))
		}
		w.step(w.who(args[0]), c)
	case "classify":
		w.step(w.who(args[0]), &Classify{Segment: args[1], Quiet: len(args) > 2})
	case "muster":
		w.step(w.who(args[0]), &Muster{Flow: args[1], Entry: args[2]})
	case "day":
		w.step(w.who(args[0]), &Daily{Flow: args[1], Entry: args[2]})
	case "change":
		c := &Change{Source: "api"}
		for _, a := range args[1:] {
			k, text, isAttr := strings.Cut(a, "=")
			switch {
			case isAttr:
				v, err := Coerce(text, w.schema.Type(k))
				if err != nil {
					w.t.Fatal(err)
				}
				c.Set = append(c.Set, Attr{k, v})
			case a[0] == '+':
				c.AddTags = append(c.AddTags, NewTag(a[1:]))
			default:
				c.RemoveTags = append(c.RemoveTags, NewTag(strings.TrimPrefix(a, "-")))
			}
		}
		w.step(w.who(args[0]), c)
	case "accept", "reject":
		h := w.last
		if len(h.sent) == 0 {
			w.t.Fatalf("%s: every message was answered", line)
		}
		s := h.sent[0]
		h.sent = h.sent[1:]
		r := &SendResult{ID: s.ID, Origin: s.Origin, Channel: s.Channel, To: s.To, Carrier: "c1", Accepted: word == "accept", Reason: rest}
		if r.Accepted {
			r.Parts = 1
			for _, a := range args {
				k, text, _ := strings.Cut(a, "=")
				v := TextValue(text)
				if n, err := Coerce(text, Whole); err == nil {
					v = n
				}
				if k == "parts" {
					r.Parts = uint8(v.Num)
					continue
				}
				r.Vars.Set(k, v)
			}
		}
		w.step(h, r)
	case "report":
		s := w.last.latest
		w.step(w.last, &Report{ID: s.ID, Origin: s.Origin, State: rest, Delivered: rest == "delivered", Final: true, Owed: w.last.owed[s.ID], Mail: s.Mail != nil})
	case "links":
		w.links = Links{Base: args[0], TTL: DefaultLinkTTL, Secret: []byte("known to the test only")}
		w.set.WithLinks(w.links)
	case "click":
		s, n := w.last.linked, 1
		if len(args) > 0 {
			n, _ = strconv.Atoi(args[0])
		}
		l := s.Links[n-1]
		w.step(w.last, &Click{Link: l.Token, Message: s.ID, Origin: s.Origin, URL: l.URL, Data: s.Data, At: w.now, Mail: s.Mail != nil})
	case "open":
		s := w.last.mailed
		w.step(w.last, &Opening{Message: s.ID, Origin: s.Origin, Data: s.Data, At: w.now})
	case "scan":
		w.step(w.last, &Scan{Origin: w.last.mailed.Origin, Click: rest == "click"})
	case "choose":
		s, c := w.last.mailed, &Choice{}
		c.Message, c.Origin, c.Data, c.At = s.ID, s.Origin, s.Data, w.now
		for _, a := range args {
			k, v, _ := strings.Cut(a, "=")
			yes := v == "yes"
			if k == "mail" {
				c.Mail = &yes
			} else {
				c.DoNotTrack = &yes
			}
		}
		w.step(w.last, c)
	case "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			w.t.Fatal(line, err)
		}
		w.pass(w.now.Add(d))
	case "stale":
		g := w.last.gone
		w.step(w.last, &Timer{Flow: g.Flow, Number: g.Number, Seq: g.Seq})
	case "publish":
		w.publish(rest)
	case "state":
		for s, name := range stateNames {
			if name == args[1] {
				w.flows[args[0]].State, w.set = State(s), nil
			}
		}
	case "migrate":
		w.step(w.last, &Migrate{Flow: rest})
	case "eject":
		w.step(w.last, &Eject{Flow: args[0], Reason: args[1]})
	case "set":
		v, err := Coerce(args[2], w.schema.Type(args[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		w.who(args[0]).person.Attrs.Set(args[1], v)
	case "forget":
		w.who(args[0]).person.Addresses = nil
	case "block":
		w.who(args[0]).person.Block(Phone)
	case "show":
		w.show(w.who(args[0]))
	default:
		if !w.callCommand(word, args) {
			w.t.Fatalf("unknown command %q", line)
		}
	}
}

// pass lets time go by, firing what comes due in order (X5).
func (w *world) pass(until time.Time) {
	for {
		var first, looked *inhabitant
		for _, name := range slices.Sorted(mapKeys(w.people)) {
			h := w.people[name]
			if len(h.pending) > 0 && !h.pending[0].Due.After(until) && (first == nil || h.pending[0].Due.Before(first.pending[0].Due)) {
				first = h
			}
			if look := h.person.Look; !look.IsZero() && !look.After(until) && (looked == nil || look.Before(looked.person.Look)) {
				looked = h
			}
		}
		if p, t := w.nextTimer(until); p != nil && (first == nil || t.due.Before(first.pending[0].Due)) {
			w.ring(p, t)
			continue
		}
		if first == nil && looked == nil {
			w.now = until
			return
		}
		if first == nil || looked != nil && looked.person.Look.Before(first.pending[0].Due) {
			w.now = looked.person.Look
			w.step(looked, &Look{})
			continue
		}
		d := first.pending[0]
		first.pending = first.pending[1:]
		w.now = d.Due
		w.say("at +%s", w.now.Sub(testNow))
		w.step(first, &Timer{Flow: d.Flow, Number: d.Number, Seq: d.Seq})
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// step gives a cause to the engine, checks that it is computed the same twice,
// keeps what a host keeps and says what came of it.
func (w *world) step(h *inhabitant, c Cause) {
	segments, calls := h.person.Segments, h.passages.Calls()
	before := AppendPassages(AppendPerson(nil, &h.person), &h.passages)
	twin := inhabitant{person: Person{ID: h.person.ID, Segments: slices.Clone(h.person.Segments), Look: h.person.Look}}
	if err := DecodePerson(AppendPerson(nil, &h.person), &twin.person, nil); err != nil {
		w.t.Fatal(err)
	}
	if err := DecodePassages(AppendPassages(nil, &h.passages), &twin.passages); err != nil {
		w.t.Fatal(err)
	}
	again := w.set.StepWith(&twin.person, &twin.passages, h.past, c, w.now)
	r := w.set.StepWith(&h.person, &h.passages, h.past, c, w.now)
	if sent, ok := c.(*SendResult); ok {
		if h.owed == nil {
			h.owed = map[string]Charge{}
		}
		h.owed[sent.ID] = w.set.Owed(sent, w.now)
	}
	h.events = append(h.events, r.Happened...)
	after := AppendPassages(AppendPerson(nil, &h.person), &h.passages)
	if written(r) != written(again) || !bytes.Equal(after, AppendPassages(AppendPerson(nil, &twin.person), &twin.passages)) {
		w.t.Error("the same cause had another effect the second time")
	}
	if !r.PersonChanged && !r.PassagesChanged && !bytes.Equal(before, after) {
		w.t.Error("something changed and nobody says so")
	}
	for _, x := range r.Unindexed {
		if x.Kind == BySegment {
			w.say("leaves segment %s", x.Name)
		}
	}
	for _, x := range r.Indexed {
		if x.Kind == BySegment {
			w.say("comes into segment %s", x.Name)
		}
	}
	if !r.CallsChanged && calls != h.passages.Calls() {
		w.t.Error("a call began or ended and nobody says so")
	}
	if !r.SegmentsChanged && !slices.Equal(segments, h.person.Segments) {
		w.t.Error("the person's segments changed and nobody says so")
	}
	if r.Outcome != "" {
		w.say("%s", strings.TrimSpace(r.Outcome+" "+r.Flow+" "+r.Refused))
	}
	for _, e := range r.Log {
		w.event(e)
	}
	for _, d := range r.Cancelled {
		i := slices.Index(h.pending, d)
		if _, isTimer := c.(*Timer); i < 0 && !isTimer {
			w.t.Errorf("a deadline that was never set was cancelled: %+v", d)
		} else if i >= 0 {
			h.pending = slices.Delete(h.pending, i, i+1)
		}
		h.gone = d
	}
	for _, d := range r.Timers {
		w.say("timer in %s", d.Due.Sub(w.now))
		h.pending = append(h.pending, d)
	}
	slices.SortStableFunc(h.pending, func(a, b Deadline) int { return a.Due.Compare(b.Due) })
	for _, s := range r.Sends {
		later := ""
		if !s.NotBefore.IsZero() {
			later = " at " + s.NotBefore.Format("Mon 15:04")
		}
		text := strconv.Quote(s.Text)
		if s.Channel == channelVoice {
			text = "a call"
		}
		w.say("send %s → %s %s%s", s.From, s.To, text, later)
		w.mail(s.Mail)
		for _, d := range s.Data {
			w.say("data %s = %s", d.Name, d.Value)
		}
		for _, l := range s.Links {
			if l.Whole {
				w.say("mail %s has %d tracked links, opens tracked: %t", l.Token, l.Of, l.Tracked)
				continue
			}
			w.say("link %s leads to %s for %s", l.Token, l.URL, l.Expires.Sub(w.now))
		}
		h.latest = s
		if len(s.Links) > 0 {
			h.linked = s
		}
		if s.Mail != nil {
			h.mailed = s
		}
		if s.Origin.Flow != "" && s.Channel != channelVoice {
			h.sent = append(h.sent, s)
		}
	}
	for _, t := range r.Calls {
		w.begin(t)
	}
	for i := range r.Sends {
		if s := r.Sends[i]; s.Channel == channelVoice && s.NotBefore.IsZero() {
			w.dial(h, &s)
		}
	}
}

// written is a result as text, without where its parts are in memory.
func written(r *Result) string {
	calls, err := json.Marshal(r.Calls)
	if err != nil {
		return err.Error()
	}
	rest := *r
	rest.Calls = nil
	rest.Sends = slices.Clone(r.Sends)
	text := string(calls)
	for i := range rest.Sends {
		if m := rest.Sends[i].Mail; m != nil {
			text += fmt.Sprint(*m)
			rest.Sends[i].Mail = nil
		}
	}
	return fmt.Sprint(rest) + text
}

// mail shows what an e-mail has besides its text.
func (w *world) mail(m *Mail) {
	if m == nil {
		return
	}
	w.say("subject %q", m.Subject)
	for _, part := range [...][2]string{{"from name", m.FromName}, {"reply-to", m.ReplyTo}, {"preheader", m.Preheader}, {"html", m.HTML}, {"unsubscribe", m.Unsubscribe}} {
		if part[1] != "" {
			w.say("%s %q", part[0], part[1])
		}
	}
	for _, f := range m.Files {
		w.say("file %s name=%q cid=%q", f.Path, f.Name, f.ContentID)
	}
}

// scriptMailing is as whom mail is sent in scripts.
var scriptMailing = Mailing{Identities: []Identity{{ID: "shop", Address: "news@shop.example", Name: "The Shop"}, {ID: "care", Address: "care@shop.example", ReplyTo: "help@shop.example"}}}

func (w *world) event(e Event) {
	name := [...]string{
		Entered: "entered", Exited: "exited", Refused: "refused", Engaged: "engaged", Departed: "departed", Queued: "", Accepted: "accepted",
		Failed: "failed", Reported: "reported", NotSent: "not sent", Received: "", Updated: "updated", Observed: "", GoalAnchored: "goal from", GoalReached: "goal reached", Clicked: "clicked",
		Migrated: "migrated", Opened: "opened", Unsubscribed: "unsubscribed", Complained: "complained", Scanned: "scanned",
	}[e.Kind]
	if name == "" {
		return
	}
	line := name + " " + e.Flow
	if e.Element != "" {
		line += "/" + e.Element
	}
	if e.Number > 0 {
		line += " #" + strconv.Itoa(int(e.Number))
	}
	if e.Version > 1 {
		line += " v" + strconv.Itoa(int(e.Version))
	}
	if e.Kind != Accepted && e.Detail != "" {
		line += " " + e.Detail
	}
	if e.Kind == Accepted || e.Kind == Failed {
		line += w.cost(&e)
	} else if e.First {
		line += " first"
	}
	if e.Kind == Reported && e.Priced() {
		line += " cost " + e.Amount().String()
	}
	w.say("%s", line)
}

// cost says what a carrier asked for; scripts without a tariff are of other things.
func (w *world) cost(e *Event) (text string) {
	if w.tariffs == nil {
		return ""
	}
	switch {
	case e.CostUnknown:
		text = " cost unknown"
	case e.Priced():
		text = " cost " + e.Amount().String()
	}
	if e.First {
		text += " recipient"
	}
	return text
}

func (w *world) show(h *inhabitant) {
	for _, a := range h.person.Attrs {
		w.say("%s = %s", a.Name, a.Value)
	}
	for _, tag := range h.person.Tags {
		w.say("tag %s", tag.Name)
	}
	for _, r := range h.passages.Runs {
		w.say("run %s #%d v%d at %s", r.Flow, r.Number, r.Version, r.Element)
	}
	if h.person.Blocked(Phone) {
		w.say("do not contact by phone")
	}
}

func (w *world) say(format string, args ...any) {
	line := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	w.out.WriteString("> " + line + "\n")
}
