package report

import (
	"fmt"
	"html/template"
	"math"

	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/report/chart"
)

// picture is a chart with what stands around it.
type picture struct {
	Title string
	Keys  []key
	SVG   template.HTML
	Words string // what it shows, in a sentence or two
}

// key is one entry of a legend.
type key struct {
	Name string
	Kind string // line, area or mark
	Ink  chart.Ink
}

// charts draws all charts of the page, in order.
func (r Report) charts() ([]picture, error) {
	s := r.shading()
	draws := []func() (picture, error){
		func() (picture, error) { return r.throughput(s) },
		func() (picture, error) { return r.latencyOverTime(s) },
	}
	if r.Config.Rate != "max" { // a closed loop has no schedule
		draws = append(draws, func() (picture, error) { return r.lagOverTime(s) })
	}
	draws = append(draws, r.percentiles, r.eventsPerShard, r.keysPerShard)
	var out []picture
	for _, draw := range draws {
		p, err := draw()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// curve is one line of a chart over time.
type curve struct {
	name  string
	ink   chart.Ink
	value func(Point) float64 // NaN where there is none
}

// overTime draws curves over the time of the load.
func (r Report) overTime(s shading, c chart.OverTime, words string, curves ...curve) (picture, error) {
	points := r.Timeline.Points
	at := make([]float64, len(points))
	for i, p := range points {
		at[i] = p.At
	}
	p := picture{Title: c.Label, Words: words}
	c.End, c.Bands, c.Marks = s.end, s.bands, s.marks
	for _, cv := range curves {
		parts := chart.Steps(at, r.Timeline.IntervalSeconds, func(i int) float64 { return cv.value(points[i]) })
		c.Lines = append(c.Lines, chart.Line{Ink: cv.ink, Parts: parts})
		p.Keys = append(p.Keys, key{cv.name, "line", cv.ink})
	}
	p.Keys = append(p.Keys, s.keys...)
	var err error
	p.SVG, err = c.SVG()
	return p, err
}

func (r Report) throughput(s shading) (picture, error) {
	words := fmt.Sprintf("How many events a second were sent, acknowledged and applied, in steps of %s s; where the lines lie upon one another, the system keeps up. The last step may be of less than its time and so look lower.", number(r.Timeline.IntervalSeconds))
	if kept := uint64(len(r.Pauses.Longest)); r.Pauses.Count > kept {
		words += fmt.Sprintf(" Of %s pauses the longest %s are shaded.", count(r.Pauses.Count), count(kept))
	}
	return r.overTime(s, chart.OverTime{Label: "Throughput over time", Y: "events per second", Even: true, Empty: "nothing was sent"}, words,
		curve{"sent", chart.Sky, func(p Point) float64 { return p.SentPerSecond }},
		curve{"acknowledged", chart.Orange, func(p Point) float64 { return p.AckedPerSecond }},
		curve{"applied", chart.Green, func(p Point) float64 { return p.AppliedPerSecond }})
}

func (r Report) latencyOverTime(s shading) (picture, error) {
	of := func(value func(Point) float64) func(Point) float64 {
		return func(p Point) float64 {
			if p.ApplyMaxMS == 0 {
				return math.NaN() // no event was due then
			}
			return value(p)
		}
	}
	return r.overTime(s, chart.OverTime{Label: "Latency over time, until applied", Y: "milliseconds", Empty: "no latency above zero was measured"},
		"How long events waited from the moment they were meant to be sent until they were applied, at the time they were due: half of them no longer than the median, all but one in a hundred no longer than p99.",
		curve{"longest", chart.Red, of(func(p Point) float64 { return p.ApplyMaxMS })},
		curve{"p99", chart.Blue, of(func(p Point) float64 { return p.ApplyP99MS })},
		curve{"median", chart.Green, of(func(p Point) float64 { return p.ApplyP50MS })})
}

func (r Report) lagOverTime(s shading) (picture, error) {
	return r.overTime(s, chart.OverTime{Label: "Schedule lag over time", Y: "milliseconds", Empty: "nothing was sent"},
		"How late the latest event of each step was sent, against when it was meant to be; it is part of the latencies above. High values mean that the load generator, or the limit on events in flight, held events back.",
		curve{"longest lag", chart.Blue, func(p Point) float64 {
			if p.SentPerSecond == 0 && p.MaxLagMS == 0 {
				return math.NaN()
			}
			return p.MaxLagMS
		}})
}

func (r Report) percentiles() (picture, error) {
	line := func(ink chart.Ink, steps []latency.Step) chart.Line {
		var part []chart.XY
		for _, s := range steps {
			part = append(part, chart.XY{X: s.Percentile, Y: s.MS})
		}
		if part == nil {
			return chart.Line{Ink: ink}
		}
		return chart.Line{Ink: ink, Parts: [][]chart.XY{part}}
	}
	ack, apply := chart.Orange, chart.Green
	apply.Width = 1.8
	const title = "Latency by percentile"
	svg, err := chart.Percentiles{
		Label: title, Y: "milliseconds", Empty: "no latency above zero was measured",
		Lines: []chart.Line{line(ack, r.CurveMS.Ack), line(apply, r.CurveMS.Apply)},
	}.SVG()
	return picture{
		Title: title, SVG: svg,
		Keys:  []key{{"until acknowledged", "line", ack}, {"until applied", "line", apply}},
		Words: "The whole distribution of latencies: at 99.9%, the height says how long all but one in a thousand events waited at most. The dot at the end is the longest wait.",
	}, err
}

func (r Report) eventsPerShard() (picture, error) {
	return r.perShard("Events per shard", "events", chart.Blue,
		"How the events spread over the shards. A bar far above the mean is a hot shard: one worker applies all of it.",
		func(s Shard) uint64 { return s.Events })
}

func (r Report) keysPerShard() (picture, error) {
	return r.perShard("Keys per shard", "keys", chart.Sky,
		"How the keys that were used spread over the shards.",
		func(s Shard) uint64 { return s.Keys })
}

func (r Report) perShard(title, unit string, ink chart.Ink, words string, value func(Shard) uint64) (picture, error) {
	values := make([]uint64, len(r.Shards))
	for i, s := range r.Shards {
		values[i] = value(s)
	}
	svg, err := chart.Bars{Label: title, X: "shard", Y: unit, Values: values, Ink: ink, Mean: chart.Black, Empty: "it is not known what went to which shard"}.SVG()
	return picture{Title: title, SVG: svg, Words: words, Keys: []key{{unit, "area", ink}, {"mean", "line", chart.Black}}}, err
}
