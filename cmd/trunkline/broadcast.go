package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/gateway/httpapi"
)

// The commands that work on broadcasts of a running daemon.

func newBroadcast(o *options) *cobra.Command {
	c := &cobra.Command{
		Use: "broadcast", Short: "One message to many: make, check, approve, start, pause and cancel broadcasts",
		Long: `A broadcast sends one message once to many: to those with a tag, in a segment, whom
a condition fits, or who are named one by one, in lists of any length. Each gets it
once. It is a draft, until somebody starts it; it is scheduled, until its time has
come; it is running, until every message was taken by a carrier or given up.`,
	}
	c.AddCommand(newBroadcastCreate(o), newBroadcastList(o), newBroadcastShow(o), newBroadcastCheck(o), newBroadcastReport(o))
	for _, v := range []struct{ verb, short, done string }{
		{"approve", "Agree to a broadcast that somebody else has made", "is approved"},
		{"start", "Start a broadcast, at its time if it is a draft that has one, and else at once", "is started"},
		{"pause", "Hold what has not been given to a carrier", "is paused"},
		{"resume", "Let a paused broadcast go on", "goes on"},
		{"cancel", "End a broadcast for good, and withdraw what has not been given to a carrier", "is cancelled"},
	} {
		c.AddCommand(&cobra.Command{
			Use: v.verb + " BROADCAST", Short: v.short, Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeBroadcast,
			RunE: func(cmd *cobra.Command, args []string) error {
				b, err := o.changeBroadcast(cmd, args[0], v.verb)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "broadcast %s %s: %s\n", b.ID, v.done, progressOf(b))
				}
				return err
			},
		})
	}
	return c
}

func broadcastPath(id, rest string) string { return "/broadcasts/" + url.PathEscape(id) + rest }

func (o *options) changeBroadcast(cmd *cobra.Command, id, verb string) (*httpapi.Broadcast, error) {
	b := new(httpapi.Broadcast)
	return b, o.call(cmd.Context(), "POST", broadcastPath(id, "/"+verb), nil, b)
}

func (o *options) broadcast(cmd *cobra.Command, id string) (*httpapi.Broadcast, error) {
	b := new(httpapi.Broadcast)
	return b, o.call(cmd.Context(), "GET", broadcastPath(id, ""), nil, b)
}

func (o *options) completeBroadcast(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var all []httpapi.Broadcast
	if err := o.call(cmd.Context(), "GET", "/broadcasts", nil, &all); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, b := range all {
		ids = append(ids, b.ID+"\t"+b.Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// progressOf says in words where a broadcast is in its life.
func progressOf(b *httpapi.Broadcast) string {
	switch {
	case b.State == "awaiting_approval":
		return "it waits until somebody other than " + b.Creator + " approves it"
	case b.State == "scheduled" && b.StartAt != nil:
		return "it begins at " + local(*b.StartAt)
	case b.State == "scheduled":
		return "it begins when somebody starts it"
	case b.State == "running" && b.Entering:
		return fmt.Sprintf("it is running, with %d recipients so far", b.Entered)
	case b.State == "running":
		return fmt.Sprintf("it is running, %d of %d recipients are done", b.Entered-b.Inside, b.Entered)
	}
	return "it is " + b.State
}

func newBroadcastList(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "list", Short: "List broadcasts with their state and counts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []httpapi.Broadcast
			if err := o.call(cmd.Context(), "GET", "/broadcasts", nil, &all); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), all)
			case len(all) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "there is no broadcast; `trunkline broadcast create` makes one")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "BROADCAST\tSTATE\tSTART\tRECIPIENTS\tSENT\tFAILED\tCOST\tNAME")
			for _, b := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", b.ID, b.State, begin(&b), b.Entered, b.Sent, b.Failed, b.Cost, b.Name)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func begin(b *httpapi.Broadcast) string {
	switch {
	case b.Launched != nil:
		return local(*b.Launched)
	case b.StartAt != nil:
		return local(*b.StartAt)
	}
	return "-"
}

