package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// voiceBench measures calls: how many per second are set up and recorded, beside two
// other programs in the same run, and how many sound well at once.
type voiceBench struct {
	*options
	step   time.Duration
	first  int
	only   string
	growth int
	runs   int // of sipp

	problems []string
}

func benchVoice(o *options) runner {
	b := &voiceBench{options: o}
	o.flags.DurationVar(&b.step, "step", 4*time.Second, "how long each rate is tried")
	o.flags.IntVar(&b.first, "first", 2500, "calls per second that are tried first")
	o.flags.IntVar(&b.growth, "growth", 200_000, "calls over which memory is watched")
	o.flags.StringVar(&b.only, "only", "calls,peers,ivr,bridge,idle", "what is measured")
	return b.run
}

func (b *voiceBench) wants(what string) bool {
	return slices.Contains(strings.Split(b.only, ","), what)
}

// voiceFigures is what all comes to.
type voiceFigures struct {
	calls          callFigures
	sipp, kamailio float64 // clean calls per second; 0: not measured
	ivr, bridged   soundFigures
	idle           float64 // KiB
}

func (b *voiceBench) run(ctx context.Context) error {
	sippHere := installPackages(ctx, map[string]string{"sipp": "sip-tester"})
	if sippHere != nil {
		fmt.Fprintf(os.Stderr, "\n*** NO SIPP, SO NO CALLS PER SECOND: %v ***\n\n", sippHere)
	}
	p50, p99, err := syncProbe(b.dir)
	if err != nil {
		return err
	}
	fmt.Printf("disk: a synced write of 4 KiB takes %s, p99 %s\n", short(p50), short(p99))
	f := new(voiceFigures)
	if sippHere == nil && b.wants("calls") {
		if f.calls, err = b.calls(ctx); err != nil {
			return err
		}
	}
	if sippHere == nil && b.wants("peers") {
		if err := b.peers(ctx, f); err != nil {
			return err
		}
	}
	if b.wants("ivr") {
		if f.ivr, err = b.most(ctx, "ivr", ivrNumber, true, 1000, 500, 3000); err != nil {
			return err
		}
	}
	if b.wants("bridge") {
		if f.bridged, err = b.most(ctx, "bridge", deskLine, false, 500, 250, 1500); err != nil {
			return err
		}
	}
	if b.wants("idle") {
		if f.idle, err = b.idle(ctx); err != nil {
			return err
		}
	}
	b.tell(f)
	return failure(b.problems)
}

func (b *voiceBench) tell(f *voiceFigures) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ANSWERS CALLS\tCLEAN/S\tWHAT IT DOES")
	fmt.Fprintf(t, "trunkline\t%.0f\ta flow's run, media ports, sound, a record synced before the answer and one at the end\n", f.calls.clean)
	if f.sipp > 0 {
		fmt.Fprintf(t, "sipp\t%.0f\tanswers\n", f.sipp)
	}
	if f.kamailio > 0 {
		fmt.Fprintf(t, "kamailio\t%.0f\tanswers, stateful transactions\n", f.kamailio)
	}
	t.Flush()
	fmt.Printf("RESULT cps_clean=%.0f cps_sipp_uas=%.0f cps_kamailio=%.0f goodput_2x=%.2f ivr_calls=%d p99_dev_ms=%.2f lost_packets=%d bridged_calls=%d kb_per_call=%.1f setup_p99_ms=%.1f digit_p99_ms=%.1f growth_kb_per_1000=%.1f\n",
		f.calls.clean, f.sipp, f.kamailio, f.calls.goodput, f.ivr.calls, ms(f.ivr.late), f.ivr.lost+f.bridged.lost, f.bridged.calls, f.idle, ms(f.calls.post99), ms(f.ivr.act99), f.calls.growth)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// best finds the highest rate at which calls are clean: up by a quarter until they
// are not, then halfway back.
func (b *voiceBench) best(ctx context.Context, name, address string) (clean float64, err error) {
	good, bad := 0, 0
	for rate, tries := b.first, 0; tries < 7; tries++ {
		r, err := b.sipp(ctx, address, rate, b.step)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  %-10s %5d/s: %6.0f/s made, %d failed, %d refused, %d sent again, 180 after %s p99 %s\n", name, rate, r.rate, r.failed, r.refused, r.retransmitted, short(r.post50), short(r.post99))
		if r.clean() {
			good, clean = rate, max(clean, r.rate)
		} else {
			bad = rate
		}
		switch {
		case bad == 0:
			rate = rate * 5 / 4
		case good == 0:
			rate = rate / 2
		case bad-good <= good/12:
			return clean, nil
		default:
			rate = (good + bad) / 2
		}
		if err := sleep(ctx, time.Second); err != nil {
			return 0, err
		}
	}
	return clean, nil
}

