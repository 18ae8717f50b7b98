package rtp

import (
	"time"

	"github.com/pion/rtp"

	"trunkline/gateway/rtp/dtmf"
)

// outbound is the stream to the peer.
type outbound struct {
	ssrc      uint32
	sequence  uint16
	timestamp uint32
	begun     bool // a packet went out since silence
	packets   uint32
	octets    uint32
	keys      dtmf.Sender
	sounded   []Source // keys as sound, for peers without events
	frame     [frameLen]int16
	buffer    [12 + frameLen]byte

	nextReport time.Time
}

// press queues a key.
func (o *outbound) press(events bool, d dtmf.Digit, samples int) error {
	if events {
		return o.keys.Queue(d, samples)
	}
	const usual, longest, most = 100, 1000, 256 // ms, ms, keys
	if len(o.sounded) >= most {
		return dtmf.ErrQueueFull
	}
	ms := min(samples*1000/sampleRate, longest)
	if ms == 0 {
		ms = usual
	}
	low, high := d.Tones()
	o.sounded = append(o.sounded, Tone{Hz: [2]float64{low, high}, Level: -10, On: ms, Off: 80, Times: 1}.Source())
	return nil
}

// Tick is one frame in both directions; the wheel calls it every 20 ms.
func (s *Session) Tick(now time.Time) {
	s.collect()
	heard, said := &s.in.frame, &s.out.frame // this goroutine's alone
	s.mu.Lock()
	if s.ended || !s.terms.agreed {
		s.mu.Unlock()
		return
	}
	s.hearFrame(now, heard)
	if s.terms.event < 0 {
		s.in.detector.Detect(heard[:], s.pressed)
	}
	if s.listener != nil {
		s.listener(heard[:])
	}
	s.say(said)
	if s.recorder != nil && !s.recorder.frame(heard[:], said[:]) {
		s.recorder = nil
	}
	s.watch(now)
	if !now.Before(s.out.nextReport) {
		s.out.nextReport = now.Add(reportPause())
		s.report(now)
	}
	other := s.bridged
	s.mu.Unlock()
	if other != nil {
		other.inbox.put(heard)
	}
}

// hearFrame is the next frame of the peer's sound, silence when nobody listens to it.
func (s *Session) hearFrame(now time.Time, heard *[frameLen]int16) {
	in := &s.in
	switch {
	case s.heeded():
		in.buffer().get(s.clock(now), heard)
	case in.jitter != nil && in.jitter.running:
		in.jitter.running = false
		*heard = [frameLen]int16{}
	}
}

// say sends the next frame: a key, or the first that has something of what is
// played, the bridged peer's voice, and silence, which keeps NATs open and
// peers from hanging up.
func (s *Session) say(said *[frameLen]int16) {
	o := &s.out
	timestamp := o.timestamp
	o.timestamp += frameLen
	s.passOn()
	s.sound(said)
	if !s.terms.sends {
		o.begun = false
		return
	}
	if s.terms.event >= 0 {
		if p, send, quiet := o.keys.Frame(timestamp, frameLen); send {
			var payload [dtmf.PayloadLen]byte
			s.send(uint8(s.terms.event), p.Timestamp, p.Marker, p.Append(payload[:0]))
			return
		} else if quiet {
			*said = [frameLen]int16{}
		}
	}
	var octets [frameLen]byte
	s.terms.law.Encode(octets[:], said[:])
	s.send(s.terms.payloadType, timestamp, !o.begun, octets[:])
	o.begun = true
}

// passOn presses the keys that the bridged session left. Pressing a key in the
// sound that came in the sound would press it twice.
func (s *Session) passOn() {
	events := s.terms.event >= 0
	for k, ok := s.inbox.nextKey(); ok; k, ok = s.inbox.nextKey() {
		if k.inSound && !events {
			continue
		}
		if s.out.press(events, k.digit, 0) != nil {
			s.in.counts.Overflown++
		}
	}
}

// sound is what we have to say.
func (s *Session) sound(said *[frameLen]int16) {
	bridged := s.inbox.get(said) // always, so that nothing piles up
	switch {
	case len(s.out.sounded) > 0:
		if !s.out.sounded[0].Read(said[:]) {
			s.out.sounded = s.out.sounded[1:]
		}
	case s.playing != nil:
		if !s.playing.source.Read(said[:]) {
			close(s.playing.done)
			s.playing = nil
		}
	case !bridged:
		*said = [frameLen]int16{}
	}
}

// send writes a packet. UDP does not say whether it arrives, and what the
// socket says is of the packet before; reports and inactivity tell the truth.
func (s *Session) send(payloadType uint8, timestamp uint32, marker bool, payload []byte) {
	to := s.latch.target()
	if to.Port() == 0 || to.Addr().IsUnspecified() {
		return
	}
	o := &s.out
	header := rtp.Header{Version: 2, Marker: marker, PayloadType: payloadType, SequenceNumber: o.sequence, Timestamp: timestamp, SSRC: o.ssrc}
	n, err := header.MarshalTo(o.buffer[:])
	if err != nil || len(payload) > len(o.buffer)-n {
		return
	}
	n += copy(o.buffer[n:], payload)
	o.sequence++
	o.packets++
	o.octets += uint32(len(payload))
	if packet, ok := s.crypto.seal(o.buffer[:n]); ok {
		s.pair.media.send(packet, to)
	}
}

// watch tells when the peer is silent for too long; not while it may be.
func (s *Session) watch(now time.Time) {
	limit := s.config.Inactivity
	if limit == 0 || !s.terms.listens || s.silent || now.Sub(s.lastHeard) < limit {
		return
	}
	s.silent = true
	select {
	case s.inactive <- struct{}{}:
	default:
	}
}
