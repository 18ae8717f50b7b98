package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// The command queue: messages that wait for their channel.

func viewQueued(r *runtime.QueueRow) httpapi.Message {
	v := httpapi.Message{
		ID: r.ID, Channel: r.Channel, From: r.From, To: r.To, Subject: r.Subject, State: "queued", Due: r.Due, Expires: r.Expires,
		Attempts: httpapi.ViewAttempts(r.Tried), History: []httpapi.Line{},
	}
	if r.Held {
		v.State = "held"
	}
	return v
}

// groupView sums the messages to one destination up.
type groupView struct {
	Channel     string          `json:"channel"`
	Destination string          `json:"destination"`
	Messages    int             `json:"messages"`
	Held        int             `json:"held"`
	Next        time.Time       `json:"next"`
	Last        httpapi.Attempt `json:"last"`
}

// queueView is the outbox.
type queueView struct {
	Total        int               `json:"total"`
	Destinations []groupView       `json:"destinations"`
	Messages     []httpapi.Message `json:"messages"`
}

// queueActed tells how many messages something was done about.
type queueActed struct {
	Done    int `json:"done"`
	Sending int `json:"sending"`
}

// controlQueue serves the command.
func (d *daemon) controlQueue(handle func(pattern string, f func(r *http.Request) (any, error))) {
	handle("GET /queue", func(r *http.Request) (any, error) {
		rows, groups, total, err := d.rt.Queue(r.Context(), queueFilter(r), listShown)
		v := queueView{Total: total, Messages: []httpapi.Message{}, Destinations: []groupView{}}
		for i := range rows {
			v.Messages = append(v.Messages, viewQueued(&rows[i]))
		}
		for _, g := range groups[:min(len(groups), listShown)] {
			v.Destinations = append(v.Destinations, groupView{g.Channel, g.Destination, g.Rows, g.Held, g.Next, httpapi.ViewAttempts([]runtime.Attempt{g.Last})[0]})
		}
		return v, err
	})
	handle("POST /queue/{action}", func(r *http.Request) (any, error) {
		a := runtime.QueueAction(r.PathValue("action"))
		if a != runtime.QueueRetry && a != runtime.QueueDrop && a != runtime.QueueHold {
			return nil, fmt.Errorf("%q can't be done about messages", a)
		}
		done, sending, err := d.rt.ActOnQueue(r.Context(), queueFilter(r), a)
		return queueActed{done, sending}, err
	})
}

func queueFilter(r *http.Request) runtime.QueueFilter {
	return runtime.QueueFilter{Channel: r.FormValue("channel"), ID: r.FormValue("id"), Domain: r.FormValue("domain"), Held: r.FormValue("held") != ""}
}

func newQueue(o *options) *cobra.Command {
	c := &cobra.Command{Use: "queue", Short: "Show the messages that wait to be sent, and retry, drop or hold them"}
	c.AddCommand(newQueueList(o), newMessageShow(o),
		newQueueAct(o, "retry", "Send messages now, also those that are held", "are due now"),
		newQueueAct(o, "drop", "Take messages out; who waits for them hears that they were not sent", "are dropped"),
		newQueueAct(o, "hold", "Hold messages back until they are retried or their validity ends", "are held"))
	return c
}

func newQueueList(o *options) *cobra.Command {
	asJSON, each, held := false, false, false
	var channel, domain string
	c := &cobra.Command{
		Use: "list", Short: "List the destinations that messages wait for, or the messages", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"channel": {channel}, "domain": {domain}}
			if held {
				query.Set("held", "1")
			}
			var v queueView
			if err := o.call(cmd.Context(), "GET", "/queue?"+query.Encode(), nil, &v); err != nil {
				return err
			}
			switch {
			case asJSON:
				return printJSON(cmd.OutOrStdout(), v)
			case v.Total == 0:
				fmt.Fprintln(cmd.OutOrStdout(), "no message waits")
				return nil
			case each || domain != "":
				return printQueued(cmd.OutOrStdout(), &v)
			}
			return printDestinations(cmd.OutOrStdout(), &v)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&each, "messages", false, "list the messages")
	c.Flags().BoolVar(&held, "held", false, "only those that are held")
	c.Flags().StringVar(&channel, "channel", "", "only those of this channel")
	c.Flags().StringVar(&domain, "domain", "", "only those to this domain, or to numbers that begin so; lists the messages")
	return c
}

func printDestinations(w io.Writer, v *queueView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHANNEL\tDESTINATION\tMESSAGES\tHELD\tNEXT\tLAST ANSWER")
	shown := 0
	for _, g := range v.Destinations {
		shown += g.Messages
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", g.Channel, orDash(g.Destination), g.Messages, g.Held, local(g.Next), orDash(answered(&g.Last)))
	}
	if more := v.Total - shown; more > 0 {
		fmt.Fprintf(t, "and %d more\n", more)
	}
	return t.Flush()
}

func answered(a *httpapi.Attempt) string {
	if a.Reply != "" {
		return a.Reply
	}
	return a.Code
}

func printQueued(w io.Writer, v *queueView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tCHANNEL\tTO\tSTATE\tDUE\tATTEMPTS\tLAST ANSWER")
	for i := range v.Messages {
		m := &v.Messages[i]
		last := ""
		if n := len(m.Attempts); n > 0 {
			last = answered(&m.Attempts[n-1])
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, m.Channel, m.To, m.State, local(m.Due), len(m.Attempts), orDash(last))
	}
	if more := v.Total - len(v.Messages); more > 0 {
		fmt.Fprintf(t, "and %d more\n", more)
	}
	return t.Flush()
}

func newQueueAct(o *options, verb, short, done string) *cobra.Command {
	var domain, channel string
	all := false
	c := &cobra.Command{
		Use: verb + " [ID]", Short: short, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && domain == "" && !all {
				return errors.New("say which: an id that `trunkline queue list --messages` shows, --domain, or --all")
			}
			query := url.Values{"id": args, "domain": {domain}, "channel": {channel}}
			var v queueActed
			if err := o.call(cmd.Context(), "POST", "/queue/"+verb+"?"+query.Encode(), nil, &v); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s", count(v.Done, "message"), done)
			if v.Sending > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "; %s on the way and stay so", count(v.Sending, "other"))
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return nil
		},
	}
	c.Flags().StringVar(&domain, "domain", "", "all to this domain, or to numbers that begin so")
	c.Flags().StringVar(&channel, "channel", "", "only those of this channel")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}
