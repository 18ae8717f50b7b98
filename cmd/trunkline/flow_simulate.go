package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/flowengine/simulation"
	"trunkline/gateway/httpapi"
	"trunkline/gateway/smpp/text"
)

func newFlowSimulate(o *options) *cobra.Command {
	var script string
	var seed uint64
	asJSON, schema := false, false
	var others []string
	c := &cobra.Command{
		Use: "simulate FILE --script SCRIPT", Short: "Play a flow offline with a clock of its own, and print each step in words",
		Long: `Play a flow offline: no daemon, no carrier, nothing is sent. The script says what
people write and what happens to them; time passes only as it says. The same script
and seed give the same play.

A script is a small YAML file:

  people: [{phone: "385911234567", attributes: {shoeSize: 41}, tags: [new]}]
  steps:
    - {in: start}
    - {wait: 25h}
    - {at: +26h, in: "42"}
    - {report: delivered}
    - {click: 1}
    - {event: PurchaseFinished, properties: {total: 12.50}}
    - {change: {set: {shoeSize: 43}, tags: [+vip, -new]}}
    - {start: api-entry}
    - {call: "38510001"}
    - {press: "12#"}
    - {hang_up: true}

Carriers and APIs accept what is sent; with auto: false, steps such as
{accept: false} say what they do. --with plays other flows beside it, such as one
that it transfers people to.`,
		Example: `  trunkline flow simulate new-offer.yaml --script timeline.yaml
  echo 'steps: [{in: start}, {wait: 25h}]' | trunkline flow simulate new-offer.yaml --script -`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case schema:
				text, err := strict.SchemaText(simulation.Schema())
				if err == nil {
					_, err = cmd.OutOrStdout().Write(text)
				}
				return err
			case len(args) == 0:
				return errors.New("name the flow file to play")
			case script == "":
				return errors.New("say by --script what happens; - reads it from standard input")
			}
			return o.simulate(cmd, append(args[:1:1], others...), script, seed, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&script, "script", "", "what happens; - reads standard input")
	f.Uint64Var(&seed, "seed", 0, "other people behind the same numbers: splits send them other ways")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&schema, "schema", false, "print the JSON Schema of scripts, for editors")
	f.StringArrayVar(&others, "with", nil, "file of another flow that runs beside it")
	_ = c.MarkFlagFilename("script", "yaml", "yml", "json")
	_ = c.MarkFlagFilename("with", "yaml", "yml")
	return c
}

// simulate plays the first of the flows, with the others beside it.
func (o *options) simulate(cmd *cobra.Command, files []string, script string, seed uint64, asJSON bool) error {
	g, err := o.ground(false)
	if err != nil {
		return err
	}
	flows := make([]*flowengine.Version, len(files))
	for i, file := range files {
		if flows[i], err = g.read(cmd, file); err != nil {
			return err
		}
	}
	v := flows[0]
	s, err := readScript(cmd.InOrStdin(), script)
	if err != nil {
		return reportFile(cmd.ErrOrStderr(), script, err)
	}
	play, err := simulation.Run(s, simulation.Stage{Flow: v, Others: flows[1:], Schema: g.schema, Numbers: g.numbers, Policy: g.policy, Mailing: g.mailing(), Seed: seed, Parts: partsOf})
	view := viewPlay(play)
	if asJSON {
		if jsonErr := printJSON(cmd.OutOrStdout(), view); jsonErr != nil {
			return jsonErr
		}
	} else {
		view.print(cmd.OutOrStdout(), v.Settings.Zone())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	return nil
}

// maxScript bounds a script, in bytes.
const maxScript = 4 << 20

func readScript(in io.Reader, name string) (*simulation.Script, error) {
	if name != "-" {
		data, err := strict.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return simulation.Parse(name, data)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxScript))
	if err != nil {
		return nil, err
	}
	return simulation.Parse("standard input", data)
}

// partsOf counts the parts of a text as a carrier with usual settings does.
func partsOf(s string) int {
	parts, err := text.Segment(nil, s, 0, text.Options{})
	if err != nil {
		return 1
	}
	return len(parts)
}

// playView is a play as --json prints it.
type playView struct {
	Begin      time.Time    `json:"begin"`
	End        time.Time    `json:"end"`
	Turns      []turnView   `json:"turns"`
	People     []playerView `json:"people"`
	Unanswered int          `json:"unanswered,omitempty"`
}

type turnView struct {
	At         time.Time   `json:"at"`
	After      string      `json:"after"`
	Person     string      `json:"person"`
	Cause      string      `json:"cause"`
	Happened   []string    `json:"happened"`
	Sent       []sentView  `json:"sent"`
	Call       []string    `json:"call,omitempty"` // what goes on on the call
	WaitsUntil []time.Time `json:"waits_until"`

	lines []string // both of them in order, for people
}

type sentView struct {
	Channel   string     `json:"channel"`
	From      string     `json:"from,omitempty"`
	To        string     `json:"to"`
	Method    string     `json:"method,omitempty"` // of a request to an API
	Text      string     `json:"text"`             // or the body of a request
	NotBefore *time.Time `json:"not_before,omitempty"`
}

type playerView struct {
	Phone string `json:"phone"`
	httpapi.Person
}

