package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
	"trunkline/flowengine/tariff"
	"trunkline/storage"
)

// registry is what is known of flows: those that are configured and those that
// still have people inside.
type registry struct {
	mu         sync.Mutex // one change at a time
	records    map[string]*flowRecord
	configured map[string]*flowengine.Version // newest version of each configured flow
	versions   map[string][]*flowengine.Version
	schema     *flowengine.Schema
	numbers    []*flowengine.Number
	tariffs    *tariff.Table

	broadcasts map[string]*broadcastRecord // those that the engine knows of
	prepared   map[string]bool             // those that can be started
	due        map[string]time.Time        // and of them, those that shall be
	approve    bool                        // every new one needs an approver
}

// change is a copy in which a part is to be replaced.
func (g *registry) change() *registry {
	return &registry{
		records: g.records, configured: g.configured, schema: g.schema, numbers: g.numbers, tariffs: g.tariffs, broadcasts: g.broadcasts, approve: g.approve,
	}
}

// flowRecord is the stored form of a flow's life.
type flowRecord struct {
	id       string
	state    flowengine.State
	launched time.Time
	removed  bool // no longer configured: it drains
	versions []versionRecord
	// experiments are the splits for which a winner is looked for, or was chosen.
	experiments []experimentRecord
}

// versionRecord is one published version; its definition is stored apart.
type versionRecord struct {
	ordinal   uint32
	hash      []byte
	published time.Time
}

func (r *flowRecord) newest() *versionRecord {
	if len(r.versions) == 0 {
		return nil
	}
	return &r.versions[len(r.versions)-1]
}

func (r *flowRecord) clone() *flowRecord {
	c := *r
	c.versions = slices.Clone(r.versions)
	return &c
}

func flowKey(id string) []byte { return append(appendPrefix(nil, metaShard, kindFlow), id...) }

func versionKey(id string, ordinal uint32) []byte {
	b := append(append(appendPrefix(nil, metaShard, kindVersion), id...), 0)
	return binary.BigEndian.AppendUint32(b, ordinal)
}

func (r *flowRecord) append(b []byte) []byte {
	b = record.AppendUint(b, 1, uint64(r.state))
	b = record.AppendTime(b, 2, r.launched)
	b = record.AppendBool(b, 3, r.removed)
	for _, v := range r.versions {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			b = record.AppendUint(b, 1, uint64(v.ordinal))
			b = record.AppendBytes(b, 2, v.hash)
			return record.AppendTime(b, 3, v.published)
		})
	}
	return r.appendExperiments(b)
}

func decodeFlowRecord(id string, b []byte) (*flowRecord, error) {
	r := &flowRecord{id: id}
	return r, record.Decode(b, "flow "+id, func(f record.Field) error {
		switch f.Num {
		case 1:
			r.state = flowengine.State(f.Uint)
		case 2:
			r.launched = f.Time()
		case 3:
			r.removed = f.Bool()
		case 4:
			var v versionRecord
			err := record.Decode(f.Bytes, "version", func(f record.Field) error {
				switch f.Num {
				case 1:
					v.ordinal = uint32(f.Uint)
				case 2:
					v.hash = bytes.Clone(f.Bytes)
				case 3:
					v.published = f.Time()
				}
				return nil
			})
			r.versions = append(r.versions, v)
			return err
		case flowExperiment:
			x, err := decodeExperiment(f.Bytes)
			r.experiments = append(r.experiments, x)
			return err
		}
		return nil
	})
}

func (g *registry) load(store storage.Reader) error {
	g.records = map[string]*flowRecord{}
	g.configured = map[string]*flowengine.Version{}
	var damaged error
	prefix := appendPrefix(nil, metaShard, kindFlow)
	err := store.Scan(prefix, nil, func(key, value []byte) bool {
		var r *flowRecord
		r, damaged = decodeFlowRecord(string(key[len(prefix):]), value)
		if damaged == nil {
			g.records[r.id] = r
		}
		return damaged == nil
	})
	return firstError(err, damaged)
}

