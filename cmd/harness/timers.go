package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"trunkline/flowengine"
)

// waitingFlow is where the million waits.
const waitingFlow = `flow: load
entries:
  - {id: keyword, type: inbound_message, number: "` + ourNumber + `", keywords: [size], match: first_word, next: wait}
elements:
  wait: {type: pause, for: 24h, on: {done: save}}
  save: {type: update_person, set: {shoeSize: "${inbound.number}"}, on: {done: stop, invalid: stop}}
  stop: {type: exit}
`

const waitingTime = 24 * time.Hour

// timersBench lets many persons wait in a flow and watches their timers fire.
type timersBench struct {
	*options
	n       int
	spread  time.Duration
	rest    time.Duration
	lead    time.Duration
	overdue bool
}

func benchTimers(o *options) runner {
	b := &timersBench{options: o}
	o.flags.IntVar(&b.n, "n", 1_000_000, "persons who wait")
	o.flags.DurationVar(&b.spread, "spread", time.Second, "between the first deadline and the last")
	o.flags.DurationVar(&b.rest, "rest", 20*time.Second, "how long the daemon rests before memory is read")
	o.flags.DurationVar(&b.lead, "lead", 40*time.Second, "at least so long from the last person's entry to the first deadline")
	o.flags.BoolVar(&b.overdue, "overdue", false, "start the daemon after the deadlines, not before")
	return b.run
}

