package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
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
	segments   []*flowengine.PeopleSegment
	tariffs    *tariff.Table
	links      flowengine.Links
	mailing    flowengine.Mailing
	files      fs.FS // of the configuration
	hooks      []Hook
	policy     *flowengine.Policy
	// idle is when an indefinite flow will at the earliest have lain idle for its
	// lifetime (rule S4); only the life cycle uses it.
	idle map[string]time.Time

	broadcasts map[string]*broadcastRecord // those that the engine knows of
	prepared   map[string]bool             // those that can be started
	due        map[string]time.Time        // and of them, those that shall be
	approve    bool                        // every new one needs an approver
}

// change is a registry that shares everything with g but its records.
func (g *registry) change() *registry {
	return &registry{
		records: maps.Clone(g.records), configured: g.configured, schema: g.schema, numbers: g.numbers, segments: g.segments,
		tariffs: g.tariffs, policy: g.policy, links: g.links, mailing: g.mailing, files: g.files, hooks: g.hooks, broadcasts: g.broadcasts, approve: g.approve,
	}
}

// flowRecord is the stored form of a flow's life.
type flowRecord struct {
	id       string
	state    flowengine.State
	launched time.Time // of one that is scheduled: when it will be
	removed  bool      // no longer configured: it drains
	versions []versionRecord
	until    time.Time         // of one that finishes: when those still inside leave (rule S7)
	types    map[string]string // of every element that any version had, by id
	// experiments are the splits for which a winner is looked for, or was chosen.
	experiments []experimentRecord
	goals       []goalRecord // those that it has or had
}

// versionRecord is one published version; its definition is stored apart.
type versionRecord struct {
	ordinal   uint32
	hash      []byte
	published time.Time
	until     time.Time // of one that was stopped: when those still inside leave
}

func (r *flowRecord) newest() *versionRecord {
	if len(r.versions) == 0 {
		return nil
	}
	return &r.versions[len(r.versions)-1]
}

func (r *flowRecord) clone() *flowRecord {
	c := *r
	c.versions, c.goals = slices.Clone(r.versions), slices.Clone(r.goals)
	c.types = maps.Clone(r.types)
	return &c
}

func flowKey(id string) []byte { return append(appendPrefix(nil, metaShard, kindFlow), id...) }

func versionKey(id string, ordinal uint32) []byte {
	b := append(append(appendPrefix(nil, metaShard, kindVersion), id...), 0)
	return binary.BigEndian.AppendUint32(b, ordinal)
}

func (r *flowRecord) encode() []byte {
	b := record.AppendUint(nil, 1, uint64(r.state))
	b = record.AppendTime(b, 2, r.launched)
	b = record.AppendBool(b, 3, r.removed)
	for _, v := range r.versions {
		b = record.AppendNested(b, 4, func(b []byte) []byte {
			b = record.AppendUint(b, 1, uint64(v.ordinal))
			b = record.AppendBytes(b, 2, v.hash)
			b = record.AppendTime(b, 3, v.published)
			return record.AppendTime(b, 4, v.until)
		})
	}
	b = record.AppendTime(b, 5, r.until)
	for _, id := range slices.Sorted(maps.Keys(r.types)) {
		b = record.AppendNested(b, 6, func(b []byte) []byte {
			return record.AppendString(record.AppendString(b, 1, id), 2, r.types[id])
		})
	}
	return appendGoals(r.appendExperiments(b), r.goals)
}

func decodeFlowRecord(id string, b []byte) (*flowRecord, error) {
	r := &flowRecord{id: id, types: map[string]string{}}
	return r, record.Decode(b, "flow "+id, func(f record.Field) error {
		switch f.Num {
		case 1:
			r.state = flowengine.State(f.Uint)
		case 2:
			r.launched = f.Time()
		case 3:
			r.removed = f.Bool()
		case 4:
			v, err := decodeVersionRecord(f.Bytes)
			r.versions = append(r.versions, v)
			return err
		case 5:
			r.until = f.Time()
		case 6:
			var element, typ string
			err := record.Decode(f.Bytes, "element", func(f record.Field) error {
				switch f.Num {
				case 1:
					element = string(f.Bytes)
				case 2:
					typ = string(f.Bytes)
				}
				return nil
			})
			r.types[element] = typ
			return err
		case flowExperiment:
			x, err := decodeExperiment(f.Bytes)
			r.experiments = append(r.experiments, x)
			return err
		case flowGoals:
			return r.decodeGoal(f.Bytes)
		}
		return nil
	})
}

func decodeVersionRecord(b []byte) (v versionRecord, err error) {
	return v, record.Decode(b, "version", func(f record.Field) error {
		switch f.Num {
		case 1:
			v.ordinal = uint32(f.Uint)
		case 2:
			v.hash = bytes.Clone(f.Bytes)
		case 3:
			v.published = f.Time()
		case 4:
			v.until = f.Time()
		}
		return nil
	})
}

func (g *registry) load(store storage.Reader) error {
	g.records = map[string]*flowRecord{}
	g.configured = map[string]*flowengine.Version{}
	g.idle = map[string]time.Time{}
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
	if err := firstError(err, damaged); err != nil {
		return err
	}
	for _, r := range g.records {
		if err := r.recallTypes(store); err != nil {
			return err
		}
	}
	return nil
}

