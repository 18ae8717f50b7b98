package runtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"trunkline/flowengine"
)

// tendEvery is how often broadcasts are looked after, while there are any.
const tendEvery = time.Second

// tendBroadcasts starts broadcasts when their time has come, and notes when they
// are over, until ctx ends.
func (rt *Runtime) tendBroadcasts(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-rt.asked:
		case <-ctx.Done():
			return
		}
		if rt.fires() {
			rt.tend(ctx)
		}
	}
}

// tend does once what is to be done.
func (rt *Runtime) tend(ctx context.Context) {
	now := rt.now()
	g := &rt.flows
	g.mu.Lock()
	var start []string
	for id, at := range g.due {
		if !now.Before(at) {
			start = append(start, id)
		}
	}
	loaded := slices.Collect(maps.Values(g.broadcasts))
	g.mu.Unlock()
	slices.SortFunc(loaded, func(a, b *broadcastRecord) int { return strings.Compare(a.id, b.id) })
	start = append(start, rt.askedFor()...)
	slices.Sort(start)
	for _, id := range slices.Compact(start) {
		if _, err := rt.StartBroadcast(ctx, id); err != nil {
			rt.startFailed(ctx, id, err)
		}
	}
	for _, r := range loaded {
		if err := rt.conclude(ctx, r); err != nil && ctx.Err() == nil {
			rt.log.Error("a broadcast could not be concluded; it is tried again", "broadcast", r.id, "error", err)
		}
	}
}

// startFailed forgets an element's wish that can't be granted; what only failed
// for now is tried again.
func (rt *Runtime) startFailed(ctx context.Context, id string, err error) {
	if ctx.Err() != nil {
		return
	}
	rt.log.Warn("a broadcast could not be started", "broadcast", id, "error", err)
	if !errors.Is(err, ErrBroadcast) && !errors.Is(err, ErrNotFound) {
		rt.askFor(id)
		return
	}
	rt.flows.mu.Lock()
	delete(rt.flows.due, id)
	rt.flows.mu.Unlock()
	_ = rt.do(ctx, rt.owner(metaShard), "broadcast", func(tx *txn) error { tx.delete(askedKey(id)); return nil })
}

// conclude ends a broadcast in which nothing is left to do.
func (rt *Runtime) conclude(ctx context.Context, r *broadcastRecord) error {
	switch r.state {
	case BroadcastRunning:
		if enters, err := rt.broadcastEnters(r); enters || err != nil {
			return err
		}
	case BroadcastCancelled:
		if _, err := rt.store.Get(jobKey(r.job(jobWithdraw, "withdraw").id), nil); !isNotFound(err) {
			return err
		}
	default:
		return nil
	}
	flow := flowengine.BroadcastFlow(r.id)
	if empty, err := rt.empty(ctx, flow); !empty || err != nil {
		return err
	}
	if r.named > 0 { // only now: it looks at the whole outbox
		if coming, err := rt.onTheWay(flow); coming || err != nil {
			return err
		}
		if empty, err := rt.empty(ctx, flow); !empty || err != nil { // who has just arrived
			return err
		}
	}
	if err := rt.forgetPace(ctx, flow); err != nil { // before the state is final: this is tried again
		return err
	}
	_, err := rt.changeBroadcast(ctx, r.id, func(now *broadcastRecord) error {
		if now.state != r.state { // somebody was faster
			return nil
		}
		if now.closing = false; now.state == BroadcastRunning {
			now.state, now.ended = BroadcastFinished, rt.now()
			rt.log.Info("a broadcast is finished", "broadcast", r.id)
		}
		return nil
	})
	return err
}

// askFor notes that an element has asked for the start of a broadcast.
func (rt *Runtime) askFor(id string) {
	rt.wishes.Lock()
	if rt.wishes.ids == nil {
		rt.wishes.ids = map[string]bool{}
	}
	rt.wishes.ids[id] = true
	rt.wishes.Unlock()
	select {
	case rt.asked <- struct{}{}:
	default:
	}
}

func (rt *Runtime) askedFor() []string {
	rt.wishes.Lock()
	defer rt.wishes.Unlock()
	ids := slices.Collect(maps.Keys(rt.wishes.ids))
	clear(rt.wishes.ids)
	return ids
}

// receiveAsk notes, durably, that a broadcast shall be started.
func (tx *txn) receiveAsk(body []byte) error {
	id := string(body)
	tx.put(askedKey(id), nil, time.Time{})
	rt := tx.ex.rt
	tx.batch.settled = append(tx.batch.settled, func() { rt.askFor(id) })
	return nil
}
