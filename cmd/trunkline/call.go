package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"trunkline/gateway/rtp"
	"trunkline/gateway/rtp/prompt"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/rtp/wav"
	"trunkline/gateway/sip"
)

// softphone is a phone in the terminal: it speaks SIP and RTP by the daemon's own
// stack, over the network like any phone.
type softphone struct {
	server, from, to     string
	play, digits, record string
	after, longest       time.Duration
	out                  io.Writer
	begun                time.Time
}

func newCall(o *options) *cobra.Command {
	p := new(softphone)
	c := &cobra.Command{
		Use: "call NUMBER", Short: "Call a number of a running daemon, as a phone does", Args: cobra.ExactArgs(1),
		Long: `Call a number over SIP, as a phone does: play a sound, press keys, record what
comes back. The daemon has to know where the call comes from: a trunk with
from: [127.0.0.1/32] lets in what is on this machine.

A comma in --digits waits a second.`,
		Example: `  trunkline call 38591000003 --digits ,,1 --record answer.wav
  trunkline call 38591000003 --play hello.wav --for 20s
  trunkline call 385911234567 --server 192.0.2.10:5060`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.to, p.out = args[0], cmd.OutOrStdout()
			if p.server == "" {
				var s status
				if err := o.call(cmd.Context(), "GET", "/status", nil, &s); err != nil {
					return fmt.Errorf("where to call to is not known; say --server host:port: %w", err)
				}
				if len(s.SIP) == 0 {
					return errors.New("the daemon takes no calls: sip.listen says no address")
				}
				p.server = s.SIP[0]
			}
			return p.run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&p.server, "server", "", "host:port to call over UDP; default: the daemon of this configuration")
	f.StringVar(&p.from, "from", "385911234567", "number of the phone")
	f.StringVar(&p.play, "play", "", "WAVE file to play once the call is answered")
	f.StringVar(&p.digits, "digits", "", "keys to press once the call is answered: 0-9 * # A-D; a comma waits a second")
	f.StringVar(&p.record, "record", "", "WAVE file that gets what is heard")
	f.DurationVar(&p.after, "after", time.Second, "wait so long after the answer before the first key")
	f.DurationVar(&p.longest, "for", time.Minute, "hang up after this time")
	return c
}

