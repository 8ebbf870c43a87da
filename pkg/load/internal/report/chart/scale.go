package chart

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

const (
	smallest = 1e-5 // figures below count as 0: the labels of smaller ones have no room
	largest  = 1e15 // figures above count as this
)

// scale says where figures are drawn on the y axis.
type scale struct {
	logarithmic bool
	min, max    float64 // figures at the ends
	bottom, top float64 // their places
	ticks       []plot.Tick
}

// linear is a scale from 0 to the highest of values.
func linear(values []float64) scale {
	_, high := extent(values)
	if high == 0 {
		high = 1
	}
	return inSteps(high, niceStep(high, 5))
}

// counting is a scale from 0 to the highest of values, which are counts.
func counting(values []float64) scale {
	_, high := extent(values)
	return inSteps(max(high, 1), math.Ceil(niceStep(max(high, 1), 5)))
}

// inSteps is a scale from 0 to what lies above high, with a tick at each step.
func inSteps(high, step float64) scale {
	n := math.Ceil(high * 1.02 / step)
	s := scale{max: n * step, top: n * step}
	for i := range int(n) + 1 {
		v := float64(i) * step
		s.ticks = append(s.ticks, plot.Tick{Value: v, Label: short(v)})
	}
	return s
}

// fitting is a linear scale, or a logarithmic one if the values that are not 0
// span more than two decades.
func fitting(values []float64) scale {
	low, high := extent(values)
	if high <= 100*low || low == 0 {
		return linear(values)
	}
	return logarithmic(low, high)
}

// logarithmic is a scale of whole decades.
func logarithmic(low, high float64) scale {
	from, to := int(math.Floor(math.Log10(low))), int(math.Ceil(math.Log10(high*1.05)))
	s := scale{logarithmic: true, min: math.Pow10(from), max: math.Pow10(to), bottom: float64(from), top: float64(to)}
	every := 1 + (to-from)/9 // decades a label
	for decade := from; decade <= to; decade++ {
		v := math.Pow10(decade)
		tick := plot.Tick{Value: float64(decade)}
		if (decade-from)%every == 0 {
			tick.Label = short(v)
		}
		s.ticks = append(s.ticks, tick)
		for minor := 2.0; minor <= 9 && decade < to; minor++ {
			s.ticks = append(s.ticks, plot.Tick{Value: math.Log10(minor * v)})
		}
	}
	return s
}

// place is where a figure is on the axis.
func (s scale) place(v float64) float64 {
	v = min(max(v, s.min), s.max)
	if s.logarithmic {
		v = math.Log10(v)
	}
	return min(max(v, s.bottom), s.top) // where the logarithm was rounded
}

// axis is the scale's axis.
func (s scale) axis(label string) axis {
	if s.logarithmic {
		label += ", logarithmic"
	}
	return axis{label: label, min: s.bottom, max: s.top, ticks: s.ticks}
}

// extent returns the lowest value that is not 0 and the highest, 0 if there is none.
func extent(values []float64) (low, high float64) {
	for _, v := range values {
		if !(v >= smallest) {
			continue
		}
		v = min(v, largest)
		if low == 0 || v < low {
			low = v
		}
		high = max(high, v)
	}
	return low, high
}

// niceStep returns a round step of which about n make up high.
func niceStep(high float64, n int) float64 {
	raw := high / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*power >= raw {
			return f * power
		}
	}
	return 10 * power
}

// short writes a figure for a tick: 0.25, 20,000, 1.5M.
func short(v float64) string {
	switch {
	case v >= 1e9:
		return trimmed(v/1e9) + "G"
	case v >= 1e6:
		return trimmed(v/1e6) + "M"
	case v >= 1000:
		return Grouped(uint64(math.Round(v)))
	}
	return trimmed(v)
}

// trimmed writes a figure to six significant digits, without what rounding left.
func trimmed(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := max(0, 5-int(math.Floor(math.Log10(v))))
	out := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(out, ".") {
		out = strings.TrimRight(strings.TrimRight(out, "0"), ".")
	}
	return out
}

// Grouped writes a number with commas: 1,234,567.
func Grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
