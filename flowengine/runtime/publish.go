package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"trunkline/configs/strict"
	"trunkline/flowengine"
	"trunkline/flowengine/tariff"
)

// Publication is a configuration: what shall run.
type Publication struct {
	Schema  *flowengine.Schema
	Numbers []*flowengine.Number
	Flows   []*flowengine.Version // Ordinal is set by Publish
	// Segments are those that the schema names.
	Segments []*flowengine.PeopleSegment
	Tariffs  *tariff.Table      // nil: the cost of everything is unknown
	Policy   *flowengine.Policy // nil: nothing is capped, no hour is quiet, nobody is held out
	Links    flowengine.Links   // Secret is set by Publish
	Mailing  flowengine.Mailing // as whom mail is sent
	// Files is the folder of the configuration, with the texts of mails; nil: none is read.
	Files fs.FS
	Hooks []Hook // who is told of events
	// ApproveBroadcasts: each needs somebody to agree who has not made it.
	ApproveBroadcasts bool
	// RejectConflicts makes contacts of several persons an error, unless a request
	// says otherwise; else the persons are merged (rule A2).
	RejectConflicts bool
}

// Published tells what a publication changed.
type Published struct {
	Changed  []string // flows with a new version, as "id v3"
	Warnings []string
}

// Publish makes a configuration run, all or nothing. A flow whose definition
// changed gets a new version, which new entries use; people inside stay with
// theirs, unless the new one says `on_publish: migrate`. A flow that is no longer
// configured takes nobody in and drains.
func (rt *Runtime) Publish(ctx context.Context, p Publication) (*Published, error) {
	out, err := rt.publish(ctx, p)
	if err != nil {
		return nil, err
	}
	rt.rejectConflicts.Store(p.RejectConflicts)
	if !rt.published.Load() {
		for _, ex := range rt.executors {
			if err := rt.do(ctx, ex, "catch_up", (*txn).catchUp); err != nil {
				return nil, fmt.Errorf("reading what waits for its turn: %w", err)
			}
			if err := rt.endLostCalls(ctx, ex); err != nil {
				return nil, fmt.Errorf("ending the calls of the process before: %w", err)
			}
		}
		rt.published.Store(true)
		rt.wake()
		rt.closeLostCalls()
		rt.wakeJobs() // those that the last end cut off
	}
	return out, errors.Join(rt.indexJob(ctx), rt.segmentJobs(ctx), rt.launchJobs(ctx), rt.goalJobs(ctx), rt.migrateJobs(ctx))
}

func (rt *Runtime) publish(ctx context.Context, p Publication) (*Published, error) {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	change := g.change()
	change.configured, change.schema, change.numbers = map[string]*flowengine.Version{}, p.Schema, p.Numbers
	change.segments, change.tariffs, change.policy, change.links, change.hooks = p.Segments, p.Tariffs, p.Policy, p.Links, p.Hooks
	pub := &publishing{now: rt.now(), before: g, change: change, fresh: map[string]*flowengine.Version{}}
	for _, v := range p.Flows {
		pub.take(v)
	}
	pub.faults = append(pub.faults, flowengine.CheckTransfers(p.Flows)...)
	if len(pub.faults) > 0 {
		return nil, pub.faults
	}
	pub.removeOthers()
	change.mailing, change.files = p.Mailing, p.Files
	change.approve = p.ApproveBroadcasts
	var err error
	if change.broadcasts, err = g.refit(p.Schema); err != nil {
		return nil, err
	}
	warnings, err := rt.install(ctx, change, pub.fresh, nil)
	if err != nil {
		return nil, err
	}
	return &Published{Changed: pub.changed, Warnings: warnings}, nil
}

// publishing is a publication on its way.
type publishing struct {
	now     time.Time
	before  *registry
	change  *registry
	fresh   map[string]*flowengine.Version
	changed []string
	faults  strict.Errors
}

