package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
)

type searchInput struct {
	Body struct {
		Where    json.RawMessage `json:"where" doc:"Condition as in flows and segments, such as {\"attr\": \"shoeSize\", \"op\": \"gte\", \"value\": 44}; all, any and not join several."`
		Timezone string          `json:"timezone,omitempty" default:"UTC" maxLength:"64" doc:"Time zone in which the days of the condition begin and end."`
		Limit    int             `json:"limit,omitempty" default:"50" minimum:"1" maximum:"500" doc:"Most people of a page."`
		Cursor   string          `json:"cursor,omitempty" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
	}
}

// searchPeople is one page of the people for whom a condition holds.
func (s *Server) searchPeople(ctx context.Context, in *searchInput) (*peoplePage, error) {
	b := &in.Body
	var f faults
	condition, err := flowengine.ParsePredicate("body", b.Where, s.rt.Schema())
	var errs strict.Errors
	if errors.As(err, &errs) {
		for _, e := range errs {
			f.at("/where"+pointerOf(e.Path), e.Message)
		}
	} else if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(b.Timezone)
	if err != nil || b.Timezone == "Local" {
		f.at("/timezone", "it is not a time zone: a name such as Europe/Zagreb is expected")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	after, err := personPlace(b.Cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := s.rt.Search(ctx, condition, zone, after, b.Limit)
	if err != nil {
		return nil, err
	}
	return viewPage(page, next), nil
}
