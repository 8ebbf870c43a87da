package pick

import "math"

// Hottest returns the share of all events that the hottest key gets; NaN for a
// recorded distribution, whose Trace knows.
func (d Distribution) Hottest(keys int) float64 {
	n := float64(keys)
	switch d.kind {
	case kindZipf:
		return 1 / powerSum(newPower(d.exponent), keys)
	case kindHot:
		return max(d.share/float64(d.hot), (1-d.share)/(n-float64(d.hot)))
	case kindFile:
		return math.NaN()
	default:
		return 1 / n
	}
}

// summed is how many terms of a sum are added one by one.
const summed = 1000

// powerSum returns 1^-s + 2^-s + ... + n^-s. Beyond the first terms it is the
// Euler-Maclaurin formula up to the first derivative: with as many terms as
// here, what is left out is below 10^-12.
func powerSum(p power, n int) float64 {
	sum := 0.0
	for k := range min(n, summed) {
		sum += p.at(float64(k + 1))
	}
	if n <= summed {
		return sum
	}
	a, b := float64(summed), float64(n)
	sum += p.area(b) - p.area(a) + (p.at(b)-p.at(a))/2
	return sum + p.s/12*(p.at(a)/a-p.at(b)/b)
}
