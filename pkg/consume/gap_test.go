package consume

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Where log and store do not fit together the shard stops, says so, and goes on once it is mended.
func TestGaps(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*rig)
		says   string
		mend   func(*rig)
	}{
		"the log lost its tail": {
			breaks: func(r *rig) { r.setPosition(store.Position{Epoch: 1, Seq: 99, Time: time.Unix(5, 0)}) },
			says:   "up to message 99 of stream APP_1_0, which ends at 4: the log lost its tail",
			mend:   (*rig).flush,
		},
		"the log was made anew": {
			breaks: func(r *rig) { r.remake(); r.resend(4) },
			says:   "was made anew",
			mend:   (*rig).flush,
		},
		"the log was made anew, and is longer": {
			breaks: func(r *rig) { r.remake(); r.resend(9) },
			says:   "was made anew",
			mend:   (*rig).flush,
		},
		"the log is gone": {
			breaks: func(r *rig) { require.NoError(r.t, r.js.DeleteStream(background, r.stream())) },
			says:   "stream APP_1_0 of shard 0 is gone",
			mend:   func(r *rig) { r.create(); r.resend(2); r.flush() },
		},
		"the log was purged": {
			breaks: func(r *rig) { r.resend(4); r.purge(7) },
			says:   "which begins at 7: messages were removed, and not by the janitor",
			mend:   (*rig).skip,
		},
		"the message at the position was removed": {
			breaks: func(r *rig) { r.remove(4) },
			says:   "but that message is gone",
			mend:   (*rig).skip,
		},
		"the store is empty and the log begins late": {
			breaks: func(r *rig) { r.purge(2); r.flush() },
			says:   "up to message 0 of stream APP_1_0, which begins at 2",
			mend:   (*rig).skip,
		},
		"the store committed in another epoch": {
			breaks: func(r *rig) { r.setPosition(store.Position{Epoch: 7, Seq: 1, Time: time.Unix(5, 0)}) },
			says:   "committed in epoch 7",
			mend:   (*rig).flush,
		},
		"the store is another topology's": {
			breaks: func(r *rig) { require.NoError(r.t, r.rdb.HSet(background, recordKey, "topology", "another").Err()) },
			says:   `{app:0}:record is of "another"`,
			mend:   func(r *rig) { require.NoError(r.t, r.rdb.HSet(background, recordKey, "topology", r.topo.ID).Err()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			first := r.start()
			r.resend(4)
			r.applied()
			require.NoError(t, first.Stop(background))
			w := r.worker()
			c.breaks(r)
			release := w.ownAlone(r)
			defer release()
			stopped(t, w, c.says)
			c.mend(r)
			eventually(t, func() bool { return w.shard(0).State == stateRunning }, "goes on")
			r.send(0, "later")
			eventually(t, func() bool { return len(r.state("later")) == 1 }, "applies what comes")
		})
	}
}

// stopped waits until the only shard has stopped and says why.
func stopped(t *testing.T, w *tester, says string) {
	t.Helper()
	eventually(t, func() bool {
		state := w.shard(0).State
		return strings.HasPrefix(state, "stopped: ") && strings.Contains(state, says)
	}, "not stopped: %s", says)
	fence := w.shard(0).Fence
	eventually(t, func() bool { return w.shard(0).Fence != fence || w.claims.Load() > 5 }, "does not look again")
	require.Equal(t, 1, strings.Count(w.log.String(), "shard stopped until this is mended"), "said once")
}

// ownAlone owns shard 0 without a group, as some of what breaks is refused when a worker starts.
func (w *tester) ownAlone(r *rig) (release func()) {
	w.store, w.topology, w.kv = r.store(), r.topo, r.kv
	w.receipts = startReceipts(w.nc.Publish, "app", w.cfg.Log)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.own(background, group.Ownership{Shard: 0, Stop: stop, Announce: func(context.Context) (uint64, error) {
			return w.claims.Add(1), nil
		}, Confirm: func(context.Context, uint64) (uint64, error) {
			return w.claims.Add(1), nil
		}})
	}()
	return func() {
		close(stop)
		<-done
		w.closing.Wait()
		w.receipts.stop()
		w.receipts = nil
	}
}

// resend sends n events of one key, whatever is to come of them.
func (r *rig) resend(n int) {
	r.t.Helper()
	for range n {
		r.send(0, "x")
	}
}

// recordKey is that of shard 0 in Redis.
const recordKey = "{app:0}:record"

func (r *rig) setPosition(p store.Position) {
	r.t.Helper()
	require.NoError(r.t, r.rdb.HSet(background, recordKey, "position", p.String()).Err())
}

// flush empties the store: it is filled from the log.
func (r *rig) flush() {
	r.t.Helper()
	require.NoError(r.t, r.rdb.FlushAll(background).Err())
}

// skip restores the store to a position that the log has.
func (r *rig) skip() {
	r.t.Helper()
	seq := r.send(0, "skipped")
	s, err := r.js.Stream(background, r.stream())
	require.NoError(r.t, err)
	m, err := s.GetMsg(background, seq)
	require.NoError(r.t, err)
	r.setPosition(store.Position{Epoch: 1, Seq: seq, Time: m.Time})
}

