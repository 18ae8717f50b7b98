package dtmf

import "math"

// The detector looks at windows of 12.75 ms, every 6.375 ms. A tone of 40 ms
// fills at least four of them and must be heard, one of 23 ms never does
// (Q.24 §2.4). A gap that empties three of them is an interruption, a fourth
// one a pause.
const (
	rate     = 8000
	window   = 102
	hop      = window / 2
	hitsUp   = 4
	missDown = 4
	heard    = window + (hitsUp-1)*hop // samples that the windows of a press cover
)

// Limits of ITU-T Q.24, with the margins that windows of this length need.
const (
	twist        = 12.6  // 8 dB to accept, 3 for what leaks from tone to tone: the high tone weaker, as long lines damp
	reverseTwist = 3.16  // 4 dB and 1: the low tone weaker
	apart        = 6.31  // 8 dB: the tone above each other of its group
	purity       = 0.68  // share of the two tones in all the energy of a window, however it is filled and tuned
	talkOff      = 0.055 // share of all else once the two tones are known exactly: 15 dB of noise are 0.03, voices have more
	deviation    = 0.022 // 1.5 % to accept, 3.5 % to refuse
	minLevel     = -38.0 // dBm0, of the weaker tone
)

// fullScale is the power of a sine of +3.14 dBm0, the loudest that G.711 holds.
const fullScale = 32124.0 * 32124.0 / 2

var minPower = fullScale * math.Pow(10, (minLevel-3.14)/10)

// Detector hears keys in sound (Goertzel's algorithm). The zero value is ready.
type Detector struct {
	samples [heard]float64 // the last ones; the latest window is at the end
	fill    int            // new ones since the last look

	candidate           Digit // in the last window
	hits                int   // windows in a row with it
	lowPhase, highPhase phase
	pressed             Digit // told, and not released yet
	misses              int   // windows in a row without it
}

// Detect takes samples at 8 kHz and calls found for each key, once, when it
// has been down long enough.
func (d *Detector) Detect(in []int16, found func(Digit)) {
	for _, s := range in {
		d.samples[heard-hop+d.fill] = float64(s)
		if d.fill++; d.fill < hop {
			continue
		}
		d.look(found)
		copy(d.samples[:], d.samples[hop:])
		d.fill = 0
	}
}

// look judges one window.
func (d *Detector) look(found func(Digit)) {
	key, low, high := d.measure()
	if key == 0 || key != d.candidate {
		d.hits, d.candidate = 0, key
		d.lowPhase, d.highPhase = phase{}, phase{}
	}
	if key != 0 {
		d.hits++
		d.lowPhase.add(low)
		d.highPhase.add(high)
	}
	if d.pressed != 0 && key == d.pressed {
		d.misses = 0
		return
	}
	if d.pressed != 0 {
		if d.misses++; d.misses < missDown {
			return
		}
		d.pressed = 0
	}
	if d.hits >= hitsUp && d.lowPhase.exact() && d.highPhase.exact() && d.pure() {
		d.pressed, d.misses = key, 0
		found(key)
	}
}

// measure returns the key whose tones fill the window, if any.
func (d *Detector) measure() (key Digit, low, high tone) {
	total := 0.0
	for _, s := range d.window() {
		total += s * s
	}
	total /= window
	if total < 2*minPower {
		return 0, tone{}, tone{}
	}
	r, low, ok := d.strongest(rows)
	if !ok {
		return 0, tone{}, tone{}
	}
	c, high, ok := d.strongest(columns)
	switch {
	case !ok, low.power < minPower, high.power < minPower:
		return 0, tone{}, tone{}
	case low.power > twist*high.power, high.power > reverseTwist*low.power:
		return 0, tone{}, tone{}
	case low.power+high.power < purity*total:
		return 0, tone{}, tone{}
	}
	return pad[r][c], low, high
}

func (d *Detector) window() []float64 { return d.samples[heard-window:] }

// pure reports whether there is little else than the two tones. It looks at
// the windows in the middle of the press, which are full at any rate.
func (d *Detector) pure() bool {
	low, high := d.lowPhase.last.hz+d.lowPhase.off(), d.highPhase.last.hz+d.highPhase.off()
	return residue(d.samples[hop:heard-hop], low, high) <= talkOff
}

func (d *Detector) strongest(group [4]float64) (best int, t tone, ok bool) {
	var tones [4]tone
	for i, hz := range group {
		tones[i] = d.goertzel(hz)
		if tones[i].power > tones[best].power {
			best = i
		}
	}
	for i := range tones {
		if i != best && tones[i].power*apart > tones[best].power {
			return 0, tone{}, false
		}
	}
	return best, tones[best], true
}

// tone is what Goertzel's algorithm says of one frequency in a window.
type tone struct {
	hz    float64
	power float64 // as the mean square of its samples
	angle float64 // at the end of the window
}

func (d *Detector) goertzel(hz float64) tone {
	w := 2 * math.Pi * hz / rate
	sin, cos := math.Sincos(w)
	var s1, s2 float64
	for _, x := range d.window() {
		s1, s2 = x+2*cos*s1-s2, s1
	}
	re, im := s1-s2*cos, s2*sin
	return tone{hz: hz, power: 2 * (re*re + im*im) / (window * window), angle: math.Atan2(im, re)}
}

// phase measures a frequency by how far its angle turns from window to window,
// which is far more exact than the window's own width: that is how a tone that
// is 3.5 % off is told from one that is 1.5 % off.
type phase struct {
	last  tone
	drift float64 // radians beyond what the nominal frequency turns
	count int
}

func (p *phase) add(t tone) {
	if p.last.hz != 0 {
		expected := 2 * math.Pi * t.hz * hop / rate
		p.drift += math.Remainder(t.angle-p.last.angle-expected, 2*math.Pi)
		p.count++
	}
	p.last = t
}

// off is how far the tone is from its nominal frequency, in Hz.
func (p *phase) off() float64 { return p.drift / float64(p.count) * rate / (2 * math.Pi * hop) }

func (p *phase) exact() bool { return math.Abs(p.off()) <= deviation*p.last.hz }

// residue is the share of the energy that two tones cannot explain, by least
// squares over their sines and cosines.
func residue(samples []float64, low, high float64) float64 {
	var a [4][5]float64 // normal equations
	total := 0.0
	for i, x := range samples {
		var v [4]float64
		v[0], v[1] = math.Sincos(2 * math.Pi * low * float64(i) / rate)
		v[2], v[3] = math.Sincos(2 * math.Pi * high * float64(i) / rate)
		for r := range v {
			for c := range v {
				a[r][c] += v[r] * v[c]
			}
			a[r][4] += v[r] * x
		}
		total += x * x
	}
	right := [4]float64{a[0][4], a[1][4], a[2][4], a[3][4]}
	explained := 0.0
	for i, x := range solve(a) {
		explained += x * right[i]
	}
	return 1 - explained/total
}

// solve eliminates; the sines are far enough apart that it needs no pivots.
func solve(a [4][5]float64) (x [4]float64) {
	for i := range a {
		for r := i + 1; r < len(a); r++ {
			f := a[r][i] / a[i][i]
			for c := i; c < 5; c++ {
				a[r][c] -= f * a[i][c]
			}
		}
	}
	for i := len(a) - 1; i >= 0; i-- {
		x[i] = a[i][4]
		for c := i + 1; c < len(a); c++ {
			x[i] -= a[i][c] * x[c]
		}
		x[i] /= a[i][i]
	}
	return x
}
