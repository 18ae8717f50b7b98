package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"trunkline/flowengine"
)

// Why those are taken out who did not leave by themselves (rule E8).
const (
	exitStopped        = "stopped"
	exitVersionStopped = "version_stopped"
	exitEnded          = "flow_ended"
)

// StartFlow launches a flow: a draft, or one that was stopped or has finished.
func (rt *Runtime) StartFlow(ctx context.Context, id string) error {
	err := rt.changeFlow(ctx, id, func(r *flowRecord, v *flowengine.Version) error {
		switch {
		case r.removed || v == nil:
			return fmt.Errorf("flow %q is no longer configured: put its file back and reload", id)
		case r.state == flowengine.Active || r.state == flowengine.Scheduled:
			return fmt.Errorf("flow %q is %s already", id, r.state)
		}
		r.launch(&v.Settings, rt.now())
		return nil
	})
	if err != nil {
		return err
	}
	return rt.launchJobs(ctx)
}

// StopFlow ends a flow: nobody enters any more. People inside leave at once, or go
// on for at most the time of drain (rule S7).
func (rt *Runtime) StopFlow(ctx context.Context, id string, drain time.Duration) error {
	if err := checkDrain(drain); err != nil {
		return err
	}
	err := rt.changeFlow(ctx, id, func(r *flowRecord, _ *flowengine.Version) error {
		if r.state == flowengine.Cancelled || r.state == flowengine.Finished {
			return fmt.Errorf("flow %q is %s already", id, r.state)
		}
		r.state = flowengine.Cancelled
		if drain > 0 {
			r.finish(rt.now().Add(drain))
		}
		return nil
	})
	if err != nil || drain > 0 {
		return err
	}
	if err := rt.ejectAll(ctx, id, 0, exitStopped); err != nil {
		return err
	}
	return rt.withdrawAll(ctx, id)
}

// StopVersion ends an older version of a flow. People inside of it leave at once,
// or go on for at most the time of drain. Nobody enters it anyway.
func (rt *Runtime) StopVersion(ctx context.Context, id string, version uint32, drain time.Duration) error {
	if err := checkDrain(drain); err != nil {
		return err
	}
	err := rt.changeFlow(ctx, id, func(r *flowRecord, v *flowengine.Version) error {
		i := slices.IndexFunc(r.versions, func(x versionRecord) bool { return x.ordinal == version })
		if i < 0 {
			return fmt.Errorf("%w: flow %q has no version %d; the newest is %d", ErrNotFound, id, version, r.newest().ordinal)
		}
		if v != nil && v.Ordinal == version {
			return fmt.Errorf("version %d of flow %q is the newest, which takes people in: stop the whole flow", version, id)
		}
		r.versions[i].until = rt.now().Add(drain)
		return nil
	})
	if err != nil || drain > 0 {
		return err
	}
	return rt.ejectAll(ctx, id, version, exitVersionStopped)
}

func checkDrain(drain time.Duration) error {
	if drain < 0 || drain > flowengine.MaxDrain {
		return fmt.Errorf("people may go on for at most %d days, not for %s", int(flowengine.MaxDrain.Hours()/24), drain)
	}
	return nil
}

// changeFlow changes the record of a flow; v is its newest version, nil when it is
// not configured.
func (rt *Runtime) changeFlow(ctx context.Context, id string, do func(r *flowRecord, v *flowengine.Version) error) error {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.records[id]
	if r == nil {
		return g.unknownFlow(id)
	}
	r = r.clone()
	if err := do(r, g.configured[id]); err != nil {
		return err
	}
	change := g.change()
	change.records[id] = r
	_, err := rt.install(ctx, change, nil, nil)
	return err
}

