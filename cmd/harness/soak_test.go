package main

import "testing"

func TestQuarters(t *testing.T) {
	for _, c := range []struct {
		all         []float64
		first, last float64
	}{
		{nil, 0, 0},
		{[]float64{5}, 5, 5},
		{[]float64{1, 3, 9, 9, 9, 9, 5, 7}, 2, 6},
	} {
		if first, last := quarters(c.all); first != c.first || last != c.last {
			t.Errorf("%v: got %g and %g", c.all, first, last)
		}
	}
}
