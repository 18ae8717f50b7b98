package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"trunkline/flowengine"
	"trunkline/flowengine/roster"
	"trunkline/flowengine/runtime"
)

// Bounds of an import.
const (
	importMost  = 1 << 30 // octets of one request
	importRows  = 4000    // of a batch: commits take as long for few as for many
	importBytes = 2 << 20 // of a batch
	importTurns = 4       // requests that bring rows at the same time
)

const (
	importsPath = "/v1/imports"
	rowsPath    = importsPath + "/{import}/rows"
)

func (s *Server) importRoutes() {
	operate(s, route{id: "begin-import", method: post, path: importsPath, tag: "people", scope: People, summary: "Begin an import of people", status: http.StatusCreated,
		about: "Says what a file of people is like. Its rows follow, in as many requests as it takes. What is known of an import, and what is wrong with its rows, is kept for 30 days."}, s.beginImport)
	operate(s, route{id: "get-import", method: get, path: importsPath + "/{import}", tag: "people", scope: People, summary: "Show how far an import is"}, s.getImport)
	operate(s, route{id: "import-rows", method: post, path: rowsPath, tag: "people", scope: People, summary: "Import rows",
		about: "The body is the file from the octet on that the import is at, or a piece of it, cut anywhere: a row that is not whole is not taken, and the next request begins with it. " +
			"Rows are imported while they come, and what was imported stays when a request breaks off: get-import tells where to go on. Rows that are wrong are counted and listed, and stop no other."}, s.importRows)
	operate(s, route{id: "import-faults", method: get, path: importsPath + "/{import}/faults", tag: "people", scope: People, summary: "List what is wrong with the rows of an import",
		about: fmt.Sprintf("In the order of the file; of the first %d faults.", runtime.MaxFaults)}, s.importFaults)
	text := &huma.MediaType{Schema: &huma.Schema{Type: "string", Description: "Rows, as the format of the import says."}}
	s.api.OpenAPI().Paths[rowsPath].Post.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": text, "application/x-ndjson": text}}
}

// streams says of a request that its body is read while it comes.
func streams(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, importsPath+"/")
	return ok && strings.HasSuffix(rest, "/rows")
}

// Import is how far an import is.
type Import struct {
	ID        string    `json:"id" doc:"Id of the import."`
	Format    string    `json:"format" doc:"csv or ndjson."`
	DryRun    bool      `json:"dry_run,omitempty" doc:"Rows are checked and not imported."`
	Begun     time.Time `json:"begun" doc:"When it began."`
	Ended     bool      `json:"ended" doc:"All rows were there."`
	Offset    int64     `json:"offset" doc:"Octet of the file at which the next request begins."`
	Line      int       `json:"line" doc:"Line of the file at that octet, from 1."`
	Size      int64     `json:"size,omitempty" doc:"Octets of the file, if that was said."`
	Progress  float64   `json:"progress" doc:"How far it is, from 0 to 1; 0 while it goes on without a size."`
	Rows      int       `json:"rows" doc:"Rows that were read."`
	Created   int       `json:"created" doc:"People who were made."`
	Updated   int       `json:"updated" doc:"Rows that changed somebody."`
	Unchanged int       `json:"unchanged" doc:"Rows that said nothing new, also those that came twice because a request broke off."`
	Checked   int       `json:"checked,omitempty" doc:"Of a dry run: rows without a fault."`
	Wrong     int       `json:"wrong" doc:"Rows that were not imported."`
}

func viewImport(in *runtime.Intake) *Import {
	c := &in.Count
	v := &Import{
		ID: in.ID.String(), Format: in.Format, DryRun: in.DryRun, Begun: in.Begun, Ended: in.Ended, Offset: c.Offset, Line: c.Line, Size: in.Size,
		Rows: c.Rows, Created: c.Created, Updated: c.Updated, Unchanged: c.Unchanged, Checked: c.Checked, Wrong: c.Bad,
	}
	switch {
	case in.Ended:
		v.Progress = 1
	case in.Size > 0:
		v.Progress = min(1, float64(c.Offset)/float64(in.Size))
	}
	return v
}

type importOutput struct{ Body *Import }

type beginImportInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"A repeated request with the same key and body gets the same import for 24 hours."`
	Body importBody
}

type importBody struct {
	Format     string            `json:"format" enum:"csv,ndjson" doc:"CSV has a header that names attributes, phone, email, push, chat, external, tags and do_not_contact; NDJSON has an object a line with the same names."`
	Map        map[string]string `json:"map,omitempty" doc:"What columns are, by their names in the file; - leaves one out."`
	OnConflict string            `json:"on_conflict,omitempty" enum:"merge,reject" doc:"When the addresses of a row are those of several persons: they are merged, or the row is wrong. Default: the setting people.on_conflict."`
	DryRun     bool              `json:"dry_run,omitempty" doc:"Only check the rows."`
	Size       int64             `json:"size,omitempty" minimum:"0" doc:"Octets of the whole file, to tell how far the import is."`
}

// mostMapped bounds the columns that a request gives a meaning.
const mostMapped = 500

func (s *Server) beginImport(ctx context.Context, in *beginImportInput) (*importOutput, error) {
	b := &in.Body
	var f faults
	if len(b.Map) > mostMapped {
		f.at("/map", fmt.Sprintf("at most %d columns are taken", mostMapped))
	} else if b.Format == string(roster.NDJSON) {
		if _, err := roster.NewColumns(s.rt.Schema(), nil, b.Map); err != nil {
			f.at("/map", err.Error())
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	request, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	id, err := s.rt.BeginIntake(ctx, &runtime.Intake{Format: b.Format, Map: b.Map, OnConflict: b.OnConflict, DryRun: b.DryRun, Size: b.Size},
		once(ctx, in.Key, "POST "+importsPath, request))
	if err != nil {
		return nil, err
	}
	return s.intake(id)
}

func (s *Server) intake(id runtime.OperationID) (*importOutput, error) {
	in, err := s.rt.Intake(id)
	if err != nil {
		return nil, err
	}
	return &importOutput{viewImport(in)}, nil
}

// ImportInput names an import in a path.
type ImportInput struct {
	Import string `path:"import" maxLength:"64" doc:"Id of the import."`
}

func (in *ImportInput) id() (runtime.OperationID, error) {
	id, err := runtime.ParseOperationID(in.Import)
	if err != nil {
		err = newProblem(http.StatusNotFound, "there is no import of this id")
	}
	return id, err
}

func (s *Server) getImport(_ context.Context, in *ImportInput) (*importOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	return s.intake(id)
}

// ImportFault is what is wrong with a row.
type ImportFault struct {
	Line   int    `json:"line" doc:"Line of the file, from 1."`
	Column string `json:"column,omitempty" doc:"Column, as the file names it; none: the row as a whole."`
	Reason string `json:"reason" doc:"What is wrong with it."`
}

type faultsInput struct {
	ImportInput
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most faults of a page."`
	Cursor string `query:"cursor" maxLength:"64" doc:"Where the page begins: the cursor of the page before."`
}

type faultsPage struct {
	Body struct {
		Faults []ImportFault `json:"faults" nullable:"false" doc:"What is wrong, in the order of the file."`
		Cursor string        `json:"cursor,omitempty" doc:"Cursor of the next page; none at the end."`
	}
}

func (s *Server) importFaults(_ context.Context, in *faultsInput) (*faultsPage, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	mark, err := markPlace(in.Cursor, 'i')
	if err != nil {
		return nil, err
	}
	if _, err := s.rt.Intake(id); err != nil {
		return nil, err
	}
	page, next, err := s.rt.IntakeFaults(id, mark, in.Limit)
	out := new(faultsPage)
	out.Body.Faults, out.Body.Cursor = []ImportFault{}, markCursor('i', next)
	for _, f := range page {
		out.Body.Faults = append(out.Body.Faults, ImportFault(f))
	}
	return out, err
}

type rowsInput struct {
	ImportInput
	Offset int64 `query:"offset" required:"true" minimum:"0" doc:"Octet of the file at which the body begins: that of the import."`
	End    bool  `query:"end" doc:"The file ends with the body."`

	request *http.Request
	answer  http.ResponseWriter
}

// Resolve implements huma.Resolver: it takes the body, which huma would read at once.
func (in *rowsInput) Resolve(ctx huma.Context) []error {
	in.request, in.answer = humago.Unwrap(ctx)
	return nil
}

func (s *Server) importRows(ctx context.Context, in *rowsInput) (*importOutput, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	select {
	case s.imports <- struct{}{}:
		defer func() { <-s.imports }()
	default:
		return nil, newProblem(http.StatusServiceUnavailable, "too many imports are being worked on").again(5 * time.Second)
	}
	x := &intake{s: s, time: http.NewResponseController(in.answer), end: in.End}
	if x.state, err = s.rt.Intake(id); err == nil {
		err = x.state.GoesOnAt(in.Offset)
	}
	if err != nil {
		return nil, err
	}
	if err = x.open(http.MaxBytesReader(in.answer, in.request.Body, importMost)); err != nil {
		err = x.blame(ctx, err)
	} else {
		err = x.run(ctx)
	}
	_ = x.time.SetWriteDeadline(time.Now().Add(writeTime))
	return &importOutput{viewImport(x.state)}, err
}

