package flowengine

import (
	"maps"
	"slices"

	"trunkline/ivr"
)

// calls finds elements that need a call where there can't be one: no way leads to
// them from an entry point that takes calls, nor from the answer to a call that the
// flow makes. Elements that nothing leads to are warned of elsewhere.
func (b *builder) calls() {
	reached := b.version.reach()
	for _, id := range slices.Sorted(maps.Keys(reached)) {
		if e, ok := b.version.nodes[id].Element.(caller); ok && e.call() && !reached[id] {
			b.errorf([]any{"elements", id, "type"}, "element %q: there is no call on any way that leads here; let an inbound_call or the answer of a start_call come first", id)
		}
	}
}

// place is an element that is reached with a call or without one.
type place struct {
	id     string
	onCall bool
}

// reach lists the elements that people come to; true: they can have a call there.
func (v *Version) reach() map[string]bool {
	reached := map[string]bool{}
	var queue []place
	for _, e := range v.Entries {
		_, call := e.Trigger.(*InboundCall)
		queue = append(queue, place{e.Next, call})
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		n := v.nodes[at.id]
		if before, been := reached[at.id]; n == nil || been && (before || !at.onCall) {
			continue
		}
		reached[at.id] = at.onCall
		queue = append(queue, n.ways(at.onCall)...)
	}
	return reached
}

// ways lists where an element leads, and whether a call goes along.
func (n *Node) ways(onCall bool) (next []place) {
	for _, port := range n.Element.Ports() {
		if t := n.Targets[port]; t != "" {
			next = append(next, place{t, n.leaves(port, onCall)})
		}
	}
	if e, ok := n.Element.(brancher); ok {
		for _, t := range e.branches() {
			if t != "" {
				next = append(next, place{t, onCall})
			}
		}
	}
	return next
}

// leaves says whether there is a call behind a port of the element.
func (n *Node) leaves(port string, onCall bool) bool {
	switch n.Element.(type) {
	case *StartCall:
		return port == string(ivr.PortAnswered) || port == portMachineAnswered
	case *HangUp:
		return false
	}
	return onCall && port != portHungUp
}
