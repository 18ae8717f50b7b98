package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"trunkline/storage/memory"
)

// Who is inside of a flow is listed page by page, each run once.
func TestRuns(t *testing.T) {
	const flow = `
flow: wait
entries: [{id: e, type: inbound_message, number: "38591000001", keywords: [vip], next: w}]
elements: {w: {type: pause, for: 1h}}
settings: {allow_simultaneous: true}
`
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memory.New(), Options{}, flow)
		const people = 40
		for i := range people {
			w.must(w.inbound(w.arrival(fmt.Sprintf("3859%05d", i), "vip")))
		}
		if _, err := w.publish(strings.Replace(flow, "1h", "2h", 1)); err != nil {
			t.Fatal(err)
		}
		for i := range people / 2 {
			a := w.arrival(fmt.Sprintf("3859%05d", i), "vip")
			a.At = a.At.Add(1)
			a.ID += "again"
			a.Text = "VIP " // another message, the same keyword
			w.must(w.inbound(a))
		}
		for _, c := range []struct {
			version uint32
			want    int
		}{{0, people * 3 / 2}, {1, people}, {2, people / 2}, {3, 0}} {
			seen := map[string]bool{}
			var at RunPlace
			for {
				page, next, err := w.rt.Runs(context.Background(), "wait", c.version, at, 7)
				w.must(err)
				for _, s := range page {
					if c.version != 0 && s.Run.Version != c.version {
						t.Errorf("version %d in the list of version %d", s.Run.Version, c.version)
					}
					seen[fmt.Sprint(s.Person, s.Run.Number)] = true
				}
				if at = next; at == (RunPlace{}) {
					break
				}
			}
			expect(t, fmt.Sprintf("runs of version %d", c.version), len(seen), c.want)
		}
		if _, _, err := w.rt.Runs(context.Background(), "wiat", 0, RunPlace{}, 7); err == nil {
			t.Error("a flow that is not there has runs")
		}
	})
}