// callFigures are those of calls that are hung up at once.
type callFigures struct {
	clean   float64 // calls per second
	goodput float64 // at twice that, as a share of the peak
	post99  time.Duration
	growth  float64 // KiB per 1,000 calls
}

func (b *voiceBench) calls(ctx context.Context) (f callFigures, err error) {
	o := *b.options
	o.dir = filepath.Join(b.dir, "calls")
	s, sip, err := newVoiceSite(&o, "127.0.0.1:9")
	if err != nil {
		return f, err
	}
	p, _, err := s.startReady(ctx)
	if err != nil {
		return f, err
	}
	defer p.kill()
	if f.clean, err = b.best(ctx, "trunkline", sip); err != nil {
		return f, err
	}
	if b.profile {
		profiled := make(chan error, 1)
		go func() { profiled <- s.profile(ctx, 5*time.Second, "harness.prof") }()
		if _, err := b.sipp(ctx, sip, int(f.clean), 6*time.Second); err != nil {
			return f, err
		}
		if err := <-profiled; err != nil {
			return f, err
		}
	}
	if f.growth, err = b.grows(ctx, p, sip, int(0.8*f.clean)); err != nil {
		return f, err
	}
	half, err := b.sipp(ctx, sip, int(f.clean/2), b.step)
	if err != nil {
		return f, err
	}
	f.post99 = half.post99
	twice, err := b.sipp(ctx, sip, int(2*f.clean), 8*time.Second)
	if err != nil {
		return f, err
	}
	fmt.Printf("  twice: %.0f/s made, %d failed, %d refused, %d sent again; served per second %v\n", twice.rate, twice.failed, twice.refused, twice.retransmitted, twice.served)
	f.goodput = middle(twice.served) / f.clean
	if b.profile {
		if err := s.fetch(ctx, "/debug/pprof/heap?gc=1", "harness.heap"); err != nil {
			return f, err
		}
		if err := s.fetch(ctx, "/metrics", "harness.metrics"); err != nil {
			return f, err
		}
	}
	if !p.alive() {
		b.problems = append(b.problems, "the daemon has ended by itself: "+p.output())
	}
	return f, nil
}

// grows is by how much the daemon's memory grows over so many calls, in KiB per 1,000.
func (b *voiceBench) grows(ctx context.Context, p *process, sip string, rate int) (float64, error) {
	if b.growth == 0 || rate == 0 {
		return 0, nil
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	before := p.usage().anon // files of the store that are mapped are the system's to keep or not
	r, err := b.sipp(ctx, sip, rate, time.Duration(float64(b.growth)/float64(rate)*float64(time.Second)))
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	after := p.usage().anon
	fmt.Printf("  %d calls more at %d/s: %d failed, %d refused, memory %d to %d MiB\n", r.calls, rate, r.failed, r.refused, before>>20, after>>20)
	return (float64(after) - float64(before)) / 1024 / float64(b.growth) * 1000, nil
}

// middle is the mean of the seconds of a load without its first two and last ones.
func middle(all []float64) float64 {
	if len(all) > 7 {
		all = all[2:7]
	}
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return sum / float64(max(1, len(all)))
}

// peers measures what others do at the same work.
func (b *voiceBench) peers(ctx context.Context, f *voiceFigures) error {
	u, err := b.startSippUAS()
	if err != nil {
		return err
	}
	f.sipp, err = b.best(ctx, u.name, u.address)
	u.process.kill()
	if err != nil {
		return err
	}
	if err := installPackages(ctx, map[string]string{"kamailio": "kamailio"}); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NO COMPARISON WITH KAMAILIO: %v ***\n\n", err)
		return nil
	}
	k, err := b.startKamailio(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NO COMPARISON WITH KAMAILIO: %v ***\n\n", err)
		return nil
	}
	f.kamailio, err = b.best(ctx, k.name, k.address)
	_ = k.process.stop(10 * time.Second)
	return err
}
