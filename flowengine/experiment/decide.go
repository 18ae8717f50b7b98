package experiment

import (
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultAlpha       = 0.05
	DefaultMinVisitors = 100
)

// Reference is what branches are compared with.
type Reference uint8

// The references.
const (
	// AgainstBest compares the branch with the highest rate with each other:
	// it wins when it is better than all of them.
	AgainstBest Reference = iota
	// AgainstFirst compares each branch with the first, the control. The branch
	// with the highest rate of those that are better wins; the control does
	// when all others are worse.
	AgainstFirst
)

// Fallback is what happens when the window ends without significance.
type Fallback uint8

// The fallbacks.
const (
	FallbackBest Fallback = iota // the branch with the highest rate is taken as if it had won
	FallbackMix                  // the split stays as it is
)

var fallbacks = [...]string{"best", "mix"}

// String gives the word of flow files.
func (f Fallback) String() string {
	if int(f) < len(fallbacks) {
		return fallbacks[f]
	}
	return fmt.Sprintf("Fallback(%d)", f)
}

// UnmarshalText reads the word of flow files.
func (f *Fallback) UnmarshalText(text []byte) error {
	for i, word := range fallbacks {
		if word == string(text) {
			*f = Fallback(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no fallback: best or mix is expected", text)
}

// Config says how a winner is chosen.
type Config struct {
	Alpha       float64       // chance of a false winner; 0 stands for 5 %
	MinVisitors int64         // of each branch before there is a winner; 0 stands for 100
	Start       time.Time     // first arrival at the split; zero while nobody came
	Window      time.Duration // from Start on; 0 has no end
	Reference   Reference
	Fallback    Fallback
}

func (c Config) alpha() float64 {
	if c.Alpha == 0 {
		return DefaultAlpha
	}
	return c.Alpha
}

func (c Config) minVisitors() int64 {
	if c.MinVisitors == 0 {
		return DefaultMinVisitors
	}
	return c.MinVisitors
}

func (c Config) ended(now time.Time) bool {
	return c.Window > 0 && !c.Start.IsZero() && !now.Before(c.Start.Add(c.Window))
}

// Reason says why a decision is as it is.
type Reason string

// The reasons.
const (
	TooFew      Reason = "too_few_visitors" // a branch is below MinVisitors; go on
	Undecided   Reason = "undecided"        // no difference is significant yet; go on
	Significant Reason = "significant"      // Winner is better
	EndedBest   Reason = "window_ended_best"
	EndedMix    Reason = "window_ended_mix"
)

// None is the Winner of a decision without one.
const None = -1

// Decision is the state of an experiment.
type Decision struct {
	Winner    int // index of the branch, or None
	Reason    Reason
	Reference int // index of the branch that the others are compared with, or None
	// PValues are always valid and corrected by Holm, in the order of the
	// branches; that of the reference is 1.
	PValues []float64
	// Mismatch warns that the visitors are not split as planned (SampleRatio
	// below 0.001): no winner is to be trusted before the cause is known.
	Mismatch bool
}

// Final tells that the decision stands: there is nothing to wait for.
func (d Decision) Final() bool {
	return d.Reason == Significant || d.Reason == EndedBest || d.Reason == EndedMix
}

// Decide looks at the branches, as often as one likes (rule P6). A winner that
// it names is to be kept: later counts may well look less clear.
//
// The chance of a winner when no branch differs is at most α. For the best of
// several to win, the highest p-value, that against the runner-up, has to be
// at most α; so picking the best afterwards does no harm.
func Decide(c Config, branches []Branch, now time.Time) Decision {
	d := Decision{Winner: None, Reference: None, PValues: ones(len(branches))}
	d.Mismatch = SampleRatio(branches) < mismatch
	if len(branches) > 0 {
		d.Reference = c.reference(branches)
		d.compare(branches)
	}
	switch few := c.tooFew(branches); {
	case !few && d.elect(c, branches):
		d.Reason = Significant
	case c.ended(now):
		d.end(c, branches)
	case few:
		d.Reason = TooFew
	default:
		d.Reason = Undecided
	}
	return d
}

func (c Config) reference(branches []Branch) int {
	if c.Reference == AgainstFirst {
		return 0
	}
	return best(branches, 0)
}

// best is the branch with the highest rate of those with enough visitors, the
// first of equals; 0 when none has.
func best(branches []Branch, visitors int64) int {
	found := None
	for i, b := range branches {
		if b.Visitors >= visitors && (found == None || b.Rate() > branches[found].Rate()) {
			found = i
		}
	}
	return max(found, 0)
}

// tooFew tells whether any branch lacks visitors; one branch alone is no test.
func (c Config) tooFew(branches []Branch) bool {
	for _, b := range branches {
		if b.Visitors < c.minVisitors() {
			return true
		}
	}
	return len(branches) < 2
}

func (d *Decision) compare(branches []Branch) {
	raw := make([]float64, 0, len(branches))
	for i, b := range branches {
		if i != d.Reference {
			raw = append(raw, PValue(b, branches[d.Reference]))
		}
	}
	corrected := Holm(raw)
	for i := range branches {
		if i != d.Reference {
			d.PValues[i], corrected = corrected[0], corrected[1:]
		}
	}
}

// elect finds the winner that the p-values prove.
func (d *Decision) elect(c Config, branches []Branch) bool {
	control := branches[d.Reference].Rate()
	worse := 0
	for i, b := range branches {
		if i == d.Reference || d.PValues[i] > c.alpha() {
			continue
		}
		switch rate := b.Rate(); {
		case rate < control:
			worse++
		case rate > control && (d.Winner == None || rate > branches[d.Winner].Rate()):
			d.Winner = i
		}
	}
	if worse == len(branches)-1 {
		d.Winner = d.Reference
	}
	return d.Winner != None
}

// end applies the fallback. A branch that hardly anybody saw is never the best.
func (d *Decision) end(c Config, branches []Branch) {
	d.Reason = EndedMix
	if c.Fallback != FallbackBest || len(branches) == 0 {
		return
	}
	if i := best(branches, c.minVisitors()); branches[i].Visitors >= c.minVisitors() {
		d.Winner, d.Reason = i, EndedBest
	}
}

func ones(n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = 1
	}
	return all
}
