package rtp

// Frame sizes in samples; everything here is at 8 kHz.
const (
	sampleRate = 8000
	frameLen   = 160 // 20 ms
)

// Concealment in the manner of ITU-T G.711 Appendix I: a loss is filled with
// the last pitch period, repeated, and fades out.
const (
	minPitch    = 40  // 200 Hz
	maxPitch    = 120 // 66 Hz
	correlated  = 160 // samples compared for the pitch
	historyLen  = maxPitch + correlated
	steady      = 80  // 10 ms at full strength
	fadeOut     = 480 // silent after 60 ms
	overlapping = 32  // 4 ms from the substitute back to the real sound
)

// concealer fills what is missing in a stream of samples.
type concealer struct {
	history [historyLen]int16 // what was played last
	period  [maxPitch]int16
	pitch   int
	lost    int // samples filled in a row
	rejoin  int // samples of overlap left
}

// real passes samples that arrived, and softens the seam after a loss.
func (c *concealer) real(out []int16) {
	if c.lost > 0 {
		c.rejoin = overlapping
	}
	for i := 0; i < len(out) && c.rejoin > 0; i++ {
		weight := int32(c.rejoin)
		out[i] = int16((int32(c.substitute())*weight + int32(out[i])*(overlapping-weight)) / overlapping)
		c.rejoin--
		c.lost++
	}
	if c.rejoin == 0 || len(out) == 0 {
		c.lost = 0
	} else {
		c.lost = max(c.lost, 1)
	}
	c.remember(out)
}

// fill makes up samples for what is missing.
func (c *concealer) fill(out []int16) {
	if c.lost == 0 {
		c.pitch = bestLag(c.history[:], historyLen-correlated, correlated, minPitch, maxPitch)
		copy(c.period[:], c.history[historyLen-c.pitch:])
	}
	c.rejoin = 0
	for i := range out {
		out[i] = c.substitute()
		c.lost++
	}
	c.remember(out)
}

// substitute is the sample that follows c.lost made-up ones.
func (c *concealer) substitute() int16 {
	if c.lost >= fadeOut || c.pitch == 0 {
		return 0
	}
	s := int32(c.period[c.lost%c.pitch])
	if c.lost > steady {
		s = s * int32(fadeOut-c.lost) / (fadeOut - steady)
	}
	return int16(s)
}

func (c *concealer) remember(played []int16) {
	if n := len(played); n < historyLen {
		copy(c.history[:], c.history[n:])
		copy(c.history[historyLen-n:], played)
		return
	}
	copy(c.history[:], played[len(played)-historyLen:])
}

// bestLag finds by how many samples x[at:at+n] resembles what came before it
// most, from low to high samples.
func bestLag(x []int16, at, n, low, high int) int {
	best, lag := 0.0, low
	for l := low; l <= high; l++ {
		var product, energy float64
		for i := at; i < at+n; i++ {
			product += float64(x[i]) * float64(x[i-l])
			energy += float64(x[i-l]) * float64(x[i-l])
		}
		if product > 0 && product*product > best*energy {
			best, lag = product*product/energy, l
		}
	}
	return lag
}
