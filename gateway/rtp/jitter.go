package rtp

// Bounds of the delay that evens out the network, in samples.
const (
	minDelay = 40 * sampleRate / 1000
	maxDelay = 200 * sampleRate / 1000
	// tolerance is how far the delay may be off before it is corrected.
	tolerance = frameLen
	// tapeLen bounds how far ahead of the player packets may lie; about a second.
	tapeLen = 8192
	// floorWindow is how long the fastest packet counts; clocks drift.
	floorWindow = 10 * sampleRate
	// forget: what a late packet added to the delay is halved in some seven seconds.
	forget = 512
)

// jitterBuffer is a tape onto which packets are written where their timestamp
// says and from which a player reads at its own pace. So packets of any length
// in any order, repeated or not, come out right. The player follows the
// fastest packets at a distance that the slowest make necessary, and changes
// it by stretching or shortening a frame by a period of the voice.
type jitterBuffer struct {
	tape    [tapeLen]int16
	have    [tapeLen / 64]uint64
	running bool
	head    int64 // timestamp of the next sample to play, extended
	latest  int64 // timestamp of the latest packet, extended

	// The least transit (arrival minus timestamp) in this window and the last.
	floor, floorBefore int64
	floorUntil         int64
	peak               int64 // by how much packets exceeded it, fading

	conceal concealer
	counts  jitterCounts
}

type jitterCounts struct {
	late, duplicate, restarts uint64
	concealed                 uint64 // samples
	played                    uint64 // samples
}

// put writes a packet that arrived at now, in samples of our clock.
func (j *jitterBuffer) put(now int64, timestamp uint32, pcm []int16) {
	if len(pcm) == 0 || len(pcm) > tapeLen/2 {
		return
	}
	at := j.latest + int64(int32(timestamp-uint32(j.latest)))
	if !j.running || at+int64(len(pcm))-j.head > tapeLen || j.head-at > tapeLen {
		at = int64(timestamp)
		j.restart(now, at)
	}
	j.latest = max(j.latest, at)
	j.measure(now, now-at)
	end := at + int64(len(pcm))
	if end <= j.head {
		j.counts.late++
		return
	}
	fresh := false
	for i := max(at, j.head); i < end; i++ {
		slot := i & (tapeLen - 1)
		if !j.has(slot) {
			fresh = true
			j.have[slot/64] |= 1 << (slot % 64)
			j.tape[slot] = pcm[i-at]
		}
	}
	if !fresh {
		j.counts.duplicate++
	}
}

func (j *jitterBuffer) has(slot int64) bool { return j.have[slot/64]&(1<<(slot%64)) != 0 }

// restart begins anew with a stream whose timestamps have nothing to do with
// those before.
func (j *jitterBuffer) restart(now, at int64) {
	if j.running {
		j.counts.restarts++
	}
	j.have = [tapeLen / 64]uint64{}
	j.running, j.latest, j.peak = true, at, 0
	j.floor, j.floorBefore, j.floorUntil = now-at, now-at, now+floorWindow
	j.head = at - j.delay()
}

func (j *jitterBuffer) measure(now, transit int64) {
	if now > j.floorUntil {
		j.floorBefore, j.floor, j.floorUntil = j.floor, transit, now+floorWindow
	}
	j.floor = min(j.floor, transit)
	j.peak = max(j.peak-j.peak/forget-1, transit-j.fastest())
}

func (j *jitterBuffer) fastest() int64 { return min(j.floor, j.floorBefore) }

// delay is how far the player stays behind the fastest packets.
func (j *jitterBuffer) delay() int64 { return max(minDelay, min(maxDelay, j.peak+frameLen)) }

// get plays one frame at now.
func (j *jitterBuffer) get(now int64, out *[frameLen]int16) {
	if !j.running {
		*out = [frameLen]int16{}
		return
	}
	var piece [frameLen + maxPitch]int16
	switch off := now - j.fastest() - j.delay() - j.head; {
	case off > tolerance && j.missing(frameLen): // nothing to hear: just go there
		j.skip(off)
	case off > tolerance && !j.missing(frameLen+maxPitch):
		lag := j.similar()
		j.read(piece[:frameLen+lag])
		blend(out[:], piece[:frameLen], piece[lag:])
		j.conceal.remember(out[:])
		j.played()
		return
	case off < -tolerance && j.missing(frameLen): // wait: time passes, the tape does not
		j.conceal.fill(out[:])
		j.counts.concealed += frameLen
		j.played()
		return
	case off < -tolerance && !j.missing(frameLen):
		j.stretch(out)
		j.played()
		return
	}
	j.pieces(out[:])
	j.played()
}

func (j *jitterBuffer) played() { j.counts.played += frameLen }

// pieces plays what is there and conceals what is not, run by run.
func (j *jitterBuffer) pieces(out []int16) {
	for len(out) > 0 {
		here := j.has(j.head & (tapeLen - 1))
		n := 1
		for n < len(out) && j.has((j.head+int64(n))&(tapeLen-1)) == here {
			n++
		}
		if here {
			j.read(out[:n])
			j.conceal.real(out[:n])
		} else {
			j.conceal.fill(out[:n])
			j.head += int64(n)
			j.counts.concealed += uint64(n)
		}
		out = out[n:]
	}
}

// missing reports whether any of the next n samples is.
func (j *jitterBuffer) missing(n int) bool {
	for i := range int64(n) {
		if !j.has((j.head + i) & (tapeLen - 1)) {
			return true
		}
	}
	return false
}

// read takes samples off the tape.
func (j *jitterBuffer) read(out []int16) {
	for i := range out {
		slot := j.head & (tapeLen - 1)
		out[i] = j.tape[slot]
		j.have[slot/64] &^= 1 << (slot % 64)
		j.head++
	}
}

func (j *jitterBuffer) skip(n int64) {
	n = min(n, tapeLen)
	for range n {
		slot := j.head & (tapeLen - 1)
		j.have[slot/64] &^= 1 << (slot % 64)
		j.head++
	}
}

// similar is the lag at which what comes next resembles itself.
func (j *jitterBuffer) similar() int {
	var ahead [frameLen + maxPitch]int16
	for i := range ahead {
		ahead[i] = j.tape[(j.head+int64(i))&(tapeLen-1)]
	}
	return bestLag(ahead[:], maxPitch, frameLen, minPitch, maxPitch)
}

// stretch plays a frame and goes back by a period within it.
func (j *jitterBuffer) stretch(out *[frameLen]int16) {
	var around [maxPitch + frameLen]int16
	copy(around[:maxPitch], j.conceal.history[historyLen-maxPitch:])
	for i := range frameLen {
		around[maxPitch+i] = j.tape[(j.head+int64(i))&(tapeLen-1)]
	}
	lag := bestLag(around[:], maxPitch, frameLen, minPitch, maxPitch)
	blend(out[:], around[maxPitch:], around[maxPitch-lag:])
	j.skip(int64(frameLen - lag))
	j.conceal.remember(out[:])
}

// blend goes from one sound to the other.
func blend(out, from, to []int16) {
	n := int32(len(out))
	for i := range out {
		w := int32(i)
		out[i] = int16((int32(from[i])*(n-w) + int32(to[i])*w) / n)
	}
}
