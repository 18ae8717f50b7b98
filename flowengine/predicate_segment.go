package flowengine

import (
	"slices"
	"strings"

	"trunkline/configs/strict"
)

// segmentForm asks whether the person is in a segment.
type segmentForm struct {
	Segment segmentRef `yaml:"segment" required:"true" doc:"Segment that the person is in: an id, {in: [ids]} for one of several, or {not_in: [ids]}."`
}

// segmentRef names segments: an id, or {in: …} or {not_in: …} with one or several.
type segmentRef struct {
	ids   []string
	key   string // "", in or not_in
	plain bool   // one id, not a list
}

// UnmarshalNode reads an id, or a map with in or not_in.
func (r *segmentRef) UnmarshalNode(n *strict.Node) error {
	if n.Kind != strict.Map {
		return r.read(n)
	}
	if len(n.Fields) != 1 || n.Fields[0].Key.Text != "in" && n.Fields[0].Key.Text != "not_in" {
		n.Report("either in or not_in is expected", "write {segment: {not_in: [vip]}}")
		return nil
	}
	r.key = n.Fields[0].Key.Text
	return r.read(n.Field(r.key))
}

func (r *segmentRef) read(n *strict.Node) error {
	items := n.Items
	if n.Kind != strict.List {
		items, r.plain = []*strict.Node{n}, true
	}
	if len(items) == 0 || len(items) > maxPredicateValues {
		n.Errorf("there are between 1 and %d segments in a list, not %d", maxPredicateValues, len(items))
		return nil
	}
	for _, item := range items {
		if item.Kind != strict.String && item.Kind != strict.Number {
			item.Mistyped("the id of a segment", "write it as {segment: vip} or {segment: {in: [vip, gold]}}")
			return nil
		}
		r.ids = append(r.ids, item.Text)
	}
	return nil
}

// JSONSchema is short, for there are many conditions in a file's schema.
func (r *segmentRef) JSONSchema() map[string]any {
	ids := map[string]any{"type": []any{"string", "array"}}
	return map[string]any{
		"description": "Segment that the person is in: an id, {in: [ids]} for one of several, or {not_in: [ids]}.",
		"type":        []any{"string", "array", "object"}, "properties": map[string]any{"in": ids, "not_in": ids},
		"additionalProperties": false,
	}
}

func (c *predicateCompiler) segment(form *segmentForm, at []any) (node, bool) {
	r := &form.Segment
	at = append(slices.Clone(at), "segment")
	if r.key != "" {
		at = append(at, r.key)
	}
	ok := len(r.ids) > 0 // else reported when it was read
	for i, id := range r.ids {
		if slices.Contains(c.schema.segments, id) {
			use(&c.uses.Segments, id)
			continue
		}
		ok = false
		where := at
		if !r.plain {
			where = append(slices.Clone(at), i)
		}
		hint := didYouMean(id, c.schema.segments)
		if hint == "" && len(c.schema.segments) == 0 {
			hint = "; none is configured, see `segments` in trunkline.yaml"
		} else if hint == "" {
			hint = "; there are " + strings.Join(c.schema.segments[:min(len(c.schema.segments), 10)], ", ")
		}
		c.report(where, "there is no segment %q%s", shorten(id), hint)
	}
	n := node{kind: segmentNode, segments: r.ids}
	if r.key == "not_in" {
		n = node{kind: notNode, kids: []node{n}}
	}
	return n, ok
}

// WithSegments is the schema with segments that conditions may name.
func (s *Schema) WithSegments(ids ...string) *Schema {
	with := *s
	with.segments = slices.Sorted(slices.Values(ids))
	return &with
}
