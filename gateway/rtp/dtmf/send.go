package dtmf

import "errors"

// Times of a sent press in samples at 8 kHz. The pause is what slow receivers
// need between two equal keys.
const (
	defaultPress = 800  // 100 ms
	minPress     = 320  // 40 ms, what a receiver must recognise (Q.24)
	maxPress     = 8000 // keeps a press within one segment
	pause        = 640  // 80 ms
	endRepeats   = 3    // RFC 4733 §2.5.1.4
	volume       = 10   // -dBm0
	maxQueue     = 256
)

// ErrQueueFull is returned when too many digits wait to be sent.
var ErrQueueFull = errors.New("dtmf: too many digits wait to be sent")

// Packet is an event to be sent in a frame's place.
type Packet struct {
	Event
	Timestamp uint32 // of the beginning of the press
	Marker    bool   // the press's first packet
}

// Sender spells digits as event packets, one per frame. The zero value is
// ready and has nothing to send.
type Sender struct {
	queue   []press
	started bool
	begin   uint32 // timestamp
	ends    int    // End packets sent
	length  uint16 // of the press, once it ended
	quiet   int    // samples of pause left
}

type press struct {
	code     byte
	duration int // samples
}

// Queue adds a press; a duration of 0 samples is the usual one.
func (s *Sender) Queue(d Digit, samples int) error {
	code, ok := d.event()
	if !ok {
		return errors.New("dtmf: no such key: " + string(rune(d)))
	}
	if len(s.queue) >= maxQueue {
		return ErrQueueFull
	}
	if samples == 0 {
		samples = defaultPress
	}
	s.queue = append(s.queue, press{code, min(max(samples, minPress), maxPress)})
	return nil
}

// Busy reports whether something is being sent or waits.
func (s *Sender) Busy() bool { return len(s.queue) > 0 || s.quiet > 0 }

// Frame is asked once per frame, with the frame's timestamp and length, and
// returns the packet to send in place of sound. With more than that to come it
// returns nothing to send and quiet, during a pause.
func (s *Sender) Frame(timestamp uint32, samples int) (p Packet, send, quiet bool) {
	if s.quiet > 0 {
		s.quiet -= samples
		return Packet{}, false, true
	}
	if len(s.queue) == 0 {
		return Packet{}, false, false
	}
	now := s.queue[0]
	first := !s.started
	if first {
		s.started, s.begin, s.ends = true, timestamp, 0
	}
	p = Packet{Timestamp: s.begin, Marker: first}
	p.Code, p.Volume = now.code, volume
	if s.ends == 0 {
		s.length = uint16(timestamp - s.begin + uint32(samples))
	}
	p.Duration = s.length
	if int(s.length) >= now.duration {
		p.End = true
		s.ends++
	}
	if s.ends == endRepeats {
		s.started, s.quiet = false, pause
		s.queue = s.queue[1:]
	}
	return p, true, true
}
