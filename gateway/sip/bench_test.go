package sip

import (
	"log/slog"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/gateway/sip/message"
)

// bare is an edge without loops, and a peer that reads its answers.
func bare(t testing.TB, h Handler) (*Edge, path, *wireConn) {
	t.Helper()
	w := &wire{conns: map[netip.AddrPort]*wireConn{}}
	peer := w.open(phoneAddr)
	e, err := New(decode[Config](t, plainConfig+"source_rate: 1000000000\nmax_calls: 1000000\nmax_delay: 5s"), []Trunk{decode[Trunk](t, phoneTrunk("limits: {calls: 1000000}"))},
		Options{Handler: h, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e.listenUDP = w.listen
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e, path{socket: e.sockets[0], peer: phoneAddr}, peer
}

type answerer struct{}

func (answerer) Invited(l *Leg) func(Event) {
	l.Answer(ourMedia)
	return func(Event) {}
}

// callOnce goes through a call; hangUp says whether to its end.
func callOnce(t testing.TB, e *Edge, p path, peer *wireConn, n int, hangUp bool) {
	id := strconv.Itoa(n)
	text := func(method, tag string) []byte {
		body := ""
		kind := ""
		if method == "INVITE" {
			body, kind = offerText, "\nContent-Type: application/sdp"
		}
		if tag != "" {
			tag = ";tag=" + tag
		}
		seq := map[string]string{"INVITE": "1", "ACK": "1", "BYE": "2"}[method]
		return crlf(method + " sip:+38512345@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK" + id + method + "\nMax-Forwards: 70\nFrom: <sip:a@b>;tag=" + id +
			"\nTo: <sip:c@d>" + tag + "\nCall-ID: " + id + "@x\nCSeq: " + seq + " " + method + "\nContact: <sip:phone@198.51.100.7:5060>" + kind + "\n\n" + body)
	}
	e.datagram(text("INVITE", ""), p)
	m, err := message.Parse((<-peer.in).data)
	if err != nil || m.Status != 200 {
		t.Fatalf("%v %d %s", err, m.Status, m.Phrase)
	}
	to, _ := message.ParseAddress(m.Get(message.To))
	e.datagram(text("ACK", to.Tag()), p)
	if !hangUp {
		return
	}
	e.datagram(text("BYE", to.Tag()), p)
	<-peer.in
}

// BenchmarkCall is INVITE, 200, ACK, BYE, 200, with what the peer does in the
// same process.
func BenchmarkCall(b *testing.B) {
	e, p, peer := bare(b, answerer{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		callOnce(b, e, p, peer, n, true)
	}
}

// TestIdleCallIsSmall: a call that stands costs little, and one that has ended
// nothing beyond what answers repetitions.
func TestIdleCallIsSmall(t *testing.T) {
	e, p, peer := bare(t, answerer{})
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	const calls = 3000
	before, goroutines := heap(), runtime.NumGoroutine()
	for n := range calls {
		callOnce(t, e, p, peer, n, false)
	}
	for len(e.table.all()) != calls {
		runtime.Gosched()
	}
	per := (heap() - before) / calls
	t.Logf("%d octets per idle call", per)
	if per > 20<<10 {
		t.Errorf("%d octets per idle call", per)
	}
	if g := runtime.NumGoroutine(); g > goroutines+20 {
		t.Errorf("%d goroutines for %d idle calls", g-goroutines, calls)
	}
	for _, l := range e.table.all() {
		l.do(func() { l.finish(causeNormal) })
	}
}

func TestFinishedTransactionsAreBounded(t *testing.T) {
	var r replays
	now := time.Now()
	key := func(n int) string { return "key" + strconv.Itoa(n) }
	const puts = 3*maxReplays + 1
	for n := range puts {
		r.put(key(n), make([]byte, 100), now)
	}
	if n := len(r.young) + len(r.old); n > 2*maxReplays || n < maxReplays {
		t.Errorf("%d entries", n)
	}
	if _, ok := r.get(key(puts-maxReplays), now); !ok {
		t.Error("one that is not old is not there")
	}
	if _, ok := r.get(key(1), now); ok {
		t.Error("the oldest is there")
	}
	if _, ok := r.get(key(puts-1), now.Add(replayTime+1)); ok {
		t.Error("it is kept too long")
	}
	for n := range puts {
		r.put(key(n), make([]byte, 10000), now)
	}
	if n := len(r.young) + len(r.old); n > 2*maxReplayBytes/10000+2 {
		t.Errorf("%d entries of 10,000 octets", n)
	}
}
