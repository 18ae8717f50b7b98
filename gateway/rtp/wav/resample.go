package wav

import "math"

// Resample brings samples from one rate to another. It interpolates with a
// Kaiser-windowed sinc, which is at the same time the low-pass that keeps
// whatever the lower rate cannot hold from folding back as noise (some 70 dB).
func Resample(in []int16, from, to int) []int16 {
	if from == to || len(in) == 0 {
		return in
	}
	g := gcd(from, to)
	f := newPolyphase(to/g, from/g)
	out := make([]int16, (len(in)*f.up+f.down-1)/f.down)
	for n := range out {
		out[n] = f.at(in, n)
	}
	return out
}

const (
	crossings = 24   // of the sinc on each side; the length of the filter
	passband  = 0.91 // of the lower Nyquist frequency; the rest is the slope
	beta      = 7.0  // of the Kaiser window: 70 dB
)

// polyphase is the filter, one row of taps per position that an output sample
// can have between two input samples. Rows are made when they are used: an odd
// pair of rates has thousands.
type polyphase struct {
	up, down int // to and from, without common factors
	cutoff   float64
	half     int // input samples on each side
	rows     [][]float64
}

func newPolyphase(up, down int) *polyphase {
	cutoff := passband * min(1, float64(up)/float64(down))
	return &polyphase{up: up, down: down, cutoff: cutoff, half: int(math.Ceil(crossings / cutoff)), rows: make([][]float64, up)}
}

// at is output sample n. Outside of the input there is silence.
func (f *polyphase) at(in []int16, n int) int16 {
	position := n * f.down
	centre, row := position/f.up, f.row(position%f.up)
	sum := 0.0
	for i := max(0, f.half-centre); i < len(row) && centre-f.half+i < len(in); i++ {
		sum += row[i] * float64(in[centre-f.half+i])
	}
	return int16(math.Round(min(32767, max(-32768, sum))))
}

func (f *polyphase) row(phase int) []float64 {
	if f.rows[phase] != nil {
		return f.rows[phase]
	}
	row, sum := make([]float64, 2*f.half+1), 0.0
	for i := range row {
		x := float64(i-f.half) - float64(phase)/float64(f.up)
		row[i] = f.cutoff * sinc(f.cutoff*x) * kaiser(x/float64(f.half+1))
		sum += row[i]
	}
	for i := range row { // a constant stays what it is
		row[i] /= sum
	}
	f.rows[phase] = row
	return row
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func kaiser(x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(beta*math.Sqrt(1-x*x)) / bessel(beta)
}

// bessel is the modified Bessel function of the first kind, order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
