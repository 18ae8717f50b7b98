package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"trunkline/flowengine"
	"trunkline/flowengine/runtime"
	"trunkline/gateway"
	"trunkline/gateway/cdr"
	"trunkline/gateway/httpapi"
	"trunkline/gateway/links"
	"trunkline/gateway/sip"
	"trunkline/gateway/smpp"
	"trunkline/gateway/smtp"
	"trunkline/gateway/smtp/outbound"
	"trunkline/gateway/webhook"
	"trunkline/storage/badger"
)

// daemon is the running gateway: the store, the runtime on it, and the edges.
// newDaemon wires them; this is the one place that knows everybody.
type daemon struct {
	source  source
	log     *slog.Logger
	level   *slog.LevelVar
	metrics *prometheus.Registry
	store   *badger.Store
	rt      *runtime.Runtime
	smpp    *smpp.Edge
	smtp    *smtp.Edge
	email   *outbound.Edge
	http    *webhook.Edge
	hooks   *hookSender
	api     *httpapi.Server
	started time.Time
	ready   atomic.Bool

	mu      sync.Mutex // one reload at a time, after the start
	config  atomic.Pointer[configuration]
	begun   settings // those of the start; what a reload can't change stays so
	control net.Listener
	admin   net.Listener
	// apiListener is nil when the HTTP API is switched off.
	apiListener net.Listener
	links       *links.Server
	// linksListener is nil when there are no short links.
	linksListener net.Listener
	// callFolder is nil when records of calls go to no folder.
	callFolder *cdr.Folder
	// voice is nil when there are no calls.
	voice *voiceEdge
	// effects is the context of what is sent; it ends after the drain.
	effects       context.Context
	cancelEffects context.CancelFunc
}

// newDaemon opens the store and the listeners and joins the parts. Nothing
// works yet, but everything that a mistake outside of the configuration can
// prevent (a port in use, a second daemon on the folder, a full disk) has been tried.
func newDaemon(src source, c *configuration, log *slog.Logger, level *slog.LevelVar) (_ *daemon, err error) {
	d := &daemon{source: src, begun: c.settings, log: log, level: level, metrics: prometheus.NewRegistry(), started: time.Now()}
	d.config.Store(c)
	d.effects, d.cancelEffects = context.WithCancel(context.Background())
	d.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := os.MkdirAll(c.settings.data(src), 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if d.store, err = badger.Open(c.settings.storeOptions(src, log)); err != nil {
		return nil, err
	}
	o := c.settings.runtimeOptions()
	o.Log, o.Metrics, o.Assemble = log, d.metrics, assemble(smpp.Assemble)
	if d.rt, err = runtime.New(d.store, o); err != nil {
		return nil, err
	}
	d.smpp, err = smpp.New(c.settings.SMPP, c.carriers, smpp.Options{
		Core: core{d.rt}, Log: log, Metrics: d.metrics, LogBodies: c.settings.Log.Bodies, OwnNumber: core{d.rt}.ownNumber,
	})
	if err != nil {
		return nil, err
	}
	d.rt.Register(string(gateway.SMS), outlet{sender: d.smpp, ctx: d.effects, units: d.smpp.Parts})
	if err = d.smpp.Listen(context.Background()); err != nil {
		return nil, err
	}
	d.smtp, err = smtp.New(c.settings.SMTP, smtp.Options{
		Core: core{d.rt}, Mailbox: core{d.rt}.mailbox, Returns: returnPaths(d.rt), Log: log, Metrics: d.metrics, LogBodies: c.settings.Log.Bodies,
	})
	if err != nil {
		return nil, err
	}
	if err = d.smtp.Listen(context.Background()); err != nil {
		return nil, err
	}
	if d.email, err = d.newEmail(&c.settings); err != nil {
		return nil, err
	}
	d.rt.Register(string(gateway.Email), outlet{sender: d.email, ctx: d.effects, units: oneUnit})
	if d.http, err = webhook.New(c.settings.HTTP, webhook.Options{Log: log, Metrics: d.metrics}); err != nil {
		return nil, err
	}
	calls := caller{edge: d.http, ctx: d.effects}
	d.rt.Register(flowengine.ChannelHTTP, calls)
	d.hooks = &hookSender{edge: d.http, ctx: d.effects, now: time.Now}
	d.hooks.reload(c.settings.Webhooks)
	d.rt.Register(runtime.HookChannel, d.hooks)
	d.rt.Register(runtime.NotifyChannel, notifier{calls, func(operation string) ([]byte, error) { return d.api.Notification(operation) }})
	if err = d.openVoice(c); err != nil {
		return nil, err
	}
	if a := c.settings.Admin.Listen; a != "" {
		if d.admin, err = new(net.ListenConfig).Listen(context.Background(), "tcp", a); err != nil {
			return nil, fmt.Errorf("admin.listen: %w", err)
		}
	}
	if err = d.openAPI(c.settings.API); err != nil {
		return nil, err
	}
	if err = d.openLinks(c.settings.Links); err != nil {
		return nil, err
	}
	if err = d.openCallFolder(c.settings.Voice.Records.Config); err != nil {
		return nil, err
	}
	d.control, err = listenControl(c.settings.data(src))
	return d, err
}

// close lets go of what newDaemon took.
func (d *daemon) close() {
	d.cancelEffects()
	for _, l := range []net.Listener{d.admin, d.apiListener, d.linksListener, d.control} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.smtp != nil {
		d.smtp.Close()
	}
	if d.voice != nil {
		d.voice.edge.Close()
	}
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Error("the store could not be closed", "error", err)
		}
	}
}

