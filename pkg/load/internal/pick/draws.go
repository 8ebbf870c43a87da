package pick

import (
	"math/bits"
	"math/rand/v2"
)

// draws is a sequence of random numbers that a seed decides.
type draws struct{ rand.PCG }

// below draws from 0 to n-1, all with the same chance (Lemire's multiplication;
// for some 10 million keys the chances differ by less than 1 in 10^12).
func (d *draws) below(n int) int {
	drawn, _ := bits.Mul64(d.Uint64(), uint64(n))
	return int(drawn)
}

// unit draws from [0, 1), in steps of 2^-53.
func (d *draws) unit() float64 {
	return float64(d.Uint64()>>11) / (1 << 53)
}
