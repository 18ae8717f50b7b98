package smtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"trunkline/gateway"
	"trunkline/gateway/smtp/authres"
	"trunkline/gateway/smtp/verp"
)

// drainTime is how long mails in flight may take when the edge's context ends.
const drainTime = 5 * time.Second

// Options are what the edge works with. Core and Mailbox have to be there.
type Options struct {
	Core gateway.Core
	// Mailbox finds which number of ours takes mail to an address; without one, domain
	// tells whether others of the address's domain are ours.
	Mailbox func(address string) (number string, domain bool)
	// Returns knows the return paths of our mails; nil: there are none.
	Returns   *verp.Key
	Log       *slog.Logger          // slog.Default() when nil
	Metrics   prometheus.Registerer // a registry of its own when nil
	LogBodies bool
}

// Edge takes mail.
type Edge struct {
	config    Config
	hostname  string
	core      gateway.Core
	mailbox   func(string) (string, bool)
	returns   *verp.Key
	verifier  *authres.Verifier
	trusted   []netip.Prefix // whose mail is not checked
	log       *slog.Logger
	bodies    bool
	metrics   *metrics
	limiter   limiter
	listeners []*listener
	ended     chan struct{} // closed when nothing is waited for any more

	mu       sync.Mutex
	conns    map[*conn]bool
	perPeer  map[netip.Addr]int
	stopping bool
}

// New makes an edge that does not listen yet.
func New(c Config, o Options) (*Edge, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	e := &Edge{
		config: c, hostname: c.Hostname, core: o.Core, mailbox: o.Mailbox, returns: o.Returns, log: o.Log, bodies: o.LogBodies, limiter: limiter{perMinute: c.Rate},
		ended: make(chan struct{}), conns: map[*conn]bool{}, perPeer: map[netip.Addr]int{},
	}
	if e.hostname == "" {
		e.hostname = "localhost"
		if name, err := os.Hostname(); err == nil && validDomain(name) {
			e.hostname = name
		}
	}
	e.authenticate(c.Authentication)
	if e.log == nil {
		e.log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	e.metrics = newMetrics(o.Metrics, e)
	return e, nil
}

// newServer is go-smtp's side of a listener.
func (e *Edge) newServer() *gosmtp.Server {
	s := gosmtp.NewServer(gosmtp.BackendFunc(e.newSession))
	c := e.config
	s.Domain = e.hostname
	s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = int64(c.MaxSize), c.MaxRecipients, c.MaxLine
	s.ReadTimeout, s.WriteTimeout = c.CommandTimeout, c.CommandTimeout
	s.EnableSMTPUTF8 = true
	s.ErrorLog = faults{e}
	return s
}

// faults takes what go-smtp has to tell: panics, which it survives, and connections
// that broke.
type faults struct{ edge *Edge }

// Printf implements gosmtp.Logger.
func (f faults) Printf(format string, args ...any) { f.tell(fmt.Sprintf(format, args...)) }

// Println implements gosmtp.Logger.
func (f faults) Println(args ...any) { f.tell(fmt.Sprintln(args...)) }

func (f faults) tell(text string) {
	if strings.HasPrefix(text, "panic") {
		f.edge.metrics.panics.Inc()
		f.edge.log.Error("an SMTP session ended by a fault", "fault", text)
		return
	}
	f.edge.log.Debug("an SMTP session ended", "reason", text)
}

// Listen opens the addresses.
func (e *Edge) Listen(ctx context.Context) error {
	for _, conf := range e.config.Listen {
		l, err := e.listen(ctx, conf)
		if err != nil {
			e.Close()
			return err
		}
		e.listeners = append(e.listeners, l)
	}
	return nil
}

// Close closes the listeners of an edge that does not run.
func (e *Edge) Close() {
	for _, l := range e.listeners {
		_ = l.Close()
	}
}

// Run takes mail until ctx ends, then finishes what is in flight.
func (e *Edge) Run(ctx context.Context) error {
	var serving errgroup.Group
	failed := make(chan struct{})
	var once sync.Once
	for _, l := range e.listeners {
		serving.Go(func() error {
			err := l.server.Serve(l)
			if errors.Is(err, net.ErrClosed) {
				err = nil
			}
			if err != nil {
				once.Do(func() { close(failed) })
			}
			return err
		})
	}
	select {
	case <-ctx.Done():
	case <-failed:
	}
	e.Stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	var ending errgroup.Group
	for _, l := range e.listeners {
		ending.Go(func() error {
			if l.server.Shutdown(end) != nil {
				return l.server.Close()
			}
			return nil
		})
	}
	_ = ending.Wait() // the listeners are closed already
	close(e.ended)
	e.cut()
	return serving.Wait()
}

// Stop refuses new connections and messages and tells those that are idle to go
// (421). What is in flight goes on until Run's context ends.
func (e *Edge) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return
	}
	e.stopping = true
	for c := range e.conns {
		c.part()
	}
}

// cut ends what is left.
func (e *Edge) cut() {
	e.mu.Lock()
	left := make([]*conn, 0, len(e.conns))
	for c := range e.conns {
		left = append(left, c)
	}
	e.mu.Unlock()
	for _, c := range left {
		_ = c.Close()
	}
}

func (e *Edge) isStopping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping
}

// enter gives a peer a place, or says why there is none.
func (e *Edge) enter(peer netip.Addr) (refused string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stopping:
		return reasonStopping
	case len(e.conns) >= e.config.MaxConnections:
		return reasonConnections
	case e.perPeer[peer] >= e.config.MaxConnectionsPerAddress:
		return reasonPeer
	}
	e.perPeer[peer]++
	return ""
}

func (e *Edge) hold(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns[c] = true
	if e.stopping {
		c.part()
	}
}

func (e *Edge) leave(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	if e.perPeer[c.peer]--; e.perPeer[c.peer] <= 0 {
		delete(e.perPeer, c.peer)
	}
}

func (e *Edge) connectionsOf(l *listener) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		if c.at == l {
			n++
		}
	}
	return n
}

func (e *Edge) connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// ListenerStatus is how a listener stands at the moment.
type ListenerStatus struct {
	Address     string `json:"address"`
	TLS         string `json:"tls"` // none, starttls or implicit
	Connections int    `json:"connections"`
}

// Status tells where mail is taken.
func (e *Edge) Status() []ListenerStatus {
	all := []ListenerStatus{}
	for _, l := range e.listeners {
		kind := "none"
		switch {
		case l.conf.Implicit:
			kind = "implicit"
		case l.conf.TLS != nil:
			kind = "starttls"
		}
		all = append(all, ListenerStatus{Address: l.Addr().String(), TLS: kind, Connections: e.connectionsOf(l)})
	}
	return all
}
