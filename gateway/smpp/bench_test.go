package smpp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"trunkline/gateway"
	"trunkline/gateway/smpp/pdu"
)

// echo is a core that keeps nothing: it acknowledges at once and replies.
type echo struct {
	testCore
	edge *Edge
}

func (c *echo) Inbound(m gateway.Inbound, done func(error)) {
	done(nil)
	c.edge.Send(context.Background(), gateway.Outbound{ID: m.ID, Channel: gateway.SMS, Carrier: m.Carrier, From: m.To, To: m.From, Text: m.Text}, func(r gateway.Result) {
		if r.Fate != gateway.FateAccepted {
			panic(fmt.Sprintf("a reply ended with %+v", r))
		}
	})
}

// BenchmarkEdge is a message in, acknowledged, and one out, acknowledged, per
// operation, over loopback; the peers run in the same process.
func BenchmarkEdge(b *testing.B) {
	for _, sessions := range []int{1, 8} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) { benchmarkEdge(b, sessions, 50) })
	}
}

func benchmarkEdge(b *testing.B, sessions, window int) {
	core := new(echo)
	carrier := bindsIn("bench")
	carrier.Accept.MaxBinds, carrier.Window = sessions, window
	cfg := testConfig()
	e, err := New(cfg, []Carrier{carrier}, Options{Core: core, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	core.edge = e
	ctx, cancel := context.WithCancel(context.Background())
	if err := e.Listen(ctx); err != nil {
		b.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.Run(ctx)
	}()
	var peers []*benchPeer
	for range sessions {
		peers = append(peers, newBenchPeer(b, e.Addresses()[0].String(), window))
	}
	b.ReportAllocs()
	b.ResetTimer()
	share := (b.N + sessions - 1) / sessions
	var all sync.WaitGroup
	for _, p := range peers {
		all.Add(1)
		go func() { defer all.Done(); p.submit(share) }()
	}
	total := sessions * share
	count := make(chan struct{}, 1024)
	for _, p := range peers {
		go p.read(count)
	}
	for range total {
		<-count
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "msgs/s")
	for _, p := range peers {
		p.conn.Close()
	}
	cancel()
	<-stopped
}

// benchPeer keeps a window of submit_sm open and acknowledges deliver_sm.
type benchPeer struct {
	conn   net.Conn
	w      *bufio.Writer
	mu     sync.Mutex
	tokens chan struct{}
}

func newBenchPeer(b *testing.B, address string, window int) *benchPeer {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	p := &benchPeer{conn: conn, w: bufio.NewWriterSize(conn, 32<<10), tokens: make(chan struct{}, window)}
	bind, _ := (&pdu.Bind{SystemID: []byte("bench"), Password: []byte("secret"), InterfaceVersion: 0x34}).Append(nil, pdu.Header{ID: pdu.IDBindTransceiver, Sequence: 1})
	conn.Write(bind)
	buf, h, err := pdu.Read(conn, nil, 1<<16)
	if err != nil || h.Status != pdu.ESME_ROK {
		b.Fatal(err, h, buf)
	}
	for range window {
		p.tokens <- struct{}{}
	}
	return p
}

func (p *benchPeer) submit(n int) {
	body := sms("38591000002", "38591000001", "Hello, is the shoe available in size 43?")
	var buf []byte
	for i := range n {
		select {
		case <-p.tokens:
		default:
			p.flush()
			<-p.tokens
		}
		buf, _ = body.Append(buf[:0], pdu.Header{ID: pdu.IDSubmitSM, Sequence: uint32(i%1000000 + 2)})
		p.mu.Lock()
		p.w.Write(buf)
		p.mu.Unlock()
	}
	p.flush()
}

func (p *benchPeer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w.Flush()
}

// read counts the replies.
func (p *benchPeer) read(count chan<- struct{}) {
	r := bufio.NewReaderSize(p.conn, 32<<10)
	var buf, out []byte
	for {
		var h pdu.Header
		var err error
		if buf, h, err = pdu.Read(r, buf, 1<<16); err != nil {
			return
		}
		switch h.ID {
		case pdu.IDSubmitSMResp:
			if h.Status != pdu.ESME_ROK {
				panic(h.Status.String())
			}
			p.tokens <- struct{}{}
		case pdu.IDDeliverSM:
			out, _ = (&pdu.SMResp{}).Append(out[:0], h.Response(pdu.ESME_ROK))
			p.mu.Lock()
			p.w.Write(out)
			p.mu.Unlock()
			count <- struct{}{}
		}
		if r.Buffered() == 0 {
			p.flush()
		}
	}
}
