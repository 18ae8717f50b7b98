package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
	"trunkline/gateway/links"
)

// Short links in the daemon (rule U1): the listener's way to the store, and the
// command that lists them.

// shortLinks is what flows are told of short links.
func (s *settings) shortLinks() flowengine.Links {
	return flowengine.Links{Base: s.Links.Base(), TTL: s.Links.TTL}
}

// linksRestart names what of the section links is read only at the start.
func linksRestart(a, b *links.Config) bool {
	tls := func(c *links.Config) links.TLS {
		if c.TLS == nil {
			return links.TLS{}
		}
		return *c.TLS
	}
	return a.Listen != b.Listen || tls(a) != tls(b) || a.Connections != b.Connections
}

// linkCore is the store of links as the listener sees it.
type linkCore struct{ rt *runtime.Runtime }

var _ links.Core = linkCore{}

// Find implements links.Core.
func (c linkCore) Find(token string) (string, error) {
	t, err := flowengine.ParseLinkToken(token)
	if err != nil {
		return "", links.ErrUnknown
	}
	l, err := c.rt.Link(t)
	if err == nil && l.Whole {
		err = runtime.ErrNotFound
	}
	switch {
	case errors.Is(err, runtime.ErrNotFound):
		return "", links.ErrUnknown
	case errors.Is(err, runtime.ErrGone):
		return "", links.ErrGone
	case err != nil:
		return "", err
	}
	return l.URL, nil
}

// Click implements links.Core.
func (c linkCore) Click(token string, preview bool, done func(error)) {
	t, err := flowengine.ParseLinkToken(token)
	if err != nil {
		done(err)
		return
	}
	c.rt.Click(t, preview, done)
}

// mail finds an e-mail by the token of its pages.
func (c linkCore) mail(token string) (*runtime.Link, error) {
	t, err := flowengine.ParseLinkToken(token)
	if err != nil {
		return nil, links.ErrUnknown
	}
	l, err := c.rt.Mail(t)
	if errors.Is(err, runtime.ErrNotFound) {
		err = links.ErrUnknown
	}
	return l, err
}

// Known implements links.Core.
func (c linkCore) Known(token string) error {
	_, err := c.mail(token)
	return err
}

// Mail implements links.Core.
func (c linkCore) Mail(ctx context.Context, token string) (who links.Recipient, err error) {
	l, err := c.mail(token)
	if err != nil {
		return who, err
	}
	p, err := c.rt.Person(ctx, l.Origin.Person.String(), 0)
	switch {
	case errors.Is(err, runtime.ErrNotFound): // erased since
		return who, links.ErrUnknown
	case err != nil:
		return who, err
	}
	address, _ := p.Person.Address(flowengine.Email)
	return links.Recipient{
		Address: maskedAddress(address), Language: p.Person.Attrs.Get("preferredLanguage").Str,
		NoMail: p.Person.Blocked(flowengine.Email), DoNotTrack: p.Person.Attrs.Get(flowengine.AttrDoNotTrack).Num != 0,
	}, nil
}

// maskedAddress shows enough of an address for its owner to know it: mails are handed
// on, and with them the way to this page.
func maskedAddress(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok {
		return "…"
	}
	_, first := utf8.DecodeRuneInString(local)
	return local[:first] + "…@" + domain
}

// Open implements links.Core.
func (c linkCore) Open(token string, machine bool, done func(error)) {
	t, err := flowengine.ParseLinkToken(token)
	if err != nil {
		done(err)
		return
	}
	c.rt.Open(t, machine, done)
}

// Choose implements links.Core.
func (c linkCore) Choose(token string, choice links.Choice, done func(error)) {
	t, err := flowengine.ParseLinkToken(token)
	if err != nil {
		done(err)
		return
	}
	c.rt.Choose(t, choice.Mail, choice.DoNotTrack, done)
}

