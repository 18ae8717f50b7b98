package experiment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// P6: who wins, when, and why.
func TestDecide(t *testing.T) {
	during, after := start.Add(time.Hour), start.Add(24*time.Hour)
	config := Config{Start: start, Window: 24 * time.Hour}
	mix := Config{Start: start, Window: 24 * time.Hour, Fallback: FallbackMix}
	control := Config{Start: start, Window: 24 * time.Hour, Reference: AgainstFirst, Fallback: FallbackMix}
	of := func(counts ...int64) []Branch { // visitors and conversions in turn
		var b []Branch
		for pair := range slices.Chunk(counts, 2) {
			b = append(b, Branch{Visitors: pair[0], Conversions: pair[1]})
		}
		return b
	}
	for _, tc := range []struct {
		name      string
		config    Config
		branches  []Branch
		now       time.Time
		winner    int
		reason    Reason
		reference int
	}{
		{"clear", config, of(1000, 50, 1000, 150), during, 1, Significant, 1},
		{"clear, the first", config, of(1000, 150, 1000, 50), during, 0, Significant, 0},
		{"clear, at the end", config, of(1000, 50, 1000, 150), after, 1, Significant, 1},
		{"too few", config, of(99, 1, 1000, 500), during, None, TooFew, 1},
		{"just enough", config, of(100, 1, 1000, 500), during, 1, Significant, 1},
		{"more are asked for", Config{MinVisitors: 2000}, of(1000, 50, 1000, 150), during, None, TooFew, 1},
		{"not clear", config, of(1000, 50, 1000, 60), during, None, Undecided, 1},
		{"a moment before the end", config, of(1000, 50, 1000, 60), after.Add(-1), None, Undecided, 1},
		{"ended, best", config, of(1000, 50, 1000, 60), after, 1, EndedBest, 1},
		{"ended, mix", mix, of(1000, 50, 1000, 60), after, None, EndedMix, 1},
		{"ended, equal", config, of(1000, 50, 1000, 50), after, 0, EndedBest, 0},
		{"ended, best of those with enough visitors", config, of(1000, 50, 1000, 60, 3, 3), after, 1, EndedBest, 2},
		{"ended, hardly anybody came", config, of(9, 1, 9, 9), after, None, EndedMix, 1},
		{"ended, nobody came", config, of(0, 0, 0, 0), after, None, EndedMix, 0},
		{"no window", Config{Start: start}, of(1000, 50, 1000, 60), after.AddDate(9, 0, 0), None, Undecided, 1},
		{"nobody came yet", Config{Window: time.Hour}, of(0, 0, 0, 0), after, None, TooFew, 0},
		{"stricter", Config{Alpha: 1e-9}, of(1000, 50, 1000, 100), during, None, Undecided, 1},
		{"not better than the second", config, of(1000, 50, 1000, 150, 1000, 149), during, None, Undecided, 1},
		{"better than all", config, of(1000, 50, 1000, 250, 1000, 149), during, 1, Significant, 1},
		{"better than the control", control, of(1000, 50, 1000, 150, 1000, 149), during, 1, Significant, 0},
		{"one of them worse than the control", control, of(1000, 100, 1000, 30, 1000, 105), during, None, Undecided, 0},
		{"the control is best", control, of(1000, 150, 1000, 50, 1000, 49), during, 0, Significant, 0},
		{"one branch", config, of(1000, 50), during, None, TooFew, 0},
		{"no branch", config, nil, after, None, EndedMix, None},
	} {
		d := Decide(tc.config, tc.branches, tc.now)
		if d.Winner != tc.winner || d.Reason != tc.reason || d.Reference != tc.reference || len(d.PValues) != len(tc.branches) {
			t.Errorf("%s: got %+v", tc.name, d)
		}
		if d.Final() != (tc.reason != TooFew && tc.reason != Undecided) {
			t.Errorf("%s: final %v", tc.name, d.Final())
		}
	}
}

// P6: with more than two branches, p-values are corrected by Holm.
func TestDecideCorrects(t *testing.T) {
	branches := []Branch{{Visitors: 1000, Conversions: 100}, {Visitors: 1000, Conversions: 60}, {Visitors: 1000, Conversions: 58}}
	d := Decide(Config{}, branches, start)
	raw := []float64{PValue(branches[1], branches[0]), PValue(branches[2], branches[0])}
	want := Holm(raw)
	if d.PValues[0] != 1 || d.PValues[1] != want[0] || d.PValues[2] != want[1] || want[1] == raw[1] {
		t.Errorf("got %v, want %v of %v", d.PValues, want, raw)
	}
}

func TestDecideWarnsOfMismatch(t *testing.T) {
	branches := []Branch{{Share: 5000, Visitors: 5000, Conversions: 100}, {Share: 5000, Visitors: 4000, Conversions: 300}}
	if d := Decide(Config{}, branches, start); !d.Mismatch || d.Winner != 1 {
		t.Errorf("got %+v", d)
	}
	branches[1].Visitors = 5000
	if d := Decide(Config{}, branches, start); d.Mismatch {
		t.Errorf("got %+v", d)
	}
}

// P6: with several branches that are equal, or several that are the best, a
// winner is named in at most α of the tests, however often one looks.
func TestFalseWinners(t *testing.T) {
	const experiments, visitors, every = 1000, 3000, 50
	for name, tc := range map[string]struct {
		config Config
		rates  []float64
	}{
		"four equal":             {Config{}, []float64{.1, .1, .1, .1}},
		"four equal and control": {Config{Reference: AgainstFirst}, []float64{.1, .1, .1, .1}},
		"two best":               {Config{}, []float64{.2, .2, .02}},
		"no control is better":   {Config{Reference: AgainstFirst}, []float64{.2, .2, .1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(6, 7))
			found := 0
			for range experiments {
				branches := make([]Branch, len(tc.rates))
				for n := 1; n <= visitors; n++ {
					i := rng.IntN(len(branches))
					visitor(rng, &branches[i], tc.rates[i])
					if n%every == 0 && Decide(tc.config, branches, start).Winner != None {
						found++
						break
					}
				}
			}
			t.Logf("%d of %d", found, experiments)
			if found > experiments*5/100 {
				t.Errorf("%d of %d name a winner", found, experiments)
			}
		})
	}
}

func TestFallbackWords(t *testing.T) {
	for _, want := range []Fallback{FallbackBest, FallbackMix} {
		got := Fallback(9)
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	if err := new(Fallback).UnmarshalText([]byte("first")); err == nil || Fallback(9).String() != "Fallback(9)" {
		t.Error("an unknown fallback has a word")
	}
}

func BenchmarkPValue(b *testing.B) {
	x, y := Branch{Visitors: 10_000, Conversions: 500}, Branch{Visitors: 9_900, Conversions: 540}
	b.ReportAllocs()
	for b.Loop() {
		PValue(x, y)
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{2, 20} {
		b.Run(fmt.Sprintf("branches=%d", n), func(b *testing.B) {
			branches := make([]Branch, n)
			for i := range branches {
				branches[i] = Branch{Share: 10_000 / n, Visitors: 10_000, Conversions: int64(500 + i)}
			}
			b.ReportAllocs()
			for b.Loop() {
				Decide(Config{}, branches, start)
			}
		})
	}
}
