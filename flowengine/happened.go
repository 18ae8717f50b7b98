package flowengine

// happened lets a People event take effect: waits for it go on, entry points
// that it completes let the person in. The event itself is kept.
func (st *step) happened(e *Happened) {
	st.result.Happened = append(st.result.Happened, *e)
	st.log(Event{Kind: Observed, Detail: e.Name})
	if len(st.set.segmentWatchers.byKey[eventKey(e.Name)]) > 0 {
		st.happens = append(st.happens, eventKey(e.Name))
	}
	st.scoreGoals(e)
	st.wakeForEvent(e)
	for _, ref := range st.set.events[e.Name] {
		st.tryEvent(ref, e)
	}
}

// tryEvent lets the person in when the event completes what the entry point
// waits for. An event from before the flow's launch never does (rule E12).
func (st *step) tryEvent(ref entryRef, e *Happened) {
	if !ref.flow.takes() || e.At.Before(ref.flow.Launched) || e.At.Before(ref.version.Settings.start) {
		return
	}
	trigger := ref.entry.Trigger.(*PeopleEvent)
	probe := Run{Flow: ref.flow.ID, Version: ref.version.Ordinal, Event: e}
	m := st.passages.Membership(ref.flow.ID)
	done := trigger.completes(st.passage(&probe, ref.version), m, ref.entry.ID, e)
	st.result.PassagesChanged = true
	if !done {
		return
	}
	st.offerEntry(ref, &Run{Event: e})
}

// offerEntry lets the person in through an entry point, or says why not. What
// the run shall know from the beginning is in with. It returns the reason of a
// refusal, or "".
func (st *step) offerEntry(ref entryRef, with *Run) (refused string) {
	if reason := st.refuses(ref, with); reason != "" {
		st.log(Event{Kind: Refused, Flow: ref.flow.ID, Version: ref.version.Ordinal, Detail: reason})
		if reason == RefusedControlGroup {
			st.anchorHeldOut(ref)
		}
		return reason
	}
	if ref.entry.Interrupts { // R5
		for i := len(st.passages.Runs) - 1; i >= 0; i-- {
			if run := &st.passages.Runs[i]; run.Flow != ref.flow.ID { // of this flow, allow_simultaneous has spoken
				st.exit(run, exitInterrupted)
			}
		}
	}
	st.enter(ref, with)
	return ""
}

// wakeForEvent lets runs go on that wait for the event.
func (st *step) wakeForEvent(e *Happened) {
	// The list of runs changes as they go on: each is found again by its key.
	for _, key := range st.runKeys() {
		run := st.passages.Run(key.Flow, key.Number)
		if run == nil || run.Sending != "" || st.paused(run.Flow) {
			continue
		}
		v := st.version(run)
		if v == nil {
			continue
		}
		node := v.Node(run.Element)
		if node == nil {
			continue
		}
		if w, ok := node.Element.(eventWaiter); ok && !e.At.Before(run.Since) {
			probe := *run
			probe.Event = e
			if w.wantsEvent(st.passage(&probe, v), e) {
				run.Event = e
				st.resume(run, e)
			}
		}
	}
}

// eventWaiter is an Element that waits for People events. wantsEvent looks at
// one that happened since the wait began; x sees it.
type eventWaiter interface {
	Waiting
	wantsEvent(x *Passage, e *Happened) bool
}

func (st *step) runKeys() []RunKey {
	keys := make([]RunKey, len(st.passages.Runs))
	for i := range st.passages.Runs {
		r := &st.passages.Runs[i]
		keys[i] = RunKey{r.Flow, r.Version, r.Number}
	}
	return keys
}

func (st *step) paused(flow string) bool {
	f := st.set.Flow(flow)
	return f == nil || f.State == Paused
}

// start lets the person in through an entry point that the cause names.
func (st *step) start(c *Start) {
	st.result.Outcome, st.result.Flow = OutcomeRefused, c.Flow
	f := st.set.Flow(c.Flow)
	if f == nil || f.Newest == nil {
		st.result.Refused = RefusedNotActive
		return
	}
	for _, e := range f.Newest.Entries {
		if e.ID == c.Entry {
			st.result.Refused = st.offerEntry(entryRef{f, f.Newest, e}, &Run{Vars: c.Vars})
			if st.result.Refused == "" {
				st.result.Outcome = OutcomeEntry
			}
			return
		}
	}
	st.result.Refused = RefusedNotActive
}

// bindings are the event's properties and its name, as expressions see them.
func (e *Happened) bindings(convert func(Value) any) map[string]any {
	if e == nil {
		return map[string]any{}
	}
	b := make(map[string]any, len(e.Props)+2)
	for _, p := range e.Props {
		b[p.Name] = convert(p.Value)
	}
	b["name"], b["at"] = e.Name, convert(DateTimeValue(e.At))
	return b
}
