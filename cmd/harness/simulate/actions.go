package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// action is one thing that may happen. Weight says how often.
type action struct {
	name   string
	weight int
	do     func(w *world)
}

var actions = []action{
	{"text", 30, (*world).text},
	{"event", 14, (*world).event},
	{"change", 10, (*world).change},
	{"participants", 6, (*world).participants},
	{"moment", 20, func(w *world) { w.pass(time.Duration(1+w.rng.IntN(3000)) * time.Millisecond) }},
	{"minutes", 12, func(w *world) { w.pass(time.Duration(1+w.rng.IntN(59)) * time.Minute) }},
	{"hours", 8, func(w *world) { w.pass(time.Duration(1+w.rng.IntN(30)) * time.Hour) }},
	{"days", 2, func(w *world) { w.pass(time.Duration(1+w.rng.IntN(8)) * 24 * time.Hour) }},
	{"season", 1, func(w *world) { w.pass(time.Duration(30+w.rng.IntN(65)) * 24 * time.Hour) }},
	{"rest", 10, func(w *world) { w.rest() }},
	{"pause", 2, flowAction("pause", false, func(ctx context.Context, w *world, id string) error { return w.rt.PauseFlow(ctx, id) })},
	{"resume", 3, flowAction("resume", true, func(ctx context.Context, w *world, id string) error { return w.rt.ResumeFlow(ctx, id) })},
	{"stop", 1, flowAction("stop", false, func(ctx context.Context, w *world, id string) error {
		return w.rt.StopFlow(ctx, id, time.Duration(w.rng.IntN(3))*24*time.Hour)
	})},
	{"start", 3, flowAction("start", true, func(ctx context.Context, w *world, id string) error { return w.rt.StartFlow(ctx, id) })},
	{"eject", 3, (*world).eject},
	{"prepare", 2, (*world).prepare},
	{"start broadcast", 3, broadcastAction("start", (*runtime.Runtime).StartBroadcast)},
	{"pause broadcast", 1, broadcastAction("pause", (*runtime.Runtime).PauseBroadcast)},
	{"resume broadcast", 2, broadcastAction("resume", (*runtime.Runtime).ResumeBroadcast)},
	{"cancel broadcast", 1, broadcastAction("cancel", (*runtime.Runtime).CancelBroadcast)},
	{"reload", 3, (*world).reload},
	{"restart", 1, (*world).restart},
	{"crash", 3, (*world).crash},
}

// during is how many of the actions, the first ones, may happen while something
// else is under way.
const during = 3

