package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/configs/strict"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/sip/message"
)

// wire is a network in memory, so that tests have the clock of synctest.
type wire struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*wireConn
	lose  func(from, to netip.AddrPort, data []byte) bool
}

type packet struct {
	from netip.AddrPort
	data []byte
}

type wireConn struct {
	wire *wire
	addr netip.AddrPort
	in   chan packet
	once sync.Once
	done chan struct{}
	fail chan error
}

func (w *wire) listen(address string) (packetConn, error) {
	return w.open(netip.MustParseAddrPort(address)), nil
}

func (w *wire) open(addr netip.AddrPort) *wireConn {
	c := &wireConn{wire: w, addr: addr, in: make(chan packet, 1024), done: make(chan struct{}), fail: make(chan error, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[addr] = c
	return c
}

func (c *wireConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-c.in:
		return copy(b, p.data), p.from, nil
	case err := <-c.fail:
		return 0, netip.AddrPort{}, err
	case <-c.done:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (c *wireConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.wire.mu.Lock()
	other, lose := c.wire.conns[to], c.wire.lose
	c.wire.mu.Unlock()
	if other == nil || lose != nil && lose(c.addr, to, b) {
		return len(b), nil
	}
	select {
	case other.in <- packet{c.addr, append([]byte(nil), b...)}:
	default:
	}
	return len(b), nil
}

func (c *wireConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

func (c *wireConn) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

var (
	ourAddr   = netip.MustParseAddrPort("192.0.2.1:5060")
	phoneAddr = netip.MustParseAddrPort("198.51.100.7:5060")
	ourMedia  = sdp.Local{Media: netip.MustParseAddrPort("192.0.2.1:20000")}
)

// phoneTrunk is the trunk of the test's peer, with more settings.
func phoneTrunk(more ...string) string {
	return "trunk: phone\nfrom: [198.51.100.0/24]\nconnect: [\"198.51.100.7:5060\"]\nping: {interval: 0s}\n" + strings.Join(more, "\n")
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	doc := strict.Parse("test.yaml", []byte(text), strict.Options{})
	doc.Decode(&v)
	if err := doc.Err(); err != nil {
		t.Fatal(err)
	}
	return v
}

// host is the handler of tests: it notes legs and events.
type host struct {
	mu     sync.Mutex
	do     func(*Leg)
	events map[string][]Event
	legs   []*Leg
}

func (h *host) Invited(l *Leg) func(Event) {
	h.mu.Lock()
	h.legs = append(h.legs, l)
	h.mu.Unlock()
	if h.do != nil {
		h.do(l)
	}
	return h.sink(l.ID)
}

func (h *host) sink(id string) func(Event) {
	return func(e Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.events == nil {
			h.events = map[string][]Event{}
		}
		h.events[id] = append(h.events[id], e)
	}
}

func (h *host) leg(t testing.TB) *Leg {
	t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.legs) == 0 {
		t.Fatal("no call came in")
	}
	return h.legs[len(h.legs)-1]
}

// told lists the events of a leg in short.
func (h *host) told(id string) string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, e := range h.events[id] {
		switch e := e.(type) {
		case Ringing:
			list = append(list, fmt.Sprintf("ringing %d", e.Code))
		case Media:
			early := ""
			if e.Early {
				early = " early"
			}
			list = append(list, fmt.Sprintf("media %s %s %s%s", e.Codec.Name, e.Media, e.Direction, early))
		case Answered:
			list = append(list, "answered")
		case Digit:
			list = append(list, fmt.Sprintf("digit %c %s", e.Digit, e.Duration))
		case Transfer:
			list = append(list, "transfer "+e.Number)
		case Refused:
			list = append(list, fmt.Sprintf("refused %d", e.Code))
		case Ended:
			list = append(list, fmt.Sprintf("ended %d %d %s", e.Code, e.Q850, e.By))
		}
	}
	return strings.Join(list, ", ")
}

// world is an edge and a peer on a network in memory.
type world struct {
	*testing.T
	wire  *wire
	edge  *Edge
	host  *host
	phone *phone
	stop  func()
	reg   *prometheus.Registry
}

// counter adds up a metric over its labels.
func (w *world) counter(name string) (sum float64) {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

const plainConfig = "listen: [{address: \"192.0.2.1:5060\"}]\ndrain_timeout: 0s\n"

// inWorld runs a test with the clock of synctest.
func inWorld(t *testing.T, config, trunk string, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, wire: &wire{conns: map[netip.AddrPort]*wireConn{}}, host: &host{}, reg: prometheus.NewRegistry()}
		var err error
		w.edge, err = New(decode[Config](t, config), []Trunk{decode[Trunk](t, trunk)}, Options{Handler: w.host, Metrics: w.reg, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w.edge.listenUDP = w.wire.listen
		w.phone = w.newPhone(phoneAddr)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		if err := w.edge.Listen(ctx); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- w.edge.Run(ctx) }()
		w.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		defer w.stop()
		synctest.Wait()
		test(w)
	})
}

// phone is a peer that says what the test writes.
type phone struct {
	t    *testing.T
	conn *wireConn
	n    int
}

func (w *world) newPhone(addr netip.AddrPort) *phone { return &phone{t: w.T, conn: w.wire.open(addr)} }

// send sends a message; line ends of the text become CRLF, Content-Length is
// added.
func (p *phone) send(text string) {
	p.t.Helper()
	_, _ = p.conn.WriteToUDPAddrPort(crlf(text), ourAddr)
	synctest.Wait()
}

func crlf(text string) []byte {
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	body = strings.ReplaceAll(body, "\n", "\r\n")
	head = strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n")
	return []byte(head + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body)) + body)
}

