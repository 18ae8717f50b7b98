package dtmf

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type packet struct {
	Packet
}

// press is what a sender makes of the keys, in frames of 20 ms.
func spell(t testing.TB, digits string, start uint32) []packet {
	var s Sender
	for _, c := range []byte(digits) {
		if err := s.Queue(Digit(c), 0); err != nil {
			t.Fatal(err)
		}
	}
	var out []packet
	for now := start; s.Busy(); now += 160 {
		if p, send, _ := s.Frame(now, 160); send {
			out = append(out, packet{p})
		}
	}
	return out
}

func hear(packets []packet) string {
	var r Receiver
	var out strings.Builder
	for _, p := range packets {
		if d, ok := r.Receive(p.Event, p.Timestamp, p.Marker); ok {
			out.WriteByte(byte(d))
		}
	}
	return out.String()
}

func TestAPressOnTheWire(t *testing.T) {
	packets := spell(t, "5", 1000)
	for i, p := range packets {
		want := Packet{Event{5, i >= 4, volume, uint16(min(160*(i+1), 800))}, 1000, i == 0}
		if p.Packet != want {
			t.Errorf("packet %d is %+v, want %+v", i, p.Packet, want)
		}
	}
	if len(packets) != 7 {
		t.Errorf("%d packets, want five and two repeats of the end", len(packets))
	}
}

func TestReceiver(t *testing.T) {
	two := spell(t, "11", 0xFFFFFF00) // the timestamp wraps within
	first, second := two[:7], two[7:]
	join := func(parts ...[]packet) (all []packet) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	long := func(offsets ...uint32) (all []packet) {
		for _, o := range offsets {
			all = append(all, packet{Packet{Event{Code: 1, Duration: 0xFFFF}, o, false}})
		}
		return all
	}
	creeping := func() (all []packet) { // a peer that moves the timestamp on while the key is down
		for i := range uint32(5) {
			all = append(all, packet{Packet{Event{Code: 1, End: i == 4, Duration: uint16(160 * (i + 1))}, 160 * i, i == 0}})
		}
		return all
	}
	for name, c := range map[string]struct {
		in   []packet
		want string
	}{
		"everything arrives":                {two, "11"},
		"the start is lost":                 {join(first[2:], second), "11"},
		"only a repeated end arrives":       {join(first[6:], second[6:]), "11"},
		"every end is lost":                 {join(first[:4], second), "11"},
		"ends and the next start are lost":  {join(first[:4], second[1:]), "11"},
		"repeated for ever":                 {join(first, first, first), "1"},
		"the first press arrives too late":  {join(second, first), "1"},
		"out of order within a press":       {join(first[3:], first[:3], second), "11"},
		"longer than a duration can say":    {long(0, 0xFFFF, 2*0xFFFF), "1"},
		"the timestamp moves while pressed": {creeping(), "1"},
		"no key (flash)":                    {[]packet{{Packet{Event{Code: 16}, 5, true}}}, ""},
		"all keys":                          {spell(t, keys, 77), keys},
	} {
		if got := hear(c.in); got != c.want {
			t.Errorf("%s: heard %q, want %q", name, got, c.want)
		}
	}
}

// No digit twice and none lost, as long as one packet of each press arrives and
// packets of different presses keep their order.
func TestNoDigitTwiceNoneLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[0-9*#A-D]{1,12}`).Draw(t, "digits")
		var s Sender
		for _, c := range []byte(digits) {
			if err := s.Queue(Digit(c), rapid.IntRange(0, 9000).Draw(t, "samples")); err != nil {
				t.Fatal(err)
			}
		}
		var arrived, press []packet
		deliver := func() {
			if len(press) == 0 {
				return
			}
			sure := rapid.IntRange(0, len(press)-1).Draw(t, "sure")
			for i, p := range press {
				for range rapid.IntRange(0, 2).Draw(t, "copies") {
					arrived = append(arrived, p)
				}
				if i == sure {
					arrived = append(arrived, p)
				}
			}
			press = nil
		}
		for now := rapid.Uint32().Draw(t, "start"); s.Busy(); now += 160 {
			if p, send, _ := s.Frame(now, 160); send {
				if p.Marker {
					deliver()
				}
				press = append(press, packet{p})
			}
		}
		deliver()
		if got := hear(arrived); got != digits {
			t.Fatalf("sent %q, heard %q", digits, got)
		}
	})
}

