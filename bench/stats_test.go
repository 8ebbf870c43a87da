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

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7.4: "7", 999.6: "1,000", 1234: "1,230", 12345: "12,300", 99960: "100,000", 431234: "431,000", 1234567: "1,230,000"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
