package experiment

import (
	"math/rand/v2"
	"testing"
)

// Quantiles of χ²: NIST/SEMATECH e-Handbook, §1.3.6.7.4.
func TestChiSquareTail(t *testing.T) {
	for _, tc := range []struct {
		x    float64
		df   int
		tail float64
	}{
		{0, 3, 1}, {-1, 1, 1}, {3.841, 1, .05}, {10.828, 1, .001}, {5.991, 2, .05}, {13.816, 2, .001},
		{7.815, 3, .05}, {18.307, 10, .05}, {23.209, 10, .01}, {30.144, 19, .05}, {43.820, 19, .001}, {1e6, 19, 0},
	} {
		if got := chiSquareTail(tc.x, tc.df); !near(got, tc.tail, tc.tail*.002) {
			t.Errorf("χ² ≥ %v with %d: got %v, want %v", tc.x, tc.df, got, tc.tail)
		}
	}
}

// P6: a split that does not work as planned is noticed.
func TestSampleRatio(t *testing.T) {
	for _, tc := range []struct {
		name      string
		branches  []Branch
		low, high float64
	}{
		{"as planned", []Branch{{Share: 2000, Visitors: 200}, {Share: 8000, Visitors: 800}}, 1, 1},
		{"by chance", []Branch{{Share: 5000, Visitors: 5050}, {Share: 5000, Visitors: 4950}}, .3173, .3174},
		{"never by chance", []Branch{{Share: 5000, Visitors: 5200}, {Share: 5000, Visitors: 4800}}, 0, 1e-4},
		{"shares of a part", []Branch{{Share: 1000, Visitors: 500}, {Share: 1000, Visitors: 500}}, 1, 1},
		{"one branch of four", []Branch{{Share: 2500, Visitors: 1000}, {Share: 2500, Visitors: 1000}, {Share: 2500, Visitors: 1000}, {Share: 2500, Visitors: 800}}, 0, mismatch},
		{"shares not known", []Branch{{Visitors: 1000}, {Visitors: 10}}, 1, 1},
		{"nobody", []Branch{{Share: 5000}, {Share: 5000}}, 1, 1},
		{"one branch", []Branch{{Share: 10000, Visitors: 5}}, 1, 1},
		{"none", nil, 1, 1},
	} {
		if p := SampleRatio(tc.branches); p < tc.low || p > tc.high {
			t.Errorf("%s: %v is not between %v and %v", tc.name, p, tc.low, tc.high)
		}
	}
}

// A split that works is called broken once in a thousand looks.
func TestSampleRatioFalseAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 5))
	const experiments = 5000
	alarms := 0
	for range experiments {
		branches := []Branch{{Share: 2000}, {Share: 2000}, {Share: 6000}}
		for range 500 {
			branches[min(rng.IntN(5), 2)].Visitors++
		}
		alarms += count(SampleRatio(branches) < mismatch)
	}
	if alarms > 15 { // 5 expected; three standard errors are below 7 more
		t.Errorf("%d of %d", alarms, experiments)
	}
}
