package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway"
	"trunkline/gateway/smtp/compose"
	"trunkline/gateway/smtp/outbound"
	"trunkline/gateway/smtp/verp"
)

// Mail that goes out: its section of the configuration, the edge, and the commands.

// emailFiles resolves the files that the section email names.
func (l *loader) emailFiles(c *outbound.Config) {
	if c.CA != "" {
		c.CA = l.src.resolve(c.CA)
	}
	for i := range c.Domains {
		for j := range c.Domains[i].DKIM {
			if k := &c.Domains[i].DKIM[j]; k.File != "" {
				k.File = l.src.resolve(k.File)
			}
		}
	}
}

// newEmail makes the edge that sends mail.
func (d *daemon) newEmail(s *settings) (*outbound.Edge, error) {
	returns := returnPaths(d.rt)
	return outbound.New(s.Email, outbound.Options{
		Compose: func(m gateway.Outbound) ([]byte, error) {
			return compose.Compose(m, compose.Options{Files: d.source.folder()})
		},
		ReturnPath: returns.Sign, Reference: verp.Reference, Sent: d.rt.SentOn, Hostname: s.SMTP.Hostname, Log: d.log, Metrics: d.metrics,
		Policies: filepath.Join(s.data(d.source), "mta-sts.jsonl"),
	})
}

// oneUnit: a mail is charged as one, however long it is (rule M3).
func oneUnit(string, string) int { return 1 }

