package consume

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// consumers is how many consumers the log has.
func (r *rig) consumers() int {
	r.t.Helper()
	s, err := r.js.Stream(background, r.stream())
	require.NoError(r.t, err)
	info, err := s.Info(background)
	require.NoError(r.t, err)
	return info.State.Consumers
}

// feeds sends events to some shards until the log has so many consumers: shards join a shared feed after a round.
func (r *rig) feeds(want int, shards ...int) {
	r.t.Helper()
	eventually(r.t, func() bool {
		for _, shard := range shards {
			r.send(shard, fmt.Sprint("k", shard))
		}
		return r.consumers() == want
	}, "the log does not have %d consumers", want)
}

func TestShardsAtTheTipShareAFeed(t *testing.T) {
	r := newRig(t, 4)
	w := r.calm()
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	r.feeds(1, 0, 1, 2, 3)
	r.applied()
	w.undisturbed()
	eventually(t, func() bool {
		for shard := range r.shards {
			if w.shard(shard).Lag > 0 {
				return false
			}
		}
		return true
	}, "lag")
	for range 20 {
		for shard := range r.shards {
			r.send(shard, fmt.Sprint("a", shard), fmt.Sprint("b", shard))
		}
	}
	r.applied()
	require.Equal(t, 1, r.consumers())
	w.undisturbed()
	require.NoError(t, w.Stop(background))
	require.Zero(t, r.consumers())
}

func TestSharedFeedThatBreaksIsReplaced(t *testing.T) {
	r := newRig(t, 4)
	w := r.start()
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	for range 3 {
		r.feeds(1, 0, 1, 2, 3)
		before := w.log.count("opening the log again")
		r.killConsumers(r.stream())
		for shard := range r.shards {
			r.send(shard, fmt.Sprint("a", shard), fmt.Sprint("b", shard))
		}
		eventually(t, func() bool { return w.log.count("opening the log again") >= before+r.shards }, "the shards find their places")
		r.applied()
	}
	require.Zero(t, w.metric("events_duplicate_total"))
}

// A shard whose handler hangs gets a feed of its own when its queue is full, and the others go on. Then it shares again.
func TestShardThatFallsBackLeavesTheSharedFeed(t *testing.T) {
	r := newRig(t, 4)
	slow, released := make(chan struct{}, 1), make(chan struct{})
	w := r.calm(handler(collect(func(ev Event) error {
		if ev.Key == "slow" {
			slow <- struct{}{}
			<-released
		}
		return nil
	})))
	eventually(t, func() bool { return w.Ready() == nil }, "ready")
	r.feeds(1, 0, 1, 2, 3)
	r.applied()
	r.send(0, "slow")
	<-slow
	for range seatMessages + 10 {
		r.send(0, "a0")
	}
	r.feeds(1, 1, 2, 3) // the other three's
	w.undisturbed()
	for range 20 {
		r.send(1, "a1")
	}
	for shard := 1; shard < r.shards; shard++ {
		end := r.send(shard, fmt.Sprint("last", shard))
		eventually(t, func() bool { return r.position(shard) >= end }, "shard %d is held up", shard)
	}
	close(released)
	r.applied()
	r.feeds(1, 0, 1, 2, 3)
	r.applied()
	w.undisturbed()
}

// Each worker has a shared feed of its own; when shards come and go it changes.
func TestSharedFeedFollowsTheWorkersShards(t *testing.T) {
	r := newRig(t, 6)
	first := r.calm()
	eventually(t, func() bool { return first.Ready() == nil }, "ready")
	all := []int{0, 1, 2, 3, 4, 5}
	r.feeds(1, all...)
	second := r.calm()
	eventually(t, func() bool { return first.Ready() == nil && second.Ready() == nil }, "settled")
	r.feeds(2, all...)
	r.applied()
	require.NoError(t, second.Stop(background))
	eventually(t, func() bool { return first.Ready() == nil }, "settled")
	r.feeds(1, all...)
	r.applied()
	first.undisturbed()
}
