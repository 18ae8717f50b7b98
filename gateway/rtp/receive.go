package rtp

import (
	"net/netip"
	"time"

	"github.com/pion/rtp"

	"trunkline/gateway/rtp/dtmf"
	"trunkline/gateway/rtp/g711"
)

// inbound is the stream from the peer.
type inbound struct {
	jitter    *jitterBuffer // nil until somebody listens
	reception reception
	keys      dtmf.Receiver
	detector  dtmf.Detector
	counts    InboundCounts
	frame     [frameLen]int16 // played last
}

// InboundCounts are packets of a session that were not played.
type InboundCounts struct {
	Malformed uint64
	Strangers uint64 // from somebody else than the peer
	Unknown   uint64 // with a payload type that was not agreed on
	Overflown uint64 // digits that nobody read
	Forged    uint64 // packets that the agreed key does not fit, or that came before
}

// receive takes a packet off the socket.
func (s *Session) receive(packet []byte, from netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packet, ok := s.crypto.open(packet)
	if !ok {
		s.in.counts.Forged++
		return
	}
	var p rtp.Packet
	err := p.Unmarshal(packet)
	switch {
	case err != nil || p.Version != 2:
		s.in.counts.Malformed++
	case !s.terms.agreed || !s.known(p.PayloadType):
		s.in.counts.Unknown++
	case !s.latch.accept(from, p.SequenceNumber, now):
		s.in.counts.Strangers++
	default:
		s.lastHeard, s.silent = now, false
		s.hear(&p, s.clock(now))
	}
}

// comfortNoise is the payload type of RFC 3389: the peer says that it is
// silent. The concealment has faded out by then.
const comfortNoise = 13

// known: peers change between both laws without a word, so both are taken.
func (s *Session) known(payloadType uint8) bool {
	_, voice := s.law(payloadType)
	return voice || payloadType == comfortNoise || int(payloadType) == s.terms.event
}

func (s *Session) law(payloadType uint8) (g711.Law, bool) {
	switch payloadType {
	case s.terms.payloadType:
		return s.terms.law, true
	case 0:
		return g711.MuLaw, true
	case 8:
		return g711.ALaw, true
	}
	return 0, false
}

func (s *Session) hear(p *rtp.Packet, now int64) {
	in := &s.in
	if in.reception.started && in.reception.ssrc != p.SSRC { // another source: a transfer behind the peer
		in.restart()
		in.keys = dtmf.Receiver{}
	}
	if int(p.PayloadType) == s.terms.event {
		// Events keep the timestamp of their beginning: they count as packets, not as jitter.
		in.reception.packet(now, p.SSRC, p.SequenceNumber, uint32(now-in.reception.transit))
		if e, err := dtmf.ParseEvent(p.Payload); err != nil {
			in.counts.Malformed++
		} else if d, ok := in.keys.Receive(e, p.Timestamp, p.Marker); ok {
			s.pressed(d)
		}
		return
	}
	in.reception.packet(now, p.SSRC, p.SequenceNumber, p.Timestamp)
	if law, voice := s.law(p.PayloadType); voice && s.terms.listens && s.heeded() {
		var pcm [maxPacket]int16
		n := law.Decode(pcm[:], p.Payload)
		in.buffer().put(now, p.Timestamp, pcm[:n])
	}
}

// heeded says whether somebody listens to the peer's sound: another leg, a recording, a
// listener, or we to keys in it. Otherwise its packets are counted and that is all:
// a caller in a menu says nothing that matters but keys.
func (s *Session) heeded() bool {
	return s.bridged != nil || s.recorder != nil || s.listener != nil || s.terms.event < 0
}

// buffer is the jitter buffer, made when it is needed first.
func (in *inbound) buffer() *jitterBuffer {
	if in.jitter == nil {
		in.jitter = new(jitterBuffer)
	}
	return in.jitter
}

func (in *inbound) restart() {
	if in.jitter != nil {
		in.jitter.running = false
	}
}

// pressed keeps a key for whoever reads them, or passes it on.
func (s *Session) pressed(d dtmf.Digit) {
	if s.relay && s.bridged != nil {
		s.bridged.inbox.key(passedKey{d, s.terms.event < 0})
		return
	}
	select {
	case s.digits <- d:
	default:
		s.in.counts.Overflown++
	}
}
