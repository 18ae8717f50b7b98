package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"trunkline/gateway/httpapi"
)

// stopFlow answers the control socket; its query has version and drain.
func (d *daemon) stopFlow(r *http.Request) (any, error) {
	version, err := parseVersion(r.FormValue("version"))
	if err != nil {
		return nil, err
	}
	drain, err := httpapi.ParseDrain(r.FormValue("drain"))
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return nil, d.rt.StopFlow(r.Context(), r.PathValue("id"), drain)
	}
	return nil, d.rt.StopVersion(r.Context(), r.PathValue("id"), version, drain)
}

// parseVersion reads the ordinal of a version; "" and 0 are none.
func parseVersion(text string) (uint32, error) {
	n, err := strconv.ParseUint(cmp.Or(text, "0"), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not the number of a version", text)
	}
	return uint32(n), nil
}

func newFlowStop(o *options) *cobra.Command {
	var version uint32
	var all bool
	var drain string
	c := &cobra.Command{
		Use: "stop FLOW", Short: "Stop a flow, or one version of it: everybody inside leaves", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		Long: `Stop a flow: nobody enters any more, and everybody inside leaves at once. With
--drain those inside may go on to the end for that long, at most 30 days.

With --version only the people inside of that version leave; the newest version
takes people in and stops with the whole flow alone.`,
		Example: `  trunkline flow stop shoe-offer
  trunkline flow stop shoe-offer --drain 7d
  trunkline flow stop shoe-offer --version 3`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if cmd.Flags().Changed("version") && version == 0 {
				return errors.New("versions count from 1; `trunkline flow versions " + id + "` lists them")
			}
			query := url.Values{"version": {strconv.FormatUint(uint64(version), 10)}, "drain": {drain}}
			if err := o.call(cmd.Context(), "POST", "/flows/"+url.PathEscape(id)+"/stop?"+query.Encode(), nil, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), stopped(id, version, drain))
			return nil
		},
	}
	c.Flags().Uint32Var(&version, "version", 0, "the only version to stop")
	c.Flags().BoolVar(&all, "all", false, "stop all versions, the whole flow; so it is without --version")
	c.Flags().StringVar(&drain, "drain", "", "how long the people inside may go on, such as 7d")
	c.MarkFlagsMutuallyExclusive("version", "all")
	return c
}

// stopped says what stopping has done.
func stopped(id string, version uint32, drain string) string {
	switch {
	case version != 0 && drain != "":
		return fmt.Sprintf("version %d of flow %s stops in %s at the latest", version, id, drain)
	case version != 0:
		return fmt.Sprintf("version %d of flow %s is stopped", version, id)
	case drain != "":
		return fmt.Sprintf("flow %s takes nobody in and is finished in %s at the latest; `trunkline flow start %s` launches it again", id, drain, id)
	}
	return fmt.Sprintf("flow %s is stopped; `trunkline flow start %s` launches it again", id, id)
}
