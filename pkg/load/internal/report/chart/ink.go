package chart

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/vg"
)

// Ink is how something is drawn.
type Ink struct {
	Colour color.NRGBA
	Width  float64 // of a line
}

// CSS is the colour as a style sheet has it.
func (i Ink) CSS() string { return fmt.Sprintf("#%02x%02x%02x", i.Colour.R, i.Colour.G, i.Colour.B) }

// Inks of lines, told apart by the colour-blind too (Okabe and Ito 2008). Where
// lines lie upon one another the wide ones are drawn first, and so stay visible.
var (
	Sky    = Ink{color.NRGBA{0x56, 0xb4, 0xe9, 0xff}, 4}
	Orange = Ink{color.NRGBA{0xe6, 0x9f, 0x00, 0xff}, 2.2}
	Green  = Ink{color.NRGBA{0x00, 0x73, 0x53, 0xff}, 1.3}
	Blue   = Ink{color.NRGBA{0x00, 0x72, 0xb2, 0xff}, 1.6}
	Red    = Ink{color.NRGBA{0xc8, 0x4a, 0x00, 0xff}, 1.3}
	Violet = Ink{color.NRGBA{0x7b, 0x32, 0x94, 0xff}, 1}
	Black  = Ink{color.NRGBA{0x33, 0x33, 0x33, 0xff}, 1.2}
)

// Inks of areas.
var (
	Grey = Ink{Colour: color.NRGBA{0xe4, 0xe7, 0xeb, 0xff}}
	Rose = Ink{Colour: color.NRGBA{0xfa, 0xd0, 0xc6, 0xff}}
)

var (
	textInk = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	axisInk = color.NRGBA{0x55, 0x55, 0x55, 0xff}
	gridInk = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff}
)

// CSSWidth is the width of a line in a legend, in pixels, so that it can be seen.
func (i Ink) CSSWidth() float64 { return max(i.Width, 2) }

func (i Ink) width() vg.Length { return vg.Length(i.Width) }
