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
// most, from low to high samples. It looks at every fourth sample first, and then
// closely around the best place: voices have little above 1 kHz that tells their pitch.
func bestLag(x []int16, at, n, low, high int) int {
	const coarse = 4
	around := resembling(x, at, n, low, high, coarse)
	return resembling(x, at, n, max(low, around-coarse+1), min(high, around+coarse-1), 1)
}

// resembling compares every step-th sample, at every step-th lag.
func resembling(x []int16, at, n, low, high, step int) int {
	best, lag := 0.0, low
	for l := low; l <= high; l += step {
		now, before := x[at:at+n], x[at-l:at-l+n]
		product, energy := int64(0), int64(0)
		for i := 0; i < len(now) && i < len(before); i += step {
			product += int64(now[i]) * int64(before[i])
			energy += int64(before[i]) * int64(before[i])
		}
		if p := float64(product); p > 0 && p*p > best*float64(energy) {
			best, lag = p*p/float64(energy), l
		}
	}
	return lag
}
