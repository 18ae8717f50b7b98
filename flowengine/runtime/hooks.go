package runtime

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"trunkline/flowengine"
	"trunkline/storage"
)

// HookChannel is the channel of rows of the outbox that tell an endpoint of an
// event: To is the endpoint's name, Text the payload.
const HookChannel = "webhook"

// hookTime is how long an endpoint is tried to be told of an event.
const hookTime = 3 * 24 * time.Hour

// Hook is an endpoint that wants to hear of events.
type Hook struct {
	Name  string
	Wants func(event string) bool
	Flows []string // of which flows; nil: of all, and of what is no flow's
}

// hookEvent is a kind of event that webhooks tell.
type hookEvent uint8

const (
	hookMessageAccepted hookEvent = iota
	hookMessageDelivered
	hookMessageFailed
	hookMessageNotSent
	hookMessageReceived
	hookRunEntered
	hookRunExited
	hookRunRefused
	hookGoalConverted
	hookLinkClicked
	hookMailOpened
	hookMailUnsubscribed
	hookMailComplained
	hookEvents // their number
)

var hookNames = [hookEvents]string{
	"message.accepted", "message.delivered", "message.failed", "message.not_sent", "message.received",
	"run.entered", "run.exited", "run.refused", "goal.converted", "link.clicked", "mail.opened", "mail.unsubscribed", "mail.complained",
}

// HookEvents lists the types of events that webhooks tell.
func HookEvents() []string { return slices.Clone(hookNames[:]) }

// hookSet finds the endpoints that want an event. There is none when nobody
// wants any, so that a step pays one look for it.
type hookSet [hookEvents][]*Hook

func newHookSet(hooks []Hook) *hookSet {
	set := new(hookSet)
	wanted := false
	for i := range hooks {
		for e := range hookEvents {
			if hooks[i].Wants(hookNames[e]) {
				set[e] = append(set[e], &hooks[i])
				wanted = true
			}
		}
	}
	if !wanted {
		return nil
	}
	return set
}

// hookEventOf is the event that a line of history is told as.
func hookEventOf(e *flowengine.Event, c flowengine.Cause) (hookEvent, bool) {
	switch e.Kind {
	case flowengine.Entered:
		return hookRunEntered, true
	case flowengine.Exited:
		return hookRunExited, true
	case flowengine.Refused:
		return hookRunRefused, true
	case flowengine.Accepted, flowengine.Failed:
		r, ok := c.(*flowengine.SendResult)
		if !ok || r.Channel == flowengine.ChannelHTTP { // a request to an API is no message
			return 0, false
		}
		if e.Kind == flowengine.Failed {
			return hookMessageFailed, true
		}
		return hookMessageAccepted, true
	case flowengine.Reported:
		if e.First {
			return hookMessageDelivered, true
		}
		return hookMessageFailed, true
	case flowengine.NotSent:
		return hookMessageNotSent, true
	case flowengine.Received:
		return hookMessageReceived, true
	case flowengine.GoalReached:
		return hookGoalConverted, e.First
	case flowengine.Clicked:
		return hookLinkClicked, true
	case flowengine.Opened:
		return hookMailOpened, true
	case flowengine.Unsubscribed:
		return hookMailUnsubscribed, true
	case flowengine.Complained:
		return hookMailComplained, true
	}
	return 0, false
}

// tellHooks puts a row into the outbox of shard s for every endpoint and event
// that it wants to hear of, in the batch of what the events tell.
func (tx *txn) tellHooks(set *hookSet, s flowengine.Shard, person flowengine.PersonID, c flowengine.Cause, events []flowengine.Event) {
	for i := range events {
		e := &events[i]
		kind, told := hookEventOf(e, c)
		if !told {
			continue
		}
		var payload string
		for _, h := range set[kind] {
			if h.Flows != nil && !slices.Contains(h.Flows, e.Flow) {
				continue
			}
			if payload == "" {
				payload = hookPayload(hookNames[kind], person, c, e, tx.now)
			}
			tx.enqueue(s, &Message{Send: flowengine.Send{
				ID:     fmt.Sprintf("evt_%d_%d_%d", tx.ex.rt.boot, tx.ex.index, tx.ex.rowSeq+1),
				Origin: flowengine.Origin{Person: person, Flow: e.Flow}, Channel: HookChannel, To: h.Name, Text: payload, Expires: tx.now.Add(hookTime),
			}}, tx.now)
		}
	}
}

