package main

import (
	"context"
	"errors"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway"
	"trunkline/ivr"
)

// Calls between the voice edge and the runtime: the gateway's words on one side,
// the engine's on the other.

var _ gateway.CallCore = core{}

// Call implements gateway.CallCore.
func (c core) Call(in gateway.Call, done func(gateway.CallRef, error)) {
	from := phone(in.From)
	if from.Value == "" {
		done(gateway.CallRef{}, gateway.ErrAnonymous)
		return
	}
	call := &runtime.IncomingCall{ID: in.ID, From: from, To: phone(in.To).Value, At: in.Received}
	c.rt.Call(call, func(o flowengine.Origin, err error) { done(refOf(o), callError(err)) })
}

// CallOutcome implements gateway.CallCore.
func (c core) CallOutcome(o gateway.CallOutcome, done func(error)) {
	c.rt.CallOutcome(&flowengine.CallOutcome{Call: o.Call, Origin: originOf(o.Ref), Outcome: o.Outcome}, func(err error) { done(callError(err)) })
}

// CallEnded implements gateway.CallCore.
func (c core) CallEnded(call string, ref gateway.CallRef, done func(error)) {
	c.rt.CallEnded(call, originOf(ref), func(err error) { done(callError(err)) })
}

// CallRecord implements gateway.CallCore.
func (c core) CallRecord(r gateway.CallRecord, done func(error)) {
	c.rt.KeepCall(&runtime.CallRecord{
		Call: r.Call, Leg: r.Leg, Origin: originOf(r.Ref), Outbound: r.Outbound, Trunk: r.Trunk, From: r.From, To: r.To,
		Setup: r.Setup, Alerting: r.Alerting, Answered: r.Answered, Ended: r.Ended, Final: r.Final,
		Status: uint16(max(0, min(r.Status, 999))), Cause: r.Cause, By: r.By, Detail: r.Detail,
		Codec: r.Codec, MOS: uint16(100 * r.Quality.MOS), Lost: uint16(10_000 * max(0, min(r.Quality.Lost, 1))), Jitter: r.Quality.Jitter, Trace: r.Trace,
	}, func(err error) { done(callError(err)) })
}

// callError translates why the runtime refused a call.
func callError(err error) error {
	switch {
	case errors.Is(err, runtime.ErrRefused):
		return gateway.ErrNotTaken
	case errors.Is(err, runtime.ErrNotFound):
		return gateway.ErrUnknownNumber
	}
	return gatewayError(err)
}

func refOf(o flowengine.Origin) gateway.CallRef {
	if o.Person.IsZero() {
		return gateway.CallRef{}
	}
	return gateway.CallRef{Person: o.Person.String(), Flow: o.Flow, Version: o.Version, Element: o.Element, Run: o.Number, Seq: o.Seq}
}

func originOf(r gateway.CallRef) flowengine.Origin {
	o := flowengine.Origin{Flow: r.Flow, Version: r.Version, Element: r.Element, Number: r.Run, Seq: r.Seq}
	if id, err := flowengine.ParsePersonID(r.Person); err == nil {
		o.Person = id
	}
	return o
}

// callHost is the voice edge as the runtime sees it.
type callHost struct {
	caller gateway.Caller
	ctx    context.Context // of the daemon: ends when it stops
}

var _ runtime.Caller = callHost{}

// Do implements runtime.Caller.
func (h callHost) Do(t flowengine.CallTask) {
	h.caller.Do(gateway.CallTask{Call: t.Call, Ref: refOf(t.Origin), Task: t.Task})
}

// Start implements runtime.Caller.
func (h callHost) Start(m *runtime.Message, t ivr.Task, done func(runtime.CallStart)) {
	o := gateway.OutboundCall{ID: m.ID, Ref: refOf(m.Origin), Task: t, Expires: m.Expires, Attempt: m.Attempt}
	if m.Marketing {
		o.Category = gateway.Marketing
	}
	h.caller.Start(h.ctx, o, func(r gateway.StartResult) {
		done(runtime.CallStart{Fate: fates[r.Fate], Carrier: r.Trunk, Began: r.Began, Outcome: r.Outcome, After: r.After})
	})
}

// Bury implements runtime.Caller.
func (h callHost) Bury(trunk, trace string) { h.caller.Bury(trunk, trace) }

// noCalls is there when no voice edge is configured: calls fail, and say why.
type noCalls struct{ rt *runtime.Runtime }

// Do implements runtime.Caller.
func (n noCalls) Do(t flowengine.CallTask) {
	n.rt.CallOutcome(&flowengine.CallOutcome{Call: t.Call, Origin: t.Origin, Outcome: ivr.Outcome{Port: ivr.PortHungUp, Over: true}}, func(error) {})
}

// Start implements runtime.Caller.
func (n noCalls) Start(_ *runtime.Message, _ ivr.Task, done func(runtime.CallStart)) {
	done(runtime.CallStart{Fate: runtime.FateRejected, Outcome: ivr.Outcome{Port: ivr.PortFailed, Code: "no_voice_edge", Over: true}, After: time.Second})
}

// Bury implements runtime.Caller: without an edge, peers notice by themselves.
func (noCalls) Bury(string, string) {}