// recv waits for a message.
func (p *phone) recv() *message.Message {
	p.t.Helper()
	select {
	case got := <-p.conn.in:
		m, err := message.Parse(got.data)
		if err != nil {
			p.t.Fatalf("the edge sent what cannot be read: %v\n%s", err, got.data)
		}
		return m
	case <-time.After(2 * time.Minute):
		p.t.Fatal("nothing came in two minutes")
		return nil
	}
}

// expect waits for a response or request: "200", "BYE".
func (p *phone) expect(what string) *message.Message {
	p.t.Helper()
	m := p.recv()
	got := m.Method
	if !m.IsRequest() {
		got = fmt.Sprint(m.Status)
	}
	if got != what {
		p.t.Fatalf("got %s %s, want %s\n%+v", got, m.Phrase, what, m.Headers)
	}
	return m
}

// quiet makes sure that nothing comes for a while.
func (p *phone) quiet(d time.Duration) {
	p.t.Helper()
	select {
	case got := <-p.conn.in:
		p.t.Fatalf("something came unexpectedly:\n%s", got.data)
	case <-time.After(d):
	}
}

const offerText = `v=0
o=- 5 6 IN IP4 198.51.100.7
s=-
c=IN IP4 198.51.100.7
t=0 0
m=audio 4000 RTP/AVP 8 0 101
a=rtpmap:101 telephone-event/8000
`

// call is a dialog of the phone.
type call struct {
	*phone
	id, tag    string // ours
	toTag      string // the edge's
	target     string
	cseq       int
	inviteSeq  int
	branch     string
	from, to   string
	fromHeader string
	version    string
	replace    []string // headers that take the place of the usual ones
}

func (p *phone) newCall() *call {
	p.n++
	return &call{phone: p, id: fmt.Sprintf("call%d@phone", p.n), tag: fmt.Sprintf("p%d", p.n), from: "<sip:+385911111111@198.51.100.7>", to: "<sip:+38512345@192.0.2.1>",
		target: "sip:+38512345@192.0.2.1"}
}

// invite sends INVITE with further headers and a body.
func (c *call) invite(body string, headers ...string) {
	c.t.Helper()
	c.cseq++
	c.inviteSeq = c.cseq
	c.branch = fmt.Sprintf("z9hG4bK-%s-%d", c.id, c.cseq)
	if body != "" {
		headers = append(headers, "Content-Type: application/sdp")
	}
	c.send(c.text("INVITE", c.cseq, c.branch, headers...) + "\n\n" + body)
}

