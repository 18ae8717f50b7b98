package simulate

import (
	"context"
	"encoding/json"
	"errors"

	"trunkline/flowengine/runtime"
)

// broadcastFlow is what the ids of flows begin with that broadcasts are.
const broadcastFlow = "broadcast/"

// prepare makes one of the broadcasts, to persons, tags, conditions or all.
func (w *world) prepare() {
	id := pick(w.rng, prepared)
	g := w.generator()
	g.flow = &flowPlan{id: id}
	message, recipients := options{"type": "send_sms"}, options{}
	g.message(message)
	switch w.rng.IntN(4) {
	case 0:
		recipients["tags"] = pick(w.rng, tags)
	case 1:
		recipients["condition"] = g.condition()
	case 2:
		recipients["all"] = true
	default:
		persons := make([]string, 1+w.rng.IntN(6))
		for i := range persons {
			persons[i] = w.phone()
		}
		recipients["persons"] = persons
	}
	file := options{"broadcast": id, "recipients": recipients, "message": message}
	if w.one(3) {
		file["exclude_tag"] = pick(w.rng, tags)
	}
	text, err := json.Marshal(file)
	if err != nil {
		w.wrong("%v", err)
		return
	}
	b, err := w.rt.ParseBroadcast(id+".json", text)
	if err != nil {
		w.wrong("the simulation wrote a broadcast that is wrong: %v\n%s", err, text)
		return
	}
	w.say("broadcast %s is made for %v", id, recipients)
	w.broadcastRequest("make", func(ctx context.Context) (runtime.BroadcastStatus, error) { return w.rt.CreateBroadcast(ctx, b, "ana") })
}

// broadcastAction does something to a broadcast, which refuses what it can't do.
func broadcastAction(name string, do func(rt *runtime.Runtime, ctx context.Context, id string) (runtime.BroadcastStatus, error)) func(*world) {
	return func(w *world) {
		id := pick(w.rng, prepared)
		w.say("%s broadcast %s", name, id)
		w.broadcastRequest(name, func(ctx context.Context) (runtime.BroadcastStatus, error) { return do(w.rt, ctx, id) })
	}
}

func (w *world) broadcastRequest(what string, do func(ctx context.Context) (runtime.BroadcastStatus, error)) {
	err, answered := w.request(func(ctx context.Context) error { _, err := do(ctx); return err })
	if answered && err != nil && !errors.Is(err, runtime.ErrBroadcast) && !errors.Is(err, runtime.ErrNotFound) && !errors.Is(err, runtime.ErrOverload) {
		w.wrong("to %s a broadcast failed: %v", what, err)
	}
}

// auditBroadcasts looks at broadcasts when all has come to its end: nobody is inside
// of one that is over.
func (w *world) auditBroadcasts() {
	all, err := w.rt.Broadcasts("", len(prepared))
	if err != nil {
		w.wrong("the broadcasts can't be read: %v", err)
		return
	}
	for i := range all {
		s := &all[i]
		if over := s.State == runtime.BroadcastFinished || s.State == runtime.BroadcastCancelled; over && s.Inside != 0 {
			w.wrong("broadcast %s is %s, and %d are inside", s.ID, s.State, s.Inside)
		}
	}
}
