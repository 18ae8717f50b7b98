package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/cdr"
	"trunkline/keyword"
)

// Records of calls: their outer form, the folder that they go to by themselves,
// and the commands that list and export them (rule C3).

// viewCall is the outer form of a record.
func viewCall(r *runtime.CallRecord) cdr.Record {
	v := cdr.Record{
		Call: r.Call, Leg: r.Leg, Direction: "in", Trunk: r.Trunk, From: r.From, To: r.To,
		Flow: r.Origin.Flow, Version: r.Origin.Version, Element: r.Origin.Element,
		Setup: r.Setup, Alerting: r.Alerting, Answered: r.Answered, Ended: r.Ended, Open: !r.Final,
		Seconds: r.Duration().Seconds(), Billed: int64(r.Billed / time.Second), CostUnknown: r.CostUnknown,
		Status: r.Status, Cause: r.Cause, EndedBy: r.By, Detail: r.Detail,
		Codec: r.Codec, MOS: float64(r.MOS) / 100, Lost: float64(r.Lost) / 100, Jitter: math.Round(r.Jitter.Seconds()*1e4) / 10,
	}
	if r.Outbound {
		v.Direction = "out"
	}
	if !r.Origin.Person.IsZero() {
		v.Person = r.Origin.Person.String()
	}
	if r.Priced() {
		v.Cost, v.Currency = r.Cost.String(), r.Currency.String()
	}
	return v
}

// callSource gives a folder the records of the store, by shard.
type callSource struct{ rt *runtime.Runtime }

var _ cdr.Source = callSource{}

// Parts implements cdr.Source.
func (callSource) Parts() int { return flowengine.Shards }

// After implements cdr.Source.
func (s callSource) After(part int, after []byte, most int) ([]cdr.Record, []byte, error) {
	records, last, err := s.rt.CallsAfter(flowengine.Shard(part), after, most)
	views := make([]cdr.Record, len(records))
	for i, r := range records {
		views[i] = viewCall(r)
	}
	return views, last, err
}

// openCallFolder makes the folder ready that records go to by themselves.
func (d *daemon) openCallFolder(c cdr.Config) (err error) {
	if c.Folder == "" {
		return nil
	}
	c.Folder = d.source.resolve(c.Folder)
	d.callFolder, err = cdr.OpenFolder(c, callSource{d.rt}, d.log)
	return err
}

// serveCallFolder writes records until ctx ends.
func (d *daemon) serveCallFolder(ctx context.Context, g *errgroup.Group) {
	if d.callFolder != nil {
		g.Go(func() error { return d.callFolder.Run(ctx) })
	}
}

// callFilter is which records a tool wants.
type callFilter struct {
	from, to     time.Time // of the end
	flow, number string
}

func readCallFilter(q url.Values) (f callFilter, err error) {
	if f.from, err = parseSince("from", q.Get("from"), time.Now()); err != nil {
		return f, err
	}
	if f.to, err = parseSince("to", q.Get("to"), time.Now()); err != nil {
		return f, err
	}
	f.flow, f.number = q.Get("flow"), keyword.Number(q.Get("number"))
	return f, nil
}

// parseSince reads a day, a moment, or how long ago.
func parseSince(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%s: %q is no time: a day such as 2026-01-31, a moment such as 2026-01-31T09:00:00Z, or how long ago, such as 2h, is expected", name, text)
}

func (f *callFilter) match(r *runtime.CallRecord) bool {
	return (f.flow == "" || f.flow == r.Origin.Flow) && (f.number == "" || f.number == keyword.Number(r.From) || f.number == keyword.Number(r.To))
}

// callsMost bounds a list.
const callsMost = 10_000

// listCalls answers the control socket: the newest records that match, the
// oldest of them first; with open, those of the legs that stand.
func (d *daemon) listCalls(r *http.Request) (any, error) {
	f, err := readCallFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	most, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || most < 1 || most > callsMost {
		return nil, fmt.Errorf("limit: 1 to %d are listed", callsMost)
	}
	views := []cdr.Record{}
	take := func(r *runtime.CallRecord) bool {
		if f.match(r) {
			if len(views) == 2*most {
				views = append(views[:0], views[most:]...)
			}
			views = append(views, viewCall(r))
		}
		return true
	}
	if r.FormValue("open") != "" {
		var open []*runtime.CallRecord
		open, err = d.rt.OpenCalls()
		for _, r := range open {
			take(r)
		}
	} else {
		err = d.rt.EachCall(f.from, f.to, take)
	}
	return views[max(0, len(views)-most):], err
}

