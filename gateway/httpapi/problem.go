package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/flowengine/runtime"
)

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	Type     string  `json:"type,omitempty" format:"uri-reference" doc:"Kind of the problem; about:blank when left out."`
	Title    string  `json:"title" doc:"What the status means."`
	Status   int     `json:"status" doc:"Status of the answer."`
	Detail   string  `json:"detail,omitempty" doc:"What is wrong with this request."`
	Instance string  `json:"instance,omitempty" format:"uri-reference" doc:"Names this request in the log."`
	Errors   []Fault `json:"errors,omitempty" doc:"Every field that is wrong."`

	header http.Header
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer (RFC 6901) into the body."`
	Parameter string `json:"parameter,omitempty" doc:"Name of the parameter or header, when it is not in the body."`
	Detail    string `json:"detail" doc:"What is wrong with it."`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

// maxFaults bounds the faults that an answer lists.
const maxFaults = 100

const problemType = "application/problem+json"

func newProblem(status int, detail string, faults ...Fault) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Errors: faults}
}

// again adds when the request may be tried again.
func (p *Problem) again(after time.Duration) *Problem {
	p.header = http.Header{"Retry-After": {strconv.Itoa(max(1, int((after+time.Second-1)/time.Second)))}}
	return p
}

// write answers outside of huma.
func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// refusal translates why the runtime refused something.
func refusal(err error) error {
	var p *Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.Is(err, runtime.ErrNotFound):
		return newProblem(http.StatusNotFound, err.Error())
	case errors.Is(err, runtime.ErrNotActive), errors.Is(err, runtime.ErrTaken), errors.Is(err, runtime.ErrConflict), errors.Is(err, runtime.ErrBroadcast), errors.Is(err, runtime.ErrElsewhere):
		return newProblem(http.StatusConflict, err.Error())
	case errors.Is(err, runtime.ErrReused), errors.Is(err, runtime.ErrTooLarge), errors.Is(err, runtime.ErrRecipient), errors.Is(err, runtime.ErrCondition):
		return newProblem(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, runtime.ErrOverload):
		return newProblem(http.StatusServiceUnavailable, err.Error()).again(time.Second)
	case errors.Is(err, runtime.ErrStopping), errors.Is(err, runtime.ErrUnavailable):
		return newProblem(http.StatusServiceUnavailable, err.Error()).again(5 * time.Second)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(http.StatusServiceUnavailable, "the request was not worked on in time").again(time.Second)
	}
	return err
}

// problems makes a Problem of what huma finds wrong with a request.
func problems(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*Problem)
	if !ok {
		e, isModel := v.(*huma.ErrorModel)
		if !isModel {
			return v, nil
		}
		p = newProblem(e.Status, e.Detail)
		for _, d := range e.Errors[:min(len(e.Errors), maxFaults)] {
			if e.Status < http.StatusInternalServerError {
				p.Errors = append(p.Errors, faultAt(d.Location, d.Message))
			}
		}
		x := exchangeOf(ctx.Context())
		switch {
		case e.Status < http.StatusInternalServerError:
		case x.refused != nil:
			p = x.refused
		case x.brokenOff: // no fault of ours, and most likely nobody is there to read it
			p = newProblem(http.StatusBadRequest, "the body ended before it was whole")
		default:
			for _, d := range e.Errors {
				x.fail(d.Message)
			}
			p.Detail = "something went wrong here; the log tells what, under the id of this request"
		}
	}
	p.Instance = exchangeOf(ctx.Context()).instance()
	return p, nil
}

// faultAt turns a location such as body.people[3].name into a Fault.
func faultAt(location, detail string) Fault {
	if name, ok := strings.CutPrefix(detail, "expected required property "); ok { // huma tells the object that lacks it
		name, _, _ = strings.Cut(name, " ")
		location, detail = location+"."+name, "it is missing"
	}
	where, rest, _ := strings.Cut(location, ".")
	switch {
	case where == "body" || strings.HasPrefix(where, "body["):
		path := strings.TrimPrefix(strings.TrimPrefix(location, "body"), ".")
		return Fault{Pointer: pointerOf(path), Detail: detail}
	case rest != "":
		return Fault{Parameter: rest, Detail: detail}
	}
	return Fault{Parameter: location, Detail: detail}
}

func pointerOf(path string) string {
	if path == "" {
		return ""
	}
	path = strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
	path = strings.NewReplacer("[", ".", "]", "").Replace(path)
	return "/" + strings.ReplaceAll(strings.TrimPrefix(path, "."), ".", "/")
}

// pointer joins the parts of a JSON pointer.
func pointer(parts ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(escape.Replace(p))
	}
	return b.String()
}

// faults collects what is wrong with a request.
type faults []Fault

func (f *faults) at(pointer, detail string) { *f = append(*f, Fault{Pointer: pointer, Detail: detail}) }

// err is nil when nothing is wrong.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return newProblem(http.StatusUnprocessableEntity, "validation failed", f[:min(len(f), maxFaults)]...)
}
