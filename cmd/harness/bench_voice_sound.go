package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// soundFigures are those of calls that sound.
type soundFigures struct {
	calls   int // at once that sounded well
	late    time.Duration
	lost    int64
	act99   time.Duration // from a key to another prompt
	perCall float64       // KiB
}

// Well enough, by the requirements.
const (
	wellLate   = 5 * time.Millisecond
	rampPerSec = 250
	soundTime  = 6 * time.Second
	firstPort  = 10000 // as in voiceMore
	lastPort   = 32000
)

// soundRig is a daemon with telephones around.
type soundRig struct {
	site   *site
	daemon *process
	phones *phones
	end    context.CancelFunc
	all    sync.WaitGroup
	made   int
}

func (b *voiceBench) soundRig(ctx context.Context, name string) (*soundRig, error) {
	p, err := newPhones(8)
	if err != nil {
		return nil, err
	}
	o := *b.options
	o.dir = filepath.Join(b.dir, name)
	r := &soundRig{phones: p}
	s, sip, err := newVoiceSite(&o, p.address())
	if err == nil {
		r.site, p.daemon = s, netip.MustParseAddrPort(sip)
		r.daemon, _, err = s.startReady(ctx)
	}
	if err != nil {
		p.sip.Close()
		return nil, err
	}
	ctx, r.end = context.WithCancel(ctx)
	r.all.Go(func() { p.run(ctx) })
	return r, nil
}

func (r *soundRig) close() {
	r.daemon.kill()
	r.end()
	r.all.Wait()
}

// more makes n calls, at a steady pace.
func (r *soundRig) more(ctx context.Context, n int, to string, keys bool) error {
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	tick := time.NewTicker(time.Second / rampPerSec)
	defer tick.Stop()
	for range n {
		<-tick.C
		from := fmt.Sprintf("385921%06d", r.made)
		r.made++
		all.Go(func() {
			if err := r.patiently(ctx, from, to, keys); err != nil {
				failed.Store(&err)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// patiently calls again after a moment when the daemon says that it is behind.
func (r *soundRig) patiently(ctx context.Context, from, to string, keys bool) (err error) {
	for range 5 {
		if _, err = r.phones.call(ctx, from, to, keys); !errors.Is(err, errBehind) {
			return err
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return err
}

// sound is what was heard in some time.
type sound struct {
	late, act     time.Duration
	lost, pressed int64
	acted         int64
	packets       int64
	daemon, own   float64 // processors
	pacer         time.Duration
}

// listen measures for a time.
func (r *soundRig) listen(ctx context.Context, d time.Duration) (sound, error) {
	p := r.phones
	if err := sleep(ctx, time.Second); err != nil {
		return sound{}, err
	}
	dropped := droppedAt(firstPort, lastPort)
	for _, c := range []*atomic.Int64{&p.gaps, &p.packets, &p.pressed, &p.acted} {
		c.Store(0)
	}
	p.lateness, p.acting, p.pace.late = histogram{}, histogram{}, histogram{}
	used, own, began := r.daemon.usage().cpu, machineBusy(), time.Now()
	p.measured.Store(true)
	err := sleep(ctx, d)
	p.measured.Store(false)
	took := time.Since(began).Seconds()
	s := sound{
		late: p.lateness.quantile(0.99), act: p.acting.quantile(0.99), lost: p.gaps.Load(), pressed: p.pressed.Load(), acted: p.acted.Load(), packets: p.packets.Load(),
		pacer: p.pace.late.quantile(0.99),
	}
	s.lost += droppedAt(firstPort, lastPort) - dropped
	s.daemon = (r.daemon.usage().cpu - used).Seconds() / took
	s.own = (machineBusy()-own).Seconds()/took - s.daemon
	return s, err
}

// most finds how many calls sound well at once: more and more of them until they
// don't. Legs are calls with the daemon of each.
func (b *voiceBench) most(ctx context.Context, name, to string, keys bool, first, step, last int) (f soundFigures, err error) {
	r, err := b.soundRig(ctx, name)
	if err != nil {
		return f, err
	}
	defer r.close()
	before := r.daemon.usage().rss
	for n := first; n <= last; n += step {
		if err := r.more(ctx, n-r.made, to, keys); err != nil {
			if ctx.Err() != nil {
				return f, err
			}
			fmt.Printf("  %-8s %5d calls: %v\n", name, n, err)
			break
		}
		s, err := r.listen(ctx, soundTime)
		if err != nil {
			return f, err
		}
		per := float64(r.daemon.usage().rss-before) / float64(n) / 1024
		fmt.Printf("  %-8s %5d calls: p99 %s late, %d of %d packets lost, key to sound p99 %s (%d of %d), %.2f processors, others %.2f (theirs p99 %s late), %.0f KiB each\n",
			name, n, short(s.late), s.lost, s.packets, short(s.act), s.acted, s.pressed, s.daemon, s.own, short(s.pacer), per)
		if f.calls == 0 || s.late < wellLate && s.lost == 0 {
			f = soundFigures{calls: n, late: s.late, lost: s.lost, act99: s.act, perCall: per}
		}
		if s.late >= wellLate || s.lost > 0 {
			break
		}
	}
	if b.profile {
		if err := r.site.profile(ctx, 4*time.Second, name+".prof"); err != nil {
			return f, err
		}
	}
	if !r.daemon.alive() {
		b.problems = append(b.problems, "the daemon has ended by itself: "+r.daemon.output())
	}
	if f.calls == 0 {
		return f, errors.New("no call sounded: " + r.daemon.output())
	}
	return f, nil
}

// idle is the memory of a call that stands and in which the caller is silent.
func (b *voiceBench) idle(ctx context.Context) (kib float64, err error) {
	const calls = 4000
	r, err := b.soundRig(ctx, "idle")
	if err != nil {
		return 0, err
	}
	defer r.close()
	if err := r.more(ctx, 200, voiceNumber, false); err != nil {
		return 0, err
	}
	before := r.daemon.usage().rss
	if err := r.more(ctx, calls, voiceNumber, false); err != nil {
		return 0, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	return float64(r.daemon.usage().rss-before) / calls / 1024, nil
}
