package cdr

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Record is one leg of a call. Times that did not come are zero.
type Record struct {
	Call      string    `json:"call"`
	Leg       uint16    `json:"leg"`       // 0: with the person; others: forwarded
	Direction string    `json:"direction"` // in, out
	Trunk     string    `json:"trunk,omitempty"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Flow      string    `json:"flow,omitempty"`
	Version   uint32    `json:"version,omitempty"`
	Element   string    `json:"element,omitempty"`
	Person    string    `json:"person,omitempty"`
	Setup     time.Time `json:"setup,omitzero"`
	Alerting  time.Time `json:"alerting,omitzero"`
	Answered  time.Time `json:"answered,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Open      bool      `json:"open,omitempty"` // it stands: Ended is until when that is proven
	Seconds   float64   `json:"seconds"`        // from answer to end
	Billed    int64     `json:"billed_seconds"`
	// Cost is an exact decimal; empty: there is none, or, with CostUnknown, no tariff tells it.
	Cost        string  `json:"cost,omitempty"`
	Currency    string  `json:"currency,omitempty"`
	CostUnknown bool    `json:"cost_unknown,omitempty"`
	Status      uint16  `json:"sip_status,omitempty"`
	Cause       uint8   `json:"q850_cause,omitempty"`
	EndedBy     string  `json:"ended_by,omitempty"`
	Detail      string  `json:"detail,omitempty"`
	Codec       string  `json:"codec,omitempty"`
	MOS         float64 `json:"mos,omitempty"`
	Lost        float64 `json:"lost_percent"`
	Jitter      float64 `json:"jitter_ms"`
}

// Format is the form of a file.
type Format string

// The formats.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
)

// ParseFormat reads the name of a format; "" is JSON lines.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case "":
		return JSONLines, nil
	case JSONLines, CSV:
		return f, nil
	}
	return "", fmt.Errorf("%q is no format: jsonl or csv is expected", name)
}

// columns of CSV, in their order; new ones are added at the end.
var columns = []string{
	"call", "leg", "direction", "trunk", "from", "to", "flow", "version", "element", "person",
	"setup", "alerting", "answered", "ended", "seconds", "billed_seconds", "cost", "currency", "cost_unknown",
	"sip_status", "q850_cause", "ended_by", "detail", "codec", "mos", "lost_percent", "jitter_ms",
}

func (r *Record) row() []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	decimal := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	unknown := ""
	if r.CostUnknown {
		unknown = "true"
	}
	return []string{
		plain(r.Call), strconv.Itoa(int(r.Leg)), r.Direction, r.Trunk, plain(r.From), plain(r.To), r.Flow, number(uint64(r.Version)), r.Element, r.Person,
		at(r.Setup), at(r.Alerting), at(r.Answered), at(r.Ended), decimal(r.Seconds), strconv.FormatInt(r.Billed, 10), r.Cost, r.Currency, unknown,
		number(uint64(r.Status)), number(uint64(r.Cause)), r.EndedBy, plain(r.Detail), r.Codec, decimal(r.MOS), decimal(r.Lost), decimal(r.Jitter),
	}
}

// plain keeps a spreadsheet from taking what a caller chose for a formula.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Writer writes records in a format.
type Writer struct {
	format Format
	json   *json.Encoder
	csv    *csv.Writer
}

// NewWriter makes a writer. A header line is written first for CSV, if asked for.
func NewWriter(w io.Writer, f Format, header bool) (*Writer, error) {
	out := &Writer{format: f}
	if f != CSV {
		out.json = json.NewEncoder(w)
		out.json.SetEscapeHTML(false)
		return out, nil
	}
	out.csv = csv.NewWriter(w)
	if !header {
		return out, nil
	}
	_ = out.csv.Write(columns) // Flush tells
	return out, out.Flush()
}

// Write writes one record; Flush makes sure that it is out.
func (w *Writer) Write(r *Record) error {
	if w.csv != nil {
		return w.csv.Write(r.row())
	}
	return w.json.Encode(r)
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.csv == nil {
		return nil
	}
	w.csv.Flush()
	return w.csv.Error()
}
