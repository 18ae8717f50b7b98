package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"trunkline/flowengine"
)

// flowPlan is a flow of the simulation, over its versions.
type flowPlan struct {
	id       string
	entries  []string // types of its entry points
	settings options
	goals    []options
	elements map[string]elementPlan
	triggers []options
	compiled *definition // of what it is now; nil: not yet
}

// elementPlan is an element and where its ports lead, branches included.
type elementPlan struct {
	options options
	targets map[string]string
}

// definition is a version as it was published: what it says and where its ports
// lead, for checking what is remembered of those who went through it.
type definition struct {
	version *flowengine.Version
	targets map[string]map[string]string
	kinds   map[string]string
}

// generator makes flows. Ids of elements begin with their type, so that no id
// stands for two types.
type generator struct {
	rng  *rand.Rand
	now  time.Time
	flow *flowPlan
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.rng.IntN(n) == 0 }

func pick[T any](rng *rand.Rand, all []T) T { return all[rng.IntN(len(all))] }

// newFlow makes a flow. One whose only entry point is its own address lets in
// exactly those whom requests bring.
func (g *generator) newFlow(id string, kinds ...string) *flowPlan {
	g.flow = &flowPlan{id: id, entries: kinds, settings: options{}}
	g.settings()
	for range 1 + g.rng.IntN(2) {
		if len(kinds) > 0 {
			break
		}
		k := pick(g.rng, triggerKinds).name
		if !slices.Contains(g.flow.entries, k) {
			g.flow.entries = append(g.flow.entries, k)
		}
	}
	g.change()
	return g.flow
}

// settings are drawn once per flow: what entry rules remember of a person is
// what the version of that time looked at.
func (g *generator) settings() {
	s := g.flow.settings
	s["timezone"] = pick(g.rng, zones)
	if g.one(4) {
		s["reenter"] = false
	}
	if g.one(4) {
		s["allow_simultaneous"] = true
	}
	if g.one(3) {
		s["time_delay"] = pick(g.rng, stretches)
	}
	if g.one(2) {
		s["entry_limits"] = []options{{"max": 1 + g.rng.IntN(3), "per": pick(g.rng, stretches)}, {"max": 4, "per": "30d"}}
	}
	if g.one(2) {
		s["indefinite"] = true
	}
	if g.one(3) {
		s["on_end"] = "exit"
	}
	if g.one(4) {
		s["category"] = "marketing"
	}
	if g.one(3) {
		s["on_publish"] = "migrate"
	}
	if g.one(3) {
		s["priority"] = g.rng.IntN(5)
	}
}

// change makes a new version of the flow: other elements and ways, the same
// entry rules.
func (g *generator) change() {
	f := g.flow
	f.compiled = nil
	f.elements = map[string]elementPlan{}
	kinds := make([]elementKind, 2+g.rng.IntN(7))
	ids := make([]string, len(kinds))
	for i := range kinds {
		kinds[i] = pick(g.rng, elementKinds)
		ids[i] = fmt.Sprintf("%s-%d", kinds[i].name, i)
	}
	for i, k := range kinds {
		f.elements[ids[i]] = g.element(k, ids, i)
	}
	f.triggers = f.triggers[:0:0]
	for i, kind := range f.entries {
		o := options{"id": fmt.Sprintf("entry-%d", i), "type": kind, "next": pick(g.rng, ids)}
		for _, k := range triggerKinds {
			if k.name == kind {
				k.write(g, o)
			}
		}
		f.triggers = append(f.triggers, o)
	}
}

func (g *generator) element(k elementKind, ids []string, place int) elementPlan {
	e := elementPlan{options{"type": k.name}, map[string]string{}}
	k.write(g, e.options)
	if branches, ok := e.options["branches"].([]options); ok {
		copied := make([]options, len(branches))
		for i, b := range branches {
			copied[i] = maps.Clone(b)
			if to := g.target(ids, place); to != "" {
				copied[i]["next"] = to
				e.targets[fmt.Sprintf("branch_%d", i+1)] = to
			}
		}
		e.options["branches"] = copied
	}
	on := options{}
	for _, port := range k.ports {
		to := g.target(ids, place)
		if to == "" && port == "else" { // the only one that has to lead somewhere
			to = pick(g.rng, ids)
		}
		if to != "" {
			on[port] = to
			e.targets[port] = to
		}
	}
	if len(on) > 0 {
		e.options["on"] = on
	}
	return e
}

// target is where a port leads: mostly on, at times back or to the end.
func (g *generator) target(ids []string, place int) string {
	switch {
	case g.one(5):
		return ""
	case g.one(5) || place == len(ids)-1:
		return pick(g.rng, ids)
	}
	return ids[place+1+g.rng.IntN(len(ids)-place-1)]
}

// compile reads the flow as the daemon would.
func (f *flowPlan) compile(schema *flowengine.Schema) (*definition, error) {
	if f.compiled != nil {
		return f.compiled, nil
	}
	elements := options{}
	d := &definition{targets: map[string]map[string]string{}, kinds: map[string]string{}}
	for id, e := range f.elements {
		elements[id] = e.options
		d.targets[id], d.kinds[id] = e.targets, e.options["type"].(string)
	}
	file := options{"flow": f.id, "entries": f.triggers, "elements": elements, "settings": f.settings}
	if len(f.goals) > 0 {
		file["goals"] = f.goals
	}
	text, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	d.version, err = flowengine.ParseFlow(f.id+".json", text, schema, nil)
	if err != nil {
		return nil, fmt.Errorf("the simulation wrote a flow that is wrong: %w\n%s", err, text)
	}
	f.compiled = d
	return d, nil
}
