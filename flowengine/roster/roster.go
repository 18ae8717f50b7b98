// Package roster reads and writes lists of persons, as CSV (RFC 4180) and as
// NDJSON, one JSON object a line. It knows rows and what they mean for a profile,
// not where they come from and where they go.
package roster

import (
	"fmt"
	"slices"
	"strings"

	"trunkline/configs/strict"
	"trunkline/flowengine"
)

// Format is how a list is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// FormatOf finds the format of a file: what was asked for, or else what its name says.
func FormatOf(asked, file string) (Format, error) {
	switch {
	case asked == string(CSV), asked == "" && strings.HasSuffix(strings.ToLower(file), ".csv"):
		return CSV, nil
	case asked == string(NDJSON), asked == "" && (strings.HasSuffix(file, ".ndjson") || strings.HasSuffix(file, ".jsonl")):
		return NDJSON, nil
	case asked == "":
		return "", fmt.Errorf("%s: the name does not tell the format; say --format csv or --format ndjson", file)
	}
	return "", fmt.Errorf("there is no format %q: csv and ndjson are there", asked)
}

// Columns that are no attributes. An attribute of the same name goes before.
const (
	colID           = "id"
	colCreated      = "created"
	colTags         = "tags"
	colDoNotContact = "do_not_contact"
	colExternalID   = "externalId" // an attribute that is an address too
	colIgnored      = "-"          // in a mapping: leave the column out
)

// addressColumns are columns with addresses, by their names.
var addressColumns = []string{"phone", "email", "push", "chat", "external"}

// RowError says what is wrong with a row.
type RowError struct {
	Line   int    `json:"line"`             // in the file, from 1
	Column string `json:"column,omitempty"` // as the file names it; empty: the row as a whole
	Reason string `json:"reason"`
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Column, e.Reason)
}

// Columns is what the columns of a file mean.
type Columns struct {
	schema *flowengine.Schema
	given  []string // as the file names them
	means  []string // what each is; colIgnored: nothing
	rename map[string]string
}

// NewColumns finds out what the columns of a file mean: rename says it of some;
// the others are named like attributes or address kinds, in any case and with
// spaces. Without a header, as for NDJSON, given is nil and names have to be exact.
func NewColumns(schema *flowengine.Schema, given []string, rename map[string]string) (*Columns, error) {
	c := &Columns{schema: schema, given: given, rename: rename}
	var wrong []string
	for name := range rename {
		if given != nil && !slices.Contains(given, name) {
			wrong = append(wrong, fmt.Sprintf("there is no column %q to map%s", name, strict.DidYouMean(name, given)))
		}
	}
	slices.Sort(wrong)
	seen := map[string]bool{}
	useful := false
	for _, name := range given {
		meaning, err := c.meaning(name)
		switch {
		case err != nil:
			wrong = append(wrong, err.Error())
		case meaning != colIgnored && seen[meaning] && !slices.Contains(addressColumns, meaning):
			wrong = append(wrong, fmt.Sprintf("two columns are %s", meaning))
		}
		seen[meaning] = true
		useful = useful || c.isAddress(meaning) || meaning == colExternalID
		c.means = append(c.means, meaning)
	}
	if given != nil && !useful && len(wrong) == 0 {
		wrong = append(wrong, fmt.Sprintf("no column finds the person: one of %s is needed; --map COLUMN=phone says which it is", strings.Join(addressColumns, ", ")))
	}
	for _, target := range rename {
		if given == nil && target != colIgnored && !c.known(target) {
			wrong = append(wrong, c.unknown(target).Error())
		}
	}
	if wrong != nil {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return c, nil
}

// meaning is what a column is.
func (c *Columns) meaning(name string) (string, error) {
	if target, ok := c.rename[name]; ok {
		if target != colIgnored && !c.known(target) {
			return "", fmt.Errorf("column %q: %w", name, c.unknown(target))
		}
		return target, nil
	}
	if c.known(name) {
		return c.read(name), nil
	}
	for _, n := range c.names() {
		if plain(n) == plain(name) {
			return c.read(n), nil
		}
	}
	return "", fmt.Errorf("column %q: %w; --map %q leaves it out", name, c.unknown(name), name+"=-")
}

// read is what a column of an export is for an import: id and created are not taken.
func (c *Columns) read(name string) string {
	if (name == colID || name == colCreated) && c.schema.Writable(name) == flowengine.Unset {
		return colIgnored
	}
	return name
}

func (c *Columns) names() []string {
	all := append([]string{colID, colCreated, colTags, colDoNotContact}, addressColumns...)
	for _, n := range c.schema.Names() {
		if c.schema.Writable(n) != flowengine.Unset {
			all = append(all, n)
		}
	}
	return all
}

func (c *Columns) known(name string) bool { return slices.Contains(c.names(), name) }

func (c *Columns) unknown(name string) error {
	return fmt.Errorf("there is no attribute %q%s", name, strict.DidYouMean(name, c.names()))
}

// isAddress says whether a column holds addresses.
func (c *Columns) isAddress(meaning string) bool {
	return slices.Contains(addressColumns, meaning) && c.schema.Writable(meaning) == flowengine.Unset
}

// plain is a name without case, spaces, hyphens and underscores.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
}
