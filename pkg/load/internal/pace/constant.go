package pace

import (
	"math/bits"
	"time"
)

// constant is a rate that stays, in events per second.
type constant uint64

func (c constant) due(events, billionths uint64) time.Duration {
	hi, lo := bits.Mul64(events, billion)
	lo, carry := bits.Add64(lo, billionths, 0)
	if hi += carry; hi >= uint64(c) {
		return forever
	}
	due, _ := bits.Div64(hi, lo, uint64(c))
	return time.Duration(min(due, uint64(forever)))
}

func (c constant) passed(d time.Duration) (events, billionths uint64) {
	hi, lo := bits.Mul64(uint64(c), uint64(d)) // below 2^90, so the quotient fits
	return bits.Div64(hi, lo, billion)
}

func (c constant) rate(time.Duration) float64 { return float64(c) }
