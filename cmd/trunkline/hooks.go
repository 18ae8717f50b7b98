package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
	"trunkline/gateway/webhook"
)

// Outgoing webhooks in the daemon: their section of the configuration, and how
// rows of the outbox reach their endpoints.

// hookSettings is one of webhooks.
type hookSettings struct {
	webhook.Endpoint `yaml:",inline"`
	Flows            []string `yaml:"flows" max:"1000" doc:"Flows whose events are sent; those of all, and of messages outside of flows, when left out."`
}

// webhooks checks the section webhooks beyond what its tags say.
func (l *loader) webhooks(doc *strict.Document, all []hookSettings) {
	events := runtime.HookEvents()
	for i := range all {
		at := []any{"webhooks", i}
		l.fieldErrors(doc, at, all[i].Validate())
		if err := l.config.settings.HTTP.CheckURL(all[i].URL); err != nil && webhook.CheckURL(all[i].URL) == nil { // else it is told
			doc.ErrorAt(append(at, "url"), "url: %v", err)
		}
		if all[i].Name != "" {
			l.once(doc, "webhook", all[i].Name, append(at, "endpoint")...)
		}
		for j, pattern := range all[i].Events {
			e := webhook.Endpoint{Events: []string{pattern}}
			if !slices.ContainsFunc(events, e.Wants) {
				doc.ErrorAt(append(at, "events", j), "there is no event %q; there are %s", pattern, strings.Join(events, ", "))
			}
		}
	}
}

// webhookFlows checks that the flows exist which webhooks name. It comes after
// the flows were read.
func (l *loader) webhookFlows(doc *strict.Document, all []hookSettings) {
	for i := range all {
		for j, id := range all[i].Flows {
			if _, known := l.first["flow "+id]; !known && len(l.errs) == 0 {
				doc.ErrorAt([]any{"webhooks", i, "flows", j}, "there is no flow %q", id)
			}
		}
	}
}

// reach checks what a flow needs of the HTTP edge.
func (l *loader) reach(doc *strict.Document, v *flowengine.Version) {
	for _, a := range v.WebAddresses() {
		if err := l.config.settings.HTTP.CheckURL(a.URL); err != nil {
			doc.ErrorAt(a.Path, "%v", err)
		}
	}
}

// hooksOf is what the runtime is told of endpoints.
func hooksOf(all []hookSettings) []runtime.Hook {
	hooks := make([]runtime.Hook, len(all))
	for i := range all {
		hooks[i] = runtime.Hook{Name: all[i].Name, Wants: all[i].Wants, Flows: all[i].Flows}
	}
	return hooks
}

// Bounds of one endpoint.
const (
	hookInFlight = 128             // deliveries with the edge at once
	hookCrowded  = 2 * time.Second // how long, at least, the rest waits in the store
)

// hookSender delivers rows of the outbox to endpoints.
type hookSender struct {
	edge *webhook.Edge
	ctx  context.Context // of the daemon: ends when it stops
	now  func() time.Time

	mu        sync.RWMutex
	endpoints map[string]*hookEndpoint
}

var _ runtime.Sender = (*hookSender)(nil)

// hookEndpoint is an endpoint and how it does. A reload keeps the latter.
type hookEndpoint struct {
	settings atomic.Pointer[hookSettings]
	circuit  webhook.Circuit
	inFlight atomic.Int32

	delivered, failed atomic.Uint64 // attempts since the start
	last              atomic.Pointer[hookFailure]
}

type hookFailure struct {
	at     time.Time
	reason string
}

// reload takes over endpoints.
func (s *hookSender) reload(all []hookSettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]*hookEndpoint{}
	for i := range all {
		e := s.endpoints[all[i].Name]
		if e == nil || e.settings.Load().URL != all[i].URL { // what was known is of another server
			e = new(hookEndpoint)
		}
		e.settings.Store(&all[i])
		next[all[i].Name] = e
	}
	s.endpoints = next
}

func (s *hookSender) endpoint(name string) *hookEndpoint {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.endpoints[name]
}

// Units implements runtime.Sender.
func (*hookSender) Units(*runtime.Message) uint8 { return 1 }

// Send implements runtime.Sender. A row whose endpoint is in trouble, or has as
// many as it can take, goes back to the store at once: it holds up no other.
func (s *hookSender) Send(m *runtime.Message, done func(runtime.Outcome)) {
	e := s.endpoint(m.To)
	if e == nil {
		done(runtime.Outcome{Fate: runtime.FateRejected, Code: "no_endpoint"})
		return
	}
	if e.inFlight.Add(1) > hookInFlight {
		e.inFlight.Add(-1)
		done(runtime.Outcome{Fate: runtime.FateRetry, Code: "crowded", Untried: true, After: hookCrowded + rand.N(2*hookCrowded)})
		return
	}
	if wait, ok := e.circuit.Enter(s.now()); !ok {
		e.inFlight.Add(-1)
		done(runtime.Outcome{Fate: runtime.FateRetry, Code: "circuit_open", Untried: true, After: wait + rand.N(wait/4+time.Second)})
		return
	}
	s.edge.Do(s.ctx, e.settings.Load().Request(m.ID, []byte(m.Text)), func(answer webhook.Response) {
		e.inFlight.Add(-1)
		done(s.outcome(e, m, &answer))
	})
}

// outcome tells what an answer means for the row and for the endpoint.
func (s *hookSender) outcome(e *hookEndpoint, m *runtime.Message, r *webhook.Response) runtime.Outcome {
	if r.OK() {
		e.circuit.Answered()
		e.delivered.Add(1)
		return runtime.Outcome{Fate: runtime.FateAccepted, Parts: 1}
	}
	reason := string(r.Err)
	if r.Status != 0 {
		reason = fmt.Sprintf("%s %d", r.Err, r.Status)
	}
	if r.Again() {
		e.circuit.Leave()
		return runtime.Outcome{Fate: runtime.FateRetry, Code: reason, Untried: true, After: max(r.RetryAfter, hookCrowded)}
	}
	e.failed.Add(1)
	e.last.Store(&hookFailure{s.now(), reason})
	if r.Status != 0 && r.Status < 500 && r.Status != http.StatusTooManyRequests && !r.Gone() {
		e.circuit.Answered()
	} else {
		e.circuit.Failed(s.now())
	}
	if pause, more := webhook.NextAttempt(int(m.Attempt) + 1); more && !r.Gone() && r.Attempts > 0 {
		return runtime.Outcome{Fate: runtime.FateRetry, Code: reason, After: max(webhook.Spread(pause, m.ID), r.RetryAfter)}
	}
	return runtime.Outcome{Fate: runtime.FateRejected, Code: reason}
}

// status lists the endpoints by name.
func (s *hookSender) status() []httpapi.Webhook {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := []httpapi.Webhook{}
	for _, name := range slices.Sorted(maps.Keys(s.endpoints)) {
		e := s.endpoints[name]
		c := e.settings.Load()
		v := httpapi.Webhook{Endpoint: name, URL: c.URL, Events: c.Events, Flows: c.Flows, Delivered: e.delivered.Load(), Failed: e.failed.Load(), InFlight: int(e.inFlight.Load())}
		var until time.Time
		if v.Circuit, until = e.circuit.State(s.now()); !until.IsZero() {
			v.Until = &until
		}
		if f := e.last.Load(); f != nil {
			v.LastError, v.LastAt = f.reason, &f.at
		}
		all = append(all, v)
	}
	return all
}
