package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"example.com/lockstep/pkg/load/internal/report/chart"
)

// shading is what lies behind the charts over time.
type shading struct {
	end   float64 // of the time axis, in seconds
	bands []chart.Band
	marks []chart.Mark
	keys  []key // the legend of it
}

func (r Report) shading() shading {
	t := r.Timeline
	s := shading{end: t.end()}
	if t.WarmUpSeconds > 0 {
		s.bands = append(s.bands, chart.Band{Ink: chart.Grey, To: t.WarmUpSeconds})
		s.keys = append(s.keys, key{"warm-up", "area", chart.Grey})
	}
	if pauses := pauseBands(r.Pauses.Longest, s.end); len(pauses) > 0 {
		s.bands = append(s.bands, pauses...)
		s.keys = append(s.keys, key{"a shard paused", "area", chart.Rose})
	}
	if changes := ownerMarks(r.Owners, s.end); len(changes) > 0 {
		name := "change of owner (how many)"
		if len(r.Annotations) > 0 { // their numbers stand where the counts would
			name = "change of owner"
			for i := range changes {
				changes[i].Label = ""
			}
		}
		s.marks = append(s.marks, changes...)
		s.keys = append(s.keys, key{name, "mark", chart.Violet})
	}
	if b := r.Backlog; b != nil {
		s.marks = append(s.marks, chart.Mark{Ink: chart.Black, At: b.ResumedAt})
		s.keys = append(s.keys, key{"workers resumed", "mark", chart.Black})
	}
	if happened := annotationMarks(r.Annotations, s.end); len(happened) > 0 {
		s.marks = append(s.marks, happened...)
		s.keys = append(s.keys, key{"what happened (its number)", "mark", chart.Black})
	}
	return s
}

// annotationMarks marks what happened by its number in the table. Those too close
// to be told apart have no number.
func annotationMarks(all []Annotation, end float64) []chart.Mark {
	gap := end / 60
	var out []chart.Mark
	last := math.Inf(-1) // that has a number
	for i, a := range all {
		if a.At < 0 || a.At > end {
			continue
		}
		m := chart.Mark{Ink: chart.Black, At: a.At}
		if a.At >= last+gap {
			m.Label, last = strconv.Itoa(i+1), a.At
		}
		out = append(out, m)
	}
	return out
}

// pauseBands shades the pauses of all shards. Those that overlap, or are too
// close to be told apart, become one.
func pauseBands(pauses []Pause, end float64) []chart.Band {
	gap := end / 500
	sorted := slices.SortedFunc(slices.Values(pauses), func(a, b Pause) int { return cmp.Compare(a.From, b.From) })
	var out []chart.Band
	for _, p := range sorted {
		to := p.To()
		if n := len(out); n > 0 && p.From <= out[n-1].To+gap {
			out[n-1].To = max(out[n-1].To, to)
			continue
		}
		out = append(out, chart.Band{Ink: chart.Rose, From: p.From, To: to})
	}
	return out
}

// ownerMarks marks changes of ownership. Those that are too close for the count
// of each become one with the count of all.
func ownerMarks(owners []Owner, end float64) []chart.Mark {
	gap := end / 35
	sorted := slices.SortedFunc(slices.Values(owners), func(a, b Owner) int { return cmp.Compare(a.At, b.At) })
	var out []chart.Mark
	n := 0 // changes in the last mark
	for _, o := range sorted {
		if o.At < 0 || o.At > end {
			continue
		}
		if last := len(out) - 1; last >= 0 && o.At <= out[last].At+gap {
			n++
			out[last].Label = strconv.Itoa(n)
			continue
		}
		n = 1
		out = append(out, chart.Mark{Ink: chart.Violet, At: o.At, Label: "1"})
	}
	return out
}
