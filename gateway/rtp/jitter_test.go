package rtp

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// voice is a steady sound with a pitch of 100 Hz, at any timestamp.
func voice(at int64) int16 {
	x := 2 * math.Pi * float64(at) / sampleRate
	return int16(6000*math.Sin(100*x) + 3000*math.Sin(500*x))
}

type arrival struct {
	at  int64 // samples of our clock
	ts  int64
	len int
}

// play puts packets when they arrive and gets a frame every 20 ms.
func play(j *jitterBuffer, frames int, arrivals []arrival) (out []int16) {
	var frame [frameLen]int16
	for n := range frames {
		now := int64(n * frameLen)
		for len(arrivals) > 0 && arrivals[0].at <= now {
			a := arrivals[0]
			arrivals = arrivals[1:]
			pcm := make([]int16, a.len)
			for i := range pcm {
				pcm[i] = voice(a.ts + int64(i))
			}
			j.put(a.at, uint32(a.ts), pcm)
		}
		j.get(now, &frame)
		out = append(out, frame[:]...)
	}
	return out
}

// gaps is the share of frames without sound.
func gaps(out []int16) float64 {
	quiet := 0
	for i := 0; i+frameLen <= len(out); i += frameLen {
		energy := 0.0
		for _, s := range out[i : i+frameLen] {
			energy += float64(s) * float64(s)
		}
		if energy/frameLen < 1000*1000 {
			quiet++
		}
	}
	return float64(quiet) / float64(len(out)/frameLen)
}

func steadyStream(start int64, n, length int) (out []arrival) {
	for i := range int64(n) {
		out = append(out, arrival{at: i * int64(length), ts: start + i*int64(length), len: length})
	}
	return out
}

// Whatever the length of packets, and also when timestamps wrap, what comes out
// is what went in, 40 ms later.
func TestAnEvenStreamComesOutAsItWentIn(t *testing.T) {
	for _, length := range []int{80, 160, 240, 480} {
		for _, start := range []int64{0, math.MaxUint32 - 4000, math.MaxInt32 - 4000} {
			var j jitterBuffer
			out := play(&j, 200, steadyStream(start, 200*frameLen/length, length))
			lead := int64(len(out)) - (j.head - start)
			for i := lead + overlapping; i < int64(len(out))-480; i++ {
				if want := voice(start + i - lead); out[i] != want {
					t.Fatalf("packets of %d from %d: sample %d is %d, want %d", length, start, i, out[i], want)
				}
			}
			if lead != minDelay {
				t.Errorf("packets of %d: %d samples of delay", length, lead)
			}
		}
	}
}

// Order and copies make no difference as long as a packet comes in time.
func TestOrderAndCopiesMakeNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := int64(rapid.Uint32().Draw(t, "start"))
		var plain, shuffled jitterBuffer
		in := steadyStream(start, 100, frameLen)
		want := play(&plain, 100, in)
		var mixed []arrival
		for i := 0; i < len(in); i += 2 {
			a, b := in[i], in[i+1]
			if i > 0 && rapid.Bool().Draw(t, "swap") { // within one tick of the clock
				a.ts, b.ts = b.ts, a.ts
				a.at = b.at
			}
			mixed = append(mixed, a, b)
			if rapid.Bool().Draw(t, "copy") {
				mixed = append(mixed, b)
			}
		}
		got := play(&shuffled, 100, mixed)
		if len(got) != len(want) || gaps(got) > gaps(want) || shuffled.counts.late > 0 {
			t.Fatalf("%+v, gaps %.2f instead of %.2f", shuffled.counts, gaps(got), gaps(want))
		}
	})
}

