package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"example.com/lockstep/services/producer/internal/latency"
)

// WriteTable writes the report for people, the verdict last.
func (r Report) WriteTable(out io.Writer) error {
	c := r.Config
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\t\n", args...) }

	fmt.Fprintf(out, "run %s: rate %s for %s, %d keys (%s), %d bytes, %d shards, seed %d\n",
		c.Run, c.Rate, c.Duration, c.Keys, c.Distribution, c.Size, c.Shards, c.Seed)
	if r.Interrupted {
		fmt.Fprintf(out, "interrupted after %.1fs of %s\n", r.interrupted.Seconds(), c.Duration)
	}
	fmt.Fprintln(out)
	line("\tevents\tper second")
	line("sent\t%d\t", r.Sent)
	line("acked\t%d\t%.0f", r.Acked, r.AckedPerSecond)
	line("failed\t%d\t", r.Failed)
	line("applied\t%d\t%.0f", r.Applied, r.AppliedPerSecond)
	line("receipts\t%d\tof %d", r.Receipts, r.ReceiptsAsked)
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Fprintln(out)
	line("latency ms\tp50\tp90\tp99\tp99.9\tmax")
	for _, row := range []struct {
		name string
		s    latency.Summary
	}{{"ack", r.LatencyMS.Ack}, {"apply", r.LatencyMS.Apply}} {
		line("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f", row.name, row.s.P50, row.s.P90, row.s.P99, row.s.P999, row.s.Max)
	}
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(out, "\nlost %d, duplicated %d, reordered %d, unknown keys %d\n", r.Lost, r.Duplicated, r.Reordered, r.UnknownKeys)
	for _, v := range r.Violations {
		fmt.Fprintf(out, "  %s\n", v)
	}
	_, err := fmt.Fprintf(out, "verdict: %s\n", r.Verdict)
	return err
}
