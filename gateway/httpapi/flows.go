package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

func (s *Server) flowRoutes() {
	operate(s, route{id: "list-flows", method: get, path: "/v1/flows", tag: "flows", scope: Flows, summary: "List flows with their counters"}, s.listFlows)
	operate(s, route{id: "get-flow", method: get, path: "/v1/flows/{flow}", tag: "flows", scope: Flows, summary: "Show a flow, with the entry points of the Flow API"}, s.getFlow)
	operate(s, route{id: "start-flow", method: post, path: "/v1/flows/{flow}/start", tag: "flows", scope: Admin, summary: "Launch a flow again that was stopped or has finished"}, s.startFlow)
	operate(s, route{id: "stop-flow", method: post, path: "/v1/flows/{flow}/stop", tag: "flows", scope: Admin, summary: "Stop a flow",
		about: "Nobody enters any more. Everybody inside leaves at once, or with drain may go on for that long. With version only that version is stopped."}, s.stopFlow)
	operate(s, route{id: "pause-flow", method: post, path: "/v1/flows/{flow}/pause", tag: "flows", scope: Admin, summary: "Pause a flow",
		about: "Nobody enters, timers are held, and waits take no messages, until it is resumed."}, s.pauseFlow)
	operate(s, route{id: "resume-flow", method: post, path: "/v1/flows/{flow}/resume", tag: "flows", scope: Admin, summary: "Let a paused flow go on"}, s.resumeFlow)
	operate(s, route{id: "remove-participant", method: remove, path: "/v1/flows/{flow}/participants", tag: "participants", scope: Flows, summary: "Take a person out of a flow",
		about: "Name the person by exactly one of phone, email, externalId and id. Timers of the person's runs end, and messages of the runs that have not been handed to a carrier are not sent."}, s.removeParticipant)
}

// FlowInput names a flow in a path.
type FlowInput struct {
	Flow string `path:"flow" maxLength:"64" doc:"Id of the flow."`
}

type flowsOutput struct {
	Body struct {
		Flows []Flow `json:"flows" nullable:"false" doc:"The flows, by id."`
	}
}

type flowOutput struct{ Body *Flow }

func (s *Server) listFlows(context.Context, *struct{}) (*flowsOutput, error) {
	all, err := s.rt.Flows()
	out := new(flowsOutput)
	out.Body.Flows = ViewFlows(all, nil)
	return out, err
}

// Entries lists the entry points of the Flow API that a flow has.
func (s *Server) Entries(flow string) (all []Entry) {
	for _, id := range s.rt.EntryPoints(flow) {
		all = append(all, Entry{ID: id, Path: participantsPath(flow, id), Token: s.Token(flow, id)})
	}
	return all
}

func participantsPath(flow, entry string) string {
	return "/v1/flows/" + url.PathEscape(flow) + "/entries/" + url.PathEscape(entry) + "/participants"
}

func (s *Server) getFlow(ctx context.Context, in *FlowInput) (*flowOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	all, err := s.rt.Flows()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == in.Flow {
			return &flowOutput{&ViewFlows(all[i:i+1], s.Entries)[0]}, nil
		}
	}
	return nil, newProblem(http.StatusNotFound, fmt.Sprintf("there is no flow %q", clip(in.Flow)))
}

func (s *Server) startFlow(ctx context.Context, in *FlowInput) (*flowOutput, error) {
	return s.changeFlow(ctx, in, s.rt.StartFlow)
}

func (s *Server) pauseFlow(ctx context.Context, in *FlowInput) (*flowOutput, error) {
	return s.changeFlow(ctx, in, s.rt.PauseFlow)
}

func (s *Server) resumeFlow(ctx context.Context, in *FlowInput) (*flowOutput, error) {
	return s.changeFlow(ctx, in, s.rt.ResumeFlow)
}

// changeFlow changes the state of a flow and shows the flow.
func (s *Server) changeFlow(ctx context.Context, in *FlowInput, change func(context.Context, string) error) (*flowOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	if err := change(ctx, in.Flow); err != nil {
		return nil, conflict(ctx, err)
	}
	return s.getFlow(ctx, in)
}

// conflict is why a flow's state can't be changed: unless the daemon is in
// trouble, the state that it has.
func conflict(ctx context.Context, err error) error {
	translated := refusal(err)
	if p := new(Problem); errors.As(translated, &p) || ctx.Err() != nil {
		return translated
	}
	return newProblem(http.StatusConflict, err.Error())
}

type removeInput struct {
	FlowInput
	Phone      string `query:"phone" maxLength:"64" doc:"Phone number of the person."`
	Email      string `query:"email" maxLength:"254" doc:"E-mail address of the person."`
	ExternalID string `query:"externalId" maxLength:"256" doc:"Id of the person in another system."`
	ID         string `query:"id" maxLength:"26" doc:"Id of the person."`
	Version    uint32 `query:"version" doc:"The only version to take the person out of. Default: all."`
}

type removeOutput struct {
	Body struct {
		Person    string `json:"person" doc:"Id of the person."`
		Runs      int    `json:"runs" doc:"Runs that ended."`
		Withdrawn int    `json:"withdrawn" doc:"Messages that will not be sent."`
		Sending   int    `json:"sending" doc:"Messages that were with a carrier already."`
	}
}

func (s *Server) removeParticipant(ctx context.Context, in *removeInput) (*removeOutput, error) {
	exchangeOf(ctx).flow = in.Flow
	w, err := in.who()
	if err != nil {
		return nil, err
	}
	done, err := s.rt.Remove(ctx, w, in.Flow, in.Version, "api")
	exchangeOf(ctx).concerns(done.Person)
	out := new(removeOutput)
	out.Body.Person, out.Body.Runs = done.Person.String(), done.Runs
	out.Body.Withdrawn, out.Body.Sending = done.Withdrawn, done.Sending
	return out, err
}

func (in *removeInput) who() (w runtime.Who, err error) {
	var name, value string
	given := 0
	for _, p := range [...][2]string{{"phone", in.Phone}, {"email", in.Email}, {"externalId", in.ExternalID}, {"id", in.ID}} {
		if p[1] != "" {
			name, value = p[0], p[1]
			given++
		}
	}
	if given != 1 {
		return w, newProblem(http.StatusUnprocessableEntity, "name the person by exactly one of phone, email, externalId and id")
	}
	switch name {
	case "id":
		w.ID, err = flowengine.ParsePersonID(value)
	case "externalId":
		w.Address, err = addressOf("external", value)
	default:
		w.Address, err = addressOf(name, value)
	}
	if err != nil {
		err = newProblem(http.StatusUnprocessableEntity, "validation failed", Fault{Parameter: name, Detail: err.Error()})
	}
	return w, err
}