func TestSenderIsBounded(t *testing.T) {
	var s Sender
	for range maxQueue {
		if err := s.Queue('1', 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Queue('1', 0); err != ErrQueueFull {
		t.Errorf("got %v", err)
	}
	if err := s.Queue('x', 0); err == nil {
		t.Error("x is no key")
	}
}

// sound is a piece of a line for the detector.
type sound struct {
	samples           int
	low, high         float64 // Hz
	lowLevel, hiLevel float64 // dBm0
}

func key(d Digit, ms int) sound {
	low, high := d.Tones()
	return sound{ms * 8, low, high, -10, -10}
}

func (s sound) off(low, high float64) sound    { s.low *= 1 + low; s.high *= 1 + high; return s }
func (s sound) levels(low, high float64) sound { s.lowLevel, s.hiLevel = low, high; return s }

func silence(ms int) sound { return sound{samples: ms * 8} }

// listen plays sounds with noise of the given level and says what was heard.
func listen(seed uint64, noise float64, sounds ...sound) string {
	random := rand.New(rand.NewPCG(seed, 1))
	amplitude := func(dBm0 float64) float64 { return 32124 * math.Pow(10, (dBm0-3.14)/20) }
	var line []int16
	for range random.IntN(hop) { // windows fall anywhere
		line = append(line, 0)
	}
	for _, s := range append(sounds, silence(60)) {
		a, b := random.Float64()*7, random.Float64()*7
		for i := range s.samples {
			v := random.NormFloat64() * amplitude(noise) / math.Sqrt2
			if s.low > 0 {
				v += amplitude(s.lowLevel)*math.Sin(a+2*math.Pi*s.low*float64(i)/rate) + amplitude(s.hiLevel)*math.Sin(b+2*math.Pi*s.high*float64(i)/rate)
			}
			line = append(line, int16(max(-32768, min(32767, v))))
		}
	}
	var d Detector
	var out strings.Builder
	for len(line) > 0 {
		n := min(160, len(line))
		d.Detect(line[:n], func(k Digit) { out.WriteByte(byte(k)) })
		line = line[n:]
	}
	return out.String()
}

// ITU-T Q.24: what a receiver must recognise and what it must not.
func TestDetectorLimits(t *testing.T) {
	for seed := range uint64(6) {
		for _, d := range []byte(keys) {
			k := Digit(d)
			one := string(d)
			for name, c := range map[string]struct {
				in    []sound
				noise float64
				want  string
			}{
				"40 ms":                        {[]sound{key(k, 40)}, -60, one},
				"a second is one press":        {[]sound{key(k, 1000)}, -60, one},
				"40 ms, 40 ms pause, twice":    {[]sound{key(k, 40), silence(40), key(k, 40)}, -60, one + one},
				"23 ms is too short":           {[]sound{key(k, 23)}, -60, ""},
				"10 ms interruption":           {[]sound{key(k, 60), silence(10), key(k, 60)}, -60, one},
				"weak":                         {[]sound{key(k, 50).levels(-25, -25)}, -60, one},
				"strong":                       {[]sound{key(k, 50).levels(-3, -3)}, -60, one},
				"too weak":                     {[]sound{key(k, 100).levels(-55, -55)}, -80, ""},
				"noise 15 dB below":            {[]sound{key(k, 70)}, -25, one},
				"high 1.5 % and low 1.5 % off": {[]sound{key(k, 60).off(-0.015, 0.015)}, -60, one},
				"low 3.5 % off":                {[]sound{key(k, 60).off(0.035, 0)}, -60, ""},
				"high 3.5 % off":               {[]sound{key(k, 60).off(0, -0.035)}, -60, ""},
				"twist 7 dB":                   {[]sound{key(k, 60).levels(-8, -15)}, -60, one},
				"reverse twist 3 dB":           {[]sound{key(k, 60).levels(-13, -10)}, -60, one},
				"twist 14 dB":                  {[]sound{key(k, 60).levels(-8, -22)}, -60, ""},
				"one tone alone":               {[]sound{key(k, 100).levels(-8, -80)}, -60, ""},
			} {
				if got := listen(seed, c.noise, c.in...); got != c.want {
					t.Errorf("seed %d, key %c, %s: heard %q, want %q", seed, d, name, got, c.want)
				}
			}
		}
	}
}

// Talk-off: neither noise nor voiced sounds are keys. Voices are harmonics of
// a gliding pitch below moving formants, which is what fools filters.
func TestDetectorIsNotFooledByVoices(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var d Detector
	heard := 0
	count := func(Digit) { heard++ }
	frame := make([]int16, 160)
	var phase float64
	pitch, glide, formant1, formant2 := 120.0, 0.0, 700.0, 1300.0
	for n := range 5 * 60 * 50 { // five minutes
		if n%10 == 0 {
			pitch = 90 + 160*random.Float64()
			glide = 1 + 0.5*random.NormFloat64()/rate // half up or down in a second
			formant1, formant2 = 300+700*random.Float64(), 900+1200*random.Float64()
		}
		for i := range frame {
			pitch *= glide
			phase += 2 * math.Pi * pitch / rate
			v := 0.0
			for h := 1.0; h*pitch < 3400; h++ {
				gain := peak(h*pitch, formant1, 80) + 0.5*peak(h*pitch, formant2, 100) + 0.1*peak(h*pitch, 2600, 150)
				v += 6000 * gain * math.Sin(h*phase)
			}
			frame[i] = int16(max(-32768, min(32767, v+200*random.NormFloat64())))
		}
		d.Detect(frame, count)
	}
	if heard > 3 { // Bellcore allows about so many in real speech, which is easier
		t.Errorf("%d keys in five minutes of voices", heard)
	}
}

// peak is the gain of a formant.
func peak(hz, at, width float64) float64 { x := (hz - at) / width; return 1 / (1 + x*x) }

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte{5, 0x8A, 3, 0x20})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ParseEvent(in)
		if err != nil {
			return
		}
		if again, err := ParseEvent(e.Append(nil)); err != nil || again != e {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}
