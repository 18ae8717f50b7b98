package main

import (
	"context"
	"encoding/json"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/webhook"
)

// caller carries out the requests of flows to APIs (rule X9).
type caller struct {
	edge *webhook.Edge
	ctx  context.Context // of the daemon: ends when it stops
}

var _ runtime.Sender = caller{}

// Send implements runtime.Sender.
func (c caller) Send(m *runtime.Message, done func(runtime.Outcome)) {
	var r flowengine.APIRequest
	if err := json.Unmarshal([]byte(m.Text), &r); err != nil {
		done(runtime.Outcome{Fate: runtime.FateRejected, Code: "damaged"})
		return
	}
	request := webhook.Request{
		ID: m.ID, Method: r.Method, URL: m.To, Body: []byte(r.Body), Timeout: r.Timeout, Retries: r.Retries, Collect: r.Collect, Expires: m.Expires,
	}
	if r.Retries == 0 {
		request.Retries = webhook.NoRetries
	}
	for _, h := range r.Headers {
		request.Header = append(request.Header, webhook.HeaderField{Name: h[0], Value: h[1]})
	}
	c.edge.Do(c.ctx, request, func(answer webhook.Response) { done(outcomeOf(&answer)) })
}

// Units implements runtime.Sender: a request counts once, however often it was
// tried (rule M3).
func (c caller) Units(*runtime.Message) uint8 { return 1 }

// outcomeOf tells the runtime what became of a request.
func outcomeOf(r *webhook.Response) runtime.Outcome {
	switch {
	case r.OK():
		return runtime.Outcome{Fate: runtime.FateAccepted, Parts: 1, Vars: varsOf(r.Vars)}
	case r.Again():
		return runtime.Outcome{Fate: runtime.FateRetry, Code: string(r.Err), After: r.RetryAfter}
	case r.Attempts == 0:
		return runtime.Outcome{Fate: runtime.FateRejected, Code: string(r.Err)}
	}
	return runtime.Outcome{Fate: runtime.FateRejected, Code: string(r.Err), Parts: 1}
}

func varsOf(answer map[string]any) (vars flowengine.Attrs) {
	for name, x := range answer {
		to := flowengine.Text
		switch v := x.(type) {
		case bool:
			to = flowengine.Boolean
		case int64:
			to = flowengine.Whole
		case webhook.Decimal:
			to, x = flowengine.Decimal, string(v)
		}
		if v, err := flowengine.Coerce(x, to); err == nil { // what does not fit a variable is left out
			vars.Set(name, v)
		}
	}
	return vars
}

// notifier tells requesters of the Flow API that their participants are done.
type notifier struct {
	caller
	body func(operation string) ([]byte, error)
}

// Send implements runtime.Sender.
func (n notifier) Send(m *runtime.Message, done func(runtime.Outcome)) {
	body, err := n.body(m.Text)
	if err != nil {
		done(runtime.Outcome{Fate: runtime.FateRejected, Code: "no_operation"})
		return
	}
	request := webhook.Request{
		ID: m.ID, Method: "POST", URL: m.To, Body: body, Retries: webhook.NoRetries, Expires: m.Expires,
		Header: []webhook.HeaderField{{Name: "Content-Type", Value: "application/json"}},
	}
	n.edge.Do(n.ctx, request, func(answer webhook.Response) {
		o := outcomeOf(&answer)
		if o.Fate == runtime.FateRejected && !answer.Gone() && answer.Attempts > 0 { // the schedule of Standard Webhooks
			if pause, more := webhook.NextAttempt(int(m.Attempt) + 1); more {
				o = runtime.Outcome{Fate: runtime.FateRetry, Code: o.Code, After: max(webhook.Spread(pause, m.ID), time.Second)}
			}
		}
		done(o)
	})
}
