package strict

import (
	"fmt"
	"strings"
)

// DidYouMean is ` (did you mean "x"?)` with the known word that is closest to the
// given one, or "" when none is close.
func DidYouMean(word string, known []string) string {
	if hint := suggest(word, known); hint != "" {
		return " (" + hint + ")"
	}
	return ""
}

func suggest(word string, known []string) string {
	if best := closest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// closest is the known word that differs least, by no more than a third of the
// letters, or "". Case and the choice of - or _ count as nothing.
func closest(word string, known []string) string {
	const longest = 64 // bytes; nobody mistypes a longer word
	best, least := "", len(word)/3+1
	if len(word) > longest {
		return ""
	}
	fold := strings.NewReplacer("-", "_", " ", "_")
	a := []rune(fold.Replace(strings.ToLower(word)))
	for _, k := range known {
		if len(k) > longest || k == word {
			continue
		}
		b := []rune(fold.Replace(strings.ToLower(k)))
		if d := distance(a, b); d < least || d == least && best == "" && d < max(len(a), len(b)) {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters that have to be put in, left out, replaced or
// swapped with their neighbour (optimal string alignment).
func distance(a, b []rune) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j+1]+1, row[j]+1, old[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
