package rtp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtcp"

	"trunkline/gateway/rtp/dtmf"
	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/sdp"
)

// Config is what all sessions of an edge have in common.
type Config struct {
	Ports      *Ports
	Wheel      *Wheel
	Follow     bool          // believe packets from elsewhere than described (peers behind a NAT)
	Inactivity time.Duration // without a packet until Inactive is told; 0: never
}

// typeAhead is how many digits wait for a reader.
const typeAhead = 64

// Session is one call's sound: two sockets, a stream in each direction. All of
// its methods are safe for concurrent use.
type Session struct {
	config Config
	pair   pair
	begin  time.Time

	digits   chan dtmf.Digit
	inactive chan struct{}

	mu        sync.Mutex
	ended     bool
	terms     terms
	latch     latch
	control   latch // of RTCP
	in        inbound
	out       outbound
	playing   *playback
	recorder  *Recorder
	listener  func(heard []int16)
	bridged   *Session
	relay     bool // digits go to the bridged session
	lastHeard time.Time
	silent    bool // Inactive was told
	quality   Quality
	frames    uint32 // ticks; the wheel's alone

	inbox  inbox
	crypto *protection // nil: packets are not encrypted
}

// terms are what signalling agreed on.
type terms struct {
	agreed         bool
	law            g711.Law
	payloadType    uint8
	event          int // payload type, or -1: digits come in the sound
	sends, listens bool
}

// NewSession opens the sockets, so that Port can be offered. Run must be called.
func NewSession(config Config) (*Session, error) {
	opened, err := config.Ports.open()
	if err != nil {
		return nil, err
	}
	s := &Session{
		config: config, pair: opened, begin: time.Now(),
		digits: make(chan dtmf.Digit, typeAhead), inactive: make(chan struct{}, 1),
		latch: latch{follow: config.Follow}, control: latch{follow: config.Follow},
	}
	s.out.ssrc, s.out.sequence, s.out.timestamp = rand.Uint32(), uint16(rand.Uint32()), rand.Uint32()
	s.out.nextReport = s.begin.Add(reportPause())
	s.lastHeard = s.begin
	return s, nil
}

// Port is our RTP port; RTCP is the next.
func (s *Session) Port() uint16 { return s.pair.port }

// Agree takes over the outcome of a negotiation, at first and after each
// re-negotiation.
func (s *Session) Agree(a sdp.Agreed) error {
	t := terms{agreed: true, payloadType: a.Codec.PayloadType, event: -1, sends: a.Direction.Sends(), listens: a.Direction.Receives()}
	switch a.Codec.Name {
	case sdp.PCMU.Name:
		t.law = g711.MuLaw
	case sdp.PCMA.Name:
		t.law = g711.ALaw
	default:
		return fmt.Errorf("rtp: codec %q is not supported; use PCMU or PCMA", a.Codec.Name)
	}
	if a.Event != nil {
		t.event = int(a.Event.PayloadType)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.listens && !s.terms.listens { // back from hold
		s.lastHeard = time.Now()
	}
	if err := s.protect(a.Crypto); err != nil {
		return err
	}
	s.terms = t
	s.latch.describe(unmapped(a.Media))
	s.control.describe(unmapped(a.Control))
	return nil
}

// Run carries the session until ctx ends; then the sockets are closed and the
// ports go to rest.
func (s *Session) Run(ctx context.Context) error {
	remove := s.config.Wheel.Add(s)
	<-ctx.Done()
	remove()
	s.end()
	return nil
}

// end says goodbye and gives everything back.
func (s *Session) end() {
	s.mu.Lock()
	other := s.bridged
	s.ended, s.bridged = true, nil
	s.report(time.Now(), &rtcp.Goodbye{Sources: []uint32{s.out.ssrc}})
	s.play(nil)
	recorder := s.recorder
	s.recorder = nil
	s.mu.Unlock()
	if other != nil {
		other.detach(s)
	}
	if recorder != nil {
		recorder.Stop()
	}
	s.pair.media.close()
	s.pair.control.close()
	s.config.Ports.give(s.pair.port)
}

// maxPacket is longer than any packet that a peer may send us.
const maxPacket = 1500

// controlEvery is how often reports of the peer are looked for, in frames: their
// times are noted by the system.
const controlEvery = 25

// collect takes what has come since the last frame.
func (s *Session) collect() {
	b := s.config.Ports.batches.Get().(*batch)
	defer s.config.Ports.batches.Put(b)
	for n := batchLen; n == batchLen; {
		if n = s.read(s.pair.media, b); n == 0 {
			break
		}
		for i := range n {
			data, from, at := b.packet(i)
			s.receive(data, from, at)
		}
	}
	if s.frames++; s.frames%controlEvery != 0 {
		return
	}
	for i := range s.read(s.pair.control, b) {
		data, from, at := b.packet(i)
		s.receiveControl(data, from, at)
	}
}

// read reads a socket, which is open until the session has ended.
func (s *Session) read(d *datagrams, b *batch) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0
	}
	return d.receive(b)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// clock is the time in samples since the session began.
func (s *Session) clock(now time.Time) int64 {
	return int64(now.Sub(s.begin) * sampleRate / time.Second)
}

// Digits are the keys that the peer presses, each once. Those that nobody reads
// wait, up to 64.
func (s *Session) Digits() <-chan dtmf.Digit { return s.digits }

// Inactive tells that nothing was heard for as long as configured. It tells
// again after the peer came back and fell silent once more.
func (s *Session) Inactive() <-chan struct{} { return s.inactive }

// SendDigits presses keys, as events if the peer takes them and in the sound
// otherwise; press 0 is the usual 100 ms.
func (s *Session) SendDigits(digits string, press time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range len(digits) {
		d, ok := dtmf.ParseDigit(digits[i])
		if !ok {
			return fmt.Errorf("rtp: %q is no key; keys are 0-9, *, # and A-D", digits[i])
		}
		if err := s.out.press(s.terms.event >= 0, d, samplesIn(press)); err != nil {
			return err
		}
	}
	return nil
}

// Play plays src in place of what was playing. The channel is closed when it
// ended or was replaced.
func (s *Session) Play(src Source) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.play(src)
}

// StopPlaying ends what is playing.
func (s *Session) StopPlaying() { s.Play(nil) }

type playback struct {
	source Source
	done   chan struct{}
}

func (s *Session) play(src Source) <-chan struct{} {
	if s.playing != nil {
		close(s.playing.done)
		s.playing = nil
	}
	done := make(chan struct{})
	if src == nil || s.ended {
		close(done)
		return done
	}
	s.playing = &playback{src, done}
	return done
}

// Record begins to record, in place of a recording that ran.
func (s *Session) Record(r *Recorder) {
	s.mu.Lock()
	old := s.recorder
	s.recorder = r
	ended := s.ended
	s.mu.Unlock()
	if old != nil {
		old.Stop()
	}
	if ended {
		r.Stop()
	}
}

// Listen lets f have each frame that is heard, from the pace of the call: it must
// not block. nil ends it.
func (s *Session) Listen(f func(heard []int16)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = f
}
