package flowengine

import (
	"time"

	"trunkline/flowengine/record"
	"trunkline/ivr"
)

// CallState is the call of a run: the one that let the person in, or the last one
// that the run has made.
type CallState struct {
	ID       string // "": it is over
	Outbound bool   // we have called
	From, To string // normalised

	// Digits are what the last collect or menu got. Masked ones go nowhere but
	// into what the flow itself makes of them.
	Digits    string
	Masked    bool
	Recording string        // id of the last one
	Length    time.Duration // of it
	Talk      time.Duration // of the last forwarded call
	Target    string        // who took that
	Code      string        // detail of the last outcome
}

// CallTask is the next thing to be done on a call. It goes out when what led to it
// is durable.
type CallTask struct {
	Call   string
	Origin Origin // its Seq is what the outcome is guarded by (rule X1)
	Task   ivr.Task
}

// Calling is a call to one of our numbers.
type Calling struct {
	Call string // id
	From Address
	To   string // our number, normalised
	At   time.Time
}

// CallOutcome is what came of a CallTask.
type CallOutcome struct {
	Call    string
	Origin  Origin
	Outcome ivr.Outcome
}

// CallEnded says that a call is over while its run waited for nothing of it.
type CallEnded struct {
	Call   string
	Origin Origin // of the run
}

// CallsLost says that the process is gone which held the person's calls.
type CallsLost struct{}

func (*Calling) cause()     {}
func (*CallOutcome) cause() {}
func (*CallEnded) cause()   {}
func (*CallsLost) cause()   {}

// caller is an Element that works on the call of its run.
type caller interface {
	Waiting
	// call says whether the element needs a call, which others make.
	call() bool
}

// live says whether the run has a call that is not over.
func (r *Run) live() bool { return r.Call != nil && r.Call.ID != "" }

// Calls says whether any run has a call that is not over.
func (p *Passages) Calls() bool {
	for i := range p.Runs {
		if p.Runs[i].live() {
			return true
		}
	}
	return false
}

// onCall asks for a task on the run's call and waits for its outcome. Without a
// call, everybody has hung up.
func (x *Passage) onCall(t ivr.Task) Outcome {
	if !x.Run.live() {
		return Take(portHungUp)
	}
	x.result.Calls = append(x.result.Calls, CallTask{x.Run.Call.ID, x.origin(), t})
	return Outcome{wait: true}
}

// origin says that something is done by the element at hand.
func (x *Passage) origin() Origin {
	return Origin{Person: x.Person.ID, Flow: x.Run.Flow, Version: x.Run.Version, Element: x.Element, Number: x.Run.Number, Seq: x.Run.Seq}
}

// calling lets the person into the flow that takes the calls to a number (rule S6).
func (st *step) calling(c *Calling) {
	ref, known := st.set.calls[c.To]
	if !known {
		st.result.Outcome = OutcomeUnrouted
		return
	}
	st.result.Flow = ref.flow.ID
	call := &CallState{ID: c.Call, From: c.From.Value, To: c.To}
	if st.result.Refused = st.offerEntry(ref, &Run{Call: call}); st.result.Refused != "" {
		st.result.Outcome = OutcomeRefused
		return
	}
	st.result.Outcome = OutcomeEntry
	st.result.CallsChanged = true
	st.result.Run = RunKey{ref.flow.ID, ref.version.Ordinal, st.passages.Membership(ref.flow.ID).Entries}
}

// callOutcome lets the run go on that waits for it at that element.
func (st *step) callOutcome(c *CallOutcome) {
	o := st.ours(c.Origin)
	run := st.passages.Run(o.Flow, o.Number)
	if run == nil || run.Call == nil || run.Call.ID != c.Call {
		return
	}
	st.note(run, &c.Outcome)
	if run.Seq == o.Seq && run.Element == o.Element && run.Sending == "" && st.onCall(run) {
		st.resume(run, c)
	}
}

// note keeps what a flow may ask about the call.
func (st *step) note(run *Run, o *ivr.Outcome) {
	call := *run.Call // a copy of the run may share it
	run.Call = &call
	if o.Over {
		call.ID = ""
		st.result.CallsChanged = true
	}
	call.Code = o.Code
	if o.Digits != "" || o.Port == ivr.PortInvalid || o.Port == ivr.PortTimeout {
		call.Digits, call.Masked = o.Digits, o.Masked
	}
	if o.Recording != "" {
		call.Recording, call.Length = o.Recording, o.Length
	}
	if o.Target != "" {
		call.Target, call.Talk = o.Target, o.Talk
	}
	st.result.PassagesChanged = true
}

// onCall says whether the run stands at an element that works on its call.
func (st *step) onCall(run *Run) bool {
	v := st.version(run)
	if v == nil {
		return false
	}
	n := v.Node(run.Element)
	if n == nil {
		return false
	}
	e, ok := n.Element.(caller)
	return ok && e.call()
}

