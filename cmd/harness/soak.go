package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// soaking watches the daemon's memory under half of its peak load.
type soaking struct {
	*options
	duration, every time.Duration
	esmes, window   int
	rate            float64
}

func soak(o *options) runner {
	s := &soaking{options: o}
	o.flags.DurationVar(&s.duration, "duration", 10*time.Minute, "how long")
	o.flags.DurationVar(&s.every, "every", 10*time.Second, "how often memory is looked at")
	o.flags.IntVar(&s.esmes, "esmes", 4, "sessions that text")
	o.flags.IntVar(&s.window, "window", 256, "window of each")
	o.flags.Float64Var(&s.rate, "rate", 0, "keywords per second; 0: half of the peak, which is measured first")
	return s.run
}

func (s *soaking) run(ctx context.Context) error {
	a, ld, err := s.surroundings(ctx, 100*time.Millisecond, 500)
	if err != nil {
		return err
	}
	defer a.close()
	p, _, err := a.site.startReady(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	a.text(s.esmes, s.window)
	r := &rig{name: "trunkline", load: ld, usage: p.usage}
	if s.rate == 0 {
		f, err := r.peak(ctx, s.esmes*s.window, 2*time.Second, 10*time.Second)
		if err != nil {
			return err
		}
		s.rate = f.rate / 2
		fmt.Printf("the peak is %.0f round trips/s; half of it for %s\n", f.rate, s.duration)
	}
	// The book is finite: a long soak goes slower rather than end early.
	s.rate = min(s.rate, float64(mostMessages-ld.book.size()-1000)/s.duration.Seconds())
	samples, stop := make(chan []float64, 1), make(chan struct{})
	go func() { samples <- sample(stop, s.every, func() float64 { return megabytes(p.usage().rss) }) }()
	anons := make(chan []float64, 1)
	go func() { anons <- sample(stop, s.every, func() float64 { return megabytes(p.usage().anon) }) }()
	f, err := r.steady(ctx, s.rate, 0, s.duration)
	close(stop)
	rss, anon := <-samples, <-anons
	if err != nil {
		return err
	}
	v := a.verdict(ctx, p, 0)
	first, last := quarters(rss)
	anonFirst, anonLast := quarters(anon)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROUND TRIPS/S\tP50\tP99\tCPUS\tRSS MB, FIRST QUARTER\tLAST QUARTER\tMOST\tOWN MB, FIRST\tLAST")
	fmt.Fprintf(t, "%.0f\t%s\t%s\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\n", f.rate, short(f.p50), short(f.p99), f.cpu, first, last, megabytes(f.top), anonFirst, anonLast)
	fmt.Println("RSS counts the pages of the store's files that are mapped, which the kernel takes back when it needs them; OWN is the rest.")
	t.Flush()
	growth := 0.0
	if first > 0 {
		growth = 100 * (last - first) / first
	}
	fmt.Printf("RESULT roundtrips_per_s=%.0f p99_ms=%.1f rss_first_mb=%.0f rss_last_mb=%.0f growth_percent=%.1f own_first_mb=%.0f own_last_mb=%.0f\n",
		f.rate, f.p99.Seconds()*1000, first, last, growth, anonFirst, anonLast)
	return failure(v.problems)
}

// sample takes a value now and then until stop is closed.
func sample(stop <-chan struct{}, every time.Duration, value func() float64) (all []float64) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			all = append(all, value())
		case <-stop:
			return append(all, value())
		}
	}
}

// quarters are the means of the first and the last quarter of the values.
func quarters(all []float64) (first, last float64) {
	if len(all) == 0 {
		return 0, 0
	}
	n := max(1, len(all)/4)
	return mean(all[:n]), mean(all[len(all)-n:])
}

func mean(all []float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}
