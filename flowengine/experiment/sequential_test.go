package experiment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// P6: a p-value is between 0 and 1 and for both directions, whatever the counts.
func TestPValueIsAProbability(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBranch(t, "a"), drawBranch(t, "b")
		p := PValue(a, b)
		if !(0 <= p && p <= 1) {
			t.Fatalf("p is %v", p)
		}
		if q := PValue(b, a); !near(q, p, 1e-3+1e-3*p) { // counts up to 10¹² leave some places
			t.Fatalf("p is %v, the other way round %v", p, q)
		}
	})
}

func TestPValue(t *testing.T) {
	for _, tc := range []struct {
		name      string
		a, b      Branch
		low, high float64
	}{
		{"nobody", Branch{}, Branch{}, 1, 1},
		{"nobody in one", Branch{Visitors: 100, Conversions: 100}, Branch{}, 1, 1},
		{"nobody converts", Branch{Visitors: 1000}, Branch{Visitors: 1000}, 1, 1},
		{"all convert", Branch{Visitors: 1000, Conversions: 1000}, Branch{Visitors: 1000, Conversions: 1000}, 1, 1},
		{"the same", Branch{Visitors: 1000, Conversions: 100}, Branch{Visitors: 1000, Conversions: 100}, 1, 1},
		{"1.96 standard errors prove nothing", Branch{Visitors: 10_000, Conversions: 500}, Branch{Visitors: 10_000, Conversions: 562}, .3, 1},
		{"3.5 standard errors do", Branch{Visitors: 10_000, Conversions: 500}, Branch{Visitors: 10_000, Conversions: 613}, .01, .05},
		{"clearly", Branch{Visitors: 10_000, Conversions: 500}, Branch{Visitors: 10_000, Conversions: 700}, 0, 1e-6},
		{"small share", Branch{Visitors: 1_000, Conversions: 120}, Branch{Visitors: 19_000, Conversions: 950}, 0, 1e-6},
	} {
		if p := PValue(tc.a, tc.b); p < tc.low || p > tc.high {
			t.Errorf("%s: %v is not between %v and %v", tc.name, p, tc.low, tc.high)
		}
	}
}

// visitor sends one person down a branch.
func visitor(rng *rand.Rand, b *Branch, rate float64) {
	b.Visitors++
	if rng.Float64() < rate {
		b.Conversions++
	}
}

// P6: however often one looks, branches that are equal are called different in
// at most α of the tests. The interval for one look, looked at as often, fails.
func TestFalsePositivesUnderPeeking(t *testing.T) {
	const experiments, visitors, every, alpha = 2000, 1500, 15, .05
	for _, tc := range []struct{ rate, share float64 }{{.01, .5}, {.1, .5}, {.4, .5}, {.2, .1}, {.9, .3}} {
		t.Run(fmt.Sprintf("rate %v share %v", tc.rate, tc.share), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(6, uint64(1000*tc.rate)))
			found, naive := 0, 0
			for range experiments {
				var ab [2]Branch
				isFound, isNaive := false, false
				for n := 1; n <= visitors; n++ {
					chosen := &ab[0]
					if rng.Float64() > tc.share {
						chosen = &ab[1]
					}
					visitor(rng, chosen, tc.rate)
					if n%every != 0 {
						continue
					}
					isFound = isFound || PValue(ab[0], ab[1]) <= alpha
					_, once := Difference(ab[0], ab[1])
					isNaive = isNaive || once.Low > 0 || once.High < 0
				}
				found, naive = found+count(isFound), naive+count(isNaive)
			}
			t.Logf("always valid %.3f, one look %.3f", float64(found)/experiments, float64(naive)/experiments)
			// α and three standard errors of so many experiments
			if limit := alpha + 3*math.Sqrt(alpha*(1-alpha)/experiments); float64(found)/experiments > limit {
				t.Errorf("%d of %d are false positives", found, experiments)
			}
			if float64(naive)/experiments < 2*alpha {
				t.Errorf("only %d of %d mislead an interval for one look: the simulation proves nothing", naive, experiments)
			}
		})
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// P6: nor does it matter that conversions come long after the visit, while
// visitors are counted at once.
func TestFalsePositivesWithLateConversions(t *testing.T) {
	t.Parallel()
	const experiments, visitors, every, alpha = 1000, 1500, 30, .05
	rng := rand.New(rand.NewPCG(6, 2))
	found := 0
	for range experiments {
		var ab [2]Branch
		var due [2 * visitors]*Branch // who converts when
		for n := range visitors {
			chosen := &ab[rng.IntN(2)]
			chosen.Visitors++
			if rng.Float64() < .3 {
				at := n + int(min(rng.ExpFloat64()*300, visitors))
				for due[at%len(due)] != nil {
					at++
				}
				due[at%len(due)] = chosen
			}
			if b := due[n]; b != nil {
				b.Conversions++
			}
			if n%every == 0 && PValue(ab[0], ab[1]) <= alpha {
				found++
				break
			}
		}
	}
	if float64(found)/experiments > alpha {
		t.Errorf("%d of %d are false positives", found, experiments)
	}
}

// P6: the larger the difference, the more often it is found, and the sooner.
func TestPowerGrowsWithTheDifference(t *testing.T) {
	const experiments, visitors, every = 200, 10_000, 100
	var power, length []float64
	for _, rate := range []float64{.10, .12, .14, .18} {
		rng := rand.New(rand.NewPCG(6, 3))
		found, looked := 0, 0
		for range experiments {
			var ab [2]Branch
			n := 0
			for n < visitors {
				visitor(rng, &ab[0], .10)
				visitor(rng, &ab[1], rate)
				if n += 2; n%every == 0 && PValue(ab[0], ab[1]) <= .05 {
					found++
					break
				}
			}
			looked += n
		}
		power, length = append(power, float64(found)/experiments), append(length, float64(looked)/experiments)
	}
	t.Logf("power %v, visitors %v", power, length)
	if power[0] > .05 || power[1] < .5 || power[2] < .98 || power[3] < .999 {
		t.Errorf("power %v", power)
	}
	for i := 1; i < len(power); i++ {
		if power[i] < power[i-1] || length[i] >= length[i-1] {
			t.Errorf("power %v, visitors %v", power, length)
		}
	}
}

// P6: the table of p-values of a worked example, and what must hold for all.
func TestHolm(t *testing.T) {
	for _, tc := range []struct{ p, want []float64 }{
		{nil, []float64{}},
		{[]float64{.04}, []float64{.04}},
		{[]float64{.01, .04, .03, .005}, []float64{.03, .06, .06, .02}},
		{[]float64{.02, .02, .02}, []float64{.06, .06, .06}},
		{[]float64{.6, .9, .5}, []float64{1, 1, 1}},
		{[]float64{.001, .5}, []float64{.002, .5}},
	} {
		got := Holm(tc.p)
		for i, want := range tc.want {
			if !near(got[i], want, 1e-12) {
				t.Errorf("%v: got %v, want %v", tc.p, got, tc.want)
				break
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 20).Draw(t, "p")
		got := Holm(p)
		for i := range p {
			if got[i] < p[i] || got[i] > math.Min(1, p[i]*float64(len(p))) {
				t.Fatalf("%v is corrected to %v", p, got)
			}
			for j := range p {
				if p[i] < p[j] && got[i] > got[j] {
					t.Fatalf("%v changes its order to %v", p, got)
				}
			}
		}
	})
}