// Publication is a configuration: what shall run.
type Publication struct {
	Schema  *flowengine.Schema
	Numbers []*flowengine.Number
	Flows   []*flowengine.Version // Ordinal is set by Publish
	Tariffs *tariff.Table         // nil: the cost of everything is unknown
	// ApproveBroadcasts: each needs somebody to agree who has not made it.
	ApproveBroadcasts bool
}

// Published tells what a publication changed.
type Published struct {
	Changed  []string // flows with a new version, as "id v3"
	Warnings []string
}

// Publish makes a configuration run, all or nothing. A flow whose definition
// changed gets a new version, which new entries use; people inside stay with
// theirs. A flow that is no longer configured takes nobody in and drains.
func (rt *Runtime) Publish(ctx context.Context, p Publication) (*Published, error) {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	now := rt.now()
	out := new(Published)
	next := maps.Clone(g.records)
	configured := map[string]*flowengine.Version{}
	fresh := map[string]*flowengine.Version{}
	for _, v := range p.Flows {
		r := &flowRecord{id: v.Flow, state: flowengine.Active, launched: now}
		if old := next[v.Flow]; old != nil {
			r = old.clone()
		}
		if n := r.newest(); n != nil && bytes.Equal(n.hash, v.Hash[:]) {
			v.Ordinal = n.ordinal
		} else {
			v.Ordinal = 1
			if n != nil {
				v.Ordinal = n.ordinal + 1
			}
			r.versions = append(r.versions, versionRecord{v.Ordinal, bytes.Clone(v.Hash[:]), now})
			fresh[v.Flow] = v
			out.Changed = append(out.Changed, fmt.Sprintf("%s v%d", v.Flow, v.Ordinal))
		}
		if r.removed { // it came back
			r.removed, r.state = false, flowengine.Active
			if fresh[v.Flow] == nil {
				out.Changed = append(out.Changed, v.Flow+" is back")
			}
		}
		next[v.Flow], configured[v.Flow] = r, v
	}
	for id, r := range next {
		if configured[id] == nil && !r.removed {
			r = r.clone()
			r.removed = true
			if r.state == flowengine.Active || r.state == flowengine.Paused {
				r.state = flowengine.Finishing
			}
			next[id] = r
			out.Changed = append(out.Changed, id+" removed")
		}
	}
	change := &registry{records: next, configured: configured, schema: p.Schema, numbers: p.Numbers, tariffs: p.Tariffs, approve: p.ApproveBroadcasts}
	var err error
	if change.broadcasts, err = g.refit(p.Schema); err != nil {
		return nil, err
	}
	warnings, err := rt.install(ctx, change, fresh, nil)
	if err != nil {
		return nil, err
	}
	out.Warnings = warnings
	if !rt.published.Swap(true) {
		rt.wake()
		rt.wakeJobs() // those that the last end cut off
	}
	return out, errors.Join(rt.launchJobs(ctx), rt.goalJobs(ctx))
}

// wake makes every executor look at what is due.
func (rt *Runtime) wake() {
	for _, ex := range rt.executors {
		ex.submit(task{name: "wake", run: func(*txn) error { return nil }})
	}
}

