package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"trunkline/flowengine/runtime"
)

func (s *Server) webhookRoutes() {
	operate(s, route{id: "list-webhooks", method: get, path: "/v1/webhooks", tag: "webhooks", scope: Admin, summary: "List the endpoints of outgoing webhooks, and how they do"}, s.listWebhooks)
	operate(s, route{id: "dead-webhooks", method: get, path: "/v1/webhooks/dead", tag: "webhooks", scope: Admin, summary: "List webhooks that could not be delivered",
		about: "They are kept for 14 days."}, s.deadWebhooks)
	operate(s, route{id: "replay-webhooks", method: post, path: "/v1/webhooks/replay", tag: "webhooks", scope: Admin, summary: "Deliver webhooks again that could not be delivered",
		about: "Each has the id that it had, by which its receiver tells a repetition."}, s.replayWebhooks)
}

// Webhook is an endpoint of outgoing webhooks.
type Webhook struct {
	Endpoint  string     `json:"endpoint" doc:"Name of the endpoint."`
	URL       string     `json:"url" doc:"Where it is."`
	Events    []string   `json:"events,omitempty" doc:"Which events it hears of; all when left out."`
	Flows     []string   `json:"flows,omitempty" doc:"Of which flows; of all when left out."`
	Circuit   string     `json:"circuit" enum:"closed,open,trying" doc:"closed: deliveries are made; open: it has not answered for a while and is left alone; trying: one delivery finds out whether it is back."`
	Until     *time.Time `json:"until,omitempty" doc:"Until when it is left alone."`
	Delivered uint64     `json:"delivered" doc:"Deliveries since the daemon started."`
	Failed    uint64     `json:"failed" doc:"Attempts that failed since then."`
	InFlight  int        `json:"in_flight" doc:"Deliveries on their way."`
	LastError string     `json:"last_error,omitempty" doc:"Why an attempt failed last."`
	LastAt    *time.Time `json:"last_error_at,omitempty" doc:"When that was."`
}

type webhooksOutput struct {
	Body struct {
		Webhooks []Webhook `json:"webhooks" nullable:"false" doc:"The endpoints, by name."`
	}
}

func (s *Server) listWebhooks(context.Context, *struct{}) (*webhooksOutput, error) {
	out := new(webhooksOutput)
	out.Body.Webhooks = []Webhook{}
	if s.webhooks != nil {
		out.Body.Webhooks = s.webhooks()
	}
	return out, nil
}

// DeadWebhook is a webhook that could not be delivered.
type DeadWebhook struct {
	ID       string          `json:"id" doc:"Id of the webhook."`
	Endpoint string          `json:"endpoint" doc:"Name of its endpoint."`
	At       time.Time       `json:"at" doc:"When it was given up."`
	Attempts uint8           `json:"attempts" doc:"Attempts before the last one."`
	Reason   string          `json:"reason" doc:"Why the last attempt failed."`
	Payload  json.RawMessage `json:"payload" doc:"What it tells."`
}

// ViewDead makes the plain form of webhooks that could not be delivered.
func ViewDead(all []runtime.DeadHook) []DeadWebhook {
	views := []DeadWebhook{}
	for i := range all {
		d := &all[i]
		views = append(views, DeadWebhook{d.ID, d.Endpoint, d.At, d.Attempts, d.Reason, json.RawMessage(d.Payload)})
	}
	return views
}

type deadInput struct {
	Endpoint string `query:"endpoint" maxLength:"64" doc:"Only those of this endpoint."`
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Webhooks to list at most."`
}

type deadOutput struct {
	Body struct {
		Webhooks []DeadWebhook `json:"webhooks" nullable:"false" doc:"The webhooks, in no particular order."`
		Total    int           `json:"total" doc:"How many there are."`
	}
}

func (s *Server) deadWebhooks(_ context.Context, in *deadInput) (*deadOutput, error) {
	all, total, err := s.rt.DeadHooks(runtime.DeadFilter{Endpoint: in.Endpoint}, in.Limit)
	out := new(deadOutput)
	out.Body.Webhooks, out.Body.Total = ViewDead(all), total
	return out, err
}

type replayInput struct {
	Body struct {
		Endpoint string `json:"endpoint,omitempty" maxLength:"64" doc:"Only those of this endpoint."`
		ID       string `json:"id,omitempty" maxLength:"128" doc:"Only the one with this id."`
	}
}

type replayOutput struct {
	Body struct {
		Replayed int `json:"replayed" doc:"How many are delivered again."`
	}
}

func (s *Server) replayWebhooks(ctx context.Context, in *replayInput) (out *replayOutput, err error) {
	out = new(replayOutput)
	out.Body.Replayed, err = s.rt.ReplayHooks(ctx, runtime.DeadFilter{Endpoint: in.Body.Endpoint, ID: in.Body.ID})
	return out, err
}