// intake is one request of an import on the way.
type intake struct {
	s        *Server
	time     *http.ResponseController
	state    *runtime.Intake
	end      bool
	rows     *roster.Reader
	columns  *roster.Columns
	conflict runtime.Conflict
	over     bool // the body has ended
}

// errHeader is that the first piece of a file ends within its header.
var errHeader = errors.New("the body ends before the header does")

// open reads the header, when the body begins with it.
func (x *intake) open(body io.Reader) (err error) {
	x.wait()
	in, f := x.state, roster.Format(x.state.Format)
	switch {
	case in.Count.Offset > 0:
		x.rows = roster.Resume(body, f, roster.Place{Offset: in.Count.Offset, Line: in.Count.Line}, in.Columns, in.Comma)
	default:
		if x.rows, err = roster.NewReader(body, f); err != nil {
			return err
		}
		if f == roster.CSV && x.rows.Torn() && !x.end {
			return errHeader
		}
		in.Columns, in.Comma = x.rows.Header(), x.rows.Comma()
	}
	if x.columns, err = roster.NewColumns(x.s.rt.Schema(), in.Columns, in.Map); err != nil {
		return err
	}
	x.conflict, err = runtime.ConflictNamed(in.OnConflict)
	return err
}

// wait gives the next batch its time to come.
func (x *intake) wait() {
	_ = x.time.SetReadDeadline(time.Now().Add(bodyTime)) // a recorder of tests has none
	_ = x.time.SetWriteDeadline(time.Time{})
}

// run imports batch by batch.
func (x *intake) run(ctx context.Context) error {
	for !x.over {
		if x.s.closing.Err() != nil { // what was imported stands
			return nil
		}
		x.wait()
		rows, faults, next, err := x.fill()
		if err != nil {
			return x.blame(ctx, err)
		}
		if err := x.batch(ctx, rows, faults, next); err != nil {
			return err
		}
	}
	return nil
}

// fill reads the rows of the next batch, and how far the import is after them.
func (x *intake) fill() (rows []roster.Row, faults []runtime.IntakeFault, next runtime.IntakeCount, err error) {
	next = x.state.Count
	place := roster.Place{Offset: next.Offset, Line: next.Line}
	if place.Offset == 0 {
		place = x.rows.Place() // after the header
	}
	begin := place.Offset
	for len(rows)+len(faults) < importRows && place.Offset-begin < importBytes {
		row, err := x.rows.Next()
		var wrong *roster.RowError
		switch isWrong := errors.As(err, &wrong); {
		case errors.Is(err, io.EOF), (err == nil || isWrong) && x.rows.Torn() && !x.end:
			x.over = true
		case isWrong:
			faults = append(faults, runtime.IntakeFault(*wrong))
			next.Bad++
		case err != nil:
			return nil, nil, next, err
		default:
			rows = append(rows, *row)
		}
		if x.over {
			break
		}
		next.Rows++
		place = x.rows.Place()
	}
	next.Offset, next.Line = place.Offset, place.Line
	return rows, faults, next, nil
}

// batch imports rows and notes what became of them.
func (x *intake) batch(ctx context.Context, rows []roster.Row, faults []runtime.IntakeFault, next runtime.IntakeCount) error {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	var changes []*flowengine.Change
	var lines []int
	for i := range rows {
		c, wrong := x.columns.Change(&rows[i], "import")
		if wrong != nil {
			for _, w := range wrong {
				faults = append(faults, runtime.IntakeFault(w))
			}
			next.Bad++
			continue
		}
		changes, lines = append(changes, c), append(lines, rows[i].Line)
	}
	if x.state.DryRun {
		next.Checked += len(changes)
	} else if len(changes) > 0 {
		done, err := x.s.rt.Import(ctx, changes, x.conflict)
		if err != nil {
			return err
		}
		next.Add(done, func(i int, reason string) {
			faults = append(faults, runtime.IntakeFault{Line: lines[i], Reason: reason})
		})
	}
	from := x.state.Count.Offset
	after := *x.state
	after.Count, after.Ended = next, x.over && x.end
	if err := x.s.rt.AdvanceIntake(ctx, from, &after, faults); err != nil {
		return err
	}
	*x.state = after
	return nil
}

// blame says why a body can't be read on: what is wrong with the file, or that the
// body broke off.
func (x *intake) blame(ctx context.Context, err error) error {
	at := x.state.Count.Offset
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d octets; the import goes on at octet %d", large.Limit, at))
	case exchangeOf(ctx).brokenOff:
		return newProblem(http.StatusBadRequest, fmt.Sprintf("the body ended before it was whole; the import goes on at octet %d", at))
	}
	return newProblem(http.StatusUnprocessableEntity, err.Error())
}