func newBroadcastShow(o *options) *cobra.Command {
	asJSON, follow := false, false
	c := &cobra.Command{
		Use: "show BROADCAST", Short: "Show a broadcast and how far it is", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeBroadcast,
		RunE: func(cmd *cobra.Command, args []string) error {
			if follow {
				return o.followBroadcast(cmd, args[0])
			}
			b, err := o.broadcast(cmd, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), b)
			}
			return printBroadcast(cmd.OutOrStdout(), b)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "print how far it is, again and again, until it is over")
	return c
}

func printBroadcast(w io.Writer, b *httpapi.Broadcast) error {
	fmt.Fprintf(w, "%s  %s\n%s\n", b.ID, b.Name, progressOf(b))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  made by\t%s, %s\n", b.Creator, local(b.Created))
	switch {
	case b.Approver != "":
		fmt.Fprintf(t, "  approved by\t%s\n", b.Approver)
	case b.Approval:
		fmt.Fprintf(t, "  approval\trequired\n")
	}
	for _, at := range []struct {
		what string
		when *time.Time
	}{{"start", b.StartAt}, {"began", b.Launched}, {"ended", b.Ended}} {
		if at.when != nil {
			fmt.Fprintf(t, "  %s\t%s\n", at.what, local(*at.when))
		}
	}
	if b.Named > 0 {
		fmt.Fprintf(t, "  named one by one\t%d\n", b.Named)
	}
	fmt.Fprintf(t, "  recipients\t%d, of whom %d wait\n  messages sent\t%d to %d persons\n  delivered\t%d\n  failed\t%d\n  cost\t%s\n",
		b.Entered, b.Inside, b.Sent, b.Recipients, b.Delivered, b.Failed, b.Cost)
	return t.Flush()
}

// followEvery is how often progress is looked at.
const followEvery = 500 * time.Millisecond

// followBroadcast prints progress, where it has changed, until the broadcast is over.
func (o *options) followBroadcast(cmd *cobra.Command, id string) error {
	last := ""
	for {
		b, err := o.broadcast(cmd, id)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s: %s; %d parts sent, %d failed, cost %s", b.ID, progressOf(b), b.Sent, b.Failed, b.Cost)
		if line != last {
			fmt.Fprintln(cmd.OutOrStdout(), line)
			last = line
		}
		if b.State == "finished" || b.State == "cancelled" && b.Inside == 0 {
			return nil
		}
		select {
		case <-time.After(followEvery):
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
}

func newBroadcastCheck(o *options) *cobra.Command {
	without := false
	c := &cobra.Command{
		Use: "check FILE…", Short: "Check broadcast files offline, with the attributes and numbers of the configuration", Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := o.ground(without)
			if err != nil {
				return err
			}
			g.note(cmd.ErrOrStderr(), args)
			failed := false
			for _, file := range args {
				b, err := g.broadcast(cmd.ErrOrStderr(), file)
				if errors.Is(err, errReported) {
					failed = true
					continue
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: broadcast %s\n", file, b.ID)
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	c.Flags().BoolVar(&without, "no-config", false, "use no configuration: only the attributes that every person has are known")
	return c
}

// broadcast reads a broadcast file with its lists, and prints what is wrong.
func (g *ground) broadcast(complaints io.Writer, file string) (*flowengine.Broadcast, error) {
	text, err := strict.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, err := flowengine.ParseBroadcastIn(g.folder, file, text, g.schema, g.known)
	if err != nil {
		return nil, reportFile(complaints, file, err)
	}
	for _, w := range findings(file, text, b.Version.Warnings) {
		fmt.Fprintln(complaints, "warning:", w.Error())
	}
	for _, name := range b.Lists {
		if err := eachAddress(besideOf(file, name), func(string) error { return nil }); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func newBroadcastReport(o *options) *cobra.Command {
	var asJSON, asCSV bool
	c := &cobra.Command{
		Use: "report BROADCAST", Short: "Report a broadcast by day: messages, deliveries, cost", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeBroadcast,
		RunE: func(cmd *cobra.Command, args []string) error {
			var days []reportView
			query := url.Values{"flow": {flowengine.BroadcastFlow(args[0])}}
			if err := o.call(cmd.Context(), "GET", "/report?"+query.Encode(), nil, &days); err != nil {
				return err
			}
			return printDays(cmd.OutOrStdout(), days, asJSON, asCSV)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV")
	c.MarkFlagsMutuallyExclusive("json", "csv")
	return c
}