// take takes a flow of the publication up.
func (p *publishing) take(v *flowengine.Version) {
	r := &flowRecord{id: v.Flow, types: map[string]string{}}
	if old := p.change.records[v.Flow]; old != nil {
		r = old.clone()
	}
	first := len(r.versions) == 0
	if n := r.newest(); n != nil && bytes.Equal(n.hash, v.Hash[:]) {
		v.Ordinal = n.ordinal
	} else {
		p.addVersion(r, v)
	}
	switch {
	case (first || r.state == flowengine.Draft) && v.Settings.Launch == flowengine.LaunchManual:
		r.state = flowengine.Draft
	case first, r.state == flowengine.Draft, r.state == flowengine.Scheduled:
		r.launch(&v.Settings, p.now)
	case r.removed && (r.state == flowengine.Finishing || r.state == flowengine.Finished):
		p.comeBack(r, v)
	}
	if revised := r.revise(v.Goals); revised != nil {
		r.goals = revised
	}
	r.removed = false
	p.change.records[v.Flow], p.change.configured[v.Flow] = r, v
}

// addVersion gives the flow a new version, or what is wrong with that. A draft has
// one version only: nobody has been in it.
func (p *publishing) addVersion(r *flowRecord, v *flowengine.Version) {
	n := r.newest()
	if r.state == flowengine.Draft {
		r.versions, r.types, n = nil, map[string]string{}, nil
	}
	p.faults = append(p.faults, v.Retyped(r.types)...)
	if running := p.before.configured[v.Flow]; running != nil && (running.TakesCalls() || v.TakesCalls()) && runs(r.state) { // S6
		p.faults = append(p.faults, strict.Error{
			File: v.File, Line: 1, Column: 1, Text: v.Flow,
			Message: fmt.Sprintf("flow %q takes calls and is %s: it can't get a new version now", v.Flow, r.state),
			Hint:    "trunkline flow stop " + v.Flow + ", then reload and start it",
		})
	}
	v.Ordinal = 1
	if n != nil {
		v.Ordinal = n.ordinal + 1
	}
	r.versions = append(r.versions, versionRecord{ordinal: v.Ordinal, hash: bytes.Clone(v.Hash[:]), published: p.now})
	for _, node := range v.Nodes() {
		r.types[node.ID] = node.Type
	}
	p.fresh[v.Flow] = v
	p.changed = append(p.changed, fmt.Sprintf("%s v%d", v.Flow, v.Ordinal))
}

// runs says whether a flow in that state is launched and has not come to its end.
func runs(s flowengine.State) bool {
	return s == flowengine.Active || s == flowengine.Scheduled || s == flowengine.Paused
}

// comeBack lets a flow go on whose file is there again. One that has finished
// meanwhile is launched anew.
func (p *publishing) comeBack(r *flowRecord, v *flowengine.Version) {
	if r.state == flowengine.Finished {
		r.launch(&v.Settings, p.now)
	} else {
		r.state, r.until = flowengine.Active, time.Time{}
	}
	if p.fresh[v.Flow] == nil {
		p.changed = append(p.changed, v.Flow+" is back")
	}
}

// removeOthers lets the flows drain that are no longer configured.
func (p *publishing) removeOthers() {
	for id, r := range p.change.records {
		if p.change.configured[id] != nil || r.removed {
			continue
		}
		r = r.clone()
		r.removed = true
		if runs(r.state) {
			r.finish(p.now.Add(flowengine.MaxDrain))
		}
		p.change.records[id] = r
		p.changed = append(p.changed, id+" removed")
	}
}

// launch makes a flow active, or lets it wait for its start (rule S1).
func (r *flowRecord) launch(s *flowengine.Settings, now time.Time) {
	r.state, r.launched, r.until = flowengine.Active, now, time.Time{}
	if start := s.Start(); start.After(now) {
		r.state, r.launched = flowengine.Scheduled, start
	}
}

// finish lets nobody into a flow any more, and those inside go on until then.
func (r *flowRecord) finish(until time.Time) { r.state, r.until = flowengine.Finishing, until }

// wake makes every executor look at what is due.
func (rt *Runtime) wake() {
	for _, ex := range rt.executors {
		ex.submit(task{name: "wake", run: func(*txn) error { return nil }})
	}
}
