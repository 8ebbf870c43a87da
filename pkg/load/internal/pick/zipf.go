package pick

import "math"

// zipf picks key r-1 with a chance in proportion to r^-s, for ranks r from 1 to
// the number of keys and any exponent s (math/rand/v2 knows those above 1 only).
//
// This is rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion
// to generate variates from monotone discrete distributions", ACM Transactions on
// Modeling and Computer Simulation 6.3 (1996). Under the curve x^-s, which is
// convex, the area from r-1/2 to r+1/2 is at least r^-s. A point drawn from the
// area below the whole curve falls into the stretch of one rank; it stands for
// the rank if it lies in the last r^-s of the stretch's area, and else another one
// is drawn. Rank 1 has no more area than that, so it is never drawn in vain.
type zipf struct {
	draws
	power
	ranks float64
	first float64 // area where the stretch of rank 1 begins
	last  float64 // area where the stretch of the last rank ends
	sure  float64 // a point at most this far before a rank stands for it
}

func newZipf(d draws, exponent float64, keys int) *zipf {
	p := newPower(exponent)
	return &zipf{
		draws: d,
		power: p,
		ranks: float64(keys),
		first: p.area(1.5) - 1,
		last:  p.area(float64(keys) + 0.5),
		// What stands for a rank begins some way before it, and the further the
		// higher the rank, from 2 on. So what is sure of rank 2 is sure of all,
		// and spares most points the exact test.
		sure: 2 - p.reach(p.area(2.5)-p.at(2)),
	}
}

func (z *zipf) Next() int {
	for {
		if rank, ok := z.rank(z.last + z.unit()*(z.first-z.last)); ok {
			return int(rank) - 1
		}
	}
}

// rank returns the rank whose stretch an area ends in, and whether the point
// there stands for it.
func (z *zipf) rank(area float64) (rank float64, ok bool) {
	x := z.reach(area)
	rank = math.Floor(x + 0.5)
	switch {
	case rank <= 1:
		return 1, true
	case rank > z.ranks: // by rounding: of a steep curve, the last stretches have next to no area
		rank = z.ranks
	}
	return rank, rank-x <= z.sure || area >= z.area(rank+0.5)-z.at(rank)
}

// power is the curve x^-s and the area below it, counted from x=1.
type power struct {
	s, rise float64 // rise is 1-s
}

func newPower(s float64) power { return power{s: s, rise: 1 - s} }

// at returns x^-s.
func (p power) at(x float64) float64 { return math.Exp(-p.s * math.Log(x)) }

// area returns the area below the curve from 1 to x, (x^rise - 1)/rise. It is
// exact for exponents close to 1, too, where that is log(x).
func (p power) area(x float64) float64 {
	if p.rise == 0 {
		return math.Log(x)
	}
	return math.Expm1(p.rise*math.Log(x)) / p.rise
}

// reach returns the x that an area reaches to: the inverse of area.
func (p power) reach(area float64) float64 {
	if p.rise == 0 {
		return math.Exp(area)
	}
	return math.Exp(math.Log1p(p.rise*area) / p.rise)
}
