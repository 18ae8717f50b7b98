package tariff

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of what Parse reads.
const (
	MaxRows  = 1_000_000 // in all files together
	MaxBytes = 256 << 20 // of a file
	MaxFiles = 10_000

	maxPrice   = 1_000_000 * unit // for a part or minute, and for setup
	maxSeconds = 24 * 3600        // of minimum and increment
	maxDomain  = 253              // octets, RFC 1035 §2.3.4 without the last dot
)

// File is a tariff file.
type File struct {
	Name string // shown in errors
	Data []byte
}

// The columns of a tariff file. All but charge_on have to be there, in any order.
const (
	colChannel = iota
	colDirection
	colPrefix
	colCurrency
	colPrice
	colSetup
	colMinimum
	colIncrement
	colValidFrom
	colChargeOn
	columnCount
)

var columns = [columnCount]string{"channel", "direction", "prefix", "currency", "price", "setup", "min_s", "increment_s", "valid_from", "charge_on"}

// Parse makes a table of CSV files (RFC 4180 with a header). It reports all
// that is wrong with them as strict.Errors, in the order of the files and
// places; two rows for the same channel, direction, prefix and valid_from are
// an error, also when they are in different files.
//
// Cells: prefix is the beginning of a number in E.164 digits (a plus in front
// is ignored), a domain of e-mail, or *. price is per part or per minute.
// setup, min_s and increment_s are of voice alone; left empty they are 0, 0 and
// 1. valid_from is a date, which begins at midnight UTC, or a moment of RFC 3339.
// charge_on is of outbound messages alone: accepted, which is also meant when it is
// left empty, or delivered.
func Parse(files ...File) (*Table, error) {
	if len(files) > MaxFiles {
		return nil, fmt.Errorf("%d tariff files; at most %d can be read: join some of them", len(files), MaxFiles)
	}
	return parse(files, MaxRows)
}

func parse(files []File, maxRows int) (*Table, error) {
	p := parser{files: files, maxRows: maxRows, domains: map[string]uint64{}}
	for i := range files {
		p.file = i
		p.read(files[i].Data)
	}
	t := p.build()
	if err := p.findings.err(files); err != nil {
		return nil, err
	}
	return t, nil
}

// parser collects the rows of all files.
type parser struct {
	files    []File
	maxRows  int
	file     int // that is being read
	findings findings
	staged   [len(channels) * len(directions)][]stagedRow
	count    int
	domains  map[string]uint64
	names    []string
	validAt  struct { // the last date that was read: most rows have the same
		text   string
		moment int64
	}
}

// stagedRow is a row on its way into the table.
type stagedRow struct {
	key        uint64
	file, line uint32
	column     uint32 // of its prefix, in octets
	row
}

func (p *parser) read(data []byte) {
	if len(data) > MaxBytes {
		p.report(1, 1, "", fmt.Sprintf("the file has %d MiB", len(data)>>20), fmt.Sprintf("at most %d can be read: split it", MaxBytes>>20))
		return
	}
	data = withoutMark(data)
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1 // told with its place below
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		p.unreadable(err)
		return
	}
	at, ok := p.header(r, header)
	if !ok {
		return
	}
	p.rows(r, at, len(header))
}

// withoutMark drops the byte order mark that spreadsheets write.
func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }

// header finds out which column is where.
func (p *parser) header(r *csv.Reader, header []string) (at [columnCount]int, ok bool) {
	for i := range at {
		at[i] = -1
	}
	for i, name := range header {
		line, column := r.FieldPos(i)
		switch c := slices.Index(columns[:], name); {
		case c < 0:
			p.report(line, column, name, fmt.Sprintf("there is no column %q", clip(name)), "the columns are "+strings.Join(columns[:], ","))
		case at[c] >= 0:
			p.report(line, column, name, fmt.Sprintf("the column %q is there twice", name), "")
		default:
			at[c] = i
		}
	}
	var missing []string
	for c, i := range at {
		if i < 0 && c != colChargeOn {
			missing = append(missing, columns[c])
		}
	}
	if missing != nil {
		hint := "the columns are " + strings.Join(columns[:], ",")
		if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
			hint = "separate the columns by commas"
		}
		line, _ := r.FieldPos(0)
		p.report(line, 1, "", "the header lacks "+strings.Join(missing, ", "), hint)
	}
	return at, missing == nil
}

func (p *parser) rows(r *csv.Reader, at [columnCount]int, width int) {
	for {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			p.unreadable(err)
			if !errors.As(err, new(*csv.ParseError)) || p.findings.full() {
				return
			}
		case len(record) != width:
			i := min(len(record)-1, width) // the last, or the first too many
			line, column := r.FieldPos(i)
			p.report(line, column, record[i], fmt.Sprintf("the row has %d fields, the header %d", len(record), width), "put a text with commas in quotes")
		case p.count == p.maxRows:
			line, column := r.FieldPos(0)
			p.report(line, column, record[0], fmt.Sprintf("the tariffs have more than %d rows", p.maxRows), "")
			return
		default:
			c := cells{parser: p, reader: r, record: record, at: at}
			c.stage()
		}
	}
}

func (p *parser) unreadable(err error) {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		p.report(1, 1, "", "the file is empty", "begin with the header "+strings.Join(columns[:], ","))
	case errors.As(err, &parse):
		message, hint := "not CSV: "+parse.Err.Error(), ""
		if errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote) {
			message, hint = "a quote is out of place", `put the whole field in quotes and write "" for each quote in it`
		}
		p.report(parse.Line, parse.Column, "", message, hint)
	default:
		p.report(1, 1, "", "the file cannot be read: "+err.Error(), "")
	}
}

// report notes what is wrong at a place; the column counts octets.
func (p *parser) report(line, column int, text, message, hint string) {
	p.findings.add(finding{file: p.file, line: line, column: column, text: text, message: message, hint: hint})
}

// build orders the rows and finds those that are there twice.
func (p *parser) build() *Table {
	t := &Table{rows: p.count}
	for i := range t.groups {
		g := &t.groups[i]
		g.channel, g.direction = channels[i/len(directions)], directions[i%len(directions)]
		if g.channel == Email {
			g.domains, g.names = p.domains, p.names
		}
		p.fill(g, p.staged[i])
		p.staged[i] = nil
	}
	return t
}
