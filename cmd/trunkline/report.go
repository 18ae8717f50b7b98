package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// reportView is what happened in one flow on one day of UTC.
type reportView struct {
	Flow       string          `json:"flow"`
	Day        string          `json:"day"`
	Entered    uint64          `json:"entered"`
	Recipients uint64          `json:"recipients"` // for the first time on this day
	Elements   []reportElement `json:"elements"`
	Goals      []reportGoal    `json:"goals"`
}

// reportElement is one element in one version of its flow.
type reportElement struct {
	Version   uint32 `json:"version"`
	ID        string `json:"id"`
	Total     uint64 `json:"total_engagements"`
	Unique    uint64 `json:"unique_users_engaged"` // for the first time on this day
	Sent      uint64 `json:"messages_sent"`
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
	Clicks    uint64 `json:"clicks"`
	Clickers  uint64 `json:"unique_clickers"` // for the first time on this day

	Mail *httpapi.MailCounts `json:"mail,omitempty"`
	Cost httpapi.Cost        `json:"cost"`
}

// reportGoal is a goal overall, or for one branch of a split.
type reportGoal struct {
	Goal      string `json:"goal"`
	Branch    string `json:"branch,omitempty"`
	Reached   uint64 `json:"reached"`
	Converted uint64 `json:"converted"`
	Events    uint64 `json:"events"`
}

// report answers the control socket; its query has flow, from and to.
func (d *daemon) report(r *http.Request) (any, error) {
	from, err := parseDay("from", r.FormValue("from"))
	if err != nil {
		return nil, err
	}
	to, err := parseDay("to", r.FormValue("to"))
	if err != nil {
		return nil, err
	}
	if !to.IsZero() && to.Before(from) {
		return nil, fmt.Errorf("there is no day from %s to %s", r.FormValue("from"), r.FormValue("to"))
	}
	days, err := d.rt.Days(r.FormValue("flow"), from, to)
	if err != nil {
		return nil, err
	}
	views := make([]reportView, len(days))
	for i := range days {
		views[i] = viewDay(&days[i], d.rt.GoalMark)
	}
	return views, nil
}

func parseDay(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, fmt.Errorf("%s: %q is not a day; one such as 2026-01-31 is expected", name, text)
	}
	return day, nil
}

// viewDay shows of each goal what it counts as it is now, not what it counted
// before it was changed (rule G2). mark tells which that is; a goal that is no
// longer there has none.
func viewDay(d *runtime.DayTally, mark func(flow, goal string) (uint32, bool)) reportView {
	t := d.Counts
	v := reportView{
		Flow: d.Flow, Day: d.Day.Format(time.DateOnly), Entered: t.Entered, Recipients: t.Recipients,
		Elements: []reportElement{}, Goals: []reportGoal{},
	}
	for _, k := range slices.SortedFunc(maps.Keys(t.Elements), func(a, b runtime.ElementKey) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Element, b.Element))
	}) {
		c := t.Elements[k]
		v.Elements = append(v.Elements, reportElement{
			Version: k.Version, ID: k.Element, Total: c.Total, Unique: c.Unique, Sent: c.Sent, Delivered: c.Delivered, Failed: c.Failed,
			Clicks: c.Clicks, Clickers: c.Clickers, Mail: httpapi.ViewMail(c),
			Cost: httpapi.ViewCost(t.Cost(func(o runtime.ElementKey) bool { return o == k })),
		})
	}
	for _, k := range slices.SortedFunc(maps.Keys(t.Goals), func(a, b runtime.GoalKey) int {
		return cmp.Or(cmp.Compare(a.Goal, b.Goal), cmp.Compare(a.Branch, b.Branch), cmp.Compare(a.Mark, b.Mark))
	}) {
		if now, there := mark(d.Flow, k.Goal); there && now != k.Mark {
			continue
		}
		c := t.Goals[k]
		v.Goals = append(v.Goals, reportGoal{k.Goal, k.Branch, c.Reached, c.Converted, c.Events})
	}
	return v
}

