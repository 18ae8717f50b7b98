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
	return &cobra.Command{
		Use: "eject FLOW PERSON", Short: "Take one person out of a flow, with what was not sent yet", Args: cobra.ExactArgs(2), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			var r runtime.Removed
			err := o.call(cmd.Context(), "POST", "/flows/"+url.PathEscape(args[0])+"/eject/"+url.PathEscape(args[1]), nil, &r)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "ended %d run(s) and withdrew %d message(s)\n", r.Runs, r.Withdrawn)
			}
			return err
		},
	}
}
