package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
	"trunkline/gateway/httpapi"
)

// The commands that make keys of the API, let events happen and write to
// profiles, and what they ask of the daemon.

// toolEvent is a People event as the tools write it.
type toolEvent struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Properties map[string]string `json:"properties"`
	At         *time.Time        `json:"at"`
	Create     bool              `json:"create"`
}

// toolAmendment is a change of a profile as the tools write it. Attributes are
// texts here, which the daemon reads by their types.
type toolAmendment struct {
	Attributes map[string]string `json:"attributes"`
	Tags       []string          `json:"tags"`
	Untags     []string          `json:"untags"`
	Create     bool              `json:"create"`
}

type actedView struct {
	Person string `json:"person"`
	Status string `json:"status"`
}

func decodeTool(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// looseJSON is a text of the command line as the JSON value that it looks like: a
// number, true, false, or else a string.
func looseJSON(text string) json.RawMessage {
	switch {
	case text == "true", text == "false":
		return json.RawMessage(text)
	case json.Valid([]byte(text)) && strings.ContainsRune("-0123456789", rune(text[0])):
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text) // a string can always be
	return b
}

func (d *daemon) sendEvent(ctx context.Context, ref string, e *toolEvent) (*actedView, error) {
	who, err := httpapi.Reference(ref)
	if err != nil {
		return nil, err
	}
	in := httpapi.EventInput{ID: e.ID, Name: e.Name, At: e.At, Properties: map[string]json.RawMessage{}}
	for name, value := range e.Properties {
		in.Properties[name] = looseJSON(value)
	}
	h, faults := in.Happened(d.rt.Schema(), time.Now().UTC().Truncate(time.Millisecond), "")
	if err := faultsOf(faults); err != nil {
		return nil, err
	}
	who.Create = e.Create && who.ID.IsZero()
	acted, err := d.rt.Happen(ctx, who, h)
	if err != nil {
		return nil, err
	}
	return &actedView{acted.Person.String(), httpapi.EventStatus(acted)}, nil
}

func (d *daemon) amendPerson(ctx context.Context, ref string, a *toolAmendment) (*personView, error) {
	who, err := httpapi.Reference(ref)
	if err != nil {
		return nil, err
	}
	schema := d.rt.Schema()
	in := httpapi.Amendment{Attributes: map[string]json.RawMessage{}, Tags: &httpapi.TagChange{Add: a.Tags, Remove: a.Untags}}
	for name, value := range a.Attributes {
		switch {
		case value == "":
			in.Attributes[name] = json.RawMessage("null")
		case slices.Contains([]flowengine.Type{flowengine.Whole, flowengine.Boolean}, schema.Type(name)):
			in.Attributes[name] = looseJSON(value)
		default:
			in.Attributes[name], _ = json.Marshal(value) // a string can always be
		}
	}
	c, err := in.Change(schema, "operator")
	if p := new(httpapi.Problem); errors.As(err, &p) {
		return nil, faultsOf(p.Errors)
	}
	who.Create = a.Create && who.ID.IsZero()
	if _, err := d.rt.Amend(ctx, who, c); err != nil {
		return nil, err
	}
	p, err := d.rt.Person(ctx, ref, 0)
	if err != nil {
		return nil, err
	}
	return viewPerson(p), nil
}

func newAPI() *cobra.Command {
	api := &cobra.Command{Use: "api", Short: "Make keys for the HTTP API"}
	var scopes []string
	key := &cobra.Command{
		Use: "key NAME", Short: "Make a key, and show it once", Args: cobra.ExactArgs(1),
		Long: `Make a key for the HTTP API and print it, with the lines for the configuration.

The key is shown this once. The configuration holds its SHA-256 only; whoever
reads the configuration can't call the API with that.`,
		Example: "  trunkline api key crm --scope people,events",
		RunE: func(cmd *cobra.Command, args []string) error {
			k := httpapi.Key{Name: args[0]}
			for _, s := range scopes {
				if !slices.Contains(httpapi.Scopes(), httpapi.Scope(s)) {
					return fmt.Errorf("there is no scope %q; the scopes are %v", s, httpapi.Scopes())
				}
				k.Scopes = append(k.Scopes, httpapi.Scope(s))
			}
			secret, hash := httpapi.NewKey()
			k.Hash = hash
			if err := checkKey(k); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The key, which is not shown again:\n\n  %s\n\nFor trunkline.yaml:\n\napi:\n  keys:\n    - name: %s\n      hash: %s\n      scopes: [%s]\n",
				secret, k.Name, k.Hash, strings.Join(scopes, ", "))
			return nil
		},
	}
	key.Flags().StringSliceVar(&scopes, "scope", nil, "what the key may do: people, events, flows, messages, broadcasts, admin")
	_ = key.MarkFlagRequired("scope")
	api.AddCommand(key)
	return api
}

func newEvent(o *options) *cobra.Command {
	event := &cobra.Command{Use: "event", Short: "Let People events happen"}
	var person string
	var e toolEvent
	send := &cobra.Command{
		Use: "send --person PERSON NAME [PROPERTY=VALUE]…", Short: "Let a People event happen", Args: cobra.MinimumNArgs(1),
		Example: "  trunkline event send --person 385911234567 PurchaseFinished total=12.50 currency=EUR",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			e.Name = args[0]
			if e.Properties, err = pairs(args[1:]); err != nil {
				return err
			}
			var a actedView
			if err := o.call(cmd.Context(), "POST", "/people/"+url.PathEscape(person)+"/events", &e, &a); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s for %s\n", a.Status, a.Person)
			return nil
		},
	}
	send.Flags().StringVar(&person, "person", "", "id, phone number, e-mail address or external:ID")
	send.Flags().StringVar(&e.ID, "id", "", "id of the event; a second one with it changes nothing")
	send.Flags().BoolVar(&e.Create, "create", false, "make the person if nobody is known by the address")
	_ = send.MarkFlagRequired("person")
	event.AddCommand(send)
	return event
}

// printEntries shows how to call a flow's entry points of the Flow API.
func printEntries(w io.Writer, entries []httpapi.Entry) {
	for _, e := range entries {
		fmt.Fprintf(w, "\nentry point %s of the Flow API: POST %s\n", e.ID, e.Path)
		if e.Token != "" {
			fmt.Fprintf(w, "  Authorization: Bearer %s\n", e.Token)
		}
	}
}

// pairs reads name=value.
func pairs(args []string) (map[string]string, error) {
	all := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		all[name] = value
	}
	return all, nil
}

// checkKey finds a name that the configuration would refuse.
func checkKey(k httpapi.Key) error {
	if strings.Trim(k.Name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" || k.Name == "" || len(k.Name) > 64 {
		return fmt.Errorf("%q is no name for a key: 1 to 64 letters, digits, points, underscores and hyphens are expected", k.Name)
	}
	return nil
}
