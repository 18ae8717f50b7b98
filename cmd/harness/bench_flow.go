package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// orderFlow is what bench-flow sends persons through: five elements, two
// branches, a change of the profile, a tag, and a goal that they reach.
const orderFlow = `flow: order
entries:
  - {id: e, type: people_event, event: Ordered, next: ab}
elements:
  ab: {type: split_audience, branches: [{share: 50, next: low}, {share: 50, next: high}]}
  low: {type: update_person, set: {shoeSize: 38}, on: {done: tag}}
  high: {type: update_person, set: {shoeSize: 46}, on: {done: tag}}
  tag: {type: add_tag, tag: customer, on: {done: wait}}
  wait: {type: wait_for_event, event: Bought, timeout: 1h}
goals: [{id: bought, event: Bought, window: 1d}]
`

// flowBench measures the runtime by itself, without the daemon around it.
type flowBench struct {
	*options
	people  int
	seconds int
	part    string
	result  flowFigures
}

// flowFigures are what the last line says.
type flowFigures struct {
	steps, fsync, single float64 // per second
	p50, p99             time.Duration
	audience, segment    time.Duration
	audienceGrowth       float64 // MB, of resident memory
	ownGrowth            float64 // MB, of memory that is the process's own
	triggerRatio         float64 // of changes that nobody looks at to those that many flows do, the worse
}

func benchFlow(o *options) runner {
	b := &flowBench{options: o}
	o.flags.IntVar(&b.people, "people", 1_000_000, "persons of the audience")
	o.flags.IntVar(&b.seconds, "seconds", 15, "length of each measurement under load")
	o.flags.BoolVar(&o.profile, "profile", false, "write CPU profiles of an audience that enters and of a segment that is computed")
	o.flags.StringVar(&b.part, "part", "", "only this part: steps, triggers or crowd; the figures of the others are 0")
	return b.run
}

