package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
	"trunkline/flowengine/roster"
)

// The commands that work on people.

func newPeople(o *options) *cobra.Command {
	people := &cobra.Command{Use: "people", Aliases: []string{"person"}, Short: "Import, export, find, show, change, merge and erase the people the daemon knows"}
	people.AddCommand(newPeopleImport(o), newPeopleExport(o), newPeopleFind(o), newPersonShow(o), newPersonSet(o), newPeopleMerge(o), newPersonErase(o))
	return people
}

func newPersonShow(o *options) *cobra.Command {
	asJSON := false
	show := &cobra.Command{
		Use: "show PERSON", Short: "Show a person: attributes, tags, flows, history", Args: cobra.ExactArgs(1),
		Long: "Show a person, named by id, phone number, e-mail address or external:ID.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var p personView
			if err := o.call(cmd.Context(), "GET", "/people/"+url.PathEscape(args[0]), nil, &p); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), p)
			}
			return printPerson(cmd.OutOrStdout(), &p)
		},
	}
	show.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return show
}

func newPersonSet(o *options) *cobra.Command {
	var a toolAmendment
	set := &cobra.Command{
		Use: "set PERSON [ATTRIBUTE=VALUE]…", Short: "Write attributes and tags of a person", Args: cobra.MinimumNArgs(1),
		Long:    "Write attributes and tags of a person. An attribute with nothing after = is removed.",
		Example: "  trunkline people set 385911234567 shoeSize=42 --tag vip --untag new",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if a.Attributes, err = pairs(args[1:]); err != nil {
				return err
			}
			var p personView
			if err := o.call(cmd.Context(), "PATCH", "/people/"+url.PathEscape(args[0]), &a, &p); err != nil {
				return err
			}
			return printPerson(cmd.OutOrStdout(), &p)
		},
	}
	set.Flags().StringSliceVar(&a.Tags, "tag", nil, "tag to add")
	set.Flags().StringSliceVar(&a.Untags, "untag", nil, "tag to remove")
	set.Flags().BoolVar(&a.Create, "create", false, "make the person if nobody is known by the address")
	return set
}

