// Harness is Trunkline's load, crash and comparison harness. It runs the built
// daemon as a child and plays everybody around it: the systems that bind in and
// text, and the message centre that the daemon binds to.
//
//	harness bench-smpp    durable keyword round trips per second, beside Kannel
//	harness crash         kill -9 under load, then account for every message
//	harness crash-calls   kill -9 while calls stand, then account for every leg
//	harness bench-timers  a million persons who wait in a flow
//	harness soak          memory under half load
//	harness bench-flow    durable steps through a flow, audiences, triggers
//	harness bench-mail    mail in and out beside Postfix, bad destinations, a long queue
//	harness crash-mail    kill -9 while mails are answered, then account for each
//	harness smuggling     SMTP smuggling and slipped-in commands, both directions
//	harness bench-voice   calls per second beside sipp and Kamailio, and calls that sound well at once
//	harness torture       messages of RFC 4475, each with the answer it has to get
//	harness simulate      random worlds around the runtime: what must never be
//
// It fails when something that must be correct is not, never because of a figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

type command struct {
	name   string
	daemon bool                  // it runs the built daemon
	flow   string                // what that runs
	run    func(*options) runner // declares the command's flags
}

type runner func(context.Context) error

var commands = []command{
	{"bench-smpp", true, keywordFlow, benchSMPP},
	{"crash", true, keywordFlow, crash},
	{"crash-calls", true, keywordFlow, crashCalls},
	{"bench-timers", true, waitingFlow, benchTimers},
	{"soak", true, keywordFlow, soak},
	{"bench-flow", false, "", benchFlow},
	{"smuggling", true, mailedFlow, smuggling},
	{"bench-mail", true, mailedFlow, benchMail},
	{"crash-mail", true, mailedFlow, crashMail},
	{"torture", true, keywordFlow, torture},
	{"bench-voice", true, heldFlow, benchVoice},
	{"simulate", false, "", simulateWorlds},
}

// options are what all commands share.
type options struct {
	flags   *flag.FlagSet
	flow    string
	bin     string
	dir     string
	keep    bool
	profile bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	if len(args) == 0 || !slices.Contains(names, args[0]) {
		return fmt.Errorf("name what to run: %s", strings.Join(names, ", "))
	}
	c := commands[slices.Index(names, args[0])]
	o := &options{flags: flag.NewFlagSet(c.name, flag.ContinueOnError), flow: c.flow}
	if c.daemon {
		o.flags.StringVar(&o.bin, "bin", "bin/trunkline", "the daemon")
	}
	o.flags.StringVar(&o.dir, "dir", "", "where the data goes; default: the system's folder for temporary files")
	o.flags.BoolVar(&o.keep, "keep", false, "keep the data")
	if c.daemon {
		o.flags.BoolVar(&o.profile, "profile", false, "write CPU profiles of the daemon under full load and under the paced one")
	}
	work := c.run(o)
	if err := o.flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood", o.flags.Args())
	}
	var err error
	if c.daemon {
		if o.bin, err = filepath.Abs(o.bin); err != nil {
			return err
		}
		if _, err := os.Stat(o.bin); err != nil {
			return fmt.Errorf("no daemon to test: %w (run `make build` first)", err)
		}
	}
	if o.dir, err = os.MkdirTemp(o.dir, "trunkline-"+c.name+"-"); err != nil {
		return err
	}
	if o.keep {
		fmt.Println("data:", o.dir)
	} else {
		defer os.RemoveAll(o.dir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return work(ctx)
}

// failure makes one error of problems; nil if there are none.
func failure(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return errors.New("what must be correct is not:\n  " + strings.Join(problems, "\n  "))
}
