package report

import (
	"fmt"
	"math"
	"strconv"

	"example.com/lockstep/pkg/load/internal/report/chart"
)

// count writes a number of things: 1,234,567.
func count(n uint64) string { return chart.Grouped(n) }

// several writes how many of something there are: 1 threshold, 3 thresholds.
func several(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%s %s", count(uint64(n)), what)
}

// rate writes events per second, without a fraction.
func rate(f float64) string { return count(uint64(math.Round(max(f, 0)))) }

// milliseconds writes a latency to some three digits.
func milliseconds(f float64) string {
	switch {
	case f >= 1000:
		return rate(f)
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f == 0:
		return "0"
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// String says where the shard stands, and why.
func (s ShortShard) String() string {
	return fmt.Sprintf("shard %d has committed up to message %d of %d: %s", s.Shard, s.Seq, s.End, s.Why)
}

// inSeconds writes seconds to the hundredth.
func inSeconds(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
