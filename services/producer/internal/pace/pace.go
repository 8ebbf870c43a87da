// Package pace says when each event of a load is due. It is pure: it knows no
// clock, so what it answers can be checked without waiting.
//
// A Schedule is the rate as people write it, a Pacer is that rate in a load of
// some duration. The model are vegeta's pacers (github.com/tsenart/vegeta,
// lib/pacer.go). We don't use them, since they answer how long to sleep, from the
// hits so far and the time elapsed. We need the time that an event was intended
// for: latency counts from there, however late the sender is.
package pace

import (
	"fmt"
	"math/bits"
	"strconv"
	"time"
)

// MaxRate is the highest rate that can be asked for, in events per second.
const MaxRate = 100_000_000

// Rate is a number of events per second. Zero is Max.
type Rate uint64

// Max means as fast as events are acknowledged.
const Max Rate = 0

// ParseRate reads "max" or a whole number of events per second.
func ParseRate(s string) (Rate, error) {
	if s == "max" {
		return Max, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n < 1 || n > MaxRate {
		return 0, fmt.Errorf("rate %q is neither max nor a whole number of events per second from 1 to %d", s, MaxRate)
	}
	return Rate(n), nil
}

// UnmarshalText is ParseRate, for flags.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

func (r Rate) String() string {
	if r == Max {
		return "max"
	}
	return strconv.FormatUint(uint64(r), 10)
}

// Intended returns when event k (counting from 0) is due, as time since the
// start of the load. It never drifts: event k*r is due at second k exactly.
// The rate must not be Max.
func (r Rate) Intended(k uint64) time.Duration {
	hi, lo := bits.Mul64(k, uint64(time.Second))
	if hi >= uint64(r) {
		return 1<<63 - 1
	}
	due, _ := bits.Div64(hi, lo, uint64(r))
	return time.Duration(min(due, 1<<63-1))
}
