package smpp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
	"trunkline/gateway/smpp/receipt"
)

// patience is how long tests wait for what must come; nothing depends on its
// length.
const patience = 20 * time.Second

// Nothing may be left running when all edges have ended.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		for range 200 {
			if !leaking() {
				os.Exit(0)
			}
			time.Sleep(20 * time.Millisecond)
		}
		buf := make([]byte, 1<<20)
		fmt.Printf("goroutines are left:\n%s\n", buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

func leaking() bool {
	buf := make([]byte, 1<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, s := range stacks {
		if strings.Contains(s, "gateway/smpp.") && !strings.Contains(s, "TestMain") {
			return true
		}
	}
	return false
}

// testCore answers as its functions say, by default at once with yes.
type testCore struct {
	inbound func(gateway.Inbound, func(error))
	query   func(id string) (gateway.State, time.Time, error)
	cancel  func(id string) error
	replace func(id, text string, at time.Time) error

	messages chan gateway.Inbound
	reports  chan gateway.Report
}

func newTestCore() *testCore {
	return &testCore{messages: make(chan gateway.Inbound, 10000), reports: make(chan gateway.Report, 10000)}
}

func (c *testCore) Inbound(m gateway.Inbound, done func(error)) {
	if c.inbound != nil {
		c.inbound(m, done)
		return
	}
	c.messages <- m
	done(nil)
}

func (c *testCore) Report(r gateway.Report, done func(error)) {
	c.reports <- r
	done(nil)
}

func (c *testCore) Query(_ context.Context, _, _, id string) (gateway.State, time.Time, error) {
	return c.query(id)
}

func (c *testCore) Cancel(_ context.Context, _, _, id string) error { return c.cancel(id) }

func (c *testCore) Replace(_ context.Context, _, _, id, text string, at time.Time) error {
	return c.replace(id, text, at)
}

// world is an edge that runs.
type world struct {
	*testing.T
	edge *Edge
	core *testCore
	stop context.CancelFunc
	done chan struct{}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func run(t *testing.T, cfg Config, core *testCore, carriers ...Carrier) *world {
	t.Helper()
	return runWith(t, cfg, Options{Core: core, Log: quiet()}, carriers...)
}

func runWith(t *testing.T, cfg Config, o Options, carriers ...Carrier) *world {
	t.Helper()
	e, err := New(cfg, carriers, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := e.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	core, _ := o.Core.(*testCore)
	w := &world{T: t, edge: e, core: core, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-w.done
	})
	return w
}

func (w *world) address() string { return w.edge.Addresses()[0].String() }

// sending gives a message to the edge and returns where its result comes.
func (w *world) sending(m gateway.Outbound) <-chan gateway.Result {
	if m.ID == "" {
		m.ID = "m"
	}
	ch := make(chan gateway.Result, 1)
	w.edge.Send(context.Background(), m, func(r gateway.Result) { ch <- r })
	return ch
}

func recv[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
	panic("unreachable")
}

// until waits for a condition.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s", what)
		}
	}
}

func (w *world) awaitBound(carrier string, n int) {
	w.Helper()
	until(w, fmt.Sprintf("%d binds of %s", n, carrier), func() bool { return w.bound(carrier) == n })
}

func (w *world) bound(carrier string) int {
	for _, s := range w.edge.Status() {
		if s.Carrier == carrier {
			return s.Bound
		}
	}
	return 0
}

// frame is a PDU that came.
type frame struct {
	pdu.Header
	raw []byte
}

func decode[B any, P interface {
	*B
	pdu.Body
}](t testing.TB, f frame) *B {
	t.Helper()
	b := new(B)
	if err := P(b).Decode(f.raw); err != nil {
		t.Fatalf("%s: %v", f.ID, err)
	}
	return b
}

// peer is the other end of a session, PDU by PDU.
type peer struct {
	t        testing.TB
	conn     net.Conn
	mu       sync.Mutex
	sequence uint32
	frames   chan frame // closed when the connection is
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	p := &peer{t: t, conn: conn, frames: make(chan frame, 20000)}
	go func() {
		defer close(p.frames)
		r := bufio.NewReader(conn)
		for {
			b, h, err := pdu.Read(r, nil, 1<<20)
			if err != nil {
				return
			}
			p.frames <- frame{h, b}
		}
	}()
	t.Cleanup(func() { conn.Close() })
	return p
}

