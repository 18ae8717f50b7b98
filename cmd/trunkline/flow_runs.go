package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// runsShown is the most runs that one answer of the control socket holds.
const runsShown = 1000

// runs lists who is inside of a flow, the first of them.
func (d *daemon) runs(r *http.Request) (any, error) {
	version, err := strconv.ParseUint(cmp.Or(r.FormValue("version"), "0"), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("version: %q is not the number of a version", r.FormValue("version"))
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > runsShown {
		return nil, fmt.Errorf("limit: %q is not a number from 1 to %d", r.FormValue("limit"), runsShown)
	}
	page, _, err := d.rt.Runs(r.Context(), r.PathValue("id"), uint32(version), runtime.RunPlace{}, limit)
	return httpapi.ViewStandings(page), err
}

func newFlowRuns(o *options) *cobra.Command {
	var version uint32
	limit, asJSON := 0, false
	c := &cobra.Command{
		Use: "runs FLOW", Short: "List who is inside of a flow, and at which element", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"version": {fmt.Sprint(version)}, "limit": {strconv.Itoa(limit)}}
			var all []httpapi.Standing
			if err := o.call(cmd.Context(), "GET", "/flows/"+url.PathEscape(args[0])+"/runs?"+query.Encode(), nil, &all); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), all)
			case len(all) == 0:
				fmt.Fprintf(cmd.OutOrStdout(), "nobody is inside of flow %s\n", args[0])
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PERSON\tVERSION\tENTRY\tENTERED\tELEMENT\tUNTIL AT THE LATEST")
			for i := range all {
				until := "-"
				if all[i].Deadline != nil {
					until = local(*all[i].Deadline)
				}
				fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", all[i].Person, all[i].Version, all[i].Entry, local(all[i].Entered), all[i].Element, until)
			}
			return t.Flush()
		},
	}
	c.Flags().Uint32Var(&version, "version", 0, "only runs of this version; 0: of all")
	c.Flags().IntVar(&limit, "limit", 50, "most runs to list, up to 1000")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
