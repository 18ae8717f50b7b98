package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newTrunk(o *options) *cobra.Command {
	c := &cobra.Command{Use: "trunk", Short: "Show SIP trunks"}
	asJSON := false
	show := &cobra.Command{
		Use: "status", Short: "Show which trunks are up, registered and how many calls they carry", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s status
			if err := o.call(cmd.Context(), "GET", "/status", nil, &s); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				return e.Encode(s.Trunks)
			}
			if len(s.Trunks) == 0 {
				fmt.Fprintln(out, "no trunks")
				return nil
			}
			t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "TRUNK\tSTATE\tCALLS\tPEERS\tREGISTRATION\tROUND TRIP\tLAST ERROR")
			for _, r := range s.Trunks {
				trip, registration := "-", r.Registration
				if r.RoundTrip > 0 {
					trip = r.RoundTrip.Round(100 * time.Microsecond).String()
				}
				if registration == "" {
					registration = "-"
				}
				fmt.Fprintf(t, "%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\n", r.Trunk, r.State, r.Calls, r.Limit, strings.Join(r.Peers, " "), registration, trip, r.LastError)
			}
			return t.Flush()
		},
	}
	show.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(show)
	return c
}
