package strict

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits of one file. They bound the work whatever is in it.
const (
	maxBytes    = 1 << 20
	maxDepth    = 64
	maxTokens   = 400_000
	maxKeys     = 50_000 // in a file
	maxMapKeys  = 5_000  // in one map; reading block maps costs the square of it
	maxNumber   = 100    // characters of a number; longer ones are text
	maxFindings = 200
)

// Document is a file that was read. It collects what is wrong with it.
type Document struct {
	File string

	root   *Node
	source string
	lines  []string // of source, once they are asked for
	errs   Errors
	warns  Errors
	more   int // findings that were not kept
	plans  plans
}

// Root is the value of the whole file; nil when the file cannot be read as YAML.
func (d *Document) Root() *Node { return d.root }

// Err gives all errors as an [Errors], ordered by place; nil when there is none.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	d.errs.sort()
	if d.more == 0 {
		return d.errs
	}
	last := d.errs[len(d.errs)-1]
	return append(d.errs[:len(d.errs):len(d.errs)], Error{
		File: d.File, Line: last.Line, Column: last.Column,
		Message: fmt.Sprintf("and %d more; correct these first", d.more),
	})
}

// Warnings gives all warnings, ordered by place.
func (d *Document) Warnings() Errors {
	d.warns.sort()
	return d.warns
}

// ErrorAt reports an error about the value at a path of keys (string) and list
// indexes (int). When the path leads nowhere, the place is where it ends. An
// error that just follows from what decoding has reported is dropped.
func (d *Document) ErrorAt(path []any, format string, args ...any) {
	if d.root == nil || d.root.excused(path) {
		return
	}
	d.add(d.findingAt(path, fmt.Sprintf(format, args...)))
}

// WarnAt reports at a path what is probably not meant.
func (d *Document) WarnAt(path []any, format string, args ...any) {
	if d.root == nil || d.root.excused(path) {
		return
	}
	d.warn(d.findingAt(path, fmt.Sprintf(format, args...)))
}

// Position is the place of the value at a path, or of what comes nearest to it.
func (d *Document) Position(path []any) (line, column int) {
	if d.root == nil {
		return 1, 1
	}
	e := d.findingAt(path, "")
	return e.Line, e.Column
}

// findingAt leaves the message as it is: it comes from those who know what the
// value means.
func (d *Document) findingAt(path []any, message string) Error {
	n := d.root
	for _, step := range path {
		next := n.child(step)
		if next == nil {
			break
		}
		n = next
	}
	e := n.finding("", "")
	e.Message, e.Path = message, PathText(path)
	return e
}

// PathText writes a path as in routes[2].prefix.
func PathText(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// ParsePath reads what PathText writes. Keys with dots or brackets in them are
// beyond it.
func ParsePath(text string) []any {
	var path []any
	for part := range strings.SplitSeq(text, ".") {
		key, rest, _ := strings.Cut(part, "[")
		if key != "" {
			path = append(path, key)
		}
		for rest != "" {
			var index string
			index, rest, _ = strings.Cut(rest, "]")
			if i, err := strconv.Atoi(index); err == nil {
				path = append(path, i)
			}
			rest = strings.TrimPrefix(rest, "[")
		}
	}
	return path
}

func (d *Document) add(e Error) {
	if len(d.errs) >= maxFindings {
		d.more++
		return
	}
	d.errs = append(d.errs, d.complete(e))
}

func (d *Document) warn(e Error) {
	if len(d.warns) < maxFindings {
		d.warns = append(d.warns, d.complete(e))
	}
}

// fail reports an error of the file as a file.
func (d *Document) fail(line, column int, text, message, hint string) {
	d.add(Error{Line: line, Column: column, Text: text, Message: message, Hint: hint})
}

func (d *Document) complete(e Error) Error {
	e.File = d.File
	if !e.hidden {
		e.Source = d.line(e.Line)
	}
	return e
}

// line is a line of the source, from 1.
func (d *Document) line(number int) string {
	if d.lines == nil {
		d.lines = strings.Split(d.source, "\n")
	}
	if number < 1 || number > len(d.lines) {
		return ""
	}
	return d.lines[number-1]
}
