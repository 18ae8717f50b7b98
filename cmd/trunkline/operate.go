package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// The commands that talk to a running daemon.

func newReload(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon read its configuration again, all or nothing",
		Long: `Make the running daemon read its configuration again.

It is all or nothing: when any file has a mistake, the daemon goes on with what it
has and this command prints every mistake. SIGHUP does the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r reloaded
			if err := o.call(cmd.Context(), "POST", "/reload", nil, &r); err != nil {
				return err
			}
			if len(r.Changed) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "reloaded; no flow changed")
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), "reloaded:", strings.Join(r.Changed, ", "))
			}
			for _, w := range r.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			return nil
		},
	}
}

func newFlow(o *options) *cobra.Command {
	flow := &cobra.Command{Use: "flow", Short: "Work on flows: list, show, start, stop; check, draw, simulate and compare files"}
	asJSON := false
	list := &cobra.Command{
		Use: "list", Short: "List the flows with their state and counts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flows, err := o.flows(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), flows)
			}
			if len(flows) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no flow is configured; put a file into the flows folder and run `trunkline reload`")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "FLOW\tSTATE\tVERSION\tENTERED\tINSIDE\tSENT\tNAME")
			for _, f := range flows {
				fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", f.ID, state(f), f.Version, f.Entered, f.Inside, f.Sent, f.Name)
			}
			return t.Flush()
		},
	}
	show := &cobra.Command{
		Use: "show FLOW", Short: "Show one flow, element by element", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			flows, err := o.flows(cmd)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(flows, func(f flowView) bool { return f.ID == args[0] })
			if i < 0 {
				return fmt.Errorf("there is no flow %q; `trunkline flow list` shows all", args[0])
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), flows[i])
			}
			return printFlow(cmd.OutOrStdout(), flows[i])
		},
	}
	for _, c := range []*cobra.Command{list, show} {
		c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	}
	start := &cobra.Command{
		Use: "start FLOW", Short: "Launch a flow: a draft, or one that was stopped or has finished", Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeFlow,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.call(cmd.Context(), "POST", "/flows/"+url.PathEscape(args[0])+"/start", nil, nil)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "flow %s is active\n", args[0])
			}
			return err
		},
	}
	flow.AddCommand(list, show, newFlowVersions(o), newFlowStats(o), start, newFlowStop(o), newFlowPause(o), newFlowResume(o), newFlowEject(o), newFlowCheck(o), newFlowGraph(o), newFlowSimulate(o), newFlowDiff(o), newFlowResults(o), newFlowWinner(o), newFlowRuns(o))
	return flow
}

func (o *options) flows(cmd *cobra.Command) (flows []flowView, err error) {
	return flows, o.call(cmd.Context(), "GET", "/flows", nil, &flows)
}

// completeFlow offers the ids of flows to the shell.
func (o *options) completeFlow(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	flows, err := o.flows(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, f := range flows {
		ids = append(ids, f.ID+"\t"+f.Name)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func state(f flowView) string {
	if f.Removed {
		return f.State + " (removed)"
	}
	return f.State
}

func printFlow(w io.Writer, f flowView) error {
	since := ""
	if !f.Launched.IsZero() { // not of a draft
		since = " since " + local(f.Launched)
	}
	fmt.Fprintf(w, "%s  %s\n%s%s, version %d of %s\n", f.ID, f.Name, state(f), since, f.Version, local(f.Published))
	fmt.Fprintf(w, "entered %d, inside %d%s%s\n", f.Entered, f.Inside, reasons(", left: ", f.Exited), reasons(", refused: ", f.Refused))
	fmt.Fprintf(w, "recipients %d, messages sent %d, cost %s\n\n", f.Recipients, f.Sent, f.Cost)
	if err := printElements(w, f.Elements); err != nil {
		return err
	}
	printEntries(w, f.Entries)
	return nil
}

func reasons(title string, m map[string]uint64) string {
	if len(m) == 0 {
		return ""
	}
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", r, m[r]))
	}
	return title + strings.Join(parts, ", ")
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printPerson(w io.Writer, p *personView) error {
	fmt.Fprintf(w, "%s, known since %s\n", p.ID, local(p.Created))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, a := range p.Addresses {
		fmt.Fprintf(t, "  %s\t%s\n", a.Kind, a.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		fmt.Fprintf(t, "  %s\t%v\n", name, p.Attributes[name])
	}
	if len(p.Tags) > 0 {
		fmt.Fprintf(t, "  tags\t%s\n", strings.Join(p.Tags, ", "))
	}
	if len(p.DoNotContact) > 0 {
		fmt.Fprintf(t, "  do not contact\t%s\n", strings.Join(p.DoNotContact, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range p.Runs {
		until := ""
		if r.Deadline != nil {
			until = ", until " + local(*r.Deadline) + " at the latest"
		}
		fmt.Fprintf(w, "in flow %s since %s, waits at %s%s\n", r.Flow, local(r.Entered), r.Element, until)
	}
	if len(p.History) > 0 {
		fmt.Fprintln(w, "history:")
	}
	told := map[string]bool{} // ids of messages, each at its first line
	for _, h := range p.History {
		fmt.Fprintf(w, "  %s  %s", local(h.At), h.What)
		if h.Message != "" && !told[h.Message] {
			told[h.Message] = true
			fmt.Fprintf(w, "; message %s", h.Message)
		}
		fmt.Fprintln(w)
	}
	return nil
}

func newStatus(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "status", Short: "Show the running daemon: health, carriers and their binds", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s status
			if err := o.call(cmd.Context(), "GET", "/status", nil, &s); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printStatus(cmd.OutOrStdout(), &s)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printStatus(w io.Writer, s *status) error {
	ready := "takes traffic"
	if !s.Ready {
		ready = "takes no traffic"
	}
	fmt.Fprintf(w, "trunkline %s, %s, health: %s\nrunning %s since %s\n\n", s.Version, ready, s.Health, s.Config, local(s.Started))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CARRIER\tROLE\tSTATE\tBINDS\tWINDOW\tQUEUE\tLAST ERROR")
	for _, c := range s.Carriers {
		used, window := 0, 0
		for _, b := range c.Sessions {
			used, window = used+b.WindowUsed, window+b.Window
		}
		fault := c.LastError
		if fault != "" {
			fault = local(c.LastAt) + " " + fault
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d/%d\t%d/%d\t%d\t%s\n", c.Carrier, c.Role, c.State, c.Bound, c.Want, used, window, c.Queue, fault)
	}
	if err := t.Flush(); err != nil || len(s.Mail) == 0 {
		return err
	}
	fmt.Fprintln(t, "\nMAIL AT\tTLS\tCONNECTIONS")
	for _, m := range s.Mail {
		fmt.Fprintf(t, "%s\t%s\t%d\n", m.Address, m.TLS, m.Connections)
	}
	return t.Flush()
}

func newSend(o *options) *cobra.Command {
	send := &cobra.Command{Use: "send", Short: "Send one message through the running daemon"}
	var m smsRequest
	sms := &cobra.Command{
		Use: "sms --to NUMBER TEXT", Short: "Send one SMS", Args: cobra.MinimumNArgs(1),
		Example: `  trunkline send sms --from 38591000001 --to 385911234567 "Your parcel is here"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Text = strings.Join(args, " ")
			var a smsAnswer
			if err := o.call(cmd.Context(), "POST", "/sms", m, &a); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "queued as %s, %d part(s)\n", a.ID, a.Parts)
			return nil
		},
	}
	sms.Flags().StringVar(&m.To, "to", "", "recipient, in international digits")
	sms.Flags().StringVar(&m.From, "from", "", "sender; empty: the carrier's default")
	sms.Flags().StringVar(&m.Carrier, "carrier", "", "the only carrier allowed; empty: routed")
	_ = sms.MarkFlagRequired("to")
	send.AddCommand(sms, newSendEmail(o))
	return send
}
