package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"text/tabwriter"
	"time"

	"trunkline/flowengine/runtime"
	"trunkline/storage/badger"
)

// windowOut is that of each bind of the daemon: small, so that little can be in
// doubt when it dies.
const windowOut = 50

// inDoubtMost is how many replies can be with the message centre, or answered
// by it and not yet durable, when the daemon dies: a window on each bind, and
// on each of its executors the batch being synced and the one being filled, of
// 256 tasks each. Only these may come again (rule X2).
func inDoubtMost(executors int) int { return bindsOut*windowOut + 2*256*executors }

// crashTest kills the daemon again and again under load, and then accounts for
// every message.
type crashTest struct {
	*options
	kills         int
	seed          uint64
	esmes, window int
}

func crash(o *options) runner {
	c := &crashTest{options: o}
	o.flags.IntVar(&c.kills, "kills", 30, "how often the daemon is killed")
	o.flags.Uint64Var(&c.seed, "seed", 0, "of the moments of the kills; 0: a new one")
	o.flags.IntVar(&c.esmes, "esmes", 4, "sessions that text")
	o.flags.IntVar(&c.window, "window", 64, "window of each")
	return c.run
}

func (c *crashTest) run(ctx context.Context) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("seed %d\n", c.seed)
	a, ld, err := c.surroundings(ctx, 30*time.Millisecond, windowOut)
	if err != nil {
		return err
	}
	defer a.close()
	a.text(c.esmes, c.window)
	ld.closed(c.esmes * c.window)
	restarts, err := c.killAgainAndAgain(ctx, a)
	if err != nil {
		return err
	}
	p, took, err := a.site.startReady(ctx)
	if err != nil {
		return err
	}
	defer p.kill()
	restarts.add(took)
	if err := sleep(ctx, 2*time.Second); err != nil { // and it must still work
		return err
	}
	v := a.verdict(ctx, p, inDoubtMost(goruntime.GOMAXPROCS(0)))
	p.kill()
	problems, err := recount(a.site.data())
	if err != nil {
		return err
	}
	recountOK := len(problems) == 0

	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MESSAGES\tACKNOWLEDGED\tREFUSED\tNO ANSWER\tREPLIED TO\tLOST\tTWICE\tREPORTS RESENT\tRESTART P50\tMOST")
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", ld.book.size(), v.acked, v.refused, v.unknown, v.replied,
		len(v.missing), v.duplicated, a.smsc.refused.Load(), short(restarts.quantile(0.5)), short(restarts.quantile(1)))
	t.Flush()
	if refusals := ld.refusals(); refusals != "" {
		fmt.Println("refused:", refusals)
	}
	fmt.Printf("RESULT kills=%d acked=%d lost=%d duplicated=%d recount_ok=%t\n", c.kills, v.acked, len(v.missing), v.duplicated, recountOK)
	return failure(append(v.problems, problems...))
}

// killAgainAndAgain starts the daemon and kills it at random moments. One in
// five falls into the start, the others into traffic. It returns how long the
// starts took.
func (c *crashTest) killAgainAndAgain(ctx context.Context, a *around) (*histogram, error) {
	r := rand.New(rand.NewPCG(c.seed, 0))
	starts := new(histogram)
	for i := range c.kills {
		p, err := a.site.start()
		if err != nil {
			return nil, err
		}
		early := r.IntN(5) == 0
		moment := time.Duration(r.Int64N(int64(2 * time.Second)))
		if early {
			moment /= 4
		} else {
			took, err := a.site.ready(ctx, p)
			if err != nil {
				p.kill()
				return nil, fmt.Errorf("after kill %d: %w", i, err)
			}
			starts.add(took)
		}
		err = sleep(ctx, moment)
		alive := p.alive()
		p.kill()
		if err != nil {
			return nil, err
		}
		if !alive {
			return nil, fmt.Errorf("the daemon ended by itself after kill %d: %w\n%s", i, errors.Join(p.err), p.output())
		}
		a.load.life.Add(1)
	}
	return starts, nil
}

// recount compares the stored counters with the histories of all persons (rule
// M5), in the data folder of a daemon that has ended.
func recount(data string) (problems []string, err error) {
	store, err := openStore(data)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	stored, err := runtime.ReadTallies(store)
	if err != nil {
		return nil, err
	}
	counted, err := runtime.Recount(store)
	if err != nil {
		return nil, err
	}
	if len(counted) == 0 {
		return []string{"there is no history to recount"}, nil
	}
	return runtime.Differences(counted, stored), nil
}

// openStore opens the store somewhere below a data folder.
func openStore(data string) (*badger.Store, error) {
	dir, err := storeFolder(data)
	if err != nil {
		return nil, err
	}
	return badger.Open(badger.Options{Dir: dir})
}

// storeFolder finds the folder of the store: the one with the engine's MANIFEST.
func storeFolder(data string) (string, error) {
	for _, pattern := range []string{"MANIFEST", "*/MANIFEST", "*/*/MANIFEST"} {
		if found, err := filepath.Glob(filepath.Join(data, pattern)); err == nil && len(found) == 1 {
			return filepath.Dir(found[0]), nil
		}
	}
	return "", fmt.Errorf("no store below %s", data)
}
