package main

import "testing"

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		median float64
		spread string
	}{
		{[]float64{3}, 3, "+0% +0%"},
		{[]float64{4, 1, 3}, 3, "-67% +33%"},
		{[]float64{4, 2, 1, 3}, 2.5, "-60% +60%"},
	} {
		if got := median(c.values); got != c.median {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.median)
		}
		if got := spread(c.values); got != c.spread {
			t.Errorf("spread of %v: %s, want %s", c.values, got, c.spread)
		}
	}
}
