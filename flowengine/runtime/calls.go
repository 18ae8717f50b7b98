package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/ivr"
)

// VoiceChannel is the channel of rows of the outbox that are calls to be made: Text
// is an ivr.Task as JSON.
const VoiceChannel = "voice"

// ErrRefused says that nobody takes a call now: no flow is active, or its rules of
// entry don't let the caller in.
var ErrRefused = errors.New("no flow takes the call")

// IncomingCall is a call to one of our numbers, as the voice edge hands it over.
type IncomingCall struct {
	ID   string             // of the call, unique over restarts
	From flowengine.Address // normalised
	To   string             // normalised
	At   time.Time
}

// Caller holds calls and runs tasks on them. Its methods must not block.
type Caller interface {
	// Do begins a task. It is called when what led to the task is durable.
	Do(t flowengine.CallTask)
	// Start makes a call, whose id is that of m; done is called exactly once.
	Start(m *Message, t ivr.Task, done func(CallStart))
	// Bury hangs up a leg that a former process has left, by its trunk and the Trace
	// of its record.
	Bury(trunk, trace string)
}

// CallStart is what came of one attempt to call somebody.
type CallStart struct {
	Fate    Fate // FateAccepted, FateRejected or FateRetry: no line was free
	Carrier string
	Began   bool // the far end was asked (rule M3)
	Outcome ivr.Outcome
	After   time.Duration // of FateRetry
}

// Bounds of calls.
const (
	diallingMost = 1000                   // calls that are being made at once
	diallingWait = time.Second            // before one more is tried
	lostPage     = 256                    // persons whose lost calls one task ends
	tellAgain    = 100 * time.Millisecond // while an executor's queue is full
)

// RegisterCaller names who holds calls. It is called before Run.
func (rt *Runtime) RegisterCaller(c Caller) {
	rt.caller = c
	rt.Register(VoiceChannel, &dialler{rt: rt, caller: c})
}

// Call offers a call to the flow that takes those to its number. done is called
// exactly once: with the run that took it, when that is durable; or with
// ErrNotFound when the number is not ours, with ErrRefused when nobody takes the
// call, or why nothing was done. The run's first task comes after done.
func (rt *Runtime) Call(c *IncomingCall, done func(flowengine.Origin, error)) {
	var run flowengine.Origin
	refuse := func(err error) { done(flowengine.Origin{}, err) }
	set := rt.set.Load()
	switch {
	case !rt.fires():
		refuse(ErrStopping)
		return
	case rt.full():
		refuse(ErrOverload)
		return
	case !set.Ours(VoiceChannel, c.To):
		refuse(ErrNotFound)
		return
	case !set.Answers(c.To): // nobody is made a person for having dialled a wrong number
		rt.metrics.inbound.WithLabelValues(VoiceChannel, flowengine.OutcomeUnrouted).Inc()
		refuse(ErrRefused)
		return
	}
	told := func(err error) {
		if err != nil {
			run = flowengine.Origin{}
		}
		done(run, err)
	}
	rt.owner(c.From.Shard()).submit(task{name: "call", done: told, run: func(tx *txn) error {
		m, err := tx.personAt(c.From)
		if err != nil {
			return err
		}
		if owner := rt.owner(m.person.ID.Shard()); owner != tx.ex {
			tx.handOn(owner, task{name: "call", done: told, run: func(tx *txn) (err error) {
				run, err = tx.callAs(m.person.ID, c)
				return err
			}})
			return nil
		}
		run, err = tx.call(m, c)
		return err
	}})
}

// callAs is call by a person of this executor whose address is in another one's shard.
func (tx *txn) callAs(id flowengine.PersonID, c *IncomingCall) (flowengine.Origin, error) {
	m, err := tx.member(id)
	switch {
	case err != nil:
		return flowengine.Origin{}, err
	case m.moved:
		return flowengine.Origin{}, errMerging
	case !m.exists:
		return flowengine.Origin{}, tx.gone(c.From, id)
	}
	return tx.call(m, c)
}

