// Package greeting tells by the first sounds of a call that we made who has
// answered: a human, who says a word and waits; a machine, which talks on; or a
// fax. It knows samples at 8 kHz, and nothing of calls.
package greeting

import "math"

// Verdict is what is known after a frame.
type Verdict uint8

// The verdicts. After Machine comes Ended, when the greeting is over.
const (
	Listening Verdict = iota
	Human
	Machine
	Fax
	Ended // of the machine's greeting: its beep was heard, or it fell silent
)

// Times in samples. A human says "hello" or a name, then waits; a machine's
// sentence is longer, with pauses shorter than the one that shows a human.
const (
	rate      = 8000
	shortest  = rate / 10     // of a sound that counts as voice
	pause     = rate * 8 / 10 // after a human's words
	longWords = rate * 24 / 10
	silence   = 2 * rate // after a machine's greeting
	beep      = rate / 5 // and its beep, which is a pure tone
	faxTone   = rate / 2 // of the answering tone (2100 Hz, T.30 §4.3.3.1) or the calling one (1100 Hz)
	quiet     = 180.0    // mean amplitude, about -42 dBm0
	spread    = 90.0     // Hz around its own that a pure tone has, with the noise of G.711
	beepFrom  = 350.0    // Hz
	beepTo    = 2200.0   // Hz
)

// Detector listens to one call. The zero value is ready.
type Detector struct {
	voice   int // samples of voice since the call was answered, pauses within it included
	spoken  int // of them, those that were loud
	still   int // samples of silence in a row
	tone    int // samples of the same pure tone in a row
	hz      float64
	machine bool
	done    bool
}

// Frame takes the next 10 to 40 ms of what is heard.
func (d *Detector) Frame(samples []int16) Verdict {
	if d.done || len(samples) < 3 {
		return Listening
	}
	loud := amplitude(samples) > quiet
	d.track(samples, loud)
	switch {
	case d.tone >= faxTone && (near(d.hz, 2100) || near(d.hz, 1100)) && !d.machine:
		return d.finish(Fax)
	case d.machine && (d.tone >= beep && d.hz >= beepFrom && d.hz <= beepTo || d.still >= silence):
		return d.finish(Ended)
	case d.machine:
		return Listening
	case d.voice-d.still >= longWords && d.tone == 0:
		d.machine = true
		return Machine
	case d.spoken >= shortest && d.still >= pause:
		return d.finish(Human)
	}
	return Listening
}

func (d *Detector) finish(v Verdict) Verdict {
	d.done = true
	return v
}

func (d *Detector) track(samples []int16, loud bool) {
	n := len(samples)
	if !loud {
		d.still += n
		d.tone = 0
		if d.spoken > 0 {
			d.voice += n
		}
		return
	}
	d.still = 0
	hz, isTone := sine(samples)
	switch {
	case isTone && d.tone > 0 && math.Abs(hz-d.hz) < 30:
		d.tone += n
	case isTone:
		d.tone, d.hz = n, hz
	default:
		d.tone = 0
	}
	if d.tone < beep { // a long tone is no voice
		d.voice += n
		d.spoken += n
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 40 }

func amplitude(samples []int16) float64 {
	sum := 0
	for _, s := range samples {
		sum += max(int(s), -int(s))
	}
	return float64(sum) / float64(len(samples))
}

// sine tells whether a frame is one pure tone, and which. Of a sine, x[n+1] +
// x[n-1] is 2·cos(ω)·x[n] for every n; the ω that explains the most is taken, and
// what it leaves unexplained tells how far other frequencies are from it.
func sine(x []int16) (hz float64, yes bool) {
	var cross, own, around float64
	for n := 1; n < len(x)-1; n++ {
		both, here := float64(x[n+1])+float64(x[n-1]), float64(x[n])
		cross += both * here
		own += here * here
		around += both * both
	}
	if own == 0 {
		return 0, false
	}
	c := cross / (2 * own)
	if c <= -1 || c >= 1 {
		return 0, false
	}
	left, omega := around-cross*cross/own, math.Acos(c)
	most := 2 * math.Sin(omega) * 2 * math.Pi * spread / rate
	return omega / (2 * math.Pi) * rate, left < most*most*own
}
