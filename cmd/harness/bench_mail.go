package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// mailBench measures mail that comes in and mail that goes out, beside Postfix at the
// same work in the same run, and what a bad destination and a long queue do to the rest.
type mailBench struct {
	*options
	duration, warm time.Duration
	connections    int
	queued         int
	parts          string
}

func benchMail(o *options) runner {
	b := &mailBench{options: o, warm: 2 * time.Second}
	o.flags.DurationVar(&b.duration, "duration", 10*time.Second, "how long each figure is measured")
	o.flags.IntVar(&b.connections, "connections", 0, "connections that mails come over; 0: what is best for each is tried out")
	o.flags.IntVar(&b.queued, "queued", 1_000_000, "mails that wait when the daemon starts")
	o.flags.StringVar(&b.parts, "parts", "in,out,postfix,domains,queue", "what is measured")
	return b.run
}

// mailSize is that of the mails of every figure: 1 KiB.
const mailSize = 1024

// crowds are the numbers of connections that are tried.
var crowds = []int{32, 64, 128, 256, 512}

func (b *mailBench) wants(part string) bool {
	return slices.Contains(strings.Split(b.parts, ","), part)
}

func (b *mailBench) run(ctx context.Context) error {
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // Postfix's own user has to get to its queue
		return err
	}
	if b.connections > 0 {
		crowds = []int{b.connections}
	}
	p50, p99, err := syncProbe(b.dir)
	if err != nil {
		return err
	}
	fmt.Printf("disk: a synced write of 4 KiB takes %s, p99 %s\n", short(p50), short(p99))
	var f mailFigures
	var problems []string
	for _, part := range []struct {
		name string
		run  func(context.Context, *mailFigures) ([]string, error)
	}{{"in", b.in}, {"out", b.out}, {"postfix", b.postfix}, {"domains", b.domains}, {"queue", b.queue}} {
		if !b.wants(part.name) {
			continue
		}
		found, err := part.run(ctx, &f)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		problems = append(problems, found...)
	}
	f.show()
	return failure(problems)
}

// mailFigures are what is measured; what is zero was not.
type mailFigures struct {
	inFigures
	out, limit         float64
	postfix            postfixFigures
	slow, dead         float64 // of the speed of the other destinations, with a slow and a dead one among them
	queued             int
	queueRSS, queueTop float64 // MB
	restart            time.Duration
}

// show prints the tables and the line for programs.
func (f *mailFigures) show() {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tIN/S\tCONNECTIONS\tCPU EACH\tOUT/S\tWHAT IT DOES")
	fmt.Fprintf(t, "trunkline\t%.0f\t%d\t%.0f µs\t%.0f\tin: read, routed to a flow, synced; out: composed, signed twice, delivered\n", f.peak, f.connections, f.cpu, f.out)
	fmt.Fprintf(t, "postfix\t%.0f\t%d\t\t%.0f\tin: queued, synced; out: ready-made mail, relayed\n", f.postfix.in, f.postfix.connections, f.postfix.out)
	t.Flush()
	fmt.Printf("%d mails acknowledged, %d refused; at twice the load %.0f/s and %d refusals\n", f.accepted, f.refused, f.twice, f.refusedTwice)
	fmt.Printf("this machine can sign %.0f mails/s with both keys, doing nothing else\n", f.limit)
	if f.slow > 0 {
		fmt.Printf("1,000 destinations: with a slow one among them the others get %.1f %% of their speed, with a dead one %.1f %%\n", 100*f.slow, 100*f.dead)
	}
	if f.queued > 0 {
		fmt.Printf("%d mails queued: ready %s after the start; %.0f MB when it rests, %.0f MB at most\n", f.queued, short(f.restart), f.queueRSS, f.queueTop)
	}
	fmt.Printf("RESULT in_per_s=%.0f in_postfix_per_s=%s ratio_in=%s out_per_s=%.0f out_postfix_per_s=%s ratio_out=%s sign_limit_per_s=%.0f goodput_2x=%.2f "+
		"slow_domain_share=%.3f dead_domain_share=%.3f queued=%d queue_rss_mb=%.0f queue_restart_s=%.2f\n",
		f.peak, known(f.postfix.in), ratio(f.peak, f.postfix.in), f.out, known(f.postfix.out), ratio(f.out, f.postfix.out), f.limit, f.twice/max(f.around, 1),
		f.slow, f.dead, f.queued, f.queueTop, f.restart.Seconds())
}

