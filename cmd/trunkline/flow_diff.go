package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"trunkline/flowengine"
)

// definitionView is a flow's definition, as the daemon tells it and as a file has it.
type definitionView struct {
	Flow    string          `json:"flow"`
	Version uint32          `json:"version,omitempty"` // 0: of a file
	Hash    string          `json:"hash"`
	Content json.RawMessage `json:"content"` // canonical
	Goals   []goalView      `json:"goals"`
}

// goalView is a goal, which is no part of the version.
type goalView struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Event  string `json:"event"`
	Where  string `json:"where,omitempty"`
	Window string `json:"window"`
	Anchor string `json:"anchor,omitempty"`
}

func viewDefinition(v *flowengine.Version) *definitionView {
	d := &definitionView{Flow: v.Flow, Version: v.Ordinal, Hash: v.HashText(), Content: v.Canonical, Goals: []goalView{}}
	for _, g := range v.Goals {
		d.Goals = append(d.Goals, goalView{g.ID, g.Name, g.Event, g.Where, shortSpan(g.Window), g.Anchor})
	}
	return d
}

// definition is the newest version of a flow, for the tools.
func (d *daemon) definition(flow string) (*definitionView, error) {
	config := d.config.Load()
	i := slices.IndexFunc(config.flows, func(v *flowengine.Version) bool { return v.Flow == flow })
	if i < 0 {
		return nil, fmt.Errorf("the daemon's configuration has no flow %q; `trunkline flow list` shows all", flow)
	}
	v := viewDefinition(config.flows[i])
	all, err := d.rt.Flows()
	for _, f := range all {
		if f.ID == flow {
			v.Version = f.Newest
		}
	}
	return v, err
}

func newFlowDiff(o *options) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use: "diff FILE FLOW|FILE2", Short: "Tell what a new flow file changes",
		Long: `Tell what a flow file changes against the version that the daemon runs, or
against a second file, which counts as the older one: elements, entry points,
settings and goals, option by option, and whether a reload makes a new version.

People inside a flow stay with the version through which they entered. Order,
comments and quotes make no version; nor do goals.`,
		Example: `  trunkline flow diff new-offer.yaml shoe-offer
  trunkline flow diff new-offer.yaml old-offer.yaml`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: o.completeDiff,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := o.ground(false)
			if err != nil {
				return err
			}
			v, err := g.read(cmd, args[0])
			if err != nil {
				return err
			}
			older, err := o.olderFlow(cmd, g, args[1])
			if err != nil {
				return err
			}
			difference, err := compareFlows(older, viewDefinition(v))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), difference)
			}
			difference.print(cmd.OutOrStdout())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// completeDiff offers a file first, then the flows that run, and files too.
func (o *options) completeDiff(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeYAML(cmd, args, begun)
	}
	ids, directive := o.completeFlow(cmd, args, begun)
	if directive == cobra.ShellCompDirectiveError {
		return completeYAML(cmd, args, begun)
	}
	return ids, cobra.ShellCompDirectiveDefault
}

// olderFlow is what a file is compared with.
func (o *options) olderFlow(cmd *cobra.Command, g *ground, arg string) (*definitionView, error) {
	if isFlowFile(arg) {
		v, err := g.read(cmd, arg)
		if err != nil {
			return nil, err
		}
		return viewDefinition(v), nil
	}
	d := new(definitionView)
	err := o.call(cmd.Context(), "GET", "/flows/"+url.PathEscape(arg)+"/definition", nil, d)
	if err != nil {
		return nil, fmt.Errorf("%w. To compare with a file, give its path, such as ./%s.yaml", err, arg)
	}
	return d, nil
}

// flowDifference is what a new definition changes.
type flowDifference struct {
	Flow       string       `json:"flow"`
	Older      string       `json:"older_flow,omitempty"` // when the ids differ
	Version    uint32       `json:"running_version,omitempty"`
	NewVersion bool         `json:"new_version"`
	OldHash    string       `json:"old_hash"`
	NewHash    string       `json:"new_hash"`
	Parts      []partChange `json:"changes"`
}

// partChange is what becomes of one element, entry point, goal or of the settings.
type partChange struct {
	Part    string         `json:"part"` // element, entry point, goal, settings, name, order
	ID      string         `json:"id,omitempty"`
	What    string         `json:"what"` // added, removed, changed
	Type    string         `json:"type,omitempty"`
	Options []optionChange `json:"options,omitempty"`
}

type optionChange struct {
	Option string `json:"option"`
	Old    any    `json:"old"` // null: not written
	New    any    `json:"new"`
}

type written struct {
	Name     any                       `json:"name"`
	Entries  []map[string]any          `json:"entries"`
	Elements map[string]map[string]any `json:"elements"`
	Settings map[string]any            `json:"settings"`
}

func readWritten(d *definitionView) (w written, err error) {
	decoder := json.NewDecoder(bytes.NewReader(d.Content))
	decoder.UseNumber() // 33.30 is not 33.3 in a hash
	if err = decoder.Decode(&w); err != nil {
		err = fmt.Errorf("the definition of flow %q can't be read: %w", d.Flow, err)
	}
	return w, err
}

