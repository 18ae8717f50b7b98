package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// The commands about segments, and what they ask of the daemon.

type segmentView httpapi.Segment

// membersView is one page of the people in a segment.
type membersView struct {
	People []*personView `json:"people"`
	Next   string        `json:"next,omitempty"` // the cursor of the next page
}

func (d *daemon) controlSegments(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("GET /segments", func(*http.Request) (any, error) {
		all, err := d.rt.Segments()
		return httpapi.ViewSegments(all), err
	})
	handle("GET /segments/{id}", func(r *http.Request) (any, error) {
		s, err := d.rt.SegmentOf(r.PathValue("id"))
		return httpapi.ViewSegment(&s), err
	})
	handle("GET /segments/{id}/people", d.members)
	handle("POST /segments/{id}/recompute", func(r *http.Request) (any, error) {
		return nil, d.rt.RecomputeSegment(r.Context(), r.PathValue("id"))
	})
}

// membersMost bounds one page of members.
const membersMost = 1000

func (d *daemon) members(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if _, err := d.rt.SegmentOf(id); err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > membersMost {
		return nil, fmt.Errorf("a page has 1 to %d people", membersMost)
	}
	var after flowengine.PersonID
	if c := r.FormValue("cursor"); c != "" {
		if after, err = flowengine.ParsePersonID(c); err != nil || after.Shard() >= flowengine.Shards {
			return nil, errors.New("that is no cursor of this list; leave it out for the first page")
		}
	}
	page, next, err := d.rt.Find(r.Context(), runtime.Query{Segments: []string{id}}, after, limit)
	if err != nil {
		return nil, err
	}
	v := membersView{People: []*personView{}}
	for i := range page {
		v.People = append(v.People, viewPerson(&runtime.Profile{Person: page[i]}))
	}
	if !next.IsZero() {
		v.Next = next.String()
	}
	return v, nil
}

func newSegment(o *options) *cobra.Command {
	c := &cobra.Command{Use: "segment", Short: "Work on segments: list, show, members, recompute"}
	c.AddCommand(newSegmentList(o), newSegmentShow(o), newSegmentMembers(o), newSegmentRecompute(o))
	return c
}

func (o *options) segments(cmd *cobra.Command) (all []segmentView, err error) {
	return all, o.call(cmd.Context(), "GET", "/segments", nil, &all)
}

func newSegmentList(o *options) *cobra.Command {
	asJSON, asCSV := false, false
	c := &cobra.Command{
		Use: "list", Short: "List the segments with the numbers of their members", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := o.segments(cmd)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), all)
			case asCSV:
				return writeSegments(cmd.OutOrStdout(), all)
			case len(all) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "no segment is configured; write one below `segments` and run `trunkline reload`")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "SEGMENT\tUPDATE\tMEMBERS\tSTATE\tNAME")
			for i := range all {
				fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", all[i].ID, all[i].Update, all[i].Members, all[i].state(), all[i].Name)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	return c
}

// state says how current the members are.
func (s *segmentView) state() string {
	switch {
	case s.Removed:
		return fmt.Sprintf("being cleared, %d%%", int(100*s.Progress))
	case s.Computing:
		return fmt.Sprintf("being computed, %d%%", int(100*s.Progress))
	case s.Computed == nil:
		return "not computed yet"
	}
	return "computed " + local(*s.Computed)
}

func writeSegments(w io.Writer, all []segmentView) error {
	rows := csv.NewWriter(w)
	_ = rows.Write([]string{"segment", "name", "update", "members", "computing", "progress"})
	for i := range all {
		s := &all[i]
		_ = rows.Write([]string{s.ID, s.Name, s.Update, number(s.Members), strconv.FormatBool(s.Computing), strconv.FormatFloat(s.Progress, 'f', 3, 64)})
	}
	rows.Flush()
	return rows.Error()
}

func newSegmentShow(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "show SEGMENT", Short: "Show a segment", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeSegment,
		RunE: func(cmd *cobra.Command, args []string) error {
			var s segmentView
			if err := o.call(cmd.Context(), "GET", "/segments/"+url.PathEscape(args[0]), nil, &s); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n%s, %d members, %s\n", s.ID, s.Name, s.Update, s.Members, s.state())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newSegmentMembers(o *options) *cobra.Command {
	var cursor string
	var limit int
	asJSON, asCSV, all := false, false, false
	c := &cobra.Command{
		Use: "members SEGMENT", Short: "List the people in a segment", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeSegment,
		RunE: func(cmd *cobra.Command, args []string) error {
			show := printMembers
			switch {
			case asJSON:
				show = func(w io.Writer, m *membersView, _ bool) error { return printJSON(w, m) }
			case asCSV:
				show = writeMembers
			}
			for first := true; ; first = false {
				var page membersView
				query := url.Values{"limit": {strconv.Itoa(limit)}, "cursor": {cursor}}
				if err := o.call(cmd.Context(), "GET", "/segments/"+url.PathEscape(args[0])+"/people?"+query.Encode(), nil, &page); err != nil {
					return err
				}
				if err := show(cmd.OutOrStdout(), &page, first); err != nil || page.Next == "" {
					return err
				}
				if cursor = page.Next; !all {
					fmt.Fprintf(cmd.ErrOrStderr(), "there are more: --cursor %s, or --all\n", cursor)
					return nil
				}
			}
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "people of a page, at most 1000")
	c.Flags().StringVar(&cursor, "cursor", "", "where the page begins, as the page before says")
	c.Flags().BoolVar(&all, "all", false, "go on to the end")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object per page")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	return c
}

func printMembers(w io.Writer, m *membersView, _ bool) error {
	for _, p := range m.People {
		if _, err := fmt.Fprintf(w, "%s  %s\n", p.ID, addresses(p, ", ")); err != nil {
			return err
		}
	}
	return nil
}

func writeMembers(w io.Writer, m *membersView, first bool) error {
	rows := csv.NewWriter(w)
	if first {
		_ = rows.Write([]string{"person", "addresses", "tags"})
	}
	for _, p := range m.People {
		_ = rows.Write([]string{p.ID, addresses(p, " "), strings.Join(p.Tags, " ")})
	}
	rows.Flush()
	return rows.Error()
}

func addresses(p *personView, separator string) string {
	var all []string
	for _, a := range p.Addresses {
		all = append(all, a.Kind+":"+a.Value)
	}
	return strings.Join(all, separator)
}

func newSegmentRecompute(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "recompute SEGMENT", Short: "Compute a segment anew, such as a snapshot", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeSegment,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.call(cmd.Context(), "POST", "/segments/"+url.PathEscape(args[0])+"/recompute", nil, nil)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "segment %s is being computed; `trunkline segment show %s` says how far it is\n", args[0], args[0])
			}
			return err
		},
	}
}

// completeSegment offers the ids of segments to the shell.
func (o *options) completeSegment(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := o.segments(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for i := range all {
		ids = append(ids, all[i].ID+"\t"+all[i].Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
