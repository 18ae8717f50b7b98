package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/roster"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// What the commands of `people` ask of the daemon.

// Bounds of what is asked at once.
const (
	importRows  = 4000    // rows of a batch: commits take as long for few as for many
	importBytes = 2 << 20 // of a batch, before it is encoded
	importBody  = 16 << 20
	findPage    = 1000
	listPage    = 1000
)

// importBatch is some rows of a file. Its operation and number name it: one that
// was imported is not imported again.
type importBatch struct {
	Operation  string            `json:"operation"`
	Number     int               `json:"number"`
	Columns    []string          `json:"columns"` // none for NDJSON
	Map        map[string]string `json:"map"`
	OnConflict string            `json:"on_conflict"`
	DryRun     bool              `json:"dry_run"`
	Rows       []roster.Row      `json:"rows"`
}

// importAnswer is what became of them.
type importAnswer struct {
	Created   int               `json:"created"`
	Updated   int               `json:"updated"`
	Unchanged int               `json:"unchanged"`
	Checked   int               `json:"checked"` // of a dry run: rows without a mistake
	Wrong     []roster.RowError `json:"wrong"`
}

// controlPeople serves what has no place in one small answer.
func (d *daemon) controlPeople(mux *http.ServeMux) {
	mux.HandleFunc("POST /people/import", func(w http.ResponseWriter, r *http.Request) {
		var a *importAnswer
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, importBody))
		if err == nil {
			a, err = d.importPeople(r.Context(), body)
		}
		answerTool(w, a, err)
	})
	mux.HandleFunc("GET /people/find", func(w http.ResponseWriter, r *http.Request) {
		a, err := d.findPeople(r.Context(), r.FormValue("where"), r.FormValue("timezone"), r.FormValue("after"), r.FormValue("limit"))
		answerTool(w, a, err)
	})
	mux.HandleFunc("GET /people", func(w http.ResponseWriter, r *http.Request) {
		d.stream(w, func(out io.Writer) error {
			return d.exportPeople(r.Context(), out, roster.Format(r.FormValue("format")))
		})
	})
	mux.HandleFunc("GET /people/{ref}/export", func(w http.ResponseWriter, r *http.Request) {
		who, err := httpapi.Reference(r.PathValue("ref"))
		var p *runtime.Profile
		if err == nil {
			p, err = d.rt.Profile(r.Context(), who, 0)
		}
		if err != nil {
			answerTool(w, nil, err)
			return
		}
		d.stream(w, func(out io.Writer) error { return d.api.WriteExport(out, p) })
	})
}

// answerTool sends a small answer.
func answerTool(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer = problem{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// stream sends a long answer. The status line is long gone when it fails: the
// connection then breaks off, and the reader sees that.
func (d *daemon) stream(w http.ResponseWriter, write func(io.Writer) error) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if err := write(w); err != nil {
		d.log.Error("an export failed", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// importPeople imports a batch, or with no rows checks what its columns mean.
func (d *daemon) importPeople(ctx context.Context, body []byte) (*importAnswer, error) {
	var b importBatch
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	conflict, err := runtime.ConflictNamed(b.OnConflict)
	if err != nil {
		return nil, err
	}
	columns, err := roster.NewColumns(d.rt.Schema(), b.Columns, b.Map)
	if err != nil {
		return nil, err
	}
	a := new(importAnswer)
	var changes []*flowengine.Change
	var lines []int
	for i := range b.Rows {
		c, wrong := columns.Change(&b.Rows[i], "import")
		if wrong != nil {
			a.Wrong = append(a.Wrong, wrong...)
			continue
		}
		changes, lines = append(changes, c), append(lines, b.Rows[i].Line)
	}
	if b.DryRun || len(changes) == 0 {
		a.Checked = len(changes)
		return a, nil
	}
	once := &runtime.Once{Key: sha256.Sum256(fmt.Appendf(nil, "import/%s/%d", b.Operation, b.Number)), Request: sha256.Sum256(body)}
	known, err := d.rt.Remembered(ctx, once, func() ([]byte, error) {
		done, err := d.rt.Import(ctx, changes, conflict)
		if err != nil {
			return nil, err
		}
		return json.Marshal(summary(done, lines))
	})
	if err != nil {
		return nil, err
	}
	wrong := a.Wrong
	if err := json.Unmarshal(known, a); err != nil {
		return nil, err
	}
	a.Wrong = append(wrong, a.Wrong...)
	return a, nil
}

// summary counts what became of persons, and says of which lines nothing became.
func summary(done []runtime.Imported, lines []int) *importAnswer {
	a := new(importAnswer)
	for i := range done {
		switch done[i].Status {
		case runtime.Created:
			a.Created++
		case runtime.Updated:
			a.Updated++
		case runtime.Unchanged:
			a.Unchanged++
		default:
			a.Wrong = append(a.Wrong, roster.RowError{Line: lines[i], Reason: done[i].Err.Error()})
		}
	}
	return a
}

// exportPeople writes all persons.
func (d *daemon) exportPeople(ctx context.Context, out io.Writer, f roster.Format) error {
	w, err := roster.NewWriter(out, f, d.rt.Schema())
	if err != nil {
		return err
	}
	var after flowengine.PersonID
	for {
		page, next, err := d.rt.People(after, listPage, nil)
		if err != nil {
			return err
		}
		for i := range page {
			if err := w.Write(&page[i]); err != nil {
				return err
			}
		}
		if next.IsZero() {
			return w.Flush()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		after = next
	}
}

// foundPeople is a page of what was looked for.
type foundPeople struct {
	People []*personView `json:"people"`
	Next   string        `json:"next,omitempty"`
}

// findPeople looks for persons for whom a condition holds, page by page.
func (d *daemon) findPeople(ctx context.Context, where, timezone, after, limit string) (*foundPeople, error) {
	condition, err := flowengine.ParsePredicate("condition", []byte(where), d.rt.Schema())
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone: a name such as Europe/Zagreb is expected", timezone)
	}
	var from flowengine.PersonID
	if after != "" {
		if from, err = flowengine.ParsePersonID(after); err != nil {
			return nil, err
		}
	}
	most, err := strconv.Atoi(limit)
	if err != nil || most < 1 || most > findPage {
		most = findPage
	}
	page, next, err := d.rt.Search(ctx, condition, zone, from, most)
	if err != nil {
		return nil, err
	}
	out := &foundPeople{People: []*personView{}}
	for i := range page {
		out.People = append(out.People, viewPerson(&runtime.Profile{Person: page[i]}))
	}
	if !next.IsZero() {
		out.Next = next.String()
	}
	return out, nil
}

// mergePeople makes one person of several.
func (d *daemon) mergePeople(ctx context.Context, refs []string) (*actedView, error) {
	var people []flowengine.PersonID
	for _, ref := range refs {
		p, err := d.rt.Person(ctx, ref, 0)
		if err != nil {
			return nil, err
		}
		people = append(people, p.Person.ID)
	}
	survivor, err := d.rt.Merge(ctx, people)
	if err != nil {
		return nil, err
	}
	return &actedView{Person: survivor.String()}, nil
}
