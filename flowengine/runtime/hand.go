package runtime

import (
	"context"
	"time"
)

// Hand drives a runtime step by step in the caller's goroutine, in place of
// [Runtime.Run]: a simulation chooses the order of everything, ends it between
// any two steps, and repeats it. The steps are those that Run consists of. The
// runtime needs [Options].Await. A Hand must not be used concurrently.
type Hand struct{ rt *Runtime }

// Hand gives the hand of a runtime that is not run.
func (rt *Runtime) Hand() Hand { return Hand{rt} }

// Executors is the number of executors; each has a number below it.
func (h Hand) Executors() int { return len(h.rt.executors) }

// Collect lets an executor compute what waits for it into its current batch.
func (h Hand) Collect(executor int) {
	ex := h.rt.executors[executor]
	if ex.failed != nil {
		return
	}
	if err := ex.collect(); err != nil {
		ex.fail(err)
	}
}

// Commit closes an executor's current batch and hands it to the committer,
// unless that has one or there is nothing in it.
func (h Hand) Commit(executor int) { h.rt.executors[executor].commit() }

// Apply makes the batch durable that the committer has, if any.
func (h Hand) Apply(ctx context.Context, executor int) bool {
	ex := h.rt.executors[executor]
	select {
	case b := <-ex.commits:
		ex.sync(ctx, b)
		return true
	default:
		return false
	}
}

// Release answers for the batch that is durable, if any, and lets its effects out.
func (h Hand) Release(executor int) {
	ex := h.rt.executors[executor]
	select {
	case b := <-ex.committed:
		ex.release(b)
	default:
	}
}

// Idle says that no executor has anything to do now. What is with senders does
// not count.
func (h Hand) Idle() bool {
	now := h.rt.now().UnixMilli()
	for _, ex := range h.rt.executors {
		if len(ex.queue) > 0 || len(ex.jobs) > 0 || len(ex.results) > 0 || len(ex.current.tasks) > 0 || ex.inflight != nil {
			return false
		}
		if h.rt.fires() && (ex.timers.next() <= now || ex.outbox.next() <= now && ex.sending < h.rt.options.MaxSending) {
			return false
		}
	}
	return true
}

// Begin does what Run begins with, once the flows are published.
func (h Hand) Begin(ctx context.Context) { h.rt.resumeStops(ctx) }

// KeepHouse does what is due every minute.
func (h Hand) KeepHouse(ctx context.Context) {
	h.rt.keepHouse(ctx)
	h.rt.workOffJobs(ctx)
}

// Next is when the runtime has to be looked at again though nothing comes.
func (h Hand) Next() time.Time {
	next := int64(0)
	for i, ex := range h.rt.executors {
		if due := min(ex.timers.next(), ex.outbox.next()); i == 0 || due < next {
			next = due
		}
	}
	return time.UnixMilli(next).UTC()
}
