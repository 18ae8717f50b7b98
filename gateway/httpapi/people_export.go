package httpapi

import (
	"encoding/json"
	"io"

	"trunkline/flowengine/runtime"
)

// WriteExport writes all that is known of a person as one JSON object, as the
// export of the API has it, however long it is.
func (s *Server) WriteExport(w io.Writer, p *runtime.Profile) error {
	x := &exporter{w: w}
	x.text(`{"person":`)
	x.value(ViewPerson(p))
	x.text(`,"history":[`)
	x.pages(func(m runtime.Mark) (runtime.Mark, error) {
		page, next, err := s.rt.History(p.Person.ID, m, exportPage)
		lines := viewHistory(page, p.Person.ID)
		for i := range lines {
			x.item(lines[i])
		}
		return next, err
	})
	x.text(`],"events":[`)
	x.pages(func(m runtime.Mark) (runtime.Mark, error) {
		page, next, err := s.rt.Events(p.Person.ID, m, exportPage)
		events := viewEvents(page)
		for i := range events {
			x.item(events[i])
		}
		return next, err
	})
	x.text("]}\n")
	return x.err
}

// exporter writes JSON piece by piece; the first error stays.
type exporter struct {
	w     io.Writer
	items int // of the list that is being written
	err   error
}

func (x *exporter) text(s string) {
	if x.err == nil {
		_, x.err = io.WriteString(x.w, s)
	}
}

func (x *exporter) value(v any) {
	b, err := json.Marshal(v)
	if x.err == nil {
		x.err = err
	}
	x.text(string(b))
}

func (x *exporter) item(v any) {
	if x.items > 0 {
		x.text(",\n")
	}
	x.items++
	x.value(v)
}

// pages writes the items of all pages of a list.
func (x *exporter) pages(read func(runtime.Mark) (runtime.Mark, error)) {
	x.items = 0
	var mark runtime.Mark
	for x.err == nil {
		next, err := read(mark)
		if err != nil {
			x.err = err
		}
		if next == (runtime.Mark{}) {
			return
		}
		mark = next
	}
}
