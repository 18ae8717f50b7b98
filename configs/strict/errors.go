package strict

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is one finding in a file.
type Error struct {
	File         string
	Line, Column int    // from 1; columns count characters
	Path         string // such as routes[2].prefix; "" for the file as a whole
	Text         string // the offending text as it was written
	Message      string // what is wrong
	Hint         string // what would be right; may be ""
	Source       string // the line of the file; "" when there is a secret in it

	hidden bool
}

// Error gives the finding as file:line:column: message (hint).
func (e Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Excerpt shows the line of the file with the place underlined, in two lines
// without an end of line. It is "" when the file has no such line.
func (e Error) Excerpt() string {
	const before, width = 60, 100 // characters of the line that are shown
	line := []rune(strings.ReplaceAll(e.Source, "\t", " "))
	at := e.Column - 1
	if at < 0 || at > len(line) || len(line) == 0 {
		return ""
	}
	cut := 0
	if at > before {
		cut = at - before
	}
	shown := line[cut:min(len(line), cut+width)]
	marks := 1
	if n := utf8.RuneCountInString(e.Text); n > 1 && strings.HasPrefix(string(line[at:]), e.Text) {
		marks = min(n, len(shown)-(at-cut))
	}
	margin := fmt.Sprintf("%5d | ", e.Line)
	return margin + string(shown) + "\n" + strings.Repeat(" ", len(margin)-2) + "| " + strings.Repeat(" ", at-cut) + strings.Repeat("^", max(marks, 1))
}

// Errors are the findings in one or more files, ordered by place within a file.
type Errors []Error

// Error gives one finding per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Report gives each finding with an excerpt of the file below it.
func (e Errors) Report() string {
	var b strings.Builder
	for _, one := range e {
		b.WriteString(one.Error() + "\n")
		if x := one.Excerpt(); x != "" {
			b.WriteString(x + "\n")
		}
	}
	return b.String()
}

// Unwrap gives the findings one by one to errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Message, b.Message)
	})
}