func choose(w *world, from []action) action {
	sum := 0
	for _, a := range from {
		sum += a.weight
	}
	n := w.rng.IntN(sum)
	for _, a := range from {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("weights do not sum up")
}

func (w *world) interfere() { choose(w, w.actions[:during]).do(w) }

func (w *world) phone() string { return pick(w.rng, w.phones) }

// text lets a person write to one of our numbers, at times twice, in parts, or
// for later.
func (w *world) text() {
	word := pick(w.rng, keywords)
	to := pick(w.rng, numbers)
	text := word
	if to == numbers[0] || w.one(2) { // where what comes twice is dropped, nothing shall come twice by chance
		text += " " + w.id()
	}
	a := &runtime.Arrival{
		ID: "in-" + w.id(), Channel: "sms", Carrier: "carrier", From: flowengine.Address{Kind: flowengine.Phone, Value: w.phone()},
		To: to, Text: text, At: w.clock,
	}
	switch n := w.rng.IntN(40); {
	case n < 2 && !w.later:
		w.bring(a, &w.book.texts, false)
	case n == 0:
		a.DeliverAt = w.clock.Add(time.Duration(1+w.rng.IntN(3600)) * time.Second)
		w.bring(a, &w.book.texts, true)
	case n == 1:
		w.parts(a)
	case n < 6 && to == numbers[0]:
		again := *a
		again.ID += "-again"
		w.bring(a, &w.book.texts, false)
		w.bring(&again, new(ledger), false) // acknowledged and dropped (rule R7)
	default:
		w.bring(a, &w.book.texts, false)
	}
}

// bring hands over a message, or a part of one.
func (w *world) bring(a *runtime.Arrival, l *ledger, later bool) {
	w.say("%s writes %q to %s, %s", a.From.Value, a.Text, a.To, a.ID)
	l.begin(later)
	w.book.outstanding++
	w.rt.Inbound(a, w.answered(func(err error) { l.answer(err, later) }))
}

// parts brings a message in two parts; it has acted when both were taken.
func (w *world) parts(a *runtime.Arrival) {
	taken := 0
	l := &w.book.texts
	l.begin(true)
	half := len(a.Text) / 2
	for i, payload := range []string{a.Text[:half], a.Text[half:]} {
		p := *a
		p.ID = fmt.Sprintf("%s.%d", a.ID, i)
		p.Text, p.Part = "", &runtime.Part{Ref: uint16(w.nextID), Total: 2, Seq: uint8(i + 1), Payload: []byte(payload)}
		w.say("%s writes part %d of %q to %s", a.From.Value, i+1, a.Text, a.To)
		w.book.outstanding++
		w.rt.Inbound(&p, w.answered(func(err error) {
			if err == nil {
				taken++
			}
			if i == 1 {
				if taken < 2 && err == nil {
					err = errors.New("the other part was refused")
				}
				l.answer(err, true)
			}
		}))
	}
}

// event lets a person do something elsewhere, at times told twice.
func (w *world) event() {
	name, who := pick(w.rng, events), runtime.Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: w.phone()}, Create: true}
	e := &flowengine.Happened{ID: w.id(), Name: name, At: w.clock}
	for range 1 + w.rng.IntN(8)/7 {
		w.say("%s: event %s %s", who.Address.Value, name, e.ID)
		l := &w.book.events
		l.begin(false)
		repeated := false
		err, answered := w.request(func(ctx context.Context) error {
			acted, err := w.rt.Happen(ctx, who, e)
			repeated = acted.Outcome == runtime.OutcomeRepeated
			return err
		})
		if !answered {
			return
		}
		if repeated {
			err = errors.New("repeated")
		}
		l.answer(err, false)
	}
}

// change writes to a profile.
func (w *world) change() {
	who := runtime.Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: w.phone()}, Create: true}
	c := &flowengine.Change{Source: "api"}
	switch w.rng.IntN(8) {
	case 0:
		c.Block = []flowengine.AddressKind{flowengine.Phone}
	case 1:
		c.Unblock = []flowengine.AddressKind{flowengine.Phone}
	case 2:
		c.AddAddresses = []flowengine.Address{{Kind: flowengine.Email, Value: fmt.Sprintf("%d@example.com", w.rng.IntN(5))}}
		if w.one(2) {
			who.Address = flowengine.Address{Kind: flowengine.External, Value: fmt.Sprintf("crm-%d", w.rng.IntN(8))}
			c.AddAddresses = []flowengine.Address{{Kind: flowengine.Phone, Value: w.phone()}}
		}
	case 3:
		day := w.clock.AddDate(-30, 0, w.rng.IntN(3))
		c.Set = []flowengine.Attr{{Name: "birthDate", Value: flowengine.DateValue(day)}, {Name: "firstName", Value: flowengine.TextValue("Ana")}}
	case 4:
		c.RemoveTags = []flowengine.Tag{flowengine.NewTag(pick(w.rng, tags))}
	case 5:
		c.AddTags = []flowengine.Tag{flowengine.NewTag(pick(w.rng, tags))}
	default:
		c.Set = []flowengine.Attr{{Name: "shoeSize", Value: flowengine.WholeValue(int64(38 + w.rng.IntN(10)))}}
	}
	w.say("%s: change %+v", who.Address.Value, *c)
	w.request(func(ctx context.Context) error {
		_, err := w.rt.Amend(ctx, who, c)
		if err != nil && ctx.Err() == nil && !errors.Is(err, runtime.ErrTaken) && !errors.Is(err, runtime.ErrOverload) {
			w.wrong("a change is refused: %v", err)
		}
		return err
	})
}

