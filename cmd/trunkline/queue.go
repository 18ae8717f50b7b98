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
)

// The command queue: messages that wait for their channel.

// attemptView is one attempt to send a message.
type attemptView struct {
	At    time.Time `json:"at"`
	Fate  string    `json:"fate"`
	Code  string    `json:"code,omitempty"`
	Host  string    `json:"host,omitempty"`
	TLS   string    `json:"tls,omitempty"`
	Reply string    `json:"reply,omitempty"`
}

func viewAttempts(all []runtime.Attempt) []attemptView {
	out := make([]attemptView, len(all))
	for i, a := range all {
		out[i] = attemptView{a.At, a.Fate.String(), a.Code, a.Host, a.TLS, a.Reply}
	}
	return out
}

// messageView is a message that is queued, or was.
type messageView struct {
	ID       string        `json:"id"`
	Channel  string        `json:"channel"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	Subject  string        `json:"subject,omitempty"`
	State    string        `json:"state"` // queued, held, or the fate of the last attempt
	Due      *time.Time    `json:"due,omitempty"`
	Expires  *time.Time    `json:"expires,omitempty"`
	Done     *time.Time    `json:"done,omitempty"`
	Attempts []attemptView `json:"attempts"`
}

func viewQueued(r *runtime.QueueRow) messageView {
	v := messageView{ID: r.ID, Channel: r.Channel, From: r.From, To: r.To, Subject: r.Subject, State: "queued", Due: &r.Due, Attempts: viewAttempts(r.Tried)}
	if r.Held {
		v.State = "held"
	}
	if !r.Expires.IsZero() {
		v.Expires = &r.Expires
	}
	return v
}

// groupView sums the messages to one destination up.
type groupView struct {
	Channel     string      `json:"channel"`
	Destination string      `json:"destination"`
	Messages    int         `json:"messages"`
	Held        int         `json:"held"`
	Next        time.Time   `json:"next"`
	Last        attemptView `json:"last"`
}

// queueView is the outbox.
type queueView struct {
	Total        int           `json:"total"`
	Destinations []groupView   `json:"destinations"`
	Messages     []messageView `json:"messages"`
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
		v := queueView{Total: total, Messages: []messageView{}, Destinations: []groupView{}}
		for i := range rows {
			v.Messages = append(v.Messages, viewQueued(&rows[i]))
		}
		for _, g := range groups[:min(len(groups), listShown)] {
			v.Destinations = append(v.Destinations, groupView{g.Channel, g.Destination, g.Rows, g.Held, g.Next, viewAttempts([]runtime.Attempt{g.Last})[0]})
		}
		return v, err
	})
	handle("GET /queue/message", func(r *http.Request) (any, error) { return d.message(r) })
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

// message tells what is known of one message: in the outbox, or of its end.
func (d *daemon) message(r *http.Request) (any, error) {
	id := r.FormValue("id")
	rows, _, _, err := d.rt.Queue(r.Context(), runtime.QueueFilter{ID: id}, 1)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		return viewQueued(&rows[0]), nil
	}
	l, err := d.rt.Letter(id)
	if err != nil {
		return nil, err
	}
	v := messageView{ID: id, Channel: l.Channel, From: l.From, To: l.To, Subject: l.Subject, Done: &l.Done, Attempts: viewAttempts(l.Attempts)}
	v.State = v.Attempts[len(v.Attempts)-1].Fate
	return v, nil
}

func newQueue(o *options) *cobra.Command {
	c := &cobra.Command{Use: "queue", Short: "Show the messages that wait to be sent, and retry, drop or hold them"}
	c.AddCommand(newQueueList(o), newQueueShow(o),
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

func answered(a *attemptView) string {
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
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, m.Channel, m.To, m.State, local(*m.Due), len(m.Attempts), orDash(last))
	}
	if more := v.Total - len(v.Messages); more > 0 {
		fmt.Fprintf(t, "and %d more\n", more)
	}
	return t.Flush()
}

func newQueueShow(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "show ID", Short: "Show a message and each attempt to send it: host, TLS, answer", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var m messageView
			if err := o.call(cmd.Context(), "GET", "/queue/message?"+url.Values{"id": args}.Encode(), nil, &m); err != nil {
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

func printMessage(w io.Writer, m *messageView) error {
	fmt.Fprintf(w, "%s\n%s from %s to %s, %s\n", m.ID, m.Channel, m.From, m.To, m.State)
	if m.Subject != "" {
		fmt.Fprintf(w, "subject: %s\n", m.Subject)
	}
	if m.Due != nil {
		fmt.Fprintf(w, "due %s", local(*m.Due))
		if m.Expires != nil {
			fmt.Fprintf(w, ", valid until %s", local(*m.Expires))
		}
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range m.Attempts {
		a := &m.Attempts[i]
		tls := a.TLS
		if tls == "" {
			tls = "no TLS"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", local(a.At), a.Fate, orDash(a.Code), orDash(a.Host), tls, a.Reply)
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
