package runtime

import (
	"context"
	"fmt"

	"trunkline/flowengine"
)

// PauseFlow lets nobody into a flow, holds its timers, and lets its waits hear
// nothing, until ResumeFlow (rule S1).
func (rt *Runtime) PauseFlow(ctx context.Context, id string) error {
	return rt.changeFlow(ctx, id, func(r *flowRecord, _ *flowengine.Version) error {
		if r.state != flowengine.Active {
			return fmt.Errorf("flow %q is %s; only an active flow can be paused", id, r.state)
		}
		r.state = flowengine.Paused
		return nil
	})
}

// ResumeFlow lets a paused flow go on. It keeps the time of its launch.
func (rt *Runtime) ResumeFlow(ctx context.Context, id string) error {
	return rt.changeFlow(ctx, id, func(r *flowRecord, _ *flowengine.Version) error {
		if r.state != flowengine.Paused {
			return fmt.Errorf("flow %q is %s, not paused", id, r.state)
		}
		r.state = flowengine.Active
		return nil
	})
}