// ejectAll takes everybody out of a flow, or of one version of it.
func (rt *Runtime) ejectAll(ctx context.Context, flow string, version uint32, reason string) error {
	if err := rt.barrier(ctx); err != nil {
		return err
	}
	for s := range flowengine.Shard(flowengine.Shards) {
		prefix := activePrefix(nil, s, flow, version)
		for from := prefix; from != nil; {
			people, next, err := rt.activePage(s, prefix, from, nil)
			if err != nil {
				return err
			}
			from = next
			if len(people) == 0 {
				continue
			}
			err = rt.doPatiently(ctx, rt.owner(s), "eject", func(tx *txn) error {
				for _, id := range people {
					m, err := tx.member(id)
					if err != nil {
						return err
					}
					tx.step(m, &flowengine.Eject{Flow: flow, Version: version, Reason: reason})
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

// doPatiently is do for work that can wait while the queue is full.
func (rt *Runtime) doPatiently(ctx context.Context, ex *executor, name string, run func(*txn) error) error {
	for {
		err := rt.do(ctx, ex, name, run)
		if !errors.Is(err, ErrOverload) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resumeStops finishes what a restart interrupted.
func (rt *Runtime) resumeStops(ctx context.Context) {
	rt.flows.mu.Lock()
	var stopped []string
	for _, id := range slices.Sorted(maps.Keys(rt.flows.records)) {
		if rt.flows.records[id].state == flowengine.Cancelled {
			stopped = append(stopped, id)
		}
	}
	rt.flows.mu.Unlock()
	for _, id := range stopped {
		if err := rt.ejectAll(ctx, id, 0, exitStopped); err != nil && ctx.Err() == nil {
			rt.log.Error("people could not be taken out of a stopped flow", "flow", id, "error", err)
		}
	}
	if len(stopped) == 0 {
		return
	}
	if err := rt.withdrawAll(ctx, stopped...); err != nil && ctx.Err() == nil {
		rt.log.Error("messages of stopped flows could not be withdrawn", "error", err)
	}
}

// lifecycle begins and ends flows whose time has come, and lets go of versions
// that nobody is inside of any more.
func (rt *Runtime) lifecycle(ctx context.Context) {
	if !rt.published.Load() { // the flows are not known yet
		return
	}
	rt.flows.mu.Lock()
	ids := slices.Sorted(maps.Keys(rt.flows.records))
	rt.flows.mu.Unlock()
	for _, id := range ids {
		if err := rt.attend(ctx, id); err != nil && ctx.Err() == nil {
			rt.log.Error("a flow's life could not go on; it is tried again", "flow", id, "error", err)
		}
	}
	if err := rt.unload(ctx); err != nil && ctx.Err() == nil {
		rt.log.Error("versions that nobody is inside of could not be unloaded", "error", err)
	}
}

// attend does what is due in the life of one flow (rules S1–S5, S7).
func (rt *Runtime) attend(ctx context.Context, id string) error {
	rt.flows.mu.Lock()
	r, v := rt.flows.records[id], rt.flows.configured[id] // records are never changed in place
	rt.flows.mu.Unlock()
	now := rt.now()
	switch {
	case r.state == flowengine.Finishing:
		return rt.finishing(ctx, r, now)
	case v == nil:
		return nil
	case r.state == flowengine.Scheduled && !now.Before(r.launched):
		if err := rt.turn(ctx, id, flowengine.Scheduled, func(r *flowRecord) { r.state = flowengine.Active }); err != nil {
			return err
		}
		return rt.launchJobs(ctx)
	case r.state == flowengine.Active || r.state == flowengine.Paused:
		over, err := rt.over(ctx, r, v, now)
		if err != nil {
			return err
		}
		if over {
			return rt.end(ctx, r, v, now)
		}
	}
	return rt.endVersions(ctx, r, now)
}

// turn changes the record of a flow that is still in that state.
func (rt *Runtime) turn(ctx context.Context, id string, in flowengine.State, do func(r *flowRecord)) error {
	return rt.changeFlow(ctx, id, func(r *flowRecord, _ *flowengine.Version) error {
		if r.state == in {
			do(r)
		}
		return nil
	})
}

// over says whether a flow has come to its end by itself.
func (rt *Runtime) over(ctx context.Context, r *flowRecord, v *flowengine.Version, now time.Time) (bool, error) {
	if end := v.Settings.Ends(r.launched); !end.IsZero() && !now.Before(end) { // S2, S3
		return true, nil
	}
	if v.Settings.Indefinite {
		return rt.idle(r, now)
	}
	return rt.spent(ctx, r, v)
}

// idle says whether no element of an indefinite flow has run for its lifetime
// (rule S4). When it looks into the counters it notes when to look again.
func (rt *Runtime) idle(r *flowRecord, now time.Time) (bool, error) {
	if now.Before(rt.flows.idle[r.id]) {
		return false, nil
	}
	last, err := rt.lastUse(r.id, now.Add(-flowengine.Lifetime))
	if err != nil {
		return false, err
	}
	if last.Before(r.launched) {
		last = r.launched
	}
	rt.flows.idle[r.id] = last.Add(flowengine.Lifetime)
	return !now.Before(rt.flows.idle[r.id]), nil
}

// lastUse is when an element of a flow ran last, for anybody, in any version; zero
// when that was on a day before since.
func (rt *Runtime) lastUse(flow string, since time.Time) (last time.Time, err error) {
	for s := range flowengine.Shard(flowengine.Shards) {
		from := tallyKey(nil, s, flow, dayOf(since))
		var damaged error
		err := rt.store.Scan(from[:len(from)-4], from, func(key, value []byte) bool {
			var t *Tally
			if t, damaged = decodeTally(value); damaged != nil {
				return false
			}
			used := t.Used
			if used.IsZero() && len(t.Elements) > 0 { // counted before the time was kept
				used = time.Unix(int64(binary.BigEndian.Uint32(key[len(key)-4:])+1)*86400, 0).UTC()
			}
			if used.After(last) {
				last = used
			}
			return true
		})
		if err = firstError(err, damaged); err != nil {
			return last, err
		}
	}
	return last, nil
}

// spent says whether everybody has left again whom a flow was for: those of
// audiences that are never updated (rule S5).
func (rt *Runtime) spent(ctx context.Context, r *flowRecord, v *flowengine.Version) (bool, error) {
	if !v.OnlySnapshots() || r.state != flowengine.Active {
		return false, nil
	}
	for _, e := range v.Entries {
		j := audienceJob(r.id, e.ID, r.launched)
		last, err := rt.store.Get(lastJobKey(j.id), nil)
		if err != nil || string(last) != j.id { // not begun yet
			return false, ignoreNotFound(err)
		}
		if _, err = rt.store.Get(jobKey(j.id), nil); !isNotFound(err) { // not done yet
			return false, err
		}
	}
	return rt.empty(ctx, r.id)
}

func ignoreNotFound(err error) error {
	if isNotFound(err) {
		return nil
	}
	return err
}

// end lets a flow finish: those inside go on for a while, or leave at once (rule S7).
func (rt *Runtime) end(ctx context.Context, r *flowRecord, v *flowengine.Version, now time.Time) error {
	rt.log.Info("a flow has come to its end", "flow", r.id)
	until := now.Add(flowengine.MaxDrain)
	if v.Settings.OnEnd == flowengine.OnEndExit {
		until = now
	}
	if err := rt.turn(ctx, r.id, r.state, func(r *flowRecord) { r.finish(until) }); err != nil {
		return err
	}
	return rt.attend(ctx, r.id)
}

// finishing takes out who is inside beyond the time to drain, and ends a flow that
// nobody is inside of.
func (rt *Runtime) finishing(ctx context.Context, r *flowRecord, now time.Time) error {
	empty, err := rt.empty(ctx, r.id)
	switch {
	case err != nil:
		return err
	case !empty && r.until.IsZero(): // it began to finish before there was a limit
		return rt.turn(ctx, r.id, flowengine.Finishing, func(r *flowRecord) { r.until = now.Add(flowengine.MaxDrain) })
	case !empty && now.Before(r.until):
		return rt.endVersions(ctx, r, now)
	case !empty:
		if err := errors.Join(rt.ejectAll(ctx, r.id, 0, exitEnded), rt.withdrawAll(ctx, r.id)); err != nil {
			return err
		}
	}
	return rt.turn(ctx, r.id, flowengine.Finishing, func(r *flowRecord) { r.state = flowengine.Finished })
}

// endVersions takes out who is inside of a stopped version beyond the time to drain.
func (rt *Runtime) endVersions(ctx context.Context, r *flowRecord, now time.Time) error {
	for _, v := range r.versions {
		if v.until.IsZero() || now.Before(v.until) || !rt.isLoaded(r.id, v.ordinal) {
			continue
		}
		if err := rt.ejectAll(ctx, r.id, v.ordinal, exitVersionStopped); err != nil {
			return err
		}
	}
	return nil
}

func (rt *Runtime) isLoaded(flow string, ordinal uint32) bool {
	f := rt.set.Load().Flow(flow)
	return f != nil && f.Version(ordinal) != nil
}

// empty says whether nobody is inside of a flow that takes nobody in.
func (rt *Runtime) empty(ctx context.Context, flow string) (bool, error) {
	people, err := rt.peopled(flow)
	if err != nil || len(people) > 0 {
		return false, err
	}
	if err := rt.barrier(ctx); err != nil { // who entered a moment ago may not be durable yet
		return false, err
	}
	people, err = rt.peopled(flow)
	return len(people) == 0, err
}

// unload lets go of older versions that nobody is inside of. Nobody enters them
// any more, so once what had begun is durable that is final.
func (rt *Runtime) unload(ctx context.Context) error {
	g := &rt.flows
	g.mu.Lock()
	defer g.mu.Unlock()
	left := func() (map[string][]*flowengine.Version, error) {
		found := map[string][]*flowengine.Version{}
		for id, versions := range g.versions {
			newest := g.configured[id]
			if len(versions) == 0 || len(versions) == 1 && versions[0] == newest {
				continue
			}
			people, err := rt.peopled(id)
			if err != nil {
				return nil, err
			}
			keep := slices.DeleteFunc(slices.Clone(versions), func(v *flowengine.Version) bool { return v != newest && !people[v.Ordinal] })
			if len(keep) < len(versions) {
				found[id] = keep
			}
		}
		return found, nil
	}
	if found, err := left(); err != nil || len(found) == 0 {
		return err
	}
	if err := rt.barrier(ctx); err != nil {
		return err
	}
	found, err := left()
	if err != nil || len(found) == 0 {
		return err
	}
	maps.Copy(g.versions, found)
	_, err = rt.install(ctx, g.change(), nil, nil)
	return err
}