func TestTheDelayFollowsTheNetwork(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var j jitterBuffer
	var in []arrival
	last := int64(0)
	for i := range int64(3000) { // a minute: even, then 100 ms of jitter, then even
		at := i * frameLen
		if i > 500 && i < 1500 {
			at += random.Int64N(100 * sampleRate / 1000)
		}
		last = max(last, at)
		in = append(in, arrival{at: last, ts: i * frameLen, len: frameLen})
	}
	delayAt := func(frames int) int64 {
		j = jitterBuffer{}
		play(&j, frames, in)
		return int64(frames*frameLen) - j.head
	}
	if d := delayAt(500); d != minDelay {
		t.Errorf("even: %d samples of delay, want %d", d, minDelay)
	}
	if d := delayAt(1500); d < 90*8 || d > maxDelay+tolerance {
		t.Errorf("under jitter: %d ms of delay", d/8)
	}
	lateUnderJitter := j.counts.late
	if lateUnderJitter > 10 {
		t.Errorf("%d packets of 1000 came too late", lateUnderJitter)
	}
	if d := delayAt(3000); d > 80*8 {
		t.Errorf("even again: %d ms of delay", d/8)
	}
	if j.counts.late != lateUnderJitter {
		t.Errorf("%d packets late in an even network", j.counts.late-lateUnderJitter)
	}
}

func TestALossIsConcealedAndALongOneFades(t *testing.T) {
	in := steadyStream(0, 300, frameLen)
	var few, many []arrival
	for i, a := range in {
		if i%20 != 10 {
			few = append(few, a)
		}
		if i < 100 || i >= 150 {
			many = append(many, a)
		}
	}
	var j jitterBuffer
	out := play(&j, 300, few)
	if gaps(out[10*frameLen:290*frameLen]) > 0 || j.counts.concealed < 10*frameLen {
		t.Errorf("single losses leave gaps: %+v", j.counts)
	}
	for i := 1000; i < 290*frameLen; i++ {
		if step := int(out[i]) - int(out[i-1]); step > 4500 || step < -4500 {
			t.Errorf("a click at %d: %d to %d", i, out[i-1], out[i])
		}
	}
	j = jitterBuffer{}
	out = play(&j, 300, many)
	for i := 110 * frameLen; i < 150*frameLen; i++ {
		if out[i] != 0 {
			t.Fatalf("a second of loss is not silent at %d", i)
		}
	}
	if gaps(out[160*frameLen:290*frameLen]) > 0 {
		t.Error("the voice does not come back")
	}
}

func TestATimestampThatJumpsBeginsAnew(t *testing.T) {
	var j jitterBuffer
	in := steadyStream(0, 100, frameLen)
	for i := 50; i < 100; i++ {
		in[i].ts += 77_000_000
	}
	out := play(&j, 100, in)
	if j.counts.restarts != 1 || gaps(out[55*frameLen:98*frameLen]) > 0 {
		t.Errorf("%+v, gaps %.2f", j.counts, gaps(out))
	}
}

// Two clocks never agree: 500 ppm here, three minutes long.
func TestClocksThatDrift(t *testing.T) {
	for _, ppm := range []float64{-500, 500} {
		var j jitterBuffer
		var in []arrival
		for i := range int64(9000) {
			in = append(in, arrival{at: int64(float64(i*frameLen) * (1 + ppm/1e6)), ts: i * frameLen, len: frameLen})
		}
		out := play(&j, 8900, in)
		if g := gaps(out[100*frameLen:]); g > 0 || j.counts.late > 0 || j.counts.restarts > 0 {
			t.Errorf("%g ppm: %+v, gaps %.4f", ppm, j.counts, g)
		}
	}
}

// Nothing that arrives makes the buffer fall over or play for ever.
func FuzzJitter(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 160, 20, 255, 255, 255, 255, 80, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var j jitterBuffer
		var frame [frameLen]int16
		now := int64(0)
		for ; len(in) >= 6; in = in[6:] {
			ts := uint32(in[0])<<24 | uint32(in[1])<<16 | uint32(in[2])<<8 | uint32(in[3])
			j.put(now, ts, make([]int16, int(in[4])*8))
			now += int64(in[5]) * 8
			j.get(now, &frame)
		}
	})
}
