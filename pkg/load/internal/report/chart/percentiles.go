package chart

import (
	"html/template"
	"math"

	"gonum.org/v1/plot"
)

// Percentiles is a chart of whole distributions. The x axis stretches what is
// close to 100%, as HDR histograms are drawn: from 90% to 99% is as far as from
// 99% to 99.9%.
type Percentiles struct {
	Label string
	Y     string // what is on the y axis, with the unit
	Lines []Line // X is the percentile, rising to 100
	Empty string // said if there are no lines
}

// SVG draws it, with a dot for each line's maximum.
func (c Percentiles) SVG() (template.HTML, error) {
	figures := values(c.Lines)
	y := fitting(figures)
	end := 1.0
	drawn := make([]Line, len(c.Lines))
	for i, line := range c.Lines {
		drawn[i] = Line{Ink: line.Ink, Parts: make([][]XY, len(line.Parts))}
		for j, part := range line.Parts {
			drawn[i].Parts[j] = stretched(part)
			for _, at := range drawn[i].Parts[j] {
				end = max(end, at.X)
			}
		}
	}
	f := frame{label: c.Label, height: 300, y: y.axis(c.Y), x: axis{label: "percent of events that waited no longer", max: end * 1.02, ticks: nines(end)}}
	if len(figures) == 0 {
		f.empty = c.Empty
	}
	return f.draw(lines{drawn, y}, dots{drawn, y})
}

// stretched puts percentiles in their places. The maximum, which would be
// infinitely far, is where half as many events would be above.
func stretched(part []XY) []XY {
	out := make([]XY, 0, len(part))
	last := 0.0
	for _, at := range part {
		x := last + math.Log10(2)
		if at.X < 100 {
			x = nineness(at.X)
		}
		out = append(out, XY{x, at.Y})
		last = x
	}
	return out
}

// nineness is 0 for 0%, 1 for 90%, 2 for 99%.
func nineness(percentile float64) float64 {
	return min(-math.Log10(1-max(percentile, 0)/100), 17)
}

// nines are the ticks: 0, 50, 90, 99, 99.9 and so on.
func nines(end float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Label: "0%"}, {Value: nineness(50), Label: "50%"}, {Value: nineness(75)}}
	label := "9"
	for n := 1.0; n <= end; n++ {
		switch n {
		case 1:
			label = "90"
		case 2:
			label = "99"
		case 3:
			label = "99.9"
		default:
			label += "9"
		}
		ticks = append(ticks, plot.Tick{Value: n, Label: label + "%"})
	}
	return ticks
}