func newPersonErase(o *options) *cobra.Command {
	sure := false
	erase := &cobra.Command{
		Use: "erase PERSON", Short: "Forget a person: profile, addresses, history, events, what was not sent yet", Args: cobra.ExactArgs(1),
		Long: `Forget a person, and everybody who was merged into the person: profile, addresses,
passages, history, events, messages that were not sent yet, delivery reports that
are expected or wait, and who the person was in the reports of operations. Counters
stay. Backups that were made before still hold the person, as do exports and the
files in which imports say what was wrong with their rows.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sure {
				return errors.New("this can't be undone; say --yes when it shall be")
			}
			var a actedView
			if err := o.call(cmd.Context(), "DELETE", "/people/"+url.PathEscape(args[0]), nil, &a); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is forgotten; backups and exports that were made before still hold the person\n", a.Person)
			return nil
		},
	}
	erase.Flags().BoolVar(&sure, "yes", false, "really erase")
	return erase
}

func newPeopleMerge(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "merge PERSON PERSON…", Short: "Make one person of several; the oldest survives", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a actedView
			if err := o.call(cmd.Context(), "POST", "/people/"+url.PathEscape(args[0])+"/merge", args[1:], &a); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "they are %s now\n", a.Person)
			return nil
		},
	}
}

// finding is what people are looked for by.
type finding struct {
	where, timezone string
	limit           int
	asJSON          bool
}

func newPeopleFind(o *options) *cobra.Command {
	f := &finding{limit: 20, timezone: "UTC"}
	find := &cobra.Command{
		Use: "find [QUERY]", Short: "Find people by an address, or by any condition", Args: cobra.MaximumNArgs(1),
		Long: `Find people. A phone number, an e-mail address, an id, push:…, chat:… or external:…
finds its person at once. ATTRIBUTE=VALUE and tag=NAME look for who has it; a text may
end with * for whatever follows. --where takes any condition on people that flows
and segments know. Conditions that ask for a tag, a segment or a day of the year are
answered from indexes, others by a search through all people.`,
		Example: "  trunkline people find 385911234567\n  trunkline people find 'lastName=Hor*' --limit 100\n  trunkline people find tag=vip\n" +
			"  trunkline people find --where '{all: [{attr: shoeSize, op: gte, value: 44}, {tag: vip}]}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (f.where != "") {
				return errors.New("say whom to find: QUERY, or --where with a condition")
			}
			query := f.where
			if len(args) == 1 {
				query = args[0]
			}
			found, err := o.findPeople(cmd, f, args)
			if err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), found)
			}
			for _, p := range found {
				fmt.Fprintln(cmd.OutOrStdout(), inOneLine(p))
			}
			if len(found) == 0 {
				return fmt.Errorf("nobody is found by %q", query)
			}
			return nil
		},
	}
	find.Flags().StringVar(&f.where, "where", "", "condition, as in flows")
	find.Flags().StringVar(&f.timezone, "timezone", f.timezone, "where the days of the condition begin and end")
	find.Flags().IntVar(&f.limit, "limit", f.limit, "most people to find")
	find.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return find
}

func (o *options) findPeople(cmd *cobra.Command, f *finding, args []string) (found []*personView, err error) {
	where := f.where
	if len(args) == 1 {
		attribute, value, scan := strings.Cut(args[0], "=")
		if !scan || strings.ContainsAny(attribute, ":@") {
			p := new(personView)
			return []*personView{p}, o.call(cmd.Context(), "GET", "/people/"+url.PathEscape(args[0]), nil, p)
		}
		if where, err = equality(attribute, value); err != nil {
			return nil, err
		}
	}
	bar := newProgress(cmd.ErrOrStderr(), "search")
	defer bar.end()
	for after := ""; len(found) < f.limit; {
		q := url.Values{"where": {where}, "timezone": {f.timezone}, "after": {after}, "limit": {strconv.Itoa(min(f.limit-len(found), findPage))}}
		var page foundPeople
		if err := o.call(cmd.Context(), "GET", "/people/find?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		found = append(found, page.People...)
		if after = page.Next; after == "" {
			break
		}
		if id, err := flowengine.ParsePersonID(after); err == nil {
			bar.show(uint64(id.Shard()), flowengine.Shards)
		}
	}
	return found, nil
}

// equality is the condition that an attribute has a value, or begins with it where
// an asterisk follows; of the name tag, that the person bears it.
func equality(attribute, value string) (string, error) {
	prefix, starts := strings.CutSuffix(value, "*")
	condition := map[string]any{"attr": attribute, "op": "is", "value": value}
	switch {
	case value == "":
		return "", errors.New("give a value to look for")
	case attribute == "tag":
		condition = map[string]any{"tag": value}
	case starts:
		condition["op"], condition["value"] = "starts_with", prefix
	}
	text, err := json.Marshal(condition)
	return string(text), err
}

// inOneLine says who a person is.
func inOneLine(p *personView) string {
	parts := []string{p.ID}
	for _, name := range []string{"firstName", "lastName"} {
		if v, ok := p.Attributes[name]; ok {
			parts = append(parts, fmt.Sprint(v))
		}
	}
	for i, a := range p.Addresses {
		if i == 3 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, a.Kind+":"+a.Value)
	}
	return strings.Join(parts, "  ")
}

func newPeopleExport(o *options) *cobra.Command {
	format, person := "", ""
	export := &cobra.Command{
		Use: "export [FILE]", Short: "Export all people, or all that is known of one", Args: cobra.MaximumNArgs(1),
		Long: `Export all people, as CSV or NDJSON that ` + "`people import`" + ` reads; without FILE to
standard output. Columns are the same for the same attributes. A cell that a
spreadsheet would take for a formula has an apostrophe in front.

With --person, all that is known of one person is exported as one JSON object:
profile, history and People events.`,
		Example: "  trunkline people export people.csv\n  trunkline people export --person 385911234567 subject.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			path := "/people/" + url.PathEscape(person) + "/export"
			if person == "" {
				if format == "" && name == "" {
					format = string(roster.CSV)
				}
				f, err := roster.FormatOf(format, name)
				if err != nil {
					return err
				}
				path = "/people?format=" + string(f)
			}
			body, err := o.open(cmd.Context(), "GET", path, nil)
			if err != nil {
				return err
			}
			defer body.Close()
			return writeExport(name, body, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	export.Flags().StringVar(&format, "format", "", "csv or ndjson; default: what the name of the file says")
	export.Flags().StringVar(&person, "person", "", "only this person, with history and events")
	return export
}

// writeExport copies an export to a file, which appears when it is whole, or
// without a name to out.
func writeExport(name string, body io.Reader, out, errs io.Writer) (err error) {
	bar := newProgress(errs, "export")
	watch := &idWatch{bar: bar}
	body = io.TeeReader(body, watch)
	if name == "" {
		_, err = io.Copy(out, body)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, body)
	bar.end()
	if err != nil {
		return fmt.Errorf("the export did not arrive whole and is discarded: %w", err)
	}
	if err = errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s\n", name, byteSize(uint64(n)))
	return nil
}

// idWatch tells from the ids that pass by how far an export is: people come in
// the order of their ids, and an id begins with its shard.
type idWatch struct{ bar *progress }

// Write implements io.Writer.
func (w *idWatch) Write(b []byte) (int, error) {
	const idChars = 26
	text := string(b)
	if at := strings.LastIndexByte(text, '\n') + 1; at > 0 {
		line := strings.TrimPrefix(text[at:], `{"id":"`)
		if len(line) >= idChars {
			if id, err := flowengine.ParsePersonID(line[:idChars]); err == nil {
				w.bar.show(uint64(id.Shard()), flowengine.Shards)
			}
		}
	}
	return len(b), nil
}
