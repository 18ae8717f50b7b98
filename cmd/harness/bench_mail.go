package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// mailBench measures mail that comes in and mail that goes out, beside Postfix at the
// same work in the same run.
type mailBench struct {
	*options
	duration, warm time.Duration
	connections    int
	noPostfix      bool
}

func benchMail(o *options) runner {
	b := &mailBench{options: o, warm: 2 * time.Second}
	o.flags.DurationVar(&b.duration, "duration", 15*time.Second, "how long each figure is measured")
	o.flags.IntVar(&b.connections, "connections", 64, "connections that mails come over")
	o.flags.BoolVar(&b.noPostfix, "no-postfix", false, "leave Postfix out")
	return b.run
}

// mailSize is that of the mails of every figure: 1 KiB.
const mailSize = 1024

func (b *mailBench) run(ctx context.Context) error {
	if err := os.Chmod(b.dir, 0o755); err != nil { //nolint:gosec // Postfix's own user has to get to its queue
		return err
	}
	p50, p99, err := syncProbe(b.dir)
	if err != nil {
		return err
	}
	fmt.Printf("disk: a synced write of 4 KiB takes %s, p99 %s\n", short(p50), short(p99))
	in, problems, err := b.in(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("  in: %.0f/s\n", in.peak)
	limit, err := signLimit(2 * time.Second)
	if err != nil {
		return err
	}
	out, err := b.out(ctx)
	if err != nil {
		return err
	}
	theirs, err := b.postfix(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(os.Stderr, "\n*** NO COMPARISON WITH POSTFIX: %v ***\n\n", err)
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GATEWAY\tIN/S\tOUT/S\tWHAT IT DOES")
	fmt.Fprintf(t, "trunkline\t%.0f (%.0f µs of a processor each)\t%.0f\tin: read, routed to a flow, synced; out: composed, signed twice, delivered\n", in.peak, in.cpu, out)
	if theirs != nil {
		fmt.Fprintf(t, "postfix\t%.0f\t%.0f\tin: queued, synced; out: ready-made mail, relayed\n", theirs.in, theirs.out)
	}
	t.Flush()
	fmt.Printf("%d mails acknowledged, %d refused; at twice the load %.0f/s and %d refusals\n", in.accepted, in.refused, in.twice, in.refusedTwice)
	postfixIn, ratioIn := beside(in.peak, theirs, func(p *postfixFigures) float64 { return p.in })
	postfixOut, ratioOut := beside(out, theirs, func(p *postfixFigures) float64 { return p.out })
	fmt.Printf("RESULT in_per_s=%.0f in_postfix_per_s=%s ratio_in=%s out_per_s=%.0f out_postfix_per_s=%s ratio_out=%s sign_limit_per_s=%.0f goodput_2x=%.2f\n",
		in.peak, postfixIn, ratioIn, out, postfixOut, ratioOut, limit, in.twice/in.peak)
	return failure(problems)
}

// beside tells Postfix's figure, and how many times it ours is.
func beside(ours float64, theirs *postfixFigures, figure func(*postfixFigures) float64) (rate, ratio string) {
	if theirs == nil || figure(theirs) == 0 {
		return "na", "na"
	}
	return fmt.Sprintf("%.0f", figure(theirs)), fmt.Sprintf("%.2f", ours/figure(theirs))
}

type inFigures struct {
	peak, twice                     float64
	cpu                             float64 // microseconds per mail
	accepted, refused, refusedTwice int64
}

// in measures mail that comes in, and that everything which was acknowledged is there.
func (b *mailBench) in(ctx context.Context) (*inFigures, []string, error) {
	s, err := newMailSite(b.options, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := s.limit("max_connections: 2000", fmt.Sprintf("max_connections: %d", b.connections)); err != nil {
		return nil, nil, err
	}
	p, _, err := s.startReady(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer p.kill()
	l := &mailLoad{address: s.smtp, size: mailSize}
	f := new(inFigures)
	used := p.usage().cpu
	if f.peak, err = l.rate(ctx, b.connections, b.warm, b.duration); err != nil {
		return nil, nil, err
	}
	f.cpu = float64((p.usage().cpu - used).Microseconds()) / float64(max(1, l.accepted.Load()))
	if b.options.profile {
		profiled := make(chan error, 1)
		go func() { profiled <- s.profile(ctx, 5*time.Second, "harness.prof") }()
		if _, err := l.rate(ctx, b.connections, 0, 6*time.Second); err != nil {
			return nil, nil, err
		}
		if err := <-profiled; err != nil {
			return nil, nil, err
		}
	}
	f.refused = l.refused.Load()
	if f.twice, err = l.rate(ctx, 2*b.connections, b.warm, b.duration); err != nil {
		return nil, nil, err
	}
	f.accepted, f.refusedTwice = l.accepted.Load(), l.refused.Load()-f.refused
	if f.peak == 0 {
		return nil, nil, errors.New("no mail was accepted: " + p.output())
	}
	got, err := s.settled(ctx, int(f.accepted))
	if err != nil {
		return nil, nil, err
	}
	var problems []string
	// A mail whose answer was on its way when the load ended is there and not acknowledged.
	if lost := int(f.accepted) - got; lost > 0 || -lost > 8*b.connections {
		problems = append(problems, fmt.Sprintf("%d mails were acknowledged, and %d are there", f.accepted, got))
	}
	return f, problems, nil
}
