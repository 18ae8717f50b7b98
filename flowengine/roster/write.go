package roster

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"time"

	"trunkline/flowengine"
)

// Writer writes persons as rows that a Reader reads. The columns depend on the
// schema alone.
type Writer struct {
	format     Format
	out        *bufio.Writer
	csv        *csv.Writer
	attributes []string
}

// NewWriter begins a list; of CSV it writes the header.
func NewWriter(w io.Writer, f Format, schema *flowengine.Schema) (*Writer, error) {
	x := &Writer{format: f, out: bufio.NewWriterSize(w, 64<<10)}
	for _, n := range schema.Names() {
		if schema.Writable(n) != flowengine.Unset {
			x.attributes = append(x.attributes, n)
		}
	}
	if f == NDJSON {
		return x, nil
	}
	x.csv = csv.NewWriter(x.out)
	header := append([]string{colID, colCreated}, addressColumns...)
	header = append(header, colTags, colDoNotContact)
	return x, x.csv.Write(append(header, x.attributes...))
}

// Write writes one person.
func (x *Writer) Write(p *flowengine.Person) error {
	if x.format == NDJSON {
		return x.object(p)
	}
	cells := []string{p.ID.String(), created(p)}
	for _, kind := range addressColumns {
		cells = append(cells, joined(addresses(p, kind)))
	}
	cells = append(cells, joined(tags(p)), joined(blocked(p)))
	for _, name := range x.attributes {
		v := p.Attrs.Get(name)
		cell := v.String()
		if v.Type == flowengine.Text || v.Type == flowengine.List {
			cell = Guard(cell)
		}
		cells = append(cells, cell)
	}
	return x.csv.Write(cells)
}

// Flush writes what is held back.
func (x *Writer) Flush() error {
	if x.csv != nil {
		x.csv.Flush()
		if err := x.csv.Error(); err != nil {
			return err
		}
	}
	return x.out.Flush()
}

// object writes the fields of a person in the order of the columns; what a person
// does not have is left out.
func (x *Writer) object(p *flowengine.Person) error {
	var b bytes.Buffer
	var failed error
	field := func(name string, value any) {
		begin := byte(',')
		if b.Len() == 0 {
			begin = '{'
		}
		b.WriteByte(begin)
		for i, part := range []any{name, value} {
			text, err := json.Marshal(part)
			if err != nil && failed == nil {
				failed = err
			}
			if i == 1 {
				b.WriteByte(':')
			}
			b.Write(text)
		}
	}
	field(colID, p.ID.String())
	field(colCreated, created(p))
	list := func(name string, values []string) {
		if len(values) > 0 {
			field(name, values)
		}
	}
	for _, kind := range addressColumns {
		list(kind, addresses(p, kind))
	}
	list(colTags, tags(p))
	list(colDoNotContact, blocked(p))
	for _, name := range x.attributes {
		switch v := p.Attrs.Get(name); v.Type {
		case flowengine.Unset:
		case flowengine.Whole:
			field(name, v.Num)
		case flowengine.Boolean:
			field(name, v.Num != 0)
		case flowengine.List:
			field(name, v.List())
		default:
			field(name, v.String())
		}
	}
	b.WriteString("}\n")
	if failed != nil {
		return failed
	}
	_, err := x.out.Write(b.Bytes())
	return err
}

func created(p *flowengine.Person) string { return p.Created.UTC().Format(time.RFC3339Nano) }

func addresses(p *flowengine.Person, kind string) (all []string) {
	for _, a := range p.Addresses {
		if a.Kind.String() == kind {
			all = append(all, a.Value)
		}
	}
	return all
}

func tags(p *flowengine.Person) (all []string) {
	for _, t := range p.Tags {
		all = append(all, t.Name)
	}
	return all
}

func blocked(p *flowengine.Person) (all []string) {
	for _, k := range p.DoNotContact {
		all = append(all, k.String())
	}
	return all
}

// joined makes a cell of several values: between semicolons, or as a JSON array
// where a semicolon is part of one.
func joined(values []string) string {
	for _, v := range values {
		if strings.ContainsAny(v, ";") || strings.HasPrefix(v, "[") || strings.TrimSpace(v) != v {
			text, _ := json.Marshal(values) // strings always can be
			return Guard(string(text))
		}
	}
	return Guard(strings.Join(values, ";"))
}

// Characters with which a cell would begin a formula in a spreadsheet (OWASP, CSV
// Injection). Such a cell gets an apostrophe in front, which reading takes away.
const formula = "=+-@\t\r"

// Guard keeps a spreadsheet from taking a cell for a formula.
func Guard(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); rest != "" && strings.ContainsRune(formula, rune(rest[0])) {
		return "'" + cell
	}
	return cell
}

func unguard(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); rest != "" && len(rest) < len(cell) && strings.ContainsRune(formula, rune(rest[0])) {
		return cell[1:]
	}
	return cell
}
