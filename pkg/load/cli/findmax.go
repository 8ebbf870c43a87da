package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/lockstep/pkg/load/internal/latency"
	"example.com/lockstep/pkg/load/internal/pace"
	"example.com/lockstep/pkg/load/internal/progress"
	"example.com/lockstep/pkg/load/internal/report"
	"example.com/lockstep/pkg/load/internal/search"
)

// chances is how often a rate may break the bound before it counts as too high:
// anything may happen once on a machine that others use, too.
const chances = 2

// findMax makes loads of one rate after another, and returns the report of the
// highest that kept the bound, or of the first one if none did. A load that found
// something wrong or unfinished ends the search: its report is the answer.
func (c *loadCommand) findMax(ctx, sending context.Context, view progress.View) (report.Report, error) {
	first := uint64(firstRate)
	if c.Rate.Constant() {
		first = uint64(c.Rate.Peak())
	}
	s := search.New(first, pace.MaxRate)
	found := report.FindMax{BoundMS: latency.Milliseconds(c.FindMax), Trials: []report.Trial{}}
	var best report.Report
	broken := 0 // how often the rate at hand broke the bound
	for rate, ok := s.Next(); ok && sending.Err() == nil; rate, ok = s.Next() {
		trial := *c
		trial.Rate = pace.Constant(rate)
		r, err := trial.load(ctx, sending, view)
		if err != nil && sending.Err() != nil && ctx.Err() == nil && best.Schema != 0 {
			break // interrupted before this trial sent anything: those before it count
		}
		if err != nil {
			return report.Report{}, err
		}
		wrong := r.Verdict == report.Fail || r.Verdict == report.Unfinished
		if wrong || best.Schema == 0 {
			best = r
		}
		if wrong || r.Interrupted {
			break
		}
		why := tooMuch(r, c.FindMax)
		found.Trials = append(found.Trials, report.Trial{
			Rate: rate, AppliedPerSecond: r.AppliedPerSecond, ApplyP99MS: r.LatencyMS.Apply.P99, Held: why == "", Why: why,
		})
		if why != "" {
			view.Say(fmt.Sprintf("%d/s: %s", rate, why))
			if broken++; broken < chances {
				continue
			}
		} else {
			view.Say(fmt.Sprintf("%d/s: held", rate))
			best, found.Rate = r, rate
		}
		broken = 0
		s.Tried(why == "")
	}
	if best.Schema == 0 {
		return report.Report{}, errors.New("the search was interrupted before it tried anything")
	}
	best.FindMax, best.Interrupted = &found, sending.Err() != nil
	return best, nil
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