func (b *flowBench) run(ctx context.Context) error {
	if b.people < 100 || b.people > mostMessages || b.seconds < 1 {
		return fmt.Errorf("-people is between 100 and %d, and -seconds at least 1", mostMessages)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	parts := []flowPart{{"steps", b.steps}, {"triggers", b.triggers}, {"crowd", b.crowd}}
	if b.part != "" {
		if parts = slices.DeleteFunc(parts, func(p flowPart) bool { return p.name != b.part }); len(parts) == 0 {
			return fmt.Errorf("-part is steps, triggers or crowd, not %q", b.part)
		}
	}
	var problems []string
	for _, part := range parts {
		found, err := part.measure(ctx, t)
		if err != nil {
			return err
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Println()
		problems = append(problems, found...)
	}
	r := &b.result
	fmt.Printf("RESULT steps_per_s=%.0f p99_ms=%.1f fsync_per_s=%.0f txn_per_step_per_s=%.0f audience_1m_s=%.1f audience_rss_mb=%.0f audience_own_mb=%.0f segment_1m_s=%.1f trigger_ratio=%.2f\n",
		r.steps, milliseconds(r.p99), r.fsync, r.single, r.audience.Seconds(), r.audienceGrowth, r.ownGrowth, r.segment.Seconds(), r.triggerRatio)
	return failure(problems)
}

// flowPart is one of the measurements.
type flowPart struct {
	name    string
	measure func(context.Context, *tabwriter.Writer) ([]string, error)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// steps lets persons go through orderFlow: as fast as it goes, then at 70 % of that.
func (b *flowBench) steps(ctx context.Context, t *tabwriter.Writer) (problems []string, err error) {
	h, err := openHost(ctx, filepath.Join(b.dir, "steps"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.publish(ctx, orderFlow); err != nil {
		return nil, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // the goal counts back over nobody, rather than over those who come now
		return nil, err
	}
	l := newEventLoad(h.rt, min(b.people, 200_000))
	span := time.Duration(b.seconds) * time.Second
	if _, err := l.closed(ctx, span/5); err != nil { // warm
		return nil, err
	}
	batches, octets := h.store.batches.Load(), h.store.octets.Load()
	peak, err := l.closed(ctx, span)
	if err != nil {
		return nil, err
	}
	batches, octets = h.store.batches.Load()-batches, h.store.octets.Load()-octets
	if batches == 0 {
		return nil, errors.New("nothing was committed")
	}
	calm, err := l.open(ctx, span, 0.7*peak.rate)
	if err != nil {
		return nil, err
	}
	r, size := &b.result, int(octets/batches)
	r.steps, r.p50, r.p99 = peak.rate, calm.latency.quantile(0.5), calm.latency.quantile(0.99)
	if r.fsync, err = fsyncRate(filepath.Join(b.dir, "fsync"), size, span/5); err != nil {
		return nil, err
	}
	if r.single, err = transactionRate(ctx, filepath.Join(b.dir, "single"), span/5); err != nil {
		return nil, err
	}
	fmt.Fprintln(t, "STEPS THROUGH A FLOW\tPER SECOND\tP50 ms\tP99 ms\t\tTARGET")
	fmt.Fprintf(t, "peak, %d at once\t%.0f\t%.1f\t%.1f\t%.0f steps and %d KB in a batch\t≥ 15,000/s\n", l.workers(), peak.rate,
		milliseconds(peak.latency.quantile(0.5)), milliseconds(peak.latency.quantile(0.99)), float64(peak.n)/float64(batches), size>>10)
	fmt.Fprintf(t, "70 %% of it\t%.0f\t%.1f\t%.1f\t\tp99 < 50 ms\n", calm.rate, milliseconds(r.p50), milliseconds(r.p99))
	fmt.Fprintf(t, "yardstick: Badger, one transaction per step\t%.0f\t\t\t\t\n", r.single)
	fmt.Fprintf(t, "yardstick: write and fsync of %d KB\t%.0f\t\t\t\t\n", size>>10, r.fsync)
	return b.judgeSteps(h, l)
}

// judgeSteps finds out whether every order has let somebody in or was refused.
func (b *flowBench) judgeSteps(h *host, l *eventLoad) (problems []string, err error) {
	tally, err := h.tally("order")
	if err != nil {
		return nil, err
	}
	refused := uint64(0)
	for _, n := range tally.Refused {
		refused += n
	}
	if got, want := tally.Entered+refused, uint64(l.ordered.Load()); got != want {
		problems = append(problems, fmt.Sprintf("%d orders were acknowledged; %d persons entered and %d were refused", want, tally.Entered, refused))
	}
	differences, err := h.recount()
	return append(problems, differences...), err
}

// triggerFlows is how many flows look at a change in the measurement of triggers.
const triggerFlows = 200

// watching are flows that let in whom a change makes fit a condition on score.
// None ever fits.
func watching(op string) (flows []string) {
	for i := range triggerFlows {
		flows = append(flows, fmt.Sprintf(`flow: watch-%d
entries: [{id: e, type: profile_change, condition: {attr: score, op: %s, value: %d}, next: x}]
elements: {x: {type: exit}}
`, i, op, 1_000_000+i))
	}
	return flows
}

// triggers compares changes of profiles that many flows look at with those that
// none does. Every one of the flows looks at the attribute that changes: for a
// value of its own, or comparing it.
func (b *flowBench) triggers(ctx context.Context, t *tabwriter.Writer) (problems []string, err error) {
	cases := []*triggerCase{{name: "no flow looks at them"}, {name: "look for a value", flows: watching("is")}, {name: "compare the value", flows: watching("gte")}}
	for i, c := range cases {
		if c.host, err = openHost(ctx, filepath.Join(b.dir, fmt.Sprintf("triggers-%d", i))); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, c.host.close()) }()
		if err := c.host.publish(ctx, c.flows...); err != nil {
			return nil, err
		}
		c.load = newChangeLoad(c.host.rt, min(b.people, 20_000))
	}
	span := max(time.Duration(b.seconds)*time.Second/12, 200*time.Millisecond)
	const rounds = 4
	for round := range 1 + rounds { // by turns, for the machine has other things to do as well; the first is for warming up
		for _, c := range cases {
			m, err := c.load.closed(ctx, span)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				c.rate += m.rate / rounds
			}
		}
	}
	fmt.Fprintln(t, "CHANGES OF PROFILES\tPER SECOND\tRATIO\tTARGET")
	for i, c := range cases {
		ratio, target := cases[0].rate/c.rate, ""
		if i > 0 {
			b.result.triggerRatio, target = max(b.result.triggerRatio, ratio), "≤ 2"
			c.name = fmt.Sprintf("%d flows %s", triggerFlows, c.name)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%s\n", c.name, c.rate, ratio, target)
		all, err := c.host.rt.Flows()
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			if f.Counts.Entered > 0 {
				problems = append(problems, fmt.Sprintf("%d persons entered %s, whose condition is never true", f.Counts.Entered, f.ID))
			}
		}
	}
	return problems, nil
}

// triggerCase is some flows that look at changes, and how fast those go.
type triggerCase struct {
	name  string
	flows []string
	host  *host
	load  *causeLoad
	rate  float64
}

// audienceFlow takes up everybody who fits a condition; who enters waits.
func audienceFlow(id, condition string) string {
	return strings.NewReplacer("ID", id, "CONDITION", condition).Replace(`flow: ID
entries: [{id: e, type: audience, condition: CONDITION, next: p}]
elements: {p: {type: pause, for: 30d}}
`)
}

// everybodyFits is a condition that is true of all persons that fillPeople makes.
const everybodyFits = "{attr: score, op: gte, value: 0}"

// crowd lets an audience of many persons in, evaluates a condition on all, and
// computes a segment into which all of them come.
func (b *flowBench) crowd(ctx context.Context, t *tabwriter.Writer) (problems []string, err error) {
	h, err := openHost(ctx, filepath.Join(b.dir, "crowd"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.publish(ctx); err != nil {
		return nil, err
	}
	made, err := fillPeople(ctx, h.rt, b.people)
	if err != nil {
		return nil, err
	}
	everybody := audienceFlow("everybody", everybodyFits)
	watch := newMemoryWatch()
	entered, err := b.profiled("audience", func() (time.Duration, error) {
		return b.launch(ctx, h, "everybody", uint64(b.people), watch, everybody)
	})
	if err != nil {
		return nil, err
	}
	some, err := b.launch(ctx, h, "some", uint64(b.people/100), nil, everybody, audienceFlow("some", "{attr: score, op: is, value: 7}"))
	if err != nil {
		return nil, err
	}
	joined, err := b.profiled("segment", func() (time.Duration, error) { return b.join(ctx, h) })
	if err != nil {
		return nil, err
	}
	r := &b.result
	r.audience, r.segment, r.audienceGrowth, r.ownGrowth = entered, joined, watch.growth(residentOf), watch.growth(ownOf)
	perSecond := func(d time.Duration) float64 { return float64(b.people) / d.Seconds() }
	fmt.Fprintf(t, "%d PERSONS\tSECONDS\tPER SECOND\t\tTARGET\n", b.people)
	fmt.Fprintf(t, "become known\t%.1f\t%.0f\t\t\n", made.Seconds(), perSecond(made))
	fmt.Fprintf(t, "enter as an audience\t%.1f\t%.0f\tRSS %.0f MB at most, grown by %.0f MB after the first fifth\t≤ 90 s, flat\n", entered.Seconds(), perSecond(entered), watch.top(residentOf), r.audienceGrowth)
	fmt.Fprintf(t, "\t\t\tof it own %.0f MB at most, grown by %.0f MB; the rest are pages of the store's files\t\n", watch.top(ownOf), r.ownGrowth)
	fmt.Fprintf(t, "\t\t\tin use of that %.0f MB at most, grown by %.0f MB; the rest is what the collector leaves for later\t\n", watch.top(liveOf), watch.growth(liveOf))
	if b.profile {
		fmt.Println(watch.seen)
	}
	fmt.Fprintf(t, "a condition is evaluated on all\t%.1f\t%.0f\t\t\n", some.Seconds(), perSecond(some))
	fmt.Fprintf(t, "all come into a segment\t%.1f\t%.0f\t\t≤ 15 s\n", joined.Seconds(), perSecond(joined))
	return h.recount()
}

// profiled writes a CPU profile of work, and one of memory at its end, when that is wanted.
func (b *flowBench) profiled(name string, work func() (time.Duration, error)) (time.Duration, error) {
	if !b.profile {
		return work()
	}
	f, err := os.Create(fmt.Sprintf("bench-flow-%s.prof", name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return 0, err
	}
	defer pprof.StopCPUProfile()
	took, err := work()
	if err != nil {
		return 0, err
	}
	heap, err := os.Create(fmt.Sprintf("bench-flow-%s.heap", name))
	if err != nil {
		return 0, err
	}
	defer heap.Close()
	return took, pprof.WriteHeapProfile(heap)
}

// join publishes a segment, and waits until all are in it and it is computed.
func (b *flowBench) join(ctx context.Context, h *host) (time.Duration, error) {
	began := time.Now()
	if err := h.publishSegment(ctx, "all", everybodyFits); err != nil {
		return 0, err
	}
	for moved, last := time.Now(), uint64(0); ; {
		s, err := h.rt.SegmentOf("all")
		switch {
		case err != nil:
			return 0, err
		case !s.Computing && s.Members == uint64(b.people):
			return time.Since(began), nil
		case !s.Computing || s.Members > uint64(b.people):
			return 0, fmt.Errorf("%d persons are in a segment that %d fit", s.Members, b.people)
		case s.Members > last:
			last, moved = s.Members, time.Now()
		case time.Since(moved) > 2*time.Minute:
			return 0, fmt.Errorf("%d of %d persons came into a segment, and nobody for two minutes", s.Members, b.people)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// launch publishes flows, one of them with an audience, and waits until n have
// entered that one. An audience of more is an error.
func (b *flowBench) launch(ctx context.Context, h *host, flow string, n uint64, watch *memoryWatch, flows ...string) (time.Duration, error) {
	began := time.Now()
	if err := h.publish(ctx, flows...); err != nil {
		return 0, err
	}
	for moved, last := time.Now(), uint64(0); ; {
		tally, err := h.tally(flow)
		if err != nil {
			return 0, err
		}
		watch.see(float64(tally.Entered) / float64(n))
		switch {
		case tally.Entered == n:
			return time.Since(began), nil
		case tally.Entered > n:
			return 0, fmt.Errorf("%d persons entered %s, and only %d fit", tally.Entered, flow, n)
		case tally.Entered > last:
			last, moved = tally.Entered, time.Now()
		case time.Since(moved) > 2*time.Minute:
			return 0, fmt.Errorf("%d of %d persons entered %s, and nobody for two minutes", tally.Entered, n, flow)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
