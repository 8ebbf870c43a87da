package faults

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// bound limits how long events may wait, from the intended send until they are applied, when a fault comes alone.
type bound struct {
	median time.Duration // of the longest waits after several faults; 0: no bound
	most   time.Duration
}

// bounds has the faults with a bound: crashes, which others notice at once, and orderly stops. After the others events wait
// for as long as a process hangs or a server is away.
func bounds() map[string]bound {
	crash, handover := bound{time.Second, 1500 * time.Millisecond}, bound{most: 250 * time.Millisecond}
	return map[string]bound{
		KillWorker: crash, KillRouter: crash, CutProducer: crash,
		TermWorker: handover, TermRouter: handover, RollingRestart: handover,
	}
}

// calmWait is how long events may wait before a fault if their wait after it is to count as caused by the fault. They may
// still be waiting because of an earlier one, as when the workers fill a lost store again.
const calmWait = 100 * time.Millisecond

// tally has the waits of events after the faults of one name.
type tally struct {
	fault string
	times int             // how often the fault came, alone or not
	waits []time.Duration // the longest wait after each that came alone, sorted
}

// tallies sums up the waits after a plan's faults, by the fault's name. Both happened and the report's annotations are
// sorted by time. The annotations lack the faults that ended after the producer had read the file.
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

// alone tells whether there was no other fault during a fault or shortly before it, so that it alone caused the waits. With
// CutProducer there must be no other fault in the run: a receipt that is lost with the producer's connection may be sent
// again by a shard's next owner, and then tells of a wait that there was not.
func alone(happened []note, i int) bool {
	n := happened[i]
	if n.fault == CutProducer && slices.ContainsFunc(happened, func(other note) bool { return other.fault != CutProducer }) {
		return false
	}
	return !slices.ContainsFunc(happened, func(other note) bool {
		return other != n && other.At.Before(n.Until) && n.At.Before(other.Until.Add(calm(other.fault)))
	})
}

// calm is how long after a fault another one does not count as alone: workers whose connections broke do not judge each
// other for a while.
func calm(fault string) time.Duration {
	switch fault {
	case KillNATS, KillLeader, CutFollower, RollingNATS, SlowLinks, LossyLinks, CutLinks, StallLinks:
		return settled
	}
	return recovery
}

func (t *tally) most() time.Duration   { return t.waits[len(t.waits)-1] }
func (t *tally) median() time.Duration { return t.waits[len(t.waits)/2] }

// crossed tells whether the waits are beyond the bound.
func (t *tally) crossed(b bound) bool {
	return len(t.waits) > 0 && b.most > 0 && (t.most() > b.most || b.median > 0 && t.median() > b.median)
}

// printTallies prints the tallies and returns the names of the faults whose bounds were crossed.
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
