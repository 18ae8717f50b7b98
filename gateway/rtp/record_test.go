package rtp

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trunkline/gateway/rtp/g711"
	"trunkline/gateway/rtp/sdp"
	"trunkline/gateway/rtp/wav"
)

func TestRecordings(t *testing.T) {
	for name, c := range map[string]struct {
		sides    Sides
		limits   Limits
		channels int
		seconds  float64
		why      Ended
	}{
		"both sides, stopped by hand": {Both, Limits{}, 2, 4, EndedByCaller},
		"at most a second and a half": {Peer, Limits{Max: 1500 * time.Millisecond}, 1, 1.5, EndedByMax},
		"silence":                     {Peer, Limits{Silence: time.Second}, 1, 3.04 + 0.02, EndedBySilence}, // the delay, and a fading end
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "call.wav"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r, err := NewRecorder(f, wav.PCM16, c.sides, c.limits)
			if err != nil {
				t.Fatal(err)
			}
			s := newCall(t, sdp.PCMU, true, Config{})
			s.Record(r)
			s.Play(Prompt(speech(0, frameLen), -1))
			for i := range 200 { // two seconds of speech, two of silence
				pcm := speech(i*frameLen, frameLen)
				if i >= 100 {
					clear(pcm)
				}
				s.tick(g711.MuLaw, pcm)
			}
			r.Stop()
			if err := r.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-r.Done()
			length, why, dropped := r.Result()
			if math.Abs(length.Seconds()-c.seconds) > 0.03 || why != c.why || dropped != 0 {
				t.Errorf("%v, ended by %d, %d dropped", length, why, dropped)
			}
			f.Seek(0, 0)
			sound, err := wav.Read(f, 100000)
			if err != nil || len(sound.Channels) != c.channels || len(sound.Channels[0]) != samplesIn(length) {
				t.Errorf("%d channels, %v", len(sound.Channels), err)
			}
			if c.channels == 2 && gaps(sound.Channels[1]) > 0 {
				t.Error("our side is not in the recording")
			}
		})
	}
}

// A disk that does not keep up never holds up the call.
func TestASlowDiskCostsSecondsOfTheRecordingOnly(t *testing.T) {
	r, err := NewRecorder(&nowhere{}, wav.MuLaw, Peer, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	frame := speech(0, frameLen)
	for range 50 * (backlog + 3) { // nobody writes
		r.frame(frame, frame)
	}
	r.Stop()
	if _, _, dropped := r.Result(); dropped != 3 {
		t.Errorf("%d seconds left out, want 3", dropped)
	}
	full, _ := NewRecorder(&nowhere{room: 100}, wav.MuLaw, Peer, Limits{})
	full.frame(frame, frame)
	full.Stop()
	if err := full.Run(t.Context()); err == nil {
		t.Error("the disk's refusal was not told")
	}
}

// nowhere takes some octets, or all when room is 0.
type nowhere struct{ room, written int }

func (n *nowhere) Write(b []byte) (int, error) {
	if n.written += len(b); n.room > 0 && n.written > n.room {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func (n *nowhere) Seek(int64, int) (int64, error) { return 0, nil }
