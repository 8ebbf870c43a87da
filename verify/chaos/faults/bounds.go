package faults

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// bound is what events may wait at most, from when they were due until they were applied, for a fault that comes alone.
type bound struct {
	median time.Duration // of the longest waits of several faults; 0: none
	most   time.Duration
}

// bounds are those of crashes, which others notice at once, and of what is done on purpose. What hangs, or takes a server
// with it, is bounded by how long it lasts.
func bounds() map[string]bound {
	crash, handover := bound{time.Second, 1500 * time.Millisecond}, bound{most: 250 * time.Millisecond}
	return map[string]bound{
		KillWorker: crash, KillRouter: crash, CutProducer: crash,
		TermWorker: handover, TermRouter: handover, RollingRestart: handover,
	}
}

// calmWait is what events may have waited before a fault at most, for what they waited after it to be its work: they may
// wait long for a store that was lost to be filled again.
const calmWait = 100 * time.Millisecond

// tally is what events waited when faults of one name came alone.
type tally struct {
	fault string
	times int             // it came, alone or not
	waits []time.Duration // the longest of each that came alone, sorted
}

// tallies sums up what came of a plan's faults, by name. They are sorted by time, as the report's annotations are, which
// lack what was over only when the producer had read the file.
func tallies(happened []note, r Report) (all []*tally) {
	reported := 0
	for i, n := range happened {
		at := slices.IndexFunc(all, func(t *tally) bool { return t.fault == n.fault })
		if at < 0 {
			at, all = len(all), append(all, &tally{fault: n.fault})
		}
		all[at].times++
		if n.place >= len(r.Annotations) {
			continue
		}
		a := r.Annotations[reported]
		reported++
		if alone(happened, i) && r.waitBefore(a.At) <= calmWait {
			all[at].waits = append(all[at].waits, time.Duration(a.WaitSeconds*float64(time.Second)))
		}
	}
	for _, t := range all {
		slices.Sort(t.waits)
	}
	slices.SortFunc(all, func(a, b *tally) int { return slices.Index(names(), a.fault) - slices.Index(names(), b.fault) })
	return all
}

// alone tells whether no other fault was on while one was, or shortly before: what came of it came of it alone. A receipt
// that is lost with the producer's connection may come again from a shard's next owner, and then tells of a wait that was
// none: so nothing else may happen at all.
func alone(happened []note, i int) bool {
	n := happened[i]
	if n.fault == CutProducer && slices.ContainsFunc(happened, func(other note) bool { return other.fault != CutProducer }) {
		return false
	}
	return !slices.ContainsFunc(happened, func(other note) bool {
		return other != n && other.At.Before(n.Until) && n.At.Before(other.Until.Add(calm(other.fault)))
	})
}

// calm is how long after a fault another does not count as alone: workers whose connections broke judge nobody for a while.
func calm(fault string) time.Duration {
	switch fault {
	case KillNATS, KillLeader, CutFollower, RollingNATS, SlowLinks, LossyLinks, CutLinks, StallLinks:
		return settled
	}
	return recovery
}

func (t *tally) most() time.Duration   { return t.waits[len(t.waits)-1] }
func (t *tally) median() time.Duration { return t.waits[len(t.waits)/2] }

// crossed tells whether a bound was.
func (t *tally) crossed(b bound) bool {
	return len(t.waits) > 0 && b.most > 0 && (t.most() > b.most || b.median > 0 && t.median() > b.median)
}

// printTallies prints them and returns the names of the faults whose bounds were crossed.
func printTallies(out io.Writer, all []*tally) (crossed []string, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	fmt.Fprintln(out, "\nthe longest wait of an event, for each fault that came alone:")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "fault\tcame\talone\tmedian\tmost\tbounds\t")
	limits := bounds()
	for _, t := range all {
		b, says := limits[t.fault], ""
		if t.crossed(b) {
			crossed = append(crossed, t.fault)
			says = "  crossed"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", t.fault, t.times, len(t.waits), t.show((*tally).median), t.show((*tally).most), b, says)
	}
	return crossed, table.Flush()
}

func (t *tally) show(of func(*tally) time.Duration) string {
	if len(t.waits) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f s", of(t).Seconds())
}

func (b bound) String() string {
	switch {
	case b.most == 0:
		return "-"
	case b.median == 0:
		return fmt.Sprintf("%.2f s", b.most.Seconds())
	}
	return fmt.Sprintf("%.2f s, %.2f s", b.median.Seconds(), b.most.Seconds())
}
