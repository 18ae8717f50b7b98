package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"trunkline/flowengine/runtime"
)

func newFlowPause(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "pause FLOW", Short: "Pause a flow: nobody enters, timers are held, answers are not heard", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.call(cmd.Context(), "POST", "/flows/"+url.PathEscape(args[0])+"/pause", nil, nil)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "flow %s is paused; `trunkline flow resume %s` lets it go on\n", args[0], args[0])
			}
			return err
		},
	}
}

func newFlowResume(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "resume FLOW", Short: "Let a paused flow go on", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.call(cmd.Context(), "POST", "/flows/"+url.PathEscape(args[0])+"/resume", nil, nil)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "flow %s goes on\n", args[0])
			}
			return err
		},
	}
}

func newFlowEject(o *options) *cobra.Command {
	version := uint32(0)
	c := &cobra.Command{
		Use: "eject FLOW PERSON", Short: "Take one person out of a flow, with what was not sent yet", Args: cobra.ExactArgs(2), ValidArgsFunction: o.completeFlow,
		Example: "  trunkline flow eject shoe-offer +385911234567",
		RunE: func(cmd *cobra.Command, args []string) error {
			var r runtime.Removed
			path := fmt.Sprintf("/flows/%s/eject/%s?version=%d", url.PathEscape(args[0]), url.PathEscape(args[1]), version)
			err := o.call(cmd.Context(), "POST", path, nil, &r)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "ended %s and withdrew %s\n", count(r.Runs, "run"), count(r.Withdrawn, "message"))
			}
			return err
		},
	}
	c.Flags().Uint32Var(&version, "version", 0, "the only version to take the person out of; 0: all")
	return c
}
