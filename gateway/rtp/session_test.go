package rtp

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"trunkline/gateway/rtp/dtmf"
	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/sdp"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// pool finds ports that are free at present.
func pool(t testing.TB) *Ports {
	probe := socket(t)
	first := probe.LocalAddr().(*net.UDPAddr).Port &^ 1
	p, err := NewPorts(loopback, uint16(min(first, 65000)), uint16(min(first, 65000)+127), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func socket(t testing.TB) *net.UDPConn {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// call is a session whose peer is the test: packets go in by hand, and the
// wheel is turned by hand.
type call struct {
	*Session
	t             testing.TB
	media, report *net.UDPConn
	now           time.Time
	header        rtp.Header
}

func newCall(t testing.TB, codec sdp.Codec, event bool, config Config) *call {
	config.Ports, config.Wheel = pool(t), NewWheel(1)
	s, err := NewSession(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	c := &call{Session: s, t: t, media: socket(t), report: socket(t), now: s.begin}
	c.header = rtp.Header{Version: 2, SSRC: 77, SequenceNumber: 65530, Timestamp: math.MaxUint32 - 500}
	c.agree(codec, event, sdp.SendRecv)
	return c
}

func (c *call) agree(codec sdp.Codec, event bool, d sdp.Direction) {
	a := sdp.Agreed{Codec: codec, Media: addrOf(c.media), Control: addrOf(c.report), Direction: d}
	if event {
		a.Event = &sdp.Codec{PayloadType: 96}
	}
	if err := c.Agree(a); err != nil {
		c.t.Fatal(err)
	}
}

// packet arrives from the described address.
func (c *call) packet(payloadType uint8, payload []byte) {
	c.header.PayloadType = payloadType
	raw, err := (&rtp.Packet{Header: c.header, Payload: payload}).Marshal()
	if err != nil {
		c.t.Fatal(err)
	}
	c.header.SequenceNumber++
	c.receive(raw, addrOf(c.media), c.now)
}

// tick is 20 ms in which the peer says pcm, if anything.
func (c *call) tick(law g711.Law, pcm []int16) {
	if pcm != nil {
		octets := make([]byte, len(pcm))
		law.Encode(octets, pcm)
		c.packet(map[g711.Law]uint8{g711.MuLaw: 0, g711.ALaw: 8}[law], octets)
		c.header.Timestamp += uint32(len(pcm))
	}
	c.Tick(c.now)
	c.now = c.now.Add(frameTime)
}

// sent is the next packet that the session sent to the peer.
func (c *call) sent() (p rtp.Packet) {
	buffer := make([]byte, maxPacket)
	c.media.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := c.media.Read(buffer)
	if err == nil {
		err = p.Unmarshal(buffer[:n])
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func speech(from, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = voice(int64(from + i))
	}
	return out
}

func TestPacketsGoOutOneAfterTheOther(t *testing.T) {
	c := newCall(t, sdp.PCMA, true, Config{})
	prompt := speech(0, 3*frameLen)
	done := c.Play(Prompt(prompt, 1))
	var last rtp.Packet
	for i := range 6 {
		c.tick(0, nil)
		p := c.sent()
		if p.PayloadType != 8 || p.Marker != (i == 0) || len(p.Payload) != frameLen {
			t.Errorf("packet %d: %+v", i, p.Header)
		}
		if i > 0 && (p.SequenceNumber != last.SequenceNumber+1 || p.Timestamp != last.Timestamp+frameLen || p.SSRC != last.SSRC) {
			t.Errorf("packet %d: %+v after %+v", i, p.Header, last.Header)
		}
		want := make([]byte, frameLen)
		g711.ALaw.Encode(want, append(prompt, make([]int16, 9*frameLen)...)[i*frameLen:])
		if !bytes.Equal(p.Payload, want) {
			t.Errorf("packet %d sounds otherwise", i)
		}
		last = p
	}
	select {
	case <-done:
	default:
		t.Error("the prompt's end was not told")
	}
}

func TestDigitsBothWays(t *testing.T) {
	c := newCall(t, sdp.PCMU, true, Config{})
	if err := c.SendDigits("7x", 0); err == nil {
		t.Error("x is no key")
	}
	event := func(code byte, end bool, duration uint16) {
		c.packet(96, dtmf.Event{Code: code, End: end, Duration: duration}.Append(nil))
	}
	for _, code := range []byte{1, 1, 11} { // the first packet of each is lost, the end comes thrice
		event(code, false, 320)
		for range 3 {
			event(code, true, 800)
		}
		c.header.Timestamp += 1600
	}
	if got := string([]byte{byte(<-c.Digits()), byte(<-c.Digits()), byte(<-c.Digits())}); got != "11#" || len(c.Digits()) != 0 {
		t.Errorf("heard %q and %d more", got, len(c.Digits()))
	}
	for range typeAhead + 5 {
		event(5, true, 800)
		c.header.Timestamp += 1600
	}
	if q := c.Quality(); len(c.Digits()) != typeAhead || q.Overflown != 5 {
		t.Errorf("%d wait, %d overflown", len(c.Digits()), q.Overflown)
	}
	c.tick(0, nil)
	if p := c.sent(); p.PayloadType != 96 || !p.Marker || p.Payload[0] != 7 {
		t.Errorf("sent %+v", p.Header)
	}
}

func TestDigitsInTheSound(t *testing.T) {
	c := newCall(t, sdp.PCMU, false, Config{})
	low, high := dtmf.Digit('9').Tones()
	src := Tone{Hz: [2]float64{low, high}, Level: -10, On: 100, Off: 100, Times: 2}.Source()
	for range 30 {
		frame := make([]int16, frameLen)
		src.Read(frame)
		c.tick(g711.MuLaw, frame)
	}
	if len(c.Digits()) != 2 || <-c.Digits() != '9' {
		t.Errorf("%d digits", len(c.Digits()))
	}
	if err := c.SendDigits("42", 0); err != nil {
		t.Fatal(err)
	}
	var d dtmf.Detector
	var heard []byte
	for i := range 30 + 30 { // those before were silence
		if i >= 30 {
			c.tick(0, nil)
		}
		var pcm [frameLen]int16
		g711.MuLaw.Decode(pcm[:], c.sent().Payload)
		d.Detect(pcm[:], func(k dtmf.Digit) { heard = append(heard, byte(k)) })
	}
	if string(heard) != "42" {
		t.Errorf("the peer hears %q", heard)
	}
}

func TestABridgeTranscodesAndPassesKeysOn(t *testing.T) {
	a, b := newCall(t, sdp.PCMU, true, Config{}), newCall(t, sdp.PCMA, true, Config{})
	if err := errors.Join(Bridge(a.Session, b.Session, true)); err != nil {
		t.Fatal(err)
	}
	if Bridge(a.Session, b.Session, true) == nil || Bridge(a.Session, a.Session, true) == nil {
		t.Error("bridged twice")
	}
	var heard []int16
	for i := range 50 {
		a.tick(g711.MuLaw, speech(i*frameLen, frameLen))
		b.tick(0, nil)
		var pcm [frameLen]int16
		g711.ALaw.Decode(pcm[:], b.sent().Payload)
		heard = append(heard, pcm[:]...)
	}
	if g := gaps(heard[5*frameLen:]); g > 0 {
		t.Errorf("%.2f of the voice does not arrive", g)
	}
	a.packet(96, dtmf.Event{Code: 3, End: true, Duration: 800}.Append(nil))
	b.tick(0, nil)
	if p := b.sent(); p.PayloadType != 96 || p.Payload[0] != 3 || len(a.Digits()) > 0 {
		t.Errorf("the key became %+v, %d to be read", p.Header, len(a.Digits()))
	}
	a.Unbridge()
	if a.bridged != nil || b.bridged != nil {
		t.Error("still bridged")
	}
}

func TestHoldAndInactivity(t *testing.T) {
	c := newCall(t, sdp.PCMU, true, Config{Inactivity: time.Second})
	told := func() bool {
		select {
		case <-c.Inactive():
			return true
		default:
			return false
		}
	}
	run := func(frames int, speak bool) {
		for range frames {
			var pcm []int16
			if speak {
				pcm = speech(0, frameLen)
			}
			c.tick(g711.MuLaw, pcm)
		}
	}
	if run(100, true); told() {
		t.Error("inactive while speaking")
	}
	if run(60, false); !told() || told() {
		t.Error("not told once")
	}
	run(1, true)
	if run(60, false); !told() {
		t.Error("not told again")
	}
	c.agree(sdp.PCMU, true, sdp.SendOnly) // we hold the peer
	before := c.Quality().Sent
	if run(200, false); told() || c.Quality().Sent != before+200 {
		t.Error("a held peer may be silent, and hears us")
	}
	c.agree(sdp.PCMU, true, sdp.Inactive)
	before = c.Quality().Sent
	if run(200, false); told() || c.Quality().Sent != before {
		t.Error("sent to a peer that holds us")
	}
}

func TestReports(t *testing.T) {
	c := newCall(t, sdp.PCMU, true, Config{})
	for i := range 500 {
		if i%10 == 9 {
			c.header.SequenceNumber++ // lost
			c.header.Timestamp += frameLen
			c.tick(0, nil)
			continue
		}
		c.tick(g711.MuLaw, speech(i*frameLen, frameLen))
	}
	buffer := make([]byte, maxPacket)
	c.report.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := c.report.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := rtcp.Unmarshal(buffer[:n])
	if err != nil || rtcp.CompoundPacket(packets).Validate() != nil {
		t.Fatal(packets, err)
	}
	sr := packets[0].(*rtcp.SenderReport)
	if sr.SSRC != c.out.ssrc || sr.PacketCount == 0 || len(sr.Reports) != 1 || sr.Reports[0].SSRC != 77 || sr.Reports[0].FractionLost < 20 || sr.Reports[0].FractionLost > 30 {
		t.Errorf("reported %+v", sr)
	}
	// The peer answers 300 ms after it got our report, of which it held 200.
	answer, _ := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 77, Reports: []rtcp.ReceptionReport{{
		SSRC: c.out.ssrc, FractionLost: 64, LastSenderReport: uint32(sr.NTPTime >> 16), Delay: 65536 / 5,
	}}}})
	at := time.Unix(int64(sr.NTPTime>>32)-2208988800, int64(sr.NTPTime&0xFFFFFFFF)*1e9>>32)
	c.receiveControl(answer, netip.MustParseAddrPort("192.0.2.9:5"), at)
	if q := c.Quality(); q.PeerReported || q.Strangers != 1 {
		t.Error("a stranger's report was believed")
	}
	c.receiveControl(answer, addrOf(c.report), at.Add(300*time.Millisecond))
	q := c.Quality()
	if q.PeerLoss != 0.25 || (q.RoundTrip-100*time.Millisecond).Abs() > time.Millisecond || q.Lost < 49 || q.Lost > 50 || q.MOS < 2.5 || q.MOS > 3.7 {
		t.Errorf("%+v", q)
	}
}

// runTwo runs a wheel and two sessions on it until ctx ends; then each of the three
// sends how it ended.
func runTwo(ctx context.Context, t *testing.T, ports *Ports, wheel *Wheel) (both [2]*Session, ended chan error) {
	t.Helper()
	ended = make(chan error, 3)
	go func() { ended <- wheel.Run(ctx) }()
	for i := range both {
		s, err := NewSession(Config{Ports: ports, Wheel: wheel})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = s
		go func() { ended <- s.Run(ctx) }()
	}
	return both, ended
}

// Two sessions over real sockets, at the wheel's own pace, from opening to the
// ports' rest.
func TestTwoSessionsTalk(t *testing.T) {
	ports, wheel := pool(t), NewWheel(1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	both, ended := runTwo(ctx, t, ports, wheel)
	if ports.InUse() != 2 {
		t.Errorf("%d pairs in use", ports.InUse())
	}
	for i, s := range both {
		peer := netip.AddrPortFrom(loopback, both[1-i].Port())
		event := sdp.TelephoneEvent
		if err := s.Agree(sdp.Agreed{Codec: sdp.PCMA, Event: &event, Media: peer, Control: netip.AddrPortFrom(loopback, peer.Port()+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := both[0].SendDigits("1*", 0); err != nil {
		t.Fatal(err)
	}
	if a, b := <-both[1].Digits(), <-both[1].Digits(); a != '1' || b != '*' {
		t.Errorf("heard %c %c", a, b)
	}
	<-both[0].Play(Beep.Source())
	stop()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if q := both[1].Quality(); q.Received == 0 || q.Strangers+q.Malformed+q.Unknown > 0 {
		t.Errorf("%+v", q)
	}
	if ports.InUse() != 0 {
		t.Errorf("%d pairs in use after the end", ports.InUse())
	}
}

// At 300,000 packets a second, garbage would be all there is to do.
func TestAFrameAllocatesNothing(t *testing.T) {
	a, b := newCall(t, sdp.PCMU, true, Config{}), newCall(t, sdp.PCMA, false, Config{})
	if err := Bridge(a.Session, b.Session, true); err != nil {
		t.Fatal(err)
	}
	raw, _ := (&rtp.Packet{Header: a.header, Payload: make([]byte, frameLen)}).Marshal()
	from := addrOf(a.media)
	if n := testing.AllocsPerRun(200, func() {
		raw[3]++
		a.receive(raw, from, a.now)
		a.Tick(a.now)
		b.Tick(a.now)
		a.now = a.now.Add(time.Millisecond) // no report within the run
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3}, false)
	f.Add([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 5, 0x80, 0, 160}, false)
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 7}, true)
	c := newCall(f, sdp.PCMU, true, Config{})
	f.Fuzz(func(_ *testing.T, in []byte, control bool) {
		if len(in) > maxPacket {
			return
		}
		if control {
			c.receiveControl(in, addrOf(c.report), c.now)
		} else {
			c.receive(in, addrOf(c.media), c.now)
		}
		c.tick(0, nil)
		_ = c.Quality()
	})
}