// say prints what happens, with the time since the call began.
func (p *softphone) say(format string, args ...any) {
	fmt.Fprintf(p.out, "%6.2f s  %s\n", time.Since(p.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (p *softphone) run(ctx context.Context) (err error) {
	p.begun = time.Now()
	var sound []int16
	if p.play != "" {
		if sound, err = readSound(ctx, p.play); err != nil {
			return err
		}
	}
	if err := checkKeys(p.digits); err != nil {
		return err
	}
	own, err := addressTowards(ctx, p.server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	wheel := rtp.NewWheel(1)
	running.Go(func() { _ = wheel.Run(ctx) })
	ports, err := rtp.NewPorts(own, 40000, 49999, 0)
	if err != nil {
		return err
	}
	session, err := rtp.NewSession(rtp.Config{Ports: ports, Wheel: wheel, Follow: true})
	if err != nil {
		return err
	}
	running.Go(func() { _ = session.Run(ctx) })
	edge, err := p.edge(own, nil)
	if err != nil {
		return err
	}
	signalling, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- edge.Run(signalling) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	if p.record != "" {
		finish, failed := recordTo(p.record, session)
		if failed != nil {
			return failed
		}
		defer func() { cancel(); err = errors.Join(err, finish()) }()
	}
	return p.talk(ctx, edge, session, netip.AddrPortFrom(own, session.Port()), sound)
}

// edge is an edge of our own, with the daemon as its one trunk; h takes its calls.
func (p *softphone) edge(own netip.Addr, h sip.Handler) (*sip.Edge, error) {
	return p.edgeFor(own, h, 1)
}

// edgeFor is an edge for so many calls at once.
func (p *softphone) edgeFor(own netip.Addr, h sip.Handler, calls int) (*sip.Edge, error) {
	config := sip.Config{
		Listen:   []sip.Listener{{Address: netip.AddrPortFrom(own, 0).String(), Transport: sip.UDP}},
		MaxCalls: calls, MaxDelay: time.Second, MaxMessage: 32768, SourceRate: 1000, MaxConnections: 1, MaxConnectionsPerAddress: 1,
		IdleTimeout: time.Minute, UserAgent: "trunkline call",
	}
	trunk := sip.Trunk{
		Name: "daemon", Connect: []string{p.server}, Transport: sip.UDP, Limits: sip.Limits{Calls: calls},
		CallerID: sip.CallerID{Trust: "from", Format: "plain"}, Routes: []sip.Route{{}}, Ping: sip.Ping{DownAfter: 1, UpAfter: 1},
		SessionExpires: 30 * time.Minute, MinSE: 90 * time.Second, Reliable: "supported", Transfer: "refuse", RingTimeout: time.Minute,
		MaxDuration: p.longest + time.Minute, Symmetric: true,
	}
	return sip.New(config, []sip.Trunk{trunk}, sip.Options{Handler: h, Log: slog.New(slog.DiscardHandler)})
}

// talk makes the call and follows it to its end.
func (p *softphone) talk(ctx context.Context, edge *sip.Edge, session *rtp.Session, media netip.AddrPort, sound []int16) error {
	events := make(chan sip.Event, 64)
	sink := func(e sip.Event) {
		select {
		case events <- e:
		default: // who sends so many events within a moment tells nothing new
			if _, last := e.(sip.Ended); last {
				go func() { events <- e }()
			}
		}
	}
	if err := edge.Listen(ctx); err != nil {
		return err
	}
	leg, err := edge.Dial(sip.Dial{Trunk: "daemon", Called: p.to, Caller: p.from, Local: sdp.Local{Media: media}}, sink)
	if err != nil {
		return err
	}
	p.say("calling %s at %s", p.to, p.server)
	longest := time.NewTimer(p.longest)
	defer longest.Stop()
	done := ctx.Done()
	answered := false
	for {
		select {
		case e := <-events:
			switch e := e.(type) {
			case sip.Ringing:
				p.say("ringing (%d)", e.Code)
			case sip.Media:
				if err := session.Agree(e.Agreed); err != nil {
					p.say("the sound can't be played: %v", err)
				}
				p.say("sound agreed on: %s with %s", e.Codec.Name, e.Media)
			case sip.Answered:
				answered = true
				p.say("answered")
				if sound != nil {
					session.Play(rtp.Prompt(sound, 1))
				}
				go p.press(ctx, session)
			case sip.Ended:
				p.say("ended: %s", e.Cause)
				if q := session.Quality(); q.Received > 0 {
					p.say("heard %d packets, %d lost, jitter %v, MOS %.1f", q.Received, q.Lost, q.Jitter.Round(100*time.Microsecond), q.MOS)
				}
				if !answered {
					return fmt.Errorf("the call was not answered: %s", e.Cause)
				}
				return nil
			}
		case d := <-session.Digits():
			p.say("key %c", d)
		case <-longest.C:
			p.say("hanging up")
			leg.Hangup(0)
		case <-done:
			done = nil
			leg.Hangup(0)
		}
	}
}

// press presses the keys in their order.
func (p *softphone) press(ctx context.Context, session *rtp.Session) {
	if p.digits == "" {
		return
	}
	pause := p.after
	for _, key := range p.digits {
		if key == ',' {
			pause += time.Second
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = 250 * time.Millisecond
		_ = session.SendDigits(string(key), 0) // checked before
	}
}

func checkKeys(digits string) error {
	if bad := strings.Trim(strings.ToUpper(digits), "0123456789*#ABCD,"); bad != "" {
		return fmt.Errorf("--digits: %q is no key; 0-9, *, #, A-D and commas are", bad)
	}
	return nil
}

// readSound reads a file as prompts are read.
func readSound(ctx context.Context, name string) ([]int16, error) {
	library, err := prompt.New(prompt.Options{Folder: filepath.Dir(name), Longest: time.Hour})
	if err != nil {
		return nil, err
	}
	return library.File(ctx, filepath.Base(name))
}

// recordTo records what is heard; finish completes the file once the session is over.
func recordTo(name string, session *rtp.Session) (finish func() error, err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	recorder, err := rtp.NewRecorder(file, wav.PCM16, rtp.Peer, rtp.Limits{})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	session.Record(recorder)
	written := make(chan error, 1)
	go func() { written <- recorder.Run(context.Background()) }()
	return func() error { recorder.Stop(); return errors.Join(<-written, file.Close()) }, nil
}

// addressTowards is our address on the way to a host.
func addressTowards(ctx context.Context, server string) (netip.Addr, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server) // sends nothing
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--server: %w", err)
	}
	defer conn.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return local.Addr().Unmap(), err
}
