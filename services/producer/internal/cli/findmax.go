package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/services/producer/internal/latency"
	"example.com/lockstep/services/producer/internal/pace"
	"example.com/lockstep/services/producer/internal/progress"
	"example.com/lockstep/services/producer/internal/report"
	"example.com/lockstep/services/producer/internal/search"
)

// findMax makes loads of one rate after another, and returns the report of the
// highest that kept the bound, or of the last one if none did. A load that found
// something wrong ends the search: its report is the answer.
func (c *loadCommand) findMax(ctx, sending context.Context, view progress.View) (report.Report, error) {
	first := uint64(firstRate)
	if c.Rate.Constant() {
		first = uint64(c.Rate.Peak())
	}
	s := search.New(first, pace.MaxRate)
	found := report.FindMax{BoundMS: latency.Milliseconds(c.FindMax)}
	var best report.Report
	for rate, ok := s.Next(); ok && sending.Err() == nil; rate, ok = s.Next() {
		trial := *c
		trial.Rate = pace.Constant(rate)
		r, err := trial.load(ctx, sending, view)
		if err != nil {
			return report.Report{}, err
		}
		if r.Verdict == report.Fail || len(found.Trials) == 0 {
			best = r
		}
		if r.Verdict == report.Fail || r.Interrupted {
			break
		}
		why := tooMuch(r, c.FindMax)
		found.Trials = append(found.Trials, report.Trial{
			Rate: rate, AppliedPerSecond: r.AppliedPerSecond, ApplyP99MS: r.LatencyMS.Apply.P99, Held: why == "", Why: why,
		})
		s.Tried(why == "")
		if why == "" && rate == s.Best() {
			best, found.Rate = r, rate
		}
		view.Say(fmt.Sprintf("%d/s: %s", rate, verdictOf(why)))
	}
	if best.Schema == 0 {
		return report.Report{}, errors.New("the search was interrupted before it tried anything")
	}
	best.FindMax = &found
	return best, nil
}

func verdictOf(why string) string {
	if why == "" {
		return "held"
	}
	return why
}

// tooMuch says why a rate is too high, if it is.
func tooMuch(r report.Report, bound time.Duration) string {
	switch {
	case r.Failed > 0:
		return fmt.Sprintf("%d events failed", r.Failed)
	case r.LatencyMS.Apply.P99 > latency.Milliseconds(bound):
		return fmt.Sprintf("p99 is %.1f ms", r.LatencyMS.Apply.P99)
	case r.Unsent > 0:
		return fmt.Sprintf("%d events were never sent", r.Unsent)
	default:
		return ""
	}
}