func viewPlay(p *simulation.Play) *playView {
	v := &playView{Begin: p.Begin, End: p.End, Turns: []turnView{}, People: []playerView{}, Unanswered: p.Unanswered}
	for i := range p.Turns {
		v.Turns = append(v.Turns, viewTurn(&p.Turns[i], p.Begin))
	}
	for i := range p.People {
		one := &p.People[i]
		v.People = append(v.People, playerView{one.Phone(), *viewPerson(&runtime.Profile{Person: one.Person, Passages: one.Passages})})
	}
	return v
}

func viewTurn(t *simulation.Turn, begin time.Time) turnView {
	v := turnView{At: t.At, After: "+" + shortSpan(t.At.Sub(begin)), Person: t.Person, Cause: t.Cause, Happened: []string{}, Sent: []sentView{}, Call: t.Calls, WaitsUntil: t.Waits}
	if v.WaitsUntil == nil {
		v.WaitsUntil = []time.Time{}
	}
	sends := t.Sends
	send := func() {
		s := &sends[0]
		sends = sends[1:]
		one := sentView{Channel: s.Channel, From: s.From, To: s.To, Text: s.Text}
		late := ""
		if !s.NotBefore.IsZero() {
			one.NotBefore, late = &s.NotBefore, ", not before +"+shortSpan(s.NotBefore.Sub(begin))
		}
		from := ""
		if s.From != "" {
			from = " from " + s.From
		}
		line := fmt.Sprintf("→ %s%s to %s%s: %q", s.Channel, from, s.To, late, s.Text)
		var request flowengine.APIRequest
		if s.Channel == flowengine.ChannelHTTP && json.Unmarshal([]byte(s.Text), &request) == nil {
			one.Method, one.Text = request.Method, request.Body
			line = strings.TrimSpace(fmt.Sprintf("→ %s %s %s", request.Method, s.To, request.Body))
		}
		if s.Channel == runtime.VoiceChannel { // what is said follows when it is
			one.Text, line = "", fmt.Sprintf("→ call%s to %s%s", from, s.To, late)
		}
		v.Sent = append(v.Sent, one)
		v.lines = append(v.lines, line)
	}
	for i := range t.Happened {
		e := &t.Happened[i]
		words := inWords(t.At, e)
		v.Happened = append(v.Happened, words)
		switch {
		case e.Kind == flowengine.Queued && len(sends) > 0:
			send()
		case e.Kind == flowengine.Received: // noted last, and yet what all the rest follows from
			v.lines = slices.Insert(v.lines, 0, words)
		default:
			v.lines = append(v.lines, words)
		}
	}
	for len(sends) > 0 {
		send()
	}
	if t.Refused != "" && len(t.Happened) == 0 {
		v.lines = append(v.lines, "was refused: "+t.Refused)
	}
	v.lines = append(v.lines, t.Calls...)
	for _, until := range t.Waits {
		v.lines = append(v.lines, "waits until +"+shortSpan(until.Sub(begin))+" at the latest")
	}
	if len(v.lines) == 0 {
		v.lines = []string{"nothing follows"}
	}
	return v
}

// inWords says an event as the history of a person does.
func inWords(at time.Time, e *flowengine.Event) string {
	p := httpapi.ViewPerson(&runtime.Profile{History: []runtime.Happening{{At: at, Events: []flowengine.Event{*e}}}})
	return strings.TrimSuffix(p.History[0].What, ", cost unknown") // no tariff is asked here
}

// shortSpan writes a duration without parts that are zero: 24h, 1h30m.
func shortSpan(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (v *playView) print(w io.Writer, zone *time.Location) {
	stamp := func(t time.Time) string { return t.In(zone).Format("Mon 2006-01-02 15:04:05 MST") }
	fmt.Fprintf(w, "begins %s\n", stamp(v.Begin))
	for i := range v.Turns {
		t := &v.Turns[i]
		fmt.Fprintf(w, "\n%s  %s  %s: %s\n", t.After, stamp(t.At), t.Person, t.Cause)
		for _, line := range t.lines {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	fmt.Fprintf(w, "\nends %s\n", stamp(v.End))
	for i := range v.People {
		v.People[i].print(w, v.Begin)
	}
	if v.Unanswered > 0 {
		fmt.Fprintf(w, "without an answer of the carrier: %s\n", count(v.Unanswered, "message"))
	}
}

func (p *playerView) print(w io.Writer, begin time.Time) {
	fmt.Fprintf(w, "%s\n", p.Phone)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range sortedNames(p.Attributes) {
		fmt.Fprintf(t, "    %s\t%v\n", name, p.Attributes[name])
	}
	if len(p.Tags) > 0 {
		fmt.Fprintf(t, "    tags\t%s\n", strings.Join(p.Tags, ", "))
	}
	if len(p.DoNotContact) > 0 {
		fmt.Fprintf(t, "    do not contact\t%s\n", strings.Join(p.DoNotContact, ", "))
	}
	_ = t.Flush() // to the same writer as the rest
	for _, r := range p.Runs {
		until := ""
		if r.Deadline != nil {
			until = ", until +" + shortSpan(r.Deadline.Sub(begin)) + " at the latest"
		}
		fmt.Fprintf(w, "    waits at %s%s\n", r.Element, until)
	}
	if len(p.Runs) == 0 {
		fmt.Fprintln(w, "    is not in the flow")
	}
}
