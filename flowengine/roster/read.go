package roster

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRow bounds one row of a file.
const maxRow = 1 << 20

// Place is where in a file the next row begins.
type Place struct {
	Offset int64 `json:"offset"` // in octets
	Line   int   `json:"line"`   // from 1
}

// Reader reads the rows of a file one by one. It holds no more than one of them.
type Reader struct {
	format Format
	begin  Place
	csv    *csv.Reader
	bound  *bound
	lines  *bufio.Reader
	place  Place
	header []string
	comma  rune
	input  *ending
	failed bool // the last row was wrong
}

// NewReader reads a file from its beginning. The header of a CSV file is read at
// once; its cells may be separated by commas, semicolons or tabs.
func NewReader(r io.Reader, f Format) (*Reader, error) {
	input := &ending{r: r}
	in := bufio.NewReaderSize(input, 64<<10)
	begin := Place{0, 1}
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
		begin.Offset = 3
	}
	comma := ','
	if f == CSV {
		first, _ := in.Peek(4096)
		comma = separator(first)
	}
	x := resume(in, f, begin, comma)
	x.input = input
	if f != CSV {
		return x, nil
	}
	row, err := x.Next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty; its first line has to name the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("the header can't be read: %w", err)
	}
	for _, name := range row.Cells {
		x.header = append(x.header, strings.TrimSpace(name))
	}
	return x, nil
}

// Resume reads on in a file whose header another Reader has read, from where that
// one stopped. r begins there.
func (x *Reader) Resume(r io.Reader, at Place) *Reader {
	return Resume(r, x.format, at, x.header, x.comma)
}

// Resume reads on in a file at a place, which r begins at. header and comma are those
// of a CSV file's beginning.
func Resume(r io.Reader, f Format, at Place, header []string, comma rune) *Reader {
	input := &ending{r: r, n: at.Offset}
	x := resume(bufio.NewReaderSize(input, 64<<10), f, at, comma)
	x.header, x.input = header, input
	return x
}

func resume(in *bufio.Reader, f Format, at Place, comma rune) *Reader {
	x := &Reader{format: f, begin: at, place: at, comma: comma}
	if f == NDJSON {
		x.lines = in
		return x
	}
	x.bound = &bound{r: in}
	x.csv = csv.NewReader(x.bound)
	x.csv.Comma, x.csv.FieldsPerRecord = comma, -1
	return x
}

// separator is what most cells of the first line are separated by.
func separator(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	best := ','
	for _, s := range ";\t" {
		if bytes.Count(line, []byte(string(s))) > bytes.Count(line, []byte(string(best))) {
			best = s
		}
	}
	return best
}

// Header is the names of the columns; nil for NDJSON.
func (x *Reader) Header() []string { return x.header }

// Comma separates the cells of CSV.
func (x *Reader) Comma() rune { return x.comma }

// Place is where the next row begins.
func (x *Reader) Place() Place { return x.place }

// Torn says of the last row that it is only whole if the input ended where the file
// does: no end of a line is behind it.
func (x *Reader) Torn() bool {
	return x.input.ended && x.place.Offset == x.input.n && (x.failed || x.input.last != '\n')
}

// Next reads the next row. A *RowError is about that row alone, and reading goes
// on after it; io.EOF is the end.
func (x *Reader) Next() (row *Row, err error) {
	if x.format == NDJSON {
		row, err = x.nextObject()
	} else {
		row, err = x.nextRow()
	}
	x.failed = err != nil
	return row, err
}

func (x *Reader) nextRow() (*Row, error) {
	x.bound.left = 2 * maxRow
	cells, err := x.csv.Read()
	x.place.Offset = x.begin.Offset + x.csv.InputOffset()
	if err != nil {
		return nil, x.csvError(err)
	}
	line, _ := x.csv.FieldPos(0)
	row := &Row{Line: x.begin.Line + line - 1, Cells: cells}
	last, _ := x.csv.FieldPos(len(cells) - 1)
	x.place.Line = x.begin.Line + last + strings.Count(cells[len(cells)-1], "\n")
	return row, nil
}

func (x *Reader) csvError(err error) error {
	var p *csv.ParseError
	switch {
	case errors.Is(err, errLong):
		return fmt.Errorf("line %d: the row does not end within %d MiB; is a quote missing?", x.place.Line, maxRow>>20)
	case errors.As(err, &p):
		x.place.Line = x.begin.Line + p.Line
		return &RowError{Line: x.begin.Line + p.StartLine - 1, Reason: fmt.Sprintf("it is not CSV: %v", p.Err)}
	}
	return err
}

// nextObject reads a line that is not empty.
func (x *Reader) nextObject() (*Row, error) {
	for {
		line, err := x.line()
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return nil, err
		}
		at := x.place.Line
		x.place.Offset += int64(len(line))
		x.place.Line++
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if _, _, err := fields(text); err != nil {
				return nil, &RowError{Line: at, Reason: err.Error()}
			}
			return &Row{Line: at, Object: text}, nil
		}
	}
}

func (x *Reader) line() (line []byte, err error) {
	for {
		part, err := x.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, fmt.Errorf("line %d: it is longer than %d MiB", x.place.Line, maxRow>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

var errLong = errors.New("the row is too long")

// bound ends a row that takes too much.
type bound struct {
	r    io.Reader
	left int
}

// Read implements io.Reader.
func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// ending notes where an input ends, and with what.
type ending struct {
	r     io.Reader
	n     int64 // where it is in the file
	last  byte
	ended bool
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if n > 0 {
		e.last = p[n-1]
	}
	e.n += int64(n)
	e.ended = e.ended || errors.Is(err, io.EOF)
	return n, err
}
