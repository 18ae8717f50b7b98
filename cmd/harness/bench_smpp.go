package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

// share of the peak at which latency is measured.
const calm = 0.7

// smppBench compares durable keyword round trips. A round trip lasts from the
// keyword's moment of sending until the reply has arrived at the message centre.
type smppBench struct {
	*options
	duration, warm time.Duration
	esmes, window  int
	report         time.Duration
	noKannel       bool
}

func benchSMPP(o *options) runner {
	b := &smppBench{options: o, warm: 3 * time.Second}
	o.flags.DurationVar(&b.duration, "duration", 20*time.Second, "how long the peak is measured")
	o.flags.IntVar(&b.esmes, "esmes", 4, "sessions that text")
	o.flags.IntVar(&b.window, "window", 0, "window of each; 0 tries several and takes the best")
	o.flags.DurationVar(&b.report, "report", 100*time.Millisecond, "from a message to its delivery report")
	o.flags.BoolVar(&b.noKannel, "no-kannel", false, "leave Kannel out")
	return b.run
}

// result is a gateway's figures.
type result struct {
	peak, calm figure
	note       string
	verdict    verdict
}

func (b *smppBench) run(ctx context.Context) error {
	p50, p99, err := syncProbe(b.dir)
	if err != nil {
		return err
	}
	fmt.Printf("disk: a synced write of 4 KiB takes %s, p99 %s\n", short(p50), short(p99))
	ours, theirs, err := measureCodec()
	if err != nil {
		return err
	}
	trunkline, err := b.trunkline(ctx)
	if err != nil {
		return err
	}
	same, static := b.compare(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	fmt.Println()
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tPEAK/S\tAT ONCE\tCPUS\tHARNESS\tOTHERS\tAT 70 %/S\tP50\tP99\tLONGEST PAUSE\tCPUS\tOTHERS\tRSS MB\tMOST MB\tDURABILITY")
	row(t, "trunkline", trunkline)
	row(t, "kannel (same work)", same)
	row(t, "kannel (static answer, no delivery report)", static)
	t.Flush()
	if same != nil {
		fmt.Println("Same work: the text comes from an application over HTTP, and a delivery report is asked for, matched and handed on.")
		fmt.Println("Kannel's store is a file that it does not sync, and its reports wait in memory; it keeps no profile, no counters and no history.")
	}
	fmt.Println()
	t = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DECODE submit_sm\tNS\tALLOCS")
	fmt.Fprintf(t, "trunkline\t%.0f\t%d\n", ours.ns, ours.allocs)
	fmt.Fprintf(t, "go-smpp\t%.0f\t%d\n", theirs.ns, theirs.allocs)
	t.Flush()
	v := trunkline.verdict
	fmt.Printf("\n%d keywords acknowledged, %d replied to, %d refused, %d replies twice\n", v.acked, v.replied, v.refused, v.duplicated)

	kannelRate, ratio := against(trunkline, same)
	staticRate, staticRatio := against(trunkline, static)
	fmt.Printf("RESULT roundtrips_per_s=%.0f p99_ms=%.1f kannel_per_s=%s ratio_kannel=%s rss_mb=%.0f decode_ns=%.0f decode_allocs=%d kannel_static_per_s=%s ratio_static=%s\n",
		trunkline.peak.rate, trunkline.calm.p99.Seconds()*1000, kannelRate, ratio, megabytes(trunkline.peak.rss), ours.ns, ours.allocs, staticRate, staticRatio)
	return failure(v.problems)
}

// compare measures Kannel at the work that the daemon does, and at the least that
// answers a keyword. What could not be measured is nil.
func (b *smppBench) compare(ctx context.Context) (same, static *result) {
	if b.noKannel {
		return nil, nil
	}
	err := installKannel(ctx)
	if err == nil {
		same, err = b.kannel(ctx, true)
	}
	if err == nil {
		static, err = b.kannel(ctx, false)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NO COMPARISON WITH KANNEL: %v ***\n\n", err)
	}
	return same, static
}

// against tells the rate of another gateway, and how many times it ours is.
func against(ours, other *result) (rate, ratio string) {
	if other == nil {
		return "na", "na"
	}
	return fmt.Sprintf("%.0f", other.peak.rate), fmt.Sprintf("%.2f", ours.peak.rate/other.peak.rate)
}

func row(t *tabwriter.Writer, name string, r *result) {
	if r == nil {
		return
	}
	fmt.Fprintf(t, "%s\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%s\t%s\t%s\t%.2f\t%.2f\t%.0f\t%.0f\t%s\n", name, r.peak.rate, r.peak.places, r.peak.cpu, r.peak.own, r.peak.others,
		r.calm.rate, short(r.calm.p50), short(r.calm.p99), short(r.calm.pause), r.calm.cpu, r.calm.others, megabytes(r.calm.rss), megabytes(r.calm.top), r.note)
}

// places are the numbers of round trips under way to try.
func (b *smppBench) places() []int {
	if b.window > 0 {
		return []int{b.esmes * b.window}
	}
	return []int{b.esmes * 16, b.esmes * 64, b.esmes * 256, b.esmes * 512}
}

// trunkline measures the daemon.
func (b *smppBench) trunkline(ctx context.Context) (*result, error) {
	s, ld, err := b.surroundings(ctx, b.report, 500)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, _, err := s.site.startReady(ctx)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	s.text(b.esmes, slices.Max(b.places())/b.esmes)
	r := &rig{name: "trunkline", load: ld, usage: p.usage}
	out := &result{note: "synced before every answer"}
	if out.peak, err = r.best(ctx, b.places(), b.warm, b.duration); err != nil {
		return nil, err
	}
	if b.options.profile {
		if err := b.profileFull(ctx, r, s.site, out.peak.places); err != nil {
			return nil, err
		}
	}
	profiled := b.profileCalm(ctx, s.site)
	if out.calm, err = r.steady(ctx, calm*out.peak.rate, b.warm, b.duration); err != nil {
		return nil, err
	}
	if err := profiled(); err != nil {
		return nil, err
	}
	out.verdict = s.verdict(ctx, p, 0)
	if refusals := ld.refusals(); refusals != "" {
		fmt.Println("refused:", refusals)
	}
	return out, nil
}

// profileFull writes a profile of the daemon while the closed loop runs.
func (b *smppBench) profileFull(ctx context.Context, r *rig, s *site, places int) error {
	const file = "harness.prof"
	r.load.closed(places)
	err := s.profile(ctx, 10*time.Second, file)
	r.load.closed(0)
	if err == nil {
		fmt.Println("profile:", file)
	}
	r.settle(ctx)
	return err
}

// profileCalm writes a profile of the daemon while the paced load runs, if one is
// asked for. The function it returns waits for the end.
func (b *smppBench) profileCalm(ctx context.Context, s *site) (wait func() error) {
	if !b.options.profile {
		return func() error { return nil }
	}
	const file = "harness-calm.prof"
	done := make(chan error, 1)
	go func() {
		_ = sleep(ctx, b.warm)
		done <- s.profile(ctx, b.duration, file)
	}()
	return func() error {
		err := <-done
		if err == nil {
			fmt.Println("profile:", file)
		}
		return err
	}
}

// kannel measures Kannel, with the number of binds that serves it best.
func (b *smppBench) kannel(ctx context.Context, same bool) (*result, error) {
	var best *result
	for _, binds := range []int{1, 4} {
		r, err := b.kannelWith(ctx, same, binds)
		if err != nil {
			return nil, err
		}
		if best == nil || r.peak.rate > best.peak.rate {
			best = r
		}
	}
	return best, nil
}

func (b *smppBench) kannelWith(ctx context.Context, same bool, binds int) (*result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer func() { cancel(); all.Wait() }()
	ld := newLoad()
	name, service, delay := "static", staticAnswer, time.Duration(-1)
	out := &result{note: "file store, not synced"}
	var app *answers
	if same {
		var err error
		if app, err = newAnswers(ld); err != nil {
			return nil, err
		}
		name, service, delay = "same", app.service(), b.report
		all.Go(func() { app.run(ctx) })
	}
	sc, err := newSMSC(ld, delay)
	if err != nil {
		return nil, err
	}
	if same {
		ld.owed = func() int { return max(sc.owed(), app.owed()) }
	}
	places := b.places()
	sc.bound = deliverOver(slices.Max(places) / binds)
	all.Go(func() { sc.run(ctx) })
	k, err := startKannel(ctx, filepath.Join(b.dir, fmt.Sprintf("kannel-%s%d", name, binds)), sc.address(), service, binds)
	if err != nil {
		return nil, err
	}
	defer k.stop()
	if err := until(ctx, 30*time.Second, func() bool { return sc.sessions() == binds }); err != nil {
		return nil, fmt.Errorf("Kannel has not bound: %w\n%s", err, k.bearerbox.output())
	}
	r := &rig{name: fmt.Sprintf("kannel/%s/%d", name, binds), load: ld, usage: k.usage}
	if out.peak, err = r.best(ctx, places, b.warm, b.duration); err != nil {
		return nil, err
	}
	if out.calm, err = r.steady(ctx, calm*out.peak.rate, b.warm, b.duration/2); err != nil {
		return nil, err
	}
	if out.verdict = ld.book.judge(0); len(out.verdict.problems) > 0 {
		p := out.verdict.problems
		fmt.Println("about Kannel:", strings.Join(p[:min(3, len(p))], "; "))
	}
	if same && app.owed() != 0 {
		fmt.Printf("about Kannel: of %d delivery reports %d were not handed on\n", app.given.Load(), app.owed())
	}
	return out, nil
}

// until waits for something to become true.
func until(ctx context.Context, most time.Duration, true func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !true() {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// syncProbe measures what the disk needs to make a small write durable.
func syncProbe(dir string) (p50, p99 time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var h histogram
	page := make([]byte, 4096)
	for range 200 {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, err
		}
		h.add(time.Since(began))
	}
	return h.quantile(0.5), h.quantile(0.99), nil
}
