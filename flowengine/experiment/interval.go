package experiment

import "math"

// Branch is the result of one branch so far.
type Branch struct {
	Share       int   // planned share of the audience in hundredths of a percent; 0 when it is not known
	Visitors    int64 // distinct persons who came here
	Conversions int64 // those of them who did what is wanted
}

// counts gives visitors and conversions that fit each other: a counter that is
// read later than the other may be ahead.
func (b Branch) counts() (visitors, conversions float64) {
	n := max(b.Visitors, 0)
	return float64(n), float64(min(max(b.Conversions, 0), n))
}

// Rate is conversions per visitor, 0 when nobody came.
func (b Branch) Rate() float64 {
	n, s := b.counts()
	if n == 0 {
		return 0
	}
	return s / n
}

// Interval is where a value lies with a confidence of 95 %, looked at once: of
// many looks, some will miss it. Decide is what may look often.
type Interval struct{ Low, High float64 }

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959963984540054

// Wilson is the score interval of a rate: E. B. Wilson, Probable inference, the
// law of succession, and statistical inference, JASA 22 (1927). Nobody having
// come, it is everything from 0 to 1.
func (b Branch) Wilson() Interval {
	n, s := b.counts()
	if n == 0 {
		return Interval{0, 1}
	}
	p, z2 := s/n, z95*z95
	centre := (p + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	i := Interval{math.Max(0, centre-half), math.Min(1, centre+half)}
	if s == 0 { // exactly, whatever is rounded
		i.Low = 0
	}
	if s == n {
		i.High = 1
	}
	return i
}

// Difference is by how much the rate of a is above that of b, with the interval
// of R. G. Newcombe, Interval estimation for the difference between independent
// proportions, Statistics in Medicine 17 (1998), method 10.
func Difference(a, b Branch) (float64, Interval) {
	pa, pb := a.Rate(), b.Rate()
	wa, wb := a.Wilson(), b.Wilson()
	d := pa - pb
	return d, Interval{
		Low:  d - math.Hypot(pa-wa.Low, wb.High-pb),
		High: d + math.Hypot(wa.High-pa, pb-wb.Low),
	}
}
