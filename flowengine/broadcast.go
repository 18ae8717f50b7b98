package flowengine

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strings"
	"time"

	"trunkline/configs/strict"
)

// Broadcast is a message that goes out once to many (rule B1). It is a flow of
// one element, under an id that no flow file can have, so that whatever holds
// for what flows send holds for it too.
type Broadcast struct {
	ID      string
	Name    string
	Version *Version
	// StartAt is when it begins; zero: when somebody starts it.
	StartAt time.Time
	// Persons are named one by one: ids, phone numbers, e-mail addresses.
	Persons []string
	// Selects says that recipients are sought among all persons too.
	Selects bool
	// Lists are files with further recipients, as they are written. Who reads
	// the definition reads them.
	Lists []string
	// Approval says that somebody else has to agree before it begins.
	Approval bool
}

// The names in the flow that a broadcast is: of its one element and of its one
// entry point.
const (
	BroadcastElement = "message"
	BroadcastEntry   = "recipients"
)

const broadcastPrefix = "broadcast/"

// BroadcastFlow is the id of the flow that a broadcast is.
func BroadcastFlow(id string) string { return broadcastPrefix + id }

// BroadcastOf is the id of the broadcast that a flow is; ok is false for others.
func BroadcastOf(flow string) (id string, ok bool) { return strings.CutPrefix(flow, broadcastPrefix) }

// broadcastDefinition is a broadcast as it is written.
type broadcastDefinition struct {
	Broadcast      string           `yaml:"broadcast" required:"true" pattern:"^[a-z0-9-]{1,64}$" doc:"Id of the broadcast, never used again: lower-case letters, digits and hyphens."`
	Name           string           `yaml:"name" max:"200" doc:"Name for people. Default: the id."`
	Recipients     recipientsNode   `yaml:"recipients" required:"true" doc:"Who gets the message: whoever one of the keys names, each once."`
	ExcludeTag     names            `yaml:"exclude_tag" doc:"Not those with this tag, or with one of these."`
	ExcludeSegment names            `yaml:"exclude_segment" doc:"Not those of this segment, or of one of these."`
	Exclude        Predicate        `yaml:"exclude" doc:"Not those of whom this condition holds."`
	Message        broadcastMessage `yaml:"message" required:"true" doc:"The element that sends, with its options."`
	StartAt        Moment           `yaml:"start_at" doc:"When it begins, such as 2026-12-24 09:00. Default: when it is started."`
	Timezone       string           `yaml:"timezone" default:"UTC" doc:"IANA name of the zone that times of day are in."`
	Category       string           `yaml:"category" enum:"transactional,marketing" default:"marketing" doc:"Purpose of the message."`
	Priority       int              `yaml:"priority" min:"-1000" max:"1000" doc:"Place among flows that want the same; higher goes first."`
	Approval       string           `yaml:"approval" enum:"none,required" default:"none" doc:"required: somebody other than its creator has to agree before it begins."`
}

// recipientsNode is what may be written below recipients.
type recipientsNode struct {
	All       bool      `yaml:"all" doc:"Everybody who is known."`
	Persons   []string  `yaml:"persons" max:"10000" doc:"Phone numbers, e-mail addresses or ids. Who is not known yet becomes a person."`
	Tags      names     `yaml:"tags" doc:"Those with this tag, or with one of these."`
	Segments  names     `yaml:"segments" doc:"Those of this segment, or of one of these."`
	Condition Predicate `yaml:"condition" doc:"Those of whom this condition holds."`
	Lists     []string  `yaml:"lists" max:"100" doc:"Files with one address a line, of any length; relative to this file."`
}

// names is a name or a list of names.
type names []string

// maxNames bounds a list of tags or segments.
const maxNames = 100

// UnmarshalNode reads a name or a list.
func (l *names) UnmarshalNode(n *strict.Node) error {
	switch n.Kind {
	case strict.String:
		*l = names{n.Text}
	case strict.List:
		var all []string
		n.Decode(&all)
		if len(all) == 0 || len(all) > maxNames {
			n.Report("between 1 and 100 names are expected", "")
		}
		*l = all
	default:
		n.Mistyped("a name or a list of names", "")
	}
	return nil
}

// JSONSchema allows a name or a list.
func (l *names) JSONSchema() map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text, "minItems": 1, "maxItems": maxNames}}}
}

// broadcastMessage is the one element of a broadcast.
type broadcastMessage struct {
	typ     string
	element Element
}

// sendingTypes lists the elements that a broadcast may consist of.
func sendingTypes() (all []elementType) {
	for _, t := range elementTypes {
		if t.name == "failover" || strings.HasPrefix(t.name, "send_") {
			all = append(all, t)
		}
	}
	return all
}

