package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// Bounds of events.
const (
	eventPast     = 90 * 24 * time.Hour
	eventFuture   = 5 * time.Minute // clocks differ
	eventsMost    = 1000
	eventsAtOnce  = 64
	maxEventID    = 128
	maxEventBytes = 32 << 10
)

func (s *Server) eventRoutes() {
	operate(s, route{id: "send-event", method: post, path: "/v1/people/{ref}/events", tag: "events", scope: Events, summary: "Let a People event happen",
		about: "An event whose id the person had within 7 days changes nothing, and is answered as repeated."}, s.sendEvent)
	operate(s, route{id: "send-events", method: post, path: "/v1/events", tag: "events", scope: Events, summary: "Let up to 1000 People events happen",
		about: "Each event has its own result; one that is rejected does not stop the others. Events of one request may happen in any order."}, s.sendEvents)
	operate(s, route{id: "person-events", method: get, path: "/v1/people/{ref}/events", tag: "events", scope: Events, summary: "Read a person's events, oldest first"}, s.personEvents)
}

// EventInput is a People event as callers write it.
type EventInput struct {
	ID         string                     `json:"id,omitempty" maxLength:"128" doc:"Id of the event, for telling repetitions."`
	Name       string                     `json:"name" minLength:"1" maxLength:"64" doc:"Name of the event."`
	Properties map[string]json.RawMessage `json:"properties,omitempty" doc:"Properties by name: strings, numbers, true and false. A string that is an instant (RFC 3339) is kept as one. Of an event that is declared among people.events they have its types, and no others."`
	At         *time.Time                 `json:"at,omitempty" doc:"When it happened; at most 90 days ago. Now, when left out."`
	Create     bool                       `json:"create,omitempty" doc:"Make the person when the reference is an address that leads to nobody."`
}

// Happened reads an event; at is where it stands in the body. The schema may know the
// types of its properties.
func (e *EventInput) Happened(schema *flowengine.Schema, now time.Time, at string) (*flowengine.Happened, []Fault) {
	var f faults
	out := &flowengine.Happened{ID: e.ID, Name: e.Name, At: now, Props: eventProperties(schema.Event(e.Name), e.Properties, at+"/properties", &f)}
	if e.At != nil {
		out.At = e.At.UTC().Truncate(time.Millisecond)
		if out.At.Before(now.Add(-eventPast)) || out.At.After(now.Add(eventFuture)) {
			f.at(at+"/at", "it is more than 90 days ago, or more than 5 minutes ahead")
		}
	}
	if !printable(e.Name) || e.Name == "" || len(e.Name) > maxName {
		f.at(at+"/name", fmt.Sprintf("a name is 1 to %d octets of printable text", maxName))
	}
	if !printable(e.ID) || len(e.ID) > maxEventID {
		f.at(at+"/id", fmt.Sprintf("an id is at most %d octets of printable text", maxEventID))
	}
	if n := len(flowengine.AppendHappened(nil, out)); n > maxEventBytes {
		f.at(at, fmt.Sprintf("the event has %d octets, more than %d", n, maxEventBytes))
	}
	return out, f
}

type eventInput struct {
	RefInput
	Body EventInput
}

type eventOutput struct {
	Body struct {
		Person string `json:"person" doc:"Id of the person."`
		Status string `json:"status" enum:"accepted,repeated" doc:"Whether the event took effect now, or had before."`
	}
}

// EventStatus tells whether an event took effect now or had before.
func EventStatus(a runtime.Acted) string {
	if a.Outcome == runtime.OutcomeRepeated {
		return "repeated"
	}
	return "accepted"
}

func (s *Server) sendEvent(ctx context.Context, in *eventInput) (*eventOutput, error) {
	w, err := who(in.Ref)
	if err != nil {
		return nil, err
	}
	e, wrong := in.Body.Happened(s.rt.Schema(), s.stamp(), "")
	if err := faults(wrong).err(); err != nil {
		return nil, err
	}
	w.Create = in.Body.Create && w.ID.IsZero()
	acted, err := s.rt.Happen(ctx, w, e)
	exchangeOf(ctx).concerns(acted.Person)
	out := new(eventOutput)
	out.Body.Person, out.Body.Status = acted.Person.String(), EventStatus(acted)
	return out, err
}