func (b *timersBench) run(ctx context.Context) error {
	if b.n < 1 || b.n > mostMessages {
		return fmt.Errorf("-n is between 1 and %d", mostMessages)
	}
	emptyStart, emptyUse, err := b.empty(ctx)
	if err != nil {
		return err
	}
	s, err := newSite(b.options, "", 0)
	if err != nil {
		return err
	}
	store, err := storeFolder(s.data()) // made by the daemon that was empty
	if err != nil {
		return err
	}
	c, err := newCrowd(b.n, b.spread, b.lead)
	if err != nil {
		return err
	}
	if err := c.enter(ctx, store, filepath.Join(b.dir, "probe")); err != nil {
		return err
	}
	fmt.Printf("%d persons entered in %s, %.0f/s; on disk %.0f MB; due at %s\n", b.n, c.took.Round(time.Second),
		float64(b.n)/c.took.Seconds(), folderSize(store), c.due.Format(time.TimeOnly))
	if wait := time.Until(c.due.Add(b.spread)); b.overdue && wait > 0 {
		fmt.Printf("waiting %s until all are overdue\n", wait.Round(time.Second))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	w, problems, err := b.watch(ctx, s, c)
	if err != nil {
		return err
	}
	fired, err := c.fired(ctx, store)
	if err != nil {
		return err
	}
	problems = append(problems, judgeFiring(fired)...)
	if got := len(fired); got == 0 {
		problems = append(problems, "no timer of the persons looked at has fired")
	}
	pace := paceOf(fired, b.n)

	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DAEMON\tREADY AFTER\tRSS MB\tOF IT ANONYMOUS\tTARGET")
	fmt.Fprintf(t, "empty\t%s\t%.0f\t%.0f\t< 500 ms, < 60 MB\n", short(emptyStart), megabytes(emptyUse.rss), megabytes(emptyUse.anon))
	fmt.Fprintf(t, "%d waiting\t%s\t%.0f\t%.0f\t\n", b.n, short(w.start), megabytes(w.rest.rss), megabytes(w.rest.anon))
	fmt.Fprintf(t, "after firing\t\t%.0f\t%.0f\tmost %.0f MB\n", megabytes(w.end.rss), megabytes(w.end.anon), megabytes(w.end.top))
	t.Flush()
	fmt.Println()
	t = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIRED/S\tFIRST TENTH\tLAST TENTH\tLAST/FIRST\tALL WITHIN\tCPUS\tOTHERS\tPER CPU SECOND, FIRST TENTH\tLAST\tLOOKED AT")
	fmt.Fprintf(t, "%.0f\t%.0f\t%.0f\t%.2f\t%s\t%.2f\t%.2f\t%.0f\t%.0f\t%d persons\n", pace.all, pace.first, pace.last, pace.last/pace.first, pace.span.Round(time.Millisecond), w.cpu, w.others,
		perProcessor(w.progress, 0, 0.1), perProcessor(w.progress, 0.9, 1), len(fired))
	t.Flush()
	fmt.Printf("RESULT waiting=%d restart_s=%.2f rss_mb=%.0f fired_per_s=%.0f\n", b.n, w.start.Seconds(), megabytes(w.rest.rss), pace.all)
	return failure(problems)
}

// empty measures a daemon that has nothing to do: the median of five starts,
// and its memory after two seconds.
func (b *timersBench) empty(ctx context.Context) (took time.Duration, u usage, err error) {
	s, err := newSite(b.options, "", 0)
	if err != nil {
		return 0, u, err
	}
	var starts []time.Duration
	for i := range 6 {
		p, took, err := s.startReady(ctx)
		if err != nil {
			return 0, u, err
		}
		if i > 0 { // the first one makes the store
			starts = append(starts, took)
		}
		if i == 5 {
			if err = sleep(ctx, 2*time.Second); err != nil {
				p.kill()
				return 0, u, err
			}
			u = p.usage()
		}
		if err := p.stop(30 * time.Second); err != nil {
			return 0, u, err
		}
	}
	slices.Sort(starts)
	return starts[len(starts)/2], u, nil
}

// watched is what was seen of the daemon.
type watched struct {
	start     time.Duration
	rest, end usage
	cpu       float64 // processors used while firing
	others    float64 // processors that everybody else on the machine used then
	progress  []progress
}

// progress is how far the daemon was at a moment, and what it had used for that.
type progress struct {
	fired uint64
	cpu   time.Duration
}

// perProcessor is how many timers fired per second of processor time while the
// share of all that had fired went from one to another: it tells a daemon that
// slows down from a machine that is busy with other things.
func perProcessor(all []progress, from, to float64) float64 {
	if len(all) < 2 {
		return 0
	}
	total := float64(all[len(all)-1].fired)
	a, b := all[0], all[len(all)-1]
	for _, p := range all {
		if float64(p.fired) <= from*total {
			a = p
		}
	}
	for _, p := range slices.Backward(all) {
		if float64(p.fired) >= to*total {
			b = p
		}
	}
	if b.cpu <= a.cpu {
		return 0
	}
	return float64(b.fired-a.fired) / (b.cpu - a.cpu).Seconds()
}

// watch runs the daemon until every timer has fired.
func (b *timersBench) watch(ctx context.Context, s *site, c *crowd) (w watched, problems []string, err error) {
	p, took, err := s.startReady(ctx)
	if err != nil {
		return w, nil, err
	}
	defer p.kill()
	w.start = took
	if !b.overdue {
		if left := time.Until(c.due); left < time.Second {
			fmt.Printf("note: only %s were left to rest before the first deadline\n", left)
		}
		if err := sleep(ctx, min(b.rest, time.Until(c.due)-100*time.Millisecond)); err != nil {
			return w, nil, err
		}
	}
	w.rest = p.usage()
	if err := sleep(ctx, time.Until(c.due)); err != nil {
		return w, nil, err
	}
	used, busy, began := p.usage(), machineBusy()-usageOf(os.Getpid()).cpu, time.Now()
	inside := uint64(b.n)
	w.progress = []progress{{0, used.cpu}}
	for moved := time.Now(); inside > 0; {
		if err := sleep(ctx, time.Second); err != nil {
			return w, nil, err
		}
		st, err := s.show(ctx)
		if err != nil {
			return w, nil, err
		}
		w.progress = append(w.progress, progress{uint64(b.n) - min(st.Inside, uint64(b.n)), p.usage().cpu})
		if st.Inside < inside {
			inside, moved = st.Inside, time.Now()
		} else if time.Since(moved) > time.Minute {
			problems = append(problems, fmt.Sprintf("%d persons are still inside, a minute after the last one left", inside))
			break
		}
		if st.Inside == 0 {
			if n := st.Exited["completed"]; n != uint64(b.n) {
				problems = append(problems, fmt.Sprintf("%d runs were completed, not %d", n, b.n))
			}
		}
	}
	w.end = p.usage()
	took = time.Since(began)
	w.cpu = (w.end.cpu - used.cpu).Seconds() / took.Seconds()
	w.others = max(0, (machineBusy()-usageOf(os.Getpid()).cpu-busy).Seconds()/took.Seconds()-w.cpu)
	if err := p.stop(time.Minute); err != nil {
		problems = append(problems, err.Error())
	}
	return w, problems, nil
}

// firing is when a timer was due and when it fired.
type firing struct {
	shard   flowengine.Shard
	due, at time.Time
}

// judgeFiring finds timers that fired before their time, and those that fired
// before others of their shard that were due earlier (rule X5). Times are in
// milliseconds, so the order within one is not looked at.
func judgeFiring(all []firing) (problems []string) {
	early, unordered := 0, 0
	byShard := map[flowengine.Shard][]firing{}
	for _, f := range all {
		if f.at.Before(f.due) {
			early++
		}
		byShard[f.shard] = append(byShard[f.shard], f)
	}
	for _, shard := range byShard {
		slices.SortFunc(shard, func(a, b firing) int { return cmp.Or(a.at.Compare(b.at), a.due.Compare(b.due)) })
		var before, latest time.Time // latest deadline of those that fired before this millisecond, and so far
		for i, f := range shard {
			if i > 0 && !f.at.Equal(shard[i-1].at) {
				before = latest
			}
			if f.due.Before(before) {
				unordered++
			}
			if f.due.After(latest) {
				latest = f.due
			}
		}
	}
	if early > 0 {
		problems = append(problems, fmt.Sprintf("%d timers fired too early", early))
	}
	if unordered > 0 {
		problems = append(problems, fmt.Sprintf("%d timers fired after later ones of their shard", unordered))
	}
	return problems
}

// pace is how many timers fired per second: over all, and in the first and the
// last tenth.
type pace struct {
	all, first, last float64
	span             time.Duration
}

// paceOf reckons from the persons looked at to all n.
func paceOf(fired []firing, n int) (p pace) {
	if len(fired) < 20 {
		return p
	}
	at := make([]time.Time, len(fired))
	for i, f := range fired {
		at[i] = f.at
	}
	slices.SortFunc(at, time.Time.Compare)
	rate := func(part []time.Time) float64 {
		span := max(part[len(part)-1].Sub(part[0]), time.Millisecond)
		return float64(len(part)-1) / span.Seconds() * float64(n) / float64(len(at))
	}
	tenth := len(at) / 10
	return pace{rate(at), rate(at[:tenth]), rate(at[len(at)-tenth:]), at[len(at)-1].Sub(at[0])}
}

// folderSize is how many megabytes the files of a folder take.
func folderSize(dir string) float64 {
	var sum int64
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += st.Blocks * 512 // what they take, not what they claim: some are sparse
			}
		}
	}
	return float64(sum) / (1 << 20)
}