// known is a figure, or na where there is none.
func known(figure float64) string {
	if figure == 0 {
		return "na"
	}
	return fmt.Sprintf("%.0f", figure)
}

// ratio is how many times theirs ours is.
func ratio(ours, theirs float64) string {
	if theirs == 0 {
		return "na"
	}
	return fmt.Sprintf("%.2f", ours/theirs)
}

type inFigures struct {
	peak, twice                     float64
	around                          float64 // the peak before and after twice the load, on average: the store grows meanwhile
	connections                     int
	cpu                             float64 // microseconds per mail
	accepted, refused, refusedTwice int64
}

// in measures mail that comes in, and that everything which was acknowledged is there. Twice
// the load are twice the connections that are best, of which the daemon takes one half.
func (b *mailBench) in(ctx context.Context, f *mailFigures) ([]string, error) {
	s, err := newMailSite(b.options, nil)
	if err != nil {
		return nil, err
	}
	p, _, err := s.startReady(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { p.kill() }()
	l := &mailLoad{address: s.smtp, size: mailSize}
	if f.connections, err = l.best(ctx, "trunkline"); err != nil {
		return nil, err
	}
	if err := p.stop(patience); err != nil {
		return nil, err
	}
	if err := s.limit("max_connections: 2000", fmt.Sprintf("max_connections: %d", f.connections)); err != nil {
		return nil, err
	}
	if p, _, err = s.startReady(ctx); err != nil {
		return nil, err
	}
	before := l.accepted.Load()
	used, own, busy, began := p.usage().cpu, usageOf(os.Getpid()).cpu, machineBusy(), time.Now()
	if f.peak, err = l.rate(ctx, f.connections, b.warm, b.duration); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	used, own, busy = p.usage().cpu-used, usageOf(os.Getpid()).cpu-own, machineBusy()-busy
	f.cpu = float64(used.Microseconds()) / float64(max(1, l.accepted.Load()-before))
	fmt.Printf("  in: %.0f/s over %d connections; processors used by the daemon %.2f, the load %.2f, all %.2f\n", f.peak, f.connections, used.Seconds()/took, own.Seconds()/took, busy.Seconds()/took)
	if b.options.profile {
		if err := b.profileIn(ctx, s, l, f.connections); err != nil {
			return nil, err
		}
	}
	f.refused = l.refused.Load()
	own, busy, began = usageOf(os.Getpid()).cpu, machineBusy(), time.Now()
	if f.twice, err = l.rate(ctx, 2*f.connections, b.warm, b.duration); err != nil {
		return nil, err
	}
	took, own, busy = time.Since(began).Seconds(), usageOf(os.Getpid()).cpu-own, machineBusy()-busy
	f.refusedTwice = l.refused.Load() - f.refused
	after, err := l.rate(ctx, f.connections, b.warm, b.duration)
	if err != nil {
		return nil, err
	}
	f.around = (f.peak + after) / 2
	fmt.Printf("  in at twice the load: %.0f/s; processors used by the load %.2f, all %.2f\n", f.twice, own.Seconds()/took, busy.Seconds()/took)
	fmt.Printf("  in after that: %.0f/s\n", after)
	f.accepted = l.accepted.Load()
	if f.peak == 0 {
		return nil, errors.New("no mail was accepted: " + p.output())
	}
	got, err := s.settled(ctx, int(f.accepted))
	if err != nil {
		return nil, err
	}
	// A mail whose answer was on its way when the load ended is there and not acknowledged.
	if lost := int(f.accepted) - got; lost > 0 || -lost > 16*f.connections {
		return []string{fmt.Sprintf("%d mails were acknowledged, and %d are there", f.accepted, got)}, nil
	}
	return nil, nil
}

func (b *mailBench) profileIn(ctx context.Context, s *mailSite, l *mailLoad, connections int) error {
	profiled := make(chan error, 1)
	go func() { profiled <- s.profile(ctx, 5*time.Second, "harness.prof") }()
	if _, err := l.rate(ctx, connections, 0, 6*time.Second); err != nil {
		return err
	}
	return <-profiled
}
