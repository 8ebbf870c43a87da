package main

import (
	"fmt"
	"slices"
)

// median of at least one value.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is how far the least and the largest value lie from the median.
func spread(v []float64) string {
	m := median(v)
	return fmt.Sprintf("%+.0f%% %+.0f%%", 100*(slices.Min(v)/m-1), 100*(slices.Max(v)/m-1))
}
