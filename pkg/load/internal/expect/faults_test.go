package expect

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// allowed are the states that the key may have, found by trying every outcome of the events given up.
func (r *deleting) allowed() map[State]bool {
	runs := [][]int{nil}
	for i, o := range r.outcomes {
		var next [][]int
		for _, run := range runs {
			if o != Stored {
				next = append(next, run)
			}
			if o != NotStored {
				next = append(next, append(slices.Clone(run), i+1))
			}
		}
		runs = next
	}
	out := make(map[State]bool)
	for _, run := range runs {
		out[r.apply(run)] = true
	}
	return out
}

// until are the states that the key may have when its events up to some number are applied.
func (r *deleting) until(counter int) map[State]bool {
	first := &deleting{r.book, r.sent, r.outcomes[:counter], r.deletes}
	return first.allowed()
}

// mutate drops, doubles or swaps events of a run, anywhere.
func mutate(t *rapid.T, run []int) []int {
	out := slices.Clone(run)
	at := func(what string) int { return rapid.IntRange(0, len(out)-1).Draw(t, what) }
	for range rapid.IntRange(1, 2).Draw(t, "faults") {
		if len(out) == 0 {
			break
		}
		switch rapid.SampledFrom([]string{"drop", "double", "swap"}).Draw(t, "fault") {
		case "drop":
			i := at("where")
			out = slices.Delete(out, i, i+1)
		case "double":
			i, j := at("where"), at("to")
			out = slices.Insert(out, j+1, out[i])
		case "swap":
			i, j := at("where"), at("with")
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// drawHistory draws what is sent, and what of it is applied.
func drawHistory(t *rapid.T) (r *deleting, run []int) {
	n := rapid.IntRange(1, 12).Draw(t, "events")
	outcomes := rapid.SliceOfN(rapid.SampledFrom([]Outcome{Stored, Stored, Stored, GivenUp, NotStored}), n, n).Draw(t, "outcomes")
	var deletes []int
	for i := range n {
		if rapid.IntRange(0, 3).Draw(t, "deletes") == 0 {
			deletes = append(deletes, i+1)
		}
	}
	r = sendDeleting(t, outcomes, deletes...)
	for i, o := range outcomes {
		if o == Stored || o == GivenUp && rapid.Bool().Draw(t, "applied") {
			run = append(run, i+1)
		}
	}
	return r, run
}

// tail are the events of a run that follow the last one that deletes: what its state shows.
func (r *deleting) tail(run []int) []int {
	for i := len(run) - 1; i >= 0; i-- {
		if r.deletes[run[i]-1] {
			return run[i+1:]
		}
	}
	return run
}

// A history that lost, doubled or swapped events anywhere passes only if an allowed one comes to the same state.
func TestNoFaultPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, run := drawHistory(t)
		f := r.book.Check(1, r.apply(run))
		require.Equal(t, Fine, f.Kind, "%v: %s", run, f.Detail)

		wrong := mutate(t, run)
		f = r.book.Check(1, r.apply(wrong))
		require.Equal(t, r.allowed()[r.apply(wrong)], f.Kind == Fine, "%v: %s: %s", wrong, f.Kind, f.Detail)
		if !slices.Contains(r.outcomes, GivenUp) && f.Kind == Fine {
			require.Equal(t, r.tail(run), r.tail(wrong), "a fault after the last event that deletes")
		}
		if !slices.Contains(r.deletes, true) && !slices.Contains(r.outcomes, GivenUp) && !slices.Equal(run, wrong) {
			require.NotEqual(t, Fine, f.Kind)
		}
	})
}

// Of a key whose shard is short of the log's end only a state that its first events come to is right so far.
func TestNoFaultIsUnfinished(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, run := drawHistory(t)
		run = run[:rapid.IntRange(0, len(run)).Draw(t, "applied so far")]
		if rapid.Bool().Draw(t, "faulty") {
			run = mutate(t, run)
		}
		got := r.apply(run)
		right, left := false, 0
		for counter := range len(r.outcomes) + 1 {
			if right = r.until(counter)[got]; right {
				for _, o := range r.outcomes[counter:] {
					if o == Stored {
						left++
					}
				}
				break
			}
		}
		f := r.book.CheckUnfinished(1, got)
		switch {
		case r.allowed()[got]:
			require.Equal(t, Fine, f.Kind, "%v: %s", run, f.Detail)
		case right:
			require.Equal(t, Unfinished, f.Kind, "%v: %s", run, f.Detail)
			require.EqualValues(t, left, f.Events)
		default:
			require.NotContains(t, []Kind{Fine, Unfinished, Dropped}, f.Kind, "%v: %s", run, f.Detail)
		}
	})
}