// call is the step that a call makes.
func (tx *txn) call(m *member, c *IncomingCall) (flowengine.Origin, error) {
	r := tx.step(m, &flowengine.Calling{Call: c.ID, From: c.From, To: c.To, At: c.At.UTC().Truncate(time.Millisecond)})
	tx.ex.rt.metrics.inbound.WithLabelValues(VoiceChannel, r.Outcome).Inc()
	if r.Outcome != flowengine.OutcomeEntry {
		return flowengine.Origin{}, ErrRefused
	}
	return flowengine.Origin{Person: m.person.ID, Flow: r.Run.Flow, Version: r.Run.Version, Number: r.Run.Number}, nil
}

// CallOutcome takes what came of a task; done is called when it is durable.
func (rt *Runtime) CallOutcome(o *flowengine.CallOutcome, done func(error)) {
	rt.tellCall(callNews{call: o.Call, origin: o.Origin, outcome: &o.Outcome}, done)
}

// CallEnded notes that a call is over which had no task.
func (rt *Runtime) CallEnded(call string, origin flowengine.Origin, done func(error)) {
	rt.tellCall(callNews{call: call, origin: origin}, done)
}

// callNews is an outcome, or that the call is over (no outcome).
type callNews struct {
	call    string
	origin  flowengine.Origin
	outcome *ivr.Outcome
}

// tellCall lets a run hear of its call. While the queue is full it tries again:
// there is one such news of a call at a time, and a run that missed it would wait
// for ever.
func (rt *Runtime) tellCall(n callNews, done func(error)) {
	var tell func()
	tell = func() {
		rt.owner(n.origin.Person.Shard()).submit(task{
			name: "call_outcome",
			run:  func(tx *txn) error { return tx.tellCall(&n, n.origin.Person, time.Time{}) },
			done: func(err error) {
				if errors.Is(err, ErrOverload) {
					time.AfterFunc(tellAgain, tell)
					return
				}
				done(err)
			},
		})
	}
	tell()
}

func (tx *txn) tellCall(n *callNews, at flowengine.PersonID, until time.Time) error {
	return tx.told(at, n.origin.Person, until, n.cause(), func(at flowengine.PersonID, until time.Time) *relay {
		return &relay{Target: at.Shard(), Kind: relayCall, Body: n.append(at, until)}
	})
}

func (n *callNews) cause() flowengine.Cause {
	if n.outcome == nil {
		return &flowengine.CallEnded{Call: n.call, Origin: n.origin}
	}
	return &flowengine.CallOutcome{Call: n.call, Origin: n.origin, Outcome: *n.outcome}
}

func (n *callNews) append(at flowengine.PersonID, until time.Time) []byte {
	b := record.AppendBytes(nil, 1, at[:])
	b = record.AppendTime(b, 2, until)
	b = record.AppendString(b, 3, n.call)
	b = record.AppendNested(b, 4, func(b []byte) []byte { return flowengine.AppendOrigin(b, &n.origin) })
	return appendCallOutcome(b, 5, n.outcome)
}

