package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"example.com/lockstep/pkg/load/internal/latency"
)

// figure is one of the key figures.
type figure struct {
	Name, Value, Unit string
	Note              string
	Class             string // bad if the verdict fails for it, odd if it is worth a look
}

// counted is a count that ought to be 0, of the class given if it is not.
func counted(name string, n uint64, unit, class string) figure {
	if n == 0 {
		class = ""
	}
	return figure{Name: name, Value: count(n), Unit: unit, Class: class}
}

// measured is a latency in milliseconds, as in cells.
func measured(name, cell string) figure {
	if cell == none {
		return figure{Name: name, Value: none}
	}
	return figure{Name: name, Value: cell, Unit: "ms"}
}

// figures are the key figures of the page.
func (r Report) figures() []figure {
	apply, lag := cells(r.LatencyMS.Apply), cells(r.ScheduleLagMS)
	out := []figure{
		{Name: "applied", Value: rate(r.AppliedPerSecond), Unit: "events/s", Note: count(r.Applied) + " events"},
		{Name: "acknowledged", Value: rate(r.AckedPerSecond), Unit: "events/s", Note: count(r.Acked) + " of " + count(r.Sent) + " sent"},
		measured("applied after, median", apply[0]),
		measured("applied after, p99", apply[2]),
		measured("applied after, longest", apply[4]),
		measured("schedule lag, p99", lag[2]),
		counted("lost", r.Lost, "events", "bad"),
		counted("duplicated", r.Duplicated, "events", "bad"),
		counted("reordered", r.Reordered, "keys", "bad"),
		counted("unproven", r.Unproven, "keys", "bad"),
		counted("unknown", r.UnknownKeys, "keys", "bad"),
		counted("unfinished", r.Unfinished, "events", "bad"),
		counted("failed to send", r.Failed, "events", "odd"),
	}
	if r.Refused > 0 {
		out = append(out, counted("refused by Check", r.Refused, "keys", "bad"))
	}
	if r.Deleted > 0 {
		out = append(out, figure{Name: "deleted in the end", Value: count(r.Deleted), Unit: "keys", Note: "nothing is left to compare"})
	}
	out = append(out, r.lists()...)
	if r.Dropped > 0 {
		out = append(out, counted("dropped", r.Dropped, "events", "odd"))
	}
	if r.Overdue > 0 {
		f := counted("behind schedule", r.Overdue, "events", "odd")
		f.Note = count(r.Unsent) + " never sent"
		out = append(out, f)
	}
	if b := r.Backlog; b != nil {
		out = append(out, figure{Name: "backlog drained", Value: rate(b.DrainedPerSecond), Unit: "events/s", Note: fmt.Sprintf("%s events in %s s", count(b.Events), inSeconds(b.DrainSeconds))})
	}
	if f := r.FindMax; f != nil {
		out = append(out, figure{Name: "highest rate that held", Value: count(f.Rate), Unit: "events/s", Note: "p99 at most " + number(f.BoundMS) + " ms"})
	}
	return out
}

// lists are the key figures of what waits in lists.
func (r Report) lists() (out []figure) {
	if n := r.SetAsideKeys - r.ParkedKeys; n > 0 {
		f := counted("set aside", r.SetAside-r.Parked, "events", "bad")
		f.Note = "of " + several(int(n), "key") + " whose first event is tried again"
		out = append(out, f)
	}
	if r.ParkedKeys > 0 {
		f := counted("parked", r.Parked, "events", "odd")
		f.Note = fmt.Sprintf("of %s, %s as expected", several(int(r.ParkedKeys), "key"), count(r.ParkedExpected))
		if r.ParkedKeys > r.ParkedExpected {
			f.Class = "bad"
		}
		out = append(out, f)
	}
	return out
}

// latencyRow is one row of the table of latencies.
type latencyRow struct {
	Name  string
	Cells []string
}

func (r Report) latencies() []latencyRow {
	return []latencyRow{
		{"until acknowledged", cells(r.LatencyMS.Ack)},
		{"until applied", cells(r.LatencyMS.Apply)},
		{"schedule lag", cells(r.ScheduleLagMS)},
	}
}

// none stands for a latency where nothing was measured.
const none = "-"

// cells are the median, p90, p99, p99.9 and maximum in milliseconds, or dashes
// if nothing was measured.
func cells(s latency.Summary) []string {
	if s == (latency.Summary{}) {
		return slices.Repeat([]string{none}, 5)
	}
	return []string{milliseconds(s.P50), milliseconds(s.P90), milliseconds(s.P99), milliseconds(s.P999), milliseconds(s.Max)}
}

// setting is one thing of how the load was made.
type setting struct{ Name, Value string }

// settings are what is known of how the load was made, in words.
func (c Config) settings() []setting {
	rate := c.Rate
	if n, err := strconv.ParseUint(rate, 10, 64); err == nil {
		rate = count(n) + " events/s"
	}
	all := []setting{
		{"profile", c.Profile},
		{"rate", rate},
		{"duration", c.Duration},
		{"events", zeroIsNone(c.Events)},
		{"warm-up", c.WarmUp},
		{"keys", fmt.Sprintf("%s, %s", count(uint64(max(c.Keys, 0))), c.Distribution)},
		{"payload", c.Payload},
		{"keys with an event that fails", poison(c.Poison)},
		{"producers", strconv.Itoa(c.Producers)},
		{"in flight, at most", fmt.Sprintf("%s events a producer", count(uint64(max(c.InFlight, 0))))},
		{"shards", strconv.Itoa(c.Shards)},
		{"asked for a receipt", fmt.Sprintf("%s%% of events", number(100*c.Receipts))},
		{"seed", strconv.FormatUint(c.Seed, 10)},
		{"app", c.App},
		{"run", c.Run},
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.Value == "" })
}

func poison(share float64) string {
	if share == 0 {
		return ""
	}
	return number(100*share) + "%"
}

func zeroIsNone(n uint64) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

// longest returns the n longest pauses, the longest first.
func longest(pauses []Pause, n int) []Pause {
	out := slices.Clone(pauses)
	slices.SortStableFunc(out, func(a, b Pause) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return out[:min(n, len(out))]
}
