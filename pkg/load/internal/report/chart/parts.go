package chart

import (
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Line is one figure.
type Line struct {
	Ink   Ink
	Parts [][]XY // not joined, where something is missing in between
}

// Band is a stretch of x that is shaded.
type Band struct {
	Ink      Ink
	From, To float64
}

// Mark is a moment of x that a vertical line marks.
type Mark struct {
	Ink   Ink
	At    float64
	Label string // above it; may be empty
}

// lines draws lines at the places that a scale gives them.
type lines struct {
	all []Line
	y   scale
}

func (l lines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, line := range l.all {
		style := draw.LineStyle{Color: line.Ink.Colour, Width: line.Ink.width()}
		for _, part := range line.Parts {
			points := make([]vg.Point, len(part))
			for i, at := range part {
				points[i] = vg.Point{X: x(at.X), Y: y(l.y.place(at.Y))}
			}
			c.StrokeLines(style, c.ClipLinesXY(points)...)
		}
	}
}

// narrowest is how narrow a band may be, so that it can still be seen.
const narrowest vg.Length = 1.5

// bands shades stretches of x. Those of one ink do not overlap in the end.
type bands []Band

func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, band := range b {
		from, to := max(x(band.From), c.Min.X), min(x(band.To), c.Max.X)
		if from > c.Max.X || to < c.Min.X {
			continue
		}
		to = max(to, from+narrowest)
		c.FillPolygon(band.Ink.Colour, []vg.Point{{X: from, Y: c.Min.Y}, {X: to, Y: c.Min.Y}, {X: to, Y: c.Max.Y}, {X: from, Y: c.Max.Y}})
	}
}

// marks draws marks over the whole height, and what is said of them above.
type marks []Mark

func (m marks) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, mark := range m {
		at := x(mark.At)
		if !c.ContainsX(at) {
			continue
		}
		c.StrokeLine2(draw.LineStyle{Color: mark.Ink.Colour, Width: mark.Ink.width(), Dashes: []vg.Length{5, 2}}, at, c.Min.Y, at, c.Max.Y)
		style := textStyle(fontSize-2, p)
		style.Color, style.YAlign = mark.Ink.Colour, text.YBottom
		c.FillText(style, vg.Point{X: at, Y: c.Max.Y + 3}, mark.Label)
	}
}

// dots puts a dot at the end of each line.
type dots lines

func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, line := range d.all {
		if len(line.Parts) == 0 {
			continue
		}
		last := line.Parts[len(line.Parts)-1]
		at := last[len(last)-1]
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: line.Ink.Colour, Radius: 3, Shape: draw.CircleGlyph{}}, vg.Point{X: x(at.X), Y: y(d.y.place(at.Y))})
	}
}

// grid draws a faint line at each labelled tick of y.
type grid []plot.Tick

func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for _, tick := range g {
		if !tick.IsMinor() {
			c.StrokeLine2(draw.LineStyle{Color: gridInk, Width: 0.7}, c.Min.X, y(tick.Value), c.Max.X, y(tick.Value))
		}
	}
}

// note is said in the middle.
type note string

func (n note) Plot(c draw.Canvas, p *plot.Plot) {
	style := textStyle(fontSize+1.5, p)
	style.YAlign = text.YCenter
	c.FillText(style, c.Center(), string(n))
}

func textStyle(size vg.Length, p *plot.Plot) draw.TextStyle {
	return draw.TextStyle{Color: textInk, Font: sans(size), XAlign: text.XCenter, Handler: p.TextHandler}
}

// values returns the y of all lines.
func values(all []Line) []float64 {
	var out []float64
	for _, line := range all {
		for _, at := range slices.Concat(line.Parts...) {
			out = append(out, at.Y)
		}
	}
	return out
}