func (r *rig) remove(seq uint64) {
	r.t.Helper()
	s, err := r.js.Stream(background, r.stream())
	require.NoError(r.t, err)
	require.NoError(r.t, s.DeleteMsg(background, seq))
}

// purge leaves only messages from first on.
func (r *rig) purge(first uint64) {
	r.t.Helper()
	s, err := r.js.Stream(background, r.stream())
	require.NoError(r.t, err)
	require.NoError(r.t, s.Purge(background, jetstream.WithPurgeSequence(first)))
}

func (r *rig) remake() {
	r.t.Helper()
	require.NoError(r.t, r.js.DeleteStream(background, r.stream()))
	r.create()
}

func (r *rig) create() {
	r.t.Helper()
	_, err := r.js.CreateStream(background, r.streamConfig)
	require.NoError(r.t, err)
}

// A running worker notices by itself that its log is another one.
func TestLogMadeAnewUnderARunningWorker(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	r.resend(3)
	r.applied()
	r.remake()
	r.resend(3)
	eventually(t, func() bool { return strings.Contains(w.shard(0).State, "made anew") }, "not noticed")
	eventually(t, func() bool { return w.Ready() == nil }, "its neighbours, if it had some, would work")
	require.Contains(t, w.Stuck(), "shard 0: stopped: ")
	require.Equal(t, 1.0, w.metric("shards_stopped"))
	require.Equal(t, uint64(3), r.position(0))
}

// Nor does it take a message for its own because it lies at the shard's position: in the new log it may be another shard's.
func TestPositionInALogMadeAnewIsAnotherShards(t *testing.T) {
	r := newRig(t, 2)
	w := r.start()
	r.resend(3)
	r.applied()
	r.remake()
	for range 4 {
		r.send(1, "y")
	}
	r.resend(3)
	eventually(t, func() bool { return strings.HasPrefix(w.shard(0).State, "stopped: ") }, "not stopped: %s", w.shard(0).State)
	require.Contains(t, w.shard(0).State, "up to message 3 of stream APP_1_0, but message 3 is another shard's: the log lost its tail or was made anew")
	require.Equal(t, uint64(3), r.position(0))
	_, err := r.acceptGap(0)
	require.NoError(t, err)
	r.applied()
}

// What no router stored in a shard's log stops nothing: an answer that a client had sent there, or a copy of another shard's.
func TestForeignMessagesArePassedOver(t *testing.T) {
	r := newRig(t, 2)
	r.send(0, "a")
	r.put(0, []byte("hello"), nil)
	r.put(0, nil, nil)
	r.put(0, batchFor(1, one(1, "a")), nil)
	r.put(0, []byte("x"), plainHeader(1, "a"))
	r.send(0, "b")
	w := r.start()
	r.applied()
	last := r.put(0, []byte("hello again"), nil)
	r.applied()
	require.Equal(t, last, r.position(0))
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	eventually(t, func() bool { return maps.Equal(map[string]float64{"foreign": 3, "copy": 2}, w.passedByWhy()) }, "the count follows the commit")
	require.Equal(t, 1, strings.Count(w.log.String(), "no router stored in this log"))
}

// passedByWhy is the metric of messages that were passed over, by its label why.
func (w *tester) passedByWhy() map[string]float64 {
	families, err := w.reg.Gather()
	require.NoError(w.t, err)
	out := make(map[string]float64)
	for _, f := range families {
		if f.GetName() == "app_worker_messages_passed_over_total" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

func TestUnreadableMessageStopsItsShard(t *testing.T) {
	for name, m := range map[string]struct {
		data   string
		header nats.Header
	}{
		"half a batch": {data: string(batchFor(0, one(9, "a"))[:40])},
		"unknown kind": {header: nats.Header{"Kind": {"rocket"}, frame.HeaderPlace: {"1.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			r.send(0, "a", "b")
			seq := r.put(0, []byte(m.data), m.header)
			r.send(0, "a")
			r.send(1, "c")
			w := r.start()
			stop := fmt.Sprintf("message %d of stream APP_1_0 cannot be read", seq)
			eventually(t, func() bool { return strings.Contains(w.shard(0).State, stop) }, "not stopped")
			require.Contains(t, w.shard(0).State, fmt.Sprintf("nats stream rmm APP_1_0 %d", seq))
			eventually(t, func() bool { return len(r.state("c")) == 1 }, "the other shard")
			eventually(t, func() bool { return w.shard(0).Lag == 2 }, "what waits: %d", w.shard(0).Lag)
			r.send(0, "b")
			eventually(t, func() bool { return w.shard(0).Lag == 3 }, "what waits: %d", w.shard(0).Lag)
			require.Len(t, r.state("b"), 1, "what lies before it is committed")
			require.Len(t, r.state("a"), 1)
			require.Equal(t, seq-1, r.position(0))
			r.remove(seq)
			r.applied()
			eventually(t, func() bool { return w.Ready() == nil }, "ready")
		})
	}
}