// stamp is now as the store keeps it.
func (s *Server) stamp() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

type eventsInput struct {
	Body struct {
		Events []personEvent `json:"events" minItems:"1" maxItems:"1000" doc:"The events."`
	}
}

type personEvent struct {
	Person string `json:"person" doc:"The person: an id, phone:…, email:… or external:…"`
	EventInput
}

type eventResult struct {
	Index  int    `json:"index" doc:"Place of the event in the request."`
	Status string `json:"status" enum:"accepted,repeated,rejected" doc:"What became of it."`
	Person string `json:"person,omitempty" doc:"Id of the person."`
	Reason string `json:"reason,omitempty" doc:"Why it was rejected."`
	// Errors are the fields that are wrong.
	Errors []Fault `json:"errors,omitempty" doc:"Every field that is wrong."`
}

type eventsOutput struct {
	Body struct {
		Accepted int           `json:"accepted" doc:"Events that took effect now."`
		Repeated int           `json:"repeated" doc:"Events that had taken effect before."`
		Rejected int           `json:"rejected" doc:"Events that did not."`
		Results  []eventResult `json:"results" nullable:"false" doc:"What became of each, in the order of the request."`
	}
}

func (s *Server) sendEvents(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	now := s.stamp()
	results := make([]eventResult, len(in.Body.Events))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(eventsAtOnce)
	for i := range in.Body.Events {
		g.Go(func() (err error) {
			results[i], err = s.eventOf(ctx, i, &in.Body.Events[i], now)
			return err
		})
	}
	if err := g.Wait(); err != nil { // the daemon, not an event, is in trouble
		return nil, err
	}
	out := new(eventsOutput)
	out.Body.Results = results
	for _, r := range results {
		switch r.Status {
		case "accepted":
			out.Body.Accepted++
		case "repeated":
			out.Body.Repeated++
		default:
			out.Body.Rejected++
		}
	}
	return out, nil
}

// eventOf lets one of several events happen. What is wrong with it is its
// result; an error is the daemon's.
func (s *Server) eventOf(ctx context.Context, i int, e *personEvent, now time.Time) (eventResult, error) {
	out := eventResult{Index: i, Status: "rejected"}
	at := pointer("events", fmt.Sprint(i))
	w, err := Reference(e.Person)
	if err != nil {
		out.Reason, out.Errors = "validation failed", []Fault{{Pointer: at + "/person", Detail: err.Error()}}
		return out, nil
	}
	h, wrong := e.Happened(s.rt.Schema(), now, at)
	if len(wrong) > 0 {
		out.Reason, out.Errors = "validation failed", wrong
		return out, nil
	}
	w.Create = e.Create && w.ID.IsZero()
	acted, err := s.rt.Happen(ctx, w, h)
	if p, ok := refusal(err).(*Problem); ok && p.Status < http.StatusInternalServerError { //nolint:errorlint // refusal gives a Problem itself
		out.Reason = p.Detail
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Status, out.Person = EventStatus(acted), acted.Person.String()
	return out, nil
}

type eventsPage struct {
	Body struct {
		Events []Event `json:"events" nullable:"false" doc:"The events, oldest first."`
		Cursor string  `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

func (s *Server) personEvents(ctx context.Context, in *pageInput) (*eventsPage, error) {
	mark, err := markPlace(in.Cursor, 'e')
	if err != nil {
		return nil, err
	}
	id, err := s.found(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	page, next, err := s.rt.Events(id, mark, in.Limit)
	out := new(eventsPage)
	out.Body.Events, out.Body.Cursor = viewEvents(page), markCursor('e', next)
	return out, err
}
