package main

import (
	"fmt"
	"strings"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
)

// The control socket speaks these plain forms, not the engine's own types: they
// are what --json prints, and scripts may rely on them.

type personView struct {
	ID           string         `json:"id"`
	Created      time.Time      `json:"created"`
	Addresses    []addressView  `json:"addresses"`
	Attributes   map[string]any `json:"attributes"`
	Tags         []string       `json:"tags"`
	DoNotContact []string       `json:"do_not_contact"`
	Runs         []runView      `json:"runs"`
	History      []historyView  `json:"history"`
}

type addressView struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

type runView struct {
	Flow     string     `json:"flow"`
	Version  uint32     `json:"version"`
	Number   uint32     `json:"number"`
	Entry    string     `json:"entry"`
	Entered  time.Time  `json:"entered"`
	Element  string     `json:"element"`
	Since    time.Time  `json:"since"`
	Deadline *time.Time `json:"deadline,omitempty"`
}

type historyView struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

func viewPerson(p *runtime.Profile) *personView {
	v := &personView{
		ID: p.Person.ID.String(), Created: p.Person.Created, Addresses: []addressView{}, Attributes: map[string]any{},
		Tags: []string{}, DoNotContact: []string{}, Runs: []runView{}, History: []historyView{},
	}
	for _, a := range p.Person.Addresses {
		v.Addresses = append(v.Addresses, addressView{a.Kind.String(), a.Value})
	}
	for _, a := range p.Person.Attrs {
		v.Attributes[a.Name] = viewValue(a.Value)
	}
	for _, t := range p.Person.Tags {
		v.Tags = append(v.Tags, t.Name)
	}
	for _, k := range p.Person.DoNotContact {
		v.DoNotContact = append(v.DoNotContact, k.String())
	}
	for _, r := range p.Passages.Runs {
		run := runView{Flow: r.Flow, Version: r.Version, Number: r.Number, Entry: r.Entry, Entered: r.Entered, Element: r.Element, Since: r.Since}
		if !r.Deadline.IsZero() {
			run.Deadline = &r.Deadline
		}
		v.Runs = append(v.Runs, run)
	}
	for _, h := range p.History {
		for i := range h.Events {
			v.History = append(v.History, historyView{h.At, happening(&h.Events[i])})
		}
	}
	return v
}

// viewValue gives numbers and booleans as such, and everything else as text.
// A decimal is text: JSON numbers lose digits.
func viewValue(v flowengine.Value) any {
	switch v.Type {
	case flowengine.Whole:
		return v.Num
	case flowengine.Boolean:
		return v.Num != 0
	}
	return v.String()
}

// happening is one line of history in words.
func happening(e *flowengine.Event) string {
	at := e.Flow
	if e.Element != "" {
		at += "/" + e.Element
	}
	switch e.Kind {
	case flowengine.Entered:
		return fmt.Sprintf("entered %s through %s", e.Flow, e.Detail)
	case flowengine.Exited:
		return fmt.Sprintf("left %s: %s", e.Flow, e.Detail)
	case flowengine.Refused:
		return fmt.Sprintf("was refused by %s: %s", e.Flow, e.Detail)
	case flowengine.Engaged:
		return "reached " + at
	case flowengine.Departed:
		return fmt.Sprintf("went on from %s through %q", at, e.Detail)
	case flowengine.Queued:
		return strings.TrimSpace("a message was queued " + at)
	case flowengine.Accepted:
		return fmt.Sprintf("the carrier took %d part(s) of %s", e.Units, at)
	case flowengine.Failed:
		return fmt.Sprintf("a message of %s was not sent: %s", at, e.Detail)
	case flowengine.Reported:
		return fmt.Sprintf("a message of %s was %s", at, e.Detail)
	case flowengine.NotSent:
		return fmt.Sprintf("%s sent nothing: %s", at, e.Detail)
	case flowengine.Received:
		return "wrote a message: " + e.Detail
	case flowengine.Updated:
		return fmt.Sprintf("%s changed %s", at, e.Detail)
	}
	return strings.TrimSpace(at + " " + e.Detail)
}

type flowView struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	State     string            `json:"state"`
	Removed   bool              `json:"removed,omitempty"` // no longer configured
	Launched  time.Time         `json:"launched"`
	Version   uint32            `json:"version"`
	Published time.Time         `json:"published"`
	Inside    uint64            `json:"inside"`
	Entered   uint64            `json:"entered"`
	Exited    map[string]uint64 `json:"exited"`
	Refused   map[string]uint64 `json:"refused"`
	Sent      uint64            `json:"messages_sent"`
	Elements  []elementView     `json:"elements"`
}

type elementView struct {
	ID        string `json:"id"`
	Retired   bool   `json:"retired,omitempty"` // only older versions have it
	Total     uint64 `json:"total_engagements"`
	Unique    uint64 `json:"unique_users_engaged"`
	Sent      uint64 `json:"messages_sent"`
	Delivered uint64 `json:"delivered"`
	Failed    uint64 `json:"failed"`
}

func viewFlows(all []runtime.FlowStatus) []flowView {
	views := []flowView{}
	for i := range all {
		f := &all[i]
		v := flowView{
			ID: f.ID, Name: f.Name, State: f.State.String(), Removed: f.Removed, Launched: f.Launched, Version: f.Newest, Published: f.Published,
			Inside: f.Inside, Entered: f.Counts.Entered, Exited: f.Counts.Exited, Refused: f.Counts.Refused, Elements: []elementView{},
		}
		counts := f.Counts.ByElement()
		for _, c := range counts {
			v.Sent += c.Sent
		}
		add := func(ids []string, retired bool) {
			for _, id := range ids {
				c := counts[id]
				v.Elements = append(v.Elements, elementView{id, retired, c.Total, c.Unique, c.Sent, c.Delivered, c.Failed})
			}
		}
		add(f.Elements, false)
		add(f.Retired, true)
		views = append(views, v)
	}
	return views
}
