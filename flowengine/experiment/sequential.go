package experiment

import (
	"cmp"
	"math"
	"slices"
)

// Alternatives that the test bets on: the logarithm of the odds ratio of two
// branches is ± one of these, all equally likely. Steps of √2 lose next to
// nothing against any value between; a rate of 5 % against one of 5.1 % is the
// smallest, 5 % against 16 % the largest difference that is fully exploited.
var alternatives = [...]float64{
	.02, .0282842712, .04, .0565685425, .08, .1131370850, .16,
	.2262741700, .32, .4525483400, .64, .9050966799, 1.28,
}

// PValue is the always-valid p-value of two branches having the same rate: as
// long as they have, the chance that it is ever α or less is at most α, however
// often one looks and whatever makes one stop. It is for both directions.
//
// It is 1/E for the evidence E of a mixture sequential probability ratio test:
// R. Johari, L. Pekelis, D. J. Walsh, Always valid inference: continuous
// monitoring of A/B tests, Operations Research 70 (2022), arXiv 1512.04922. In
// place of their normal approximation, which says too much while conversions
// are few, each alternative is weighed by the exact E-variable of two Bernoulli
// streams: R. J. Turner, A. Ly, P. D. Grünwald, Generic E-variables for exact
// sequential k-sample tests that allow for optional stopping, Journal of
// Statistical Planning and Inference 230 (2024), arXiv 2106.02693.
//
// That is exact at any time when the common rate and the ratio of the audiences
// are known. Here both are estimated from the same counts, which changes E in
// the order of 1/visitors: too little to be seen in simulation.
func PValue(a, b Branch) float64 {
	return math.Exp(-math.Max(0, logEvidence(a, b)))
}

// logEvidence is the logarithm of E.
func logEvidence(a, b Branch) float64 {
	na, sa := a.counts()
	nb, sb := b.counts()
	if na == 0 || nb == 0 {
		return 0
	}
	pooled := logit(sa+sb, na+nb)
	var logs [2 * len(alternatives)]float64
	most := math.Inf(-1)
	for i, ratio := range alternatives {
		high, low := rateAt(pooled+ratio/2), rateAt(pooled-ratio/2)
		logs[2*i] = weigh(na, sa, high, nb, sb, low)
		logs[2*i+1] = weigh(na, sa, low, nb, sb, high)
		most = max(most, logs[2*i], logs[2*i+1])
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}

// weigh is the logarithm of the E-variable of one alternative: the likelihood of
// both rates against that of their mean over all visitors.
func weigh(na, sa float64, a rate, nb, sb float64, b rate) float64 {
	n := na + nb
	yes := math.Log((na*a.yes + nb*b.yes) / n)
	no := math.Log((na*a.no + nb*b.no) / n)
	return sa*(a.logYes-yes) + (na-sa)*(a.logNo-no) + sb*(b.logYes-yes) + (nb-sb)*(b.logNo-no)
}

// rate is a rate and what is left to 1; each may be too small to be the
// difference of 1 and the other.
type rate struct{ yes, no, logYes, logNo float64 }

// rateAt is the rate with a logarithm of the odds.
func rateAt(x float64) rate {
	if x > 0 {
		r := rateAt(-x)
		return rate{yes: r.no, no: r.yes, logYes: r.logNo, logNo: r.logYes}
	}
	odds := math.Exp(x)
	log := math.Log1p(odds)
	return rate{yes: odds / (1 + odds), no: 1 / (1 + odds), logYes: x - log, logNo: -log}
}

// logit is the logarithm of the odds of s among n, kept finite by half a
// person more on either side.
func logit(s, n float64) float64 { return math.Log((s + .5) / (n - s + .5)) }

// Holm corrects p-values for there being several: S. Holm, A simple sequentially
// rejective multiple test procedure, Scandinavian Journal of Statistics 6
// (1979). A corrected value is at most α for as many as may be called
// significant together, with a chance of at most α that any of them is not.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	corrected := make([]float64, len(p))
	most := 0.0
	for rank, i := range order {
		most = math.Max(most, math.Min(1, p[i]*float64(len(p)-rank)))
		corrected[i] = most
	}
	return corrected
}