// callEnded notes that a call is over. The next element that needs it will see.
func (st *step) callEnded(c *CallEnded) {
	o := st.ours(c.Origin)
	if run := st.passages.Run(o.Flow, o.Number); run != nil && run.live() && run.Call.ID == c.Call {
		st.note(run, &ivr.Outcome{Over: true, Code: run.Call.Code})
	}
}

// callsLost ends all calls of the person. Runs that stand at an element which
// works on one leave it through hung_up.
func (st *step) callsLost() {
	for _, key := range st.runKeys() {
		run := st.passages.Run(key.Flow, key.Number)
		if run == nil || !run.live() {
			continue
		}
		st.note(run, &ivr.Outcome{Over: true, Code: codeLost})
		if st.onCall(run) {
			st.resume(run, &CallOutcome{Outcome: ivr.Outcome{Port: ivr.PortHungUp, Over: true}})
		}
	}
	st.result.CallsChanged = true
}

// codeLost is why a call is over whose process is gone.
const codeLost = "restarted"

// letGo hangs up the call of a run that ends, and the one that it is making.
func (st *step) letGo(run *Run) {
	o := Origin{Person: st.person.ID, Flow: run.Flow, Version: run.Version, Element: run.Element, Number: run.Number, Seq: run.Seq}
	if run.live() {
		st.hangUp(run.Call.ID, o)
		st.result.CallsChanged = true
	}
	if run.Sending == "" {
		return
	}
	if v := st.version(run); v != nil {
		if n := v.Node(run.Element); n != nil {
			if dials(n.Element, run) {
				st.hangUp(run.Sending, o)
			}
		}
	}
}

// dials says whether what a run is sending at an element is a call.
func dials(e Element, run *Run) bool {
	if f, ok := e.(*Failover); ok {
		return f.calls(run)
	}
	_, ok := e.(caller)
	return ok
}

func (st *step) hangUp(call string, o Origin) {
	st.result.Calls = append(st.result.Calls, CallTask{call, o, ivr.Task{Kind: ivr.KindHangUp}})
}

// unclaimed hangs up a call that we have made and whose run is gone.
func (st *step) unclaimed(r *SendResult, o Origin) {
	if r.Call == nil || !r.Accepted || r.Call.Over {
		return
	}
	if run := st.passages.Run(o.Flow, o.Number); run == nil || run.Call == nil || run.Call.ID != r.ID {
		st.hangUp(r.ID, o)
	}
}

func (c *CallState) append(b []byte) []byte {
	b = record.AppendString(b, 1, c.ID)
	b = record.AppendBool(b, 2, c.Outbound)
	b = record.AppendString(b, 3, c.From)
	b = record.AppendString(b, 4, c.To)
	b = record.AppendString(b, 5, c.Digits)
	b = record.AppendBool(b, 6, c.Masked)
	b = record.AppendString(b, 7, c.Recording)
	b = record.AppendUint(b, 8, uint64(c.Length))
	b = record.AppendUint(b, 9, uint64(c.Talk))
	b = record.AppendString(b, 10, c.Target)
	return record.AppendString(b, 11, c.Code)
}

func decodeCallState(b []byte) (*CallState, error) {
	c := new(CallState)
	return c, record.Decode(b, "call", func(f record.Field) error {
		switch f.Num {
		case 1:
			c.ID = string(f.Bytes)
		case 2:
			c.Outbound = f.Bool()
		case 3:
			c.From = string(f.Bytes)
		case 4:
			c.To = string(f.Bytes)
		case 5:
			c.Digits = string(f.Bytes)
		case 6:
			c.Masked = f.Bool()
		case 7:
			c.Recording = string(f.Bytes)
		case 8:
			c.Length = time.Duration(f.Uint)
		case 9:
			c.Talk = time.Duration(f.Uint)
		case 10:
			c.Target = string(f.Bytes)
		case 11:
			c.Code = string(f.Bytes)
		}
		return nil
	})
}

// The fields of `call` and `collect` in templates and expressions.
var (
	callTypes = map[string]Type{
		"from": Text, "to": Text, "recording": Text, "recorded_seconds": Whole, "talk_seconds": Whole, "target": Text, "code": Text,
	}
	collectTypes = map[string]Type{"digits": Text}
)

// field is one of callTypes; unset when there was no call or no such part.
func (c *CallState) field(name string) Value {
	if c == nil {
		return Value{}
	}
	switch name {
	case "from":
		return optionalText(c.From)
	case "to":
		return optionalText(c.To)
	case "recording":
		return optionalText(c.Recording)
	case "recorded_seconds":
		return Value{Type: Whole, Num: int64(c.Length / time.Second)}
	case "talk_seconds":
		return Value{Type: Whole, Num: int64(c.Talk / time.Second)}
	case "target":
		return optionalText(c.Target)
	case "code":
		return optionalText(c.Code)
	case "digits":
		return optionalText(c.Digits)
	}
	return Value{}
}