func (c *call) text(method string, cseq int, branch string, headers ...string) string {
	from, to := c.from+";tag="+c.tag, c.to
	if c.fromHeader != "" {
		from = c.fromHeader
	}
	if c.toTag != "" {
		to += ";tag=" + c.toTag
	}
	version := "SIP/2.0"
	if c.version != "" {
		version = c.version
	}
	lines := []string{method + " " + c.target + " " + version, "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=" + branch}
	for _, h := range []string{
		"Max-Forwards: 70", "From: " + from, "To: " + to, "Call-ID: " + c.id, fmt.Sprintf("CSeq: %d %s", cseq, method), "Contact: <sip:phone@198.51.100.7:5060>",
	} {
		name, _, _ := strings.Cut(h, ":")
		if !slices.ContainsFunc(c.replace, func(r string) bool { return strings.HasPrefix(r, name+":") }) {
			lines = append(lines, h)
		}
	}
	return strings.Join(append(append(lines, c.replace...), headers...), "\n")
}

// request sends a request within the call.
func (c *call) request(method, body string, headers ...string) {
	c.t.Helper()
	c.cseq++
	c.send(c.text(method, c.cseq, fmt.Sprintf("z9hG4bK-%s-%d", c.id, c.cseq), headers...) + "\n\n" + body)
}

// learn takes over the dialog from a response.
func (c *call) learn(m *message.Message) *message.Message {
	c.t.Helper()
	to, err := message.ParseAddress(m.Get(message.To))
	if err != nil {
		c.t.Fatal(err)
	}
	c.toTag = to.Tag()
	if contact, err := message.ParseAddress(m.Get(message.Contact)); err == nil {
		c.target = contact.URI
	}
	return m
}

func (c *call) ack(body ...string) {
	c.t.Helper()
	headers := []string{}
	if len(body) > 0 {
		headers = append(headers, "Content-Type: application/sdp")
	}
	c.send(c.text("ACK", c.inviteSeq, fmt.Sprintf("z9hG4bK-ack-%s-%d", c.id, c.inviteSeq), headers...) + "\n\n" + strings.Join(body, ""))
}

// ackFailure acknowledges within the INVITE's transaction.
func (c *call) ackFailure(m *message.Message) {
	c.t.Helper()
	c.learn(m)
	c.send(c.text("ACK", c.inviteSeq, c.branch) + "\n\n")
}

// establish makes a call that the host answers.
func (w *world) establish(headers ...string) (*call, *Leg) {
	w.Helper()
	do := w.host.do
	w.host.do = func(l *Leg) { l.Answer(ourMedia) }
	c := w.phone.newCall()
	c.invite(offerText, headers...)
	c.learn(w.phone.expect("200"))
	c.ack()
	w.host.do = do
	return c, w.host.leg(w)
}

// reply answers a request of the edge.
func (p *phone) reply(req *message.Message, status int, tag string, body string, headers ...string) {
	p.t.Helper()
	to := req.Get(message.To)
	if tag != "" {
		to += ";tag=" + tag
	}
	lines := []string{fmt.Sprintf("SIP/2.0 %d X", status)}
	for _, h := range req.Headers {
		if h.Name == message.ViaHeader {
			lines = append(lines, "Via: "+h.Value)
		}
	}
	lines = append(lines, "From: "+req.Get(message.From), "To: "+to, "Call-ID: "+req.Get(message.CallID), "CSeq: "+req.Get(message.CSeq))
	if status < 300 {
		lines = append(lines, "Contact: <sip:phone@198.51.100.7:5060>")
	}
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	p.send(strings.Join(append(lines, headers...), "\n") + "\n\n" + body)
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func addr4(a, b, c, d byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{a, b, c, d}), 5060)
}

func itoa(n int) string { return strconv.Itoa(n) }

// wait lets everything happen that can happen now.
func (w *world) wait() { synctest.Wait() }