// UnmarshalNode reads the element: its type says which options it may have.
func (m *broadcastMessage) UnmarshalNode(n *strict.Node) error {
	var known []string
	for _, t := range sendingTypes() {
		known = append(known, t.name)
	}
	m.typ = readType(n, "a message", "message", known)
	if !slices.Contains(known, m.typ) {
		return nil
	}
	element := newElement(m.typ)
	n.DecodeFields(element, "type")
	m.element = element
	return nil
}

// JSONSchema tells the types apart, so that each gets its own options.
func (m *broadcastMessage) JSONSchema() map[string]any {
	var types []typeSchema
	for _, t := range sendingTypes() {
		schema := t.schema()
		if properties, ok := schema["properties"].(map[string]any); ok {
			delete(properties, "on")
		}
		types = append(types, typeSchema{t.name, t.doc, schema})
	}
	return oneOfTypes(types)
}

// BroadcastSchema is the JSON Schema of broadcasts.
func BroadcastSchema(o strict.SchemaOptions) map[string]any {
	return strict.Schema(broadcastDefinition{}, o)
}

// ParseBroadcast reads the definition of a broadcast, in YAML or JSON. The error
// is a strict.Errors with everything that is wrong. Numbers is as in ParseFlow.
func ParseBroadcast(file string, data []byte, schema *Schema, numbers Numbers) (*Broadcast, error) {
	return ParseBroadcastIn(nil, file, data, schema, numbers)
}

// ParseBroadcastIn is ParseBroadcast for a definition whose e-mail may have its texts in
// files of a folder.
func ParseBroadcastIn(folder fs.FS, file string, data []byte, schema *Schema, numbers Numbers) (*Broadcast, error) {
	doc := strict.Parse(file, data, strict.Options{})
	inlineFiles(doc.Root(), folder)
	d := new(broadcastDefinition)
	doc.Decode(d)
	report := func(path []any, warning bool, message string) {
		if warning {
			doc.WarnAt(broadcastPath(path), "%s", message)
		} else {
			doc.ErrorAt(broadcastPath(path), "%s", message)
		}
	}
	b := &builder{definition: d.flow(), schema: schema, numbers: numbers, report: report}
	if d.Message.element == nil && doc.Err() != nil { // nothing to build around
		return nil, doc.Err()
	}
	v := b.build()
	v.broadcast = true
	out := &Broadcast{
		ID: d.Broadcast, Name: v.Name, Version: v, StartAt: b.start(d), Persons: d.Recipients.Persons, Lists: d.Recipients.Lists,
		Approval: d.Approval == "required", Selects: d.Recipients.selects(),
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	canonical, err := strict.Canonical(doc)
	if err != nil {
		return nil, err
	}
	v.Ordinal, v.Canonical, v.Hash = 1, canonical, sha256.Sum256(canonical)
	for _, w := range doc.Warnings() {
		v.Warnings = append(v.Warnings, w.Error())
	}
	return out, nil
}

// flow is the definition of the flow that the broadcast is.
func (d *broadcastDefinition) flow() *definition {
	name := d.Name
	if name == "" {
		name = d.Broadcast
	}
	entry := &recipients{EntryOptions: EntryOptions{ID: BroadcastEntry, Next: BroadcastElement}, definition: d}
	f := &definition{
		Flow: BroadcastFlow(d.Broadcast), Name: name,
		Entries:  []*entryNode{{Type: BroadcastEntry, Trigger: entry}},
		Elements: map[string]*elementNode{},
		Settings: Settings{Timezone: d.Timezone, Category: d.Category, Priority: d.Priority, OnEnd: OnEndDrain, Tracking: true},
	}
	if d.Message.element != nil {
		f.Elements[BroadcastElement] = &elementNode{Type: d.Message.typ, Element: d.Message.element}
	}
	return f
}

// broadcastPath leads to where something of the flow is written in the broadcast.
func broadcastPath(path []any) []any {
	switch {
	case len(path) >= 2 && path[0] == "elements":
		return append([]any{"message"}, path[2:]...)
	case len(path) >= 2 && path[0] == "entries":
		return path[2:]
	case len(path) >= 1 && path[0] == "settings":
		return path[1:]
	}
	return path
}

// start resolves start_at in the broadcast's zone.
func (b *builder) start(d *broadcastDefinition) time.Time {
	switch {
	case d.StartAt.IsZero():
		return time.Time{}
	case d.StartAt.form == timeOfDay:
		b.errorf([]any{"start_at"}, "a date is expected besides the time, such as 2026-12-24 09:00")
		return time.Time{}
	}
	return d.StartAt.After(time.Time{}, b.version.Settings.zone())
}

// selects says whether recipients are sought among all persons.
func (r *recipientsNode) selects() bool {
	return r.All || len(r.Tags) > 0 || len(r.Segments) > 0 || !r.Condition.IsZero()
}