// install builds the set of a changed registry, stores what changed, and then
// makes it the one that runs; also writes into the same batch, if it is not nil.
// The caller holds the registry's lock.
func (rt *Runtime) install(ctx context.Context, change *registry, fresh map[string]*flowengine.Version, also func(*txn) error) ([]string, error) {
	g := &rt.flows
	flows, err := rt.buildFlows(change)
	if err != nil {
		return nil, err
	}
	set, warnings, err := flowengine.NewSet(change.schema, change.numbers, flows)
	if err != nil {
		return nil, err
	}
	err = rt.do(ctx, rt.owner(metaShard), "publish", func(tx *txn) error {
		for id, r := range change.records {
			if old := g.records[id]; old != r {
				tx.put(flowKey(id), r.append(nil), time.Time{})
			}
		}
		for id, v := range fresh {
			tx.put(versionKey(id, v.Ordinal), v.Canonical, time.Time{})
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.records, g.configured, g.versions, g.schema, g.numbers = change.records, change.configured, change.versions, change.schema, change.numbers
	g.tariffs, g.broadcasts, g.approve = change.tariffs, change.broadcasts, change.approve
	rt.set.Store(set.WithTariffs(g.tariffs).WithBroadcasts(maps.Clone(g.prepared)))
	return warnings, nil
}

// buildFlows makes the flows of a set: the newest version of each, and the older
// ones that people are still inside of.
func (rt *Runtime) buildFlows(change *registry) ([]*flowengine.Flow, error) {
	var flows []*flowengine.Flow
	change.versions = map[string][]*flowengine.Version{}
	for _, id := range slices.Sorted(maps.Keys(change.records)) {
		r := change.records[id]
		f := &flowengine.Flow{ID: id, State: r.state, Launched: r.launched, Newest: change.configured[id], Winners: r.winners()}
		for _, v := range r.versions {
			if f.Newest != nil && v.ordinal == f.Newest.Ordinal {
				f.Versions = append(f.Versions, f.Newest)
				continue
			}
			inside, err := rt.inside(id, v.ordinal)
			if err != nil {
				return nil, err
			}
			if !inside {
				continue
			}
			old, err := rt.storedVersion(change, id, v.ordinal)
			if err != nil {
				return nil, fmt.Errorf("flow %q: version %d, which people are still inside of, does not fit the configuration any more: %w", id, v.ordinal, err)
			}
			f.Versions = append(f.Versions, old)
		}
		change.versions[id] = f.Versions
		if f.Newest != nil || len(f.Versions) > 0 {
			flows = append(flows, f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(change.broadcasts)) {
		flows = append(flows, change.broadcasts[id].flow())
	}
	return flows, nil
}

// storedVersion reads a version back from its stored definition.
func (rt *Runtime) storedVersion(change *registry, id string, ordinal uint32) (*flowengine.Version, error) {
	if change.schema == rt.flows.schema { // unless the schema changed, what is loaded fits
		for _, v := range rt.flows.versions[id] {
			if v.Ordinal == ordinal {
				return v, nil
			}
		}
	}
	value, err := rt.store.Get(versionKey(id, ordinal), nil)
	if err != nil {
		return nil, err
	}
	v, err := flowengine.ParseFlow(fmt.Sprintf("%s.v%d.json", id, ordinal), value, change.schema, nil)
	if err != nil {
		return nil, err
	}
	v.Ordinal = ordinal
	return v, nil
}

// inside tells whether anybody is inside of a version. Who entered a moment ago
// may not be durable yet; such a run is of a version that is loaded, and a
// version stays loaded while it is configured.
func (rt *Runtime) inside(flow string, version uint32) (yes bool, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		err = rt.store.Scan(activePrefix(nil, s, flow, version), nil, func(_, _ []byte) bool { yes = true; return false })
		if yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

// knows is nil for a flow that is or was configured.
func (rt *Runtime) knows(flow string) error {
	if broadcast, is := flowengine.BroadcastOf(flow); is {
		_, err := rt.storedBroadcast(broadcast)
		return err
	}
	rt.flows.mu.Lock()
	defer rt.flows.mu.Unlock()
	if rt.flows.records[flow] == nil {
		return rt.flows.unknownFlow(flow)
	}
	return nil
}

// unknownFlow names what there is instead.
func (g *registry) unknownFlow(id string) error {
	known := slices.Sorted(maps.Keys(g.records))
	if len(known) == 0 {
		return fmt.Errorf("%w: there is no flow %q; none is configured", ErrNotFound, id)
	}
	return fmt.Errorf("%w: there is no flow %q; the flows are: %s", ErrNotFound, id, strings.Join(known, ", "))
}

// StartFlow launches a flow again that was stopped or has finished.
func (rt *Runtime) StartFlow(ctx context.Context, id string) error {
	return rt.changeFlow(ctx, id, func(r *flowRecord) error {
		switch {
		case r.removed:
			return fmt.Errorf("flow %q is no longer configured: put its file back and reload", id)
		case r.state == flowengine.Active:
			return fmt.Errorf("flow %q is active already", id)
		}
		r.state, r.launched = flowengine.Active, rt.now()
		return nil
	})
}

// StopFlow ends a flow: nobody enters any more. People inside leave at once, or
// with drain finish on their own (rule S7).
func (rt *Runtime) StopFlow(ctx context.Context, id string, drain bool) error {
	err := rt.changeFlow(ctx, id, func(r *flowRecord) error {
		if r.state == flowengine.Cancelled || r.state == flowengine.Finished {
			return fmt.Errorf("flow %q is %s already", id, r.state)
		}
		r.state = flowengine.Cancelled
		if drain {
			r.state = flowengine.Finishing
		}
		return nil
	})
	if err != nil || drain {
		return err
	}
	return rt.ejectAll(ctx, id, "stopped")
}

func (rt *Runtime) changeFlow(ctx context.Context, id string, change func(*flowRecord) error) error {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.records[id]
	if r == nil {
		return g.unknownFlow(id)
	}
	r = r.clone()
	if err := change(r); err != nil {
		return err
	}
	next := maps.Clone(g.records)
	next[id] = r
	after := g.change()
	after.records = next
	_, err := rt.install(ctx, after, nil, nil)
	return err
}

// ejectAll takes everybody out of a flow.
func (rt *Runtime) ejectAll(ctx context.Context, flow, reason string) error {
	if err := rt.barrier(ctx); err != nil { // steps that began before the flow was stopped are durable after this
		return err
	}
	const page = 128
	for s := range flowengine.Shard(flowengine.Shards) {
		for {
			var people []flowengine.PersonID
			err := rt.store.Scan(activePrefix(nil, s, flow, 0), nil, func(key, _ []byte) bool {
				if id, ok := activePerson(s, key); ok && !slices.Contains(people, id) {
					people = append(people, id)
				}
				return len(people) < page
			})
			if err != nil {
				return err
			}
			if len(people) == 0 {
				break
			}
			err = rt.do(ctx, rt.owner(s), "eject", func(tx *txn) error {
				for _, id := range people {
					m, err := tx.member(id)
					if err != nil {
						return err
					}
					tx.step(m, &flowengine.Eject{Flow: flow, Reason: reason})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// resumeStops finishes what a restart interrupted.
func (rt *Runtime) resumeStops(ctx context.Context) {
	rt.flows.mu.Lock()
	var stopped []string
	for id, r := range rt.flows.records {
		if r.state == flowengine.Cancelled {
			stopped = append(stopped, id)
		}
	}
	rt.flows.mu.Unlock()
	for _, id := range stopped {
		if err := rt.ejectAll(ctx, id, "stopped"); err != nil && ctx.Err() == nil {
			rt.log.Error("people could not be taken out of a stopped flow", "flow", id, "error", err)
		}
	}
}

// lifecycle ends flows whose time has come (rules S2, S3, S7).
func (rt *Runtime) lifecycle(ctx context.Context) {
	rt.flows.mu.Lock()
	now := rt.now()
	type ending struct {
		id   string
		exit bool
	}
	var ends []ending
	var empty []string
	for id, r := range rt.flows.records {
		v := rt.flows.configured[id]
		switch r.state {
		case flowengine.Active:
			if v == nil {
				continue
			}
			if end := v.Settings.Ends(r.launched); !end.IsZero() && !now.Before(end) {
				ends = append(ends, ending{id, v.Settings.OnEnd == "exit"})
			}
		case flowengine.Finishing:
			if inside, err := rt.inside(id, 0); err == nil && !inside {
				empty = append(empty, id)
			}
		}
	}
	rt.flows.mu.Unlock()
	to := func(id string, s flowengine.State) {
		if err := rt.changeFlow(ctx, id, func(r *flowRecord) error { r.state = s; return nil }); err != nil && ctx.Err() == nil {
			rt.log.Error("a flow's state could not be changed", "flow", id, "state", s.String(), "error", err)
		}
	}
	for _, e := range ends {
		rt.log.Info("a flow has come to its end", "flow", e.id)
		if !e.exit {
			to(e.id, flowengine.Finishing)
			continue
		}
		to(e.id, flowengine.Cancelled)
		if err := rt.ejectAll(ctx, e.id, "flow_ended"); err == nil {
			to(e.id, flowengine.Finished)
		}
	}
	for _, id := range empty {
		to(id, flowengine.Finished)
	}
}
