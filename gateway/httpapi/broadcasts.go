package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

func (s *Server) broadcastRoutes() {
	const tag, one = "broadcasts", "/v1/broadcasts/{broadcast}"
	operate(s, route{id: "list-broadcasts", method: get, path: "/v1/broadcasts", tag: tag, scope: Broadcasts, summary: "List broadcasts with their counters"}, s.listBroadcasts)
	operate(s, route{id: "create-broadcast", method: post, path: "/v1/broadcasts", tag: tag, scope: Broadcasts, summary: "Make a broadcast", status: http.StatusCreated,
		about: "It is a draft: add recipients, look at the estimate, then start it. Its id can never be used again. Lists are not read here: post their addresses."}, s.createBroadcast)
	operate(s, route{id: "get-broadcast", method: get, path: one, tag: tag, scope: Broadcasts, summary: "Show a broadcast"}, s.getBroadcast)
	operate(s, route{id: "add-recipients", method: post, path: one + "/recipients", tag: tag, scope: Broadcasts, summary: "Name recipients of a draft",
		about: "Phone numbers, e-mail addresses or ids of persons, at most 10,000 at a time. Who is named twice gets the message once."}, s.addRecipients)
	operate(s, route{id: "estimate-broadcast", method: get, path: one + "/estimate", tag: tag, scope: Broadcasts, summary: "Tell how many would get a broadcast, and what that would cost"}, s.estimateBroadcast)
	operate(s, route{id: "get-broadcast-report", method: get, path: one + "/report", tag: tag, scope: Broadcasts, summary: "Report a broadcast by day"}, s.reportBroadcast)
	for _, v := range []struct {
		verb, summary string
		do            func(ctx context.Context, id string) (runtime.BroadcastStatus, error)
	}{
		{"approve", "Agree to a broadcast that another key has made", func(ctx context.Context, id string) (runtime.BroadcastStatus, error) {
			return s.rt.ApproveBroadcast(ctx, id, operator(ctx))
		}},
		{"start", "Start a broadcast, at its time if it is a draft that has one, and else at once", s.rt.StartBroadcast},
		{"pause", "Hold what has not been given to a carrier", s.rt.PauseBroadcast},
		{"resume", "Let a paused broadcast go on", s.rt.ResumeBroadcast},
		{"cancel", "End a broadcast for good, and withdraw what has not been given to a carrier", s.rt.CancelBroadcast},
	} {
		operate(s, route{id: v.verb + "-broadcast", method: post, path: one + "/" + v.verb, tag: tag, scope: Broadcasts, summary: v.summary}, s.changes(v.do))
	}
}

// BroadcastInput names a broadcast in a path.
type BroadcastInput struct {
	Broadcast string `path:"broadcast" maxLength:"64" doc:"Id of the broadcast."`
}

type broadcastOutput struct{ Body *Broadcast }

// operator is who asks, for the rule that the maker of a broadcast can't approve it.
func operator(ctx context.Context) string { return exchangeOf(ctx).caller }

type listBroadcastsInput struct {
	After string `query:"after" maxLength:"64" doc:"Id of the broadcast after which the list begins."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most broadcasts to list."`
}

type listBroadcastsOutput struct {
	Body struct {
		Broadcasts []*Broadcast `json:"broadcasts" nullable:"false" doc:"The broadcasts, by id."`
	}
}

func (s *Server) listBroadcasts(_ context.Context, in *listBroadcastsInput) (*listBroadcastsOutput, error) {
	all, err := s.rt.Broadcasts(in.After, in.Limit)
	out := new(listBroadcastsOutput)
	out.Body.Broadcasts = []*Broadcast{}
	for i := range all {
		out.Body.Broadcasts = append(out.Body.Broadcasts, ViewBroadcast(&all[i], false))
	}
	return out, err
}

type createBroadcastInput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/json" doc:"What a broadcast file says, as JSON."`
}

func (s *Server) createBroadcast(ctx context.Context, in *createBroadcastInput) (*broadcastOutput, error) {
	if err := isJSON(in.ContentType); err != nil {
		return nil, err
	}
	b, err := s.rt.ParseBroadcast("body", in.RawBody)
	if err != nil {
		return nil, mistakes(err)
	}
	exchangeOf(ctx).flow = flowengine.BroadcastFlow(b.ID)
	st, err := s.rt.CreateBroadcast(ctx, b, operator(ctx))
	if err != nil {
		return nil, err
	}
	return &broadcastOutput{ViewBroadcast(&st, true)}, nil
}

// mistakes tells every mistake of a definition with its pointer.
func mistakes(err error) error {
	var errs strict.Errors
	if !errors.As(err, &errs) {
		return err
	}
	var f faults
	for _, e := range errs {
		f.at(pointerOf(e.Path), e.Message)
	}
	return f.err()
}

func (s *Server) getBroadcast(_ context.Context, in *BroadcastInput) (*broadcastOutput, error) {
	st, err := s.rt.Broadcast(in.Broadcast)
	if err != nil {
		return nil, err
	}
	return &broadcastOutput{ViewBroadcast(&st, true)}, nil
}

type recipientsInput struct {
	BroadcastInput
	Body struct {
		Recipients []string `json:"recipients" minItems:"1" maxItems:"10000" nullable:"false" doc:"Phone numbers, e-mail addresses or ids."`
	}
}

type recipientsOutput struct {
	Body struct {
		Added uint64 `json:"added" doc:"Of them, those who had not been named yet."`
	}
}

func (s *Server) addRecipients(ctx context.Context, in *recipientsInput) (*recipientsOutput, error) {
	exchangeOf(ctx).flow = flowengine.BroadcastFlow(in.Broadcast)
	added, err := s.rt.AddRecipients(ctx, in.Broadcast, in.Body.Recipients)
	out := new(recipientsOutput)
	out.Body.Added = added
	return out, err
}

type estimateOutput struct{ Body *Estimate }

func (s *Server) estimateBroadcast(ctx context.Context, in *BroadcastInput) (*estimateOutput, error) {
	e, err := s.rt.EstimateBroadcast(ctx, in.Broadcast, s.Units)
	return &estimateOutput{ViewEstimate(e)}, err
}

// Units is as how many units a message of a channel is charged.
func (s *Server) Units(channel, text string) int {
	if channel == "sms" {
		return s.parts(text, "")
	}
	return 1
}

type reportBroadcastOutput struct {
	Body struct {
		Days []BroadcastDay `json:"days" nullable:"false" doc:"Days of UTC on which something happened."`
	}
}

func (s *Server) reportBroadcast(_ context.Context, in *BroadcastInput) (*reportBroadcastOutput, error) {
	days, err := s.rt.Days(flowengine.BroadcastFlow(in.Broadcast), time.Time{}, time.Time{})
	out := new(reportBroadcastOutput)
	out.Body.Days = viewBroadcastDays(days)
	return out, err
}

// changes is the operation that changes a broadcast.
func (s *Server) changes(do func(context.Context, string) (runtime.BroadcastStatus, error)) func(context.Context, *BroadcastInput) (*broadcastOutput, error) {
	return func(ctx context.Context, in *BroadcastInput) (*broadcastOutput, error) {
		exchangeOf(ctx).flow = flowengine.BroadcastFlow(in.Broadcast)
		if _, err := do(ctx, in.Broadcast); err != nil {
			return nil, err
		}
		return s.getBroadcast(ctx, in)
	}
}
