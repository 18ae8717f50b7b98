package rtp

import (
	"context"
	"io"
	"sync"
	"time"

	"trunkline/gateway/rtp/wav"
)

// Sides of a call that a recording keeps.
type Sides uint8

// The sides.
const (
	Peer Sides = iota // what the peer says, mono
	Both              // the peer left, we right
)

// Limits end a recording by themselves; zeros are no limits.
type Limits struct {
	Max     time.Duration
	Silence time.Duration // of the peer
}

// Ended says why a recording stopped.
type Ended uint8

// The ends of a recording.
const (
	EndedByCaller Ended = iota // Stop, or the session ended
	EndedByMax
	EndedBySilence
	EndedByWrite // the disk refused
)

// quiet is the mean amplitude below which a frame counts as silence, about
// -42 dBm0.
const quiet = 180

// Recorder takes the sound of a session at the call's pace, and writes it at
// the disk's own. When the disk falls behind by more than eight seconds, what
// does not fit is left out and counted; the call never waits.
type Recorder struct {
	file   *wav.Writer
	sides  Sides
	limits Limits

	mu      sync.Mutex
	stopped bool
	why     Ended
	current block
	samples int
	still   int // samples of silence in a row
	dropped int // blocks

	blocks chan block
	done   chan struct{}
}

type block struct{ peer, own []int16 }

const (
	blockLen = sampleRate // a second
	backlog  = 8
)

// NewRecorder begins a WAVE file. It does not close what is below.
func NewRecorder(w io.WriteSeeker, coding wav.Coding, sides Sides, limits Limits) (*Recorder, error) {
	channels := 1
	if sides == Both {
		channels = 2
	}
	file, err := wav.NewWriter(w, coding, sampleRate, channels)
	if err != nil {
		return nil, err
	}
	return &Recorder{file: file, sides: sides, limits: limits, blocks: make(chan block, backlog+1), done: make(chan struct{})}, nil
}

// Run writes until the recording stops, completes the file, and returns what
// the disk said. When ctx ends, so does the recording.
func (r *Recorder) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, r.Stop)()
	var failed error
	for b := range r.blocks {
		if failed == nil {
			if failed = r.file.Write(b.peer, b.own); failed != nil {
				r.stop(EndedByWrite)
			}
		}
	}
	if failed != nil {
		return failed
	}
	return r.file.Close()
}

// Done is closed when the recording has stopped.
func (r *Recorder) Done() <-chan struct{} { return r.done }

// Stop ends the recording; Run completes the file.
func (r *Recorder) Stop() { r.stop(EndedByCaller) }

// Result is how long the recording is, why it stopped, and how many seconds
// had to be left out.
func (r *Recorder) Result() (length time.Duration, why Ended, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.samples) * time.Second / sampleRate, r.why, r.dropped
}

func (r *Recorder) stop(why Ended) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(why)
}

func (r *Recorder) end(why Ended) {
	if r.stopped {
		return
	}
	r.stopped, r.why = true, why
	if len(r.current.peer) > 0 {
		r.blocks <- r.current // the last place is kept for it
	}
	close(r.blocks)
	close(r.done)
}

// frame takes a frame of each side and reports whether more is wanted.
func (r *Recorder) frame(peer, own []int16) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return false
	}
	r.current.peer = append(r.current.peer, peer...)
	if r.sides == Both {
		r.current.own = append(r.current.own, own...)
	}
	r.samples += len(peer)
	if r.still += len(peer); loud(peer) {
		r.still = 0
	}
	switch {
	case r.limits.Max > 0 && r.samples >= samplesIn(r.limits.Max):
		r.end(EndedByMax)
	case r.limits.Silence > 0 && r.still >= samplesIn(r.limits.Silence):
		r.end(EndedBySilence)
	case len(r.current.peer) >= blockLen:
		r.flush()
	}
	return !r.stopped
}

func (r *Recorder) flush() {
	if len(r.blocks) < backlog {
		r.blocks <- r.current
	} else {
		r.dropped++
	}
	r.current = block{peer: make([]int16, 0, blockLen+frameLen)}
}

func loud(frame []int16) bool {
	sum := 0
	for _, s := range frame {
		sum += max(int(s), -int(s))
	}
	return sum > quiet*len(frame)
}

func samplesIn(d time.Duration) int { return int(d * sampleRate / time.Second) }