// run serves until ctx ends, then drains: new work is refused, what is in flight
// is finished, then everything is closed. When now ends it stops waiting.
func (d *daemon) run(ctx, now context.Context, up func()) error {
	defer d.close()
	edge, stopEdge := context.WithCancel(now)
	core, stopCore := context.WithCancel(now)
	defer stopEdge()
	defer stopCore()
	var parts, rest errgroup.Group
	rest.Go(func() error { return d.rt.Run(core) })
	rest.Go(func() error { return d.store.Run(core) })
	rest.Go(func() error { return watchdog(core, d.rt.Health) })
	d.serveCallFolder(core, &rest)
	d.mu.Lock() // a reload that comes early waits
	serve(core, &rest, d.control, d.controlHandler())
	if d.admin != nil {
		serve(core, &rest, d.admin, adminHandler(d.metrics, d.rt.Health, d.isReady, d.begun.Admin.Pprof))
	}
	published, err := d.rt.Publish(ctx, d.config.Load().publication())
	d.mu.Unlock()
	if err != nil {
		stopCore()
		return errors.Join(fmt.Errorf("starting the flows: %w", err), rest.Wait())
	}
	for _, w := range published.Warnings {
		d.log.Warn("configuration", "warning", w)
	}
	failed := make(chan error, 1)
	parts.Go(func() error {
		err := d.smpp.Run(edge)
		if err != nil && edge.Err() == nil {
			failed <- err
		}
		return err
	})
	serveEdge(edge, &parts, failed, func() error { return d.smtp.Run(edge) })
	d.serveVoice(edge, core, &parts, &rest, failed)
	parts.Go(func() error { return d.email.Run(edge) })
	parts.Go(func() error { return d.http.Run(edge) })
	d.serveAPI(edge, &parts, failed)
	d.serveLinks(edge, &parts, failed)
	d.ready.Store(true)
	notifySystemd("READY=1")
	up()
	select {
	case <-ctx.Done():
	case err = <-failed: // an edge that cannot go on: say why and stop in order
	}
	d.ready.Store(false)
	notifySystemd("STOPPING=1")
	until := time.Now().Add(d.config.Load().settings.SMPP.DrainTimeout)
	d.smtp.Stop()
	d.stopVoice(until)
	d.drain(now, until)
	d.smpp.DrainUntil(until)
	stopEdge()
	d.cancelEffects()
	err = errors.Join(err, d.await(now, &parts))
	stopCore()
	return errors.Join(err, rest.Wait())
}

// drain lets what is in flight come to its end.
func (d *daemon) drain(now context.Context, until time.Time) {
	ctx, cancel := context.WithDeadline(now, until)
	defer cancel()
	if err := d.rt.Drain(ctx); err != nil {
		d.log.Warn("stopped before everything in flight was answered; it goes on after the next start")
	}
}

// await waits for the edges to end. When now ends it stops waiting: what they
// still wait for is in the store, and goes on after the next start.
func (d *daemon) await(now context.Context, parts *errgroup.Group) error {
	ended := make(chan error, 1)
	go func() { ended <- parts.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-now.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Second): // for a last word to the peers
		d.log.Warn("stopped without waiting")
		return nil
	}
}

// toolsMost bounds the connections of the admin listener and of the control socket.
const toolsMost = 256

// serve runs an HTTP server until ctx ends.
func serve(ctx context.Context, g *errgroup.Group, l net.Listener, h http.Handler) {
	s := newServer(h)
	l = gateway.Limited(l, toolsMost)
	g.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(end) != nil {
			return s.Close()
		}
		return nil
	})
}

