package roster

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"trunkline/flowengine"
)

// Bounds of a row.
const (
	maxTags = 200
	maxTag  = 128 // octets
)

// Row is a row as a file has it: cells of CSV, or an object.
type Row struct {
	Line   int             `json:"line"`
	Cells  []string        `json:"cells,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`
}

// rowReader makes a change of a row, and collects what is wrong with it.
type rowReader struct {
	columns *Columns
	line    int
	change  flowengine.Change
	wrong   []RowError
}

// Change is what a row says of a person. An empty cell says nothing; null in an
// object removes an attribute.
func (c *Columns) Change(r *Row, source string) (*flowengine.Change, []RowError) {
	x := &rowReader{columns: c, line: r.Line, change: flowengine.Change{Source: source}}
	if r.Object != nil {
		x.object(r.Object)
	} else {
		x.cells(r.Cells)
	}
	if len(x.wrong) == 0 && len(x.change.AddAddresses) == 0 {
		x.fail("", "nothing finds the person: a phone number, an e-mail address or an external id is needed")
	}
	if x.wrong != nil {
		return nil, x.wrong
	}
	return &x.change, nil
}

func (x *rowReader) fail(column, reason string) {
	x.wrong = append(x.wrong, RowError{x.line, column, reason})
}

func (x *rowReader) cells(cells []string) {
	c := x.columns
	if len(cells) != len(c.means) {
		x.fail("", fmt.Sprintf("it has %d cells; the header has %d", len(cells), len(c.means)))
		return
	}
	for i, cell := range cells {
		if strings.TrimSpace(cell) == "" || c.means[i] == colIgnored {
			continue
		}
		cell = unguard(cell)
		if values, several := x.values(c.given[i], c.means[i], cell); several {
			x.several(c.given[i], c.means[i], values)
			continue
		}
		v, err := c.schema.Coerce(c.means[i], cell)
		if err != nil {
			x.fail(c.given[i], err.Error())
			continue
		}
		x.set(c.given[i], c.means[i], v)
	}
}

// set writes an attribute. The external id finds the person as well.
func (x *rowReader) set(column, name string, v flowengine.Value) {
	x.change.Set = append(x.change.Set, flowengine.Attr{Name: name, Value: v})
	if name == colExternalID && v.Type == flowengine.Text {
		x.address(column, flowengine.External, v.Str)
	}
}

// values cuts a cell that may hold several values: between semicolons, or a JSON
// array of strings.
func (x *rowReader) values(column, meaning, cell string) (values []string, several bool) {
	if !x.columns.holdsSeveral(meaning) {
		return nil, false
	}
	if strings.HasPrefix(cell, "[") {
		if err := json.Unmarshal([]byte(cell), &values); err != nil {
			x.fail(column, `values between semicolons or a list such as ["a", "b"] are expected`)
		}
		return values, true
	}
	return strings.Split(cell, ";"), true
}

// holdsSeveral says whether a column is no attribute but addresses, tags or kinds.
func (c *Columns) holdsSeveral(meaning string) bool {
	return c.isAddress(meaning) || (meaning == colTags || meaning == colDoNotContact) && c.schema.Writable(meaning) == flowengine.Unset
}

func (x *rowReader) several(column, meaning string, values []string) {
	for _, value := range values {
		if value = strings.TrimSpace(value); value == "" {
			continue
		}
		switch meaning {
		case colTags:
			x.tag(column, value)
		case colDoNotContact:
			k := flowengine.AddressKindNamed(value)
			if k == 0 || k == flowengine.External {
				x.fail(column, fmt.Sprintf("%q is none of phone, email, push and chat", clip(value)))
				continue
			}
			x.change.Block = append(x.change.Block, k)
		default:
			x.address(column, flowengine.AddressKindNamed(meaning), value)
		}
	}
}

func (x *rowReader) address(column string, k flowengine.AddressKind, value string) {
	a, err := flowengine.ReadAddress(k, value)
	if err != nil {
		x.fail(column, err.Error())
		return
	}
	for _, known := range x.change.AddAddresses {
		if known == a {
			return
		}
	}
	if len(x.change.AddAddresses) == 2*flowengine.MaxOfKind {
		x.fail(column, fmt.Sprintf("a row has at most %d addresses", 2*flowengine.MaxOfKind))
		return
	}
	x.change.AddAddresses = append(x.change.AddAddresses, a)
}

func (x *rowReader) tag(column, name string) {
	t := flowengine.NewTag(name)
	switch {
	case len(t.Name) > maxTag || !utf8.ValidString(name) || strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		x.fail(column, fmt.Sprintf("%q is no tag: 1 to %d octets of printable text are expected", clip(name), maxTag))
	case len(x.change.AddTags) == maxTags:
		x.fail(column, fmt.Sprintf("a row has at most %d tags", maxTags))
	default:
		x.change.AddTags = append(x.change.AddTags, t)
	}
}

// object reads an object of NDJSON. Names are taken in the order of the file.
func (x *rowReader) object(raw json.RawMessage) {
	c := x.columns
	names, values, err := fields(raw)
	if err != nil {
		x.fail("", err.Error())
		return
	}
	for i, name := range names {
		meaning := name
		if target, ok := c.rename[name]; ok {
			meaning = target
		} else {
			meaning = c.read(meaning)
		}
		switch {
		case meaning == colIgnored:
		case c.holdsSeveral(meaning):
			x.jsonValues(name, meaning, values[i])
		default:
			v, err := c.schema.CoerceJSON(meaning, values[i])
			if err != nil {
				x.fail(name, err.Error())
				continue
			}
			x.set(name, meaning, v)
		}
	}
}

// jsonValues reads one string or an array of strings.
func (x *rowReader) jsonValues(column, meaning string, raw json.RawMessage) {
	var one string
	var many []string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &one) == nil:
		x.several(column, meaning, []string{one})
	case json.Unmarshal(raw, &many) == nil:
		x.several(column, meaning, many)
	default:
		x.fail(column, "a string or a list of strings is expected")
	}
}

// fields takes an object apart. A name that is there twice is an error.
func fields(raw []byte) (names []string, values []json.RawMessage, err error) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return nil, nil, fmt.Errorf("a JSON object is expected")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("it is not a JSON object: %w", err)
		}
		name := token.(string) // of an object
		if seen[name] {
			return nil, nil, fmt.Errorf("%q is there twice", clip(name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, fmt.Errorf("it is not a JSON object: %w", err)
		}
		names, values = append(names, name), append(values, value)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("it is not a JSON object: %w", err)
	}
	if strings.TrimSpace(string(raw[d.InputOffset():])) != "" {
		return nil, nil, fmt.Errorf("there is more after the end of the object")
	}
	return names, values, nil
}

// clip shortens a text for an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
