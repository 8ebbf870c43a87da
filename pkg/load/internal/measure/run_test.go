package measure

import (
	"bytes"
	"encoding/gob"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/lockstep/pkg/load/internal/latency"
)

// event is one that a load saw.
type event struct {
	process  int
	shard    int
	intended time.Duration
	wait     time.Duration
	failed   bool
}

var events = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
	return event{
		process:  rapid.IntRange(0, 2).Draw(t, "process"),
		shard:    rapid.IntRange(0, 3).Draw(t, "shard"),
		intended: max(0, moments.Draw(t, "intended")),
		wait:     time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "wait")),
		failed:   rapid.Bool().Draw(t, "failed"),
	}
}), 0, 60)

// saw enters an event into a run.
func (r *Run) saw(e event) {
	now := e.intended + e.wait
	for len(r.Shards) <= e.shard {
		r.Shards = append(r.Shards, Shard{})
	}
	r.Shards[e.shard].Events++
	r.Sent++
	r.Sending = max(r.Sending, e.intended)
	r.SentOver.At(e.intended).Add(&Sent{Events: 1, MaxLag: e.wait / 2})
	r.Lag.Record(e.wait / 2)
	if e.failed {
		r.Failed++
		r.AckedOver.At(now).Failed++
		r.Violations = append(r.Violations, "an event failed")
		return
	}
	r.Acked++
	r.Applied++
	r.ReceiptsAsked++
	r.Receipts++
	r.LastAck, r.LastReceipt = max(r.LastAck, now), max(r.LastReceipt, now)
	r.Ack.Record(e.wait / 2)
	r.Apply.Record(e.wait)
	r.AckedOver.At(now).Events++
	r.AppliedOver.At(e.intended).Wait(e.wait)
	r.AppliedOver.At(now).Receipts++
}

// sameRun compares what two runs saw.
func sameRun(t require.TestingT, want, got *Run) {
	w, g := *want, *got
	for _, h := range [][2]*latency.Histogram{{w.Ack, g.Ack}, {w.Apply, g.Apply}, {w.Lag, g.Lag}} {
		require.Equal(t, h[0].Curve(), h[1].Curve())
		require.Equal(t, h[0].Summary(), h[1].Summary())
	}
	require.Equal(t, w.AppliedOver.Interval, g.AppliedOver.Interval)
	require.Len(t, g.AppliedOver.Points, len(w.AppliedOver.Points))
	for i, p := range w.AppliedOver.Points {
		q := g.AppliedOver.Points[i]
		require.Equal(t, p.Receipts, q.Receipts)
		require.Equal(t, p.Waits == nil, q.Waits == nil)
		if p.Waits != nil {
			require.Equal(t, p.Waits.Curve(), q.Waits.Curve())
		}
	}
	for _, r := range []*Run{&w, &g} { // the rest has no pointers
		r.Ack, r.Apply, r.Lag, r.AppliedOver = nil, nil, nil, Series[Applied, *Applied]{}
	}
	require.Equal(t, w, g)
}

func TestMergedRunsAreAsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := New()
		parts := []*Run{New(), New(), New()}
		for _, e := range events.Draw(t, "events") {
			one.saw(e)
			parts[e.process].saw(e)
		}
		merged := New()
		for _, p := range parts {
			merged.Merge(p)
		}
		sameRun(t, one, merged)
	})
}

func TestMergeTakesTheWidest(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	a, b := New(), New()
	a.Start, b.Start = start.Add(time.Second), start
	a.WarmUp, b.Sending, b.Interrupted = time.Second, 9*time.Second, true
	a.Lost, b.Lost, b.Duplicated, b.Reordered, b.UnknownKeys = 1, 2, 3, 4, 5
	a.Overdue, b.Overdue, b.Unsent, a.WarmUpAcked, b.WarmUpAcked = 1, 2, 3, 4, 5
	a.Unfinished, b.Unfinished = 5, 6
	a.SetAside, a.SetAsideKeys, a.Parked, a.ParkedKeys, a.Expected, a.Lists = 1, 2, 3, 4, 5, []string{"a"}
	b.SetAside, b.SetAsideKeys, b.Parked, b.ParkedKeys, b.Expected, b.Lists = 10, 20, 30, 40, 50, []string{"b"}
	a.Short, b.Short = []Short{{Shard: 2, Seq: 8, End: 9}, {Shard: 4}}, []Short{{Shard: 1}, {Shard: 2, Seq: 9, End: 10}}
	owners := []Owner{{At: 1, Shard: 2, Name: "w"}}
	a.Owners, b.Owners = owners, owners
	a.Backlog = &Backlog{Events: 10, Resumed: 5, Drained: 8}
	b.Backlog = &Backlog{Events: 20, Resumed: 4, Drained: 9}

	sum := New()
	sum.Merge(a)
	sum.Merge(b)
	sum.Merge(New())
	want := New()
	want.Start, want.WarmUp, want.Sending, want.Interrupted = start, time.Second, 9*time.Second, true
	want.Lost, want.Duplicated, want.Reordered, want.UnknownKeys = 3, 3, 4, 5
	want.Overdue, want.Unsent, want.WarmUpAcked = 3, 3, 9
	want.Unfinished, want.Short = 11, []Short{{Shard: 1}, {Shard: 2, Seq: 8, End: 9}, {Shard: 4}}
	want.SetAside, want.SetAsideKeys, want.Parked, want.ParkedKeys, want.Expected, want.Lists = 11, 22, 33, 44, 55, []string{"a", "b"}
	want.Owners = owners
	want.Backlog = &Backlog{Events: 30, Resumed: 5, Drained: 9}
	sameRun(t, want, sum)
	require.EqualValues(t, 10, a.Backlog.Events, "what was merged stays as it is")
}

func TestRunSurvivesGob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New()
		r.Start = time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC)
		for _, e := range events.Draw(t, "events") {
			r.saw(e)
		}
		r.Pauses.Count++
		r.Pauses.add(Pause{Shard: 1, From: 2, To: 3})
		r.Owners = []Owner{{At: 1, Shard: 2, Name: "w"}}
		r.Backlog = &Backlog{Events: 1, Resumed: 2, Drained: 3}
		r.Unfinished, r.Short = 4, []Short{{Shard: 1, Seq: 2, End: 3, Why: "why"}}
		var wire bytes.Buffer
		require.NoError(t, gob.NewEncoder(&wire).Encode(r))
		var again Run
		require.NoError(t, gob.NewDecoder(&wire).Decode(&again))
		sameRun(t, r, &again)
		again.Merge(r)
		require.Equal(t, 2*r.Sent, again.Sent, "it can be merged")
	})
}