// hookData is what is told about an event; what does not belong to it is left out.
type hookData struct {
	Person  string         `json:"person,omitempty"`
	Flow    string         `json:"flow,omitempty"`
	Version uint32         `json:"version,omitempty"`
	Number  uint32         `json:"number,omitempty"` // of the person's entry
	Element string         `json:"element,omitempty"`
	Message string         `json:"message,omitempty"` // id
	Channel string         `json:"channel,omitempty"`
	From    string         `json:"from,omitempty"`
	To      string         `json:"to,omitempty"`
	Text    string         `json:"text,omitempty"` // of message.received
	Carrier string         `json:"carrier,omitempty"`
	Parts   uint32         `json:"parts,omitempty"`
	Cost    *hookCost      `json:"cost,omitempty"`
	State   string         `json:"state,omitempty"` // of a delivery report
	Code    string         `json:"code,omitempty"`  // the carrier's
	Entry   string         `json:"entry,omitempty"` // entry point of run.entered
	Reason  string         `json:"reason,omitempty"`
	Goal    string         `json:"goal,omitempty"`
	Branch  string         `json:"branch,omitempty"`
	URL     string         `json:"url,omitempty"`
	Link    string         `json:"link,omitempty"` // token
	Data    map[string]any `json:"data,omitempty"` // of the message
}

type hookCost struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// hookPayload is the body of a webhook (Standard Webhooks 1.0.0, "Payload structure").
func hookPayload(name string, person flowengine.PersonID, c flowengine.Cause, e *flowengine.Event, at time.Time) string {
	d := hookData{Flow: e.Flow, Version: e.Version, Number: e.Number, Element: e.Element}
	if !person.IsZero() {
		d.Person = person.String()
	}
	d.tellCause(c, e)
	d.tellEvent(e)
	b, err := json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      *hookData `json:"data"`
	}{name, at.UTC(), &d})
	if err != nil { // unreachable: texts and numbers
		panic(err)
	}
	return string(b)
}

// tellEvent adds what the line of history says.
func (d *hookData) tellEvent(e *flowengine.Event) {
	switch e.Kind {
	case flowengine.Entered:
		d.Entry = e.Detail
	case flowengine.GoalReached:
		d.Goal, d.Branch, d.Element = e.Detail, e.Element, ""
	case flowengine.Reported:
		d.State = e.Detail
	case flowengine.Accepted, flowengine.Failed:
		d.Parts = e.Units
		if e.Priced() {
			d.Cost = &hookCost{e.Amount().Money.String(), e.Currency.String()}
		}
		if e.Kind == flowengine.Failed {
			d.Reason = e.Detail
		}
	case flowengine.Exited, flowengine.Refused, flowengine.NotSent:
		d.Reason = e.Detail
	}
}

// tellCause adds what the cause says, where the event is of what it is about.
func (d *hookData) tellCause(c flowengine.Cause, e *flowengine.Event) {
	switch c := c.(type) {
	case *flowengine.SendResult:
		if e.Kind == flowengine.Accepted || e.Kind == flowengine.Failed {
			d.Message, d.Channel, d.To, d.Carrier, d.Code = c.ID, c.Channel, c.To, c.Carrier, c.Code
			d.tellData(c.Data)
		}
	case *flowengine.Report:
		if e.Kind == flowengine.Reported {
			d.Message, d.Carrier, d.Code = c.ID, c.Carrier, c.Code
			d.tellData(c.Data)
		}
	case *flowengine.Click:
		if e.Kind == flowengine.Clicked {
			d.Message, d.URL, d.Link = c.Message, c.URL, c.Link.String()
			d.tellData(c.Data)
		}
	case *flowengine.Opening:
		if e.Kind == flowengine.Opened {
			d.Message = c.Message
			d.tellData(c.Data)
		}
	case *flowengine.Choice:
		if e.Kind == flowengine.Unsubscribed {
			d.Message = c.Message
			d.tellData(c.Data)
		}
	case *flowengine.Inbound:
		if e.Kind == flowengine.Received {
			d.Message, d.Channel, d.From, d.To, d.Text, d.Carrier = c.ID, c.Channel, c.From.Value, c.To, c.Text, c.Carrier
		}
	}
}

