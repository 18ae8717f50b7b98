package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"trunkline/flowengine"
)

// randomPolicy is what holds for the messages of all flows of a world: at times
// nothing, at times caps.
func randomPolicy(rng *rand.Rand) *flowengine.Policy {
	p := new(flowengine.Policy)
	for range rng.IntN(3) {
		c := flowengine.Cap{
			Channel: "sms", Max: 1 + rng.IntN(3), Per: pick(rng, []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}),
			Window: pick(rng, []string{"rolling", "calendar"}), Policy: pick(rng, []string{"skip", "hold"}), Category: pick(rng, []string{"marketing", "transactional", "all"}),
		}
		if c.Per == time.Hour {
			c.Window = "rolling" // calendars have days and weeks
		}
		p.Caps = append(p.Caps, c)
	}
	return p
}

func covers(c *flowengine.Cap, p *flowengine.Place) bool {
	return p.Channel == c.Channel && (c.Category == "all" || p.Marketing == (c.Category == "marketing"))
}

// caps checks that no cap is exceeded by the places that messages of the person
// take (rule X12). Persons who became one bring the messages of both.
func (x *examination) caps() {
	for i := range x.p.Passages.Places {
		x.places[x.p.Passages.Places[i].Message]++
	}
	if len(x.p.Person.Merged) > 0 {
		return
	}
	for i := range x.w.policy.Caps {
		c := &x.w.policy.Caps[i]
		var at []time.Time
		for j := range x.p.Passages.Places {
			if place := &x.p.Passages.Places[j]; covers(c, place) {
				at = append(at, place.At)
			}
		}
		slices.SortFunc(at, time.Time.Compare)
		for j := c.Max; j < len(at) && c.Window == "rolling"; j++ {
			if at[j].Sub(at[j-c.Max]) < c.Per {
				x.wrong("X12: %d messages within %s, up to %s", c.Max+1, c.Per, at[j])
			}
		}
	}
}

// placed checks that a message that was taken, and has a time of its own that was
// not long ago, counts once (rule X12).
func (w *world) placed(places map[uint32]int) {
	for id, l := range w.network.letters {
		p := flowengine.Place{Channel: l.send.Channel, Marketing: l.send.Marketing}
		for i := range w.policy.Caps {
			c := &w.policy.Caps[i]
			if !l.taken || !covers(c, &p) || !l.earliest.Add(c.Per).After(w.clock) {
				continue
			}
			if n := places[uint32(xxhash.Sum64String(id))]; n != 1 { //nolint:gosec // as the engine marks them
				w.wrong("X12: message %s was taken, and takes %d places for the cap of %d in %s", id, n, c.Max, c.Per)
			}
		}
	}
}