func newReport(o *options) *cobra.Command {
	var flow, from, to string
	var asJSON, asCSV bool
	c := &cobra.Command{
		Use: "report", Short: "Report engagements, messages, costs and goals by flow, version, element and day", Args: cobra.NoArgs,
		Long: `Report what happened by flow, version, element and day: engagements, messages,
what they cost, and goals. Days are those of UTC; --from and --to are among them.

Unique users and recipients count on the day on which they came first, so that days
add up. A cost that no tariff tells is unknown, which is not nothing.`,
		Example: `  trunkline report --flow shoe-offer --from 2026-01-01 --to 2026-01-31
  trunkline report --csv >report.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var days []reportView
			query := url.Values{"flow": {flow}, "from": {from}, "to": {to}}
			if err := o.call(cmd.Context(), "GET", "/report?"+query.Encode(), nil, &days); err != nil {
				return err
			}
			return printDays(cmd.OutOrStdout(), days, asJSON, asCSV)
		},
	}
	c.Flags().StringVar(&flow, "flow", "", "the only flow to report; empty: all")
	c.Flags().StringVar(&from, "from", "", "first day, such as 2026-01-01")
	c.Flags().StringVar(&to, "to", "", "last day")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV: a line per element and goal, a column per currency")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	_ = c.RegisterFlagCompletionFunc("flow", o.completeFlow)
	return c
}

// printDays prints a report in the form that is wanted.
func printDays(w io.Writer, days []reportView, asJSON, asCSV bool) error {
	switch {
	case asJSON:
		return printJSON(w, days)
	case asCSV:
		return writeReport(w, days)
	case len(days) == 0:
		fmt.Fprintln(w, "nothing happened on these days")
		return nil
	}
	return printReport(w, days)
}

// printReport is for people to read.
func printReport(w io.Writer, days []reportView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FLOW\tDAY\tVERSION\tELEMENT\tTOTAL ENGAGEMENTS\tUNIQUE USERS\tMESSAGES SENT\tDELIVERED\tFAILED\tCLICKS\tCLICKERS\tCOST")
	goals := 0
	for _, d := range days {
		goals += len(d.Goals)
		for _, e := range d.Elements {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", d.Flow, d.Day, e.Version, e.ID, e.Total, e.Unique, e.Sent, e.Delivered, e.Failed, e.Clicks, e.Clickers, e.Cost)
		}
	}
	if err := t.Flush(); err != nil || goals == 0 {
		return err
	}
	fmt.Fprintln(t, "\nFLOW\tDAY\tGOAL\tBRANCH\tREACHED\tCONVERTED\tEVENTS")
	for _, d := range days {
		for _, g := range d.Goals {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", d.Flow, d.Day, g.Goal, cmp.Or(g.Branch, "-"), g.Reached, g.Converted, g.Events)
		}
	}
	return t.Flush()
}

// unknownCost stands where an amount would be that no tariff tells.
const unknownCost = "unknown"

// writeReport is for spreadsheets: a line of kind flow per flow and day, then
// one per element and per goal. Each currency has a column (rule C4).
func writeReport(w io.Writer, days []reportView) error {
	var costs []httpapi.Cost
	for i := range days {
		for _, e := range days[i].Elements {
			costs = append(costs, e.Cost)
		}
	}
	currencies := currenciesOf(costs)
	header := []string{
		"kind", "flow", "day", "version", "element", "goal", "branch", "entered", "recipients", "total_engagements", "unique_users_engaged",
		"messages_sent", "delivered", "failed", "clicks", "unique_clickers", "reached", "converted", "events", "unknown_cost_units",
	}
	rows := csv.NewWriter(w)
	write := func(kind string, d *reportView, cells map[string]string, cost *httpapi.Cost) {
		cells["kind"], cells["flow"], cells["day"] = kind, d.Flow, d.Day
		line := make([]string, 0, len(header)+len(currencies))
		for _, name := range header {
			line = append(line, cells[name])
		}
		_ = rows.Write(append(line, costCells(cost, currencies)...)) // told by Error below
	}
	titles := slices.Clone(header)
	for _, c := range currencies {
		titles = append(titles, costTitle(c))
	}
	_ = rows.Write(titles)
	for i := range days {
		d := &days[i]
		write("flow", d, map[string]string{"entered": number(d.Entered), "recipients": number(d.Recipients)}, nil)
		for _, e := range d.Elements {
			write("element", d, map[string]string{
				"version": number(uint64(e.Version)), "element": e.ID, "total_engagements": number(e.Total), "unique_users_engaged": number(e.Unique),
				"messages_sent": number(e.Sent), "delivered": number(e.Delivered), "failed": number(e.Failed),
				"clicks": number(e.Clicks), "unique_clickers": number(e.Clickers), "unknown_cost_units": number(e.Cost.UnknownUnits),
			}, &e.Cost)
		}
		for _, g := range d.Goals {
			write("goal", d, map[string]string{
				"goal": g.Goal, "branch": g.Branch, "reached": number(g.Reached), "converted": number(g.Converted), "events": number(g.Events),
			}, nil)
		}
	}
	rows.Flush()
	return rows.Error()
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// currenciesOf lists the currencies of a report; at least one, "", so that an
// unknown cost has a column to be told in.
func currenciesOf(costs []httpapi.Cost) []string {
	seen := map[string]bool{}
	for _, c := range costs {
		for _, a := range c.Amounts {
			seen[a.Currency] = true
		}
	}
	if len(seen) == 0 {
		return []string{""}
	}
	return slices.Sorted(maps.Keys(seen))
}

func costTitle(currency string) string {
	if currency == "" {
		return "cost"
	}
	return "cost_" + currency
}

// costCells are the amounts of a line. What has no amount at all because its
// cost is unknown says so in every column.
func costCells(c *httpapi.Cost, currencies []string) []string {
	cells := make([]string, len(currencies))
	if c == nil {
		return cells
	}
	for i, currency := range currencies {
		if len(c.Amounts) == 0 && c.UnknownUnits > 0 {
			cells[i] = unknownCost
		}
		for _, a := range c.Amounts {
			if a.Currency == currency {
				cells[i] = a.Amount
			}
		}
	}
	return cells
}
