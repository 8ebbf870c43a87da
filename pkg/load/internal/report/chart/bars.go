package chart

import (
	"html/template"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars is a chart of one count for each of a row of things, numbered from 0.
type Bars struct {
	Label  string
	X, Y   string // what is on the axes, with the unit
	Values []uint64
	Ink    Ink
	Mean   Ink    // of a line at the mean
	Empty  string // said if there are no values
}

// SVG draws it.
func (c Bars) SVG() (template.HTML, error) {
	n := len(c.Values)
	var sum float64
	figures := make([]float64, n)
	for i, v := range c.Values {
		figures[i] = float64(v)
		sum += figures[i]
	}
	y := counting(figures)
	f := frame{label: c.Label, height: 190, y: y.axis(c.Y), x: axis{label: c.X, min: -0.6, max: float64(max(n, 1)) - 0.4, ticks: countTicks(n)}}
	if n == 0 {
		f.empty, f.x.ticks = c.Empty, nil
		return f.draw()
	}
	mean := Line{Ink: c.Mean, Parts: [][]XY{{{f.x.min, sum / float64(n)}, {f.x.max, sum / float64(n)}}}}
	return f.draw(bars{figures, c.Ink, y}, lines{[]Line{mean}, y})
}

// countTicks are ticks at most 17 of the numbers from 0, at a power of two apart.
func countTicks(n int) []plot.Tick {
	step := 1
	for (n-1)/step > 16 {
		step *= 2
	}
	var ticks []plot.Tick
	for i := 0; i < n; i += step {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: strconv.Itoa(i)})
	}
	return ticks
}

// bars draws all bars as one shape, apart from one another where there is room.
type bars struct {
	figures []float64
	ink     Ink
	y       scale
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	half := 0.5
	if x(1)-x(0) > 4 {
		half = 0.38
	}
	var path vg.Path
	for i, v := range b.figures {
		left, right, top := x(float64(i)-half), x(float64(i)+half), y(b.y.place(v))
		if len(path) == 0 || half < 0.5 {
			path.Move(vg.Point{X: left, Y: c.Min.Y})
		}
		path.Line(vg.Point{X: left, Y: top})
		path.Line(vg.Point{X: right, Y: top})
		if half < 0.5 || i == len(b.figures)-1 {
			path.Line(vg.Point{X: right, Y: c.Min.Y})
			path.Close()
		}
	}
	c.SetColor(b.ink.Colour)
	c.Fill(path)
}
