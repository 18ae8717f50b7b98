package flowengine

import "trunkline/configs/strict"

// Trigger is what lets people in through an entry point. Its implementation is a
// struct whose fields are the entry point's options in a flow file; everything
// about a type of entry point is in one file, trigger_<type>.go, and it is
// listed in triggerTypes.
type Trigger interface {
	// Check reports what is wrong with the options, beyond what their tags say.
	Check(c *Checker)
	entry() *EntryOptions
}

// triggerType is one kind of entry point that flows can have.
type triggerType struct {
	name string
	doc  string
	make func() Trigger
}

// triggerTypes lists every type of entry point, in the order of the reference.
var triggerTypes = []triggerType{
	{"inbound_message", "A message to one of our numbers.", func() Trigger { return new(InboundMessage) }},
	{"inbound_call", "A call to one of our numbers.", func() Trigger { return new(InboundCall) }},
	{"people_event", "An event in the person's life elsewhere, or a combination of events.", func() Trigger { return new(PeopleEvent) }},
	{"audience", "Everybody who fits when the flow is launched.", func() Trigger { return new(Audience) }},
	{"profile_change", "A change in the person's profile, or a day that is known of the person.", func() Trigger { return new(ProfileChange) }},
	{"flow_api", "A request to the flow's own address.", func() Trigger { return new(FlowAPI) }},
}

func triggerTypeNames() []string {
	names := make([]string, len(triggerTypes))
	for i, t := range triggerTypes {
		names[i] = t.name
	}
	return names
}

func newTrigger(typ string) Trigger {
	for _, t := range triggerTypes {
		if t.name == typ {
			return t.make()
		}
	}
	return nil
}

// EntryOptions are what all entry points have. Each Trigger embeds them.
type EntryOptions struct {
	ID         string `yaml:"id" required:"true" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Id of the entry point, unique in the flow."`
	When       string `yaml:"when" doc:"Condition over person, inbound, event, vars and now that must be true."`
	Interrupts bool   `yaml:"interrupts" doc:"End what the person does in other flows."`
	Next       string `yaml:"next" required:"true" doc:"First element."`
}

func (o *EntryOptions) entry() *EntryOptions { return o }

// entryNode is an entry point as it is written: its type and its options.
type entryNode struct {
	Type    string
	Trigger Trigger
}

// UnmarshalNode reads an entry point: its type says which options it may have.
func (e *entryNode) UnmarshalNode(n *strict.Node) error {
	e.Type = readType(n, "an entry point", "entry point", triggerTypeNames())
	trigger := newTrigger(e.Type)
	if trigger == nil {
		return nil
	}
	n.DecodeFields(trigger, "type")
	e.Trigger = trigger
	return nil
}

// JSONSchema tells the types apart, so that each gets its own options.
func (e *entryNode) JSONSchema() map[string]any {
	types := make([]typeSchema, len(triggerTypes))
	for i, t := range triggerTypes {
		types[i] = typeSchema{t.name, t.doc, t.schema()}
	}
	return oneOfTypes(types)
}

// schema describes the entry points of a type.
func (t triggerType) schema() map[string]any {
	schema := strict.Subschema(t.make())
	schema["description"] = t.doc
	properties, _ := schema["properties"].(map[string]any)
	properties["type"] = map[string]any{"const": t.name}
	return schema
}