// exportCalls streams all records that match.
func (d *daemon) exportCalls(w http.ResponseWriter, r *http.Request) {
	f, err := readCallFilter(r.URL.Query())
	var format cdr.Format
	if err == nil {
		format, err = cdr.ParseFormat(r.FormValue("format"))
	}
	if err != nil {
		answerTool(w, nil, err)
		return
	}
	d.stream(w, func(out io.Writer) error {
		writer, err := cdr.NewWriter(out, format, true)
		if err != nil {
			return err
		}
		var failed error
		err = d.rt.EachCall(f.from, f.to, func(r *runtime.CallRecord) bool {
			if f.match(r) {
				v := viewCall(r)
				failed = writer.Write(&v)
			}
			return failed == nil
		})
		return errors.Join(err, failed, writer.Flush())
	})
}

func newCalls(o *options) *cobra.Command {
	c := &cobra.Command{Use: "calls", Short: "List and export records of calls"}
	var from, to, flow, number, format string
	filter := func(f *cobra.Command) {
		f.Flags().StringVar(&from, "from", "", "calls that ended from then on: a day, a moment, or how long ago, such as 24h")
		f.Flags().StringVar(&to, "to", "", "calls that ended before then")
		f.Flags().StringVar(&flow, "flow", "", "calls of this flow")
		f.Flags().StringVar(&number, "number", "", "calls from or to this number")
		_ = f.RegisterFlagCompletionFunc("flow", o.completeFlow)
	}
	query := func() url.Values { return url.Values{"from": {from}, "to": {to}, "flow": {flow}, "number": {number}} }

	limit, open, asJSON := 100, false, false
	list := &cobra.Command{
		Use: "list", Short: "List the newest records, a line per leg", Args: cobra.NoArgs,
		Example: `  trunkline calls list --from 24h --number 38591000003
  trunkline calls list --open`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := query()
			q.Set("limit", strconv.Itoa(limit))
			if open {
				q.Set("open", "1")
			}
			var records []cdr.Record
			if err := o.call(cmd.Context(), "GET", "/calls?"+q.Encode(), nil, &records); err != nil {
				return err
			}
			return printCalls(cmd.OutOrStdout(), records, asJSON)
		},
	}
	filter(list)
	list.Flags().IntVar(&limit, "limit", limit, "how many at most")
	list.Flags().BoolVar(&open, "open", false, "answered calls that stand now")
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")

	export := &cobra.Command{
		Use: "export [FILE]", Short: "Write all records, the oldest first, as JSON lines or CSV", Args: cobra.MaximumNArgs(1),
		Long: `Write all records of calls that are over, ordered by when they ended, to FILE or
to standard output. For records that are to be taken over as they come, configure
voice.records.folder instead.`,
		Example: `  trunkline calls export --format csv --from 2026-01-01 --to 2026-02-01 january.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := query()
			q.Set("format", format)
			body, err := o.open(cmd.Context(), "GET", "/calls/export?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			defer body.Close()
			return writeTo(cmd.OutOrStdout(), args, body)
		},
	}
	filter(export)
	export.Flags().StringVar(&format, "format", "jsonl", "jsonl or csv")
	c.AddCommand(list, export)
	return c
}

// writeTo copies to the file that args names, or to out.
func writeTo(out io.Writer, args []string, body io.Reader) error {
	if len(args) == 0 {
		_, err := io.Copy(out, body)
		return err
	}
	file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	return errors.Join(err, file.Close())
}

func printCalls(out io.Writer, records []cdr.Record, asJSON bool) error {
	if asJSON {
		w, err := cdr.NewWriter(out, cdr.JSONLines, false)
		for i := range records {
			err = errors.Join(err, w.Write(&records[i]))
		}
		return err
	}
	if len(records) == 0 {
		fmt.Fprintln(out, "no calls")
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENDED\tCALL\tLEG\tFROM\tTO\tTRUNK\tFLOW\tSECONDS\tCOST\tSTATUS\tENDED BY\tMOS")
	for i := range records {
		r := &records[i]
		ended, cost, flow, by, mos := r.Ended.Format("2006-01-02 15:04:05"), r.Cost, r.Flow, r.EndedBy, "-"
		if r.Open {
			ended = "open"
		}
		switch {
		case r.CostUnknown:
			cost = "unknown"
		case cost != "":
			cost += " " + r.Currency
		default:
			cost = "-"
		}
		if r.Element != "" {
			flow += "/" + r.Element
		}
		if r.Detail != "" {
			by += " (" + r.Detail + ")"
		}
		if r.MOS > 0 {
			mos = strconv.FormatFloat(r.MOS, 'f', 1, 64)
		}
		fmt.Fprintf(t, "%s\t%s\t%d %s\t%s\t%s\t%s\t%s\t%.1f\t%s\t%d\t%s\t%s\n", ended, r.Call, r.Leg, r.Direction, r.From, r.To, r.Trunk, flow, r.Seconds, cost, r.Status, by, mos)
	}
	return t.Flush()
}
