package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"trunkline/gateway"
	"trunkline/gateway/httpapi"
)

// message tells all that is known of one message.
func (d *daemon) message(r *http.Request) (any, error) {
	m, err := d.rt.Message(r.Context(), r.FormValue("id"))
	if err != nil {
		return nil, err
	}
	return httpapi.ViewMessage(m), nil
}

func newMessage(o *options) *cobra.Command {
	c := &cobra.Command{Use: "message", Short: "Show what became of a message"}
	c.AddCommand(newMessageShow(o))
	return c
}

func newMessageShow(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "show ID", Short: "Show a message: its state, each attempt to send it, what happened about it, and what it cost", Args: cobra.ExactArgs(1),
		Long: `Show what became of a message: where it stands, each attempt to send it, delivery
reports, what the person did with it, and what it cost.

Ids of messages are told by whatever sends them, by webhooks, by ` + "`queue list --messages`" + `
and by the history of ` + "`people show`" + `.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var m httpapi.Message
			if err := o.call(cmd.Context(), "GET", "/message?"+url.Values{"id": args}.Encode(), nil, &m); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), m)
			}
			return printMessage(cmd.OutOrStdout(), &m)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printMessage(w io.Writer, m *httpapi.Message) error {
	fmt.Fprintln(w, m.ID)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", name, value)
		}
	}
	line("state", m.State)
	line("channel", m.Channel)
	line("from", m.From)
	line("to", m.To)
	line("subject", m.Subject)
	line("person", m.Person)
	if m.Flow != "" {
		line("sent by", fmt.Sprintf("%s/%s, version %d, entry %d", m.Flow, m.Element, m.Version, m.Number))
	}
	if m.Parts > 0 {
		line("parts", fmt.Sprint(m.Parts))
	}
	if m.Cost != nil {
		line("cost", m.Cost.String())
	}
	if !m.Due.IsZero() {
		line("due", local(m.Due))
	}
	if !m.Expires.IsZero() {
		line("valid until", local(m.Expires))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printAttempts(w, m); err != nil {
		return err
	}
	for _, h := range m.History {
		fmt.Fprintf(w, "  %s  %s\n", local(h.At), h.What)
	}
	return nil
}

func printAttempts(w io.Writer, m *httpapi.Message) error {
	if len(m.Attempts) == 0 {
		return nil
	}
	noTLS := "-"
	if m.Channel == string(gateway.Email) {
		noTLS = "no TLS"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  ATTEMPT\tFATE\tCODE\tPEER\tTLS\tANSWER")
	for i := range m.Attempts {
		a := &m.Attempts[i]
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", local(a.At), a.Fate, orDash(a.Code), orDash(a.Host), cmp.Or(a.TLS, noTLS), a.Reply)
	}
	return t.Flush()
}
