package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/storage/memory"
)

// S1: a paused flow takes nobody in, holds its timers and hears no answers, also
// over a restart; when it goes on, so do they.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := start(t, store, Options{}, shoeSize)
		ctx := context.Background()
		w.must(w.inbound(w.arrival("385911", "start")))
		synctest.Wait()
		w.must(w.rt.PauseFlow(ctx, "shoe-size"))
		if err := w.rt.PauseFlow(ctx, "shoe-size"); err == nil {
			t.Error("paused twice")
		}
		w.must(w.stop())
		w = start(t, store, Options{}, shoeSize)
		w.must(w.inbound(w.arrival("385912", "start")))
		w.must(w.inbound(w.arrival("385911", "42")))
		time.Sleep(3 * time.Hour) // the wait has timed out meanwhile
		expect(t, "texts while paused", len(w.texts()), 0)
		w.must(w.rt.ResumeFlow(ctx, "shoe-size"))
		time.Sleep(2 * time.Minute)
		if got := w.texts(); len(got) != 1 || got[0] != "Too late" {
			t.Errorf("after going on: %q", got)
		}
		w.must(w.inbound(w.arrival("385912", "start")))
		synctest.Wait()
		expect(t, "texts", len(w.texts()), 2)
		w.recount()
	})
}