// emailRequest asks for one mail.
type emailRequest struct {
	From    string `json:"from"` // identity
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// emailValidity is how long a mail that an operator sends is tried (RFC 5321 §4.5.4.1).
const emailValidity = 5 * 24 * time.Hour

// sendEmail puts a mail into the outbox.
func (d *daemon) sendEmail(ctx context.Context, r emailRequest) (string, error) {
	c := d.config.Load().settings.Email
	identity, ok := c.Identity(r.From)
	switch {
	case !c.Enabled():
		return "", errors.New("mail can't be sent: email.identities of trunkline.yaml names nobody whom it comes from")
	case !ok:
		return "", fmt.Errorf("there is no identity %q; email.identities of trunkline.yaml has them", r.From)
	case r.Text == "" && r.HTML == "":
		return "", errors.New("a mail needs a text")
	}
	to, err := flowengine.ReadAddress(flowengine.Email, r.To)
	if err != nil {
		return "", err
	}
	if s, err := d.rt.Suppression(to.Value); err == nil {
		return "", fmt.Errorf("%s is on the suppression list since %s: %s; `trunkline email unsuppress` takes it off", to.Value, local(s.At), s.Reason)
	}
	now := time.Now()
	id := fmt.Sprintf("operator/%d", now.UnixNano())
	return id, d.rt.Send(ctx, &runtime.Message{Send: flowengine.Send{
		ID: id, Channel: string(gateway.Email), From: identity.Address, To: to.Value, Text: r.Text, Expires: now.Add(emailValidity),
		Mail: &flowengine.Mail{Subject: r.Subject, FromName: identity.Display, ReplyTo: identity.ReplyTo, HTML: r.HTML, Composed: now},
	}})
}

// suppressionView is an address to which nothing is sent.
type suppressionView struct {
	Address string    `json:"address"`
	Reason  string    `json:"reason"`
	Code    string    `json:"code,omitempty"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
}

// suppressionPage is a part of the list.
type suppressionPage struct {
	Addresses []suppressionView `json:"addresses"`
	Total     int               `json:"total"`
}

// controlEmail serves the commands.
func (d *daemon) controlEmail(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("POST /email", func(r *http.Request) (any, error) {
		var m emailRequest
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			return nil, err
		}
		return d.sendEmail(r.Context(), m)
	})
	handle("GET /email/destinations", func(*http.Request) (any, error) { return d.email.Status(), nil })
	handle("GET /email/suppressed", func(r *http.Request) (any, error) {
		if a := r.FormValue("address"); a != "" {
			s, err := d.rt.Suppression(a)
			if err != nil {
				return nil, err
			}
			return suppressionPage{[]suppressionView{suppressionView(*s)}, 1}, nil
		}
		all, total, err := d.rt.Suppressions(r.FormValue("reason"), listShown)
		page := suppressionPage{make([]suppressionView, 0, len(all)), total}
		for _, s := range all {
			page.Addresses = append(page.Addresses, suppressionView(s))
		}
		return page, err
	})
	handle("POST /email/suppress", func(r *http.Request) (any, error) {
		return nil, d.rt.Suppress(r.Context(), runtime.Suppression{Address: r.FormValue("address"), Reason: runtime.SuppressedOperator})
	})
	handle("POST /email/unsuppress", func(r *http.Request) (any, error) {
		return nil, d.rt.Unsuppress(r.Context(), r.FormValue("address"))
	})
}

// listShown is how many entries a list shows at most.
const listShown = 200

func newSendEmail(o *options) *cobra.Command {
	var m emailRequest
	var htmlFile string
	c := &cobra.Command{
		Use: "email --to ADDRESS --subject TEXT [TEXT]", Short: "Send one mail",
		Example: `  trunkline send email --to ana@example.org --subject "Your parcel" "It is here."`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Text = strings.Join(args, " ")
			if htmlFile != "" {
				text, err := os.ReadFile(htmlFile)
				if err != nil {
					return err
				}
				m.HTML = string(text)
			}
			var id string
			if err := o.call(cmd.Context(), "POST", "/email", m, &id); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "queued as %s; `trunkline message show %s` tells what becomes of it\n", id, id)
			return nil
		},
	}
	c.Flags().StringVar(&m.To, "to", "", "address of the recipient")
	c.Flags().StringVar(&m.From, "from", "", "identity that it comes from; empty: the first one")
	c.Flags().StringVar(&m.Subject, "subject", "", "subject")
	c.Flags().StringVar(&htmlFile, "html", "", "file with the HTML form")
	_ = c.MarkFlagRequired("to")
	return c
}

func newEmail(o *options) *cobra.Command {
	c := &cobra.Command{Use: "email", Short: "Sending mail: DNS records, keys, destinations, and the suppression list"}
	c.AddCommand(newEmailDNS(o), newEmailKey(), newEmailDestinations(o), newSuppressed(o), newSuppress(o, "suppress", "Send no more mail to an address"), newSuppress(o, "unsuppress", "Take an address off the suppression list"))
	return c
}

func newEmailDestinations(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "destinations", Short: "List the domains that mail goes to and how they do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []outbound.DestinationStatus
			if err := o.call(cmd.Context(), "GET", "/email/destinations", nil, &all); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "DESTINATION\tWAITING\tCONNECTIONS\tPER SECOND\tPAUSE\tNOT BEFORE\tLAST ERROR")
			for _, d := range all {
				until := "-"
				if d.Until != nil {
					until = local(*d.Until)
				}
				fmt.Fprintf(t, "%s\t%d\t%d/%d\t%.1f\t%s\t%s\t%s\n", d.Destination, d.Waiting, d.Connections, d.Allowed, d.Rate, orDash(d.Pause), until, orDash(d.LastError))
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newSuppressed(o *options) *cobra.Command {
	asJSON := false
	var reason string
	c := &cobra.Command{
		Use: "suppressed [ADDRESS]", Short: "List the addresses to which no mail is sent", Args: cobra.MaximumNArgs(1),
		Long: "List the addresses to which no mail is sent any more: those that take none (hard_bounce), whose owners\ncomplained (complaint) or opted out (opt_out), and those that an operator put there (operator).",
		RunE: func(cmd *cobra.Command, args []string) error {
			var page suppressionPage
			query := url.Values{"reason": {reason}, "address": {strings.Join(args, "")}}
			if err := o.call(cmd.Context(), "GET", "/email/suppressed?"+query.Encode(), nil, &page); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), page)
			}
			return printSuppressed(cmd.OutOrStdout(), &page)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&reason, "reason", "", "only those for this reason")
	return c
}

func printSuppressed(w io.Writer, page *suppressionPage) error {
	if page.Total == 0 {
		fmt.Fprintln(w, "no address is on the suppression list")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ADDRESS\tREASON\tSINCE\tCODE\tMESSAGE")
	for _, s := range page.Addresses {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Address, s.Reason, local(s.At), orDash(s.Code), orDash(s.Message))
	}
	if more := page.Total - len(page.Addresses); more > 0 {
		fmt.Fprintf(t, "and %d more\n", more)
	}
	return t.Flush()
}

func newSuppress(o *options, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ADDRESS", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.call(cmd.Context(), "POST", "/email/"+verb+"?"+url.Values{"address": args}.Encode(), nil, nil)
		},
	}
}
