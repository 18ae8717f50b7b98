package rtp

import "math"

// Source is sound to be played. Read fills the frame and reports whether more
// follows; it is called from the pace of the call and must not block.
type Source interface {
	Read(frame []int16) (more bool)
}

// Prompt plays samples, which several calls may share, Times times over (0 is
// once, a negative number for ever).
func Prompt(samples []int16, times int) Source {
	if times == 0 {
		times = 1
	}
	return &prompt{samples: samples, times: times}
}

type prompt struct {
	samples []int16
	at      int
	times   int
}

func (p *prompt) Read(frame []int16) bool {
	for n := 0; n < len(frame); {
		if p.at == len(p.samples) {
			if p.times > 0 {
				p.times--
			}
			if p.times == 0 || len(p.samples) == 0 {
				clear(frame[n:])
				return false
			}
			p.at = 0
		}
		k := copy(frame[n:], p.samples[p.at:])
		n, p.at = n+k, p.at+k
	}
	return p.at < len(p.samples) || p.times != 1 && len(p.samples) > 0
}

// List plays one source after the other.
func List(sources ...Source) Source { return &list{sources} }

type list struct{ rest []Source }

func (l *list) Read(frame []int16) bool {
	if len(l.rest) == 0 {
		clear(frame)
		return false
	}
	if !l.rest[0].Read(frame) {
		l.rest = l.rest[1:]
	}
	return len(l.rest) > 0
}

// Tone is a signal of one or two frequencies. With Off 0 it is continuous; with
// Times 0 it never ends.
type Tone struct {
	Hz      [2]float64
	Level   float64 // dBm0 of each frequency
	On, Off int     // ms
	Times   int
}

// Tones of the network as most of Europe knows them (ITU-T E.180), and the beep
// before a recording.
var (
	Ringback = Tone{Hz: [2]float64{425}, Level: -12, On: 1000, Off: 4000}
	Busy     = Tone{Hz: [2]float64{425}, Level: -12, On: 500, Off: 500}
	Beep     = Tone{Hz: [2]float64{1000}, Level: -12, On: 400, Times: 1}
)

// Source makes the tone playable.
func (t Tone) Source() Source {
	on, off := t.On*sampleRate/1000, t.Off*sampleRate/1000
	amplitude := 32124 * math.Pow(10, (t.Level-3.14)/20)
	return &tone{hz: t.Hz, amplitude: amplitude, on: on, off: off, times: t.Times}
}

type tone struct {
	hz        [2]float64
	amplitude float64
	on, off   int // samples
	times     int
	at        int // within on and off
	ended     bool
}

func (t *tone) Read(frame []int16) bool {
	for i := range frame {
		if t.ended {
			clear(frame[i:])
			return false
		}
		frame[i] = t.sample()
		t.step()
	}
	return !t.ended
}

// step goes on by a sample. A continuous tone never begins again.
func (t *tone) step() {
	if t.at++; t.at < t.on+t.off || t.off == 0 && t.times == 0 {
		return
	}
	t.at = 0
	if t.times > 0 {
		t.times--
		t.ended = t.times == 0
	}
}

func (t *tone) sample() int16 {
	if t.at >= t.on && t.off > 0 {
		return 0
	}
	v := 0.0
	for _, hz := range t.hz {
		v += math.Sin(2 * math.Pi * hz * float64(t.at) / sampleRate)
	}
	return int16(max(-32768, min(32767, t.amplitude*v)))
}
