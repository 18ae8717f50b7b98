package httpapi

import (
	"context"
	"net/http"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

func (s *Server) segmentRoutes() {
	operate(s, route{id: "list-segments", method: get, path: "/v1/segments", tag: "segments", scope: People, summary: "List segments with the numbers of their members"}, s.listSegments)
	operate(s, route{id: "get-segment", method: get, path: "/v1/segments/{segment}", tag: "segments", scope: People, summary: "Show a segment"}, s.getSegment)
	operate(s, route{id: "list-members", method: get, path: "/v1/segments/{segment}/people", tag: "segments", scope: People, summary: "List the people in a segment",
		about: "Lists people in the order of their ids, from the segment's index: go on until there is no cursor."}, s.listMembers)
	operate(s, route{id: "recompute-segment", method: post, path: "/v1/segments/{segment}/recompute", tag: "segments", scope: Admin, summary: "Compute a segment anew", status: http.StatusAccepted,
		about: "The computation goes on after the answer, also over a restart; the segment shows how far it is."}, s.recomputeSegment)
}

// Segment is a segment with the number of its members.
type Segment struct {
	ID        string     `json:"id" doc:"Id of the segment."`
	Name      string     `json:"name" doc:"Name for people."`
	Update    string     `json:"update" doc:"real_time or snapshot."`
	Members   uint64     `json:"members" doc:"People in it."`
	Computed  *time.Time `json:"computed,omitempty" doc:"When it was last computed as a whole; none before the first time."`
	Computing bool       `json:"computing" doc:"It is being computed: members are still missing, or too many."`
	Progress  float64    `json:"progress" doc:"How far that is, from 0 to 1."`
	Removed   bool       `json:"removed,omitempty" doc:"It is no longer configured, and being cleared."`
}

// ViewSegment makes the plain form of a segment.
func ViewSegment(s *runtime.SegmentStatus) Segment {
	v := Segment{ID: s.ID, Name: s.Name, Update: s.Update, Members: s.Members, Computing: s.Computing, Progress: s.Progress, Removed: s.Removed}
	if !s.Computed.IsZero() {
		v.Computed = &s.Computed
	}
	return v
}

// ViewSegments makes the plain form of segments.
func ViewSegments(all []runtime.SegmentStatus) []Segment {
	views := make([]Segment, len(all))
	for i := range all {
		views[i] = ViewSegment(&all[i])
	}
	return views
}

// SegmentInput names a segment in a path.
type SegmentInput struct {
	Segment string `path:"segment" maxLength:"64" doc:"Id of the segment."`
}

type segmentOutput struct{ Body *Segment }

type segmentsOutput struct {
	Body struct {
		Segments []Segment `json:"segments" nullable:"false" doc:"The segments, by id."`
	}
}

func (s *Server) listSegments(context.Context, *struct{}) (*segmentsOutput, error) {
	all, err := s.rt.Segments()
	out := new(segmentsOutput)
	out.Body.Segments = ViewSegments(all)
	return out, err
}

func (s *Server) getSegment(_ context.Context, in *SegmentInput) (*segmentOutput, error) {
	status, err := s.rt.SegmentOf(in.Segment)
	if err != nil {
		return nil, err
	}
	v := ViewSegment(&status)
	return &segmentOutput{&v}, nil
}

type membersInput struct {
	SegmentInput
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most people of a page."`
	Cursor string `query:"cursor" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
}

func (s *Server) listMembers(ctx context.Context, in *membersInput) (*peoplePage, error) {
	if _, err := s.rt.SegmentOf(in.Segment); err != nil {
		return nil, err
	}
	return s.find(ctx, runtime.Query{Segments: []string{in.Segment}}, in.Cursor, in.Limit)
}

// find is one page of the people that a query asks for.
func (s *Server) find(ctx context.Context, q runtime.Query, cursor string, limit int) (*peoplePage, error) {
	after, err := personPlace(cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := s.rt.Find(ctx, q, after, limit)
	if err != nil {
		return nil, err
	}
	return viewPage(page, next), nil
}

func viewPage(page []flowengine.Person, next flowengine.PersonID) *peoplePage {
	out := new(peoplePage)
	out.Body.People, out.Body.Cursor = []Person{}, personCursor(next)
	for i := range page {
		out.Body.People = append(out.Body.People, *ViewPerson(&runtime.Profile{Person: page[i]}))
	}
	return out
}

func (s *Server) recomputeSegment(ctx context.Context, in *SegmentInput) (*segmentOutput, error) {
	if err := s.rt.RecomputeSegment(ctx, in.Segment); err != nil {
		return nil, err
	}
	return s.getSegment(ctx, in)
}
