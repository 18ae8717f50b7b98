package experiment

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

// P6: the values of R. G. Newcombe, Statistics in Medicine 17 (1998) 857–872, table I, method 3.
func TestWilson(t *testing.T) {
	for _, tc := range []struct {
		conversions, visitors int64
		low, high             float64
	}{
		{81, 263, .2553, .3662},
		{15, 148, .0624, .1605},
		{0, 20, 0, .1611},
		{1, 29, .0061, .1718},
		{5, 10, .2366, .7634},
		{20, 20, .8389, 1},
		{0, 0, 0, 1},
		{30, 20, .8389, 1}, // a counter that is ahead
		{-1, 20, 0, .1611},
	} {
		got := Branch{Visitors: tc.visitors, Conversions: tc.conversions}.Wilson()
		if !near(got.Low, tc.low, 5e-5) || !near(got.High, tc.high, 5e-5) {
			t.Errorf("%d of %d: got %.4f", tc.conversions, tc.visitors, got)
		}
	}
}

// P6: the values of R. G. Newcombe, Statistics in Medicine 17 (1998) 873–890, table II, method 10.
func TestDifference(t *testing.T) {
	for _, tc := range []struct {
		s1, n1, s2, n2  int64
		diff, low, high float64
	}{
		{56, 70, 48, 80, .2, .0524, .3339},
		{9, 10, 3, 10, .6, .1705, .8090},
		{10, 10, 0, 20, 1, .6791, 1},
		{10, 10, 0, 10, 1, .6075, 1},
		{0, 10, 0, 20, 0, -.1611, .2775},
	} {
		diff, got := Difference(Branch{Visitors: tc.n1, Conversions: tc.s1}, Branch{Visitors: tc.n2, Conversions: tc.s2})
		if !near(diff, tc.diff, 1e-9) || !near(got.Low, tc.low, 5e-5) || !near(got.High, tc.high, 5e-5) {
			t.Errorf("%d/%d − %d/%d: got %v, %.4f", tc.s1, tc.n1, tc.s2, tc.n2, diff, got)
		}
	}
}

func drawBranch(t *rapid.T, name string) Branch {
	n := rapid.OneOf(rapid.Int64Range(0, 50), rapid.Int64Range(0, 1e12)).Draw(t, name+" visitors")
	return Branch{Visitors: n, Conversions: rapid.Int64Range(0, n).Draw(t, name+" conversions")}
}

func TestIntervalsHoldTheirValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBranch(t, "a"), drawBranch(t, "b")
		if w := a.Wilson(); !(0 <= w.Low && w.Low <= a.Rate()+1e-12 && a.Rate() <= w.High+1e-12 && w.High <= 1) {
			t.Fatalf("rate %v in %v", a.Rate(), w)
		}
		d, i := Difference(a, b)
		if !(i.Low <= d && d <= i.High) {
			t.Fatalf("difference %v in %v", d, i)
		}
		back, j := Difference(b, a)
		if !near(back, -d, 1e-12) || !near(j.Low, -i.High, 1e-12) || !near(j.High, -i.Low, 1e-12) {
			t.Fatalf("%v %v, the other way round %v %v", d, i, back, j)
		}
	})
}
