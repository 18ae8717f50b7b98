package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/gateway/httpapi"
)

func newFlowVersions(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "versions FLOW", Short: "List the versions of a flow, with the people inside of each", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		Long: `List the versions of a flow. The current one takes people in. Those inside of an
older one that is draining go on to the end, of one that is stopping for some time,
and nobody is inside of one that is retired.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []httpapi.Version
			if err := o.call(cmd.Context(), "GET", "/flows/"+url.PathEscape(args[0])+"/versions", nil, &all); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			return printVersions(cmd.OutOrStdout(), all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printVersions(w io.Writer, all []httpapi.Version) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VERSION\tHASH\tSTATE\tPUBLISHED\tINSIDE")
	for _, v := range all {
		state := v.State
		if v.Until != nil && v.Inside > 0 {
			state += " until " + local(*v.Until)
		}
		fmt.Fprintf(t, "%d\t%.12s\t%s\t%s\t%d\n", v.Version, v.Hash, state, local(v.Published), v.Inside)
	}
	return t.Flush()
}

// flowStats answers the control socket; its query has version, since and until.
func (d *daemon) flowStats(r *http.Request) (any, error) {
	version, err := parseVersion(r.FormValue("version"))
	if err != nil {
		return nil, err
	}
	since, err := parseDay("since", r.FormValue("since"))
	if err != nil {
		return nil, err
	}
	until, err := parseDay("until", r.FormValue("until"))
	if err != nil {
		return nil, err
	}
	stats, err := d.rt.Stats(r.PathValue("id"), version, since, until)
	if err != nil {
		return nil, err
	}
	return httpapi.ViewStats(stats, version, since, until), nil
}

func newFlowStats(o *options) *cobra.Command {
	var version uint32
	var since, until, day string
	var asJSON, asCSV bool
	c := &cobra.Command{
		Use: "stats FLOW", Short: "Count a flow by element: engagements, messages, costs", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		Long: `Count a flow by element, over all versions and days, or of some. Days are those of
UTC. Elements that the newest version does not have any more are marked as retired.

Unique users count on the day on which they came first, so that days add up.`,
		Example: `  trunkline flow stats shoe-offer
  trunkline flow stats shoe-offer --version 2 --day 2026-01-31
  trunkline flow stats shoe-offer --since 2026-01-01 --csv >stats.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if day != "" && since+until != "" {
				return errors.New("say either --day, or --since and --until")
			}
			if day != "" {
				since, until = day, day
			}
			query := url.Values{"version": {strconv.FormatUint(uint64(version), 10)}, "since": {since}, "until": {until}}
			var stats httpapi.Stats
			if err := o.call(cmd.Context(), "GET", "/flows/"+url.PathEscape(args[0])+"/stats?"+query.Encode(), nil, &stats); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), &stats)
			case asCSV:
				return writeStats(cmd.OutOrStdout(), &stats)
			}
			return printElements(cmd.OutOrStdout(), stats.Elements)
		},
	}
	c.Flags().Uint32Var(&version, "version", 0, "the only version to count; 0: all")
	c.Flags().StringVar(&since, "since", "", "first day, such as 2026-01-01")
	c.Flags().StringVar(&until, "until", "", "last day")
	c.Flags().StringVar(&day, "day", "", "the only day")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV: a line per element, a column per currency")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	return c
}

// printElements is for people to read.
func printElements(w io.Writer, elements []httpapi.Element) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ELEMENT\tTOTAL ENGAGEMENTS\tUNIQUE USERS\tMESSAGES SENT\tDELIVERED\tFAILED\tCLICKS\tCLICKERS\tCOST")
	for _, e := range elements {
		name := e.ID
		if e.Retired {
			name += " (retired)"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", name, e.Total, e.Unique, e.Sent, e.Delivered, e.Failed, e.Clicks, e.Clickers, e.Cost)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printMail(w, elements)
}

// printMail shows what was done with e-mails, where there are any.
func printMail(w io.Writer, elements []httpapi.Element) error {
	if !slices.ContainsFunc(elements, func(e httpapi.Element) bool { return e.Mail != nil }) {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nE-MAIL\tDELIVERED\tBOUNCED\tOPENS\tOPENERS\tOPEN RATE\tCLICKS\tCLICKERS\tCLICK RATE\tUNSUBSCRIBED\tCOMPLAINED\tMACHINE OPENS\tMACHINE CLICKS")
	for _, e := range elements {
		if m := e.Mail; m != nil {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", e.ID, e.Delivered, e.Failed, m.Opens, m.Openers, percent(m.OpenRate),
				e.Clicks, e.Clickers, percent(m.ClickRate), m.Unsubscribers, m.Complainers, m.MachineOpens, m.MachineClicks)
		}
	}
	return t.Flush()
}

// writeStats is for spreadsheets. Each currency has a column (rule C4).
func writeStats(w io.Writer, s *httpapi.Stats) error {
	var costs []httpapi.Cost
	for _, e := range s.Elements {
		costs = append(costs, e.Cost)
	}
	currencies := currenciesOf(costs)
	titles := []string{"flow", "element", "retired", "total_engagements", "unique_users_engaged", "messages_sent", "delivered", "failed", "clicks", "unique_clickers", "opens", "unique_openers", "unsubscribes", "unique_unsubscribers", "complaints", "unique_complainers", "machine_opens", "machine_clicks", "unknown_cost_units"}
	for _, c := range currencies {
		titles = append(titles, costTitle(c))
	}
	rows := csv.NewWriter(w)
	_ = rows.Write(titles) // told by Error below
	for i := range s.Elements {
		e := &s.Elements[i]
		line := []string{
			s.Flow, e.ID, strconv.FormatBool(e.Retired), number(e.Total), number(e.Unique), number(e.Sent), number(e.Delivered), number(e.Failed), number(e.Clicks), number(e.Clickers),
		}
		m := e.Mail
		if m == nil {
			m = new(httpapi.MailCounts)
		}
		for _, n := range [...]uint64{m.Opens, m.Openers, m.Unsubscribes, m.Unsubscribers, m.Complaints, m.Complainers, m.MachineOpens, m.MachineClicks, e.Cost.UnknownUnits} {
			line = append(line, number(n))
		}
		_ = rows.Write(slices.Concat(line, costCells(&e.Cost, currencies)))
	}
	rows.Flush()
	return rows.Error()
}