// recallTypes reads the types of elements from the stored definitions, for flows
// that were stored before the types were kept with them.
func (r *flowRecord) recallTypes(store storage.Reader) error {
	if len(r.types) > 0 {
		return nil
	}
	for _, v := range r.versions {
		value, err := store.Get(versionKey(r.id, v.ordinal), nil)
		if err != nil {
			return err
		}
		var definition struct {
			Elements map[string]struct{ Type string }
		}
		if err := json.Unmarshal(value, &definition); err != nil {
			return fmt.Errorf("%w: version %d of flow %q: %w", record.ErrDamaged, v.ordinal, r.id, err)
		}
		for id, e := range definition.Elements {
			r.types[id] = e.Type
		}
	}
	return nil
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
				tx.put(flowKey(id), r.encode(), time.Time{})
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
	g.tariffs, g.policy, g.links, g.segments = change.tariffs, change.policy, change.links, change.segments
	g.mailing, g.files = change.mailing, change.files
	g.broadcasts, g.approve = change.broadcasts, change.approve
	g.links.Secret, g.hooks = rt.linkSecret, change.hooks
	rt.hooks.Store(newHookSet(g.hooks))
	rt.set.Store(set.WithTariffs(g.tariffs).WithPolicy(g.policy).WithLinks(g.links).WithMailing(g.mailing).WithSegments(g.segments).WithBroadcasts(maps.Clone(g.prepared)))
	return warnings, nil
}

// buildFlows makes the flows of a set: the newest version of each, and the older
// ones that people may still be inside of.
func (rt *Runtime) buildFlows(change *registry) ([]*flowengine.Flow, error) {
	var flows []*flowengine.Flow
	change.versions = map[string][]*flowengine.Version{}
	for _, id := range slices.Sorted(maps.Keys(change.records)) {
		r := change.records[id]
		f := &flowengine.Flow{ID: id, State: r.state, Launched: r.launched, Newest: change.configured[id], Winners: r.winners()}
		old, err := rt.olderVersions(change, r)
		if err != nil {
			return nil, err
		}
		f.Versions = old
		if f.Newest != nil {
			f.Versions = append(f.Versions, f.Newest)
		}
		change.versions[id] = f.Versions
		if len(f.Versions) > 0 {
			flows = append(flows, f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(change.broadcasts)) {
		flows = append(flows, change.broadcasts[id].flow())
	}
	return flows, nil
}

// olderVersions gives the versions of a flow besides the one that is configured
// which stay loaded. When the daemon starts these are the ones with people inside.
// Later, nobody comes into one that isn't loaded, and what is loaded stays so until
// unload has seen that it is empty: whoever entered a moment ago may not be durable yet.
func (rt *Runtime) olderVersions(change *registry, r *flowRecord) (old []*flowengine.Version, err error) {
	starting := !rt.published.Load()
	var peopled map[uint32]bool
	if starting || change.schema != rt.flows.schema {
		if peopled, err = rt.peopled(r.id); err != nil {
			return nil, err
		}
	}
	for _, v := range r.versions {
		loaded := rt.flows.loaded(r.id, v.ordinal)
		newest := change.configured[r.id]
		if newest != nil && newest.Ordinal == v.ordinal || !starting && loaded == nil || starting && !peopled[v.ordinal] {
			continue
		}
		if loaded == nil || change.schema != rt.flows.schema { // unless the schema changed, what is loaded fits
			loaded, err = rt.storedVersion(r.id, v.ordinal, change.schema)
			if err != nil && !peopled[v.ordinal] {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("flow %q: version %d, which people are still inside of, does not fit the configuration any more: %w", r.id, v.ordinal, err)
			}
		}
		old = append(old, loaded)
	}
	return old, nil
}

// loaded finds a version that runs, or returns nil.
func (g *registry) loaded(flow string, ordinal uint32) *flowengine.Version {
	for _, v := range g.versions[flow] {
		if v.Ordinal == ordinal {
			return v
		}
	}
	return nil
}

// storedVersion reads a version back from its stored definition.
func (rt *Runtime) storedVersion(id string, ordinal uint32, schema *flowengine.Schema) (*flowengine.Version, error) {
	value, err := rt.store.Get(versionKey(id, ordinal), nil)
	if err != nil {
		return nil, err
	}
	v, err := flowengine.ParseFlow(fmt.Sprintf("%s.v%d.json", id, ordinal), value, schema, nil)
	if err != nil {
		return nil, err
	}
	v.Ordinal = ordinal
	return v, nil
}

// peopled lists the versions of a flow that people are inside of. Who entered a
// moment ago may not be durable yet.
func (rt *Runtime) peopled(flow string) (map[uint32]bool, error) {
	found := map[uint32]bool{}
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := activePrefix(nil, s, flow, 0)
		for version := uint32(0); ; { // each scan finds the next version
			more := false
			err := rt.store.Scan(prefix, binary.BigEndian.AppendUint32(slices.Clone(prefix), version), func(key, _ []byte) bool {
				if version, more = activeVersion(prefix, key); more {
					found[version] = true
				}
				return false
			})
			if err != nil {
				return nil, err
			}
			if version++; !more || version == 0 {
				break
			}
		}
	}
	return found, nil
}

// barrier waits until every step that has begun is durable. Steps that begin
// later run on the set that is installed now.
func (rt *Runtime) barrier(ctx context.Context) error {
	for _, ex := range rt.executors {
		if err := rt.do(ctx, ex, "barrier", func(*txn) error { return nil }); err != nil {
			return err
		}
	}
	return nil
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
