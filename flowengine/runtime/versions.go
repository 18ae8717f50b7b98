package runtime

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"trunkline/flowengine"
)

// VersionStatus is a version of a flow as operators see it.
type VersionStatus struct {
	Ordinal   uint32
	Hash      string // SHA-256 of the definition, in hexadecimal digits
	State     string // one of the states below
	Published time.Time
	Until     time.Time // of one that stops: when those inside leave
	Inside    uint64    // runs in it
}

// States of a version. The newest one of a flow that is not active has the state
// of its flow.
const (
	VersionCurrent  = "current"  // takes people in
	VersionDraining = "draining" // those inside go on to the end
	VersionStopping = "stopping" // those inside have until then
	VersionRetired  = "retired"  // nobody is inside
)

// Versions lists the versions of a flow, oldest first.
func (rt *Runtime) Versions(flow string) ([]VersionStatus, error) {
	rt.flows.mu.Lock()
	r, newest, unknown := rt.flows.records[flow], rt.flows.configured[flow], rt.flows.unknownFlow(flow)
	rt.flows.mu.Unlock()
	if r == nil {
		return nil, unknown
	}
	inside, err := rt.countInside(flow)
	if err != nil {
		return nil, err
	}
	all := make([]VersionStatus, len(r.versions))
	for i, v := range r.versions {
		all[i] = VersionStatus{Ordinal: v.ordinal, Hash: hex.EncodeToString(v.hash), Published: v.published, Until: v.until, Inside: inside[v.ordinal]}
		switch {
		case newest != nil && newest.Ordinal == v.ordinal:
			all[i].State = VersionCurrent
			if r.state != flowengine.Active {
				all[i].State = r.state.String()
			}
		case inside[v.ordinal] == 0:
			all[i].State = VersionRetired
		case !v.until.IsZero():
			all[i].State = VersionStopping
		default:
			all[i].State = VersionDraining
		}
	}
	return all, nil
}

// countInside counts the runs in each version of a flow.
func (rt *Runtime) countInside(flow string) (map[uint32]uint64, error) {
	inside := map[uint32]uint64{}
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := activePrefix(nil, s, flow, 0)
		err := rt.store.Scan(prefix, nil, func(key, _ []byte) bool {
			if v, ok := activeVersion(prefix, key); ok {
				inside[v]++
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return inside, nil
}

// FlowStats are the metrics of a flow, over some days and versions.
type FlowStats struct {
	Flow     string
	Versions []uint32 // that were counted, in order
	Elements []ElementStats
}

// ElementStats are the metrics of an element.
type ElementStats struct {
	ID      string
	Retired bool // the newest version does not have it
	Counts
	Cost Cost
}

// Stats sums the metrics of a flow by element: of one version, or with version 0 of
// all; of the days from and to and those between, a zero time sets no bound.
// Elements are in the order of the newest version, then those that were removed.
func (rt *Runtime) Stats(flow string, version uint32, from, to time.Time) (*FlowStats, error) {
	days, err := rt.Days(flow, from, to)
	if err != nil {
		return nil, err
	}
	rt.flows.mu.Lock()
	r, newest := rt.flows.records[flow], rt.flows.configured[flow]
	rt.flows.mu.Unlock()
	if version != 0 && !slices.ContainsFunc(r.versions, func(v versionRecord) bool { return v.ordinal == version }) {
		return nil, fmt.Errorf("%w: flow %q has no version %d; the newest is %d", ErrNotFound, flow, version, r.newest().ordinal)
	}
	match := func(k ElementKey) bool { return version == 0 || k.Version == version }
	sum := NewTally()
	for i := range days {
		sum.Add(days[i].Counts)
	}
	counts := map[string]Counts{}
	out := &FlowStats{Flow: flow}
	for k, c := range sum.Elements {
		if !match(k) {
			continue
		}
		all := counts[k.Element]
		all.add(*c)
		counts[k.Element] = all
		if !slices.Contains(out.Versions, k.Version) {
			out.Versions = append(out.Versions, k.Version)
		}
	}
	slices.Sort(out.Versions)
	place := map[string]int{}
	if newest != nil {
		for i, n := range newest.Nodes() {
			place[n.ID] = i
			if version == 0 || version == newest.Ordinal {
				c := counts[n.ID] // those that nobody has reached are there too
				counts[n.ID] = c
			}
		}
	}
	for id, c := range counts {
		_, has := place[id]
		out.Elements = append(out.Elements, ElementStats{
			ID: id, Retired: !has, Counts: c, Cost: sum.Cost(func(k ElementKey) bool { return k.Element == id && match(k) }),
		})
	}
	order := func(e ElementStats) int {
		if e.Retired {
			return math.MaxInt
		}
		return place[e.ID]
	}
	slices.SortFunc(out.Elements, func(a, b ElementStats) int { return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}
