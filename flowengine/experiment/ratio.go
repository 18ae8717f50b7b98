package experiment

import "math"

// mismatch is the p-value of SampleRatio below which a split is probably broken.
const mismatch = 0.001

// SampleRatio is the p-value of the visitors being split by the planned shares
// (Pearson's χ²). Below 0.001 the results of the test are not to be trusted:
// persons got lost, or came twice, in one branch more than in others. See
// A. Fabijan et al., Diagnosing sample ratio mismatch in online controlled
// experiments, KDD 2019. It is 1 when a share is not known or nobody came.
func SampleRatio(branches []Branch) float64 {
	total, shares := 0.0, 0.0
	for _, b := range branches {
		if b.Share <= 0 {
			return 1
		}
		n, _ := b.counts()
		total += n
		shares += float64(b.Share)
	}
	if total == 0 || len(branches) < 2 {
		return 1
	}
	chi2 := 0.0
	for _, b := range branches {
		n, _ := b.counts()
		expected := total * float64(b.Share) / shares
		chi2 += (n - expected) * (n - expected) / expected
	}
	return chiSquareTail(chi2, len(branches)-1)
}

// chiSquareTail is the chance of a χ² of at least x, with df degrees of freedom:
// M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions, 26.4.4–5.
func chiSquareTail(x float64, df int) float64 {
	if x <= 0 {
		return 1
	}
	half := x / 2
	sum, power := 0.0, 0.0 // power is the exponent of the next term, half^power / Γ(power+1)
	if df%2 == 1 {
		sum, power = math.Erfc(math.Sqrt(half)), .5
	}
	for ; power < float64(df)/2; power++ {
		gamma, _ := math.Lgamma(power + 1)
		sum += math.Exp(power*math.Log(half) - gamma - half)
	}
	return math.Min(1, sum)
}