// openLinks makes the server of short links, and its listener when there shall be one.
func (d *daemon) openLinks(c links.Config) (err error) {
	d.links, err = links.New(c, links.Options{Core: linkCore{d.rt}, Log: d.log, Metrics: d.metrics})
	if err != nil || !c.Enabled() {
		return err
	}
	if d.linksListener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", c.Listen); err != nil {
		return fmt.Errorf("links.listen: %w", err)
	}
	return nil
}

// serveLinks answers short links until ctx ends.
func (d *daemon) serveLinks(ctx context.Context, g *errgroup.Group, failed chan<- error) {
	if d.linksListener != nil {
		serveEdge(ctx, g, failed, func() error { return d.links.Run(ctx, d.linksListener) })
	}
}

// linksPage is a page of short links.
type linksPage struct {
	Links  []httpapi.ShortLink `json:"links"`
	Cursor string              `json:"cursor,omitempty"`
}

// listLinks answers the control socket; its query has message, or flow, element,
// limit and cursor.
func (d *daemon) listLinks(r *http.Request) (any, error) {
	if message := r.FormValue("message"); message != "" {
		all, err := d.rt.LinksOf(message)
		return linksPage{Links: httpapi.ViewLinks(all)}, err
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		limit = 1000
	}
	var page linksPage
	page.Links, page.Cursor, err = httpapi.ListLinks(d.rt, runtime.LinkFilter{Flow: r.FormValue("flow"), Element: r.FormValue("element")}, r.FormValue("cursor"), limit)
	return page, err
}

func newLinks(o *options) *cobra.Command {
	c := &cobra.Command{Use: "links", Short: "Show short links and who followed them"}
	var flow, element string
	var most int
	asJSON := false
	list := &cobra.Command{
		Use: "list", Short: "List the short links of messages", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, more, err := o.links(cmd, flow, element, most)
			if err != nil {
				return err
			}
			if more {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more than these %d; --most says how many to list\n", len(all))
			}
			return printLinks(cmd, all, asJSON)
		},
	}
	list.Flags().StringVar(&flow, "flow", "", "only those of this flow")
	list.Flags().StringVar(&element, "element", "", "only those of this element")
	list.Flags().IntVar(&most, "most", 100, "how many to list at most")
	_ = list.RegisterFlagCompletionFunc("flow", o.completeFlow)
	show := &cobra.Command{
		Use: "show MESSAGE", Short: "Show the short links of one message", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var page linksPage
			if err := o.call(cmd.Context(), "GET", "/links?"+url.Values{"message": {args[0]}}.Encode(), nil, &page); err != nil {
				return err
			}
			return printLinks(cmd, page.Links, asJSON)
		},
	}
	for _, sub := range []*cobra.Command{list, show} {
		sub.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	}
	c.AddCommand(list, show)
	return c
}

// links reads pages until there are enough.
func (o *options) links(cmd *cobra.Command, flow, element string, most int) (all []httpapi.ShortLink, more bool, err error) {
	for cursor := ""; ; {
		query := url.Values{"flow": {flow}, "element": {element}, "cursor": {cursor}, "limit": {strconv.Itoa(min(most-len(all), 1000))}}
		var page linksPage
		if err := o.call(cmd.Context(), "GET", "/links?"+query.Encode(), nil, &page); err != nil {
			return nil, false, err
		}
		all, cursor = append(all, page.Links...), page.Cursor
		if cursor == "" || len(all) >= most {
			return all, cursor != "", nil
		}
	}
}

func printLinks(cmd *cobra.Command, all []httpapi.ShortLink, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), all)
	}
	if len(all) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "there are no short links of this kind")
		return nil
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LINK\tCLICKS\tPREVIEWS\tLAST CLICK\tEXPIRES\tMESSAGE\tURL")
	for i := range all {
		l := &all[i]
		last := "-"
		if l.Last != nil {
			last = local(*l.Last)
		}
		url := l.URL
		if l.Kind == "mail" {
			url = "(opens of the mail)"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", l.Token, l.Clicks, l.Previews, last, local(l.Expires), l.Message, url)
	}
	return t.Flush()
}
