package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway/httpapi"
)

// broadcastOptions are a broadcast as options of the command line.
type broadcastOptions struct {
	id, name, text, from, startAt, timezone  string
	tags, segments, without, persons, lists  []string
	all, approval, draft, yes, transactional bool
}

func newBroadcastCreate(o *options) *cobra.Command {
	var b broadcastOptions
	c := &cobra.Command{
		Use: "create [FILE]", Short: "Make a broadcast, tell whom it would reach and what that would cost, and start it", Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeYAML,
		Long: `Make a broadcast of a file, or of options: a text to those with a tag, or to a list.

Before it starts you are told how many would get it and what that would cost, and
asked; --yes answers for you. What you don't start stays a draft.`,
		Example: `  trunkline broadcast create spring-sale.yaml
  trunkline broadcast create --tag vip --from 38591000001 --text "Sale!" --start-at "2026-12-24 09:00" --timezone Europe/Zagreb
  trunkline broadcast create --list numbers.txt --from Shop --text "Sale!" --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			definition, lists, err := b.definition(args)
			if err != nil {
				return err
			}
			return b.create(o, cmd, definition, lists)
		},
	}
	f := c.Flags()
	f.StringVar(&b.id, "id", "", "id; default: made of the time")
	f.StringVar(&b.name, "name", "", "name for people")
	f.StringVar(&b.text, "text", "", "text of the SMS, a Liquid template")
	f.StringVar(&b.from, "from", "", "sender of the SMS")
	f.StringSliceVar(&b.tags, "tag", nil, "those with this tag")
	f.StringSliceVar(&b.segments, "segment", nil, "those of this segment")
	f.StringSliceVar(&b.persons, "person", nil, "a phone number, e-mail address or id")
	f.StringSliceVar(&b.lists, "list", nil, "file with one address a line")
	f.BoolVar(&b.all, "all", false, "everybody who is known")
	f.StringSliceVar(&b.without, "exclude-tag", nil, "not those with this tag")
	f.StringVar(&b.startAt, "start-at", "", "when it begins, such as \"2026-12-24 09:00\"; default: now")
	f.StringVar(&b.timezone, "timezone", "", "IANA zone of that time; default: UTC")
	f.BoolVar(&b.transactional, "transactional", false, "send again, rather than not at all, what a crash leaves in doubt")
	f.BoolVar(&b.approval, "approve-required", false, "somebody else has to approve it")
	f.BoolVar(&b.draft, "draft", false, "make it and don't start it")
	f.BoolVar(&b.yes, "yes", false, "start it without asking")
	return c
}

// definition is what the daemon is asked for, and the files with further recipients.
func (b *broadcastOptions) definition(args []string) (toolBroadcast, []string, error) {
	if len(args) == 0 {
		return b.shorthand()
	}
	if b.text != "" || b.all || len(b.tags)+len(b.segments)+len(b.persons)+len(b.lists)+len(b.without) > 0 {
		return toolBroadcast{}, nil, errors.New("give either a file or options such as --tag and --text: what is in the file can't be changed by options")
	}
	text, err := strict.ReadFile(args[0])
	if err != nil {
		return toolBroadcast{}, nil, err
	}
	var lists []string
	if root := strict.Parse(args[0], text, strict.Options{}).Root(); root != nil && root.Kind == strict.Map {
		if r := root.Field("recipients"); r != nil && r.Kind == strict.Map && r.Field("lists") != nil {
			for _, item := range r.Field("lists").Items {
				lists = append(lists, besideOf(args[0], item.Text))
			}
		}
	}
	return toolBroadcast{File: args[0], Definition: string(text), Approval: b.approval}, lists, nil
}

// shorthand makes a definition of options.
func (b *broadcastOptions) shorthand() (toolBroadcast, []string, error) {
	if b.text == "" {
		return toolBroadcast{}, nil, errors.New("give a file, or a --text and whom it goes to: --tag, --segment, --person, --list or --all")
	}
	if b.id == "" {
		b.id = "b-" + time.Now().UTC().Format("20060102-150405")
	}
	recipients := map[string]any{}
	put := func(into map[string]any, key string, value any, given bool) {
		if given {
			into[key] = value
		}
	}
	put(recipients, "all", true, b.all)
	put(recipients, "tags", b.tags, len(b.tags) > 0)
	put(recipients, "segments", b.segments, len(b.segments) > 0)
	put(recipients, "persons", b.persons, len(b.persons) > 0)
	put(recipients, "lists", b.lists, len(b.lists) > 0)
	message := map[string]any{"type": "send_sms", "text": b.text}
	put(message, "from", b.from, b.from != "")
	d := map[string]any{"broadcast": b.id, "recipients": recipients, "message": message}
	put(d, "name", b.name, b.name != "")
	put(d, "exclude_tag", b.without, len(b.without) > 0)
	put(d, "start_at", b.startAt, b.startAt != "")
	put(d, "timezone", b.timezone, b.timezone != "")
	put(d, "category", "transactional", b.transactional)
	text, err := json.MarshalIndent(d, "", " ")
	return toolBroadcast{File: "the options", Definition: string(text), Approval: b.approval}, b.lists, err
}

// create makes the draft, names its recipients, and starts it when that is wanted.
func (b *broadcastOptions) create(o *options, cmd *cobra.Command, definition toolBroadcast, lists []string) error {
	for _, list := range lists { // before anything is made
		if err := eachAddress(list, func(string) error { return nil }); err != nil {
			return err
		}
	}
	var made httpapi.Broadcast
	if err := o.call(cmd.Context(), "POST", "/broadcasts", definition, &made); err != nil {
		return err
	}
	for _, list := range lists {
		if err := o.nameAll(cmd, made.ID, list); err != nil {
			return fmt.Errorf("broadcast %s is a draft that lacks recipients; cancel it: %w", made.ID, err)
		}
	}
	var e httpapi.Estimate
	if err := o.call(cmd.Context(), "GET", broadcastPath(made.ID, "/estimate"), nil, &e); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "broadcast %s: %s, %s in %s, cost %s\n", made.ID, plural(int(e.Recipients), "recipient"), plural(int(e.Recipients-e.Unreached), "message"), plural(int(e.Parts), "part"), e.Cost)
	if e.Unreached > 0 {
		fmt.Fprintf(out, "  %d of them can't be reached: no address, do not contact, or a text that can't be made for them\n", e.Unreached)
	}
	draft := fmt.Sprintf("it is a draft; `trunkline broadcast start %s` starts it", made.ID)
	switch {
	case b.draft:
		fmt.Fprintln(out, draft)
		return nil
	case !b.yes && !confirmed(cmd.InOrStdin(), out, "Start it?"):
		fmt.Fprintln(out, draft)
		return errReported
	}
	started, err := o.changeBroadcast(cmd, made.ID, "start")
	if err == nil {
		fmt.Fprintf(out, "broadcast %s: %s\n", made.ID, progressOf(started))
	}
	return err
}

// confirmed asks; everything but yes is no.
func confirmed(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	fmt.Fprintln(out)
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

// pageBytes bounds the addresses of one request.
const pageBytes = 256 << 10

// nameAll sends the addresses of a list, page by page.
func (o *options) nameAll(cmd *cobra.Command, id, list string) error {
	var page toolRecipients
	size := 0
	send := func() error {
		if len(page.Recipients) == 0 {
			return nil
		}
		err := o.call(cmd.Context(), "POST", broadcastPath(id, "/recipients"), page, nil)
		page.Recipients, size = page.Recipients[:0], 0
		return err
	}
	err := eachAddress(list, func(address string) error {
		page.Recipients = append(page.Recipients, address)
		if size += len(address) + 3; size < pageBytes && len(page.Recipients) < recipientsMost {
			return nil
		}
		return send()
	})
	if err != nil {
		return err
	}
	return send()
}

// eachAddress reads a list: one address a line; empty lines and those that begin
// with # are left out.
func eachAddress(name string, each func(address string) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		address := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if address == "" || address[0] == '#' {
			continue
		}
		if !namesSomebody(address) {
			return fmt.Errorf("%s:%d:1: %q is neither a phone number nor an e-mail address nor an id", name, n, address)
		}
		if err := each(address); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// namesSomebody is stricter than the daemon: what has letters in it and is no
// e-mail address and no id is a mistake in a list of addresses.
func namesSomebody(address string) bool {
	who := runtime.ParseWho(address)
	if !who.ID.IsZero() || who.Address.Kind != flowengine.Phone {
		return true
	}
	return who.Address.Value != "" && strings.Trim(who.Address.Value, "0123456789") == ""
}

// besideOf is a path that is relative to the folder of a file.
func besideOf(file, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(file), name)
}
