package rtp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// reportPause is five seconds, half more or less, so that the calls of a
// machine don't report all at once (RFC 3550 §6.2).
func reportPause() time.Duration { return 2500*time.Millisecond + rand.N(5*time.Second) }

// Quality is how a call sounds, as far as reports tell.
type Quality struct {
	Received  uint64        // packets
	Lost      int64         // of those that the peer sent us
	Jitter    time.Duration // of what we receive
	Concealed float64       // share of the sound that was made up
	Delay     time.Duration // of the jitter buffer
	RoundTrip time.Duration // 0 until the peer reported
	MOS       float64       // what we hear; 0 until there was something

	PeerReported bool
	PeerLoss     float64 // share of our packets that the peer lost lately
	PeerJitter   time.Duration

	InboundCounts
	Late, Duplicate, Restarts uint64 // packets, packets, streams
	Sent                      uint64 // packets
}

// Quality returns the figures so far.
func (s *Session) Quality() Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, in := s.quality, &s.in
	q.InboundCounts, q.Sent = in.counts, uint64(s.out.packets)
	if !in.reception.started {
		return q
	}
	q.Delay = samplesTime(minDelay)
	if j := in.jitter; j != nil {
		q.Late, q.Duplicate, q.Restarts = j.counts.late, j.counts.duplicate, j.counts.restarts
		q.Delay = samplesTime(float64(j.delay()))
		if played := j.counts.played; played > 0 {
			q.Concealed = float64(j.counts.concealed) / float64(played)
		}
	}
	q.Received, q.Lost = in.reception.received, in.reception.lost()
	q.Jitter = samplesTime(in.reception.jitter)
	lost := float64(max(0, q.Lost)+int64(q.Late)) / float64(in.reception.expected())
	q.MOS = MOS(q.RoundTrip/2+q.Delay+frameTime, min(1, lost))
	return q
}

func samplesTime(n float64) time.Duration {
	return time.Duration(n * float64(time.Second) / sampleRate)
}

// report sends what we know, with more after it when the session ends.
func (s *Session) report(now time.Time, more ...rtcp.Packet) {
	to := s.control.target()
	if to.Port() == 0 || to.Addr().IsUnspecified() {
		return
	}
	var blocks []rtcp.ReceptionReport
	if s.in.reception.started {
		blocks = append(blocks, s.in.reception.report(now))
	}
	var first rtcp.Packet = &rtcp.ReceiverReport{SSRC: s.out.ssrc, Reports: blocks}
	if s.out.packets > 0 {
		first = &rtcp.SenderReport{
			SSRC: s.out.ssrc, NTPTime: ntp(now), RTPTime: s.out.timestamp,
			PacketCount: s.out.packets, OctetCount: s.out.octets, Reports: blocks,
		}
	}
	// The name tells nothing of us (RFC 7022).
	name := rtcp.NewCNAMESourceDescription(s.out.ssrc, fmt.Sprintf("%08x", s.out.ssrc))
	packet, err := rtcp.Marshal(append([]rtcp.Packet{first, name}, more...))
	if err != nil {
		return
	}
	if packet, ok := s.crypto.sealControl(packet); ok {
		s.pair.control.send(packet, to)
	}
}

// receiveControl takes a compound packet off the socket.
func (s *Session) receiveControl(packet []byte, from netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packet, ok := s.crypto.openControl(packet)
	if !ok {
		s.in.counts.Forged++
		return
	}
	packets, err := rtcp.Unmarshal(packet)
	if err != nil {
		s.in.counts.Malformed++
		return
	}
	// Only the host whose voice we hear is believed; the port may be any, as NATs will.
	if from.Addr() != s.latch.target().Addr() && from.Addr() != s.control.described.Addr() {
		s.in.counts.Strangers++
		return
	}
	s.control.locked = from
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			if r := &s.in.reception; r.started && r.ssrc == p.SSRC {
				r.senderReport, r.senderReportAt = uint32(p.NTPTime>>16), now
			}
			s.reported(p.Reports, now)
		case *rtcp.ReceiverReport:
			s.reported(p.Reports, now)
		}
	}
}

// reported takes what the peer says of our stream.
func (s *Session) reported(blocks []rtcp.ReceptionReport, now time.Time) {
	for _, b := range blocks {
		if b.SSRC != s.out.ssrc {
			continue
		}
		s.quality.PeerReported = true
		s.quality.PeerLoss = float64(b.FractionLost) / 256
		s.quality.PeerJitter = samplesTime(float64(b.Jitter))
		if d, ok := roundTrip(now, b); ok {
			s.quality.RoundTrip = d
		}
	}
}