func dial(t testing.TB, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

// send writes a request and returns its sequence number.
func (p *peer) send(id pdu.ID, body pdu.Body) uint32 {
	p.t.Helper()
	p.mu.Lock()
	p.sequence++
	n := p.sequence
	p.mu.Unlock()
	p.write(pdu.Header{ID: id, Sequence: n}, body)
	return n
}

func (p *peer) write(h pdu.Header, body pdu.Body) {
	p.t.Helper()
	if body == nil {
		body = &pdu.Empty{}
	}
	b, err := body.Append(nil, h)
	if err != nil {
		p.t.Fatal(err)
	}
	p.conn.Write(b) // a peer that has gone shows when the answer is read
}

// next returns the next PDU but enquire_links, which it answers.
func (p *peer) next() (frame, bool) {
	p.t.Helper()
	for {
		select {
		case f, ok := <-p.frames:
			if ok && f.ID == pdu.IDEnquireLink {
				p.write(f.Response(pdu.ESME_ROK), nil)
				continue
			}
			return f, ok
		case <-time.After(patience):
			p.t.Fatal("no PDU came")
		}
	}
}

func (p *peer) expect(id pdu.ID) frame {
	p.t.Helper()
	f, ok := p.next()
	if !ok {
		p.t.Fatalf("the connection ended, %s was to come", id)
	}
	if f.ID != id {
		p.t.Fatalf("%s (%s) came, not %s", f.ID, f.Status, id)
	}
	return f
}

func (p *peer) expectEnd() {
	p.t.Helper()
	if f, ok := p.next(); ok {
		p.t.Fatalf("%s (%s) came, not the end", f.ID, f.Status)
	}
}

// request sends a request and returns its answer.
func (p *peer) request(id pdu.ID, body pdu.Body) frame {
	p.t.Helper()
	n := p.send(id, body)
	f, ok := p.next()
	if !ok || f.Sequence != n {
		p.t.Fatalf("%s was answered with %s %d, %v", id, f.ID, f.Sequence, ok)
	}
	return f
}

func (p *peer) bind(kind pdu.ID, systemID, password string) frame {
	p.t.Helper()
	return p.request(kind, &pdu.Bind{SystemID: []byte(systemID), Password: []byte(password), InterfaceVersion: 0x34})
}

// bound is a peer that has bound in.
func bound(t testing.TB, address string, kind pdu.ID, systemID string) *peer {
	t.Helper()
	p := dial(t, address)
	if f := p.bind(kind, systemID, "secret"); f.Status != pdu.ESME_ROK {
		t.Fatalf("the bind was answered with %s", f.Status)
	}
	return p
}

// centre is a message centre to which edges bind out.
type centre struct {
	t testing.TB
	net.Listener
}

func newCentre(t testing.TB) *centre {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &centre{t, l}
}

func (c *centre) address() string { return c.Addr().String() }

// accept takes the next connection and answers its bind.
func (c *centre) accept(status pdu.Status) (*peer, *pdu.Bind) {
	c.t.Helper()
	conn, err := c.Accept()
	if err != nil {
		c.t.Fatal(err)
	}
	p := newPeer(c.t, conn)
	f, ok := p.next()
	if !ok {
		c.t.Fatal("no bind came")
	}
	b := decode[pdu.Bind](c.t, f)
	p.write(f.Response(status), &pdu.BindResp{SystemID: []byte("smsc"), TLVs: pdu.TLVs{}.AppendUint8(pdu.TagSCInterfaceVersion, 0x34)})
	return p, b
}

func address(s string) pdu.Address {
	return pdu.Address{TON: pdu.TONInternational, NPI: pdu.NPIISDN, Addr: []byte(s)}
}

func sms(from, to, text string) *pdu.SM {
	return &pdu.SM{Source: address(from), Dest: address(to), ShortMessage: []byte(text)}
}

func counter(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func responseKey(id string) string { return receipt.ResponseKey([]byte(id), receipt.Auto) }

// syncBuffer collects a log.
type syncBuffer struct {
	mu sync.Mutex
	strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Builder.String()
}

func (b *syncBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
