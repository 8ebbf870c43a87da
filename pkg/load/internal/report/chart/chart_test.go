package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"pgregory.net/rapid"
)

// any figure that a report.json could have, however absurd.
var figures = rapid.OneOf(
	rapid.Float64Range(0, 1e6),
	rapid.SampledFrom([]float64{0, 5e-324, 1e-306, 1e-300, 1e-7, 1e-6, 1.07e-6, 1e-5, 1.07e-5, 0.001, 1, 99.99, 100, 1e12, 1e300, -1, math.Inf(1), math.NaN()}),
)

func TestScalesHoldEveryFigure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(figures).Draw(t, "figures")
		for name, s := range map[string]scale{"fitting": fitting(all), "linear": linear(all), "counting": counting(all)} {
			a := s.axis("ms")
			require.Less(t, a.min, a.max, name)
			require.LessOrEqual(t, len(a.ticks), 250, name)
			labelled := 0
			for _, tick := range a.ticks {
				require.GreaterOrEqual(t, tick.Value, a.min, name)
				require.LessOrEqual(t, tick.Value, a.max, name)
				require.LessOrEqual(t, len(tick.Label), 9, "%s: the label %q has room beside the axis", name, tick.Label)
				if !tick.IsMinor() {
					labelled++
				}
			}
			require.GreaterOrEqual(t, labelled, 2, name)
			require.LessOrEqual(t, labelled, 11, name)
			for _, v := range all {
				if !math.IsNaN(v) {
					require.LessOrEqual(t, a.min, s.place(v), name)
					require.GreaterOrEqual(t, a.max, s.place(v), name)
				}
			}
		}
	})
}

func TestScaleIsLogarithmicBeyondTwoDecades(t *testing.T) {
	require.False(t, fitting(nil).logarithmic)
	require.False(t, fitting([]float64{0, 0}).logarithmic)
	require.False(t, fitting([]float64{1, 100}).logarithmic)
	require.False(t, fitting([]float64{0, 500, 600}).logarithmic)
	s := fitting([]float64{2, 350})
	require.True(t, s.logarithmic)
	require.Equal(t, []string{"1", "10", "100", "1,000"}, labels(s.ticks))
	require.Equal(t, 0.0, s.place(0), "at the bottom")
	require.Equal(t, []string{"0", "5,000", "10,000", "15,000", "20,000", "25,000"}, labels(linear([]float64{20_000}).ticks))
	require.Equal(t, []string{"0", "1"}, labels(counting([]float64{0}).ticks)[:2], "no half events")
}

func TestTimeHasRoundTicks(t *testing.T) {
	for end, want := range map[float64]string{
		0:     "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1",
		1.1:   "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1 1.1",
		10.1:  "0 1 2 3 4 5 6 7 8 9 10",
		62:    "0 10 20 30 40 50 60",
		300:   "0:00 0:30 1:00 1:30 2:00 2:30 3:00 3:30 4:00 4:30 5:00",
		3700:  "0:00 10:00 20:00 30:00 40:00 50:00 1:00:00",
		1e300: "",
	} {
		a := seconds(end)
		if want != "" {
			require.Equal(t, want, strings.Join(labels(a.ticks), " "), "%g s", end)
		}
		require.LessOrEqual(t, len(a.ticks), 13)
		require.Contains(t, a.label, "since the first event was due")
	}
}

func TestStepsAreInterruptedWhereSomethingIsMissing(t *testing.T) {
	y := []float64{math.NaN(), 5, 6, math.NaN(), 7, math.NaN()}
	parts := Steps([]float64{0, 1, 2, 3, 4, 5}, 1, func(i int) float64 { return y[i] })
	require.Equal(t, [][]XY{{{1, 5}, {2, 5}, {2, 6}, {3, 6}}, {{4, 7}, {5, 7}}}, parts)
	require.Empty(t, Steps(nil, 1, nil))
}

func TestNines(t *testing.T) {
	require.Equal(t, "0% 50% 90% 99% 99.9% 99.99% 99.999%", strings.Join(labels(nines(5.3)), " "))
	require.InDelta(t, 3, nineness(99.9), 1e-9)
	require.Zero(t, nineness(-5))
	require.Equal(t, 17.0, nineness(100), "no further")
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 100).Draw(t, "a"), rapid.Float64Range(0, 100).Draw(t, "b")
		require.LessOrEqual(t, nineness(min(a, b)), nineness(max(a, b)))
	})
}

func TestBarsHaveFewLabels(t *testing.T) {
	require.Equal(t, []string{"0"}, labels(countTicks(1)))
	require.Len(t, countTicks(16), 16)
	for n := range 5000 {
		require.LessOrEqual(t, len(countTicks(n)), 17)
	}
	require.Equal(t, "64", countTicks(1024)[1].Label)
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", math.MaxUint64: "18,446,744,073,709,551,615"} {
		require.Equal(t, want, Grouped(n))
	}
}

// Whatever is drawn, the result is a drawing.
func TestEveryFigureCanBeDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.SliceOfN(figures, 0, 20).Draw(t, "y")
		at := make([]float64, len(y))
		for i := range at {
			at[i] = float64(i)
		}
		line := Line{Ink: Blue, Parts: Steps(at, 1, func(i int) float64 { return y[i] })}
		edge := rapid.SampledFrom([]float64{-1, 0, 1.5, 2, 1e300}).Draw(t, "an edge")
		svg, err := OverTime{
			Label: `<"&>`, Y: "ms", End: figures.Draw(t, "end"), Lines: []Line{line}, Empty: "nothing",
			Bands: []Band{{Ink: Grey, From: 1, To: edge}, {Ink: Rose, From: edge, To: 2}}, Marks: []Mark{{Ink: Violet, At: edge, Label: "3"}},
		}.SVG()
		require.NoError(t, err)
		wellFormed(t, string(svg))
		svg, err = Percentiles{Label: "p", Lines: []Line{line}}.SVG()
		require.NoError(t, err)
		wellFormed(t, string(svg))
		svg, err = Bars{Label: "b", Values: rapid.SliceOf(rapid.Uint64()).Draw(t, "bars"), Ink: Blue, Mean: Black}.SVG()
		require.NoError(t, err)
		wellFormed(t, string(svg))
	})
}

func wellFormed(t *rapid.T, svg string) {
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.NotContains(t, svg, "NaN")
	require.NotContains(t, svg, "Inf")
}

func labels(ticks []plot.Tick) []string {
	var out []string
	for _, tick := range ticks {
		if !tick.IsMinor() {
			out = append(out, tick.Label)
		}
	}
	return out
}