// isReady is nil while traffic is taken.
func (d *daemon) isReady() error {
	if err := d.rt.Health(); err != nil {
		return err
	}
	if !d.ready.Load() {
		return errors.New("starting or stopping")
	}
	return nil
}

// reloaded tells what a reload changed.
type reloaded struct {
	Changed  []string `json:"changed"`
	Warnings []string `json:"warnings"`
}

// reload reads the configuration again and makes it run, all or nothing.
func (d *daemon) reload(ctx context.Context) (*reloaded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	notifyReloading()
	defer notifySystemd("READY=1")
	next, err := load(d.source)
	if err != nil {
		d.log.Error("the configuration has mistakes and was not loaded; the running one stays", "error", err)
		return nil, err
	}
	r := &reloaded{Warnings: next.warnings}
	for _, part := range next.settings.restartNeeded(&d.begun) {
		r.Warnings = append(r.Warnings, part+" changed; that takes effect at the next start")
	}
	old := d.config.Load()
	if err := d.smpp.Reload(next.settings.SMPP, next.carriers); err != nil {
		return nil, err
	}
	if err := d.http.Reload(next.settings.HTTP); err != nil {
		return nil, errors.Join(err, d.smpp.Reload(old.settings.SMPP, old.carriers))
	}
	if err := d.reloadVoice(next); err != nil {
		return nil, errors.Join(err, d.smpp.Reload(old.settings.SMPP, old.carriers), d.http.Reload(old.settings.HTTP))
	}
	if err := d.email.Reload(next.settings.Email); err != nil {
		return nil, errors.Join(err, d.smpp.Reload(old.settings.SMPP, old.carriers), d.http.Reload(old.settings.HTTP), d.reloadVoice(old))
	}
	d.hooks.reload(next.settings.Webhooks) // before there is anything to tell them
	published, err := d.rt.Publish(ctx, next.publication())
	if err != nil {
		d.hooks.reload(old.settings.Webhooks)
		return nil, errors.Join(err, d.smpp.Reload(old.settings.SMPP, old.carriers), d.http.Reload(old.settings.HTTP), d.email.Reload(old.settings.Email), d.reloadVoice(old))
	}
	d.config.Store(next)
	d.api.Reload(next.settings.API)
	d.links.Reload(next.settings.Links)
	d.level.Set(next.settings.Log.level())
	r.Changed = published.Changed
	r.Warnings = append(r.Warnings, published.Warnings...)
	d.log.Info("configuration loaded", "flows_changed", len(r.Changed), "warnings", len(r.Warnings))
	return r, nil
}

// status is the daemon at a glance.
type status struct {
	Version  string               `json:"version"`
	Started  time.Time            `json:"started"`
	Ready    bool                 `json:"ready"`
	Health   string               `json:"health"`
	Config   string               `json:"config"`
	Carriers []smpp.CarrierStatus `json:"carriers"`
	// Mail is where mail is taken.
	Mail []smtp.ListenerStatus `json:"mail,omitempty"`
	// SIP is where calls are taken, Trunks the peers, Calls how many stand.
	SIP    []string          `json:"sip,omitempty"`
	Trunks []sip.TrunkStatus `json:"trunks,omitempty"`
	Calls  int               `json:"calls,omitempty"`
}

func (d *daemon) status() *status {
	s := &status{Version: version, Started: d.started, Ready: d.isReady() == nil, Health: "ok", Config: d.source.String(), Carriers: d.smpp.Status(), Mail: d.smtp.Status()}
	if d.voice != nil {
		for _, a := range d.voice.edge.Addresses() {
			s.SIP = append(s.SIP, a.String())
		}
		s.Trunks, s.Calls = d.voice.edge.Status(), d.voice.host.Calls()
	}
	if err := d.rt.Health(); err != nil {
		s.Health = err.Error()
	}
	return s
}

// untilSignal ends stop at the first SIGINT or SIGTERM and now at the second;
// SIGHUP reloads.
func untilSignal(d *daemon, stop, now context.CancelFunc) (release func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		stopping := false
		for s := range signals {
			switch {
			case s == syscall.SIGHUP:
				_, _ = d.reload(context.Background()) // logged there
			case !stopping:
				stopping = true
				d.log.Info("stopping; once more to stop without waiting")
				stop()
			default:
				now()
			}
		}
	}()
	return func() { signal.Stop(signals); close(signals) }
}

// buildInfo is the metric that tells the version.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trunkline_build_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	g.Set(1)
	return g
}