func compareFlows(older, newer *definitionView) (*flowDifference, error) {
	a, errA := readWritten(older)
	b, errB := readWritten(newer)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	d := &flowDifference{Flow: newer.Flow, Version: older.Version, OldHash: older.Hash, NewHash: newer.Hash, NewVersion: older.Hash != newer.Hash, Parts: []partChange{}}
	if older.Flow != newer.Flow {
		d.Older = older.Flow
	}
	d.whole("name", map[string]any{"name": a.Name}, map[string]any{"name": b.Name})
	d.parts("entry point", byID(a.Entries), byID(b.Entries))
	if orderA, orderB := idsOf(a.Entries), idsOf(b.Entries); !slices.Equal(orderA, orderB) && slices.Equal(slices.Sorted(slices.Values(orderA)), slices.Sorted(slices.Values(orderB))) {
		d.whole("order of entry points", map[string]any{"order": orderA}, map[string]any{"order": orderB})
	}
	d.parts("element", a.Elements, b.Elements)
	d.whole("settings", a.Settings, b.Settings)
	goalsA, errA := goalsByID(older.Goals)
	goalsB, errB := goalsByID(newer.Goals)
	d.parts("goal", goalsA, goalsB)
	return d, errors.Join(errA, errB)
}

func byID(all []map[string]any) map[string]map[string]any {
	m := map[string]map[string]any{}
	for _, one := range all {
		m[fmt.Sprint(one["id"])] = one
	}
	return m
}

func idsOf(all []map[string]any) (ids []string) {
	for _, one := range all {
		ids = append(ids, fmt.Sprint(one["id"]))
	}
	return ids
}

func goalsByID(goals []goalView) (map[string]map[string]any, error) {
	m := map[string]map[string]any{}
	for _, g := range goals {
		text, err := json.Marshal(g)
		if err != nil {
			return nil, err
		}
		var plain map[string]any
		if err := json.Unmarshal(text, &plain); err != nil {
			return nil, err
		}
		m[g.ID] = plain
	}
	return m, nil
}

// whole compares what every flow has once.
func (d *flowDifference) whole(part string, a, b map[string]any) {
	if options := compareOptions("", a, b); len(options) > 0 {
		d.Parts = append(d.Parts, partChange{Part: part, What: "changed", Options: options})
	}
}

// parts compares what flows have several of.
func (d *flowDifference) parts(part string, a, b map[string]map[string]any) {
	for _, id := range sortedNames(union(a, b)) {
		c := partChange{Part: part, ID: id}
		was, hadIt := a[id]
		is, hasIt := b[id]
		c.Type, _ = is["type"].(string)
		switch {
		case !hadIt:
			c.What = "added"
		case !hasIt:
			c.What = "removed"
			c.Type, _ = was["type"].(string)
		default:
			if c.Options = compareOptions("", was, is); len(c.Options) == 0 {
				continue
			}
			c.What = "changed"
		}
		d.Parts = append(d.Parts, c)
	}
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// compareOptions finds the options that differ. Maps and lists of one length are
// gone into, so that one branch is told, not all.
func compareOptions(path string, a, b map[string]any) (all []optionChange) {
	for _, key := range sortedNames(union(a, b)) {
		at := key
		if path != "" {
			at = path + "." + key
		}
		all = append(all, compareValues(at, a[key], b[key])...)
	}
	return all
}

func compareValues(path string, a, b any) (all []optionChange) {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	mapA, isMapA := a.(map[string]any)
	mapB, isMapB := b.(map[string]any)
	if isMapA && isMapB {
		return compareOptions(path, mapA, mapB)
	}
	listA, isListA := a.([]any)
	listB, isListB := b.([]any)
	if isListA && isListB && len(listA) == len(listB) {
		for i := range listA {
			all = append(all, compareValues(path+"["+strconv.Itoa(i)+"]", listA[i], listB[i])...)
		}
		return all
	}
	return []optionChange{{path, a, b}}
}

func (d *flowDifference) print(w io.Writer) {
	against := ""
	if d.Version > 0 {
		against = fmt.Sprintf(" against version %d, which runs", d.Version)
	}
	fmt.Fprintf(w, "flow %s%s\n", d.Flow, against)
	if d.Older != "" {
		fmt.Fprintf(w, "  the id was %s: this is another flow, not a new version of it\n", d.Older)
	}
	for _, c := range d.Parts {
		c.print(w)
	}
	switch {
	case d.Older != "":
	case d.NewVersion:
		fmt.Fprintf(w, "this makes a new version: hash %.12s, was %.12s; people inside stay with theirs\n", d.NewHash, d.OldHash)
	case len(d.Parts) > 0:
		fmt.Fprintf(w, "this makes no new version: only goals change (hash %.12s)\n", d.NewHash)
	default:
		fmt.Fprintf(w, "nothing changes (hash %.12s)\n", d.NewHash)
	}
}

func (c *partChange) print(w io.Writer) {
	sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}[c.What]
	line := sign + " " + c.Part
	if c.ID != "" {
		line += " " + c.ID
	}
	if c.Type != "" {
		line += " (" + c.Type + ")"
	}
	fmt.Fprintln(w, " ", line)
	for _, o := range c.Options {
		fmt.Fprintf(w, "      %s: %s → %s\n", o.Option, optionText(o.Old), optionText(o.New))
	}
}

// optionText is a value as it could be written in a file.
func optionText(v any) string {
	if v == nil {
		return "(not set)"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return string(bytes.TrimSpace(b.Bytes()))
}
