package chart

import (
	"fmt"
	"html/template"
	"math"
	"time"

	"gonum.org/v1/plot"
)

// OverTime is a chart of figures over the time of a load. Charts with the same
// End stand in line.
type OverTime struct {
	Label string  // what it shows
	Y     string  // what is on the y axis, with the unit
	End   float64 // of the time axis, in seconds; it begins at 0
	Lines []Line  // the last in front; a figure of 0 is at the bottom of a logarithmic axis
	Even  bool    // the y axis begins at 0 and is not logarithmic, however wide the figures span
	Bands []Band
	Marks []Mark
	Empty string // said if there are no lines
}

// SVG draws it. Unless it is to be even, the y axis is logarithmic if the figures
// span more than two decades.
func (c OverTime) SVG() (template.HTML, error) {
	figures := values(c.Lines)
	y := fitting(figures)
	if c.Even {
		y = linear(figures)
	}
	f := frame{label: c.Label, height: 250, x: seconds(c.End), y: y.axis(c.Y)}
	if len(figures) == 0 {
		f.empty = c.Empty
	}
	return f.draw(bands(c.Bands), marks(c.Marks), lines{c.Lines, y})
}

// Steps are the parts of a line that keeps each value for one interval. Values
// that are NaN are missing.
func Steps(at []float64, interval float64, value func(i int) float64) [][]XY {
	var parts [][]XY
	var part []XY
	for i, t := range at {
		v := value(i)
		if math.IsNaN(v) {
			if len(part) > 0 {
				parts, part = append(parts, part), nil
			}
			continue
		}
		part = append(part, XY{t, v}, XY{t + interval, v})
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

// timeSteps are steps between ticks in seconds that people reckon in.
var timeSteps = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400}

// The longest and the shortest axis of time, in seconds: some three years, and less than any clock tells.
const (
	longest  = 1e8
	shortest = 1e-9
)

// seconds is the axis of time.
func seconds(end float64) axis {
	const most = 12 // ticks
	if !(end > 0) {
		end = 1
	}
	end = min(max(end, shortest), longest)
	step := niceStep(end, most)
	for i := len(timeSteps) - 1; i >= 0 && timeSteps[i]*most >= end; i-- {
		step = timeSteps[i]
	}
	a := axis{label: "seconds since the first event was due", max: end}
	write := trimmed
	switch {
	case end > 3600:
		a.label, write = "time since the first event was due (hours:minutes:seconds)", clock
	case end > 180:
		a.label, write = "time since the first event was due (minutes:seconds)", clock
	}
	for i := 0; float64(i)*step <= end*1.0001; i++ {
		t := float64(i) * step
		a.ticks = append(a.ticks, plot.Tick{Value: t, Label: write(t)})
	}
	return a
}

// clock writes seconds as 5:00, or 1:05:00.
func clock(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	h, m, sec := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%02d", h, m, sec)
	}
	return fmt.Sprintf("%d:%02d", m, sec)
}
