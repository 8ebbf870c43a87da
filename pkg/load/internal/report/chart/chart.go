// Package chart draws figures as SVG for an HTML page: over time, as a
// distribution, one bar a shard. A drawing refers to nothing outside itself and
// fits any width. Its legend belongs on the page; Ink says what to put there.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"html/template"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes in the drawing's own units. It is scaled to the page.
const (
	width       vg.Length = 900
	leftMargin  vg.Length = 76 // to the axis, the same in all drawings so that they stand in line
	rightMargin vg.Length = 24
	topMargin   vg.Length = 16 // for what stands above a mark
	fontSize    vg.Length = 12.5
)

// XY is a place in a chart, in the units of its axes.
type XY struct{ X, Y float64 }

// frame is what all charts have in common: the axes around what is drawn.
type frame struct {
	label  string // what the chart shows, for those who do not see it
	height vg.Length
	x, y   axis
	empty  string // said in the middle, if there is nothing to draw
}

// axis is one of them.
type axis struct {
	label    string // with the unit
	min, max float64
	ticks    []plot.Tick
}

// draw returns the drawing, of parts from the back to the front.
func (f frame) draw(parts ...plot.Plotter) (template.HTML, error) {
	if f.empty != "" {
		f.y.ticks = nil
	}
	p := plot.New()
	p.BackgroundColor = nil
	p.Add(grid(f.y.ticks))
	p.Add(parts...)
	if f.empty != "" {
		p.Add(note(f.empty))
	}
	f.x.onto(&p.X)
	f.y.onto(&p.Y)

	canvas := vgsvg.NewWith(vgsvg.UseWH(width, f.height))
	page := draw.New(canvas)
	// The margin that the ticks' labels ask for differs from chart to chart.
	inner := p.DataCanvas(page)
	left, right := inner.Min.X-page.Min.X, page.Max.X-inner.Max.X
	p.Draw(draw.Crop(page, max(0, leftMargin-left), -max(0, rightMargin-right), 0, -topMargin))

	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return "", fmt.Errorf("draw the chart %q: %w", f.label, err)
	}
	return inline(svg.Bytes(), f)
}

// onto sets an axis of a plot.
func (a axis) onto(to *plot.Axis) {
	to.Min, to.Max = a.min, a.max
	to.Padding = 0
	to.LineStyle.Color, to.Tick.LineStyle.Color = axisInk, axisInk
	to.Label.Text = a.label
	to.Label.Padding = 5
	to.Label.TextStyle.Font, to.Label.TextStyle.Color = sans(fontSize), textInk
	to.Tick.Label.Font, to.Tick.Label.Color = sans(fontSize), textInk
	to.Tick.Length = 5
	to.Tick.Marker = plot.ConstantTicks(a.ticks)
}

// sans is the font that text is measured in: Liberation Sans, whose widths are
// those of Arial and Helvetica, one of which a browser has.
func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// inline makes a part of a page of an SVG document: without the prologue, as
// wide as there is room, and with a title.
func inline(document []byte, f frame) (template.HTML, error) {
	_, rest, ok := bytes.Cut(document, []byte("<svg"))
	_, body, ended := bytes.Cut(rest, []byte(">"))
	if !ok || !ended {
		return "", fmt.Errorf("draw the chart %q: not an SVG document", f.label)
	}
	label := html.EscapeString(f.label)
	start := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s"><title>%s</title>`,
		width.Points(), f.height.Points(), label, label)
	return template.HTML(start + string(bytes.TrimSpace(body))), nil // what gonum escaped, and we above
}
