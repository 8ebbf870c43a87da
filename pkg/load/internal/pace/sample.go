package pace

import (
	"fmt"
	"strconv"
	"strings"
)

// Share is the part of all events that ask for a receipt, from 0 to 1.
type Share float64

// ParseShare reads a share written as a fraction (1/16) or a number (0.0625).
func ParseShare(s string) (Share, error) {
	num, den, fraction := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(num, 64)
	if err == nil && fraction {
		var d float64
		d, err = strconv.ParseFloat(den, 64)
		n /= d
	}
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, fmt.Errorf("share %q is neither a fraction like 1/16 nor a number from 0 to 1", s)
	}
	return Share(n), nil
}

// Sampler spreads a share evenly over a sequence of events. Its zero value
// picks none.
type Sampler struct {
	share float64
	carry float64
}

// NewSampler returns a sampler that picks the given share, beginning with the
// first event.
func NewSampler(share Share) Sampler {
	return Sampler{share: float64(share), carry: 1 - float64(share)}
}

// Pick tells whether the next event is one of the share.
func (s *Sampler) Pick() bool {
	if s.share == 0 {
		return false
	}
	s.carry += s.share
	if s.carry < 1 {
		return false
	}
	s.carry--
	return true
}
