package consume

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/lockstep/pkg/frame"
	"example.com/lockstep/pkg/group"
	"example.com/lockstep/pkg/topology"
	"github.com/stretchr/testify/require"
)

// receipts are those of publisher 1, as they come.
func (r *rig) receipts() func() map[uint64]int {
	r.t.Helper()
	sub, err := r.nats.Conn.SubscribeSync(topology.ReceiptSubject("app", frame.PublisherID{1}.String()))
	require.NoError(r.t, err)
	require.NoError(r.t, r.nats.Conn.Flush())
	got := make(map[uint64]int)
	return func() map[uint64]int {
		for {
			m, err := sub.NextMsg(time.Millisecond)
			if err != nil {
				return got
			}
			var receipt frame.Receipt
			require.NoError(r.t, receipt.Decode(m.Data))
			require.Equal(r.t, uint64(1), receipt.Generation)
			for _, seq := range receipt.Seqs {
				got[seq]++
			}
		}
	}
}

func TestWorkerAppliesDropsAndTells(t *testing.T) {
	r := newRig(t, 2)
	receipts := r.receipts()
	first := batchFor(0, one(1, "a"), one(2, "b"))
	r.seq = 2
	id := frame.PublisherID{1}.String()
	r.want["a"], r.want["b"] = []string{id + "-1"}, []string{id + "-2"}
	r.put(0, first, nil)
	r.put(0, first, nil) // a router's copy
	w := r.start()
	r.send(0, "a", "a")
	r.send(1, "c")
	seq := r.put(1, []byte("5"), plainHeader(1, "plain key"))
	r.want["plain key"] = []string{fmt.Sprintf("1-1-%d", seq)}
	r.applied()
	eventually(t, func() bool { return len(receipts()) == 5 }, "receipts")
	for seq, n := range receipts() {
		require.Equal(t, 1, n, "receipts of seq %d", seq)
	}
	eventually(t, func() bool { return w.metric("events_applied_total") == 6 }, "metric")
	require.Equal(t, 2.0, w.metric("events_duplicate_total"))
	require.Zero(t, w.metric("handler_failures_total"))
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	require.Equal(t, seq, w.shard(1).Seq)
	require.Equal(t, "running", w.shard(1).State)
	require.Zero(t, w.shard(1).Lag)
}

// An event that its handler fails, by an error or a panic, waits in its key's list. Everything else goes on.
func TestFailingHandlerHoldsItsKeyOnly(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errRefused },
		"panic": func() error { panic("the handler panicked") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			w := r.start(handler(collect(func(ev Event) error {
				if ev.Key != "bad" {
					return nil
				}
				return fail()
			})))
			r.send(0, "a", "bad", "a")
			r.send(0, "bad", "b")
			r.send(1, "c")
			r.applied()
			require.Len(t, r.state("a"), 2)
			require.Len(t, r.state("b"), 1)
			require.Len(t, r.state("c"), 1)
			require.Empty(t, r.state("bad"))
			require.Equal(t, stateRunning, w.shard(0).State)
			eventually(t, func() bool { return w.Ready() == nil }, "ready")
			require.Empty(t, w.Stuck())
			require.GreaterOrEqual(t, w.metric("handler_failures_total"), 1.0)
			require.Regexp(t, `msg="handler failed; its key waits for it" shard=0 key_hash=[0-9a-f]{16} key=bad event=`, w.log.String())
		})
	}
}

func (granting) Try(context.Context, int, string) (group.Lease, error) { return granted{}, nil }

func (granting) Unlock(context.Context, int, string) error { return nil }

func (granted) Context() context.Context { return background }

func (granted) Release(context.Context) error { return nil }

// What waits for a shard is counted while it is handed over: it is not this worker's any more.
func TestCountOfAShardThatIsGone(t *testing.T) {
	r := newRig(t, 1)
	w := r.start()
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	w.statuses.forget(0)
	w.statuses.counted(0, 5)
	require.Empty(t, w.status().Shards)
	require.NoError(t, w.Ready())
}