func (d *hookData) tellData(data flowengine.Attrs) {
	for _, a := range data {
		if d.Data == nil {
			d.Data = map[string]any{}
		}
		switch a.Value.Type {
		case flowengine.Whole:
			d.Data[a.Name] = a.Value.Num
		case flowengine.Boolean:
			d.Data[a.Name] = a.Value.Num != 0
		default: // a decimal is text: JSON numbers lose digits
			d.Data[a.Name] = a.Value.String()
		}
	}
}

// orphaned says that a row tells of a person who was erased while it was with
// its sender: nothing of it is kept.
func (tx *txn) orphaned(m *Message) bool {
	if m.Channel != HookChannel || m.Origin.Person.IsZero() {
		return false
	}
	known, err := tx.member(m.Origin.Person)
	return err == nil && !known.exists
}

// settleHook ends a row whose endpoint was told, or was not and will not be.
func (tx *txn) settleHook(m *Message, o Outcome) {
	if o.Fate == FateAccepted || tx.orphaned(m) {
		return
	}
	reason := o.Fate.String()
	if o.Code != "" {
		reason += ": " + o.Code
	}
	tx.bury(shardOf(m.entry.key), &DeadHook{ID: m.ID, Endpoint: m.To, At: tx.now, Attempts: m.Attempt, Reason: reason, Payload: m.Text, origin: m.Origin})
}

// Bounds of what could not be told.
const (
	deadMost   = 20_000              // per executor
	deadMemory = 14 * 24 * time.Hour // how long it is kept
	deadPage   = 256                 // looked at in one task
)

// bury keeps what an endpoint could not be told, unless there is too much of that.
func (tx *txn) bury(s flowengine.Shard, d *DeadHook) {
	kept := tx.ex.dead.Load() < deadMost
	if tx.now.Sub(tx.ex.deadTold).Abs() >= crowdedEvery { // there may be very many
		tx.ex.deadTold = tx.now
		tx.ex.rt.log.Warn("webhooks could not be delivered; `trunkline webhook dead` lists those that are kept", "endpoint", d.Endpoint, "webhook", d.ID, "reason", d.Reason, "kept", kept)
	}
	if !kept {
		tx.ex.rt.metrics.hooksDropped.Inc()
		return
	}
	tx.ex.rowSeq++
	tx.put(deadKey(s, tx.now, tx.ex.rowSeq), d.append(nil), time.Time{})
	tx.ex.dead.Add(1)
}

// sweepDead forgets what is too old.
func (tx *txn) sweepDead(s flowengine.Shard) error {
	if tx.ex.dead.Load() == 0 {
		return nil
	}
	var old [][]byte
	oldest := tx.now.Add(-deadMemory).UnixMilli()
	err := tx.ex.rt.store.Scan(appendPrefix(nil, s, kindDead), nil, func(key, _ []byte) bool {
		if dueOf(key) >= oldest {
			return false
		}
		old = append(old, append([]byte(nil), key...))
		return len(old) < deadPage
	})
	for _, key := range old {
		tx.exhume(key)
	}
	return err
}

// exhume forgets one of the dead, if nobody has before.
func (tx *txn) exhume(key []byte) bool {
	if !tx.has(key) {
		return false
	}
	tx.delete(key)
	tx.ex.dead.Add(-1)
	return true
}

// forgetDead forgets what could not be told about a person who is erased.
func (tx *txn) forgetDead(person flowengine.PersonID) error {
	if tx.ex.dead.Load() == 0 {
		return nil
	}
	prefix := appendPrefix(nil, person.Shard(), kindDead)
	var keys [][]byte
	look := func(key, value []byte) {
		if d, err := decodeDead(value); err == nil && d.origin.Person == person {
			keys = append(keys, append([]byte(nil), key...))
		}
	}
	err := tx.ex.rt.store.Scan(prefix, nil, func(key, value []byte) bool { look(key, value); return true })
	for op := range tx.ex.unsynced(prefix) {
		if op.Kind != storage.OpDelete {
			look(op.Key, op.Value)
		}
	}
	for _, key := range keys {
		tx.exhume(key)
	}
	return err
}