// receiveCall is tellCall for a person who was merged meanwhile.
func (tx *txn) receiveCall(body []byte) error {
	n := new(callNews)
	var at flowengine.PersonID
	var until time.Time
	err := record.Decode(body, "call", func(f record.Field) (err error) {
		switch f.Num {
		case 1:
			copy(at[:], f.Bytes)
		case 2:
			until = f.Time()
		case 3:
			n.call = string(f.Bytes)
		case 4:
			err = flowengine.DecodeOrigin(f.Bytes, &n.origin)
		case 5:
			n.outcome, err = decodeCallOutcome(f.Bytes)
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.tellCall(n, at, until)
}

// appendCallOutcome appends what came of a call; nil appends nothing.
func appendCallOutcome(b []byte, num int, o *ivr.Outcome) []byte {
	if o == nil {
		return b
	}
	text, err := json.Marshal(o)
	if err != nil { // unreachable: texts, numbers and truth values
		return b
	}
	return record.AppendBytes(b, num, text)
}

func decodeCallOutcome(b []byte) (*ivr.Outcome, error) {
	o := new(ivr.Outcome)
	if err := json.Unmarshal(b, o); err != nil {
		return nil, errors.Join(record.ErrDamaged, err)
	}
	return o, nil
}

// holdCalls keeps in the index whether a person has calls, and lets the tasks of a
// step out when it is durable.
func (tx *txn) holdCalls(m *member, r *flowengine.Result) {
	if tx.ex.rt.caller != nil {
		tx.batch.calls = append(tx.batch.calls, r.Calls...)
	}
	if !r.CallsChanged {
		return
	}
	if key := callsKey(m.person.ID); m.passages.Calls() {
		tx.put(key, nil, time.Time{})
	} else {
		tx.delete(key)
	}
}

func callsKey(id flowengine.PersonID) []byte {
	return append(appendPrefix(nil, id.Shard(), kindCalls), id[2:]...)
}

// endLostCalls ends the calls that a former process held in the shards of an executor.
func (rt *Runtime) endLostCalls(ctx context.Context, ex *executor) error {
	for more := true; more; {
		err := rt.do(ctx, ex, "lost_calls", func(tx *txn) (err error) {
			more, err = tx.loseCalls()
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loseCalls ends some of the calls that a former process held, and tells whether
// there were any.
func (tx *txn) loseCalls() (more bool, err error) {
	var people []flowengine.PersonID
	for _, s := range tx.ex.shards {
		prefix := appendPrefix(nil, s, kindCalls)
		err := tx.ex.rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
			var id flowengine.PersonID
			if len(key) == len(prefix)+len(id)-2 && !tx.deleted(bytes.Clone(key)) {
				copy(id[:2], key)
				copy(id[2:], key[len(prefix):])
				people = append(people, id)
			}
			return len(people) < lostPage
		})
		if err != nil {
			return false, err
		}
	}
	for _, id := range people {
		m, err := tx.member(id)
		if err != nil {
			return false, err
		}
		if m.exists {
			tx.step(m, &flowengine.CallsLost{})
		}
		tx.delete(callsKey(id)) // of one who was merged or erased too
	}
	return len(people) > 0, nil
}

// dialler makes calls that flows ask for: it is the sender of channel voice.
type dialler struct {
	rt       *Runtime
	caller   Caller
	dialling atomic.Int64
}

// Units implements Sender: a call that was begun is one (rule M3).
func (d *dialler) Units(*Message) uint8 { return 1 }

// Send implements Sender.
func (d *dialler) Send(m *Message, done func(Outcome)) {
	var t ivr.Task
	if err := json.Unmarshal([]byte(m.Text), &t); err != nil || t.Dial == nil {
		done(Outcome{Fate: FateRejected, Code: "bad_task", Parts: m.Sent})
		return
	}
	if d.dialling.Add(1) > diallingMost {
		d.dialling.Add(-1)
		done(Outcome{Fate: FateRetry, Untried: true, After: diallingWait, Parts: m.Sent})
		return
	}
	d.caller.Start(m, t, func(s CallStart) {
		d.dialling.Add(-1)
		done(d.outcome(m, t.Dial, s))
	})
}

// outcome is what came of an attempt, as the outbox sees it. One that found nobody
// is made again as often as the flow says, within the call's validity.
func (d *dialler) outcome(m *Message, dial *ivr.Dial, s CallStart) Outcome {
	o := Outcome{Fate: s.Fate, Carrier: s.Carrier, Parts: m.Sent, Code: s.Outcome.Code, After: s.After}
	if s.Began && o.Parts < 255 {
		o.Parts++
	}
	nobody := s.Outcome.Port == ivr.PortBusy || s.Outcome.Port == ivr.PortNoAnswer
	switch {
	case s.Fate == FateRetry:
		o.Untried = true
	case s.Fate == FateRejected && nobody && int(m.Attempt) < dial.Retries && d.rt.now().Add(dial.Pause).Before(m.Expires):
		o.Fate, o.After, o.Carrier = FateRetry, dial.Pause, "" // over whichever trunk
	default:
		o.Call = &s.Outcome
	}
	return o
}

// unwanted says that a call is due whose run is not there any more to speak on it.
func (ex *executor) unwanted(m *Message) bool {
	if m.Channel != VoiceChannel || m.Origin.Person.IsZero() {
		return false
	}
	tx := &txn{ex: ex, batch: ex.current, now: ex.rt.now()}
	who, err := tx.member(m.Origin.Person)
	if err != nil || who.moved { // who was merged may still want it
		return false
	}
	run := who.passages.Run(m.Origin.Flow, m.Origin.Number)
	return run == nil || run.Sending != m.ID
}
