package main

import (
	"context"
	"sync"
	"time"
)

// around is everybody around a daemon: the message centre it binds to and the
// systems that bind in and text.
type around struct {
	site   *site
	smsc   *smsc
	load   *load
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// surroundings starts the message centre and writes the daemon's configuration.
// report is the time from a message to its delivery report, window that of each
// bind of the daemon.
func (o *options) surroundings(ctx context.Context, report time.Duration, window int) (*around, *load, error) {
	ld := newLoad()
	sc, err := newSMSC(ld, report)
	if err != nil {
		return nil, nil, err
	}
	a := &around{smsc: sc, load: ld}
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.all.Go(func() { sc.run(a.ctx) })
	if a.site, err = newSite(o, sc.address(), window); err != nil {
		a.close()
		return nil, nil, err
	}
	return a, ld, nil
}

// text lets systems bind in.
func (a *around) text(count, window int) {
	a.all.Go(func() { esmes(a.ctx, a.load, a.site.smpp, count, window) })
}

// close ends all sessions.
func (a *around) close() {
	a.cancel()
	a.all.Wait()
}

// verdict compares the book with the daemon's own counters, then lets the
// daemon drain and end.
func (a *around) verdict(ctx context.Context, p *process, inDoubt int) verdict {
	a.load.quiet(ctx, patience)
	v := a.load.book.judge(inDoubt)
	if n := a.smsc.owed(); n > 0 {
		v.problems = append(v.problems, "delivery reports are not acknowledged")
	}
	v.problems = append(v.problems, a.site.agree(ctx, func() int { return int(a.load.book.replied.Load()) })...)
	if !p.alive() {
		v.problems = append(v.problems, "the daemon has ended by itself: "+p.output())
		return v
	}
	if err := p.stop(time.Minute); err != nil {
		v.problems = append(v.problems, err.Error())
	} else if p.err != nil {
		v.problems = append(v.problems, "the daemon ended with "+p.err.Error()+": "+p.output())
	}
	return v
}