// participants asks for persons in the flow that has an address of its own. A
// request whose answer was lost is repeated as it was.
func (w *world) participants() {
	r := w.unansweredRequest()
	if r == nil {
		r = &request{operation: runtime.Operation{Flow: w.flows[0].id, Entry: "entry-0"}}
		for i := range r.once.Key {
			r.once.Key[i] = byte(w.rng.Uint32())
		}
		r.once.Request[0] = byte(len(w.book.requests))
		for range 1 + w.rng.IntN(5) {
			p := runtime.Participant{Addresses: []flowengine.Address{{Kind: flowengine.Phone, Value: w.phone()}}}
			if w.one(3) {
				p.Addresses = append(p.Addresses, flowengine.Address{Kind: flowengine.External, Value: fmt.Sprintf("crm-%d", w.rng.IntN(8))})
			}
			if w.one(2) { // a person who lives in another shard than the phone
				slices.Reverse(p.Addresses)
			}
			r.operation.Participants = append(r.operation.Participants, p)
		}
		w.book.requests = append(w.book.requests, r)
	}
	r.at = w.clock
	w.say("%d participants are asked for", len(r.operation.Participants))
	err, answered := w.request(func(ctx context.Context) (err error) {
		id, err := w.rt.Accept(ctx, &r.operation, &r.once)
		if err == nil && ctx.Err() == nil {
			r.id = id
		}
		return err
	})
	if answered && err != nil { // the flow takes nobody in, and nothing was kept
		r.closed = true
	}
}

func (w *world) unansweredRequest() *request {
	i := slices.IndexFunc(w.book.requests, func(r *request) bool { return !r.closed && r.id == runtime.OperationID{} })
	if i < 0 {
		return nil
	}
	r := w.book.requests[i]
	if w.clock.Sub(r.at) > 23*time.Hour { // the key is forgotten soon
		r.closed, r.unknown = true, len(r.operation.Participants)
		return nil
	}
	return r
}

// flowAction is what an operator does to a flow. opens: people may enter then.
func flowAction(name string, opens bool, do func(ctx context.Context, w *world, flow string) error) func(*world) {
	return func(w *world) {
		id := pick(w.rng, w.flows).id
		w.say("%s %s", name, id)
		now := w.clock
		before := slices.Clone(w.book.closed[id])
		if opens {
			w.book.open(id, now)
		}
		err, answered := w.request(func(ctx context.Context) error { return do(ctx, w, id) })
		switch {
		case answered && err != nil:
			w.book.closed[id] = before
		case answered && !opens:
			w.book.shut(id, w.clock)
		}
	}
}

// eject takes a person out of a flow.
func (w *world) eject() {
	who, flow := runtime.Who{Address: flowengine.Address{Kind: flowengine.Phone, Value: w.phone()}}, pick(w.rng, w.flows).id
	w.say("%s is taken out of %s", who.Address.Value, flow)
	w.request(func(ctx context.Context) error {
		_, err := w.rt.Remove(ctx, who, flow, 0, "api")
		return err
	})
}

// reload publishes another configuration: a new version of a flow, a new flow,
// one less, or other goals.
func (w *world) reload() {
	g := w.generator()
	i := w.rng.IntN(len(w.flows))
	f := w.flows[i]
	switch n := w.rng.IntN(10); {
	case n == 0 && i > 1: // requests go to the first one, transfers to the second
		w.say("reload without %s", f.id)
		w.flows = slices.Delete(slices.Clone(w.flows), i, i+1)
		w.retired = append(w.retired, f)
		if answered := w.republish(); answered {
			w.book.shut(f.id, w.clock)
		}
		return
	case n == 1 && len(w.retired) > 0:
		f = w.retired[len(w.retired)-1]
		w.retired = w.retired[:len(w.retired)-1]
		w.say("reload with %s again", f.id)
		w.book.open(f.id, w.clock)
		w.flows = append(slices.Clone(w.flows), f)
	case n == 2:
		f = g.newFlow(fmt.Sprintf("flow-%s", w.id()))
		w.say("reload with %s", f.id)
		w.flows = append(slices.Clone(w.flows), f)
	case n < 5:
		f.compiled = nil
		f.goals = []options{{"id": "goal", "event": pick(w.rng, events), "window": pick(w.rng, []string{"1h", "1d"})}}
		w.say("reload with a goal of %s", f.id)
	default:
		g.flow = f
		g.change()
		w.say("reload with a new version of %s", f.id)
	}
	w.republish()
}

func (w *world) republish() (answered bool) {
	_, answered = w.request(func(context.Context) error { w.publish(); return nil })
	return answered
}

// restart ends the runtime in order: what it has taken becomes durable.
func (w *world) restart() {
	w.say("restart")
	if w.rest() {
		w.end()
	}
}
