package main

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"trunkline/flowengine/roster"
)

// importer brings the rows of a file to the daemon, batch by batch. Beside the
// file lies a note of how far it is, so that it goes on there when it was cut off;
// a batch that the daemon has already is not imported twice.
type importer struct {
	o          *options
	name       string
	format     roster.Format
	rename     map[string]string
	onConflict string
	dryRun     bool
	errorsName string

	file   *os.File
	size   int64
	rows   *roster.Reader
	note   importNote
	errors *os.File
	bar    *progress
}

// importNote is how far an import is.
type importNote struct {
	Operation string       `json:"operation"`
	Size      int64        `json:"size"`     // of the file
	Modified  int64        `json:"modified"` // Unix ns
	Next      int          `json:"next"`     // number of the next batch
	Place     roster.Place `json:"place"`    // where it begins
	Rows      int          `json:"rows"`
	Errors    int64        `json:"errors"` // octets of the file of errors
	Done      importAnswer `json:"done"`
	Bad       int          `json:"bad"` // rows that were not imported
}

func newPeopleImport(o *options) *cobra.Command {
	x := &importer{o: o}
	format := ""
	resume, restart := false, false
	var maps []string
	c := &cobra.Command{
		Use: "import FILE", Short: "Import people from CSV or NDJSON", Args: cobra.ExactArgs(1),
		Long: `Import people from a file of any length. A row finds its person by phone, email,
push, chat or external; who is not known is made, and known people are changed by
what the row says: an empty cell says nothing. Contacts of several persons merge
them (see people.on_conflict).

CSV has a header; its names are attributes, phone, email, push, chat, external, tags
or do_not_contact, in any case; --map names others. Several values of a cell stand
between semicolons. NDJSON has an object a line with the same names; values have the
JSON types of their attributes, and null removes one.

Rows that are wrong are listed with line and column in the file of --errors; the
others are imported. An import that was cut off goes on with --resume.`,
		Example: "  trunkline people import people.csv --map Mobile=phone --map Notes=-\n  trunkline people import people.csv --dry-run",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			x.name = args[0]
			if x.rename, err = pairs(maps); err != nil {
				return err
			}
			if x.format, err = roster.FormatOf(format, x.name); err != nil {
				return err
			}
			if x.errorsName == "" {
				x.errorsName = x.name + ".errors.csv"
			}
			x.bar = newProgress(cmd.ErrOrStderr(), "import")
			if err := x.open(resume, restart); err != nil {
				return err
			}
			defer x.close()
			err = x.run(cmd.Context())
			x.bar.end()
			if err != nil {
				return x.interrupted(err)
			}
			return x.report(cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&format, "format", "", "csv or ndjson; default: what the name of the file says")
	c.Flags().StringArrayVar(&maps, "map", nil, "COLUMN=ATTRIBUTE: what a column is; COLUMN=- leaves it out")
	c.Flags().StringVar(&x.errorsName, "errors", "", "file for rows that are wrong; default: FILE.errors.csv")
	c.Flags().StringVar(&x.onConflict, "on-conflict", "", "merge or reject, when contacts are those of several persons; default: people.on_conflict")
	c.Flags().BoolVar(&x.dryRun, "dry-run", false, "only check the file")
	c.Flags().BoolVar(&resume, "resume", false, "go on with an import that was cut off")
	c.Flags().BoolVar(&restart, "restart", false, "begin anew, although an import of this file was cut off")
	c.MarkFlagsMutuallyExclusive("resume", "restart", "dry-run")
	return c
}

func (x *importer) noteName() string { return x.name + ".resume" }

// open opens the file at the place where the import begins.
func (x *importer) open(resume, restart bool) (err error) {
	if x.file, err = os.Open(x.name); err != nil {
		return err
	}
	info, err := x.file.Stat()
	if err != nil {
		return err
	}
	x.size = info.Size()
	if x.rows, err = roster.NewReader(x.file, x.format); err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	fresh := importNote{Operation: rand.Text(), Size: x.size, Modified: info.ModTime().UnixNano(), Place: x.rows.Place()}
	if err := x.readNote(&fresh, resume, restart); err != nil {
		return err
	}
	if x.note.Next == 0 { // what an earlier import complained of
		_ = os.Remove(x.errorsName)
	} else {
		if _, err := x.file.Seek(x.note.Place.Offset, io.SeekStart); err != nil {
			return err
		}
		x.rows = x.rows.Resume(x.file, x.note.Place)
	}
	return nil
}

// readNote finds out whether the import goes on or begins.
func (x *importer) readNote(fresh *importNote, resume, restart bool) error {
	x.note = *fresh
	text, err := os.ReadFile(x.noteName())
	switch {
	case x.dryRun || restart:
		return nil
	case errors.Is(err, os.ErrNotExist) && resume:
		return fmt.Errorf("there is no %s: no import of this file was cut off", x.noteName())
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	var note importNote
	if err := json.Unmarshal(text, &note); err != nil {
		return fmt.Errorf("%s can't be read; --restart begins anew: %w", x.noteName(), err)
	}
	switch {
	case !resume:
		return fmt.Errorf("an import of this file was cut off after line %d: --resume goes on there, --restart begins anew", note.Place.Line-1)
	case note.Size != fresh.Size || note.Modified != fresh.Modified:
		return fmt.Errorf("%s was changed since its import was cut off; --restart begins anew", x.name)
	}
	x.note = note
	return nil
}

func (x *importer) close() {
	x.file.Close()
	if x.errors != nil {
		x.errors.Close()
	}
}

// run imports batch by batch. The first one has no rows: it only asks what the
// columns mean.
func (x *importer) run(ctx context.Context) error {
	control, err := x.o.control()
	if err != nil {
		return err
	}
	b := &importBatch{Operation: x.note.Operation, Columns: x.rows.Header(), Map: x.rename, OnConflict: x.onConflict, DryRun: x.dryRun}
	if err := control.call(ctx, "POST", "/people/import", b, nil); err != nil {
		return err
	}
	for {
		bad, end, err := x.fill(b)
		if err != nil {
			return err
		}
		if len(b.Rows)+len(bad) == 0 {
			return nil
		}
		var a importAnswer
		if len(b.Rows) > 0 {
			if err := control.call(ctx, "POST", "/people/import", b, &a); err != nil {
				return err
			}
		}
		if err := x.settle(&a, bad, len(b.Rows)+len(bad)); err != nil {
			return err
		}
		if end {
			return nil
		}
		x.bar.show(uint64(x.note.Place.Offset), uint64(x.size))
	}
}

// fill reads the rows of the next batch.
func (x *importer) fill(b *importBatch) (bad []roster.RowError, end bool, err error) {
	b.Number, b.Rows = x.note.Next, b.Rows[:0]
	start := x.rows.Place().Offset
	for len(b.Rows)+len(bad) < importRows && x.rows.Place().Offset-start < importBytes {
		row, err := x.rows.Next()
		var wrong *roster.RowError
		switch {
		case errors.Is(err, io.EOF):
			return bad, true, nil
		case errors.As(err, &wrong):
			bad = append(bad, *wrong)
		case err != nil:
			return nil, false, err
		default:
			b.Rows = append(b.Rows, *row)
		}
	}
	return bad, false, nil
}

// settle notes what became of a batch.
func (x *importer) settle(a *importAnswer, bad []roster.RowError, rows int) error {
	wrong := append(bad, a.Wrong...)
	lines := map[int]bool{}
	for i := range wrong {
		lines[wrong[i].Line] = true
	}
	n := &x.note
	n.Bad += len(lines)
	n.Rows += rows
	n.Next++
	n.Place = x.rows.Place()
	n.Done.Created += a.Created
	n.Done.Updated += a.Updated
	n.Done.Unchanged += a.Unchanged
	n.Done.Checked += a.Checked
	if err := x.complain(wrong); err != nil {
		return err
	}
	if x.dryRun {
		return nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return replaceFile(x.noteName(), text)
}

// complain writes what is wrong with rows. What was written after the last note
// is overwritten: it comes again.
func (x *importer) complain(wrong []roster.RowError) (err error) {
	if len(wrong) == 0 {
		return nil
	}
	if x.errors == nil {
		if x.errors, err = os.OpenFile(x.errorsName, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return err
		}
		if err := x.errors.Truncate(x.note.Errors); err != nil {
			return err
		}
		if _, err := x.errors.Seek(0, io.SeekEnd); err != nil {
			return err
		}
	}
	w := csv.NewWriter(x.errors)
	if x.note.Errors == 0 {
		_ = w.Write([]string{"line", "column", "reason"}) // Error tells
	}
	for i := range wrong {
		_ = w.Write([]string{strconv.Itoa(wrong[i].Line), roster.Guard(wrong[i].Column), roster.Guard(wrong[i].Reason)})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	x.note.Errors, err = x.errors.Seek(0, io.SeekCurrent)
	return err
}

// interrupted says how an import goes on that did not come to its end.
func (x *importer) interrupted(err error) error {
	if x.note.Next == 0 || x.dryRun {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	return fmt.Errorf("%s: %w\nthe import was cut off after line %d; --resume goes on there", x.name, err, x.note.Place.Line-1)
}

// report says what the import did.
func (x *importer) report(w io.Writer) error {
	n := &x.note
	if x.dryRun {
		fmt.Fprintf(w, "%s: %d rows, %d without a mistake\n", x.name, n.Rows, n.Done.Checked)
	} else {
		fmt.Fprintf(w, "%s: %d rows: %d created, %d updated, %d unchanged\n", x.name, n.Rows, n.Done.Created, n.Done.Updated, n.Done.Unchanged)
		if err := os.Remove(x.noteName()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if n.Bad > 0 {
		return fmt.Errorf("%d rows are wrong; %s says what", n.Bad, x.errorsName)
	}
	return nil
}

// replaceFile writes a file that is there whole or not at all.
func replaceFile(name string, text []byte) error {
	next := name + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, name)
}
