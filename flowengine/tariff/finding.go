package tariff

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"trunkline/configs/strict"
)

// maxFindings are told; of the others only the number.
const maxFindings = 200

// finding is something wrong in a file.
type finding struct {
	file, line, column int // line and column from 1; the column counts octets
	name               string
	text               string
	message, hint      string
}

// findings keeps the first ones.
type findings struct {
	kept []finding
	more int
}

func (f *findings) full() bool { return len(f.kept) >= maxFindings }

func (f *findings) add(one finding) {
	if f.full() {
		f.more++
		return
	}
	one.text = strings.Clone(clip(one.text))
	f.kept = append(f.kept, one)
}

// err gives the findings by place, as other configuration files have them.
func (f *findings) err(files []File) error {
	if len(f.kept) == 0 {
		return nil
	}
	slices.SortStableFunc(f.kept, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.message, b.message))
	})
	errs := make(strict.Errors, 0, len(f.kept)+1)
	var source lines
	for _, one := range f.kept {
		text := source.line(files, one.file, one.line)
		before := min(max(one.column-1, 0), len(text))
		errs = append(errs, strict.Error{
			File: files[one.file].Name, Line: one.line, Column: utf8.RuneCountInString(text[:before]) + 1,
			Path: one.name, Text: one.text, Message: one.message, Hint: one.hint, Source: text,
		})
	}
	if f.more > 0 {
		last := errs[len(errs)-1]
		errs = append(errs, strict.Error{
			File: last.File, Line: last.Line, Column: last.Column,
			Message: fmt.Sprintf("and %d more; correct these first", f.more),
		})
	}
	return errs
}

// lines reads lines in ascending order, so that finding them all takes one pass.
type lines struct {
	file, next int    // the number of the line that rest begins with
	rest       []byte // of the file
}

func (l *lines) line(files []File, file, number int) string {
	if l.rest == nil || l.file != file || number < l.next {
		l.file, l.next, l.rest = file, 1, withoutMark(files[file].Data)
	}
	for ; l.next < number; l.next++ {
		_, l.rest, _ = bytes.Cut(l.rest, []byte{'\n'})
	}
	line, _, _ := bytes.Cut(l.rest, []byte{'\n'})
	const most = 64 << 10 // octets; nobody reads on so far
	return string(bytes.TrimSuffix(line[:min(len(line), most)], []byte{'\r'}))
}
