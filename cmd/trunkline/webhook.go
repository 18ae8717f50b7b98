package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// The command webhook, and what it asks the daemon.

// deadPage is what could not be delivered.
type deadPage struct {
	Webhooks []httpapi.DeadWebhook `json:"webhooks"`
	Total    int                   `json:"total"`
}

// deadShown is how many undelivered webhooks are listed at most.
const deadShown = 200

// controlWebhooks serves the command.
func (d *daemon) controlWebhooks(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("GET /webhooks", func(*http.Request) (any, error) { return d.hooks.status(), nil })
	handle("GET /webhooks/dead", func(r *http.Request) (any, error) {
		all, total, err := d.rt.DeadHooks(runtime.DeadFilter{Endpoint: r.FormValue("endpoint")}, deadShown)
		return deadPage{httpapi.ViewDead(all), total}, err
	})
	handle("POST /webhooks/replay", func(r *http.Request) (any, error) {
		return d.rt.ReplayHooks(r.Context(), runtime.DeadFilter{Endpoint: r.FormValue("endpoint"), ID: r.FormValue("id")})
	})
}

func newWebhook(o *options) *cobra.Command {
	c := &cobra.Command{Use: "webhook", Short: "Show the endpoints of outgoing webhooks, and replay what they missed"}
	c.AddCommand(newWebhookList(o), newWebhookDead(o), newWebhookReplay(o))
	return c
}

func newWebhookList(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "list", Short: "List the endpoints and how they do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []httpapi.Webhook
			if err := o.call(cmd.Context(), "GET", "/webhooks", nil, &all); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), all)
			case len(all) == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "no webhook is configured; the section `webhooks` of trunkline.yaml has them")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ENDPOINT\tCIRCUIT\tDELIVERED\tFAILED\tIN FLIGHT\tLAST ERROR\tURL")
			for _, w := range all {
				circuit, fault := w.Circuit, "-"
				if w.Until != nil {
					circuit += " until " + local(*w.Until)
				}
				if w.LastAt != nil {
					fault = local(*w.LastAt) + " " + w.LastError
				}
				fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", w.Endpoint, circuit, w.Delivered, w.Failed, w.InFlight, fault, w.URL)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newWebhookDead(o *options) *cobra.Command {
	asJSON := false
	var endpoint string
	c := &cobra.Command{
		Use: "dead", Short: "List what could not be delivered", Args: cobra.NoArgs,
		Long: "List the webhooks that could not be delivered in ten attempts or three days. They are kept for 14 days.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var page deadPage
			if err := o.call(cmd.Context(), "GET", "/webhooks/dead?"+url.Values{"endpoint": {endpoint}}.Encode(), nil, &page); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), page)
			case page.Total == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "everything was delivered, or is still tried")
				return nil
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tENDPOINT\tGIVEN UP\tREASON\tPAYLOAD")
			for _, d := range page.Webhooks {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.Endpoint, local(d.At), d.Reason, d.Payload)
			}
			if more := page.Total - len(page.Webhooks); more > 0 {
				fmt.Fprintf(t, "and %d more\n", more)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&endpoint, "endpoint", "", "only those of this endpoint")
	return c
}

func newWebhookReplay(o *options) *cobra.Command {
	var endpoint string
	all := false
	c := &cobra.Command{
		Use: "replay [ID]", Short: "Deliver again what could not be delivered", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := strings.Join(args, "")
			if id == "" && endpoint == "" && !all {
				return errors.New("say which: an id that `trunkline webhook dead` shows, --endpoint, or --all")
			}
			n := 0
			err := o.call(cmd.Context(), "POST", "/webhooks/replay?"+url.Values{"endpoint": {endpoint}, "id": {id}}.Encode(), nil, &n)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d webhook(s) are delivered again\n", n)
			}
			return err
		},
	}
	c.Flags().StringVar(&endpoint, "endpoint", "", "all of this endpoint")
	c.Flags().BoolVar(&all, "all", false, "all of all endpoints")
	c.MarkFlagsMutuallyExclusive("endpoint", "all")
	return c
}
