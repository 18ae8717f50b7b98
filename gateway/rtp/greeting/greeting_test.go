package greeting

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

type part struct {
	kind string // voice, silence, or a tone
	hz   float64
	d    time.Duration
}

// sound makes something like a voice: a changing mixture of harmonics and noise.
func sound(parts ...part) (all []int16) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range parts {
		for i := range int(p.d.Seconds() * rate) {
			t := float64(i) / rate
			v := 0.0
			switch p.kind {
			case "voice":
				pitch := 120 + 30*math.Sin(2*math.Pi*3*t)
				for h := 1.0; h < 12; h++ {
					v += 2500 / h * math.Sin(2*math.Pi*pitch*h*t+h)
				}
				v += 300 * r.NormFloat64()
			case "tone":
				v = 8000 * math.Sin(2*math.Pi*p.hz*t)
			}
			all = append(all, int16(v+20*r.NormFloat64()))
		}
	}
	return all
}

func voice(d time.Duration) part            { return part{"voice", 0, d} }
func hush(d time.Duration) part             { return part{"silence", 0, d} }
func tone(hz float64, d time.Duration) part { return part{"tone", hz, d} }
func ms(n int) time.Duration                { return time.Duration(n) * time.Millisecond }
func verdicts(samples []int16) (v []Verdict) {
	var d Detector
	for ; len(samples) >= 160; samples = samples[160:] {
		if got := d.Frame(samples[:160]); got != Listening {
			v = append(v, got)
		}
	}
	return v
}

func TestWhoAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		sound []int16
		want  []Verdict
	}{
		"a word":                      {sound(hush(ms(300)), voice(ms(500)), hush(ms(1500))), []Verdict{Human}},
		"two words":                   {sound(voice(ms(400)), hush(ms(300)), voice(ms(800)), hush(ms(1500))), []Verdict{Human}},
		"nobody":                      {sound(hush(ms(5000))), nil},
		"a click":                     {sound(hush(ms(500)), voice(ms(40)), hush(ms(3000))), nil},
		"a greeting and its beep":     {sound(hush(ms(500)), voice(ms(1500)), hush(ms(400)), voice(ms(2500)), hush(ms(300)), tone(1000, ms(500)), hush(ms(500))), []Verdict{Machine, Ended}},
		"a greeting without a beep":   {sound(voice(ms(4000)), hush(ms(2500))), []Verdict{Machine, Ended}},
		"a greeting that goes on":     {sound(voice(ms(8000))), []Verdict{Machine}},
		"a fax that answers":          {sound(hush(ms(400)), tone(2100, ms(2600))), []Verdict{Fax}},
		"a fax that calls":            {sound(tone(1100, ms(600)), hush(ms(3000))), []Verdict{Fax}},
		"a beep alone is no greeting": {sound(tone(1000, ms(500)), hush(ms(500))), nil},
	} {
		got := verdicts(c.sound)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
}

func FuzzDetector(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(_ *testing.T, b []byte) {
		var d Detector
		samples := make([]int16, len(b)/2)
		for i := range samples {
			samples[i] = int16(b[2*i]) | int16(b[2*i+1])<<8
		}
		for range 100 {
			d.Frame(samples)
		}
	})
}
