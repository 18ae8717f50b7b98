package httpapi

import (
	"context"
	"encoding/binary"

	"trunkline/flowengine/runtime"
)

func (s *Server) runRoutes() {
	operate(s, route{id: "list-runs", method: get, path: "/v1/flows/{flow}/runs", tag: "flows", scope: Flows, summary: "List who is inside of a flow, and where",
		about: "A page may be short, as people leave while it is read: go on until there is no cursor."}, s.listRuns)
}

// Standing is where a person is in a flow.
type Standing struct {
	Person string `json:"person" doc:"Id of the person."`
	Run
}

// ViewStandings makes the plain form of a list of runs.
func ViewStandings(all []runtime.Standing) []Standing {
	views := make([]Standing, len(all))
	for i := range all {
		views[i] = Standing{all[i].Person.String(), viewRun(&all[i].Run)}
	}
	return views
}

type runsInput struct {
	FlowInput
	Version uint32 `query:"version" doc:"Only runs of this version; 0: of all."`
	Limit   int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most runs of a page."`
	Cursor  string `query:"cursor" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
}

type runsPage struct {
	Body struct {
		Runs   []Standing `json:"runs" nullable:"false" doc:"The runs."`
		Cursor string     `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

func (s *Server) listRuns(ctx context.Context, in *runsInput) (*runsPage, error) {
	exchangeOf(ctx).flow = in.Flow
	after, err := runPlace(in.Cursor)
	if err != nil {
		return nil, err
	}
	page, next, err := s.rt.Runs(ctx, in.Flow, in.Version, after, in.Limit)
	out := new(runsPage)
	out.Body.Runs, out.Body.Cursor = ViewStandings(page), runCursor(next)
	return out, err
}

const runList = 'r' // see cursor

func runCursor(p runtime.RunPlace) string {
	if p == (runtime.RunPlace{}) {
		return ""
	}
	b := binary.BigEndian.AppendUint32(p.Person[:], p.Version)
	return cursor(runList, binary.BigEndian.AppendUint32(b, p.Number))
}

func runPlace(text string) (p runtime.RunPlace, err error) {
	b, err := place(text, runList, len(p.Person)+8)
	if err != nil || b == nil {
		return p, err
	}
	copy(p.Person[:], b)
	p.Version = binary.BigEndian.Uint32(b[len(p.Person):])
	p.Number = binary.BigEndian.Uint32(b[len(p.Person)+4:])
	return p, nil
}
