package simulate

import (
	"fmt"
	"slices"
	"testing"

	"trunkline/configs/strict"
	"trunkline/flowengine"
)

// What must never be is not there: one consumer of a message (R2), entries within
// their rules (E1–E4), exact counters (M5), one branch for a person (P3), nothing
// handed over twice that may not be (X2), a step that is one commit (X1), caps that
// hold over flows and broadcasts (X12), a broadcast that an address gets once (B1),
// also when persons merge (A2) and when the runtime dies at any moment.
func TestWorlds(t *testing.T) {
	for seed := range uint64(14) {
		r, err := Play(seed, 100)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != nil {
			t.Fatal(r.Failure)
		}
	}
}

// A seed is one world: whatever goes wrong goes wrong again.
func TestWorldIsRepeated(t *testing.T) {
	play := func() *world {
		w, err := newWorld(7)
		if err != nil {
			t.Fatal(err)
		}
		for w.step = 1; w.step <= 150; w.step++ {
			w.next()
		}
		w.finish()
		return w
	}
	a, b := play(), play()
	if !slices.Equal(a.trace, b.trace) || a.store.Applied() != b.store.Applied() || a.lives != b.lives {
		t.Errorf("the same seed made %d batches in %d lives and then %d in %d", a.store.Applied(), a.lives, b.store.Applied(), b.lives)
	}
	if a.lives < 3 {
		t.Error("the runtime never died")
	}
}

// Every type of element and entry point that there is takes part.
func TestEveryTypeTakesPart(t *testing.T) {
	root := flowengine.FlowSchema(strict.SchemaOptions{})
	properties, _ := root["properties"].(map[string]any)
	var elements, triggers []string
	for _, k := range elementKinds {
		elements = append(elements, k.name)
	}
	for _, k := range triggerKinds {
		triggers = append(triggers, k.name)
	}
	for _, c := range []struct {
		key  string
		have []string
	}{{"elements", elements}, {"entries", triggers}} {
		types := typesIn(properties[c.key])
		if len(types) < 3 {
			t.Fatalf("the schema of %s lists only %v", c.key, types)
		}
		for _, name := range types {
			if !slices.Contains(c.have, name) && notSimulated[name] == "" {
				t.Errorf("%s: %s is not in the simulation: add a line to kinds.go", c.key, name)
			}
		}
	}
}

// typesIn lists the types that a schema of elements or entry points tells apart.
func typesIn(schema any) (names []string) {
	s, _ := schema.(map[string]any)
	for _, inner := range []string{"items", "additionalProperties"} {
		of, _ := s[inner].(map[string]any)
		properties, _ := of["properties"].(map[string]any)
		typ, _ := properties["type"].(map[string]any)
		all, _ := typ["enum"].([]any)
		for _, name := range all {
			names = append(names, fmt.Sprint(name))
		}
	}
	return names
}
