package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/gateway/httpapi"
)

// controlResults serves the results of A/B tests to the tools.
func (d *daemon) controlResults(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /flows/{id}/runs", d.runs)
	handle("GET /flows/{id}/results", func(r *http.Request) (any, error) {
		all, err := d.rt.Experiments(r.PathValue("id"))
		return httpapi.ViewResults(all), err
	})
	handle("POST /flows/{id}/winner/{element}/{branch}", func(r *http.Request) (any, error) {
		return nil, d.rt.ChooseWinner(r.Context(), r.PathValue("id"), r.PathValue("element"), r.PathValue("branch"))
	})
}

func newFlowResults(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "results FLOW", Short: "Compare the branches of a flow's splits, goal by goal", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		Long: `Compare the branches of a flow's splits, goal by goal.

Intervals are those of 95 %. The difference is to the branch with the highest rate.
The p-value is valid however often one looks; at 0.05 or less a branch is worse than
the best one, or the best one better than all others.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []httpapi.Result
			if err := o.call(cmd.Context(), "GET", "/flows/"+url.PathEscape(args[0])+"/results", nil, &all); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), all)
			case len(all) == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "flow %s has no split, or no goal to compare its branches by\n", args[0])
				return nil
			}
			for i := range all {
				if err := printResult(cmd.OutOrStdout(), &all[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printResult(w io.Writer, r *httpapi.Result) error {
	fmt.Fprintf(w, "%s, goal %s: %s\n", r.Element, r.Goal, standing(r))
	if r.Mismatch {
		fmt.Fprintln(w, "  warning: persons are not split as planned; do not trust this before the cause is known")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  BRANCH\tLEADS TO\tSHARE\tREACHED\tCONVERTED\tRATE\t95 %\t\tDIFFERENCE\t95 %\tP")
	for _, b := range r.Branches {
		fmt.Fprintf(t, "  %s\t%s\t%s %%\t%d\t%d\t%s\t%s\t%s\t%+.2f\t%+.2f to %+.2f\t%.3g\n", b.Branch, cmp.Or(b.Next, "exit"), b.Share, b.Reached, b.Converted,
			percent(b.Rate), percent(b.Interval[0])+" to "+percent(b.Interval[1]), bar(b.Interval), 100*b.Difference, 100*b.DifferenceInterval[0], 100*b.DifferenceInterval[1], b.PValue)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func percent(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// bar draws an interval between 0 and 100 %.
func bar(i [2]float64) string {
	const width = 20
	low := min(int(i[0]*width), width-1)
	high := max(min(int(i[1]*width), width-1), low)
	return strings.Repeat("·", low) + strings.Repeat("█", high-low+1) + strings.Repeat("·", width-1-high)
}

// standing says in words how far a test is.
func standing(r *httpapi.Result) string {
	switch {
	case r.Decided != nil && r.Winner != "":
		return fmt.Sprintf("%s takes everybody since %s (%s)", r.Winner, local(*r.Decided), strings.ReplaceAll(r.Reason, "_", " "))
	case r.Decided != nil:
		return fmt.Sprintf("the split stays, decided %s (%s)", local(*r.Decided), strings.ReplaceAll(r.Reason, "_", " "))
	case r.Automatic:
		return "no winner yet (" + strings.ReplaceAll(r.Reason, "_", " ") + ")"
	}
	return "compared only; `trunkline flow winner` chooses by hand"
}

func newFlowWinner(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "winner FLOW SPLIT BRANCH|none", Short: "Let one branch of a split take everybody, or let the split draw again", Args: cobra.ExactArgs(3), ValidArgsFunction: o.completeFlow,
		Example: `  trunkline flow winner offer ab branch_2
  trunkline flow winner offer ab none`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := fmt.Sprintf("/flows/%s/winner/%s/%s", url.PathEscape(args[0]), url.PathEscape(args[1]), url.PathEscape(args[2]))
			if err := o.call(cmd.Context(), "POST", path, nil, nil); err != nil {
				return err
			}
			if args[2] == "none" {
				fmt.Fprintf(cmd.OutOrStdout(), "split %s of flow %s draws again\n", args[1], args[0])
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "branch %s takes everybody who arrives at %s; `trunkline flow winner %s %s none` undoes it\n", args[2], args[1], args[0], args[1])
			}
			return nil
		},
	}
}
