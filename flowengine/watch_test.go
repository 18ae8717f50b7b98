package flowengine

import (
	"fmt"
	"testing"
)

// BenchmarkProfileChange changes an attribute at which flows look, each for a
// value of its own. The change costs what it touches: with 200 flows at most
// twice what it costs with none.
func BenchmarkProfileChange(b *testing.B) {
	for _, n := range []int{0, 1, 200} {
		b.Run(fmt.Sprintf("%d-flows", n), func(b *testing.B) {
			schema := predicateSchemaOf(b)
			var flows []*Flow
			for i := range n {
				text := fmt.Sprintf("flow: f%d\nentries: [{id: e, type: profile_change, condition: {all: [{attr: name, op: is, value: n%d}, {tag: vip}]}, next: x}]\nelements: {x: {type: exit}}\n", i, i)
				v, err := ParseFlow("f.yaml", []byte(text), schema, nil)
				if err != nil {
					b.Fatal(err)
				}
				v.Ordinal = 1
				flows = append(flows, &Flow{ID: v.Flow, State: Active, Newest: v, Versions: []*Version{v}})
			}
			set, _, err := NewSet(schema, nil, flows)
			if err != nil {
				b.Fatal(err)
			}
			p := personWith(b, map[string]any{"shoeSize": 42, "vip": true, "firstName": "Ana", "city": "Zagreb", "phone": "385911"})
			ps := new(Passages)
			names := [2]Value{TextValue("n7"), TextValue("other")}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				set.Step(p, ps, &Change{Source: "api", Set: []Attr{{"name", names[i%2]}}}, predicateNow)
				i++
			}
		})
	}
}
